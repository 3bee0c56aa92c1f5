"""QRA data from stored graphs (STEP Sec. 3.2): walks are sampled, told, checked by running their programs, and counted.

The samples depend on the seed, on the runs in the order given and on what their graphs hold, and on nothing else: the
same request gives the same bytes.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from neo4j import Driver

from graphdb.paths import WalkOrder, load_settings, walk_orders
from graphdb.programs import run_programs
from model.rationale.compose import Draft, compose
from model.rationale.program import Reason
from model.rationale.qra import Qra
from model.rationale.telling import Context, Unclear
from model.rationale.walk import EDGE_KINDS, Setting, Walk

_RUNS_AT_ONCE = 32
_ROUNDS = 5
_SWEEPS = 6
_WALKS_FOR_ONE = 3  # in the first round; each further round doubles it
_MOST_WALKS = 4000  # for one run and number of steps in one round
_FAIR_TRIAL = 24  # walks after which a run that gave next to nothing is let go
_POOR = 50  # next to nothing: less than one in so many of what was wanted
_Key = tuple[str, int]  # run and number of steps


@dataclass(slots=True)
class QraReport:
    """What became of a request: samples wanted and made by steps, and walks rejected by reason."""

    wanted: dict[int, int] = field(default_factory=dict)
    made: Counter[int] = field(default_factory=Counter)
    families: Counter[str] = field(default_factory=Counter)
    temporal: Counter[int] = field(default_factory=Counter)
    rejected: Counter[Reason] = field(default_factory=Counter)
    walks: int = 0

    def to_dict(self) -> dict[str, Any]:
        """JSON values, keys sorted."""
        return {
            "count": sum(self.made.values()),
            "wanted": {str(n): self.wanted[n] for n in sorted(self.wanted)},
            "by_steps": {str(n): self.made[n] for n in sorted(self.made)},
            "by_family": dict(sorted(self.families.items())),
            "by_n_temporal": {str(n): self.temporal[n] for n in sorted(self.temporal)},
            "rejected": dict(sorted(self.rejected.items())),
            "walks": self.walks,
        }


@dataclass(frozen=True, slots=True)
class _Trial:
    """One walk with the way its first clip is to be named, made for samples of `steps` steps."""

    walk: Walk
    context: Context
    steps: int


def make_qra(
    driver: Driver,
    run_ids: Sequence[str],
    *,
    steps: Mapping[int, int],
    seed: int,
    temporal: float = 0.4,
    report: QraReport | None = None,
) -> Iterator[Qra]:
    """Samples from the graphs of some runs: for each number of steps as many as wanted, spread evenly over the runs.

    `temporal` is the share of samples of two or more steps whose clip is told by its event or a time range. The counts
    go to `report` as the samples come; where the graphs hold too little, fewer come and the report tells which.
    """
    if any(n < 1 or count < 0 for n, count in steps.items()):
        raise ValueError("Ask for steps of 1 or more and counts of 0 or more, such as {1: 100, 2: 100}.")
    report = report if report is not None else QraReport()
    report.wanted = dict(steps)
    made = _Made(report)
    run_ids = list(dict.fromkeys(run_ids))
    for sweep in range(_SWEEPS):
        for at in range(0, len(run_ids), _RUNS_AT_ONCE):
            missing = made.share(run_ids, at)
            if missing:
                yield from _from_chunk(driver, missing, Random(f"{seed}/{sweep}/{at}"), temporal, made)


@dataclass(slots=True)
class _Made:
    """What has been made so far, and which runs have no more to give."""

    report: QraReport
    questions: set[tuple[str, str]] = field(default_factory=set)
    dry: set[_Key] = field(default_factory=set)

    def share(self, run_ids: Sequence[str], at: int) -> dict[_Key, int]:
        """What the next few runs from `at` on should give, if all runs from there on give the same."""
        shares: dict[_Key, int] = {}
        for n, count in sorted(self.report.wanted.items()):
            left = count - self.report.made[n]
            able = [run_id for run_id in run_ids[at:] if (run_id, n) not in self.dry]
            for i, run_id in enumerate(able):
                if run_id in run_ids[at : at + _RUNS_AT_ONCE]:
                    shares[run_id, n] = left // len(able) + (i < left % len(able))
        return {key: count for key, count in shares.items() if count > 0}

    def take(self, qra: Qra) -> Qra | Reason:
        """Counts a sample, unless its run has been asked the same."""
        if (qra.run_id, qra.question) in self.questions:
            return "duplicate"
        self.questions.add((qra.run_id, qra.question))
        self.report.made[qra.steps] += 1
        self.report.families[qra.family] += 1
        self.report.temporal[qra.n_temporal] += 1
        return qra


def _from_chunk(driver: Driver, missing: dict[_Key, int], rng: Random, temporal: float, made: _Made) -> Iterator[Qra]:
    """At most as many samples as are missing for each run and number of steps, in rounds of walks."""
    settings = load_settings(driver, sorted({run_id for run_id, _ in missing}))
    made.dry |= {key for key in missing if key[0] not in settings}
    for turn in range(_ROUNDS):
        missing = {key: count for key, count in missing.items() if count > 0 and key not in made.dry}
        if not missing:
            return
        before = dict(missing)
        tries = {key: min(_WALKS_FOR_ONE * 2**turn * count, _MOST_WALKS) for key, count in missing.items()}
        trials = _walk(driver, tries, settings, rng, temporal)
        made.report.walks += len(trials)
        for trial, judged in zip(trials, _judge(driver, trials, settings), strict=True):
            key = (trial.walk.run_id, trial.steps)
            if isinstance(judged, Qra) and not missing[key]:
                continue
            verdict = made.take(judged) if isinstance(judged, Qra) else judged
            if isinstance(verdict, Qra):
                missing[key] -= 1
                yield verdict
            else:
                made.report.rejected[verdict] += 1
        poor = {key for key in before if (before[key] - missing[key]) * _POOR <= before[key]}
        made.dry |= {key for key in poor if tries[key] >= _FAIR_TRIAL}


def _walk(
    driver: Driver,
    tries: Mapping[tuple[str, int], int],
    settings: Mapping[str, Setting],
    rng: Random,
    temporal: float,
) -> list[_Trial]:
    orders: list[WalkOrder] = []
    plans: list[tuple[Context, int]] = []
    for (run_id, n), count in tries.items():
        for i in range(count):
            searched = n > 1 and len(settings[run_id].clips) > 1 and rng.random() < temporal
            context: Context = rng.choice(("event", "range")) if searched else "ordinal"
            orders.append(WalkOrder(run_id, n - searched, (EDGE_KINDS[i % len(EDGE_KINDS)],)))
            plans.append((context, n))
    walks = walk_orders(driver, orders, rng)
    return [_Trial(walk, *plan) for walk, plan in zip(walks, plans, strict=True) if walk is not None]


def _judge(driver: Driver, trials: Sequence[_Trial], settings: Mapping[str, Setting]) -> list[Qra | Reason]:
    """Each walk's sample, or why there is none.

    Mentions start with the word "object"; one that turns out to be ambiguous is told again with its category.
    """
    verdicts: dict[int, Qra | Reason] = {}
    narrow: dict[int, frozenset[str]] = {i: frozenset() for i in range(len(trials))}
    while narrow:
        drafts: dict[int, Draft] = {}
        for i, narrowed in narrow.items():
            trial = trials[i]
            try:
                setting = settings[trial.walk.run_id]
                drafts[i] = compose(trial.walk, setting, context=trial.context, narrow=narrowed)
            except Unclear as unclear:
                verdicts[i] = unclear.reason
        outcomes = run_programs(driver, [(d.qra.run_id, d.qra.program) for d in drafts.values()])
        retry: dict[int, frozenset[str]] = {}
        for (i, draft), outcome in zip(drafts.items(), outcomes, strict=True):
            entity = draft.describes[outcome.failed] if outcome.reason == "ambiguous" else ""
            if entity and entity not in narrow[i]:
                retry[i] = narrow[i] | {entity}
            elif outcome.reason is not None:
                verdicts[i] = outcome.reason
            else:
                verdicts[i] = draft.qra if outcome.answer == draft.qra.answer else "no_answer"
        narrow = retry
    return [verdicts[i] for i in range(len(trials))]
