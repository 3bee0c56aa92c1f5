"""Official scoring rules: published scores come out again, and the known faults are off unless asked for."""

import json
import lzma
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from trainer.benchmarks import agqa, choices, judging, star, tempcompass
from trainer.benchmarks.items import UNREAD, Item, Outcome, Scoring
from trainer.benchmarks.report import scores

OUTPUTS = Path(__file__).parent / "tempcompass" / "outputs.json.xz"

# As published: README (Video-LLaVA's first row), auto_eval_results (all), leaderboard (the averages).
AVERAGES = {
    "video-llava": {"multi-choice": 45.6, "yes_no": 56.4, "caption_matching": 63.3, "captioning": 34.8},
    "gemini": {"multi-choice": 63.9, "yes_no": 70.3, "caption_matching": 77.4, "captioning": 57.9},
}
ASPECTS = {"action": 76.0, "direction": 35.2, "speed": 35.6, "order": 37.7, "attribute_change": 41.0}
FINER = {
    "fine-grained action": 58.8,
    "coarse-grained action": 90.3,
    "object motion": 36.2,
    "camera motion": 32.6,
    "absolute speed": 47.6,
    "relative speed": 28.0,
    "order": 37.7,
    "color & light change": 43.6,
    "size & shape change": 39.4,
    "combined change": 41.7,
    "other change": 38.9,
}


def item(question="?", answer="", options=(), **more) -> Item:
    return Item("1", "v", question, answer, question, tuple(options), **more)


def worth(scoring: Scoring, asked: Item, reply: str, judge: str | None = None) -> Outcome:
    """What a reply comes to, with one reply of the judge."""
    by_rule = scoring.rule(asked, reply)
    if by_rule is not None:
        return by_rule
    return (scoring.verdict(asked, judge) if judge is not None else None) or scoring.unjudged


def published(model: str, task: str) -> Iterator[tuple[Item, str | None, str | None, int]]:
    rows = json.loads(lzma.decompress(OUTPUTS.read_bytes()))[model][task]
    at = 0
    for aspect, finer, reply, answer, options, said, rating, count in rows:
        for _ in range(count):
            at += 1
            groups = {"aspect": (aspect,), "finer aspect": (finer,)}
            yield Item(str(at), "v", "", answer, "", tuple(options), groups=groups), reply, said, rating


@pytest.mark.parametrize("model", AVERAGES)
@pytest.mark.parametrize("task", tempcompass.TASKS)
def test_published_tempcompass_scores_come_out_to_the_decimal_and_item_by_item(model, task):
    rule = tempcompass.scoring(task, official=True)
    results = {}
    for asked, reply, said, rating in published(model, task):
        outcome = UNREAD if reply is None else worth(rule, asked, reply, said)
        assert (outcome.points if outcome.points is not None else int(outcome.right)) == rating
        results[asked.id] = (asked, outcome)
    assert len(results) == tempcompass.TASKS[task]
    table = scores(results)
    assert round(100 * table["all", "all"].accuracy, 1) == AVERAGES[model][task]
    if (model, task) == ("video-llava", "multi-choice"):
        assert {a: round(100 * table["aspect", a].accuracy, 1) for a in ASPECTS} == ASPECTS
        assert {a: round(100 * table["finer aspect", a].accuracy, 1) for a in FINER} == FINER


def test_strict_reading_changes_published_scores_only_where_a_judge_did_not_keep_to_its_two_words():
    other = defaultdict(list)
    for model in AVERAGES:
        for task in tempcompass.TASKS:
            for asked, reply, said, rating in published(model, task):
                outcome = UNREAD if reply is None else worth(tempcompass.scoring(task), asked, reply, said)
                if int(outcome.right) != rating:
                    other[model, task].append(said)
    assert {key: len(found) for key, found in other.items()} == {("gemini", "multi-choice"): 1}
    assert other["gemini", "multi-choice"][0].startswith("The QA model prediction is correct.")


@pytest.mark.parametrize(
    ("task", "asked", "reply", "judge", "official", "strict"),
    [
        ("yes_no", item(answer="no"), "Nothing of the kind", None, 1, 0),
        ("yes_no", item(answer="yes"), "Yesterday it did", None, 1, 0),
        ("yes_no", item(answer="yes"), "It does.", "Not Correct", 1, 0),
        ("yes_no", item(answer="yes"), "It does.", "correct", 0, 1),
        ("multi-choice", item(answer="A. run"), "running", "I cannot tell.", 0, 0),
        ("captioning", item(answer="A. run"), "a man", "", -1, 0),
        ("captioning", item(answer="A. run"), "a man", "Reasoning: x\nAnswer: A. run", 1, 1),
        ("captioning", item(answer="A. run"), "a man", "Answer: A. run, B. walk", 0, 0),
        (
            "caption_matching",
            item(options=("Option 1: Note: up", "Option 2: Note: down"), answer="Option 2: Note: down"),
            "Note: up",
            None,
            0,
            0,
        ),
        (
            "caption_matching",
            item(options=("Caption A: up", "Caption B: down"), answer="Caption B: down"),
            "B.",
            None,
            1,
            1,
        ),
    ],
)
def test_faults_of_tempcompass_are_a_switch(task, asked, reply, judge, official, strict):
    one, other = (worth(tempcompass.scoring(task, switch), asked, reply, judge) for switch in (True, False))
    assert [o.points if o.points is not None else int(o.right) for o in (one, other)] == [official, strict]


RED = item(answer="red", options=("red", "blue"))


