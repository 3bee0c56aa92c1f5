"""AGQA 2.0: balanced test questions about Charades videos, with the official tables (README of the AGQA data).

Known faults of the data: in an older release `ans_type` is wrong, so open and binary are told by `structural` (a query
is open), and disagreements are counted in the notes; `steps` counts a phrase of time as two and is no number of hops.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from trainer.benchmarks.files import BenchmarkError, entries, field, videos
from trainer.benchmarks.items import PROMPT, Item, Media, Outcome, Scoring
from trainer.benchmarks.judging import judged
from trainer.benchmarks.suite import Loaded, Results, Suite
from trainer.evaluation.benchmark import stratum
from trainer.evaluation.normal import normalised

WHERE = (
    "Get AGQA 2.0 (balanced) from cs.stanford.edu/people/ranjaykrishna/agqa and the videos Charades_v1_480 from"
    " prior.allenai.org/projects/charades; put test_balanced.txt or .json and the videos into one folder."
)
_NAMES = ("test_balanced.json", "test_balanced.txt", "AGQA_test_balanced.json", "AGQA_test_balanced.txt")
_INDIRECT = {"i_obj": "object", "i_rel": "relation", "i_act": "action", "i_temp": "time"}
_SEMANTIC = frozenset({"object", "relation", "action"})
_STRUCTURAL = frozenset({"query", "compare", "choose", "logic", "verify"})


def read(folder: Path) -> Loaded:
    """The questions of test_balanced.

    Raises:
        BenchmarkError: no such file, damaged, or another split or version.
    """
    path = next((folder / name for name in _NAMES if (folder / name).is_file()), folder / _NAMES[0])
    there, items, odd = videos(folder), [], 0
    for id, record in entries(path, WHERE):
        item = _item(id, record, path, there)
        odd += record.get("ans_type") != ("open" if record["structural"] == "query" else "binary")
        items.append(item)
    notes = (f"ans_type is wrong for {odd:,} questions: an older release of the file.",) if odd else ()
    return Loaded(tuple(items), (path,), notes)


def _item(id: str, record: Any, path: Path, there: dict[str, Path]) -> Item:
    if not isinstance(record, dict):
        raise BenchmarkError(f"Question {id} of {path} is no record.", WHERE)

    def of(name: str) -> Any:
        return field(record, name, path, WHERE)

    question, video, steps = str(of("question")), str(of("video_id")), of("steps")
    if (
        of("semantic") not in _SEMANTIC
        or of("structural") not in _STRUCTURAL
        or not isinstance(steps, int)
        or steps < 1
    ):
        raise BenchmarkError(f"Question {id} of {path} has an unknown type or number of steps.", WHERE)
    groups = {
        "steps": (stratum(steps),),
        "reasoning": tuple(of("global")),
        "semantic": (str(record["semantic"]),),
        "structural": (str(record["structural"]),),
        "answers": ("open" if record["structural"] == "query" else "binary",),
        "indirect": tuple(told for name, told in _INDIRECT.items() if of(name)) + (("any",) if of("indirect") else ()),
        "novel": ("novel",) if of("novel_comp") else (),
    }
    return Item(
        id,
        video,
        question,
        str(of("answer")),
        PROMPT.format(question=question),
        steps=steps,
        groups=groups,
        direct=str(of("direct_equiv") or ""),
        media=Media(there[video]) if video in there else None,
    )


def exact(official: bool = False) -> Scoring:
    """The answer must be said word for word, as classifiers over AGQA's answers are scored.

    The official comparison is of raw strings; the strict one forgives case, articles and punctuation, and nothing else.
    """

    def rule(item: Item, reply: str) -> Outcome | None:
        said, wanted = (reply, item.answer) if official else (normalised(reply), normalised(item.answer))
        return Outcome(said == wanted != "", read=bool(said.strip()))

    return Scoring(rule)


def references(results: Results) -> dict[str, float]:
    """Recall and precision of indirect references, by what is referred to.

    Recall is the accuracy on such questions; precision is the accuracy on those of them whose direct form was
    answered right. Questions whose direct form was not asked are in no precision.
    """
    figures = dict[str, float]()
    for kind in (*_INDIRECT.values(), "any"):
        found = [(item, out.right) for item, out in results.values() if kind in item.groups.get("indirect", ())]
        known = [right for item, right in found if _direct_right(item, results)]
        figures |= dict(_share(f"indirect {kind}: recall", (right for _, right in found)))
        figures |= dict(_share(f"indirect {kind}: precision", known))
    return figures


def _direct_right(item: Item, results: Results) -> bool:
    """Whether the direct form was answered right; a question is not its own direct form."""
    return item.direct != item.id and item.direct in results and results[item.direct][1].right


def _share(name: str, rights: Iterable[bool]) -> Iterator[tuple[str, float]]:
    told = list(rights)
    if told:
        yield name, sum(told) / len(told)


SUITES = (
    Suite("agqa", WHERE, 669_207, read, judged, references),
    Suite("agqa-exact", WHERE, 669_207, read, exact, references),
)
