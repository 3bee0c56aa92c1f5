"""What decides a training, checked before anything is loaded; needs no torch."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, get_args

from model.rationale.formats import ANSWER_INSTRUCTION, RATIONALE_INSTRUCTION

RecipeName = Literal["step", "instruct", "distillation", "rationale_free"]
Schedule = Literal["cosine", "linear", "constant"]
Shown = Literal["images", "video"]
RECIPES: tuple[RecipeName, ...] = get_args(RecipeName)
SCHEDULES: tuple[Schedule, ...] = get_args(Schedule)
RATE, LORA_RATE = 1e-5, 1e-4  # usual learning rates, of all weights and of adapters
ANSWERS_ONLY: tuple[RecipeName, ...] = ("instruct", "rationale_free")  # recipes without rationale supervision


class TuningError(Exception):
    """Why a training can't begin or go on: a code, the field or file it is about, and what helps."""

    def __init__(self, code: str, field: str, detail: str, remedy: str) -> None:
        super().__init__(f"{detail} {remedy}")
        self.code, self.field, self.detail, self.remedy = code, field, detail, remedy


@dataclass(frozen=True, slots=True)
class Lora:
    """Low-rank adapters beside frozen weights."""

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.05
    targets: tuple[str, ...] = ()  # names or ends of names of linear layers; none: all of the language model's


@dataclass(frozen=True, slots=True)
class Mixture:
    """Earlier instruction data among the samples (STEP App. C), taught by their answers alone."""

    ratio: float = 1.0  # instruction rows for each QRA sample; the paper gives no number


