"""From walks to samples (STEP Sec. 3.2): each is told, and its program is run on the graph before it counts.

A sample whose program does not give exactly its answer is no sample, and the reason is told instead.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from neo4j import Driver

from graphdb.programs import run_programs
from model.rationale.compose import Draft, compose
from model.rationale.counting import Tally, counted, tally
from model.rationale.forms import Chooser, choice, yes_no
from model.rationale.program import Outcome, Program, Reason
from model.rationale.qra import Family, Form, Qra
from model.rationale.scopes import Context, Unclear
from model.rationale.walk import Setting, Walk

T = TypeVar("T")
Verdict = Qra | Reason


@dataclass(frozen=True, slots=True)
class Trial:
    """One walk, how its first clip is to be named, and what it was made for: number of steps, family and form."""

    walk: Walk
    context: Context
    cell: tuple[int, Family, Form]
    phrasing: int = 0

    @property
    def form(self) -> Form:
        return self.cell[2]


def judge(
    driver: Driver, trials: Sequence[Trial], settings: Mapping[str, Setting], chooser: Chooser, options: int = 4
) -> list[Verdict]:
    """Each walk's sample, or why there is none; a choice has three or `options` options."""
    counts = {i: t for i, t in enumerate(trials) if t.form == "count"}
    others = {i: t for i, t in enumerate(trials) if t.form != "count"}
    tallies, verdicts = _answered(driver, counts, settings, _tally, lambda t: (t.program, t.teller.describes))
    drafts, rejected = _answered(driver, others, settings, _compose, lambda d: (d.qra.program, d.describes))
    verdicts |= rejected
    made: dict[int, Qra] = {}
    for i in sorted(tallies | drafts):
        try:
            if i in tallies:
                asked, outcome = tallies[i]
                made[i] = counted(asked, outcome.answer, outcome.listed)
            else:
                draft, outcome = drafts[i]
                if outcome.answer != draft.qra.answer:
                    raise Unclear("no_answer")
                made[i] = _in_form(draft, trials[i], settings[trials[i].walk.run_id], chooser, options)
        except Unclear as unclear:
            verdicts[i] = unclear.reason
    closed = {i: qra for i, qra in made.items() if qra.form in ("yes_no", "choice")}
    outcomes = run_programs(driver, [(q.run_id, q.program) for q in closed.values()])
    for (i, qra), outcome in zip(closed.items(), outcomes, strict=True):
        if outcome.answer != qra.answer:
            verdicts[i] = outcome.reason or "no_answer"
    verdicts = {**made, **verdicts}
    return [verdicts[i] for i in range(len(trials))]


def _tally(trial: Trial, setting: Setting, narrow: frozenset[str]) -> Tally:
    return tally(trial.walk, setting, context=trial.context, narrow=narrow, phrasing=trial.phrasing)


def _compose(trial: Trial, setting: Setting, narrow: frozenset[str]) -> Draft:
    closed = trial.form == "yes_no"
    return compose(trial.walk, setting, context=trial.context, narrow=narrow, phrasing=trial.phrasing, closed=closed)


def _in_form(draft: Draft, trial: Trial, setting: Setting, chooser: Chooser, options: int) -> Qra:
    if trial.form == "yes_no":
        return yes_no(draft, *chooser.claim(draft, setting))
    if trial.form == "choice":
        return choice(draft, chooser.options(draft, setting, chooser.rng.choice((3, options))))
    return draft.qra


def _answered(
    driver: Driver,
    trials: Mapping[int, Trial],
    settings: Mapping[str, Setting],
    tell: Callable[[Trial, Setting, frozenset[str]], T],
    parts: Callable[[T], tuple[Program, Sequence[str]]],
) -> tuple[dict[int, tuple[T, Outcome]], dict[int, Verdict]]:
    """What `tell` makes of the walks and what the programs say, and why others have no answer.

    Mentions start with the word "object"; one that turns out to be ambiguous is told again with its category.
    """
    good: dict[int, tuple[T, Outcome]] = {}
    verdicts: dict[int, Verdict] = {}
    narrow: dict[int, frozenset[str]] = dict.fromkeys(trials, frozenset())
    while narrow:
        told: dict[int, T] = {}
        for i, narrowed in narrow.items():
            walk = trials[i].walk
            try:
                told[i] = tell(trials[i], settings[walk.run_id], narrowed)
            except Unclear as unclear:
                verdicts[i] = unclear.reason
        outcomes = run_programs(driver, [(trials[i].walk.run_id, parts(t)[0]) for i, t in told.items()])
        again: dict[int, frozenset[str]] = {}
        for (i, item), outcome in zip(told.items(), outcomes, strict=True):
            entity = parts(item)[1][outcome.failed] if outcome.reason == "ambiguous" else ""
            if entity and entity not in narrow[i]:
                again[i] = narrow[i] | {entity}
            elif outcome.reason is not None:
                verdicts[i] = outcome.reason
            else:
                good[i] = item, outcome
        narrow = again
    return good, verdicts
