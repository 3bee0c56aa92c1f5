"""Graphs: what a run made, counted, paged and exported."""

import json
from collections.abc import Generator, Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from api import views
from api.deps import ServiceDep
from api.errors import problem_responses
from api.files import Stream
from api.paging import After, Limit, Page, page
from api.schemas import Edge, Graph, Node
from graphdb import graphs
from graphdb.graph_rows import EdgeType, NodeLabel

router = APIRouter(prefix="/v1/graphs", tags=["graphs"])
JSONL = "application/jsonl"


@router.get("/{run_id}", responses=problem_responses(404))
def get_graph(service: ServiceDep, request: Request, run_id: str) -> Graph:
    """Counts per kind, what could not be used and why, and the link that opens the graph in Neo4j Browser."""
    base = service.settings.public_url or str(request.base_url)
    return views.graph(service, run_id, f"{base.rstrip('/')}/neo4j/guide.html?run={run_id}")


@router.get("/{run_id}/nodes", responses=problem_responses(404, 422))
def list_nodes(
    service: ServiceDep,
    run_id: str,
    label: Annotated[NodeLabel, Query(description="Which kind of node.")] = "Object",
    limit: Limit = 20,
    after: After = None,
) -> Page[Node]:
    """Nodes of one label, in order of their ids."""
    views.graph_job(service, run_id)
    found = graphs.node_page(service.driver, run_id, label, after=after or "", limit=limit + 1)
    return page([Node(**row) for row in found], limit)


@router.get("/{run_id}/edges", responses=problem_responses(404, 422))
def list_edges(
    service: ServiceDep,
    run_id: str,
    type: Annotated[EdgeType, Query(description="Which kind of edge.")] = "RELATION",
    limit: Limit = 20,
    after: After = None,
) -> Page[Edge]:
    """Edges of one type, in order of their ids."""
    views.graph_job(service, run_id)
    found = graphs.edge_page(service.driver, run_id, type, after=after or "", limit=limit + 1)
    return page([Edge(**row) for row in found], limit)


@router.get("/{run_id}/export", response_class=Stream, responses=problem_responses(404))
def export(service: ServiceDep, run_id: str) -> Stream:
    """Every node, then every edge, a JSON object a line, as a stream; the order is always the same."""
    views.graph_job(service, run_id)
    headers = {"Content-Disposition": f'attachment; filename="{run_id}.jsonl"'}
    return Stream(lines(graphs.export_rows(service.driver, run_id)), media_type=JSONL, headers=headers)


def lines(rows: Iterator[dict[str, Any]]) -> Generator[bytes]:
    """Rows as JSONL."""
    for row in rows:
        yield json.dumps(row, ensure_ascii=False).encode() + b"\n"
