"""Reasoning paths in the store (STEP Sec. 3.2): each eligible one is equally likely, and a seed fixes them all."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from typing import Any, cast

import pytest
from neo4j import Driver
from scipy.stats import chisquare

from graphdb import graphs, paths, programs
from graphdb.connection import read_in_parts
from graphdb.cypher import cypher
from graphdb.paths import load_settings, sample_walks
from graphdb.qra import make_qra
from model.rationale.mix import Mix
from model.rationale.walk import EDGE_KINDS, EdgeKind, Walk
from model.stsg import SceneGraph
from tests.graphdb.rationale_graphs import SMALL, stored
from trainer.world.scene import Scene
from trainer.world.truth import truth

Key = tuple[str, ...]
GRAPHS = {"run_paths": SMALL, "run_world_a": truth(Scene.generate(3)), "run_world_b": truth(Scene.generate(8))}


@pytest.fixture(scope="module")
def small(driver: Driver) -> Iterator[Driver]:
    with stored(driver, GRAPHS):
        yield driver


@pytest.mark.parametrize(
    ("run_id", "steps", "weights"),
    [("run_paths", 3, {}), ("run_world_a", 2, {}), ("run_world_b", 2, {}),
     ("run_paths", 2, {"RELATION": 3.0, "REFERENCE": 1.0, "ATTRIBUTE": 0.5})],
)  # fmt: skip
def test_walks_are_as_likely_as_they_should_be(
    small: Driver, run_id: str, steps: int, weights: dict[EdgeKind, float]
) -> None:
    """Each eligible pair and expansion alike, or by the weights of their kinds of edge where there are any."""
    expected = _distribution(GRAPHS[run_id], steps, weights)
    assert sum(expected.values()) == pytest.approx(1)
    count = 5000
    seen = Counter(_key(w) for w in sample_walks(small, run_id, count=count, steps=steps, seed=11, weights=weights))
    assert set(seen) <= set(expected)
    keys = sorted(expected)
    test = chisquare([seen[k] for k in keys], [float(expected[k]) * count for k in keys])
    assert test.pvalue > 0.01, f"chi-square {test.statistic:.1f} on {len(keys)} walks"


def test_a_seed_fixes_the_walks(small: Driver) -> None:
    first, again, other = (sample_walks(small, "run_paths", count=60, steps=4, seed=s) for s in (1, 1, 2))
    assert first == again != other


def test_a_walk_visits_nothing_twice_and_says_why_it_stopped(small: Driver) -> None:
    walks = sample_walks(small, "run_paths", count=300, steps=6, seed=3)
    assert {w.stopped for w in walks} == {"reached", "stuck"}
    for walk in walks:
        assert (walk.stopped == "reached") == (len(walk.hops) == 6)
        expanded = [h.expanded for h in walk.hops[1:]]
        assert "" not in expanded
        assert len(set(expanded)) == len(expanded)


def test_only_the_wanted_kinds_are_asked_about(small: Driver) -> None:
    walks = sample_walks(small, "run_paths", count=50, steps=2, seed=5, kinds=("MOTION",))
    assert {w.hops[0].kind for w in walks} == {"MOTION"}
    assert sample_walks(small, "no such run", count=5, steps=2, seed=5) == []


def test_hops_tell_their_ends_and_their_provenance(small: Driver) -> None:
    walks = sample_walks(small, "run_paths", count=200, steps=1, seed=7, kinds=("RELATION",))
    hop = next(w.hops[0] for w in walks if w.hops[0].predicate == "next to" and w.hops[0].start == "c0/bed")
    assert (hop.source.name, hop.end) == ("bed", "c0/man/3")
    assert hop.target is not None
    assert (hop.target.id, hop.target.name) == ("c0/man", "tall man"), "an object goes by its first state"
    assert hop.evidence == ("made c0/bed", "made c0/man/3")


def test_the_setting_of_questions(small: Driver) -> None:
    setting = load_settings(small, ["run_paths", "no such run"])["run_paths"]
    assert [c.index for c in setting.clips] == [0, 1, 2]
    assert setting.clips[0].names == ("bed", "cup", "tall man")
    assert setting.clips[1].names == ("man", "man", "tall man")
    assert setting.repeated_events() == {"men stand about"}


def _key(walk: Walk) -> Key:
    first, *rest = walk.hops
    far = first.target.id if first.target else ""
    told = (walk.asked, first.source.id, far, first.predicate or first.type, first.value)
    for hop in rest:
        entered = hop.other(hop.expanded).id if hop.target else ""
        told += (hop.expanded, hop.kind, entered, hop.predicate or hop.type, hop.value)
    return told


def test_pairs_in_time_are_alike_as_well(small: Driver) -> None:
    """Who is compared: any two objects of two clips, each pair as often."""
    entities = [chain[0] for chain in GRAPHS["run_world_a"].entities()]
    pairs = [(a.id, b.id) for a in entities for b in entities if a.clip < b.clip]
    walks = sample_walks(small, "run_world_a", count=2000, steps=2, seed=2, kinds=("PAIR",), slots=("first",))
    seen = Counter((w.hops[0].start, w.hops[0].end) for w in walks)
    assert set(seen) == set(pairs) and {w.asked for w in walks} == {"first"}
    assert chisquare([seen[pair] for pair in pairs]).pvalue > 0.01


def _distribution(graph: SceneGraph, steps: int, weights: Mapping[EdgeKind, float]) -> dict[Key, Fraction]:
    """Every walk with its probability, found by trying all choices on the plain graph."""
    edges = sorted(set(_edges(graph)))
    pairs = [(e, asked, left) for e in edges for asked, left in _slots(e) if left or steps == 1]
    found: dict[Key, Fraction] = {}
    names = {chain[0].id: chain[0].name.split() for chain in graph.entities()}
    pairs = [p for p in pairs if p[1] != "owner" or p[0][4] not in names[p[0][1]]]
    apart = [e for e in edges if e[0] != "ATTRIBUTE" or e[4] not in names[e[1]]]
    for (kind, source, target, label, value), asked, left in pairs:
        seen = {source, target} - {""}
        used = set() if target else {(source, kind, label, value)}
        crossed = set(left) if kind == "REFERENCE" else set()
        key = (asked, source, target, label, value)
        for more, chance in _continued(apart, left, seen, used, crossed, steps - 1, weights):
            found[key + more] = found.get(key + more, Fraction()) + chance / len(pairs)
    return found


def _continued(
    edges: list[Key],
    open: tuple[str, ...],
    seen: set[str],
    used: set[Key],
    crossed: set[str],
    left: int,
    weights: Mapping[EdgeKind, float],
) -> Iterator[tuple[Key, Fraction]]:
    options = [o for e in open for o in _options(edges, e, seen, used, crossed)] if left else []
    weighed = {kind: Fraction(weights.get(kind, 0.0) if weights else 1.0) for kind in EDGE_KINDS}
    options = [o for o in options if weighed[cast(EdgeKind, o[1])]]
    if left > 1 and any(o[2] for o in options):
        options = [o for o in options if o[2]]
    if not options:
        yield (), Fraction(1)
    total = sum((weighed[cast(EdgeKind, o[1])] for o in options), Fraction())
    for expanded, kind, entered, label, value in options:
        after = (*(e for e in open if e != expanded), *([entered] if entered else []))
        more_used = used | ({(expanded, kind, label, value)} if not entered else set())
        more_crossed = crossed | ({entered} if kind == "REFERENCE" else set())
        for more, chance in _continued(edges, after, seen | {entered}, more_used, more_crossed, left - 1, weights):
            yield (expanded, kind, entered, label, value, *more), chance * weighed[cast(EdgeKind, kind)] / total


def _options(edges: list[Key], entity: str, seen: set[str], used: set[Key], crossed: set[str]) -> list[Key]:
    found = []
    for kind, source, target, label, value in edges:
        if entity not in (source, target) or (kind == "REFERENCE" and entity in crossed):
            continue
        other = target if entity == source else source
        along = any(e[:3] == (kind, entity, other) for e in edges)
        if target and other not in seen and (kind != "RELATION" or entity == source or not along):
            found.append((entity, kind, other, label, value))
        elif not target and (entity, kind, label, value) not in used:
            found.append((entity, kind, "", label, value))
    return found


def _edges(graph: SceneGraph) -> Iterator[Key]:
    """(kind, source entity, target entity or "", predicate or type, value), each once however many states have it."""
    first = {state.id: chain[0].id for chain in graph.entities() for state in chain}
    for o in graph.objects:
        yield from (("ATTRIBUTE", first[o.id], "", a.type, a.value) for a in o.attributes)
    for r in graph.relations:
        yield ("RELATION", first[r.subject], first[r.object], r.predicate, "")
    for m in graph.motions:
        yield ("MOTION", first[m.start], "", m.predicate, m.target)
    for f in graph.references:
        yield ("REFERENCE", first[f.here], first[f.there], "same as", "")


def _slots(edge: Key) -> list[tuple[str, tuple[str, ...]]]:
    kind, source, target, _, value = edge
    if kind == "ATTRIBUTE":
        return [("value", (source,)), ("owner", ())]
    if kind == "MOTION":
        return [("action", (source,)), ("actor", ()), *([("target", (source,))] if value else [])]
    if kind == "RELATION":
        return [("subject", (target,)), ("object", (source,)), ("predicate", (source, target))]
    return [("here", (target,)), ("there", (source,)), ("here_clip", (target,)), ("there_clip", (source,))]


def test_no_part_of_making_questions_costs_more_in_a_larger_database(
    small: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Walks, what is known of their graph, programs: each statement, told by what it touches and not by a clock."""

    def hits() -> Counter[str]:
        seen = Counter[str]()

        def counted(driver: Driver, query: str, **parameters: Any) -> list[dict[str, Any]]:
            hits, rows = _touched(driver, query, parameters)
            seen[query] += hits
            return rows

        def in_parts(driver: Driver, query: str, name: str, parts: list[Any], **more: Any) -> list[dict[str, Any]]:
            return counted(driver, query, **more | {name: parts})

        for module, name, by in (
            (paths, "read", counted),
            (graphs, "read", counted),
            (paths, "read_in_parts", in_parts),
            (programs, "read_in_parts", in_parts),
        ):
            monkeypatch.setattr(module, name, by)
        list(make_qra(small, ["run_world_a"], Mix({1: 6, 3: 6}, {"relation": 1.0, "order": 1.0}), seed=5))
        for row in (*graphs.export_rows(small, "run_world_a"), *graphs.load_clips(small, "run_world_a")):
            assert row
        graphs.counts(small, "run_world_a")
        monkeypatch.undo()
        return seen

    with _others(small, 0, 5):
        walks, before = _database_hits(small), hits()
        with _others(small, 5, 40):
            assert _database_hits(small) <= 1.1 * walks
            after = hits()
    assert before.keys() == after.keys() and len(before) > 20
    assert [(query, before[query], n) for query, n in after.items() if n > 1.5 * before[query] + 20] == []


