"""Multi-step Reasoning Path Sampling (STEP Sec. 3.2) on the stored graphs.

All walks of a request advance together, one statement for each step. Chance enters only as parameters, because Cypher's
`rand()` can't be seeded: the same seed on the same graph gives the same walks. Starts are found by the index on
`graph_id`, so the cost depends on the sampled graphs and not on the size of the database.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from random import Random
from typing import Any, get_args

from neo4j import Driver

from graphdb.connection import read, read_in_parts
from graphdb.cypher import cypher
from model.rationale.english import deed
from model.rationale.walk import EDGE_KINDS, ClipFacts, EdgeKind, Entity, Hop, HopKind, Setting, Slot, Stopped, Walk
from model.stsg import object_name

SLOTS: tuple[Slot, ...] = get_args(Slot)
EDGE_SLOTS: tuple[Slot, ...] = SLOTS[: SLOTS.index("there_clip") + 1]
_IN_TIME: tuple[HopKind, ...] = ("EVENT", "PAIR")
_REACH = 8  # clips between two objects that a question about time compares
_GROUPS = 25  # in one statement
_SHARING = 100  # walks of one graph that share what they may be expanded by
_Row = Mapping[str, Any]
_Group = tuple[tuple[HopKind, ...], tuple[Slot, ...], bool]  # what a first pair may be
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
    "first_clip": "target",
    "last_clip": "source",
    "event": "source",
    "before": "source",
    "after": "source",
    "most": "none",
    "fewest": "none",
    "longest": "none",
    "shortest": "none",
    "first": "both",
    "last": "both",
    "between": "both",
    "longer": "both",
    "shorter": "both",
    "acts_longer": "both",
    "same_object": "both",
    "other_object": "both",
    "same_value": "both",
    "other_value": "both",
}


@dataclass(frozen=True, slots=True)
class WalkOrder:
    """One walk to be sampled: where, of how many steps, and which kinds of edge and slots may be asked about."""

    run_id: str
    steps: int
    kinds: tuple[HopKind, ...] = EDGE_KINDS
    slots: tuple[Slot, ...] = EDGE_SLOTS
    weights: tuple[tuple[EdgeKind, float], ...] = ()  # of the kinds of edge by which is expanded; all alike if empty


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
    driver: Driver,
    run_id: str,
    *,
    count: int,
    steps: int,
    seed: int,
    kinds: Sequence[HopKind] = EDGE_KINDS,
    slots: Sequence[Slot] = EDGE_SLOTS,
    weights: Mapping[EdgeKind, float] | None = None,
) -> list[Walk]:
    """`count` walks of at most `steps` edges (the paper's N) on one run's graph; none where it has no such edge.

    Each eligible first pair (edge and asked slot) is equally likely, and so is each eligible expansion of a step, unless
    `weights` tells how much each kind of edge weighs.
    """
    orders = [WalkOrder(run_id, steps, tuple(kinds), tuple(slots), tuple((weights or {}).items()))] * count
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
    walks: dict[int, _Growing] = {}
    for statement, in_time in (("walk_start", False), ("walk_start_time", True)):
        parameters = [
            {
                "graph_id": run_id,
                "slots": sorted({slot for _, slots, _ in groups for slot in slots}),
                "groups": [
                    {"kinds": list(kinds), "slots": list(slots), "growing": growing, "draws": d}
                    for (kinds, slots, growing), d in groups.items()
                ],
            }
            for run_id, every in graphs.items()
            if (groups := {group: d for group, d in every.items() if (group[0][0] in _IN_TIME) == in_time})
        ]
        for row in read_in_parts(driver, cypher(statement), "graphs", parameters, reach=_REACH) if parameters else ():
            walks[row["walk"]] = _first(orders[row["walk"]], row)
    return walks


def _first(order: WalkOrder, row: _Row) -> _Growing:
    entities = {found[0]: _entity(order.run_id, found) for found in (row["source"], row["target"]) if found}
    source, target = row["source"][0], row["target"] and row["target"][0]
    hop = _hop(order.run_id, row, entities[source], entities.get(target), row["start"], row["end"])
    ends = {"source": [source], "target": [target], "both": [source, target], "none": []}
    used = [[source, hop.kind, row["label"], row["value"]]] if target is None else []
    left = ends[_LEFT_OPEN[row["asked"]]]
    return _Growing(order, row["asked"], entities, left, [hop], used, [*left] if hop.kind == "REFERENCE" else [])


def _expand(driver: Driver, growing: Mapping[int, _Growing], step: int, draws: Mapping[int, float]) -> None:
    parameters = []
    together = sorted(growing, key=lambda i: (growing[i].order.run_id, growing[i].order.weights, i))
    for (_, weights), found in groupby(together, key=lambda i: (growing[i].order.run_id, growing[i].order.weights)):
        for walks in _batched(found, _SHARING):
            listed = [
                [i, draws[i], step == w.order.steps, list(w.entities), w.used, w.crossed, w.open]
                for i in walks
                if (w := growing[i])
            ]
            mentioned = sorted({entity for i in walks for entity in growing[i].open})
            parameters.append({"open": mentioned, "weights": [list(pair) for pair in weights], "walks": listed})
    for at in range(0, len(parameters), _GROUPS):
        for row in read_in_parts(driver, cypher("walk_step"), "groups", parameters[at : at + _GROUPS]):
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


def _batched(items: Iterable[int], size: int) -> Iterator[tuple[int, ...]]:
    """Lists of at most `size` items."""
    left = iter(items)
    while found := tuple(islice(left, size)):
        yield found


def _hop(
    run_id: str, row: _Row, source: Entity, target: Entity | None, start: str, end: str, expanded: str = ""
) -> Hop:
    typed = row["kind"] in ("ATTRIBUTE", "PAIR")
    return Hop(
        kind=row["kind"],
        source=source,
        target=target,
        start=_local(run_id, start),
        end="" if row["kind"] == "ATTRIBUTE" else _local(run_id, end),
        predicate="" if typed else row["label"],
        type=row["label"] if typed else "",
        value=row["value"],
        other_value=row.get("other", "") or "" if row["kind"] == "PAIR" else "",
        expanded=expanded,
        keyframes=tuple(sorted(set(row["keyframes"]))),
        evidence=tuple(sorted(set(row["evidence"]))),
    )


def _entity(run_id: str, found: Sequence[Any]) -> Entity:
    return Entity(_local(run_id, found[0]), found[1], found[2] or "", found[3])


def _local(run_id: str, id: str) -> str:
    return id.removeprefix(f"{run_id}/")
