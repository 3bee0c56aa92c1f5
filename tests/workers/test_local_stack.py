"""The local stack as a whole: beside others, with services of one's own, and where a part of it can't start."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from api.client import Client
from graphdb.local import LocalNeo4j
from workers import leftovers, local_stack
from workers.local_stack import StackError

USUAL = (8000, 7687, 7474, 6379)


def left_of(home: Path) -> list[str]:
    """What still runs for a state folder, or holds its files; the supervisor itself may take a moment to be gone."""
    deadline = time.monotonic() + 60
    while (found := _processes_of(home)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def _processes_of(home: Path) -> list[str]:
    found = [f"process {pid}" for name in ("lock", "tie") for pid in leftovers.holders(home / name)]
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"STSG_HOME={home}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [command for command in found if command]  # one that ended and was not waited for has none


@pytest.fixture
def taken_ports() -> Iterator[None]:
    """The usual ports, held by this test or by whoever has them."""
    with ExitStack() as held:
        for port in USUAL:
            with suppress(OSError):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
        yield


@pytest.mark.alone  # so that nobody else takes or leaves the usual ports
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("taken_ports")
def test_two_stacks_keep_apart_and_leave_nothing(tmp_path: Path, neo4j: LocalNeo4j) -> None:
    """The second one uses a database of the settings, and so starts none; it has two workers."""
    given = {"STSG_NEO4J_URI": neo4j.uri, "STSG_NEO4J_PASSWORD": neo4j.password}
    one, two = tmp_path / "one", tmp_path / "two"
    try:
        first, second = local_stack.start(one), local_stack.start(two, given | {"STSG_WORKERS": "2"})
        assert set(first.pids) == {"supervisor", "valkey", "neo4j", "worker", "api", "trainer", "splitter"}
        assert (
            set(second.pids) == set(first.pids) - {"neo4j"} | {"worker-2", "data-worker"} and "neo4j" not in second.uris
        )
        ports = [urlsplit(uri).port for uri in (*first.uris.values(), *second.uris.values())]
        assert len(set(ports)) == len(ports) and not set(ports) & set(USUAL)
        assert first.settings["redis_url"].partition("@")[0] != second.settings["redis_url"].partition("@")[0]
        assert local_stack.start(two) == second, "a stack that runs is joined"
        assert local_stack.stop(one) and left_of(one) == []
        with Client(second.uris["api"]) as client:
            assert client.get("/readyz")["status"] == "ok"
    finally:
        for home in (one, two):
            local_stack.stop(home)
    assert left_of(two) == []


@pytest.mark.timeout(300)
def test_an_api_that_dies_at_its_start_shows_the_end_of_its_log(tmp_path: Path, neo4j: LocalNeo4j) -> None:
    given = {"STSG_NEO4J_URI": neo4j.uri, "STSG_NEO4J_PASSWORD": neo4j.password, "STSG_API_HOST": "0.0.0.0"}
    began = time.monotonic()
    with pytest.raises(StackError, match="api did not start") as error:
        local_stack.start(tmp_path, given)
    assert time.monotonic() - began < 100, "long before all are given up"
    assert "OpenToTheWorldError" in str(error.value) and str(tmp_path / "logs" / "api.log") in str(error.value)
    assert left_of(tmp_path) == []


def test_a_broker_that_dies_at_its_start_shows_the_end_of_its_log(tmp_path: Path, neo4j: LocalNeo4j) -> None:
    (tmp_path / "valkey").mkdir()
    (tmp_path / "valkey" / "appendonlydir").write_text("not a folder")
    with pytest.raises(StackError, match="valkey did not start") as error:
        local_stack.start(tmp_path, {"STSG_NEO4J_URI": neo4j.uri})
    assert "append-only" in str(error.value)
    assert left_of(tmp_path) == []


def test_a_database_of_the_settings_that_is_not_there_is_named_at_once(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(StackError, match=r"STSG_NEO4J_URI: 127\.0\.0\.1:1\."):
        local_stack.start(tmp_path, {"STSG_NEO4J_URI": "bolt://127.0.0.1:1"})
    assert time.monotonic() - began < 60
    assert left_of(tmp_path) == []


def test_a_stack_that_is_stopped_while_it_starts_is_gone(tmp_path: Path, neo4j: LocalNeo4j) -> None:
    given = {"STSG_NEO4J_URI": neo4j.uri, "STSG_NEO4J_PASSWORD": neo4j.password}
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(local_stack.start, tmp_path, given)
        while not (tmp_path / "lock").exists() or not (tmp_path / "lock").read_text():
            assert not starting.done()
            time.sleep(0.01)
        assert local_stack.stop(tmp_path)
        with pytest.raises(StackError, match="supervisor did not start"):
            starting.result(timeout=60)
    assert left_of(tmp_path) == []


@pytest.mark.timeout(600)
def test_a_killed_supervisor_leaves_nothing_that_stops_the_next(tmp_path: Path, neo4j: LocalNeo4j) -> None:
    """Its note is lost, too, and a process that only looks alike lives on; a second start meanwhile joins the first."""
    home = tmp_path / "home"
    given = {"STSG_NEO4J_URI": neo4j.uri, "STSG_NEO4J_PASSWORD": neo4j.password}
    first = local_stack.start(home, given)
    with subprocess.Popen(["sleep", "600"], env={"STSG_HOME": str(home)}, start_new_session=True) as bystander:
        try:
            _kill_supervisor(home)
            assert local_stack.is_orphaned(home) and local_stack.running(home) is None
            valkey = Path("/proc") / str(first.pids["valkey"])
            assert valkey.exists()
            claimed = {"supervisor": bystander.pid, "valkey": bystander.pid}
            (home / "stack.json").write_text(json.dumps({"uris": {}, "settings": {}, "pids": claimed}))
            with ThreadPoolExecutor(2) as pool:
                second, same = pool.map(lambda _: local_stack.start(home, given), range(2))
            assert second == same and not set(second.pids.values()) & set(first.pids.values())
            assert not valkey.exists(), "two brokers never have the same files open"
            (home / "stack.json").write_text('{"uris"')  # half a note
            _kill_supervisor(home)
            home = home.rename(tmp_path / "moved")
            assert local_stack.is_orphaned(home)
            assert local_stack.stop(home) and not local_stack.stop(home)
            assert not local_stack.is_orphaned(home) and left_of(home) == []
            assert bystander.poll() is None
        finally:
            bystander.kill()
            local_stack.stop(home)


def _kill_supervisor(home: Path) -> None:
    supervisor = int((home / "lock").read_text())
    os.kill(supervisor, signal.SIGKILL)
    while local_stack.is_running(home):
        time.sleep(0.01)