@dataclass(frozen=True, slots=True)
class TuningSpec:
    """A training: the base, the recipe, what is shown, and how it is optimised."""

    base: str  # folder or hub id of an ordinary checkpoint with safetensors
    recipe: RecipeName = "step"
    lambda_rationale: float = 1.0  # lambda of L = L_answer + lambda L_rationale
    instruction_answer: str = ANSWER_INSTRUCTION  # i^a
    instruction_rationale: str = RATIONALE_INSTRUCTION  # i^r
    frames: int = 8  # at most, evenly chosen among those of a row
    shown_as: Shown | None = None  # keyframes one by one, or all as one video; None: as the checkpoint wants them
    size: int | None = None  # every frame as a square of so many pixels a side; None: as the checkpoint wants them
    tell_times: bool | None = None  # of frames, before questions on several clips; None: as the checkpoint wants them
    lora: Lora | None = None  # None: all weights are trained
    epochs: float = 1.0
    max_steps: int | None = None
    batch: int = 8  # samples of an optimiser step, over all processes and accumulated parts
    accumulation: int = 1  # parts in which a process runs its share of a step
    learning_rate: float = RATE
    warmup: float = 0.03  # share of the steps
    weight_decay: float = 0.0
    schedule: Schedule = "cosine"
    gradient_checkpointing: bool = False
    exact: bool = False  # in 32 bits on a GPU too, where it is bfloat16 otherwise
    shared_prefix: bool = True
    per_video: int = 1  # samples about the same frames that follow each other behind one visual prefix
    mixture: Mixture | None = None
    save_every: int = 200  # steps; a checkpoint of billions of numbers takes as long as some of them
    keep: int = 5  # checkpoints: the newest, and the one with the best validation beside them; 0: all
    validate_every: int | None = None  # steps, the first time before all of them; None: at each checkpoint, 0: never
    validate_rows: int = 1000  # held-out rows that a validation asks at most, drawn by the seed; 0: all
    processes: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            TuningError: the first wrong one, with what it may be.
        """
        for field, (good, expected) in _CHECKS.items():
            if not good(getattr(self, field)):
                raise _wrong(field, getattr(self, field), expected)
        if self.lora is not None:
            _check_lora(self.lora)
        if self.instruction_answer.strip() == self.instruction_rationale.strip():
            raise _wrong("instruction_rationale", self.instruction_rationale, "another text than instruction_answer")
        if self.recipe in ANSWERS_ONLY and self.lambda_rationale != 0:
            raise _wrong("lambda_rationale", self.lambda_rationale, f"0, as the recipe {self.recipe} has no rationales")
        if self.per_video > 1 and not self.shared_prefix:
            raise _wrong("per_video", self.per_video, "1 where shared_prefix is off")
        parts = self.accumulation * self.processes
        if self.batch % parts:
            raise _wrong("batch", self.batch, f"a multiple of accumulation times processes, which is {parts}")

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """The spec of JSON values; what is left out is as the recipe and the kind of training want it.

        Raises:
            TuningError: an unknown field, or a wrong value.
        """
        values = dict(_known(cls, given, ""))
        if "base" not in values:
            raise TuningError("invalid_value", "base", "There is no base.", "Name a folder or the id of a checkpoint.")
        if values.get("lora") is not None:
            lora = dict(_known(Lora, values["lora"], "lora."))
            targets = lora.get("targets") or ()
            if not isinstance(targets, str | list | tuple) or not all(isinstance(name, str) for name in targets):
                raise _wrong("lora.targets", targets, "a list of names of modules")
            values["lora"] = Lora(**{**lora, "targets": (targets,) if isinstance(targets, str) else tuple(targets)})
            values.setdefault("learning_rate", LORA_RATE)
        if values.get("mixture") is not None:
            values["mixture"] = Mixture(**_known(Mixture, values["mixture"], "mixture."))
        if values.get("recipe") in ANSWERS_ONLY:
            values.setdefault("lambda_rationale", 0.0)
        return cls(**values)

    def smaller(self) -> Self | None:
        """The same training for a device of less memory: in smaller parts, or with activations computed anew; None: no more.

        Samples about the same frames stay together as long as they can.
        """
        most = self.batch // self.processes
        finer = [n for n in range(self.accumulation + 1, most + 1) if most % n == 0]
        together = [n for n in finer if most // n >= self.per_video]
        if together or (finer and self.gradient_checkpointing):
            return replace(self, accumulation=(together or finer)[0])
        return None if self.gradient_checkpointing else replace(self, gradient_checkpointing=True)

    def to_dict(self) -> dict[str, Any]:
        """The spec as JSON values."""
        values = dataclasses.asdict(self)
        if self.lora is not None:
            values["lora"]["targets"] = list(self.lora.targets)
        return values

    def steps(self, samples: int) -> int:
        """How many optimiser steps a training on so many samples takes; every step is a full one."""
        wanted = max(1, -(-round(self.epochs * samples) // self.batch))
        return wanted if self.max_steps is None else min(wanted, self.max_steps)


def _known(cls: type, given: object, prefix: str) -> Mapping[str, Any]:
    names = [f.name for f in dataclasses.fields(cls)]
    if not isinstance(given, Mapping):
        raise _wrong(prefix.rstrip("."), given, f"an object with {', '.join(names)}")
    if strange := [str(key) for key in given if key not in names]:
        field = prefix + strange[0]
        raise TuningError("unknown_field", field, f"There is no field {field}.", f"Known are {', '.join(names)}.")
    return given


def _wrong(field: str, value: object, expected: str) -> TuningError:
    return TuningError("invalid_value", field, f"{field} is {value!r}.", f"Give {expected}.")


def _whole(value: object, least: int, most: float) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _number(value: object, least: float, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _truth(value: object) -> bool:
    return isinstance(value, bool)


def _check_lora(lora: Lora) -> None:
    for field, good, expected in (
        ("rank", _whole(lora.rank, 1, 4096), "a whole number from 1 to 4096"),
        ("alpha", _number(lora.alpha, 1e-6, 1e6), "a number above 0"),
        ("dropout", _number(lora.dropout, 0, 0.99), "a share from 0 to below 1"),
        ("targets", all(_text(t) for t in lora.targets), "names of linear layers"),
    ):
        if not good:
            raise _wrong(f"lora.{field}", getattr(lora, field), expected)


_CHECKS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "base": (_text, "a folder or the id of a checkpoint"),
    "recipe": (lambda v: v in RECIPES, f"one of {', '.join(RECIPES)}"),
    "lambda_rationale": (lambda v: _number(v, 0, 1e6), "a number of 0 or more"),
    "instruction_answer": (_text, "a text"),
    "instruction_rationale": (_text, "a text"),
    "frames": (lambda v: _whole(v, 1, 1024), "a whole number from 1 to 1024"),
    "shown_as": (lambda v: v is None or v in get_args(Shown), "images, video or nothing"),
    "tell_times": (lambda v: v is None or isinstance(v, bool), "true, false or nothing"),
    "size": (lambda v: v is None or _whole(v, 16, 8192), "pixels from 16 to 8192, or nothing"),
    "lora": (lambda v: v is None or isinstance(v, Lora), "rank, alpha, dropout and targets, or nothing"),
    "epochs": (lambda v: _number(v, 1e-6, 1e6), "a number above 0"),
    "max_steps": (lambda v: v is None or _whole(v, 1, 1e9), "a whole number of 1 or more, or nothing"),
    "batch": (lambda v: _whole(v, 1, 1e6), "a whole number of 1 or more"),
    "accumulation": (lambda v: _whole(v, 1, 1e6), "a whole number of 1 or more"),
    "learning_rate": (lambda v: _number(v, 1e-12, 1e3), "a number above 0"),
    "warmup": (lambda v: _number(v, 0, 1), "a share of the steps from 0 to 1"),
    "weight_decay": (lambda v: _number(v, 0, 1e3), "a number of 0 or more"),
    "schedule": (lambda v: v in SCHEDULES, f"one of {', '.join(SCHEDULES)}"),
    "gradient_checkpointing": (_truth, "true or false"),
    "exact": (_truth, "true or false"),
    "shared_prefix": (_truth, "true or false"),
    "per_video": (lambda v: _whole(v, 1, 64), "a whole number from 1 to 64"),
    "mixture": (
        lambda v: v is None or (isinstance(v, Mixture) and _number(v.ratio, 0, 1e6)),
        "a ratio of 0 or more, or nothing",
    ),
    "save_every": (lambda v: _whole(v, 1, 1e9), "a whole number of 1 or more"),
    "keep": (lambda v: v != 1 and _whole(v, 0, 1e9), "2 or more, or 0 for all"),
    "validate_every": (lambda v: v is None or _whole(v, 0, 1e9), "a whole number of 0 or more, or nothing"),
    "validate_rows": (lambda v: _whole(v, 0, 1e9), "a whole number of 0 or more"),
    "processes": (lambda v: _whole(v, 1, 4096), "a whole number of 1 or more"),
    "seed": (lambda v: _whole(v, 0, 2**32 - 1), "a whole number from 0 to 4294967295"),
}
