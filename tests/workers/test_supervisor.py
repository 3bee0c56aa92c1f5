"""The supervisor of the local stack: where others want the same ports, and where there are several GPUs."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from graphdb.local import free_port
from workers import runtime, supervisor
from workers.settings import Settings


@pytest.fixture
def brokers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], supervisor.Supervisor]]:
    """Makes a supervisor that starts the broker only: the others would need seconds and do the same."""
    made = []

    def make() -> supervisor.Supervisor:
        watched = supervisor.Supervisor(Settings(home=tmp_path, neo4j_uri="bolt://127.0.0.1:1"))
        spawn = watched._spawn
        monkeypatch.setattr(watched, "_spawn", lambda name: spawn(name) if name == "valkey" else None)
        made.append(watched)
        return watched

    (tmp_path / "logs").mkdir()
    yield make
    for watched in made:
        watched._stop_children()


def test_a_port_that_is_taken_in_the_meantime_is_chosen_anew(
    brokers: Callable[[], supervisor.Supervisor], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([taken.getsockname()[1]])
        monkeypatch.setattr(supervisor, "free_port", lambda usual: next(ports, 0) or free_port(0))
        watched = brokers()
        watched._start()
        assert str(taken.getsockname()[1]) not in watched.uris["broker"]
        assert Redis.from_url(watched.joined["redis_url"]).ping()


def test_a_port_that_is_taken_while_its_owner_is_dead_is_chosen_anew(
    brokers: Callable[[], supervisor.Supervisor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "free_port", lambda usual: free_port(0))
    watched = brokers()
    watched._start()
    before = watched.uris["broker"]
    watched.children["valkey"].kill()
    watched.children["valkey"].wait(20)
    deadline = time.monotonic() + 60
    with socket.create_server(("127.0.0.1", int(before.rpartition(":")[2].partition("/")[0]))):
        while watched.uris["broker"] == before and time.monotonic() < deadline:
            watched._revive()
            time.sleep(0.1)
        assert Redis.from_url(watched.joined["redis_url"]).ping() and watched.uris["broker"] != before


@pytest.mark.parametrize(("wanted", "expected"), [(0, {"worker": "3", "worker-2": "GPU-5"}), (1, {"worker": "3"})])
def test_each_gpu_gets_a_worker_that_sees_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: int, expected: dict[str, str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-5")
    (tmp_path / "logs").mkdir()
    watched = supervisor.Supervisor(Settings(home=tmp_path, neo4j_uri="bolt://127.0.0.1:1", workers=wanted))
    names = [name for name in watched.commands if name.startswith("worker")]
    served = {
        name: command[command.index("--queues") + 1] for name, command in watched.commands.items() if "worker" in name
    }
    assert served == dict.fromkeys(names, "cpu,gpu.soon,gpu.infer") | {"data-worker": "cpu.soon"}
    tell = "import os; print(os.environ['CUDA_VISIBLE_DEVICES'])"
    for name in (*names, "trainer"):
        watched.commands[name] = [sys.executable, "-c", tell]
        watched._spawn(name)
        assert watched.children[name].wait(20) == 0
    told = {name: (tmp_path / "logs" / f"{name}.log").read_text().strip() for name in (*names, "trainer")}
    assert told == expected | {"trainer": "3,GPU-5"}


def test_no_gpu_is_one_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    watched = supervisor.Supervisor(Settings(home=tmp_path, neo4j_uri="bolt://127.0.0.1:1"))
    assert [name for name in watched.commands if "worker" in name] == ["worker"] and not watched.gpus
    assert "cpu.soon,cpu,gpu.soon,gpu.infer" in watched.commands["worker"]


def test_scratch_of_processes_that_are_no_more_is_cleared(tmp_path: Path) -> None:
    with runtime.Scratch(tmp_path) as ours:
        leave = "import os, sys; from pathlib import Path; from workers.runtime import Scratch; s = Scratch(Path(sys.argv[1]))"
        subprocess.run(
            [sys.executable, "-c", f"{leave}; Path(s.name, 'half').touch(); os._exit(1)", str(tmp_path)], check=False
        )
        assert len(list(tmp_path.iterdir())) == 2
        runtime.clear_scratch(tmp_path)
        assert list(tmp_path.iterdir()) == [Path(ours)]
    assert not list(tmp_path.iterdir())
