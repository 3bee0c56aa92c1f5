"""The real application on a real port, with a real Neo4j; nothing works its jobs off."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import uvicorn

from api.app import create_app
from graphdb.local import LocalNeo4j
from tests.api import media
from workers.settings import Settings


@dataclass
class Server:
    """An API that listens, and the folder of its files."""

    settings: Settings
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def files(self) -> set[str]:
        root = self.settings.home  # by os.walk, which minds no folder that goes meanwhile
        return {str(Path(at, name).relative_to(root)) for at, _, names in os.walk(root) for name in names}


def _serve(settings: Settings) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        server = uvicorn.Server(uvicorn.Config(create_app(settings), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 60
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.05)
        assert server.started
        yield Server(settings, listener.getsockname()[1])
        server.should_exit = True
        thread.join(20)


def _settings(neo4j: LocalNeo4j, home: Path, **more: object) -> Settings:
    return Settings(
        home=home,
        storage=str(home / "files"),
        neo4j_uri=neo4j.uri,
        neo4j_password=neo4j.password,
        redis_url="redis://127.0.0.1:1/0",  # no broker: what is queued stays queued
        max_upload_bytes=4 * 2**20,
        upload_idle_seconds=3,
        **more,  # type: ignore[arg-type]
    )


@pytest.fixture(scope="session")
def server(neo4j: LocalNeo4j, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An API without tokens."""
    yield from _serve(_settings(neo4j, tmp_path_factory.mktemp("api")))


@pytest.fixture(scope="session")
def closed(neo4j: LocalNeo4j, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An API that wants a token."""
    yield from _serve(_settings(neo4j, tmp_path_factory.mktemp("closed"), api_tokens=["one", "two"]))


@pytest.fixture(scope="session")
def api(server: Server) -> Iterator[httpx.Client]:
    """A client of the open API."""
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video that is fine."""
    return media.video(tmp_path_factory.mktemp("good") / "good.mp4", seconds=2.0)


@pytest.fixture(scope="session")
def good_bytes(good: Path) -> bytes:
    """The content of a video that is fine."""
    return good.read_bytes()


@pytest.fixture(scope="session")
def video_id(api: httpx.Client, good: Path) -> str:
    """The id of a stored video."""
    reply = api.post("/v1/videos", content=good.read_bytes(), headers={"Content-Type": "video/mp4"})
    assert reply.status_code in (200, 201)
    return str(reply.json()["id"])
