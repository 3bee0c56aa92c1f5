"""Graphs for the tests of paths, programs and QRA data: one written by hand, and how any graph gets into the store."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations
from random import Random

import numpy as np
from neo4j import Driver

from graphdb import graphs, videos
from model.stsg import Attribute, Clip, Event, Keyframe, Kind, Motion, ObjectNode, Reference, Relation, SceneGraph
from trainer.world.scene import Scene

VIDEO = "vid_" + "0" * 24


def _node(id: str, category: str, mark: str, kind: Kind = "static", **attributes: str) -> ObjectNode:
    clip = int(id[1])
    listed = tuple(Attribute(kind_of, value) for kind_of, value in attributes.items())
    times = (2.0 * clip, 2.0 * clip + 2.0)
    return ObjectNode(id, category, mark, kind, clip, *times, (f"{VIDEO}:{clip:09d}",), listed, 1.0, (f"made {id}",))


def _relation(subject: str, predicate: str, other: str) -> Relation:
    clip = int(subject[1])
    return Relation(subject, predicate, other, clip, 2.0 * clip, 2.0 * clip + 2.0, (f"{VIDEO}:{clip:09d}",))


# A dynamic object with three states and a thing acted upon, two men without a mark, a relation that holds one way only,
# a value that two objects share, an object that is in all three clips by way of the second, a clip with one object.
SMALL = SceneGraph(
    objects=(
        _node("c0/man", "man", "tall", "dynamic", mood="happy"),
        _node("c0/man/2", "man", "tall", "dynamic", mood="happy"),
        _node("c0/man/3", "man", "tall", "dynamic", mood="tired"),
        _node("c0/cup", "cup", "", color="white", size="small"),
        _node("c0/bed", "bed", "", size="large"),
        _node("c1/man", "man", "tall", mood="tired"),
        _node("c1/man1", "man", "", size="small"),
        _node("c1/man2", "man", "", size="small"),
        _node("c2/man", "man", "tall", size="large"),
    ),
    relations=(
        _relation("c0/man", "holds", "c0/cup"),
        _relation("c0/man/2", "holds", "c0/cup"),
        _relation("c0/man", "next to", "c0/bed"),
        _relation("c0/bed", "next to", "c0/man/3"),
        _relation("c0/cup", "above", "c0/bed"),
        _relation("c1/man1", "left of", "c1/man"),
        _relation("c1/man2", "left of", "c1/man"),
    ),
    motions=(
        Motion("c0/man", "c0/man/2", "jumping on", "bed", 0, 0.0, 1.0),
        Motion("c0/man/2", "c0/man/3", "sitting down", "", 0, 1.0, 2.0),
    ),
    references=(Reference("c0/man", "c1/man"), Reference("c1/man", "c2/man")),
    events=(
        Event(0, "a man jumps on a bed", 0.0, 2.0),
        Event(1, "men stand about", 2.0, 4.0),
        Event(2, "men stand about", 4.0, 6.0),
    ),
)


# Things of which one word is true of several, though their facts read differently.
ALIKE = SceneGraph(
    objects=(
        _node("c0/man", "man", "", "dynamic", age="old"),
        _node("c0/man/2", "man", "", "dynamic", age="old"),
        _node("c0/dog", "dog", "", "dynamic"),
        _node("c0/dog/2", "dog", "", "dynamic"),
        _node("c0/house", "house", "", condition="old"),
        _node("c0/cup", "cup", "", color="red"),
        _node("c0/car", "car", "", color="dark red"),
    ),
    relations=(
        _relation("c0/cup", "on", "c0/house"),
        _relation("c0/dog", "standing on", "c0/house"),
        _relation("c0/man", "in front of", "c0/house"),
    ),
    motions=(
        Motion("c0/man", "c0/man/2", "running", "", 0, 0.0, 1.0),
        Motion("c0/dog", "c0/dog/2", "running on", "grass", 0, 0.0, 1.0),
    ),
    events=(Event(0, "a man runs", 0.0, 2.0),),
)


def tracked(clips: int) -> SceneGraph:
    """A sofa that all of so many clips show, each joined to each other as bridging does, and a cup in the last."""
    sofas = [_node(f"c{n}/sofa", "sofa", "") for n in range(clips)]
    return SceneGraph(
        objects=(*sofas, _node(f"c{clips - 1}/cup", "cup", "")),
        references=tuple(Reference(a.id, b.id) for a, b in combinations(sofas, 2)),
        events=tuple(Event(n, f"part {n}", 2.0 * n, 2.0 * n + 2.0) for n in range(clips)),
    )


def scene_with_times(seed: int) -> Scene:
    """A rendered world's scene whose clips are not all of one length."""
    rng, scene = Random(seed), Scene.generate(seed)
    return replace(scene, clips=tuple(replace(c, seconds=rng.choice((1.0, 1.5, 2.0, 3.0))) for c in scene.clips))


def store(driver: Driver, run_id: str, graph: SceneGraph, video_id: str = VIDEO) -> None:
    """Saves a graph as the service does, with one clip for each event and the keyframes that objects name."""
    clips = [Clip(e.clip, e.t_start, e.t_end, 0, 1, _keyframes(graph, e)) for e in graph.events]
    videos.save_video(driver, video_id, {"name": "rationale.mp4", "created_at": 0.0})
    graphs.save_clips(driver, run_id, video_id, clips)
    graphs.save_graph(driver, run_id, video_id, graph)


@contextmanager
def stored(driver: Driver, held: dict[str, SceneGraph]) -> Iterator[None]:
    """Keeps graphs of runs, each of a video of its own, in the store for as long as a test needs them."""
    ids = {run_id: f"vid_{hashlib.sha256(run_id.encode()).hexdigest()[:24]}" for run_id in held}
    try:
        for run_id, graph in held.items():
            store(driver, run_id, graph, ids[run_id])
        yield
    finally:
        for run_id, video_id in ids.items():
            graphs.delete_graph(driver, run_id)
            videos.delete_video(driver, video_id)


def _keyframes(graph: SceneGraph, event: Event) -> tuple[Keyframe, ...]:
    names = sorted({k for o in graph.objects if o.clip == event.clip for k in o.keyframes})
    return tuple(Keyframe(name, event.t_start, np.zeros((1, 1, 3), np.uint8)) for name in names)
