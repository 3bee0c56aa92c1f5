"""A graph's nodes and edges on their way into the database: ids, owners, and the order of writing.

Ids are `<run id>/<local id>`, made from position and content, so that every write is a MERGE that may run twice. Each node
and edge also has the run (`graph_id`) and the video.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from neo4j import ManagedTransaction

from graphdb.connection import BATCH
from graphdb.cypher import cypher

NodeLabel = Literal["Clip", "Keyframe", "Object", "Attribute"]
EdgeType = Literal["ATTRIBUTE", "RELATION", "MOTION", "REFERENCE", "EVENT", "HAS_CLIP", "HAS_KEYFRAME", "SHOWS", "NEXT"]
NODE_LABELS: tuple[NodeLabel, ...] = ("Clip", "Keyframe", "Object", "Attribute")
EDGE_ENDS: dict[EdgeType, tuple[str, str]] = {
    "ATTRIBUTE": ("Object", "Attribute"),
    "RELATION": ("Object", "Object"),
    "MOTION": ("Object", "Object"),
    "REFERENCE": ("Object", "Object"),
    "EVENT": ("Video", "Clip"),
    "HAS_CLIP": ("Video", "Clip"),
    "HAS_KEYFRAME": ("Clip", "Keyframe"),
    "SHOWS": ("Keyframe", "Object"),
    "NEXT": ("Clip", "Clip"),
}
Properties = dict[str, Any]


@dataclass(slots=True)
class GraphRows:
    """Nodes and edges of one graph, on their way into the database."""

    run_id: str
    video_id: str
    nodes: dict[NodeLabel, dict[str, tuple[list[str], Properties]]] = field(default_factory=dict)
    edges: dict[EdgeType, dict[str, tuple[str, str, Properties]]] = field(default_factory=dict)

    def id(self, local: str) -> str:
        return f"{self.run_id}/{local}"

    def node(self, label: NodeLabel, local: str, extra: Sequence[str] = (), **properties: Any) -> str:
        id = self.id(local)
        owned = {"id": id, "graph_id": self.run_id, "video_id": self.video_id}
        self.nodes.setdefault(label, {})[id] = (list(extra), properties | owned)
        return id

    def edge(self, kind: EdgeType, start: str, end: str, *told: object, **properties: Any) -> None:
        """`start` and `end` are ids in the database; `told` is what tells edges between the same two nodes apart."""
        ends = (start.removeprefix(self.run_id), end.removeprefix(self.run_id))  # the same in every run of a video
        digest = hashlib.sha256("\0".join(map(str, (*ends, *told))).encode()).hexdigest()[:16]
        id = self.id(f"{kind.lower()}/{digest}")
        owned = {"id": id, "graph_id": self.run_id, "video_id": self.video_id}
        self.edges.setdefault(kind, {})[id] = (start, end, properties | owned)

    def save(self, tx: ManagedTransaction) -> None:
        """Nodes first, then edges, in batches sorted by id, so that two writers lock in one order."""
        for label in NODE_LABELS:
            rows = [
                {"id": id, "labels": labels, "properties": p}
                for id, (labels, p) in sorted(self.nodes.get(label, {}).items())
            ]
            for batch in _batches(rows):
                tx.run(cypher("graph_save_nodes"), label=label, rows=batch).consume()
        for type, (start, end) in EDGE_ENDS.items():
            rows = [
                {"id": id, "start": a, "end": b, "properties": p}
                for id, (a, b, p) in sorted(self.edges.get(type, {}).items())
            ]
            for batch in _batches(rows):
                told = {"type": type, "from": start, "to": end, "rows": batch}
                saved = tx.run(cypher("graph_save_edges"), told).single(strict=True)["saved"]
                if saved < len(batch):
                    raise ValueError(
                        f"{len(batch) - saved} {type} edges of {self.run_id} have an end that is not stored"
                    )


def _batches(rows: list[Properties]) -> Iterator[list[Properties]]:
    return (rows[i : i + BATCH] for i in range(0, len(rows), BATCH))
