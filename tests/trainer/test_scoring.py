import subprocess
import sys

import pytest

from trainer.evaluation.scoring import correct, normalised, read_choice, read_ending, read_yes_no


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
