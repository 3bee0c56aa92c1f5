"""Shares of steps, families and forms: met wherever questions exist, and what is missing is told exactly."""

from collections import Counter

import pytest

from model.rationale.mix import Cell, Mix, apportion, from_json
from model.rationale.qra import FAMILIES, Family


def by_family(cells: dict[Cell, int]) -> Counter[Family]:
    counts = Counter[Family]()
    for (_, family, _), count in cells.items():
        counts[family] += count
    return counts


@pytest.mark.parametrize("n", [1, 3])
def test_a_family_has_its_share_whichever_forms_exist_for_it(n: int) -> None:
    mix = Mix({n: 900})
    left = mix.left(n, set(mix.cells(n)), {})
    assert by_family(left) == dict.fromkeys(FAMILIES, 100)
    assert left[n, "relation", "count"] == 10 and (n, "order", "count") not in left
    assert left[n, "sameness", "open"] == 80 and left[n, "sameness", "yes_no"] == 20, "there are no choices"
    assert sum(mix.wanted_forms().values()) == 900


def test_what_no_graph_gives_goes_to_the_same_family_first_and_then_to_the_others() -> None:
    mix = Mix({2: 90}, forms={"open": 1, "yes_no": 1})
    living = {cell for cell in mix.cells(2) if cell[1] != "duration" and cell != (2, "order", "yes_no")}
    made: dict[Cell, int] = {(2, "duration", "open"): 2, (2, "order", "yes_no"): 1, (2, "motion", "open"): 6}
    left = mix.left(2, living, made)
    assert left.keys() == living
    assert sum(left.values()) == 90 - 9
    assert by_family(left) == {family: 11 for family in FAMILIES if family != "duration"} | {"motion": 5, "order": 10}
    assert left[2, "order", "open"] == 10 and left[2, "motion", "yes_no"] == 5


def test_what_is_missing_is_told_by_steps_family_and_form() -> None:
    mix = from_json(
        {"steps": {"1": 6, "2": 6}, "families": {"order": 2, "duration": 1}, "forms": {"choice": 1.0}, "seed": 4}
    )
    made: dict[Cell, int] = {(1, "order", "choice"): 6, (2, "order", "choice"): 3, (2, "duration", "choice"): 2}
    told = mix.missing(made)
    assert told == {"steps": {"2": 1}, "families": {"duration": {"1": 2}, "order": {"2": 1}}, "forms": {"choice": 1}}
    nothing = Mix({1: 4}, families={"sameness": 1}, forms={"choice": 1})
    assert nothing.cells(1) == [] and nothing.left(1, set(), {}) == {}
    assert nothing.missing({}) == {"steps": {"1": 4}, "families": {"sameness": {"1": 4}}, "forms": {}}


def test_things_are_dealt_out_to_the_last_one() -> None:
    assert apportion(10, {"a": 2.0, "b": 1.0, "c": 0.0}) == {"a": 7, "b": 3, "c": 0}
    assert apportion(5, {}) == {} and apportion(0, {"a": 1.0}) == {"a": 0}
