"""The whole database as rows and back, while others write to it."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from neo4j import Driver

from graphdb import graphs, jobs, schema, videos
from graphdb.dump import ChangedError, Row, dump
from graphdb.jobs import Lease
from graphdb.load import LoadError, Loading
from graphdb.schema import SchemaError
from model.stsg import Clip, Event, ObjectNode, SceneGraph
from tests.stack import emptied

ODD = """
CREATE (n:`An odd label`:Other {
  zoned: datetime('2020-10-25T02:30:00.000000001+01:00[Europe/Paris]'), later: datetime('2020-10-25T02:30:00+02:00[Europe/Paris]'),
  utc: datetime('2020-01-01T00:00:00.123456789Z'), old: datetime('1500-01-01T00:00:00.5-03:30'),
  time: time('10:00:00.000000009+02:00'), local: localtime('10:00:00.000000001'), day: date('2020-01-01'),
  here: localdatetime('2020-01-01T00:00:00'), long: duration('P1Y2M10DT-3.000000004S'), flat: point({x: 1, y: 2.5}),
  earth: point({latitude: 1, longitude: 2, height: 3}), nan: 0.0 / 0.0, endless: -1.0 / 0.0, whole: 1.0, big: 9223372036854775807,
  raw: $raw, none: [], days: [date('2020-01-01')], floats: [1.5, 2.0], yes: true, `odd name`: 'a"\\n\\u0000', _key: 'kept'
})
CREATE (n)-[:SELF {at: date('2020-01-01')}]->(n)
CREATE (v:Video {id: 'vid_own'}) CREATE (n)-[:NOTE]->(v) CREATE (n)-[:NOTE]->(v)
"""


@pytest.fixture
def own(second: Driver) -> Iterator[Driver]:
    schema.apply(emptied(second, rules=False))
    yield second


def read_all(driver: Driver, then: Callable[[Row], None] = lambda _: None) -> tuple[list[Row], list[Row]]:
    nodes: list[Row] = []
    edges: list[Row] = []

    def node(row: Row) -> None:
        nodes.append(row)
        then(row)

    dumped = dump(driver, node, edges.append)
    assert (dumped.nodes, dumped.edges) == (len(nodes), len(edges))
    keys = {row["key"] for row in nodes}
    assert len(keys) == len(nodes) and all({e["source"], e["target"]} <= keys for e in edges)
    return nodes, edges


def plain(nodes: list[Row], edges: list[Row]) -> tuple[list[str], list[str]]:
    """Rows that can be compared: without the keys that the database chose."""
    names = {row["key"]: repr((row["labels"], row["properties"])) for row in nodes}
    return sorted(names.values()), sorted(
        repr((row["type"], names[row["source"]], names[row["target"]], row["properties"])) for row in edges
    )


def test_every_type_of_value_comes_back_and_a_second_batch_is_none(own: Driver) -> None:
    own.execute_query(ODD, raw=b"\x00\xff")
    before = own.execute_query("MATCH (n:Other) RETURN n, [k IN keys(n) | valueType(n[k])] AS types").records[0]
    rows = read_all(own)
    loading = Loading(own, schema.version(own))
    with pytest.raises(SchemaError, match="restore_unfinished"):
        schema.apply(own)
    loading.put_nodes(rows[0])
    loading._batch -= 1  # the answer to the commit was lost, and it is sent again
    loading.put_nodes(rows[0])
    loading._nodes = len(rows[0])
    loading.put_edges(rows[1])
    loading.end()
    schema.apply(own)
    after = own.execute_query("MATCH (n:Other) RETURN n, [k IN keys(n) | valueType(n[k])] AS types").records[0]
    assert repr(sorted(before["n"].items())) == repr(sorted(after["n"].items()))
    assert sorted(before["types"]) == sorted(after["types"]) and before["n"].labels == after["n"].labels
    assert plain(*read_all(own)) == plain(*rows)


def test_a_restore_that_was_overtaken_writes_no_more_and_an_edge_without_an_end_is_refused(own: Driver) -> None:
    first = Loading(own, schema.version(own))
    second = Loading(own, schema.version(own))
    rows = [{"key": "1", "labels": ["Video"], "properties": {"id": "v"}}]
    with pytest.raises(LoadError, match="Another restore"):
        first.put_nodes(rows)
    second.put_nodes(rows)
    with pytest.raises(LoadError, match="an end that is not there"):
        second.put_edges([{"type": "X", "source": "1", "target": "2", "properties": {}}])
    own.execute_query("CREATE (:Video {id: 'of another'})")
    with pytest.raises(LoadError, match="others wrote"):
        second.end()
    with pytest.raises(SchemaError, match="restore_unfinished"):
        schema.apply(own)


def graph_of(clip: int) -> SceneGraph:
    things = tuple(ObjectNode(f"c{clip}/{i}", "thing", str(i), "static", clip, clip, clip + 1.0, ()) for i in range(30))
    return SceneGraph(things, (), (), (), (Event(clip, "something", clip, clip + 1.0),))


def run(driver: Driver, id: str, clips: int = 2) -> Lease:
    """A run at work whose first clip is done."""
    videos.save_video(driver, "vid_1", {"id": "vid_1", "created_at": 0.0})
    jobs.create(driver, "Run", id, video_id="vid_1", params={}, stage="induce")
    taken = jobs.acquire(driver, id, "worker", 3600)
    assert taken
    graphs.save_clips(driver, id, "vid_1", [Clip(i, i, i + 1.0, i * 10, i * 10 + 10, ()) for i in range(clips)])
    graphs.save_graph(driver, id, "vid_1", graph_of(0), clip=0, lease=taken[0])
    return taken[0]


def counts(nodes: list[Row], edges: list[Row], id: str) -> tuple[int, int, int]:
    """Of a run: clips that are done, objects, events."""
    own = [row for row in nodes if row["properties"].get("graph_id") == id]
    done = sum("Clip" in row["labels"] and row["properties"]["induced"] for row in own)
    events = sum(row["type"] == "EVENT" and row["properties"]["graph_id"] == id for row in edges)
    return done, sum("Object" in row["labels"] for row in own), events


def test_a_run_at_work_is_read_as_it_was_at_one_moment(own: Driver) -> None:
    """Its worker saves the next clip in the middle of the reading, and has to wait until the run is read."""
    lease, saved = run(own, "run_1"), []
    with ThreadPoolExecutor(1) as pool:

        def save(row: Row) -> None:
            if row["properties"].get("graph_id") == "run_1" and not saved:
                saved.append(pool.submit(graphs.save_graph, own, "run_1", "vid_1", graph_of(1), clip=1, lease=lease))
                done: Future[Any] = saved[0]
                assert not threading.Event().wait(0.5) and not done.done(), "it was written while the run was read"

        assert counts(*read_all(own, save), "run_1") == (1, 30, 1)
        saved[0].result(timeout=60)
    assert counts(*read_all(own), "run_1") == (2, 60, 2)


def test_what_comes_meanwhile_is_left_out_whole_and_what_goes_has_it_read_again(own: Driver) -> None:
    jobs.finish(own, run(own, "run_1"), "succeeded", result={})
    graphs.save_clips(own, "copy_1", "vid_1", [Clip(0, 0, 1.0, 0, 10, ())])  # a graph without a job
    seen: list[Row] = []

    def begin(row: Row) -> None:
        if not seen:
            run(own, "run_2")
        seen.append(row)

    nodes, edges = read_all(own, begin)
    assert counts(nodes, edges, "run_1") == (1, 30, 1) and counts(nodes, edges, "run_2") == (0, 0, 0)
    assert {row["properties"]["id"] for row in nodes if "Job" in row["labels"]} == {"run_1"}
    assert [row for row in nodes if row["properties"].get("graph_id") == "copy_1"]
    seen.clear()

    def delete(row: Row) -> None:
        if not seen:
            assert jobs.condemn(own, "run_1") and jobs.delete(own, "run_1")
        seen.append(row)

    with pytest.raises(ChangedError):
        read_all(own, delete)
