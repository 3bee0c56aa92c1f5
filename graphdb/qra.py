"""QRA data from stored graphs (STEP Sec. 3.2): walks are sampled, told, checked by running their programs, and counted.

The samples depend on the seed, on the runs in the order given and on what their graphs hold, and on nothing else: the
same request gives the same bytes. A data set is made of cells, one for each number of steps, family and form; a cell that
no graph can fill gives its share to the others of as many steps.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from neo4j import Driver

from graphdb.judging import Trial, judge
from graphdb.paths import EDGE_SLOTS, WalkOrder, load_pools, load_settings, walk_orders
from model.rationale.balance import Balance, Blind
from model.rationale.forms import Chooser
from model.rationale.mix import Cell, Mix
from model.rationale.program import Reason
from model.rationale.qra import Family, Form, Qra
from model.rationale.scopes import CONTEXTS, Context
from model.rationale.walk import EdgeKind, HopKind, Setting, Slot

_RUNS_AT_ONCE = 32
_ROUNDS = 5
_SWEEPS = 24
_GIVEN_UP = 40  # runs without more of a cell for each sample of it, after which it is not asked for any more
_MANY = 200  # runs
_WALKS_FOR_ONE = 3  # in the first round; each further round doubles it
_LEAST_WALKS = 200  # of a round, as a few take no less time
_MOST_WALKS = 4000  # for one run and cell in one round
_FAIR_TRIAL = 12  # walks after which a run that gave next to nothing is let go
_POOR = 50  # next to nothing: less than one in so many of what was wanted
_KIND: dict[Family, EdgeKind] = {
    "attribute": "ATTRIBUTE",
    "relation": "RELATION",
    "motion": "MOTION",
    "reference": "REFERENCE",
}
_COUNTED: tuple[Slot, ...] = ("owner", "actor", "subject", "object")
_SLOTS: dict[Family, dict[Slot, HopKind]] = {  # of the families that ask what time makes of a path: each as often
    "event": {"event": "EVENT"},
    "order": {"before": "EVENT", "after": "EVENT", "between": "PAIR", "first": "PAIR", "last": "PAIR"},
    "duration": {"longer": "PAIR", "shorter": "PAIR", "acts_longer": "PAIR"},
    "sameness": dict.fromkeys(("same_object", "other_object", "same_value", "other_value"), "PAIR"),
    "superlative": {
        "first_clip": "REFERENCE",
        "last_clip": "REFERENCE",
        "most": "EVENT",
        "fewest": "EVENT",
        "longest": "EVENT",
        "shortest": "EVENT",
    },
}
_NAMED: tuple[Slot, ...] = ("first", "last", "acts_longer")  # the answer is one of two objects, so neither may be named
_ALONE: tuple[Slot, ...] = ("most", "fewest", "longest", "shortest")  # nothing in the question can be expanded
_OF_LACKING = 0.6  # of the walks that ask what has but two answers; all of them would soon make the other one lack
_PHRASINGS = 6  # as many as make each of two or of three ways to put a question equally likely
_COMMON: tuple[Context, ...] = ("event", "range")  # that can be told of most clips
_Key = tuple[str, Cell]


@dataclass(slots=True)
class QraReport:
    """What became of a request: samples wanted and made, and walks rejected by reason."""

    mix: Mix = field(default_factory=lambda: Mix({}))
    made: Counter[Cell] = field(default_factory=Counter)
    temporal: Counter[int] = field(default_factory=Counter)
    answers: dict[Form, Counter[str]] = field(default_factory=dict)
    rejected: Counter[Reason] = field(default_factory=Counter)
    walks: int = 0
    blind: Blind = field(default_factory=Blind)

    def by(self, part: int) -> Counter[Any]:
        """How many samples there are of each number of steps (0), family (1) or form (2)."""
        counts: Counter[Any] = Counter()
        for cell, count in self.made.items():
            counts[cell[part]] += count
        return counts

    def take(self, qra: Qra) -> None:
        self.made[qra.steps, qra.family, qra.form] += 1
        self.temporal[qra.n_temporal] += 1
        self.answers.setdefault(qra.form, Counter())[qra.answer] += 1
        self.blind.take(qra)

    def to_dict(self) -> dict[str, Any]:
        """JSON values, keys sorted."""
        made, wanted = self.by(0), self.mix.steps
        return {
            "count": made.total(),
            "wanted": {str(n): wanted[n] for n in sorted(wanted)},
            "missing": self.mix.missing(self.made),
            "by_steps": {str(n): made[n] for n in sorted(made)},
            "by_family": dict(sorted(self.by(1).items())),
            "by_form": dict(sorted(self.by(2).items())),
            "by_n_temporal": {str(n): self.temporal[n] for n in sorted(self.temporal)},
            "answers": {form: dict(found.most_common(20)) for form, found in sorted(self.answers.items())},
            "rejected": dict(sorted(self.rejected.items())),
            "walks": self.walks,
            "blind": self.blind.accuracy(),
        }


def make_qra(
    driver: Driver, run_ids: Sequence[str], mix: Mix, *, seed: int, report: QraReport | None = None
) -> Iterator[Qra]:
    """Samples from the graphs of some runs: for each cell as many as wanted, spread evenly over the runs.

    The counts go to `report` as the samples come; where the graphs hold too little, fewer come and the report tells which.
    """
    report = report if report is not None else QraReport()
    report.mix = mix
    made = _Made(mix, report, Chooser(Random(f"{seed}/answers")))
    run_ids = list(dict.fromkeys(run_ids))
    if len(run_ids) > _MANY:  # those that come first decide what the others are asked for, and are often alike
        Random(f"{seed}/runs").shuffle(run_ids)
    for sweep in range(_SWEEPS):
        asked = False
        for at in range(0, len(run_ids), _RUNS_AT_ONCE):
            missing = made.share(run_ids, at, 2**sweep, Random(f"{seed}/{sweep}/{at}/runs"))
            if missing:
                asked = True
                yield from _from_chunk(driver, missing, Random(f"{seed}/{sweep}/{at}"), made)
        if not asked:
            return


@dataclass(slots=True)
class _Made:
    """What has been made so far, and which runs have no more to give."""

    mix: Mix
    report: QraReport
    chooser: Chooser
    questions: set[tuple[str, str]] = field(default_factory=set)
    dry: set[_Key] = field(default_factory=set)
    exhausted: Counter[Cell] = field(default_factory=Counter)  # how many runs are dry for each cell
    balance: Balance = field(default_factory=Balance)
    room: dict[Cell, int] = field(default_factory=dict)

    def share(self, run_ids: Sequence[str], at: int, times: int, rng: Random) -> dict[_Key, int]:
        """What the next few runs from `at` on may give, if all runs from there on give the same.

        They are asked for so many times what is missing, of which `room` is taken: most runs have none of what is still missing
        after a while. Which runs give one more than others is drawn, else the first would give all that is wanted once.
        """
        shares: dict[_Key, int] = {}
        self.room = {}
        soon = frozenset(run_ids[at : at + _RUNS_AT_ONCE])
        for n in sorted(self.mix.steps):
            for cell, left in self._left(n, len(run_ids)).items():
                if not left:
                    continue
                able = [run_id for run_id in run_ids[at:] if (run_id, cell) not in self.dry]
                rng.shuffle(able)
                self.room[cell] = left
                each, more = divmod(max(left, min(times * left, len(able))), len(able) or 1)
                for place, run_id in enumerate(able):
                    if run_id in soon and (count := each + (place < more)):
                        shares[run_id, cell] = count
        return shares

    def _left(self, n: int, runs: int) -> dict[Cell, int]:
        """What is missing of each cell of `n` steps that some of so many runs can still fill."""
        living = {
            cell
            for cell in self.mix.cells(n)
            if self.exhausted[cell] < runs and self.exhausted[cell] <= _GIVEN_UP * (1 + self.report.made[cell])
        }
        return self.mix.left(n, living, self.report.made)

    def dry_up(self, keys: Iterable[_Key]) -> None:
        """These runs have no more of these cells."""
        new = set(keys) - self.dry
        self.dry |= new
        self.exhausted.update(cell for _, cell in new)

    def take(self, qra: Qra, *, at_last: bool = False) -> Qra | Reason:
        """Counts a sample, unless its run has been asked the same, or its answer is too frequent; `at_last` that may be."""
        if (qra.run_id, qra.question) in self.questions:
            return "duplicate"
        if not at_last and not self.balance.fits(qra):
            return "unbalanced"
        self.questions.add((qra.run_id, qra.question))
        self.balance.take(qra)
        self.report.take(qra)
        self.room[qra.steps, qra.family, qra.form] -= 1
        return qra


def _from_chunk(driver: Driver, missing: dict[_Key, int], rng: Random, made: _Made) -> Iterator[Qra]:
    """At most as many samples as are missing for each run and cell, in rounds of walks."""
    run_ids = sorted({run_id for run_id, _ in missing})
    settings, pools = load_settings(driver, run_ids), load_pools(driver, run_ids)
    made.chooser.know(pools)
    made.dry_up(key for key in missing if key[0] not in settings)
    spare: dict[_Key, list[Qra]] = {}
    for turn in range(_ROUNDS):
        missing = {k: count for k, count in missing.items() if count > 0 and k not in made.dry and made.room[k[1]] > 0}
        if not missing:
            break
        before = dict(missing)
        each = max(_WALKS_FOR_ONE * 2**turn, _LEAST_WALKS // sum(missing.values()))
        tries = {key: min(each * count, _MOST_WALKS) for key, count in missing.items()}
        trials = _walk(driver, tries, settings, rng, made)
        made.report.walks += len(trials)
        for trial, judged in zip(trials, judge(driver, trials, settings, made.chooser), strict=True):
            key = (trial.walk.run_id, trial.cell)
            if isinstance(judged, Qra) and not (missing[key] and made.room[trial.cell]):
                continue
            verdict = made.take(judged) if isinstance(judged, Qra) else judged
            if isinstance(verdict, Qra):
                missing[key] -= 1
                yield verdict
            elif (
                verdict == "unbalanced"
                and isinstance(judged, Qra)
                and _may_wait(judged)
                and len(spare.get(key, ())) < missing[key]
            ):
                spare.setdefault(key, []).append(judged)
            else:
                made.report.rejected[verdict] += 1
        gained = {key: before[key] - missing[key] + len(spare.get(key, ())) for key in before}
        poor = {key for key in before if gained[key] * _POOR <= before[key]}
        made.dry_up(key for key in poor if tries[key] >= _FAIR_TRIAL)
    yield from _at_last(spare, missing, made)


def _may_wait(qra: Qra) -> bool:
    """Whether a sample whose answer is too frequent is of use where nothing else is left: not where a guess may be right."""
    return qra.form in ("open", "count") and qra.family != "sameness"


def _at_last(spare: Mapping[_Key, list[Qra]], missing: Mapping[_Key, int], made: _Made) -> Iterator[Qra]:
    """What is missing is made up from samples whose answers are too frequent, the rarest first."""
    for key, listed in spare.items():
        left = missing.get(key, 0)
        while listed:
            sample = min(listed, key=made.balance.frequency)
            listed.remove(sample)
            verdict = made.take(sample, at_last=True) if left > 0 and made.room[key[1]] > 0 else "unbalanced"
            if isinstance(verdict, Qra):
                left -= 1
                yield verdict
            else:
                made.report.rejected[verdict] += 1


def _walk(
    driver: Driver, tries: Mapping[_Key, int], settings: Mapping[str, Setting], rng: Random, made: _Made
) -> list[Trial]:
    """Walks for each run and cell; a run whose graph has no first pair for a cell is let go."""
    orders: list[WalkOrder] = []
    plans: list[tuple[Context, _Key]] = []
    for (run_id, cell), count in tries.items():
        for _ in range(count):
            context = _context(cell, settings[run_id], made.mix.temporal, rng)
            kinds, slots = _asked(cell, made.balance, rng)
            orders.append(
                WalkOrder(run_id, cell[0] - (context != "ordinal"), kinds, slots, tuple(made.mix.edges.items()))
            )
            plans.append((context, (run_id, cell)))
    walks = walk_orders(driver, orders, rng)
    found = {plan[1] for walk, plan in zip(walks, plans, strict=True) if walk is not None}
    made.dry_up(tries.keys() - found)
    return [
        Trial(walk, context, key[1], rng.randrange(_PHRASINGS))
        for walk, (context, key) in zip(walks, plans, strict=True)
        if walk is not None
    ]


def _context(cell: Cell, setting: Setting, share: float, rng: Random) -> Context:
    """How a walk's first clip is to be named: by a search in time as often as wanted, where there are clips to search."""
    n, family, form = cell
    whole = form == "count" and family != "relation"
    if n == 1 or len(setting.clips) == 1 or family in ("event", "order", "duration"):
        return "ordinal"
    if not whole and rng.random() >= share:
        return "ordinal"
    return rng.choice(_COMMON + CONTEXTS)


def _asked(cell: Cell, balance: Balance, rng: Random) -> tuple[tuple[HopKind, ...], tuple[Slot, ...]]:
    """What a walk may start from: kinds of first pair and slots."""
    n, family, form = cell
    if family in _KIND:
        return (_KIND[family],), _COUNTED if form == "count" else EDGE_SLOTS
    hidden = form != "yes_no" and n < 3
    slots = [s for s in _SLOTS[family] if not (s in _NAMED and hidden) and not (s in _ALONE and n > 1)]
    lacking = balance.lacks(family, form) if family == "sameness" and form == "open" else ""
    if lacking and rng.random() < _OF_LACKING:
        slots = [s for s in slots if s.startswith("same") == (lacking == "same")]
    slot = rng.choice(slots)
    return (_SLOTS[family][slot],), (slot,)
