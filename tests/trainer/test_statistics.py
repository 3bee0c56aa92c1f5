"""Intervals and tests against values from elsewhere: textbooks, SciPy, and what simulation must give."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binomtest

from trainer.evaluation.statistics import bootstrap, holm, mcnemar, sign_flip, wilson


@pytest.mark.parametrize(("right", "count"), [(0, 10), (10, 10), (50, 100), (7, 23), (1, 1)])
def test_wilson_is_scipys(right: int, count: int) -> None:
    theirs = binomtest(right, count).proportion_ci(method="wilson")
    assert wilson(right, count) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_wilson_is_the_textbooks() -> None:
    assert wilson(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)


@pytest.mark.parametrize(
    ("one", "other", "p"), [(0, 0, 1.0), (1, 9, 0.021484375), (5, 5, 1.0), (0, 6, 0.03125), (100, 140, None)]
)
def test_mcnemar_is_the_exact_sign_test(one: int, other: int, p: float | None) -> None:
    theirs = binomtest(one, one + other).pvalue if one + other else 1.0
    assert mcnemar(one, other) == mcnemar(other, one) == pytest.approx(p if p is not None else theirs)
    assert mcnemar(one, other) == pytest.approx(theirs)


def test_holm_steps_down_and_keeps_the_order() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.001]) == pytest.approx([0.9, 0.002])
    assert holm([0.7, 0.8]) == pytest.approx([1.0, 1.0]) and holm([]) == []


def test_the_bootstrap_draws_videos_and_not_questions() -> None:
    alone = bootstrap([1.0, 0.0] * 200, [str(i) for i in range(400)], seed=1)
    assert alone == pytest.approx(wilson(200, 400), abs=0.01)
    together = bootstrap(np.repeat([1.0, 0.0] * 20, 10), [str(i // 10) for i in range(400)], seed=1)
    assert together[1] - together[0] == pytest.approx(10**0.5 * (alone[1] - alone[0]), rel=0.1)
    assert bootstrap([1.0, 1.0], ["a", "b"], seed=0) == (1.0, 1.0)


def test_the_bootstrap_is_the_same_for_the_same_seed() -> None:
    first, again, other = (bootstrap(range(40), [str(i) for i in range(40)], seed=s, rounds=50) for s in (1, 1, 2))
    assert first == again and first != other


def test_a_sign_flip_is_the_share_of_all_signs_that_reach_as_far() -> None:
    gains, videos = [1.0, 0.0, 1.0, 0.5, -0.5, 1.0, 1.0], ["a", "a", "b", "c", "d", "d", "e"]  # sums 1, 1, .5, .5, 1
    sums = [1.0, 1.0, 0.5, 0.5, 1.0]
    reached = [abs(sum(s * g for s, g in zip(signs, sums, strict=True))) >= 4 for signs in product((1, -1), repeat=5)]
    assert sign_flip(gains, videos, seed=0) == pytest.approx(sum(reached) / len(reached), abs=0.005)
    assert sign_flip([0.0, 0.0], ["a", "b"], seed=0) == 1
