"""Programs on the stored graph (STEP Sec. 3.2): one answer or a reason, as a plain reading of the graph gives it."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest
from neo4j import Driver

from graphdb.evidence import path_edges
from graphdb.programs import run_program, run_programs
from graphdb.qra import QraReport, make_qra
from model.rationale.evaluate import evaluate
from model.rationale.mix import Mix
from model.rationale.program import Op, Outcome, Program
from model.rationale.qra import FAMILIES, FORMS
from tests.graphdb.rationale_graphs import ALIKE, SMALL, scene_with_times, stored, tracked
from trainer.world.scene import SHAPES
from trainer.world.truth import truth

IN_FIRST: Op = {"op": "clip_number", "number": 0}
IN_SECOND: Op = {"op": "clip_number", "number": 1}
MAN: Op = {"op": "named", "clip": 0, "name": "tall man"}


@pytest.fixture(scope="module")
def small(driver: Driver) -> Iterator[Driver]:
    with stored(driver, {"run_programs": SMALL}):
        yield driver


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ((IN_FIRST, MAN, {"op": "value", "of": 1, "type": "mood"}), Outcome(reason="ambiguous", failed=2)),
        ((IN_FIRST, MAN, {"op": "value", "of": 1, "type": "color"}), Outcome(reason="no_answer", failed=2)),
        ((IN_FIRST, MAN, {"op": "target", "of": 1, "predicate": "jumping on"}), Outcome("bed")),
        ((IN_FIRST, MAN, {"op": "action", "of": 1}), Outcome(reason="ambiguous", failed=2)),
        ((IN_FIRST, MAN, {"op": "other_clip", "of": 1}), Outcome(reason="ambiguous", failed=2)),
        ((IN_FIRST, {**MAN, "name": "short man"}, {"op": "action", "of": 1}), Outcome(reason="no_answer", failed=1)),
        (
            (IN_FIRST, {"op": "doing", "clip": 0, "category": "", "predicate": "jumping on", "target": "bed"},
             {"op": "name", "of": 1}),
            Outcome("tall man"),
        ),
        (
            (IN_FIRST, {"op": "having", "clip": 0, "category": "man", "type": "mood", "value": "tired"},
             {"op": "related", "of": 1, "side": "object", "predicate": "holds", "category": ""},
             {"op": "value", "of": 2, "type": "color"}),
            Outcome("white"),
        ),
        (
            ({"op": "clip_event", "description": "a man jumps on a bed"}, {"op": "named", "clip": 0, "name": "cup"},
             {"op": "named", "clip": 0, "name": "bed"}, {"op": "predicate", "of": 1, "to": 2}),
            Outcome("above"),
        ),
        (({"op": "clip_event", "description": "men stand about"},), Outcome(reason="ambiguous", failed=0)),
        (
            (IN_FIRST, MAN, {"op": "clip_time", "t_from": 4.2, "t_to": 5.8}, {"op": "same", "of": 1, "clip": 2},
             {"op": "value", "of": 3, "type": "size"}),
            Outcome("large"),
        ),
        (({"op": "clip_number", "number": 1}, {"op": "named", "clip": 0, "name": "man"}),
         Outcome(reason="ambiguous", failed=1)),
        (({"op": "named", "name": "cup"}, {"op": "clip_of", "of": 0}, {"op": "event", "of": 1}),
         Outcome("a man jumps on a bed")),
        (({"op": "named", "name": "tall man"},), Outcome(reason="ambiguous", failed=0)),
        ((IN_FIRST, MAN, {"op": "clip_of", "of": 1}), Outcome(reason="ambiguous", failed=2)),
        ((IN_FIRST, MAN, {"op": "clip_other", "of": 1}), Outcome(reason="ambiguous", failed=2)),
        ((IN_FIRST, MAN, {"op": "seen_clip", "of": 1, "end": "last"}), Outcome("third clip")),
        ((IN_SECOND, {**MAN, "name": "tall man"}, {"op": "seen_clip", "of": 1, "end": "first"}), Outcome("first clip")),
        ((IN_SECOND, {"op": "clip_beside", "of": 0, "by": 1}, {"op": "clip_told", "of": 1}), Outcome("third clip")),
        ((IN_FIRST, {"op": "clip_beside", "of": 0, "by": -1}), Outcome(reason="no_answer", failed=1)),
        ((IN_FIRST, {"op": "clip_number", "number": 2}, {"op": "clip_between", "of": 1, "to": 0},
          {"op": "clip_told", "of": 2}), Outcome("second clip")),
        (({"op": "clip_extreme", "by": "objects", "end": "most"},), Outcome(reason="ambiguous", failed=0)),
        (({"op": "clip_extreme", "by": "objects", "end": "least"}, {"op": "clip_told", "of": 0}), Outcome("third clip")),
        (({"op": "clip_extreme", "by": "seconds", "end": "most"},), Outcome(reason="no_answer", failed=0)),
        ((IN_FIRST, IN_SECOND, {"op": "clip_longer", "of": 0, "to": 1, "end": "most"}),
         Outcome(reason="no_answer", failed=2)),
        ((IN_FIRST, IN_SECOND, MAN, {**MAN, "clip": 1}, {"op": "same_object", "of": 2, "to": 3}), Outcome("same")),
        ((IN_FIRST, IN_SECOND, {**MAN, "name": "bed"}, {**MAN, "clip": 1}, {"op": "same_object", "of": 2, "to": 3}),
         Outcome("different")),
        ((IN_FIRST, {**MAN, "name": "bed"}, {**MAN, "name": "cup"}, {"op": "same_value", "of": 1, "to": 2, "type": "size"}),
         Outcome("different")),
        ((IN_FIRST, MAN, {**MAN, "name": "bed"}, {"op": "same_value", "of": 1, "to": 2, "type": "mood"}),
         Outcome(reason="no_answer", failed=3)),
        ((IN_FIRST, {**MAN, "name": "bed"}, {"op": "clip_number", "number": 2}, {**MAN, "clip": 2},
          {"op": "sooner", "of": 1, "to": 3, "end": "last"}), Outcome("tall man")),
        ((IN_FIRST, {**MAN, "name": "bed"}, MAN, {"op": "sooner", "of": 1, "to": 2, "end": "first"}),
         Outcome(reason="no_answer", failed=3)),
        ((IN_FIRST, {**MAN, "name": "bed"}, MAN, {"op": "acts_longer", "of": 1, "to": 2}),
         Outcome(reason="no_answer", failed=3)),
    ],
)  # fmt: skip
def test_both_interpreters_say_the_same(small: Driver, program: Program, expected: Outcome) -> None:
    assert run_program(small, "run_programs", program) == evaluate(program, SMALL) == expected


@pytest.mark.parametrize(
    ("op", "found"),
    [
        ({"op": "having", "type": "", "value": "old"}, ["c0/house", "c0/man"]),
        ({"op": "having", "type": "age", "value": "old"}, ["c0/man"]),
        ({"op": "having", "type": "color", "value": "red"}, ["c0/car", "c0/cup"]),
        ({"op": "having", "type": "color", "value": "dark red"}, ["c0/car"]),
        ({"op": "related", "of": 0, "side": "subject", "predicate": "on"}, ["c0/cup", "c0/dog"]),
        ({"op": "related", "of": 0, "side": "subject", "predicate": "standing on"}, ["c0/dog"]),
        ({"op": "related", "of": 0, "side": "subject", "predicate": "in"}, []),
        ({"op": "doing", "predicate": "running", "target": ""}, ["c0/dog", "c0/man"]),
        ({"op": "doing", "predicate": "running on", "target": "grass"}, ["c0/dog"]),
    ],
)
def test_what_is_asked_in_fewer_words_is_true_of_all_that_have_them(driver: Driver, op: Op, found: list[str]) -> None:
    house: Op = {"op": "named", "name": "house"}
    program: Program = (house, {**op, "category": "", "all": 1}, {"op": "count", "of": 1})
    with stored(driver, {"run_alike": ALIKE}):
        told = run_program(driver, "run_alike", program)
    assert told == evaluate(program, ALIKE) == Outcome(str(len(found)), listed=tuple(found))


@pytest.mark.timeout(60)
def test_an_object_that_many_clips_show_costs_no_walk_along_every_way_between_them(driver: Driver) -> None:
    graph, last = tracked(9), 8
    sofa: Op = {"op": "named", "clip": 0, "name": "sofa"}
    both: Program = (IN_FIRST, sofa, {"op": "clip_number", "number": last}, {"op": "named", "clip": 2, "name": "cup"})
    pair = {"of": 1, "to": 3}
    asked: list[tuple[Program, str]] = [
        ((*both, {"op": "sooner", **pair, "end": "first"}), "sofa"),
        ((*both, {"op": "same_object", **pair}), "different"),
        ((*both[:3], {"op": "named", "clip": 2, "name": "sofa"}, {"op": "same_object", **pair}), "same"),
        ((IN_FIRST, sofa, {"op": "seen_clip", "of": 1, "end": "last"}), "ninth clip"),
    ]
    with stored(driver, {"run_tracked": graph}):
        for program, answer in asked:
            assert run_program(driver, "run_tracked", program) == evaluate(program, graph) == Outcome(answer)


def test_many_programs_take_few_round_trips_and_keep_their_order(small: Driver) -> None:
    asked: list[tuple[str, Program]] = [
        ("run_programs", (IN_FIRST, {**MAN, "name": name}, {"op": "name", "of": 1})) for name in ("cup", "bed", "cup")
    ]
    outcomes = run_programs(small, [*asked, ("no such run", (IN_FIRST,))])
    assert [o.answer for o in outcomes] == ["cup", "bed", "cup", ""]
    assert outcomes[-1].reason == "no_answer"


@pytest.fixture(scope="module")
def worlds(driver: Driver) -> Iterator[dict[str, int]]:
    runs = {f"run_world_{seed}": seed for seed in range(12)}
    with stored(driver, {run_id: truth(scene_with_times(seed)) for run_id, seed in runs.items()}):
        yield runs


def test_every_answer_is_right_in_both_readings(driver: Driver, worlds: dict[str, int]) -> None:
    report = QraReport()
    wanted = dict.fromkeys(range(1, 7), 36)
    mix = Mix(wanted, forms={"open": 0.4, "yes_no": 0.25, "choice": 0.25, "count": 0.1})
    samples = list(make_qra(driver, list(worlds), mix, seed=4, report=report))
    told = report.to_dict()
    assert told["by_steps"] == {str(n): count for n, count in wanted.items()}
    assert set(told["by_family"]) == set(FAMILIES) and set(told["by_form"]) == set(FORMS)
    assert set(report.temporal) == {0, 1, 2}, "an operator of time beside the search for a clip"
    again = run_programs(driver, [(q.run_id, q.program) for q in samples])
    assert [o.answer for o in again] == [q.answer for q in samples]
    for q in samples:
        graph = truth(scene_with_times(worlds[q.run_id]))
        assert evaluate(q.program, graph).answer == q.answer, q.question
        assert q.answer in q.rationale[-1]
        assert q.answer in q.options if q.form == "choice" else not q.options
        assert len(q.rationale) == q.steps == q.n_hops + q.n_temporal
        assert len(q.path) in (q.steps, q.steps - 1), "all steps but the search for a clip lead along the path"
    assert len({(q.run_id, q.question) for q in samples}) == len({q.id for q in samples}) == len(samples)
    for q in samples[::3]:
        stored_edges = [edge for edge in q.path if edge["kind"] != "PAIR"]
        assert len(path_edges(driver, q.run_id, q.path)) == len(stored_edges), q.path


def test_blind_guessing_does_not_pay(driver: Driver, worlds: dict[str, int]) -> None:
    """The best guess from the words alone, learned on half of the runs, is no better than chance on the other half."""
    mix = Mix({1: 180, 2: 180, 3: 180}, forms={"yes_no": 1.0, "choice": 1.0})
    samples = list(make_qra(driver, list(worlds), mix, seed=9))
    learned, tested = ([q for q in samples if worlds[q.run_id] % 2 == half] for half in (0, 1))
    right, shown = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for q in learned:
        guesses = q.options if q.form == "choice" else ("yes", "no")
        shown.update((q.family, guess) for guess in guesses)
        right[q.family, q.answer] += 1
    for form, chance in (("yes_no", 0.5), ("choice", 1 / 3)):
        asked = [q for q in tested if q.form == form]
        guessed = (
            max(q.options or ("yes", "no"), key=lambda g: (right[q.family, g] + 0.5) / (shown[q.family, g] + 1))
            == q.answer
            for q in asked
        )
        assert len(asked) >= 80 and sum(guessed) / len(asked) <= chance + 0.05


def test_the_mix_is_met(driver: Driver, worlds: dict[str, int]) -> None:
    report = QraReport()
    mix = Mix({1: 100, 3: 200}, families={"attribute": 1, "relation": 3}, forms={"open": 3, "choice": 1}, temporal=0)
    assert len(list(make_qra(driver, list(worlds), mix, seed=2, report=report))) == 300
    assert report.by(1) == pytest.approx({"attribute": 75, "relation": 225}, abs=6)
    assert report.by(2) == pytest.approx({"open": 225, "choice": 75}, abs=6)
    assert report.by(0) == {1: 100, 3: 200} and set(report.temporal) == {0}
    assert report.to_dict()["missing"] == {"steps": {}, "families": {}, "forms": {}}
    two_answers = Mix({1: 20, 2: 20}, families={"sameness": 1}, forms={"open": 1})
    told = Counter(q.answer for q in make_qra(driver, list(worlds), two_answers, seed=2))
    assert told.total() == 40 and abs(told["same"] - told["different"]) <= 4


def test_families_forms_and_answers_are_met_where_graphs_allow(driver: Driver, worlds: dict[str, int]) -> None:
    """Also where a family has not every form: what one form lacks, the family's others give."""
    report = QraReport()
    mix = Mix({1: 90, 2: 90, 3: 90}, families=dict.fromkeys(("attribute", "relation", "order", "sameness"), 1.0))
    samples = list(make_qra(driver, list(worlds), mix, seed=3, report=report))
    assert report.by(0) == mix.steps
    shares = Counter((q.steps, q.family) for q in samples)
    assert all(abs(shares[cell] - count) <= 1 for cell, count in mix.wanted().items()), shares
    told = Counter(q.answer for q in samples if q.form == "yes_no")
    assert abs(told["yes"] - told["no"]) <= len(mix.families), "as many of each in every family"
    assert not [q for q in samples if q.form == "choice" and not _fit(q.question, q.options)]


