"""Programs run on a SceneGraph in plain Python (STEP Sec. 3.2): the second opinion on every answer.

It looks everything up in its own way, so that an error here or in the Cypher interpreter shows as a disagreement. They share
what a program is, the rule by which what was found is one answer or none (`settle`), and the words for clips and actions.
"""

from collections import Counter
from collections.abc import Callable, Mapping

from model.rationale.english import clip_name, deed
from model.rationale.program import Op, Outcome, Program, inputs, settle
from model.stsg import ObjectNode, SceneGraph

Spans = Mapping[int, tuple[float, float]]
Element = str | int | frozenset[str]
_SEEN_SECONDS, _SEEN_SHARE = 0.3, 1.2  # by how much one time has to be longer than another


def evaluate(program: Program, graph: SceneGraph, spans: Spans | None = None) -> Outcome:
    """The one answer of a program on a graph, or why it has none.

    `spans` gives each clip's start and end in seconds; without it they are taken from the events.
    """
    return Evaluator(graph, spans).run(program)


class Evaluator:
    """One graph, made ready for many programs."""

    def __init__(self, graph: SceneGraph, spans: Spans | None = None) -> None:
        self._graph = graph
        self._spans = spans if spans is not None else {e.clip: (e.t_start, e.t_end) for e in graph.events}
        self._states = _entities(graph)
        self._node = {o.id: o for o in graph.objects}
        self._owners: dict[str, list[str]] = {}
        for first, states in self._states.items():
            for state in states:
                self._owners.setdefault(state, []).append(first)
        self._same = _identities(graph, self._states, self._owners)
        self._related = [
            (subject, r.predicate, other)
            for r in graph.relations
            for subject in self._owners.get(r.subject, ())
            for other in self._owners.get(r.object, ())
        ]

    def run(self, program: Program) -> Outcome:
        registers: list[Element] = []
        listed: tuple[str, ...] = ()
        for at, op in enumerate(program):
            values = {key: registers[register] for key, register in inputs(op)}
            found = _RULES[str(op["op"])](self, op, values)
            if verdict := settle(op, len(found), at):
                return verdict
            if "all" in op:
                listed = tuple(sorted(str(element) for element in found))
            registers.append(frozenset(listed) if "all" in op else next(iter(found)))
        return Outcome(answer=str(registers[-1]), listed=listed)

    def _clip_number(self, op: Op, _: Mapping[str, Element]) -> set[Element]:
        return {c for c in self._spans if c == op["number"]}

    def _clip_event(self, op: Op, _: Mapping[str, Element]) -> set[Element]:
        return {e.clip for e in self._graph.events if e.description == op["description"]}

    def _clip_time(self, op: Op, _: Mapping[str, Element]) -> set[Element]:
        first, last = float(op["t_from"]), float(op["t_to"])
        return {c for c, (start, end) in self._spans.items() if start <= first and last <= end}

    def _in_clip(self, op: Op, values: Mapping[str, Element]) -> list[ObjectNode]:
        nodes = [self._node[first] for first in self._states]
        fits = [n for n in nodes if op.get("category", "") in ("", n.category)]
        return [n for n in fits if "clip" not in values or n.clip == values["clip"]]

    def _named(self, op: Op, values: Mapping[str, Element]) -> set[Element]:
        return {n.id for n in self._in_clip(op, values) if n.name == op["name"]}

    def _having(self, op: Op, values: Mapping[str, Element]) -> set[Element]:
        kind, value = str(op["type"]), f" {op['value']} "
        told = ((n.id, a) for n in self._in_clip(op, values) for a in self._attributes(n.id))
        return {id for id, (k, v) in told if kind in ("", k) and value in f" {v} "}

    def _doing(self, op: Op, values: Mapping[str, Element]) -> set[Element]:
        predicate, target = f"{op['predicate']} ", str(op["target"])
        told = ((n.id, m) for n in self._in_clip(op, values) for m in self._motions(n.id))
        return {id for id, (p, t) in told if f"{p} ".startswith(predicate) and target in ("", t)}

    def _related_to(self, op: Op, values: Mapping[str, Element]) -> set[Element]:
        candidates = {n.id for n in self._in_clip(op, values)}
        triples = [t for t in self._related if f" {t[1]}".endswith(f" {op['predicate']}")]
        if op["side"] == "subject":
            return {s for s, _, o in triples if o == values["of"] and s in candidates}
        return {o for s, _, o in triples if s == values["of"] and o in candidates}

    def _same_object(self, op: Op, values: Mapping[str, Element]) -> set[Element]:
        here, family = self._node[str(values["of"])].clip, self._same[str(values["of"])]
        return {n.id for n in self._in_clip(op, values) if n.id in family and n.clip != here}

    def _name(self, _: Op, values: Mapping[str, Element]) -> set[Element]:
        return {self._node[str(values["of"])].name}

    def _value(self, op: Op, values: Mapping[str, Element]) -> set[Element]:
        return {value for kind, value in self._attributes(str(values["of"])) if kind == op["type"]}

    def _predicate(self, _: Op, values: Mapping[str, Element]) -> set[Element]:
        return {p for s, p, o in self._related if s == values["of"] and o == values["to"]}

    def _action(self, _: Op, values: Mapping[str, Element]) -> set[Element]:
        return {deed(*motion) for motion in self._motions(str(values["of"]))}

    def _target(self, op: Op, values: Mapping[str, Element]) -> set[Element]:
        return {t for p, t in self._motions(str(values["of"])) if p == op["predicate"] and t}

    def _other_clip(self, _: Op, values: Mapping[str, Element]) -> set[Element]:
        here = self._node[str(values["of"])].clip
        clips = {self._node[n].clip for n in self._same[str(values["of"])]}
        return {clip_name(c) for c in clips if c != here}

    def _clips_of(self, entity: Element) -> set[int]:
        return {self._node[n].clip for n in self._same[str(entity)]}

    def _clip_of(self, _: Op, values: Mapping[str, Element]) -> set[Element]:
        return set(self._clips_of(values["of"]))

    def _clip_other(self, _: Op, values: Mapping[str, Element]) -> set[Element]:
        return set(self._clips_of(values["of"]) - {self._node[str(values["of"])].clip})

    def _seen_clip(self, op: Op, values: Mapping[str, Element]) -> set[Element]:
        clips = self._clips_of(values["of"])
        return {clip_name(min(clips) if op["end"] == "first" else max(clips))}

    def _clip_beside(self, op: Op, values: Mapping[str, Element]) -> set[Element]:
        return {c for c in self._spans if c - int(str(values["of"])) == op["by"]}

    def _clip_between(self, _: Op, values: Mapping[str, Element]) -> set[Element]:
        first, last = sorted((int(str(values["of"])), int(str(values["to"]))))
        return {c for c in self._spans if first < c < last}

    def _clip_extreme(self, op: Op, _: Mapping[str, Element]) -> set[Element]:
        if op["by"] == "objects":
            shown = Counter(self._node[first].clip for first in self._states)
            wanted = (max if op["end"] == "most" else min)(shown[c] for c in self._spans)
            return {c for c in self._spans if shown[c] == wanted}
        longer = op["end"] == "most"
        return {
            c
            for c in self._spans
            if all(_clearly(self._spans[c], self._spans[d], longer) for d in self._spans if d != c)
        }

    def _clip_longer(self, op: Op, values: Mapping[str, Element]) -> set[Element]:
        one, two, longer = int(str(values["of"])), int(str(values["to"])), op["end"] == "most"
        pairs = ((one, two), (two, one))
        return {clip_name(a) for a, b in pairs if _clearly(self._spans[a], self._spans[b], longer)}

    def _clip_told(self, _: Op, values: Mapping[str, Element]) -> set[Element]:
        return {clip_name(int(str(values["of"])))}

    def _event(self, _: Op, values: Mapping[str, Element]) -> set[Element]:
        return {e.description for e in self._graph.events if e.clip == values["of"]}

    def _sooner(self, op: Op, values: Mapping[str, Element]) -> set[Element]:
        one, two = values["of"], values["to"]
        if op["end"] == "first":
            here, there = min(self._clips_of(one)), min(self._clips_of(two))
        else:
            here, there = -max(self._clips_of(one)), -max(self._clips_of(two))
        return {self._node[str(one if here < there else two)].name} if here != there else set()

    def _acts_longer(self, _: Op, values: Mapping[str, Element]) -> set[Element]:
        one, two = str(values["of"]), str(values["to"])
        times = {
            e: sum(m.t_end - m.t_start for m in self._graph.motions if m.start in self._states[e]) for e in (one, two)
        }
        spans = {e: (0.0, seconds) for e, seconds in times.items()}
        pairs = ((one, two), (two, one)) if all(times.values()) else ()
        return {self._node[a].name for a, b in pairs if _clearly(spans[a], spans[b], longer=True)}

    def _same_or_not(self, _: Op, values: Mapping[str, Element]) -> set[Element]:
        return {"same" if values["to"] in self._same[str(values["of"])] else "different"}

    def _same_value(self, op: Op, values: Mapping[str, Element]) -> set[Element]:
        both = [{v for kind, v in self._attributes(str(values[key])) if kind == op["type"]} for key in ("of", "to")]
        if values["of"] == values["to"] or any(len(found) != 1 for found in both):
            return set()
        return {"same" if both[0] == both[1] else "different"}

    def _is(self, op: Op, values: Mapping[str, Element]) -> set[Element]:
        return {"yes" if values["of"] == op["value"] else "no"}

    def _choose(self, op: Op, values: Mapping[str, Element]) -> set[Element]:
        return {values["of"]} & {str(value) for key, value in op.items() if key.startswith("option_")}

    def _count(self, _: Op, values: Mapping[str, Element]) -> set[Element]:
        counted = values["of"]
        assert isinstance(counted, frozenset), "count reads a register filled with `all`"
        return {str(len(counted))}

    def _attributes(self, entity: str) -> set[tuple[str, str]]:
        return {(a.type, a.value) for state in self._states[entity] for a in self._node[state].attributes}

    def _motions(self, entity: str) -> set[tuple[str, str]]:
        states = self._states[entity]
        return {(m.predicate, m.target) for m in self._graph.motions if m.start in states}


