"""What the store holds of a finished sample (STEP Sec. 3.2): the edges of its path."""

from collections.abc import Mapping, Sequence

from neo4j import Driver

from graphdb.connection import read
from graphdb.cypher import cypher


def path_edges(driver: Driver, run_id: str, path: Sequence[Mapping[str, str]]) -> list[str]:
    """The ids of a path's edges, in order; `path` is that of an exported row. An edge that is gone is left out."""
    steps = [
        {
            "kind": edge["kind"],
            "start": f"{run_id}/{edge['from']}",
            "end": f"{run_id}/{_end(edge)}",
            "predicate": edge.get("predicate", ""),
            "target": edge.get("value", ""),
        }
        for edge in path
    ]
    return [row["id"] for row in read(driver, cypher("path_edges"), path=steps)]


def _end(edge: Mapping[str, str]) -> str:
    """The local id of the node at an edge's end; an attribute's is made of its owner's and what it says."""
    return f"{edge['from']}/{edge['type']}={edge['value']}" if edge["kind"] == "ATTRIBUTE" else edge.get("to", "")
