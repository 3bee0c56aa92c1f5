"""A graph in the database: exactly what was saved, however often and by however many it is saved."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from neo4j import Driver

from graphdb import graphs, jobs, videos
from model.stsg import Attribute, Clip, Event, Keyframe, Motion, ObjectNode, Reference, Relation, SceneGraph

BLANK: Any = None


def clip(index: int) -> Clip:
    t = 2.0 * index
    frames = tuple(Keyframe(f"v:{round(1000 * (t + d)):09d}", t + d, BLANK) for d in (0.2, 1.8))
    return Clip(index, t, t + 2, 20 * index, 20 * index + 20, frames)


def objects(index: int) -> tuple[ObjectNode, ...]:
    t = 2.0 * index
    woman = {"category": "woman", "mark": "walking on the dock", "kind": "dynamic", "clip": index}
    return (
        ObjectNode(
            f"c{index}/k0/dock/1",
            "dock",
            "wooden",
            "static",
            index,
            t,
            t + 2,
            (f"v:{round(1000 * t + 200):09d}",),
            (Attribute("clothing", "none", ("e9",)), Attribute("material", "wood", ("e1", "e2"))),
            0.75,
            ("e1",),
        ),
        ObjectNode(id=f"c{index}/k0/woman/1", t_start=t, t_end=t + 1, keyframes=(), **woman),
        ObjectNode(id=f"c{index}/k1/woman/1", t_start=t + 1, t_end=t + 2, keyframes=(), **woman),
    )


def graph(index: int) -> SceneGraph:
    dock, before, after = objects(index)
    t = dock.t_start
    return SceneGraph(
        (dock, before, after),
        (Relation(before.id, "walking on", dock.id, index, t, t + 1, dock.keyframes, 0.5, ("e3", "e4")),),
        (Motion(before.id, after.id, "falling down on", "dock", index, t, t + 2, 0.9, ("e5",)),),
    )


EDGES = SceneGraph(
    references=(Reference("c0/k1/woman/1", "c1/k0/woman/1", 0.875, ("e6",)),),
    events=(Event(0, "A woman falls.", 0.0, 2.0, ("e7",)), Event(1, "She gets up.", 2.0, 4.0)),
)
WHOLE = graph(0) | graph(1) | EDGES


def save_all(driver: Driver, run_id: str) -> None:
    videos.save_video(driver, "v", {"name": "dock.mp4", "created_at": 1.0})
    graphs.save_clips(driver, run_id, "v", [clip(0), clip(1)])
    for index in (0, 1):
        graphs.save_graph(driver, run_id, "v", graph(index), clip=index)
    graphs.save_graph(driver, run_id, "v", EDGES)


def test_what_is_loaded_is_what_was_saved_and_twice_is_once(driver: Driver, run_id: str) -> None:
    save_all(driver, run_id)
    first = list(graphs.export_rows(driver, run_id))
    save_all(driver, run_id)
    loaded = graphs.load_graph(driver, run_id)
    assert loaded == WHOLE
    assert [o.attributes[1].evidence for o in loaded.objects[:1]] == [("e1", "e2")]
    assert graphs.counts(driver, run_id) == WHOLE.counts()
    again = list(graphs.export_rows(driver, run_id))
    changed = {"induced"}  # saving the clips anew means that they are to be induced anew
    assert [_without(row, changed) for row in again] == [_without(row, changed) for row in first]
    assert next((k.t, k.id) for c in graphs.load_clips(driver, run_id) for k in c.keyframes) == (0.2, "v:000000200")


def _without(row: dict[str, Any], keys: set[str]) -> dict[str, Any]:
    return row | {"properties": {k: v for k, v in row["properties"].items() if k not in keys}}


def test_eight_writers_at_once_leave_one_graph(driver: Driver, run_id: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: save_all(driver, run_id), range(8)))
    assert graphs.load_graph(driver, run_id) == WHOLE


def test_one_graph_is_deleted_and_the_other_stays(driver: Driver, run_id: str) -> None:
    save_all(driver, run_id)
    save_all(driver, other := run_id + "b")
    graphs.delete_graph(driver, run_id)
    assert list(graphs.export_rows(driver, run_id)) == []
    assert graphs.load_graph(driver, other) == WHOLE


def test_a_writer_whose_lease_is_gone_writes_nothing(driver: Driver, run_id: str) -> None:
    jobs.create(driver, "Run", run_id, video_id="v")
    taken = jobs.acquire(driver, run_id, "zombie", lease_seconds=-1)
    assert taken
    stale, _ = taken
    assert jobs.acquire(driver, run_id, "successor", lease_seconds=60)
    with pytest.raises(jobs.LeaseLost):
        graphs.save_clips(driver, run_id, "v", [clip(0)], lease=stale)
    with pytest.raises(jobs.LeaseLost):
        graphs.save_graph(driver, run_id, "v", graph(0), clip=0, lease=stale)
    assert list(graphs.export_rows(driver, run_id)) == []


def test_hostile_words_are_only_words(driver: Driver, run_id: str) -> None:
    videos.save_video(driver, "v", {"name": "dock.mp4", "created_at": 1.0})
    word = "x`}) DETACH DELETE n //' \" \\ \u0000 ☃"
    odd = ObjectNode(f"c0/k0/{word}/1", word, word, "static", 0, 0.0, 1.0, (), (Attribute(word, word),))
    graphs.save_graph(driver, run_id, "v", SceneGraph((odd,), (Relation(odd.id, word, odd.id, 0, 0.0, 1.0),)))
    assert graphs.load_graph(driver, run_id).objects == (odd,)


def test_bridges_that_are_found_anew_take_the_place_of_those_that_were(driver: Driver, run_id: str) -> None:
    save_all(driver, run_id)
    again = SceneGraph(
        references=(Reference("c0/k0/dock/1", "c1/k0/dock/1", 0.5, ("e8",)),),
        events=(Event(0, "She falls.", 0.0, 2.0),),
    )
    for _ in range(2):
        graphs.save_bridges(driver, run_id, "v", again)
        assert graphs.load_graph(driver, run_id) == graph(0) | graph(1) | again