@pytest.mark.parametrize(
    ("reply", "official", "strict", "read"),
    [
        ("A", True, True, True),
        ("A) red", True, True, True),
        ("B", False, False, True),
        ("Best option: (A) red", False, True, True),
        ("Option A", False, True, True),
        ("The answer is blue.", False, False, True),
        ("", True, False, False),
        (".", True, False, False),
        ("( the man", False, False, False),
        ("A man opens a door", True, False, False),
        ("red or blue", False, False, False),
    ],
)
def test_faults_of_mvbench_are_a_switch(reply, official, strict, read):
    assert worth(choices.chosen(official=True), RED, reply).right is official
    assert worth(choices.chosen(), RED, reply) == Outcome(strict, read)


def test_an_option_may_begin_like_an_announcement():
    phone = item(answer="Answering the phone.", options=("Answering the phone.", "Optional."))
    assert worth(choices.chosen(), phone, "Answering the phone.") == Outcome(True, True)
    assert worth(choices.chosen(), phone, "Answer: optional") == Outcome(False, True)


@pytest.mark.parametrize(
    ("said", "official", "strict"),
    [
        ("{'pred': 'yes', 'score': 4}", Outcome(True, score=4), Outcome(True, score=4)),
        ("{'pred': 'No', 'score': 0}", Outcome(False, score=0), Outcome(False, score=0)),
        ("{'pred': 'yes', 'score': 4.8}", Outcome(True, score=4), None),
        ("{'pred': 'yes', 'score': 7}", Outcome(True, score=7), None),
        ("{'pred': 'yes/no', 'score': 3}", Outcome(True, score=3), None),
        ("{'pred': 'maybe', 'score': 3}", Outcome(False, score=3, counts=False), None),
        ("Sure: {'pred': 'yes', 'score': 5}", None, Outcome(True, score=5)),
        ("I would say yes, 4", None, None),
        ("{'pred': __import__('os').getcwd(), 'score': 5}", None, None),
        ("[" * 5000, None, None),
    ],
)
def test_faults_of_the_judges_reading_are_a_switch(said, official, strict):
    assert judging.judged(official=True).verdict(item(), said) == official
    assert judging.judged().verdict(item(), said) == strict


def test_a_judge_is_told_question_answer_and_reply_even_where_these_have_braces():
    asked = item(question="what is {answer}?", answer="{reply}")
    told = judging.VIDEO_CHATGPT.filled(asked, "a {question}")
    assert (
        "Question: what is {answer}?\nCorrect Answer: {reply}\nPredicted Answer: a {question}\n" in told
        and told.endswith("{'pred': 'yes', 'score': 4.8}.")
    )


def test_indirect_references_have_a_recall_and_a_precision_over_those_whose_direct_form_was_right():
    def asked(id, direct, right, *kinds):
        found = Item(id, "v", "?", "a", "?", groups={"indirect": kinds}, direct=direct)
        return id, (found, Outcome(right))

    results = dict(
        [
            asked("d1", "d1", True),
            asked("d2", "d2", False),
            asked("i1", "d1", True, "time", "any"),
            asked("i2", "d1", False, "time", "any"),
            asked("i3", "d2", True, "time", "any"),
            asked("i4", "never asked", True, "object", "any"),
        ]
    )
    assert agqa.references(results) == {
        "indirect object: recall": 1.0,
        "indirect time: recall": 2 / 3,
        "indirect time: precision": 0.5,
        "indirect any: recall": 0.75,
        "indirect any: precision": 0.5,
    }


def test_stars_steps_are_calibrated_to_the_papers_shares_within_what_templates_can_mean():
    counts = {"Interaction_T1": 1744, "Sequence_T1": 2000, "Sequence_T5": 1978, "Feasibility_T6": 1376}
    table = star.calibrated(counts)
    assert [round(share, 2) for share in star.shares(counts, table)] == list(star.SHARES)
    assert (table["Sequence_T1"], table["Sequence_T5"], table["Feasibility_T6"]) == (2, 2, 3)
    assert star.calibrated({"Interaction_T3": 3}) == star.STEPS  # too few to say anything


def test_stars_mean_weighs_the_four_types_alike():
    def asked(id, kind, right):
        return id, (Item(id, "v", "?", "a", "?", groups={"type": (kind,)}), Outcome(right))

    rights = [("Interaction", True)] * 5 + [("Sequence", False), ("Prediction", True), ("Feasibility", False)]
    results = dict(asked(str(at), kind, right) for at, (kind, right) in enumerate(rights))
    assert star.mean(results) == {"mean of the four types": 0.5}
    assert star.mean({"0": results["0"]}) == {}


@pytest.mark.parametrize("wrapped", ["<think>no. Not Correct {'pred': 'no', 'score': 0} A.</think>{}", "{}<|im_end|>"])
def test_what_stands_around_a_reply_or_a_verdict_is_taken_off_but_for_the_official_rule(wrapped):
    asked = {"multi-choice": item(answer="B. down"), "yes_no": item(answer="yes")}
    for task, reply in (("multi-choice", "B"), ("yes_no", "Yes")):
        outcome = tempcompass.scoring(task).rule(asked[task], wrapped.replace("{}", reply))
        assert outcome == Outcome(right=True)
    assert tempcompass.scoring("yes_no").verdict(asked["yes_no"], wrapped.replace("{}", "Correct")) == Outcome(
        right=True
    )
    assert tempcompass.scoring("multi-choice", official=True).rule(asked["multi-choice"], "<think>A</think>B") is None
    mark = wrapped.replace("{}", "{'pred': 'yes', 'score': 4}", 1)
    assert judging.judged().verdict(item(), mark) == Outcome(right=True, score=4)
