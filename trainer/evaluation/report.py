"""Scores by number of steps, and whether models differ, from kept rows alone (STEP Table 2)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

from trainer.evaluation.benchmark import STRATA, stratum
from trainer.evaluation.floor import Floor
from trainer.evaluation.run import Row, Verdict, verdict
from trainer.evaluation.statistics import Interval, bootstrap, holm, mcnemar, wilson

ALL = "all"
_SEED = 0


@dataclass(frozen=True, slots=True)
class Score:
    """The accuracy on some questions with its intervals, beside what is right without seeing anything."""

    count: int
    correct: int
    wilson: Interval  # as if questions were independent
    interval: Interval  # videos drawn anew
    blind: float  # the same model without frames
    guessed: float  # the majority answer of a training split to the same phrasing
    asked_after: int  # rationales that ended in no answer
    floor: Floor | None = None  # where each question's guess is known

    @property
    def accuracy(self) -> float:
        return self.correct / self.count

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {
            "accuracy": self.accuracy,
            "wilson": list(self.wilson),
            "interval": list(self.interval),
            "floor": self.floor.to_dict() if self.floor else None,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """What a model got right, by number of steps; `name` is how tables call it."""

    name: str
    verdicts: tuple[Verdict, ...]
    scores: dict[str, Score]

    @classmethod
    def of(cls, name: str, rows: Iterable[Row]) -> "Report":
        """The report on kept rows."""
        return cls.of_verdicts(name, tuple(verdict(row) for row in rows))

    @classmethod
    def of_verdicts(cls, name: str, verdicts: Sequence[Verdict]) -> "Report":
        """The report on verdicts."""
        return cls(name, tuple(verdicts), {part: _score(found) for part, found in _parts(verdicts).items()})


@dataclass(frozen=True, slots=True)
class Comparison:
    """One model against another on the same questions: `difference` is the second's accuracy less the first's."""

    first: str
    second: str
    steps: str
    count: int
    difference: float
    interval: Interval  # videos drawn anew
    only_first: int
    only_second: int
    p: float  # exact McNemar
    p_holm: float = 1.0  # adjusted for all comparisons that are told together

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"interval": list(self.interval)}


class OtherQuestions(ValueError):  # noqa: N818 # a fact about two reports
    """Two reports are about different questions, so they can't be compared pair by pair."""


def compare(reports: Sequence[Report]) -> list[Comparison]:
    """Each pair of models, by number of steps, with p-values adjusted for their being several.

    Raises:
        OtherQuestions: two of them answered different questions.
    """
    found = [c for first, second in combinations(reports, 2) for c in _pair(first, second)]
    adjusted = holm([c.p for c in found])
    return [replace(c, p_holm=p) for c, p in zip(found, adjusted, strict=True)]


def told(reports: Sequence[Report]) -> dict[str, Any]:
    """Scores and comparisons as JSON values."""
    scores = [{"name": r.name, "scores": {part: s.to_dict() for part, s in r.scores.items()}} for r in reports]
    return {"models": scores, "comparisons": [c.to_dict() for c in compare(reports)]}


def _parts(verdicts: Sequence[Verdict]) -> dict[str, list[Verdict]]:
    """The verdicts of each stratum that has any, and all."""
    parts = {name: [v for v in verdicts if stratum(v.steps) == name] for name in STRATA}
    return {name: found for name, found in (parts | {ALL: list(verdicts)}).items() if found}


def _score(verdicts: Sequence[Verdict]) -> Score:
    def share(of: Callable[[Verdict], bool]) -> float:
        return sum(map(of, verdicts)) / len(verdicts)

    right, videos = [v.correct for v in verdicts], [v.video_id for v in verdicts]
    guesses = [v.guess for v in verdicts if v.guess]
    return Score(
        len(verdicts),
        sum(right),
        wilson(sum(right), len(right)),
        bootstrap(right, videos, seed=_SEED),
        share(lambda v: v.blind),
        share(lambda v: v.guessed),
        sum(v.asked_after for v in verdicts),
        Floor.of(right, guesses, videos, seed=_SEED) if len(guesses) == len(right) else None,
    )


def _pair(first: Report, second: Report) -> list[Comparison]:
    ours, theirs = ({v.id: v for v in r.verdicts} for r in (first, second))
    if ours.keys() != theirs.keys():
        raise OtherQuestions(f"{first.name} and {second.name} answered different questions.")
    found = []
    for part, verdicts in _parts(first.verdicts).items():
        gains = [theirs[v.id].correct - v.correct for v in verdicts]
        only_first, only_second = gains.count(-1), gains.count(1)
        found.append(
            Comparison(
                first.name,
                second.name,
                part,
                len(gains),
                sum(gains) / len(gains),
                bootstrap(gains, [v.video_id for v in verdicts], seed=_SEED),
                only_first,
                only_second,
                mcnemar(only_first, only_second),
            )
        )
    return found
