"""Exported rows are checked against their graph: good ones pass, and each kind of damage is found (STEP Sec. 3.2)."""

import io
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.rationale import compose as composer
from model.rationale.counting import counted, tally
from model.rationale.evaluate import Evaluator, evaluate
from model.rationale.forms import choice, yes_no
from model.rationale.qra import Qra, content_id
from model.rationale.verify import Report, UnknownRun, verify
from model.rationale.walk import Setting, Walk
from model.stsg import Attribute, Motion, Relation, SceneGraph
from tests.model.test_rationale import (
    BLUE,
    BLUE_LATER,
    BLUE_MOVES,
    CUP,
    CUP_LEFT_OF_RED,
    GRAPH,
    GREEN,
    GREEN_ABOVE_RED,
    RED,
    SETTING,
    SIZE_OF_CUP,
    hop,
    walk,
)

Rows = list[dict[str, Any]]
MEMBERS = ((BLUE.id, BLUE.name), (GREEN.id, GREEN.name), (RED.id, RED.name))


def draft(path: Walk, setting: Setting = SETTING, **how: Any) -> composer.Draft:
    return composer.compose(path, setting, **how)


def number(path: Walk) -> Qra:
    """A question for a number, told as the service tells it: its last step names what the program found."""
    asked = tally(path, replace(SETTING, clips=(replace(SETTING.clips[0], members=MEMBERS), *SETTING.clips[1:])))
    found = evaluate(asked.program, GRAPH)
    return counted(asked, found.answer, found.listed)


SIZE = draft(walk("value", SIZE_OF_CUP, CUP_LEFT_OF_RED))
WHAT_MOVES = walk("action", replace(BLUE_MOVES, expanded=""))
LEFT_OF_BLUE = walk("subject", hop("RELATION", RED, BLUE, predicate="left of"))
SAMPLES = [
    SIZE.qra,
    draft(WHAT_MOVES, context="range").qra,
    draft(walk("predicate", GREEN_ABOVE_RED)).qra,
    yes_no(SIZE, "large", False),
    yes_no(SIZE, "small", True),
    choice(SIZE, ("large", "small", "tiny")),
    choice(draft(walk("object", GREEN_ABOVE_RED)), ("blue square", "red circle", "white cup")),
    number(LEFT_OF_BLUE),
]


def good_rows() -> Rows:
    return [json.loads(sample.to_json()) for sample in SAMPLES]


def lines(rows: Rows) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def checked(content: bytes, graph: SceneGraph = GRAPH) -> Report:
    graphs = {"run_1": graph}

    def evaluator_of(run_id: str) -> Evaluator:
        if run_id not in graphs:
            raise UnknownRun(f"there is no {run_id}")
        return Evaluator(graphs[run_id])

    return verify(io.BytesIO(content), evaluator_of)


def told(report: Report) -> list[tuple[int, str]]:
    return [(found.line, found.reason) for found in report.first]


def test_good_rows_of_every_form_pass() -> None:
    rows = good_rows()
    assert {row["form"] for row in rows} == {"open", "yes_no", "choice", "count"}
    report = checked(lines(rows) + b"\n")
    assert (report.rows, report.runs, report.counts, report.first) == (len(rows), 1, Counter(), [])


def signed(row: dict[str, Any]) -> dict[str, Any]:
    """The row with the id that its content has now: whoever forges a row can also hash it."""
    return row | {"id": content_id(row["run_id"], row["question"], row["answer"], tuple(row["program"]))}


