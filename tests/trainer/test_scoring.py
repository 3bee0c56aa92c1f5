import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.evaluation.closed import read_choice, read_yes_no
from trainer.evaluation.normal import normalised
from trainer.evaluation.scoring import correct, read_ending


@pytest.mark.parametrize(
    ("reply", "answer", "right"),
    [
        ("red circle", "red circle", True),
        ("The Red  Circle.\n", "red circle", True),
        ("left-of", "left of", True),
        ("Two", "2", True),
        ("2.", "two", True),
        ("\uff32ed", "red", True),  # full-width letters
        ("it\u2019s", "it's", True),
        ("red circles", "red circle", False),
        ("a red circle on the left", "red circle", False),
        ("circle red", "red circle", False),
        ("2.5", "2", False),
        ("12", "1 2", False),
        ("", "red", False),
        ("...", "red", False),
        ("...", "!", False),  # nothing equals nothing, and is still no answer
        ("the", "a", False),
        ("\u8d64\u3044\u5186", "\u8d64\u3044\u5186", True),
        ("Yes, it is.", "yes", True),
        ("No", "yes", False),
        ("yes and no", "yes", False),
        ("I would say yes", "yes", False),
        ("not at all", "no", False),
        ("red " * 100_000, "red", False),
    ],
)
def test_an_open_answer_is_right_only_where_it_matches_exactly_after_the_normalisation(reply, answer, right):
    assert correct(reply, answer) is right


OPTIONS = ("red circle", "circle", "blue square")


@pytest.mark.parametrize(
    ("reply", "chosen"),
    [
        ("the blue square", "blue square"),
        ("It is the red circle.", "red circle"),
        ("C", "blue square"),
        ("(b)", "circle"),
        ("A. the red circle", "red circle"),
        ("A circle", "circle"),
        ("A) it depends", "red circle"),
        ("A. the blue square", None),
        ("red circle or blue square", None),
        ("D", None),
        ("", None),
        ("scircle", None),
    ],
)
def test_a_choice_is_read_by_its_words_or_its_letter_and_not_where_both_disagree(reply, chosen):
    assert read_choice(reply, OPTIONS) == chosen
    assert correct(reply, "red circle", OPTIONS) is (chosen == "red circle")


@pytest.mark.parametrize(
    ("rationale", "answer"),
    [
        ("In the first clip, the object above the red cross is the blue square.", "the blue square"),
        ("First.\nThe small objects are the red cross and the blue square, which makes 2.\n", "2"),
        ("In the first clip, the white cross is moving left, so the answer is yes.", "yes"),
        ("... Therefore:\n**Answer:** small", "small"),
        ("moving left", "moving left"),
        ("The red cross is the one that the blue square has been next to.", None),
        ("", None),
    ],
)
def test_the_answer_is_read_from_the_end_of_a_rationale(rationale, answer):
    assert read_ending(rationale) == answer


COLOURS = ("the red circle", "the blue square", "a green star")


@pytest.mark.parametrize(
    "reply",
    [
        "**B**",
        "The correct answer is B.",
        "Answer: **B**",
        "B\n\nExplanation: it is blue.",
        "B\n\nUnlike A and C, it is blue.",
        "B, because it is blue",
        "B because it is blue",
        "<answer>B</answer>",
        "\\boxed{B}",
        "$\\boxed{\\text{B}}$",
        "`B`",
        "B\u3002",
        "\uff22",
        "\uff08B\uff09",
        "[B]",
        "b)",
        "b.",
        "B: the blue square",
        "B - the blue square",
        "Option B",
        "option (B) is correct",
        "Based on the video, the answer is (B).",
        "<think>A or C?</think>\nB",
        "<think>Not A. So B.</think>\n\n**Answer: (B)**<|im_end|>",
        "The best option is: (B) the blue square.",
        "I would choose B.",
        "I'd go with option B, as it is blue.",
        "(A) shows a red circle, which does not move. The answer is (B).",
        "A red circle is in the first clip, but the answer is the blue square.",
        "Option A is a red circle. Option C is a star. Option B is the correct answer.",
        "Final answer: B",
        '{"answer": "B"}',
        '{"reasoning": "...", "answer": "B"}',
        '```json\n{"answer": "B"}\n```',
        "Sure! Here is the answer: B. Let me know if you need anything else!",
        "It must be (B), given the colour.",
        "It is the blue square.",
        "### B",
        '"B"',
        "It's not A, but B.",
        "The answer is not A, but B.",
        "not the red circle, but the blue square",
        "Neither A nor C, so B.",
        "C is wrong and A is wrong, so B.",
        "A and C are incorrect. So B.",
        "B, not A",
        "A is red, C is green. B is the answer.",
        "{'answer': 'B'}",
        "\u7b54\u6848\u662fB",
        "The blue square is not moving.",
    ],
)
def test_a_choice_is_read_in_every_form_that_models_give_it(reply):
    assert read_choice(reply, COLOURS) == COLOURS[1]


