"""An exported graph against the known truth of a rendered video."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from api.client import Client
from model.stsg import Attribute, Event, Motion, ObjectNode, Reference, Relation, SceneGraph
from trainer.world.files import load_scene
from trainer.world.score import Score, score
from trainer.world.truth import truth

Scores = dict[str, Score]


def score_export(client: Client, run_id: str, scene: Path) -> Scores:
    """Precision, recall and F1 by kind of a run's graph, as the API exports it."""
    return score(exported_graph(client, run_id), truth(load_scene(scene)))


def exported_graph(client: Client, run_id: str) -> SceneGraph:
    """A run's graph, read from its JSONL export; what scoring does not need is left out."""
    return graph_of(list(client.lines(f"/v1/graphs/{run_id}/export")))


def graph_of(rows: Sequence[dict[str, Any]]) -> SceneGraph:
    """The graph that the rows of an export hold; ids are those of the database."""
    nodes = {row["id"]: row for row in rows if row["kind"] == "node"}
    edges = [row for row in rows if row["kind"] == "edge"]
    attributes: dict[str, list[Attribute]] = {}
    for edge in edges:
        if edge["type"] == "ATTRIBUTE":
            value = nodes[edge["target"]]["properties"]
            attributes.setdefault(edge["source"], []).append(Attribute(value["type"], value["value"]))
    objects = [
        ObjectNode(
            id,
            p["category"],
            p["mark"],
            p["kind"],
            p["clip"],
            p["t_start"],
            p["t_end"],
            tuple(p["keyframes"]),
            tuple(attributes.get(id, ())),
        )
        for id, row in nodes.items()
        if "Object" in row["labels"]
        for p in (row["properties"],)
    ]
    by_type = {t: [e for e in edges if e["type"] == t] for t in ("RELATION", "MOTION", "REFERENCE", "EVENT")}
    return SceneGraph(
        tuple(objects),
        tuple(_relation(e) for e in by_type["RELATION"]),
        tuple(_motion(e) for e in by_type["MOTION"]),
        tuple(Reference(e["source"], e["target"]) for e in by_type["REFERENCE"]),
        tuple(_event(e["properties"]) for e in by_type["EVENT"]),
    )


def _relation(e: dict[str, Any]) -> Relation:
    p = e["properties"]
    return Relation(e["source"], p["predicate"], e["target"], p["clip"], p["t_start"], p["t_end"])


def _motion(e: dict[str, Any]) -> Motion:
    p = e["properties"]
    return Motion(e["source"], e["target"], p["predicate"], p["target"], p["clip"], p["t_start"], p["t_end"])


def _event(p: dict[str, Any]) -> Event:
    return Event(p["clip"], p["description"], p["t_start"], p["t_end"])
