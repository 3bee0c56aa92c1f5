"""The data card of a QRA data set: for machines which file is which split, for people what this is and where it comes from."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from api.schemas import QraDataset
from model.rationale.formats import Row, Split
from workers.secrecy import redact

_EXAMPLES = 10  # of each number of steps


def models_of(manifest: Mapping[str, Any]) -> list[str]:
    """The Video-LLMs that made the graphs, and with which prompts, as a data set's manifest has them."""
    results = [run.get("result") or {} for run in manifest["runs"]]
    return sorted({f"{redact(r['model'])} (prompts {r['prompts']})" for r in results if "model" in r})


@dataclass(slots=True)
class Examples:
    """Samples of each number of steps, of all families and forms there are, taken from rows on their way."""

    _kept: dict[int, dict[str, dict[str, list[Row]]]] = field(default_factory=dict)  # by steps, family and form

    def of(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows, as they are."""
        for row in rows:
            forms = self._kept.setdefault(row["steps"], {}).setdefault(row["family"], {})
            kept = forms.setdefault(row["form"], [])
            if len(kept) < _EXAMPLES:
                kept.append(row)
            yield row

    def chosen(self) -> list[Row]:
        """Ten of each number of steps, one family after the other, each of which starts with another form."""
        return [row for steps in sorted(self._kept) for row in _in_turn(self._by_family(steps))[:_EXAMPLES]]

    def _by_family(self, steps: int) -> list[list[Row]]:
        families = sorted(self._kept[steps].items())
        listed = [
            (number % len(forms), [forms[form] for form in sorted(forms)]) for number, (_, forms) in enumerate(families)
        ]
        return [_in_turn([*forms[first:], *forms[:first]]) for first, forms in listed]


def _in_turn(lists: Iterable[Sequence[Row]]) -> list[Row]:
    """One of each list after the other, until all are empty."""
    return [row for turn in zip_longest(*lists) for row in turn if row is not None]


def card(
    dataset: QraDataset, counts: Mapping[Split, int], share: float, models: Sequence[str], examples: Sequence[Row]
) -> str:
    """The card as Markdown, with the front matter that the Hugging Face Hub and `datasets` read."""
    files = [f"  - split: {split}\n    path: {split}.parquet" for split, count in counts.items() if count]
    return _CARD.format(
        name=json.dumps(dataset.name or dataset.id),  # any text as a string of YAML
        files="\n".join(files) or "  []",
        id=dataset.id,
        runs=len(dataset.runs),
        models="; ".join(models) or "unknown",
        seed=dataset.seed,
        counts=", ".join(f"{count:,} in {split}" for split, count in counts.items()),
        share=share,
        table="\n".join(
            f"| {what} | {key} | {count:,} |"
            for what, told in (
                ("steps", dataset.by_steps),
                ("steps, fewer than wanted", dataset.missing),
                ("family", dataset.by_family),
                *(
                    (f"{family}, fewer than its share, by steps", told)
                    for family, told in dataset.missing_by_family.items()
                ),
                ("form", dataset.by_form),
                ("form, fewer than its share", dataset.missing_by_form),
                ("walk not used", dataset.rejects),
                ("not rewritten", dataset.polish.get("kept", {})),
                ("answered without the video", dataset.polish.get("blind", {})),
            )
            for key, count in told.items()
        ),
        guessing="\n".join(
            f"| {family} | {form} | {told['tried']:,.0f} | {told['guessed']:.3f} | {told['chance']:.3f} |"
            for family, forms in dataset.guessing.items()
            for form, told in forms.items()
        ),
        examples="\n".join(_example(row) for row in examples),
    )


def _example(row: Row) -> str:
    """A sample in a block of code: whatever a model said, it stays text."""
    steps = [f"{number}. {line}" for number, line in enumerate(row["rationale"], 1)]
    lines = [f"Q ({row['steps']}): {row['question']}", *steps, f"A: {row['answer']}"]
    return "\n".join(f"    {' '.join(line.split())}" for line in lines) + "\n"


_CARD = """---
pretty_name: {name}
license: unknown
task_categories:
- video-text-to-text
configs:
- config_name: default
  data_files:
{files}
---
# {id}

Questions about videos with a step-by-step rationale and the answer, composed from paths in Spatio-Temporal Scene Graphs
after *STEP: Enhancing Video-LLMs' Compositional Reasoning by Spatio-Temporal Graph-guided Self-Training*. Graphs and
questions were made by a Video-LLM and a program, without human labels. The licence is for whoever publishes it to state:
that of the videos and that of the model both bear on it.

* Samples: {counts}. No video is in both splits (share for validation: {share:.2f}).
* Made from the graphs of {runs:,} runs with seed {seed}; Video-LLM: {models}.
* `video` is a relative path and `keyframes` are ids of frames; the media themselves are not in here. `clips` are the
  seconds at which the video's clips begin: questions and rationales name clips by number, so tell them to a model.
* `rationale` has a line for each step, the last of which gives `answer`. `path` (the edges walked) and `program` (what was run
  on the graph to check that there is exactly one answer) are JSON text.

| what | which | count |
| --- | --- | --- |
{table}

What can be guessed from a question's words alone (the most frequent answer to its phrasing, learned on half of the videos and
tried on the other half), beside chance:

| family | form | tried | guessed | chance |
| --- | --- | --- | --- | --- |
{guessing}

## Examples

{examples}"""
