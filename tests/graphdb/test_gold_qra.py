"""Questions with rationales from a graph that people made: stored as any graph, walked, and checked by its program."""

from collections.abc import Iterator

import pytest
from neo4j import Driver

from graphdb import graphs, videos
from graphdb.qra import make_qra
from model.rationale.mix import Mix
from model.rationale.qra import Family
from model.stsg import Clip
from trainer.benchmarks.gold import star

VIDEO = "vid_" + "5" * 24


def frame(actions: list[str], **relations: str) -> dict[str, object]:
    pairs = [("person", thing) for thing in relations] + [("book", "table")]
    return {"actions": actions, "bbox_labels": [], "rel_pairs": pairs, "rel_labels": [*relations.values(), "on"]}


ABOUT_OBJECTS: tuple[Family, ...] = ("attribute", "relation", "motion", "reference")
FRAMES = {
    "000001": frame(["Drinking from a bottle"], bottle="drinking from", phone="holding"),
    "000031": frame(["Putting down a bottle"], bottle="touching", phone="holding"),
    "000061": frame(["Taking a book"], phone="holding", table="in front of"),
}


@pytest.fixture
def gold(driver: Driver, run_id: str) -> Iterator[str]:
    graph = star.graph(FRAMES, 30, star.Words(), clips=((0.0, 2.0), (2.0, 3.0)))
    videos.save_video(driver, VIDEO, {"name": "gold.mp4", "created_at": 0.0})
    graphs.save_clips(driver, run_id, VIDEO, [Clip(0, 0.0, 2.0, 0, 60), Clip(1, 2.0, 3.0, 60, 90)])
    graphs.save_graph(driver, run_id, VIDEO, graph)
    assert graphs.load_graph(driver, run_id).counts() == graph.counts()
    yield run_id
    videos.delete_video(driver, VIDEO)


def test_questions_of_one_and_two_steps_are_made_from_a_human_graph(driver: Driver, gold: str) -> None:
    found = list(make_qra(driver, [gold], Mix({1: 4, 2: 4}, families=dict.fromkeys(ABOUT_OBJECTS, 1.0)), seed=1))
    assert [q.steps for q in found].count(1) == [q.steps for q in found].count(2) == 4
    words = {
        "person",
        "bottle",
        "phone",
        "book",
        "table",
        "drinking from a bottle",
        "putting down a bottle",
        "taking a book",
    }
    assert {q.answer for q in found} <= words | {
        "drinking from",
        "touching",
        "holding",
        "in front of",
        "on",
        "yes",
        "no",
        "1",
        "2",
    }
