"""The STSG in Neo4j: saved clip by clip, loaded back exactly as it was, counted, paged, exported, deleted.

Each node and edge has a `name` or `predicate` that reads well as a caption, and its provenance.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from neo4j import Driver, ManagedTransaction

from graphdb.connection import BATCH, read, write
from graphdb.cypher import cypher
from graphdb.graph_rows import EDGE_ENDS, NODE_LABELS, EdgeType, GraphRows, NodeLabel, Properties
from graphdb.jobs import Lease, prove
from model.stsg import Attribute, Clip, Event, Motion, ObjectNode, Reference, Relation, SceneGraph


@dataclass(frozen=True, slots=True)
class StoredKeyframe:
    """A keyframe as the database has it: everything but the picture."""

    id: str
    t: float


@dataclass(frozen=True, slots=True)
class StoredClip:
    """A clip as the database has it; `induced` once its graph is saved."""

    index: int
    t_start: float
    t_end: float
    frame_start: int
    frame_end: int
    keyframes: tuple[StoredKeyframe, ...]
    induced: bool


def save_clips(
    driver: Driver, run_id: str, video_id: str, clips: Sequence[Clip], *, lease: Lease | None = None
) -> None:
    """Store the clips and keyframes of a run (not the pictures).

    Raises:
        LeaseLost: nothing was written.
    """
    rows = GraphRows(run_id, video_id)
    ids = [_clip_node(rows, clip) for clip in clips]
    for before, after in pairwise(ids):
        rows.edge("NEXT", before, after, predicate="next")
    _save(driver, rows, lease)


def _clip_node(rows: GraphRows, clip: Clip) -> str:
    id = rows.node(
        "Clip",
        f"c{clip.index}",
        name=f"clip {clip.index + 1} · {clip.t_start:g}-{clip.t_end:g}s",
        index=clip.index,
        t_start=clip.t_start,
        t_end=clip.t_end,
        frame_start=clip.frame_start,
        frame_end=clip.frame_end,
        induced=False,
    )
    rows.edge("HAS_CLIP", rows.video_id, id, predicate="has clip")
    for k in clip.keyframes:
        frame = rows.node("Keyframe", f"f/{k.id}", name=f"{k.t:g}s", frame_id=k.id, t=k.t, clip=clip.index)
        rows.edge("HAS_KEYFRAME", id, frame, predicate="has keyframe")
    return id


def save_graph(
    driver: Driver,
    run_id: str,
    video_id: str,
    graph: SceneGraph,
    *,
    clip: int | None = None,
    lease: Lease | None = None,
) -> None:
    """Store a graph, or a part of one; with `clip` the graph of this clip, which then counts as induced.

    Raises:
        LeaseLost: nothing was written.
    """
    _save(driver, _rows(run_id, video_id, graph), lease, induced=clip)


def save_bridges(driver: Driver, run_id: str, video_id: str, graph: SceneGraph, *, lease: Lease | None = None) -> None:
    """Store references and events in the place of those that the run has: a model that is asked twice may say two things.

    Raises:
        LeaseLost: nothing was written.
    """
    rows = _rows(run_id, video_id, graph)

    def work(tx: ManagedTransaction) -> None:
        prove(tx, lease)
        for kind in ("REFERENCE", "EVENT"):
            tx.run(f"MATCH ()-[r:{kind} {{graph_id: $id}}]->() DELETE r", id=run_id).consume()
        rows.save(tx)

    write(driver, work)


def _rows(run_id: str, video_id: str, graph: SceneGraph) -> GraphRows:
    rows = GraphRows(run_id, video_id)
    for position, o in enumerate(graph.objects):
        _object_node(rows, o, position)
    for position, r in enumerate(graph.relations):
        told = {"predicate": r.predicate, "clip": r.clip, "keyframes": list(r.keyframes), "position": position}
        rows.edge("RELATION", rows.id(r.subject), rows.id(r.object), r.predicate, **told, **_common(r))
    for position, m in enumerate(graph.motions):
        told = {"predicate": m.predicate, "target": m.target, "clip": m.clip, "position": position}
        rows.edge("MOTION", rows.id(m.start), rows.id(m.end), m.predicate, m.target, **told, **_common(m))
    for position, f in enumerate(graph.references):
        told = {"predicate": "same as", "confidence": f.confidence, "evidence": list(f.evidence), "position": position}
        rows.edge("REFERENCE", rows.id(f.here), rows.id(f.there), **told)
    for e in graph.events:
        told = {"description": e.description, "predicate": e.description, "clip": e.clip, "evidence": list(e.evidence)}
        rows.edge("EVENT", video_id, rows.id(f"c{e.clip}"), t_start=e.t_start, t_end=e.t_end, **told)
    return rows


def _object_node(rows: GraphRows, o: ObjectNode, position: int) -> None:
    dynamic = o.kind == "dynamic"
    id = rows.node(
        "Object",
        o.id,
        ["Dynamic" if dynamic else "Static"],
        name=o.name,
        caption=f"{o.name} @{o.t_start:g}s" if dynamic else o.name,
        category=o.category,
        mark=o.mark,
        kind=o.kind,
        clip=o.clip,
        keyframes=list(o.keyframes),
        position=position,
        **_common(o),
    )
    for frame in o.keyframes:
        rows.edge("SHOWS", rows.id(f"f/{frame}"), id, predicate="shows")
    for a in o.attributes:
        told: Properties = {"type": a.type, "value": a.value, "clip": o.clip}
        value = rows.node("Attribute", f"{o.id}/{a.type}={a.value}", name=a.value, **told, evidence=list(a.evidence))
        rows.edge("ATTRIBUTE", id, value, predicate=a.type, type=a.type)


def _common(x: ObjectNode | Relation | Motion) -> Properties:
    return {"t_start": x.t_start, "t_end": x.t_end, "confidence": x.confidence, "evidence": list(x.evidence)}


def _save(driver: Driver, rows: GraphRows, lease: Lease | None, *, induced: int | None = None) -> None:
    def work(tx: ManagedTransaction) -> None:
        prove(tx, lease)
        rows.save(tx)
        if induced is not None:
            tx.run("MATCH (c:Clip {id: $id}) SET c.induced = true", id=rows.id(f"c{induced}")).consume()

    write(driver, work)


def load_clips(driver: Driver, run_id: str) -> list[StoredClip]:
    """The clips of a run, in order; empty before they are saved."""
    clips = []
    for row in read(driver, cypher("graph_clips"), graph_id=run_id):
        c = row["clip"]
        keyframes = tuple(StoredKeyframe(k["frame_id"], k["t"]) for k in row["keyframes"])
        clips.append(
            StoredClip(c["index"], c["t_start"], c["t_end"], c["frame_start"], c["frame_end"], keyframes, c["induced"])
        )
    return clips


def load_graph(driver: Driver, run_id: str) -> SceneGraph:
    """The graph of a run, exactly as it was saved."""
    cut = len(run_id) + 1
    attributes: dict[str, list[Attribute]] = {}
    values = {row["id"]: row["properties"] for row in nodes(driver, run_id, "Attribute")}
    for row in edges(driver, run_id, "ATTRIBUTE"):
        v = values[row["target"]]
        attributes.setdefault(row["source"], []).append(Attribute(v["type"], v["value"], tuple(v["evidence"])))
    objects = [
        ObjectNode(
            row["id"][cut:],
            p["category"],
            p["mark"],
            p["kind"],
            p["clip"],
            p["t_start"],
            p["t_end"],
            tuple(p["keyframes"]),
            tuple(sorted(attributes.get(row["id"], []))),
            p["confidence"],
            tuple(p["evidence"]),
        )
        for row in _in_order(nodes(driver, run_id, "Object"))
        for p in (row["properties"],)
    ]
    return SceneGraph(
        tuple(objects),
        tuple(_relation(row, cut) for row in _in_order(edges(driver, run_id, "RELATION"))),
        tuple(_motion(row, cut) for row in _in_order(edges(driver, run_id, "MOTION"))),
        tuple(_reference(row, cut) for row in _in_order(edges(driver, run_id, "REFERENCE"))),
        tuple(sorted((_event(row) for row in edges(driver, run_id, "EVENT")), key=lambda e: e.clip)),
    )


def _in_order(rows: Iterable[Properties]) -> list[Properties]:
    return sorted(rows, key=lambda row: (row["properties"].get("clip", 0), row["properties"]["position"]))


def _relation(row: Properties, cut: int) -> Relation:
    p = row["properties"]
    ends = row["source"][cut:], p["predicate"], row["target"][cut:]
    return Relation(
        *ends, p["clip"], p["t_start"], p["t_end"], tuple(p["keyframes"]), p["confidence"], tuple(p["evidence"])
    )


def _motion(row: Properties, cut: int) -> Motion:
    p = row["properties"]
    ends = row["source"][cut:], row["target"][cut:], p["predicate"], p["target"]
    return Motion(*ends, p["clip"], p["t_start"], p["t_end"], p["confidence"], tuple(p["evidence"]))


def _reference(row: Properties, cut: int) -> Reference:
    p = row["properties"]
    return Reference(row["source"][cut:], row["target"][cut:], p["confidence"], tuple(p["evidence"]))


def _event(row: Properties) -> Event:
    p = row["properties"]
    return Event(p["clip"], p["description"], p["t_start"], p["t_end"], tuple(p["evidence"]))


def nodes(driver: Driver, run_id: str, label: NodeLabel) -> Iterator[Properties]:
    """All nodes of a label, in order of their ids: {id, labels, properties}."""
    return _paged(lambda after: node_page(driver, run_id, label, after=after, limit=BATCH))


def edges(driver: Driver, run_id: str, type: EdgeType) -> Iterator[Properties]:
    """All edges of a type, in order of their ids: {id, type, source, target, properties}."""
    return _paged(lambda after: edge_page(driver, run_id, type, after=after, limit=BATCH))


def node_page(driver: Driver, run_id: str, label: NodeLabel, *, after: str = "", limit: int) -> list[Properties]:
    """Nodes of a label whose ids come after `after`."""
    assert label in NODE_LABELS, label
    return _page(driver, cypher("graph_nodes").replace("LABEL)", f"{label})"), run_id, after, limit)


def edge_page(driver: Driver, run_id: str, type: EdgeType, *, after: str = "", limit: int) -> list[Properties]:
    """Edges of a type whose ids come after `after`."""
    assert type in EDGE_ENDS, type
    return _page(driver, cypher("graph_edges").replace("TYPE]", f"{type}]"), run_id, after, limit)


def _page(driver: Driver, text: str, run_id: str, after: str, limit: int) -> list[Properties]:
    """What a graph has after an id, in order of ids, all of which are `<run id>/<local id>`."""
    first, end = f"{run_id}/", f"{run_id}0"  # "0" comes right after "/"
    return read(driver, text, after=max(after, first), end=end, limit=limit)


def _paged(page: Callable[[str], list[Properties]]) -> Iterator[Properties]:
    after = ""
    while rows := page(after):
        yield from rows
        after = rows[-1]["id"]


def counts(driver: Driver, run_id: str) -> dict[str, int]:
    """How many objects (states), attributes, relations, motions, references and events the graph holds."""
    [row] = read(driver, cypher("graph_counts"), graph_id=run_id)
    return row


def export_rows(driver: Driver, run_id: str) -> Iterator[Properties]:
    """Every node, then every edge, in an order that is always the same: the rows of a JSONL export."""
    for label in NODE_LABELS:
        for row in nodes(driver, run_id, label):
            yield {"kind": "node", "id": row["id"], "labels": sorted(row["labels"]), "properties": _sorted(row)}
    for type in EDGE_ENDS:
        for row in edges(driver, run_id, type):
            ends = {"type": row["type"], "source": row["source"], "target": row["target"]}
            yield {"kind": "edge", "id": row["id"], **ends, "properties": _sorted(row)}


def _sorted(row: Properties) -> Properties:
    return dict(sorted(row["properties"].items()))


def delete_graph(driver: Driver, run_id: str) -> None:
    """Delete the graph of a run, and nothing else; in parts, so that a large one doesn't fill the memory."""

    def work(tx: ManagedTransaction) -> int:
        return int(tx.run(cypher("graph_delete"), graph_id=run_id, limit=BATCH).single(strict=True)["deleted"])

    while write(driver, work):
        pass
