"""Programs run on a SceneGraph in plain Python (STEP Sec. 3.2): the second opinion on every answer.

Shares no code with the composer or with the Cypher interpreter, so that an error in one shows as a disagreement.
"""

from collections.abc import Callable, Mapping

from model.rationale.english import clip_name, deed
from model.rationale.program import Op, Outcome, Program, inputs, settle
from model.stsg import ObjectNode, SceneGraph

Spans = Mapping[int, tuple[float, float]]
Element = str | int | frozenset[str]


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
        wanted = (op["type"], op["value"])
        return {n.id for n in self._in_clip(op, values) if wanted in self._attributes(n.id)}

    def _doing(self, op: Op, values: Mapping[str, Element]) -> set[Element]:
        wanted = (op["predicate"], op["target"])
        return {n.id for n in self._in_clip(op, values) if wanted in self._motions(n.id)}

    def _related_to(self, op: Op, values: Mapping[str, Element]) -> set[Element]:
        candidates = {n.id for n in self._in_clip(op, values)}
        triples = [t for t in self._related if t[1] == op["predicate"]]
        if op["side"] == "subject":
            return {s for s, _, o in triples if o == values["of"] and s in candidates}
        return {o for s, _, o in triples if s == values["of"] and o in candidates}

    def _same_object(self, op: Op, values: Mapping[str, Element]) -> set[Element]:
        family = self._same[str(values["of"])] - {str(values["of"])}
        return {n.id for n in self._in_clip(op, values) if n.id in family}

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
    "is": Evaluator._is,
    "choose": Evaluator._choose,
    "count": Evaluator._count,
}


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
