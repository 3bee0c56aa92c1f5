"""Precision, recall and F1 of an induced graph against the true one, by kind of node and edge.

Objects are compared by clip and name, everything else through the names of its objects: ids never match. A dynamic
object's states count as one object.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from model.stsg import SceneGraph

KINDS = ("objects", "attributes", "relations", "motions", "references", "events")
Facts = Mapping[str, frozenset[tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class Score:
    """Counts of facts: found and true, found at all, true at all. Scores add up over videos."""

    hits: int = 0
    found: int = 0
    true: int = 0

    def __add__(self, other: "Score") -> "Score":
        return Score(self.hits + other.hits, self.found + other.found, self.true + other.true)

    @property
    def precision(self) -> float:
        return self.hits / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        return self.hits / self.true if self.true else 1.0

    @property
    def f1(self) -> float:
        return 2 * self.hits / (self.found + self.true) if self.found + self.true else 1.0


def score(induced: SceneGraph, true: SceneGraph) -> dict[str, Score]:
    """A score for each of `KINDS`."""
    ours, theirs = facts(induced), facts(true)
    return {kind: Score(len(ours[kind] & theirs[kind]), len(ours[kind]), len(theirs[kind])) for kind in KINDS}


def total(scores: Iterable[Mapping[str, Score]]) -> dict[str, Score]:
    """The scores of many videos as one (micro average)."""
    summed = dict.fromkeys(KINDS, Score())
    for one in scores:
        for kind in KINDS:
            summed[kind] += one[kind]
    return summed


def facts(graph: SceneGraph) -> Facts:
    """What a graph says, in words."""
    name = {o.id: o.name for o in graph.objects}
    clip = {o.id: o.clip for o in graph.objects}
    return {
        "objects": frozenset((o.clip, o.name) for o in graph.objects),
        "attributes": frozenset((o.clip, o.name, a.type, a.value) for o in graph.objects for a in o.attributes),
        "relations": frozenset((r.clip, name[r.subject], r.predicate, name[r.object]) for r in graph.relations),
        "motions": frozenset((m.clip, name[m.start], m.predicate) for m in graph.motions),
        "references": frozenset((clip[r.here], name[r.here], clip[r.there], name[r.there]) for r in graph.references),
        "events": frozenset((e.clip, e.description) for e in graph.events),
    }


def chance(truths: Iterable[SceneGraph]) -> dict[str, Score]:
    """What blind guessing scores: each video is given the graph of the next one, as a model that sees nothing but
    knows what graphs look like would draw one."""
    graphs = list(truths)
    return total(score(guess, true) for guess, true in zip(graphs[1:] + graphs[:1], graphs, strict=True))