_Rule = Callable[[Evaluator, Op, Mapping[str, Element]], set[Element]]
_RULES: dict[str, _Rule] = {
    "clip_number": Evaluator._clip_number,
    "clip_event": Evaluator._clip_event,
    "clip_time": Evaluator._clip_time,
    "named": Evaluator._named,
    "having": Evaluator._having,
    "doing": Evaluator._doing,
    "related": Evaluator._related_to,
    "same": Evaluator._same_object,
    "name": Evaluator._name,
    "value": Evaluator._value,
    "predicate": Evaluator._predicate,
    "action": Evaluator._action,
    "target": Evaluator._target,
    "other_clip": Evaluator._other_clip,
    "clip_of": Evaluator._clip_of,
    "clip_other": Evaluator._clip_other,
    "clip_beside": Evaluator._clip_beside,
    "clip_between": Evaluator._clip_between,
    "clip_extreme": Evaluator._clip_extreme,
    "clip_longer": Evaluator._clip_longer,
    "clip_told": Evaluator._clip_told,
    "seen_clip": Evaluator._seen_clip,
    "event": Evaluator._event,
    "sooner": Evaluator._sooner,
    "acts_longer": Evaluator._acts_longer,
    "same_object": Evaluator._same_or_not,
    "same_value": Evaluator._same_value,
    "is": Evaluator._is,
    "choose": Evaluator._choose,
    "count": Evaluator._count,
}


