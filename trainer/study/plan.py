"""Which trainings the study compares (STEP Tables 1, 2 and 4, Figs. 5 and 6, and more rounds); needs no torch.

A cell is one training with its evaluation. It is named by a hash of all that decides it, so that what was measured once is
never measured twice, and cells that several tables share are measured once.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

from trainer.evaluation.run import Mode
from trainer.tuning.recipes import LAMBDAS, STEP_MIXES

Switch = Literal["splitting", "parsing", "verification", "merging", "bridging"]
SWITCHES: tuple[Switch, ...] = get_args(Switch)  # the rows of Table 4, and verification
LEFT_OUT: Switch = "verification"  # as the starting checkpoint advises (its stsg.json): it takes right facts for wrong
NOISES = (0.1, 0.2, 0.4, 1.0)
SIZES = (0.25, 0.5)  # of the samples
BALANCED: Mapping[int, float] = STEP_MIXES["balanced"]
ANNOTATED: Mapping[int, float] = {1: 0.6, 2: 0.4}  # what annotated data sets ask: little composition
ATOMIC: Mapping[int, float] = {1: 1.0}
ROUNDS = 3
VERSION = 2  # of everything that decides a cell's numbers and is no field of it; a new one has all cells measured anew
_FIRST_WORLD, _FIRST_BASE_WORLD = 100_000, 200_000  # seeds of training worlds: those of the base are its own
_BASE_RATE = 5e-4
_RATE = 3e-4
REHEARSAL = 0.3  # exchanges of inductions for each sample, as training on other things makes a model forget them
_COMPUTE = 1.8  # how much longer a step with rationales takes


@dataclass(frozen=True, slots=True)
class Source:
    """Whose graphs questions are made of: a model's (the starting checkpoint's by default), or the true ones.

    `without` are the operations of Table 4 that are left out, `noise` is the share of a true graph's facts that are made wrong.
    """

    model: "Cell | None" = None
    true: bool = False
    without: tuple[Switch, ...] = ()
    noise: float = 0.0


@dataclass(frozen=True, slots=True)
class Ask:
    """Questions that a cell's model is asked: a benchmark, how many, and whether through the rationale."""

    benchmark: str = "world"
    mode: Mode = "direct"
    samples: int = 0  # 0 is all

    @property
    def name(self) -> str:
        """Under which its answers are kept."""
        return f"{self.benchmark} {self.mode} {self.samples}"


@dataclass(frozen=True, slots=True)
class Cell:
    """One training: of which base, on which data, how long."""

    source: Source
    mix: tuple[tuple[int, float], ...]  # shares of samples by number of steps
    samples: int
    steps: int  # of the optimiser
    lambda_rationale: float
    rate: float
    seed: int
    worlds: int  # videos that questions are asked about
    first_world: int
    base: "Cell | None" = None  # None: the starting checkpoint
    rehearsal: float = REHEARSAL  # exchanges of inductions of the base's worlds for each sample (STEP App. C)
    batch: int = 16
    per_video: int = 2  # samples of a batch that share a video's frames

    def key(self, checkpoint: str) -> str:
        """The hash of all that decides the cell's numbers; `checkpoint` is the starting one's."""
        return digest([VERSION, checkpoint, asdict(self)])

    def depth(self) -> int:
        """How many trainings have to be over before this one can begin."""
        before = [c.depth() + 1 for c in (self.base, self.source.model) if c is not None]
        return max(before, default=0)


@dataclass(frozen=True, slots=True)
class Scale:
    """How large the study is."""

    name: str
    seeds: int
    worlds: int
    samples: int
    steps: int
    base: tuple[int, int, int]  # worlds, samples and steps of the base
    questions: int  # of each benchmark; 0 is all
    tables: tuple[str, ...]


TABLES = ("arms", "ablation", "lambda", "mix", "rounds", "noise", "size", "rationale")
FULL = Scale("full", 3, worlds=100, samples=2400, steps=300, base=(2500, 25000, 5000), questions=900, tables=TABLES)
QUICK = Scale("quick", 1, worlds=30, samples=400, steps=100, base=(500, 5000, 800), questions=300, tables=("arms",))


@dataclass(slots=True)
class Plan:
    """Cells by table, row and seed, and what each cell's model is asked."""

    scale: Scale
    rows: dict[str, dict[str, list[Cell]]] = field(default_factory=dict)
    asks: dict[Cell, list[Ask]] = field(default_factory=dict)

    def add(self, table: str, row: str, cell: Cell, *asks: Ask) -> None:
        """Put a cell into a table's row; its base and the model of its graphs need no row of their own."""
        self.rows.setdefault(table, {}).setdefault(row, []).append(cell)
        known = self.asks.setdefault(cell, [])
        known += [ask for ask in asks if ask not in known]

    def cells(self) -> list[Cell]:
        """All cells with those that they are built on, in the order of what has to come first."""
        found: dict[Cell, None] = {}

        def visit(cell: Cell | None) -> None:
            if cell is not None and cell not in found:
                visit(cell.base)
                visit(cell.source.model)
                found[cell] = None

        for cell in self.asks:
            visit(cell)
        return sorted(found, key=Cell.depth)


