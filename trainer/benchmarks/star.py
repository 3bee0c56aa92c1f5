"""STAR: situated questions about stretches of Charades videos, open-ended or as a choice of four (STEP Sec. 4.1).

The four questions of the authors' home page (`selected_teaser_chain_dict.json`) are read too: there, questions stand by their
ids, and the right choice is marked.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainer.benchmarks.choices import LETTERS, choice_prompt, chosen
from trainer.benchmarks.files import BenchmarkError, entries, field, records, unique, videos
from trainer.benchmarks.items import PROMPT, Item, Media
from trainer.benchmarks.judging import judged
from trainer.benchmarks.suite import Loaded, Results, Suite
from trainer.evaluation.benchmark import stratum

WHERE = (
    "Get STAR_val.json from bobbywu.com/STAR and the videos Charades_v1_480 from prior.allenai.org/projects/charades;"
    " put them into one folder. STAR_test.json has no answers: its scores come from the STAR challenge alone."
)
TYPES = ("Interaction", "Sequence", "Prediction", "Feasibility")
_TEASER = "selected_teaser_chain_dict.json"
SHARES = (24.57, 56.04, 19.39)  # per cent of questions of 1, 2 and 3 or more steps (STEP Table 2)
# What each template can count as: one step for each action, relation or order in time that it names; ours is the first.
_STEPS: Mapping[str, tuple[int, ...]] = {
    "Interaction_T1": (1,),
    "Interaction_T2": (1,),
    "Interaction_T3": (2, 1),
    "Interaction_T4": (3, 2),
    "Sequence_T1": (2, 3),
    "Sequence_T2": (2, 3),
    "Sequence_T3": (2, 3),
    "Sequence_T4": (2, 3),
    "Sequence_T5": (3, 2),
    "Sequence_T6": (3, 2),
    "Prediction_T1": (1, 2),
    "Prediction_T2": (2, 1),
    "Prediction_T3": (2, 1),
    "Prediction_T4": (3, 2),
    "Feasibility_T1": (1, 2),
    "Feasibility_T2": (1, 2),
    "Feasibility_T3": (2, 3),
    "Feasibility_T4": (2, 3),
    "Feasibility_T5": (3, 2),
    "Feasibility_T6": (3, 2),
}
STEPS = {template: choices[0] for template, choices in _STEPS.items()}


def read(folder: Path) -> Loaded:
    """The questions of STAR_val.json, open-ended: the right choice is the answer, and the choices are not shown.

    Raises:
        BenchmarkError: no such file, damaged, the test split, or no single right choice.
    """
    path, teaser = folder / "STAR_val.json", folder / _TEASER
    if teaser.is_file() and not path.is_file():
        path, found = teaser, [record for _, record in entries(teaser, WHERE)]
    else:
        found = records(path, WHERE)
    there = videos(folder)
    items = [_item(record, path, there) for record in found]
    unique((item.id for item in items), path, WHERE)
    counts = Counter(item.groups["template"][0] for item in items)
    steps = calibrated(counts)
    told = "/".join(f"{share:.2f}" for share in shares(counts, steps))
    note = f"Shares of 1, 2 and 3 or more steps: {told} per cent; the paper's: {'/'.join(map(str, SHARES))}."
    return Loaded(tuple(_stepped(item, steps) for item in items), (path,), (note,))


def read_choices(folder: Path) -> Loaded:
    """The questions with their four choices under letters."""
    loaded = read(folder)
    asked = tuple(replace(item, prompt=choice_prompt(item.question, item.options)) for item in loaded.items)
    return Loaded(asked, loaded.files, loaded.notes)


def _item(record: Mapping[str, Any], path: Path, there: Mapping[str, Path]) -> Item:
    id, question, video = (str(field(record, name, path, WHERE)) for name in ("question_id", "question", "video_id"))
    template = "_".join(id.split("_")[:2])
    if template not in _STEPS:
        raise BenchmarkError(f"{path} has the question {id!r} of an unknown template.", WHERE)
    choices = field(record, "choices", path, WHERE)
    marked = [choice["choice"] for choice in choices if choice.get("answer") == "Correct"]
    answer = str(marked[0] if len(marked) == 1 else field(record, "answer", path, WHERE))
    options = tuple(str(choice["choice"]) for choice in choices)
    if options.count(answer) != 1 or len(options) > len(LETTERS):
        raise BenchmarkError(f"The answer of {id} in {path} is not one of its choices, once.", f"Get it again: {WHERE}")
    start, end = (float(field(record, name, path, WHERE)) for name in ("start", "end"))
    if not 0 <= start < end:
        raise BenchmarkError(f"{id} in {path} is asked about {start} to {end} s.", f"Get it again: {WHERE}")
    groups = {"type": (template.partition("_")[0],), "template": (template,)}
    media = Media(there[video], start, end) if video in there else None
    return Item(id, video, question, answer, PROMPT.format(question=question), options, None, groups, media=media)


def _stepped(item: Item, table: Mapping[str, int]) -> Item:
    steps = table[item.groups["template"][0]]
    return replace(item, steps=steps, groups={**item.groups, "steps": (stratum(steps),)})


def shares(counts: Mapping[str, int], table: Mapping[str, int]) -> tuple[float, ...]:
    """Per cent of the questions of 1, 2 and 3 or more steps."""
    total = sum(counts.values()) or 1
    return tuple(
        100 * sum(n for template, n in counts.items() if min(table[template], 3) == steps) / total
        for steps in (1, 2, 3)
    )


def calibrated(counts: Mapping[str, int]) -> dict[str, int]:
    """The steps of each template whose shares are nearest to the paper's, ours where several are as near.

    The paper's table of templates is not published. Only what can be read out of a template is tried.
    """
    if sum(counts.values()) < 1000:  # too few for shares to say anything
        return dict(STEPS)
    found: dict[tuple[int, int], tuple[int, ...]] = {(0, 0): ()}  # by how many questions have 1 and 2 steps
    for template, choices in _STEPS.items():
        count, longer = counts.get(template, 0), dict[tuple[int, int], tuple[int, ...]]()
        for (ones, twos), table in found.items():
            for steps in choices if count else choices[:1]:
                longer.setdefault((ones + count * (steps == 1), twos + count * (steps == 2)), (*table, steps))
        found = longer
    total = sum(counts.values())
    nearest = min(found, key=lambda parts: round(_distance(parts[0], parts[1], total), 2))
    return dict(zip(_STEPS, found[nearest], strict=True))


def _distance(ones: int, twos: int, total: int) -> float:
    """How far shares are from the paper's, in per cent."""
    found = (100 * count / total for count in (ones, twos, total - ones - twos))
    return sum(abs(a - b) for a, b in zip(found, SHARES, strict=True))


def mean(results: Results) -> dict[str, float]:
    """The challenge's own figure: the mean of the four types, each weighing the same."""
    rights = {kind: [out.right for item, out in results.values() if kind in item.groups["type"]] for kind in TYPES}
    if not all(rights.values()):
        return {}
    return {"mean of the four types": sum(sum(r) / len(r) for r in rights.values()) / len(TYPES)}


SUITES = (
    Suite("star", WHERE, 7098, read, judged, mean),
    Suite("star-choice", WHERE, 7098, read_choices, chosen, mean),
)
