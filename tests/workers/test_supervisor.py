"""The supervisor of the local stack, where others want the same ports."""

import socket
from pathlib import Path

import pytest
from redis import Redis

from graphdb.local import free_port
from workers import supervisor
from workers.settings import Settings


def test_a_port_that_is_taken_in_the_meantime_is_chosen_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the broker is started: the others would need seconds and do the same."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([taken.getsockname()[1]])
        monkeypatch.setattr(supervisor, "free_port", lambda usual: next(ports, 0) or free_port(0))
        (tmp_path / "logs").mkdir()
        watched = supervisor.Supervisor(Settings(home=tmp_path, neo4j_uri="bolt://127.0.0.1:1"))
        spawn = watched._spawn
        monkeypatch.setattr(watched, "_spawn", lambda name: spawn(name) if name == "valkey" else None)
        try:
            watched._start()
            assert str(taken.getsockname()[1]) not in watched.uris["broker"]
            assert Redis.from_url(watched.joined["redis_url"]).ping()
        finally:
            watched._stop_children()