@pytest.mark.parametrize(
    "reply",
    [
        "A or B",
        "A/B",
        "A and B",
        "(A) or (B)",
        "The answer is A or B.",
        "It is either (A) or (B).",
        "A, B",
        "the red circle or the blue square",
        "The answer is D.",
        "A man walks by.",
        "I do not know.",
        "<think>It is B",
        "Both B and C fit.",
        "The answer is not clear.",
        "not B",
        "The answer is not B.",
        "Option B is not correct.",
        "B is wrong.",
        "B isn't right",
        "It isn't the blue square.",
        "not A or B",
        "A. the red circle\nB. the blue square\nC. a green star",
        "C++",
        "A.M.",
        "",
    ],
)
def test_nothing_is_guessed_where_a_reply_names_no_option_or_several(reply):
    assert read_choice(reply, COLOURS) is None


@given(st.text(alphabet='ABCDE abcde().:,*\n<>{}"redcirclbluorandswi', max_size=60))
def test_no_option_is_chosen_that_a_reply_does_not_name(reply):
    said = read_choice(reply, COLOURS)
    if said is not None:
        letter = "ABC"[COLOURS.index(said)]
        assert letter in reply or letter.lower() in reply or normalised(said) in normalised(reply)


@given(st.text())
def test_every_text_is_read_or_not(reply):
    assert read_choice(reply, COLOURS) in (None, *COLOURS) and read_yes_no(reply) in (None, "yes", "no")


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("The answer is yes.", "yes"),
        ("Answer: Yes", "yes"),
        ("**Yes**, it does.", "yes"),
        ("Yes, no doubt", "yes"),
        ("Yes, there is no cup.", "yes"),
        ("No, there isn't.", "no"),
        ("<think>Yes? No?</think>No.", "no"),
        ("\\boxed{No}", "no"),
        ("The man sits. So the answer is no.", "no"),
        ("No<|im_end|>", "no"),
        ("Based on the video, yes.", "yes"),
        ("No idea.", None),
        ("No way to tell.", None),
        ("No one knows.", None),
        ("No answer can be given.", None),
        ("No video was provided.", None),
        ("Yes or no?", None),
        ("yes/no", None),
        ("No, yes it is", None),
        ("Yes. No.", None),
        ("It is not certain", None),
    ],
)
def test_yes_and_no_are_read_in_every_form_that_models_give_them(reply, expected):
    assert read_yes_no(reply) == expected


def test_an_option_that_denies_another_is_read() -> None:
    assert read_choice("It is not moving.", ("moving", "not moving")) == "not moving"
    assert read_choice("moving", ("moving", "not moving")) == "moving"


def test_yes_and_no_are_read_from_the_first_word():
    assert [read_yes_no(r) for r in ("Yes.", "no, it isn't", "Nope", "", "maybe yes")] == [
        "yes",
        "no",
        None,
        None,
        None,
    ]


def test_a_text_of_articles_alone_keeps_them():
    assert (normalised("The"), normalised("the a circle")) == ("the", "circle")


def test_scoring_needs_no_torch():
    told = "import sys, trainer.evaluation.scoring; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", told]).returncode == 0