@contextmanager
def _others(driver: Driver, first: int, end: int) -> Iterator[None]:
    """Other graphs beside, and no statement planned yet: else a plan for few graphs may or may not outlive its 10 seconds."""
    with stored(driver, {f"run_other_{i}": SMALL for i in range(first, end)}):
        driver.execute_query("CALL db.clearQueryCaches()")
        yield


def _database_hits(driver: Driver) -> int:
    groups = [{"kinds": ["RELATION"], "growing": True, "draws": [[0, 0.3]]}]
    start = {"graphs": [{"graph_id": "run_paths", "groups": groups}]}
    cup = ["run_paths/c0/cup"]
    step = {"groups": [{"open": cup, "weights": [], "walks": [[0, 0.3, True, cup, [], [], cup]]}]}
    return sum(_profiled(driver, name, rows) for name, rows in (("walk_start", start), ("walk_step", step)))


def _profiled(driver: Driver, name: str, parameters: dict[str, Any]) -> int:
    return _touched(driver, cypher(name), parameters)[0]


def _touched(driver: Driver, query: str, parameters: dict[str, Any]) -> tuple[int, list[dict[str, Any]]]:
    """How often a statement looks into the database, and its rows."""
    text = "CYPHER 25 PROFILE " + query.replace("CYPHER 25", "", 1)
    result = driver.execute_query(text, parameters)
    plans, hits = [result.summary.profile], 0
    while plans:
        plan = plans.pop()
        assert plan is not None
        hits += plan["dbHits"] if "dbHits" in plan else plan["args"].get("DbHits", 0)
        plans.extend(plan.get("children", []))
    return int(hits), [dict(row) for row in result.records]


def test_what_takes_more_memory_than_the_database_has_is_asked_in_parts(driver: Driver) -> None:
    query = """
        UNWIND $parts AS part
        WITH part, [i IN range(1, 400000) | toString(part + i)] AS long
        WITH collect({part: part, long: long}) AS every
        UNWIND every AS one
        RETURN one.part AS part, size(one.long) AS size"""
    rows = list(read_in_parts(driver, query, "parts", list(range(24))))
    assert [(row["part"], row["size"]) for row in rows] == [(n, 400_000) for n in range(24)]