def _fit(question: str, options: Sequence[str]) -> bool:
    """Whether the noun of a question leaves all of its options."""
    noun = re.match(rf"(?:.*, )?[wW]hich (?:is the )?({'|'.join(SHAPES)}) ", question.split(":")[0])
    return noun is None or all(option.endswith(noun[1]) for option in options)


def test_the_same_request_gives_the_same_bytes(driver: Driver, worlds: dict[str, int]) -> None:
    runs = list(worlds)[:4]
    first, again, other = (
        [q.to_json() for q in make_qra(driver, runs, Mix({1: 8, 3: 8}), seed=seed)] for seed in (7, 7, 8)
    )
    assert first == again != other


def test_a_shortage_is_reported_not_filled_up(small: Driver) -> None:
    report = QraReport()
    samples = list(
        make_qra(
            small,
            ["run_programs", "no such run"],
            Mix({1: 500, 9: 3}, families={"attribute": 1}),
            seed=1,
            report=report,
        )
    )
    told = report.to_dict()
    assert told["wanted"] == {"1": 500, "9": 3}
    short = {"1": 500 - len(samples), "9": 3}
    assert told["missing"]["steps"] == short and told["missing"]["families"] == {"attribute": short}
    assert 0 < told["by_steps"]["1"] == len(samples) < 500
    assert {"ambiguous", "duplicate", "stuck", "leaks_answer"} <= set(told["rejected"])


def test_senseless_requests_are_refused() -> None:
    with pytest.raises(ValueError, match="1 or more"):
        Mix({0: 5})
    with pytest.raises(ValueError, match="families"):
        Mix({1: 5}, families={"attribute": 0})
    with pytest.raises(ValueError, match="edges"):
        Mix({1: 5}, edges={"RELATION": 0})
