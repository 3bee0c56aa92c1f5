"""The table of an evaluation, from its record alone: no model, no judge, no videos."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from trainer.benchmarks.files import BenchmarkError
from trainer.benchmarks.items import UNREAD, Item, Outcome, Scoring
from trainer.benchmarks.record import Record
from trainer.benchmarks.run import unmarked
from trainer.benchmarks.suite import Results, Suite

ALL = "all"


@dataclass(frozen=True, slots=True)
class Score:
    """Accuracy over `count` questions. What could not be read or shown is in it, as wrong, and told apart beside it."""

    count: int
    accuracy: float
    unread: float  # share of replies that could not be read
    mark: float | None  # a judge's mean mark

    def to_dict(self) -> dict[str, Any]:
        return {"count": self.count, "accuracy": self.accuracy, "unread": self.unread, "mark": self.mark}


@dataclass(frozen=True, slots=True)
class Table:
    """Scores by group and value, the benchmark's own figures, and what was not shown or judged."""

    benchmark: str
    scores: Mapping[tuple[str, str], Score]
    figures: Mapping[str, float]
    not_shown: Mapping[str, int]  # questions by what kept their video from being shown
    judge: Mapping[str, Any] | None
    head: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        scores = [{"group": g, "value": v, **score.to_dict()} for (g, v), score in self.scores.items()]
        told = {"benchmark": self.benchmark, "scores": scores, "figures": dict(self.figures)}
        return told | {"not_shown": dict(self.not_shown), "judge": self.judge, "head": dict(self.head)}


def table(record: Record, suite: Suite, *, official: bool = False) -> Table:
    """The scores of a finished record; `official` reads with the official rule and its faults.

    Raises:
        BenchmarkError: the record is of another benchmark or unfinished: some questions have no reply or no verdict.
    """
    if record.head.get("benchmark") != suite.name:
        raise BenchmarkError(f"{record.path} is a record of {record.head.get('benchmark')!r}.", "Name its benchmark.")
    absent = int(record.head.get("questions", 0)) - len(record.items)
    if absent:
        raise BenchmarkError(f"{record.path} lacks {absent:,} of its questions.", "Run it again to go on.")
    scoring = suite.scoring(official)
    if waiting := unmarked(record, scoring):
        raise BenchmarkError(
            f"{len(waiting):,} replies of {record.path} wait for a judge.", "Run it again with one to go on."
        )
    results = {id: (item, outcome(record, id, scoring)) for id, item in record.items.items()}
    kinds = Counter(fault.partition(":")[0] for fault in record.faults.values())
    return Table(suite.name, scores(results), suite.more(results), kinds, record.judge, record.head)


def outcome(record: Record, id: str, scoring: Scoring) -> Outcome:
    """What one kept reply is worth, read anew."""
    item, reply = record.items[id], record.replies[id]
    if reply is None:
        return UNREAD
    by_rule = scoring.rule(item, reply)
    if by_rule is not None:
        return by_rule
    said = record.verdicts[id]
    return (scoring.verdict(item, said[-1]) if said else None) or scoring.unjudged


def scores(results: Results) -> dict[tuple[str, str], Score]:
    """A score for all, and for each value of each group."""
    found = defaultdict[tuple[str, str], list[Outcome]](list)
    for item, result in results.values():
        for key in _keys(item):
            found[key].append(result)
    ordered = sorted(found, key=lambda key: (key[0] != ALL, key))
    return {key: _score(found[key]) for key in ordered}


def _keys(item: Item) -> Iterable[tuple[str, str]]:
    yield ALL, ALL
    for group, values in item.groups.items():
        yield from ((group, value) for value in dict.fromkeys(values))


def _score(outcomes: list[Outcome]) -> Score:
    counted = [o for o in outcomes if o.counts]
    points = sum(o.points if o.points is not None else o.right for o in counted)
    marks = [o.score for o in outcomes if o.score is not None]
    return Score(
        len(outcomes),
        points / len(counted) if counted else 0.0,
        sum(not o.read for o in outcomes) / len(outcomes),
        sum(marks) / len(marks) if marks else None,
    )
