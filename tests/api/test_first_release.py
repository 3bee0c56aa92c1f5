"""Data of the first release, as its own service wrote it, under the code of today."""

import gzip
import hashlib
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from neo4j import Driver

from graphdb import schema
from graphdb.local import LocalNeo4j
from graphdb.migrations import migrations
from graphdb.values import from_json
from tests.api.conftest import _serve, _settings
from tests.stack import emptied

DATA = Path(__file__).parent.parent / "data" / "first_release"
EXPECTED = json.loads((DATA / "expected.json").read_text())  # what the first release answered itself


def rows(tar: tarfile.TarFile, name: str) -> list[dict[str, Any]]:
    content = tar.extractfile(f"database/{name}.jsonl.gz")
    assert content
    found = [json.loads(line) for line in gzip.decompress(content.read()).splitlines()]
    return [row | {"properties": {k: from_json(v) for k, v in row["properties"].items()}} for row in found]


@pytest.fixture(scope="module")
def upgraded(
    second: Driver, second_neo4j: LocalNeo4j, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """The API on a database that has no version yet, only what the first release wrote, and on its files."""
    home = tmp_path_factory.mktemp("first")
    emptied(second)
    with tarfile.open(DATA / "backup.tar.gz") as tar:
        nodes = "UNWIND $rows AS row CREATE (n:$(row.labels)) SET n = row.properties, n.key = row.key"
        second.execute_query(f"CYPHER 25 {nodes}", rows=rows(tar, "nodes"))
        edges = (
            "MATCH (a {key: row.source}), (b {key: row.target}) CREATE (a)-[r:$(row.type)]->(b) SET r = row.properties"
        )
        second.execute_query(f"CYPHER 25 UNWIND $rows AS row {edges}", rows=rows(tar, "edges"))
        second.execute_query("MATCH (n) REMOVE n.key")
        tar.extractall(home, [member for member in tar if member.name.startswith("files/")], filter="data")
    assert schema.version(second) == 0
    with (
        contextmanager(_serve)(_settings(second_neo4j, home)) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        yield client


def test_the_set_up_of_the_service_brings_it_to_the_version_of_today(upgraded: httpx.Client, second: Driver) -> None:
    assert schema.version(second) == len(migrations())
    there = {row["name"] for row in second.execute_query("SHOW CONSTRAINTS").records}
    there |= {row["name"] for row in second.execute_query("SHOW INDEXES WHERE state = 'ONLINE'").records}
    assert {name for step in migrations() for _, name in step.rules} <= there


@pytest.mark.parametrize("path", EXPECTED["exports"])
def test_an_export_is_the_same_to_the_last_byte(upgraded: httpx.Client, path: str) -> None:
    reply = upgraded.get(path)
    assert reply.status_code == 200
    assert hashlib.sha256(reply.content).hexdigest() == EXPECTED["exports"][path]


@pytest.mark.parametrize("path", EXPECTED["records"])
def test_all_that_was_answered_then_is_answered_now(upgraded: httpx.Client, path: str) -> None:
    assert _as_then(upgraded.get(path).json(), EXPECTED["records"][path]) == EXPECTED["records"][path]


def _as_then(now: Any, then: Any) -> Any:
    """An answer without the fields that came later."""
    if isinstance(then, dict) and isinstance(now, dict):
        return {key: _as_then(value, then[key]) for key, value in now.items() if key in then}
    if isinstance(then, list) and isinstance(now, list) and len(now) == len(then):
        return [_as_then(a, b) for a, b in zip(now, then, strict=True)]
    return now


def test_pictures_and_videos_are_there(upgraded: httpx.Client) -> None:
    [video] = upgraded.get("/v1/videos").json()["data"]
    file = upgraded.get(f"/v1/videos/{video['id']}/content")
    assert hashlib.sha256(file.content).hexdigest() == video["sha256"]
