"""The world benchmark as it is shipped: true, balanced, hard to guess, and made anew to the same bytes."""

from collections import Counter

import pytest
from neo4j import Driver

from model.rationale.evaluate import evaluate
from trainer.evaluation import world
from trainer.evaluation.benchmark import STRATA, stratum
from trainer.evaluation.scoring import correct, read_ending
from trainer.world.scene import HELD_OUT, Scene
from trainer.world.truth import truth
from workers import world_questions

SPLITS = {"test": 200, "composition": 200, "shifted": 60, "validation": 60}  # and how many worlds each asks about


@pytest.mark.parametrize("split", SPLITS)
def test_every_answer_follows_from_the_true_graph_and_ends_its_rationale(split: str) -> None:
    rows = world.rows(split)  # type: ignore[arg-type]
    graphs = {seed: truth(Scene.generate(seed, split=split)) for seed in {row["seed"] for row in rows}}  # type: ignore[arg-type]
    assert [r for r in rows if evaluate(tuple(r["program"]), graphs[r["seed"]]).answer != r["answer"]] == []
    assert [r for r in rows if not correct(read_ending("\n".join(r["rationale"])) or "", r["answer"])] == []
    assert all(len(r["rationale"]) == r["steps"] for r in rows)


@pytest.mark.parametrize("split", SPLITS)
def test_each_world_has_as_good_as_all_questions_of_each_stratum_and_few_can_be_guessed(split: str) -> None:
    items = world.benchmark(split).items  # type: ignore[arg-type]
    prior = world.benchmark(split).prior  # type: ignore[arg-type]
    assert set(Counter((i.video_id, stratum(i.steps)) for i in items).values()) <= {
        world.PER_WORLD,
        world.PER_WORLD - 1,
    }
    most = SPLITS[split] * len(STRATA) * world.PER_WORLD
    assert most - 5 <= len({i.id for i in items}) == len(items) <= most
    assert {i.steps for i in items} == {1, 2, 3, 4, 5}
    for part in STRATA:
        asked = [i for i in items if stratum(i.steps) == part]
        assert sum(correct(prior.guess(i.question), i.answer) for i in asked) <= 0.2 * len(asked)


def test_worlds_with_new_combinations_show_one_and_the_others_none() -> None:
    for split in SPLITS:
        for seed in {row["seed"] for row in world.rows(split)}:  # type: ignore[arg-type]
            clips = Scene.generate(seed, split=split).clips  # type: ignore[arg-type]
            shown = {(t.color, t.shape) for clip in clips for t in clip.things}
            assert bool(shown & HELD_OUT) is (split == "composition")


def test_new_questions_are_like_the_kept_ones(driver: Driver) -> None:
    """The kept ones stay as they are, so that scores can be compared, when questions come to be put otherwise."""
    part = world_questions.parts("test")[0][:2]
    made = world_questions.questions(driver, "test", part)
    kept = [row for row in world.rows("test") if row["seed"] in part]
    assert {tuple(row) for row in made} == {tuple(row) for row in kept}
    per_world = Counter((row["seed"], stratum(row["steps"])) for row in made)
    assert set(per_world.values()) <= {world.PER_WORLD, world.PER_WORLD - 1} and len(per_world) == 2 * len(STRATA)
    graphs = {seed: truth(Scene.generate(seed, split="test")) for seed in part}
    assert [r for r in made if evaluate(tuple(r["program"]), graphs[r["seed"]]).answer != r["answer"]] == []


def test_keyframes_come_from_the_seed_two_of_each_clip_in_order_of_time() -> None:
    item = world.benchmark("test").items[0]
    frames = world.keyframes(item.video_id)
    clips = world.scene_of(item.video_id).clips
    assert len(frames) == 2 * len(clips) <= 8
    assert [int(f.t // 2) for f in frames] == [at // 2 for at in range(len(frames))]
    assert sorted(f.t for f in frames) == [f.t for f in frames] and frames[0].video_id == item.video_id