def _clearly(one: tuple[float, float], two: tuple[float, float], longer: bool) -> bool:
    """Whether one span of time is longer (else shorter) than another by as much as one can see."""
    here, there = one[1] - one[0], two[1] - two[0]
    more, less = (here, there) if longer else (there, here)
    return more - less >= _SEEN_SECONDS and more >= less * _SEEN_SHARE


def _entities(graph: SceneGraph) -> dict[str, set[str]]:
    """Each entity's first state, with all states that motions lead to from there."""
    later = {m.end for m in graph.motions}
    after: dict[str, list[str]] = {}
    for m in graph.motions:
        after.setdefault(m.start, []).append(m.end)
    return {o.id: _reachable(o.id, after) for o in graph.objects if o.id not in later}


def _identities(
    graph: SceneGraph, states: Mapping[str, set[str]], owners: Mapping[str, list[str]]
) -> dict[str, set[str]]:
    """Each entity with all entities that references, or a state in common, join it to over any number of clips."""
    near: dict[str, list[str]] = {}
    joined = [(r.here, r.there) for r in graph.references] + [(state, state) for state in owners]
    for one, two in joined:
        for here in owners.get(one, ()):
            for there in owners.get(two, ()):
                near.setdefault(here, []).append(there)
                near.setdefault(there, []).append(here)
    return {first: _reachable(first, near) for first in states}


def _reachable(start: str, edges: Mapping[str, list[str]]) -> set[str]:
    seen, queue = {start}, [start]
    while queue:
        for following in edges.get(queue.pop(), ()):
            if following not in seen:
                seen.add(following)
                queue.append(following)
    return seen
