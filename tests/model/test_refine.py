"""A rewrite may change words and nothing else (STEP App. A.2)."""

import json
from typing import Any

import pytest

from model.rationale.refine import Rewrite, refined, request, vocabulary, why_not

ROW: dict[str, Any] = {
    "question": "In the second clip, what is the color of the object left of the cup that is small?",
    "rationale": [
        "In the second clip, the object that is small is the cup.",
        "In the second clip, the object left of the cup is the red book.",
        "In the second clip, the color of the red book is red.",
    ],
    "answer": "red",
    "program": [
        {"op": "clip_number", "number": 1},
        {"op": "having", "clip": 0, "category": "cup", "type": "size", "value": "small"},
        {"op": "related", "of": 1, "side": "subject", "predicate": "left of", "category": ""},
        {"op": "value", "of": 2, "type": "color"},
    ],
}
OTHERS = [{"question": "", "rationale": [], "answer": "blue", "program": [{"op": "is", "of": 0, "value": "above"}]}]
KNOWN = vocabulary([ROW, *OTHERS])
STEPS = (
    "The small object in the second clip turns out to be the cup.",
    "In that second clip, standing left of the cup is the red book.",
    "Its color, in the second clip, is that of the red book: red.",
)
GOOD = "What color is the object that stands left of the small cup in the second clip?"


def told(question: str = GOOD, steps: tuple[str, ...] = STEPS, answer: str = "red") -> str:
    numbered = " ".join(f"{i}. {s}" for i, s in enumerate(steps, 1))
    return json.dumps({"Q": question, "R": numbered, "A": answer})


def row(**changed: Any) -> dict[str, Any]:
    return ROW | {"question": "In the second clip, what is the color of the object left of the small cup?"} | changed


def test_a_rewrite_in_other_words_is_taken_and_the_template_kept() -> None:
    steps = (ROW["rationale"][0], ROW["rationale"][1], "So in the second clip the color of the red book is red.")
    found = refined(row(), f"Sure! {told(steps=steps)} I hope this helps.", KNOWN, "abc")
    assert isinstance(found, dict)
    assert (found["question"], found["rationale"], found["answer"]) == (GOOD, list(steps), "red")
    assert found["template"] == {"question": row()["question"], "rationale": ROW["rationale"], "exchange": "abc"}
    assert {k: v for k, v in found.items() if k not in ("question", "rationale", "template")} == {
        k: v for k, v in ROW.items() if k not in ("question", "rationale")
    }


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("What color is the object right of the small cup in the second clip?", "invented"),
        ("What color is the cup left of the small object in the second clip?", "lost"),
        ("What color is the object that stands left of the small cup in the third clip?", "lost"),
        ("What color is the object left of the cup in the second clip?", "lost"),
        ("What color is the object not left of the small cup in the second clip?", "negated"),
        ("What color is the red object left of the small cup in the second clip?", "leaks_answer"),
        ("What color is the blue object left of the small cup in the second clip?", "invented"),
        ("What color is the object above and left of the small cup in the second clip?", "invented"),
        ("What color is the object left of the small cup in the second clip", "lost"),
        (GOOD + " please" * 60, "too_long"),
    ],
)
def test_a_question_that_says_something_else_is_not(question: str, reason: str) -> None:
    assert why_not(row(), Rewrite(question, tuple(ROW["rationale"]), "red"), KNOWN) == reason


@pytest.mark.parametrize(
    ("steps", "answer", "reason"),
    [
        (tuple(ROW["rationale"][:2]), "red", "steps_changed"),
        (tuple(ROW["rationale"]), "blue", "answer_changed"),
        ((*ROW["rationale"][:2], "In the second clip, it is what it is."), "red", "lost"),
        ((*ROW["rationale"][:2], "In the second clip, the color of the red book is blue."), "red", "invented"),
        ((ROW["rationale"][1], ROW["rationale"][0], ROW["rationale"][2]), "red", "invented"),
    ],
)
def test_a_rationale_that_says_something_else_is_not(steps: tuple[str, ...], answer: str, reason: str) -> None:
    assert why_not(row(), Rewrite(GOOD, steps, answer), KNOWN) == reason


def test_where_two_clips_are_told_neither_may_move() -> None:
    program = [*ROW["program"], {"op": "clip_number", "number": 0}]
    two = row(question="Which object of the second clip is the cup of the first clip?", program=program)
    swapped = Rewrite("Which object of the first clip is the cup of the second clip?", tuple(ROW["rationale"]), "red")
    assert why_not(two, swapped, KNOWN) == "lost"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "empty"),
        ("I'm sorry, I can't help with that.", "refusal"),
        ("the cup " * 4000, "loop"),
        ("x" * 1_000_000, "loop"),
        ('{"Q": "What', "no_question_rationale_answer"),
        ('{"Q": "What?", "R": 3, "A": "red"}', "no_question_rationale_answer"),
        ('{"Q": "What?", "R": "", "A": "red"}', "empty_part"),
        ("[1, 2, 3]", "no_question_rationale_answer"),
        (told(question=ROW["question"], steps=tuple(ROW["rationale"])), "unchanged"),
    ],
)
def test_any_reply_is_read_or_counted(reply: str, reason: str) -> None:
    assert refined(dict(ROW), reply, KNOWN) == reason


def test_the_prompt_numbers_the_steps_as_it_wants_them_back() -> None:
    for prompt_set in ("standard", "compact"):
        asked = request(ROW, prompt_set)
        assert asked.frames == () and ROW["question"] in asked.text and f"3. {ROW['rationale'][2]}" in asked.text