def study(scale: Scale) -> Plan:
    """The study at a scale."""
    plan = Plan(scale)
    world, shifted = Ask(samples=scale.questions), Ask("world-shifted", samples=scale.questions)
    for seed in range(scale.seeds):
        model = step(scale, seed)
        for table in scale.tables:
            asks = [replace(world, mode="rationale")] if table == "rationale" else [world]
            for row, cell in _TABLES[table](model).items():
                plan.add(table, row, cell, *asks, *([shifted] if table == "arms" else []))
    return plan


def _base(scale: Scale) -> Cell:
    """The initial model: the checkpoint after some annotated questions of one step, as the paper's VideoChat2* (App. B).

    It knows how questions are put and answered, and has seen none that is composed.
    """
    worlds, samples, steps = scale.base
    mix = tuple(ATOMIC.items())
    return Cell(Source(true=True), mix, samples, steps, 0.0, _BASE_RATE, 0, worlds, _FIRST_BASE_WORLD)


def step(scale: Scale, seed: int) -> Cell:
    """The STEP model, from which all others differ in one thing; every seed has videos of its own."""
    base = _base(scale)
    mix, first = tuple(BALANCED.items()), _FIRST_WORLD + 1000 * seed
    return Cell(
        Source(base, without=(LEFT_OUT,)), mix, scale.samples, scale.steps, 1.0, _RATE, seed, scale.worlds, first, base
    )


def _arms(step: Cell) -> Mapping[str, Cell]:
    true = replace(step, source=Source(true=True))
    answers = replace(step, lambda_rationale=0.0)
    return {
        "base": _base_of(step),
        "Instruct": replace(true, mix=tuple(ANNOTATED.items()), lambda_rationale=0.0),
        "Distillation": true,
        "STEP": step,
        "STEP, lambda 0": answers,
        "STEP, lambda 0, as much computing": replace(answers, steps=round(_COMPUTE * step.steps)),
    }


def _ablation(step: Cell) -> Mapping[str, Cell]:
    def but(*without: Switch) -> Cell:
        return replace(step, source=replace(step.source, without=without))

    without = {f"w/o {s}": but(s, LEFT_OUT) for s in SWITCHES if s != LEFT_OUT}
    return {"STEP": step} | without | {f"with {LEFT_OUT}": but()}


def _lambdas(step: Cell) -> Mapping[str, Cell]:
    return {f"{value:g}": replace(step, lambda_rationale=value) for value in LAMBDAS}


def _mixes(step: Cell) -> Mapping[str, Cell]:
    return {name: replace(step, mix=tuple(mix.items())) for name, mix in STEP_MIXES.items()}


def _rounds(step: Cell) -> Mapping[str, Cell]:
    made = [step]
    for _ in range(ROUNDS - 1):
        made.append(replace(step, source=replace(step.source, model=made[-1])))
    return {f"round {n}": cell for n, cell in enumerate(made, 1)}


def _noises(step: Cell) -> Mapping[str, Cell]:
    return {f"{n:g}": replace(step, source=Source(true=True, noise=n)) for n in (0.0, *NOISES)}


def _sizes(step: Cell) -> Mapping[str, Cell]:
    sized = {f"{s:g}": replace(step, samples=round(s * step.samples)) for s in (*SIZES, 1.0)}
    ends = (sized[f"{min(SIZES):g}"], step)  # whether rationales are worth more where samples are few
    return sized | {f"{cell.samples / step.samples:g}, lambda 0": replace(cell, lambda_rationale=0.0) for cell in ends}


def _rationales(step: Cell) -> Mapping[str, Cell]:
    return {"base": _base_of(step), "STEP": step, "STEP, lambda 0": replace(step, lambda_rationale=0.0)}


def _base_of(step: Cell) -> Cell:
    assert step.base is not None, "the STEP model has a base"
    return step.base


_TABLES: Mapping[str, Callable[[Cell], Mapping[str, Cell]]] = {
    "arms": _arms,
    "ablation": _ablation,
    "lambda": _lambdas,
    "mix": _mixes,
    "rounds": _rounds,
    "noise": _noises,
    "size": _sizes,
    "rationale": _rationales,
}


def digest(value: Any) -> str:
    """A short hash of JSON values."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(value: object) -> object:
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"{value!r} is no JSON value")
