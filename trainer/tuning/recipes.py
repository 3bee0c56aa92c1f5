"""The trainings of STEP Sec. 4 as functions that give specs and rows; needs no torch.

How large the Instruct model's data set is, the paper says twice and differently: Sec. 4.1 calls it "doubled in size", App. C
gives the number of Table 6, which is that of the QRA samples. `INSTRUCT_SIZES` has both readings; "doubled" is the default,
as Sec. 4.2 argues with "twice the amount".
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from trainer.tuning.spec import TuningError, TuningSpec

INSTRUCT_SIZES: Mapping[str, int] = {"doubled": 2, "same": 1}  # annotated rows for each QRA sample
LAMBDAS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)  # around the paper's 1 (Fig. 5; its own values are in the picture only)
STEP_MIXES: Mapping[str, Mapping[int, float]] = {  # shares of samples with 1, 2 and 3 steps (Fig. 6)
    "one step": {1: 1.0},
    "mostly one": {1: 0.6, 2: 0.2, 3: 0.2},
    "balanced": {1: 1 / 3, 2: 1 / 3, 3: 1 / 3},
    "mostly three": {1: 0.2, 2: 0.2, 3: 0.6},
    "three steps": {3: 1.0},
}
Row = Mapping[str, Any]


def step(base: str, **given: Any) -> TuningSpec:
    """The STEP model: answers and rationales of the model's own QRA samples, lambda 1 (Sec. 3.2, 4.1)."""
    return TuningSpec.from_dict({**given, "base": base, "recipe": "step"})


def distillation(base: str, **given: Any) -> TuningSpec:
    """The Distillation model: the same loss on as many samples, which a stronger teacher made of the same videos."""
    return TuningSpec.from_dict({**given, "base": base, "recipe": "distillation"})


def instruct(base: str, **given: Any) -> TuningSpec:
    """The Instruct model: annotated questions and answers, conventional training (L_rationale = 0, App. C)."""
    return TuningSpec.from_dict({**given, "base": base, "recipe": "instruct"})


def rationale_free(base: str, **given: Any) -> TuningSpec:
    """The STEP samples by their answers alone: what the rationales add is the difference to `step`."""
    return TuningSpec.from_dict({**given, "base": base, "recipe": "rationale_free"})


def lambda_sweep(spec: TuningSpec, lambdas: Sequence[float] = LAMBDAS) -> dict[str, TuningSpec]:
    """The same training at several lambdas (Fig. 5)."""
    return {f"lambda {value:g}": replace(spec, lambda_rationale=float(value)) for value in lambdas}


def step_mix_sweep(
    spec: TuningSpec, rows: Sequence[Row], mixes: Mapping[str, Mapping[int, float]] = STEP_MIXES
) -> dict[str, tuple[TuningSpec, list[Row]]]:
    """The same training on mixes of steps (Fig. 6), each of as many samples as the rows allow for all of them.

    Raises:
        TuningError: a mix wants steps that no row has.
    """
    by_steps = _by_steps(rows)
    shares = [(steps, share) for mix in mixes.values() for steps, share in mix.items() if share > 0]
    if none := sorted(steps for steps, _ in shares if not by_steps[steps]):
        detail = f"The mixes want rows of {none[0]} steps, and there are none."
        raise TuningError("too_few_rows", "train.jsonl", detail, "Sample such questions too.")
    size = min(int(len(by_steps[steps]) / share) for steps, share in shares)
    return {name: (spec, step_mix(rows, mix, size, spec.seed)) for name, mix in mixes.items()}


def step_mix(rows: Sequence[Row], mix: Mapping[int, float], size: int, seed: int) -> list[Row]:
    """`size` rows, drawn so that the shares of 1, 2 and 3 or more steps are those of the mix.

    Raises:
        TuningError: there are too few rows of some number of steps.
    """
    by_steps = _by_steps(rows)
    ends = [0.0]
    for share in mix.values():
        ends.append(ends[-1] + share)
    counts = {
        k: round(size * b / ends[-1]) - round(size * a / ends[-1]) for k, a, b in zip(mix, ends, ends[1:], strict=False)
    }
    for steps, count in counts.items():
        if count > len(by_steps[steps]):
            detail = f"The mix wants {count} rows of {steps} steps, and there are {len(by_steps[steps])}."
            raise TuningError("too_few_rows", "train.jsonl", detail, "Sample more such questions, or take another mix.")
    rng = Random(f"{seed}:steps")
    return [row for steps, count in counts.items() for row in rng.sample(by_steps[steps], count)]


def instruct_rows(rows: Sequence[Row], samples: int, seed: int, reading: str = "doubled") -> list[Row]:
    """The annotated rows that an Instruct model is trained on beside a STEP model of so many samples.

    Raises:
        TuningError: an unknown reading of the paper, or too few rows.
    """
    if reading not in INSTRUCT_SIZES:
        detail = f"There is no reading {reading!r}."
        raise TuningError("invalid_value", "reading", detail, f"Known are {', '.join(INSTRUCT_SIZES)}.")
    wanted = INSTRUCT_SIZES[reading] * samples
    if wanted > len(rows):
        detail = f"The Instruct model wants {wanted} annotated rows, and there are {len(rows)}."
        raise TuningError("too_few_rows", "train.jsonl", detail, "Give more rows, or fewer samples to compare with.")
    return Random(f"{seed}:instruct").sample(list(rows), wanted)


def _by_steps(rows: Sequence[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[min(int(row["steps"]), 3)].append(row)
    return found
