"""An STSG from what people annotated: things over time, relations over time, and actions (STEP Sec. 3.1)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from model.induction.bridging import REACH
from model.stsg import Motion, ObjectNode, Reference, Relation, SceneGraph

Span = tuple[float, float]  # seconds, half open


@dataclass(frozen=True, slots=True)
class Thing:
    """An annotated thing: `key` is its own in the video."""

    key: str
    category: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """A relation between two things over time."""

    subject: str
    predicate: str
    object: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Act:
    """What a thing did over a time, and to what."""

    key: str
    predicate: str
    target: str
    span: Span


def build(
    things: Sequence[Thing], facts: Sequence[Fact], acts: Sequence[Act], clips: Sequence[Span] = ()
) -> SceneGraph:
    """The STSG, one node for each thing and clip that shows it; without `clips` the video is one.

    A thing that acts in a clip is dynamic: it has two states, as long as each other, with its actions between them. The same
    thing in two clips that bridging compares is a reference. Things of one category are told apart by number.
    """
    end = max([b for thing in things for _, b in thing.spans] + [a.span[1] for a in acts], default=0.0)
    cuts, marks = list(clips) or [(0.0, end)], _marks(things)
    graph, finals = SceneGraph(), list[dict[str, str]]()
    for index, clip in enumerate(cuts):
        part, first, final = _in_clip(things, facts, acts, marks, index, clip)
        before = finals[-REACH:]
        references = tuple(Reference(ids[key], id) for ids in before for key, id in first.items() if key in ids)
        graph |= replace(part, references=references)
        finals.append(final)
    return graph


def _marks(things: Sequence[Thing]) -> dict[str, str]:
    """A number for each thing whose category another one has too."""
    many, seen, marks = Counter(thing.category for thing in things), Counter[str](), dict[str, str]()
    for thing in things:
        seen[thing.category] += 1
        marks[thing.key] = f"{thing.category} {seen[thing.category]}" if many[thing.category] > 1 else ""
    return marks


def _in_clip(
    things: Sequence[Thing],
    facts: Sequence[Fact],
    acts: Sequence[Act],
    marks: Mapping[str, str],
    index: int,
    clip: Span,
) -> tuple[SceneGraph, dict[str, str], dict[str, str]]:
    """One clip's graph, and the ids of each thing's first and last state in it."""
    here = [(act, cut) for act in acts if (cut := _cut(act.span, clip))]
    acting = {act.key for act, _ in here}
    objects, first, final = list[ObjectNode](), dict[str, str](), dict[str, str]()
    for number, thing in enumerate(things):
        seen = [cut for span in thing.spans if (cut := _cut(span, clip))]
        seen += [cut for act, cut in here if act.key == thing.key]
        if not seen:
            continue
        start, end = min(a for a, _ in seen), max(b for _, b in seen)
        middle = (start + end) / 2
        states = [(start, middle), (middle, end)] if thing.key in acting else [(start, end)]
        ids = [f"c{index}/k{state}/{thing.category}/{number}" for state in range(len(states))]
        kind = "dynamic" if thing.key in acting else "static"
        objects += [
            ObjectNode(id, thing.category, marks[thing.key], kind, index, a, b, ())  # type: ignore[arg-type]
            for id, (a, b) in zip(ids, states, strict=True)
        ]
        first[thing.key], final[thing.key] = ids[0], ids[-1]
    relations = tuple(
        Relation(first[fact.subject], fact.predicate, first[fact.object], index, *cut)
        for fact in facts
        if fact.subject in first and fact.object in first
        for span in fact.spans
        if (cut := _cut(span, clip))
    )
    motions = tuple(
        Motion(first[act.key], final[act.key], act.predicate, act.target, index, *cut)
        for act, cut in here
        if act.key in first
    )
    return SceneGraph(tuple(objects), relations, motions), first, final


def _cut(span: Span, clip: Span) -> Span | None:
    """The part of a span within a clip."""
    start, end = max(span[0], clip[0]), min(span[1], clip[1])
    return (start, end) if start < end else None


def merged(times: Sequence[float], annotated: Sequence[float], last: float) -> tuple[Span, ...]:
    """Spans from moments: each annotated moment stands for the time until the next one, the last until `last`."""
    until = dict(zip(annotated, [*annotated[1:], last], strict=True))
    spans = list[Span]()
    for t in sorted(set(times)):
        if spans and spans[-1][1] == t:
            spans[-1] = (spans[-1][0], until[t])
        else:
            spans.append((t, until[t]))
    return tuple(spans)
