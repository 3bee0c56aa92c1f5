"""The rendered world: the same for the same seed, and what it says is what can be seen."""

import hashlib
import json
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from model.stsg import SceneGraph
from trainer.world.oracle import holds
from trainer.world.render import frame, position
from trainer.world.scene import HELD_OUT, Scene, SceneClip, Split, relation
from trainer.world.score import KINDS, Score, chance, score
from trainer.world.truth import truth

SCENES = [Scene.generate(seed) for seed in range(60)]
AS_IT_WAS = "3cb624c391a631833206a2b3f1de781747244b6c7b9d5cf9ab61d3b0ef968182"  # of scenes that figures and committed weights stand on
SEEN = {"red": 0, "green": 1, "blue": 2}


def test_a_seed_is_a_scene_and_splits_share_none() -> None:
    assert Scene.generate(5) == Scene.generate(5) != Scene.generate(6)
    assert Scene.from_dict(Scene.generate(5).to_dict()) == Scene.generate(5)
    assert len({Scene.generate(5, split=s).clips for s in get_args(Split)}) == 5


def test_rivals_share_colours_and_never_names_and_none_is_the_world_as_it_was() -> None:
    assert Scene.generate(5, rivals=0.0) == Scene.generate(5)
    told = json.dumps([Scene.generate(seed, split="train").to_dict() for seed in range(60)])
    as_it_was = told.replace(', "palette": "plain"', "")  # which scenes came to tell later
    assert hashlib.sha256(as_it_was.encode()).hexdigest() == AS_IT_WAS
    sharing = 0
    for seed in range(60):
        for clip in Scene.generate(seed, split="train", rivals=0.9).clips:
            assert len({t.name for t in clip.things}) == len(clip.things)
            assert not {(t.color, t.shape) for t in clip.things} & HELD_OUT
            sharing += len({t.color for t in clip.things}) < len(clip.things)
    assert sharing > 100
    with pytest.raises(ValueError, match="rivals is 1"):
        Scene.generate(5, rivals=1)


def test_only_the_composition_split_shows_the_held_out_pairs() -> None:
    def pairs(split: str) -> set[tuple[str, str]]:
        scenes = [Scene.generate(seed, split=split) for seed in range(300)]  # type: ignore[arg-type]
        return {(t.color, t.shape) for s in scenes for c in s.clips for t in c.things}

    assert not (pairs("train") | pairs("validation") | pairs("test")) & HELD_OUT
    assert not pairs("shifted") & HELD_OUT
    assert pairs("composition") >= HELD_OUT


def test_the_shifted_split_has_more_things_and_other_shades() -> None:
    def clips(split: Split) -> list[SceneClip]:
        return [c for seed in range(100) for c in Scene.generate(seed, split=split).clips]

    counts = {split: {len(c.things) for c in clips(split)} for split in ("test", "shifted")}  # type: ignore[arg-type]
    assert counts == {"test": {2, 3, 4}, "shifted": {3, 4, 5}}
    clip = clips("shifted")[0]
    assert not np.array_equal(frame(clip, 0.5), frame(replace(clip, palette="plain"), 0.5))


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_a_thing_is_painted_where_it_is(progress: float) -> None:
    checked = 0
    for scene in SCENES[:30]:
        for clip in scene.clips:
            picture = frame(clip, progress, scale=2)
            for thing in clip.things:
                if thing.color in SEEN:
                    x, y = (round(2 * v) for v in position(thing, progress))
                    assert int(np.argmax(picture[y, x])) == SEEN[thing.color]
                    checked += 1
    assert checked > 50


def test_relations_hold_through_the_clip() -> None:
    for scene in SCENES[:20]:
        for clip in scene.clips:
            for a in clip.things:
                for b in clip.things:
                    if a is b:
                        continue
                    for progress in (0.05, 0.95):
                        (ax, ay), (bx, by) = position(a, progress), position(b, progress)
                        said = relation(a, b)
                        seen = {"left of": ax < bx, "right of": ax > bx, "above": ay < by, "below": ay > by}
                        assert seen[said]


def test_the_truth_scores_itself_fully_and_nothing_scores_nothing() -> None:
    for scene in SCENES[:10]:
        true = truth(scene)
        assert all(s.f1 == 1 for s in score(true, true).values())
        assert score(SceneGraph(), true)["objects"] == Score(0, 0, sum(len(c.things) for c in scene.clips))
    guessed = chance(truth(s) for s in SCENES)
    assert all(guessed[kind].f1 < 0.35 for kind in KINDS)


def test_statements_are_judged_with_their_twins() -> None:
    clip = SCENES[0].clips[0]
    a, b = clip.things[:2]
    for statement, twin in (
        (f"there is a {a.name}", f"there is no {a.name}"),
        (f"the size of the {a.name} is {a.size}", f"the size of the {a.name} is not {a.size}"),
        (
            f"the {a.name} is {relation(a, b)} the {b.name}",
            f"the {a.name} is not {relation(a, b)} the {b.name}",
        ),
    ):
        assert holds(statement, clip) and not holds(twin, clip)
    assert not holds("there is a pink unicorn", clip) and holds("there is no pink unicorn", clip)