@pytest.mark.parametrize(
    ("damage", "reasons"),
    [
        (lambda r: signed(r | {"answer": "tiny"}), ["bad_rationale", "wrong_answer"]),
        (lambda r: r | {"answer": "tiny"}, ["bad_id", "bad_rationale", "wrong_answer"]),
        (lambda r: signed(r | {"question": "What size is the small cup?"}), ["leaks_answer"]),
        (lambda r: r | {"question": "Which size has it?"}, ["bad_id"]),
        (lambda r: r | {"rationale": r["rationale"][:1]}, ["bad_rationale"]),
        (lambda r: r | {"rationale": [r["rationale"][0], "In the second clip, the cup is a smallish one."]}, ["bad_rationale"]),
        (lambda r: r | {"steps": 3}, ["bad_rationale"]),
        (lambda r: r | {"id": "qra_" + "0" * 24}, ["bad_id"]),
        (lambda r: signed(r | {"run_id": "run_2"}), ["unknown_run"]),
        (lambda r: signed(r | {"program": [{"op": "clip_number", "number": 9}]}), ["no_answer"]),
        (lambda r: signed(r | {"program": [r["program"][0], {"op": "named", "clip": 0, "name": "dog"}]}), ["no_answer"]),
        (lambda r: signed(r | {"program": [{"op": "clip_time", "t_from": 9, "t_to": 1}]}), ["ambiguous"]),
        (lambda r: signed(r | {"program": [*r["program"], {"op": "vanish", "of": 0}]}), ["malformed"]),
        (lambda r: signed(r | {"program": [{"op": "name", "of": 0}]}), ["malformed"]),
        (lambda r: signed(r | {"program": [r["program"][0], {"op": "name", "of": -1}]}), ["malformed"]),
        (lambda r: signed(r | {"program": [r["program"][0], {"op": "name", "of": 0}]}), ["malformed"]),
        (lambda r: signed(r | {"program": [r["program"][0], {"op": "count", "of": 0}]}), ["malformed"]),
        (lambda r: r | {"program": [["op"]]}, ["malformed"]),
        (lambda r: r | {"program": [{"op": "clip_number", "number": [0]}]}, ["malformed"]),
        (lambda r: r | {"program": []}, ["malformed"]),
        (lambda r: r | {"answer": 3}, ["malformed"]),
        (lambda r: r | {"answer": " "}, ["malformed"]),
        (lambda r: r | {"steps": True}, ["malformed"]),
        (lambda r: r | {"rationale": "small"}, ["malformed"]),
        (lambda r: r | {"question": "\ud800"}, ["malformed"]),
        (lambda r: {k: v for k, v in r.items() if k != "run_id"}, ["malformed"]),
    ],
)  # fmt: skip
def test_each_damage_is_found_with_its_line(damage: Callable[..., dict[str, Any]], reasons: list[str]) -> None:
    rows = good_rows()
    bad = json.dumps(damage(rows[0])).encode() + b"\n"
    report = checked(lines(rows[:3]) + bad + lines(rows[3:]))
    assert told(report) == [(4, reason) for reason in reasons]
    assert report.counts == Counter(reasons) and report.rows == len(rows) + 1
    assert json.loads(json.dumps(report.to_dict()))["findings"] == dict(Counter(reasons))


@pytest.mark.parametrize(
    "line",
    [b"{", b"null", b"[1]", b'"text"', b"\xff\xfe", b"[" * 100_000, b"9" * 10_000, b"{}", b'{"id": NaN}', b"\x00"],
    ids=lambda line: repr(line[:8]),
)
def test_what_is_no_row_is_malformed_and_the_others_are_checked(line: bytes) -> None:
    report = checked(lines(good_rows()[:1]) + line + b"\n" + lines([good_rows()[0] | {"answer": "tiny"}]))
    assert told(report) == [(2, "malformed"), (3, "bad_id"), (3, "bad_rationale"), (3, "wrong_answer")]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
PARAMETER = st.integers(-1, 3) | st.floats() | st.text(max_size=5)
OP = st.fixed_dictionaries(
    {"op": st.sampled_from([str(op["op"]) for sample in SAMPLES for op in sample.program] + ["same", "value", "doing"])},
    optional=dict.fromkeys(("of", "to", "clip", "number", "name", "type", "value", "all", "t_from", "t_to"), PARAMETER),
)  # fmt: skip


