"""How sure a score is, and whether two models differ: intervals, paired tests on the same questions, many at once."""

from collections.abc import Sequence
from math import comb, sqrt
from statistics import NormalDist

import numpy as np

Interval = tuple[float, float]
_ROUNDS = 2000


def wilson(right: int, count: int, confidence: float = 0.95) -> Interval:
    """Wilson's interval of a share, as if the questions were independent."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = right / count
    centre = share + z * z / (2 * count)
    half = z * sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (max(0.0, (centre - half) / (1 + z * z / count)), min(1.0, (centre + half) / (1 + z * z / count)))


def bootstrap(
    values: Sequence[float], clusters: Sequence[str], *, seed: int, rounds: int = _ROUNDS, confidence: float = 0.95
) -> Interval:
    """The percentile interval of a mean when whole clusters (videos) are drawn anew: their questions hang together.

    Of right or wrong as 1 or 0 it is an accuracy's; of one model's less another's it is the paired difference's.
    """
    names, index = np.unique(np.asarray(clusters), return_inverse=True)
    sums, counts = np.bincount(index, weights=np.asarray(values, float)), np.bincount(index)
    draws = np.random.default_rng(seed).integers(0, len(names), (rounds, len(names)))
    means = sums[draws].sum(1) / counts[draws].sum(1)
    low, high = np.quantile(means, ((1 - confidence) / 2, (1 + confidence) / 2))
    return float(low), float(high)


def mcnemar(only_one: int, only_other: int) -> float:
    """The exact two-sided p-value that two models differ, from the questions that only one of them gets right."""
    count, few = only_one + only_other, min(only_one, only_other)
    tail = sum(comb(count, k) for k in range(few + 1))
    return min(1.0, float(2 * tail / 2**count))


def sign_flip(values: Sequence[float], clusters: Sequence[str], *, seed: int, rounds: int = 20_000) -> float:
    """The two-sided p-value that paired differences are luck, so that each video's sum might as well have the other sign."""
    _, index = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.bincount(index, weights=np.asarray(values, float))
    signs = np.random.default_rng(seed).integers(0, 2, (rounds, len(sums)), dtype=np.int8) * 2 - 1
    as_far = np.abs(signs @ sums) >= abs(sums.sum()) - 1e-9
    return float((1 + as_far.sum()) / (1 + rounds))


def holm(ps: Sequence[float]) -> list[float]:
    """P-values adjusted for being several (Holm's step-down), in their order."""
    adjusted, worst = [1.0] * len(ps), 0.0
    for rank, at in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        worst = max(worst, min(1.0, (len(ps) - rank) * ps[at]))
        adjusted[at] = worst
    return adjusted
