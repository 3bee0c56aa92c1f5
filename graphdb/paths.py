"""Multi-step Reasoning Path Sampling (STEP Sec. 3.2) on the stored graphs.

All walks of a request advance together, one statement for each step. Chance enters only as parameters, because Cypher's
`rand()` can't be seeded: the same seed on the same graph gives the same walks. Starts are found by the index on
`graph_id`, so the cost depends on the sampled graphs and not on the size of the database.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, get_args

from neo4j import Driver

from graphdb.connection import read
from graphdb.cypher import cypher
from model.rationale.english import deed
from model.rationale.walk import EDGE_KINDS, ClipFacts, EdgeKind, Entity, Hop, Setting, Slot, Stopped, Walk
from model.stsg import object_name

SLOTS: tuple[Slot, ...] = get_args(Slot)
_BATCH = 2000
_Row = Mapping[str, Any]
_Group = tuple[tuple[EdgeKind, ...], tuple[Slot, ...], bool]  # what a first pair may be
_LEFT_OPEN: dict[Slot, str] = {  # which ends of the first edge the question has to mention
    "value": "source",
    "owner": "none",
    "subject": "target",
    "object": "source",
    "predicate": "both",
    "action": "source",
    "actor": "none",
    "target": "source",
    "here": "target",
    "there": "source",
    "here_clip": "target",
    "there_clip": "source",
}


@dataclass(frozen=True, slots=True)
class WalkOrder:
    """One walk to be sampled: where, of how many steps, and which kinds of edge and slots may be asked about."""

    run_id: str
    steps: int
    kinds: tuple[EdgeKind, ...] = EDGE_KINDS
    slots: tuple[Slot, ...] = SLOTS


@dataclass(slots=True)
class _Growing:
    """A walk as it grows: Q may still be expanded, A already has been (or is the asked slot)."""

    order: WalkOrder
    asked: Slot
    entities: dict[str, Entity]  # Q and A together, by id in the store
    open: list[str]
    hops: list[Hop]
    used: list[list[str]] = field(default_factory=list)
    crossed: list[str] = field(default_factory=list)

    def finished(self) -> Walk:
        stopped: Stopped = "reached" if len(self.hops) == self.order.steps else "stuck"
        return Walk(self.order.run_id, self.asked, tuple(self.hops), self.order.steps, stopped)


def sample_walks(
    driver: Driver, run_id: str, *, count: int, steps: int, seed: int, kinds: Sequence[EdgeKind] = EDGE_KINDS
) -> list[Walk]:
    """`count` walks of at most `steps` edges (the paper's N) on one run's graph; none where it has no such edge.

    Each eligible first pair (edge and asked slot) is equally likely, and so is each eligible expansion of a step.
    """
    orders = [WalkOrder(run_id, steps, tuple(kinds))] * count
    return [walk for walk in walk_orders(driver, orders, Random(seed)) if walk is not None]


def walk_orders(driver: Driver, orders: Sequence[WalkOrder], rng: Random) -> list[Walk | None]:
    """One walk for each order, in order; None where the graph has no edge to start from."""
    if any(order.steps < 1 for order in orders):
        raise ValueError("A walk needs at least one step: ask for steps >= 1.")
    draws = [rng.random() for _ in orders]
    walks = _start(driver, orders, draws)
    for step in range(2, max((order.steps for order in orders), default=0) + 1):
        growing = {i: w for i, w in walks.items() if len(w.hops) == step - 1 and w.order.steps >= step}
        _expand(driver, growing, step, {i: rng.random() for i in sorted(growing)})
    return [walks[i].finished() if i in walks else None for i in range(len(orders))]


def load_settings(driver: Driver, run_ids: Sequence[str]) -> dict[str, Setting]:
    """The background of each run's questions; a run without clips is left out."""
    rows = read(driver, cypher("walk_setting"), graph_ids=list(run_ids))
    clips: dict[str, list[ClipFacts]] = {}
    videos: dict[str, str] = {}
    for row in rows:
        videos[row["graph_id"]] = row["video_id"]
        entities = row["entities"]
        facts = ClipFacts(
            index=row["index"],
            t_start=row["t_start"],
            t_end=row["t_end"],
            events=tuple(row["events"]),
            names=tuple(sorted(object_name(e["category"], e["mark"]) for e in entities)),
            categories=tuple(sorted(e["category"] for e in entities)),
            members=tuple((_local(row["graph_id"], e["id"]), object_name(e["category"], e["mark"])) for e in entities),
        )
        clips.setdefault(row["graph_id"], []).append(facts)
    return {run_id: Setting(run_id, videos[run_id], tuple(found)) for run_id, found in clips.items()}


def load_pools(driver: Driver, run_ids: Sequence[str]) -> dict[str, dict[tuple[str, ...], Counter[str]]]:
    """How often each answer occurs in each run's graph, by what it is one of."""
    pools: dict[str, dict[tuple[str, ...], Counter[str]]] = {}
    for row in read(driver, cypher("walk_pools"), graph_ids=list(run_ids)):
        pool, (answer, more) = tuple(row["pool"]), row["answer"]
        if pool[0] in ("action", "name"):
            answer = deed(answer, more) if pool[0] == "action" else object_name(answer, more)
        pools.setdefault(row["graph_id"], {}).setdefault(pool, Counter())[answer] += row["times"]
    return pools


def _start(driver: Driver, orders: Sequence[WalkOrder], draws: Sequence[float]) -> dict[int, _Growing]:
    graphs: dict[str, dict[_Group, list[tuple[int, float]]]] = {}
    for i, (order, draw) in enumerate(zip(orders, draws, strict=True)):
        group = (order.kinds, order.slots, order.steps > 1)
        graphs.setdefault(order.run_id, {}).setdefault(group, []).append((i, draw))
    parameters = [
        {
            "graph_id": run_id,
            "groups": [
                {"kinds": list(kinds), "slots": list(slots), "growing": growing, "draws": d}
                for (kinds, slots, growing), d in groups.items()
            ],
        }
        for run_id, groups in graphs.items()
    ]
    rows = read(driver, cypher("walk_start"), graphs=parameters)
    return {row["walk"]: _first(orders[row["walk"]], row) for row in rows}


def _first(order: WalkOrder, row: _Row) -> _Growing:
    entities = {found[0]: _entity(order.run_id, found) for found in (row["source"], row["target"]) if found}
    source, target = row["source"][0], row["target"] and row["target"][0]
    hop = _hop(order.run_id, row, entities[source], entities.get(target), row["start"], row["end"])
    ends = {"source": [source], "target": [target], "both": [source, target], "none": []}
    used = [[source, hop.kind, row["label"], row["value"]]] if target is None else []
    left = ends[_LEFT_OPEN[row["asked"]]]
    return _Growing(order, row["asked"], entities, left, [hop], used, [*left] if hop.kind == "REFERENCE" else [])


def _expand(driver: Driver, growing: Mapping[int, _Growing], step: int, draws: Mapping[int, float]) -> None:
    groups: dict[tuple[str, ...], list[list[Any]]] = {}
    for i, walk in growing.items():
        listed = [i, draws[i], step == walk.order.steps, list(walk.entities), walk.used, walk.crossed]
        groups.setdefault(tuple(walk.open), []).append(listed)
    parameters = [{"open": list(mentioned), "walks": walks} for mentioned, walks in groups.items()]
    for at in range(0, len(parameters), _BATCH):
        for row in read(driver, cypher("walk_step"), groups=parameters[at : at + _BATCH]):
            _take(growing[row["walk"]], row)


def _take(walk: _Growing, row: _Row) -> None:
    run_id, expanded, entered = walk.order.run_id, row["expanded"], row["entered"]
    here, there = walk.entities[expanded], _entity(run_id, row["other"]) if entered else None
    ends = (here, there, row["start"], row["end"])
    if there is not None and not row["forward"]:
        ends = (there, here, row["end"], row["start"])
    walk.hops.append(_hop(run_id, row, *ends, expanded=here.id))
    walk.open.remove(expanded)
    if there is None:
        walk.used.append([expanded, row["kind"], row["label"], row["value"]])
    else:
        walk.open.append(entered)
        walk.entities[entered] = there
        if row["kind"] == "REFERENCE":
            walk.crossed.append(entered)


def _hop(
    run_id: str, row: _Row, source: Entity, target: Entity | None, start: str, end: str, expanded: str = ""
) -> Hop:
    attribute = row["kind"] == "ATTRIBUTE"
    return Hop(
        kind=row["kind"],
        source=source,
        target=target,
        start=_local(run_id, start),
        end="" if attribute else _local(run_id, end),
        predicate="" if attribute else row["label"],
        type=row["label"] if attribute else "",
        value=row["value"],
        expanded=expanded,
        keyframes=tuple(sorted(set(row["keyframes"]))),
        evidence=tuple(sorted(set(row["evidence"]))),
    )


def _entity(run_id: str, found: Sequence[Any]) -> Entity:
    return Entity(_local(run_id, found[0]), found[1], found[2] or "", found[3])


def _local(run_id: str, id: str) -> str:
    return id.removeprefix(f"{run_id}/")
