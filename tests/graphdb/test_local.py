"""The embedded Neo4j: it keeps what it has, keeps to itself, says why it can't start, and survives being killed."""

import os
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from neo4j import Driver, GraphDatabase
from neo4j.exceptions import AuthError, Neo4jError

from graphdb import graphs, jars, schema, videos
from graphdb.connection import connect
from graphdb.local import LocalNeo4j, StartError, free_ports
from model.stsg import Clip, ObjectNode, Relation, SceneGraph

CLIPS = 40


def of_clip(index: int) -> SceneGraph:
    """Twelve objects in a row, each left of the next one."""
    t = float(index)
    row = [ObjectNode(f"c{index}/k0/ball/{n}", "ball", f"no {n}", "static", index, t, t + 1, ()) for n in range(12)]
    return SceneGraph(tuple(row), tuple(Relation(a.id, "left of", b.id, index, t, t + 1) for a, b in pairwise(row)))


def save(driver: Driver, run_id: str, pause: float = 0) -> None:
    """A run that commits clip by clip; with a pause it takes long enough to be hit in the middle."""
    videos.save_video(driver, "v", {"name": "balls.mp4", "created_at": 1.0})
    graphs.save_clips(driver, run_id, "v", [Clip(i, i, i + 1, i, i + 1) for i in range(CLIPS)])
    for index in range(CLIPS):
        graphs.save_graph(driver, run_id, "v", of_clip(index), clip=index)
        time.sleep(pause)


def wait_for_clips(driver: Driver, run_id: str, wanted: int) -> None:
    deadline = time.monotonic() + 60
    while sum(c.induced for c in graphs.load_clips(driver, run_id)) < wanted:
        assert time.monotonic() < deadline, "the writer made no progress"
        time.sleep(0.05)


@pytest.fixture
def own(tmp_path: Path) -> LocalNeo4j:
    """A server of this test's own, not started."""
    return LocalNeo4j(tmp_path / "own", *free_ports(2), heap_mb=384)


def test_killed_in_the_middle_of_writing_it_comes_back_with_nothing_lost_or_doubled(own: LocalNeo4j) -> None:
    own.start()
    try:
        with connect(own.uri, own.user, own.password) as driver, ThreadPoolExecutor(1) as pool:
            schema.apply(driver)
            writing = pool.submit(save, driver, "r", 0.05)
            wait_for_clips(driver, "r", 3)
            os.kill(own.pid, signal.SIGKILL)
            own.start()
            assert not writing.done(), "the writer was through before the kill"
            writing.result(timeout=200)
            save(driver, "undisturbed")
            loaded = graphs.load_graph(driver, "r")
            assert all(loaded.in_clip(index) == of_clip(index) for index in range(CLIPS))
            assert loaded == graphs.load_graph(driver, "undisturbed")
            rows = [len(list(graphs.export_rows(driver, run_id))) for run_id in ("r", "undisturbed")]
            assert rows[0] == rows[1] == (1 + 12 + 1 + 11) * CLIPS + CLIPS - 1
    finally:
        own.stop()


def test_a_restart_keeps_data_password_and_ports_and_a_second_home_keeps_apart(
    own: LocalNeo4j, tmp_path: Path, neo4j: LocalNeo4j
) -> None:
    assert {own.bolt_port, own.http_port}.isdisjoint({neo4j.bolt_port, neo4j.http_port})
    assert own.password != neo4j.password
    assert stat.S_IMODE((own.home / "password").stat().st_mode) == 0o600
    assert own.is_new
    own.start()
    assert not own.is_new
    with GraphDatabase.driver(own.uri, auth=(own.user, own.password)) as driver:
        driver.execute_query("CREATE (:Kept)")
    with pytest.raises(AuthError), connect(neo4j.uri, own.user, own.password) as driver:
        driver.verify_connectivity()
    pid = own.pid
    own.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    again = LocalNeo4j(own.home, own.bolt_port, own.http_port, heap_mb=384)
    began = time.monotonic()
    again.start()
    try:
        assert time.monotonic() - began < 90
        with connect(again.uri, own.user, own.password) as driver:
            assert driver.execute_query("MATCH (k:Kept) RETURN count(k) AS n").records[0]["n"] == 1
    finally:
        again.stop()


def test_a_query_reads_no_file_of_the_machine(neo4j: LocalNeo4j) -> None:
    (neo4j.home / "import" / "secret.csv").write_text("secret\n")
    reading = "LOAD CSV FROM 'file:///secret.csv' AS row RETURN row"
    with (
        connect(neo4j.uri, neo4j.user, neo4j.password) as driver,
        pytest.raises(Neo4jError, match="allow_csv_import_from_file_urls"),
    ):
        driver.execute_query(reading)


def test_a_server_that_dies_at_start_shows_the_end_of_its_log(own: LocalNeo4j, neo4j: LocalNeo4j) -> None:
    taken = LocalNeo4j(own.home, neo4j.bolt_port, own.http_port, heap_mb=384)
    with pytest.raises(StartError) as error:
        taken.start(timeout=60)
    assert str(taken.log) in str(error.value)
    assert str(neo4j.bolt_port) in str(error.value)
    assert (own.home / "data").exists() and LocalNeo4j(own.home).is_new, "its password was never set"
    with pytest.raises(ProcessLookupError):
        os.kill(taken.pid, 0)


def test_a_jar_that_is_not_the_listed_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [first, *_] = [line for line in jars.LOCK.read_text().splitlines() if not line.startswith("#")]
    monkeypatch.setattr(jars, "LOCK", tmp_path / "jars.lock")
    jars.LOCK.write_text(f"{first.split()[0]} {'0' * 64}\n")
    with pytest.raises(jars.JarError, match="sha256"):
        jars.fetch(tmp_path / "jars")
    assert list((tmp_path / "jars").iterdir()) == []


def test_a_server_of_another_at_the_same_port_is_not_taken_for_ones_own(neo4j: LocalNeo4j, tmp_path: Path) -> None:
    late = LocalNeo4j(tmp_path, neo4j.bolt_port, neo4j.http_port, heap_mb=384)
    assert neo4j.ready(neo4j.pid) and not late.ready(os.getpid())
    with pytest.raises(StartError, match=r"Address already in use|BindException"):
        late.start()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
def test_a_scratch_server_ends_with_the_process_that_was_killed() -> None:
    code = "from graphdb.scratch import scratch_database\nwith scratch_database(): print('up', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None and owner.stdout.readline() == b"up\n"
        (server,) = psutil.Process(owner.pid).children()
        owner.kill()
    psutil.wait_procs([server], timeout=10)
    assert not server.is_running() or server.status() == psutil.STATUS_ZOMBIE
