"""The questions of the world benchmark, made anew: walks on the true graphs of held-out worlds (STEP Sec. 3.2, 4.1).

    python -m workers.world_questions validation

starts a Neo4j of its own and writes a split's file, which `trainer.evaluation.world` reads; "train" makes what can be guessed
from questions' words. Worlds are taken some at a time, so that any part can be made by itself.
"""

import argparse
import sys
from collections.abc import Sequence
from itertools import islice

from graphdb import graphs, videos
from graphdb.connection import Driver
from graphdb.qra import make_qra
from graphdb.scratch import scratch_database
from model.rationale.mix import Mix
from model.rationale.qra import Qra
from model.stsg import Clip
from trainer.evaluation import world
from trainer.evaluation.prior import Prior
from trainer.world.scene import HELD_OUT, Scene, Split
from trainer.world.truth import truth

AT_ONCE = 10  # worlds
_FIRST = 1000  # seeds below are those of `stsg evaluate induction`
_WORLDS: dict[Split, int] = {"test": 200, "composition": 200, "shifted": 60, "validation": 60, "train": 100}
_MIX = Mix(
    {1: 250, 2: 250, 3: 100, 4: 100, 5: 100},
    families={"attribute": 1, "relation": 3, "motion": 2, "reference": 1},
    forms={"open": 0.85, "count": 0.15},
)


def main() -> None:
    """Write the files of the splits that are named."""
    parser = argparse.ArgumentParser(prog="python -m workers.world_questions", description=__doc__)
    parser.add_argument("splits", nargs="+", choices=_WORLDS)
    splits: list[Split] = parser.parse_args().splits
    with scratch_database() as driver:
        _write(driver, splits)


def _write(driver: Driver, splits: Sequence[Split]) -> None:
    for split in splits:
        if split == "train":
            asked = [(q.question, q.answer) for worlds in parts(split) for q in _pool(driver, split, worlds)]
            world.write_prior(Prior.of(asked))
            continue
        rows = []
        for worlds in parts(split):
            rows += questions(driver, split, worlds)
            sys.stderr.write(f"{split}: {len(rows)} questions\n")
        world.write(split, rows)


def parts(split: Split) -> list[tuple[int, ...]]:
    """The seeds of a split's worlds, in parts; every world of "composition" shows a pair that training never shows."""
    seeds = (seed for seed in range(_FIRST, 10 * _FIRST) if split != "composition" or _is_new(seed))
    chosen = tuple(islice(seeds, _WORLDS[split]))
    return [chosen[at : at + AT_ONCE] for at in range(0, len(chosen), AT_ONCE)]


def _is_new(seed: int) -> bool:
    clips = Scene.generate(seed, split="composition").clips
    return any((thing.color, thing.shape) in HELD_OUT for clip in clips for thing in clip.things)


def questions(driver: Driver, split: Split, seeds: Sequence[int]) -> list[world.Row]:
    """The questions about some worlds, balanced among themselves."""
    pool = [_row(qra) for qra in _pool(driver, split, seeds)]
    return world.balanced(pool)


def _pool(driver: Driver, split: Split, seeds: Sequence[int]) -> list[Qra]:
    """All that is sampled about some worlds, whose graphs are in the database meanwhile."""
    runs = [world.video_id(split, seed) for seed in seeds]
    for seed, run in zip(seeds, runs, strict=True):
        _store(driver, run, Scene.generate(seed, split=split))
    try:
        return list(make_qra(driver, runs, _MIX, seed=seeds[0]))
    finally:
        for run in runs:
            graphs.delete_graph(driver, run)
            videos.delete_video(driver, run)


def _store(driver: Driver, run: str, scene: Scene) -> None:
    graph = truth(scene)
    clips = [Clip(e.clip, e.t_start, e.t_end, 0, 1) for e in graph.events]
    videos.save_video(driver, run, {"name": run, "created_at": 0.0})
    graphs.save_clips(driver, run, run, clips)
    graphs.save_graph(driver, run, run, graph)


def _row(qra: Qra) -> world.Row:
    return {
        "seed": world.seed_of(qra.video_id),
        "steps": qra.steps,
        "question": qra.question,
        "rationale": list(qra.rationale),
        "answer": qra.answer,
        "program": [dict(op) for op in qra.program],
    }


if __name__ == "__main__":
    main()
