"""A database that goes away: callers are told so within seconds, and served again once it is back."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from api.client import Client
from graphdb.local import LocalNeo4j, free_ports
from tests.api.conftest import _serve, _settings
from tests.api.test_problems import problem


@pytest.mark.timeout(300)
def test_a_database_that_is_away_is_told_within_seconds(tmp_path: Path, good_bytes: bytes) -> None:
    database = LocalNeo4j(tmp_path / "neo4j", *free_ports(2), heap_mb=384).start()
    try:
        with (
            contextmanager(_serve)(_settings(database, tmp_path / "api")) as server,
            httpx.Client(base_url=server.url, timeout=60) as api,
            Client(server.url) as client,
            ThreadPoolExecutor(1) as pool,
        ):
            assert client.get("/v1/runs")["data"] == []
            os.kill(database.pid, signal.SIGSTOP)
            try:
                problem(api.get("/v1/runs", timeout=15), 503, "database_unavailable")
                assert "does not answer" in problem(api.get("/readyz", timeout=6), 503, "not_ready")["checks"]["neo4j"]
            finally:
                os.kill(database.pid, signal.SIGCONT)
            assert client.get("/v1/runs")["data"] == []
            os.kill(database.pid, signal.SIGKILL)
            files = server.files()
            for ask in (lambda: api.get("/v1/runs"), lambda: api.post("/v1/videos", content=good_bytes)):
                began = time.monotonic()
                reply = ask()
                assert time.monotonic() - began < 15
                problem(reply, 503, "database_unavailable")
                assert int(reply.headers["retry-after"]) <= 10
            assert server.files() == files
            waiting = pool.submit(client.get, "/v1/runs")
            database.start()
            assert waiting.result(timeout=60)["data"] == []
            assert api.post("/v1/videos", content=good_bytes).status_code == 201
    finally:
        database.stop()
