"""The floor beside a score: how often a guess is right, and how far answers are above it."""

import random

import pytest

from trainer.evaluation import world
from trainer.evaluation.floor import Floor, Guess
from trainer.evaluation.report import Report
from trainer.evaluation.run import Verdict
from trainer.evaluation.world_guess import guess
from trainer.world.scene import Scene, SceneClip, Thing
from trainer.world.truth import truth

RED = Thing("red", "square", "small", column=0, row=0)
BLUE = Thing("blue", "square", "large", "moving left", column=2, row=1)
GREEN = Thing("green", "circle", "large", "moving up", column=3, row=3)
WHITE = Thing("white", "square", "small", column=1, row=0)
SCENE = Scene(0, "test", (SceneClip("lab", (RED, BLUE, GREEN), 0), SceneClip("night", (WHITE, RED), 0)))
FIRST = {"op": "clip_number", "number": 0}
HAVING = {"op": "having", "clip": 0, "category": "square", "type": "size", "value": "large"}


@pytest.mark.parametrize(
    ("question", "last", "answer", "in_video", "in_clip"),
    [
        ("Which square is large in the first clip?", {"op": "name", "of": 1}, "blue square", 1 / 3, 1 / 2),
        ("Which object is large and a square in the first clip?", {"op": "name", "of": 1}, "blue square", 1 / 4, 1 / 3),
        ("Which square has not the size of the red square?", {"op": "name", "of": 1}, "blue square", 1 / 2, 1),
        ('In "the red square is still", which square is large?', {"op": "name", "of": 1}, "blue square", 1 / 3, 1 / 2),
        ("What is the large square of the first clip doing?", {"op": "action", "of": 1}, "moving left", 1 / 2, 1 / 2),
        ("What is the color of it?", {"op": "value", "of": 1, "type": "color"}, "blue", 1 / 5, 1 / 3),
        ("What is the size of it?", {"op": "value", "of": 1, "type": "size"}, "large", 2 / 5, 2 / 3),
    ],
)
def test_a_guess_is_among_the_things_of_the_kind_that_the_question_leaves(
    question: str, last: dict[str, object], answer: str, in_video: float, in_clip: float
) -> None:
    row = {"question": question, "answer": answer, "program": [FIRST, HAVING, last]}
    expected = Guess(pytest.approx(in_video), pytest.approx(in_clip), forced=in_clip == 1)  # type: ignore[arg-type]
    assert guess(SCENE, truth(SCENE), row, "1") == expected


def test_a_count_is_guessed_by_its_phrasing() -> None:
    row = {"question": "How many?", "answer": "2", "program": [FIRST, HAVING | {"all": 1}, {"op": "count", "of": 1}]}
    assert [guess(SCENE, truth(SCENE), row, usual).in_video for usual in ("2", "3")] == [1, 0]


def test_a_guesser_has_no_skill_and_a_perfect_answer_has_all() -> None:
    items = world.benchmark("test").items
    guesses = [item.guess for item in items if item.guess]
    videos = [item.video_id for item in items]
    assert len(guesses) == len(items)
    rng = random.Random(0)
    drawn = [rng.random() < g.in_video for g in guesses]
    floor = Floor.of(drawn, guesses, videos, seed=0)
    assert floor.skill_interval[0] < 0 < floor.skill_interval[1]
    perfect = Floor.of([True] * len(items), guesses, videos, seed=0)
    assert perfect.skill == pytest.approx(1) and perfect.unforced_correct == perfect.unforced < len(items)
    assert floor.in_video < floor.in_clip < 0.6


def test_scores_without_a_guess_for_each_question_have_no_floor() -> None:
    one = Verdict("a", "v", 1, "x", True, False, False, False, Guess(0.5, 1.0, forced=True))
    other = Verdict("b", "v", 1, "x", True, False, False, False)
    assert Report.of_verdicts("m", [one]).scores["1"].floor is not None
    assert Report.of_verdicts("m", [one, other]).scores["1"].floor is None