@given(key=st.sampled_from(sorted(good_rows()[0])), value=JSON | st.lists(OP, max_size=4))
def test_no_value_of_any_field_stops_the_check(key: str, value: Any) -> None:
    bad = json.dumps(good_rows()[0] | {key: value}).encode() + b"\n"
    report = checked(bad + lines(good_rows()))
    assert report.rows == len(SAMPLES) + 1 and {found.line for found in report.first} <= {1}


@given(program=st.lists(OP, min_size=1, max_size=5))
def test_no_program_stops_the_check(program: list[dict[str, Any]]) -> None:
    report = checked(json.dumps(good_rows()[0] | {"program": program}).encode())
    assert "bad_id" in report.counts or "malformed" in report.counts


def edited(**parts: Any) -> SceneGraph:
    return replace(GRAPH, **parts)


@pytest.mark.parametrize(
    ("graph", "reason"),
    [
        (edited(objects=tuple(replace(o, attributes=(Attribute("size", "vast"),)) if o is CUP else o for o in GRAPH.objects)), "wrong_answer"),
        (edited(relations=(*GRAPH.relations, Relation(BLUE.id, "left of", BLUE.id, 0, 0, 2))), "wrong_answer"),
        (edited(relations=tuple(r for r in GRAPH.relations if r.subject != CUP.id)), "no_answer"),
        (edited(motions=(*GRAPH.motions, Motion(BLUE_LATER.id, BLUE_LATER.id + "/2", "spinning", "", 0, 1, 2))), "ambiguous"),
        (edited(motions=(Motion(CUP.id, "nowhere", "falling", "", 1, 2, 3),)), "malformed"),
    ],
)  # fmt: skip
def test_an_edited_graph_is_caught(graph: SceneGraph, reason: str) -> None:
    assert reason in checked(lines(good_rows()), graph).counts


def test_a_choice_may_name_its_answer_only_among_its_options() -> None:
    row = next(row for row in good_rows() if row["options"] == ["blue square", "red circle", "white cup"])
    assert ": the blue square, the red circle or the white cup?" in row["question"]
    leak = signed(row | {"question": row["question"].replace("which object:", "which red circle:")})
    assert told(checked(lines([row, leak]))) == [(2, "leaks_answer")]


@pytest.mark.parametrize(
    ("predicate", "line"),
    [
        ("hold", "is holding the red circle."),
        ("is near", "is near the red circle."),
        ("wears", "wears the red circle."),
    ],
)
def test_a_last_line_may_inflect_the_answer(predicate: str, line: str) -> None:
    graph = edited(relations=(Relation(GREEN.id, predicate, RED.id, 0, 0, 2),))
    row = json.loads(draft(walk("predicate", replace(GREEN_ABOVE_RED, predicate=predicate))).qra.to_json())
    assert row["rationale"][-1].endswith(line)
    assert checked(lines([row]), graph).counts == Counter()


def test_each_graph_is_asked_for_once_and_the_first_findings_are_in_order() -> None:
    asked: list[str] = []

    def evaluator_of(run_id: str) -> Evaluator:
        asked.append(run_id)
        if run_id == "run_9":
            raise UnknownRun("gone")
        return Evaluator(GRAPH)

    rows = [signed(good_rows()[0] | {"run_id": f"run_{(7 * n) % 10}"}) for n in range(40)]
    rows[39] |= {"steps": 9}
    report = verify(io.BytesIO(lines(rows)), evaluator_of)
    assert Counter(asked) == Counter(row["run_id"] for row in rows[:10])
    assert report.counts == {"unknown_run": 4, "bad_rationale": 1} and report.runs == 10
    assert [f.line for f in report.first] == [8, 18, 28, 38, 40]
    many = checked(lines([row | {"id": "x"} for row in good_rows() * 3]))
    assert many.counts == {"bad_id": 3 * len(SAMPLES)} and [f.line for f in many.first] == list(range(1, 11))
    assert isinstance(many.to_dict()["first"][0], Mapping)
