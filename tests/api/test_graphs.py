"""Graphs over real HTTP: what is paged is what is exported, and that is what was stored."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from neo4j import Driver

from api.client import Client
from graphdb import graph_rows, graphs
from tests.api.conftest import Server
from tests.api.test_problems import problem
from tests.graphdb.test_graphs import WHOLE, clip


@pytest.fixture
def run(api: httpx.Client, driver: Driver, video_id: str) -> Iterator[str]:
    """A run whose graph is stored."""
    id = str(api.post(f"/v1/videos/{video_id}/runs", json={"seed": 4242}).json()["id"])
    graphs.save_clips(driver, id, video_id, [clip(0), clip(1)])
    graphs.save_graph(driver, id, video_id, WHOLE)
    yield id
    api.post(f"/v1/runs/{id}/cancel")
    api.delete(f"/v1/runs/{id}")


def test_pages_and_export_hold_the_same(server: Server, api: httpx.Client, run: str) -> None:
    rows = [json.loads(line) for line in api.get(f"/v1/graphs/{run}/export").text.splitlines()]
    with Client(server.url) as client:
        nodes = [n for k in graph_rows.NODE_LABELS for n in client.pages(f"/v1/graphs/{run}/nodes", label=k, limit=2)]
        edges = [e for k in graph_rows.EDGE_ENDS for e in client.pages(f"/v1/graphs/{run}/edges", type=k, limit=2)]
    assert len(nodes) > 10 and len(edges) > 10
    for found, kind in ((nodes, "node"), (edges, "edge")):
        exported = [{k: v for k, v in row.items() if k != "kind"} for row in rows if row["kind"] == kind]
        assert [_bare(row) for row in found] == exported


def _bare(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a page as an export has it."""
    kept = {k: v for k, v in row.items() if k != "object"}
    return kept | {"labels": sorted(kept["labels"])} if "labels" in kept else kept


def test_a_graph_is_counted_and_linked(server: Server, api: httpx.Client, run: str) -> None:
    told = api.get(f"/v1/graphs/{run}").json()
    assert told["counts"] == WHOLE.counts()
    assert run in told["browser_url"] and told["guide_url"] == f"{server.url}/neo4j/guide.html?run={run}"
    assert api.get(told["guide_url"]).status_code == 200


@pytest.mark.parametrize(("path", "field"), [("nodes?label=Nobody", "label"), ("edges?type=LOVES", "type")])
def test_a_kind_that_there_is_not_is_named(api: httpx.Client, run: str, path: str, field: str) -> None:
    [error] = problem(api.get(f"/v1/graphs/{run}/{path}"), 422, "invalid_request")["errors"]
    assert error["field"] == field
