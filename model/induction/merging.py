"""Dynamic Merging (STEP Sec. 3.1; App. A.1): the frame graphs of one clip become its temporal scene graph.

Identity is decided pair by pair between an object's latest sighting and the sightings in the next keyframe, never by
transitive closure: two nodes of one keyframe can't become one. Every decision rests on a traced exchange.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from model import prompts
from model.induction.parsing import Parsed
from model.induction.rejects import Reading, Rejects
from model.induction.verification import YES_NO, is_yes
from model.nouns import head, may_be_one
from model.rationale.alike import excludes
from model.rationale.english import progressive
from model.replies import read_action, read_predicate_object, unwrap
from model.stsg import Attribute, Clip, Keyframe, Kind, Motion, ObjectNode, Relation, SceneGraph, words_of
from model.video_llm import Reply, Request, VideoLLM

_Told = tuple[Request, Reply]
_MOST_CANDIDATES = 6  # of one node
_STILL = re.compile(  # what is said of a thing that does nothing
    r"(?:(?:is|are|being) )?(?:(?:completely|relatively|mostly) )?(?:still|static|stationary|motionless|unmoving|inactive|idle"
    r"|unchanged)|(?:standing|sitting|lying|holding|staying|being) still|(?:is |are )?not (?:moving|doing).*"
    r"|no (?:\w+ )?(?:action|movement|motion|change).*"
    r"|(?:is |are )?(?:remain|stay|keep|continu)\w*\b.*\b(?:still|same|seated|sitting|sit|standing|stand|stationary|static"
    r"|unchanged|motionless|position|place)\b.*"
)
_PASSING = words_of(  # types of attributes that one object has now this, now that value of
    "posture pose position action activity motion movement expression emotion mood state condition location orientation"
    " direction gaze facing"
)
_MANY = words_of("clothing clothes outfit accessory accessories part parts feature features item items equipment gear")


@dataclass(slots=True)
class Track:
    """One object's sightings in time order, with what identified each with the one before."""

    sightings: list[ObjectNode]
    links: list[tuple[float, str]] = field(default_factory=list)  # (confidence, exchange)

    @property
    def last(self) -> ObjectNode:
        return self.sightings[-1]

    @property
    def kind(self) -> Kind:
        """Dynamic where it is so under any of the names that keyframes have for it."""
        return "dynamic" if any(o.kind == "dynamic" for o in self.sightings) else "static"


def merge_clip(clip: Clip, parsed: Sequence[Parsed], llm: VideoLLM) -> tuple[SceneGraph, Rejects]:
    """The temporal scene graph of a clip: one node for a static object, states joined by motions for a dynamic one.

    Prompts: App. A.1, Dynamic Merging, Steps 1 and 2.
    """
    reading = Reading()
    frames = {k.id: k for k in clip.keyframes}
    tracks = [Track([o]) for o in parsed[0].graph.objects] if parsed else []
    for later in parsed[1:]:
        _extend(tracks, later, frames, llm, reading)
    actions = _actions(tracks, frames, llm, reading)
    nodes, motions, new_ids = _fold(clip, tracks, actions)
    relations = rewired((r for p in parsed for r in p.graph.relations), new_ids)
    return SceneGraph(tuple(nodes), relations, tuple(motions)), reading.rejects


def contradict(a: ObjectNode, b: ObjectNode) -> bool:
    """Whether what distinguishes two objects rules each other out: other values of a lasting type are in their marks."""
    mine, theirs = _marked(a), _marked(b)
    shared = {(x.type, x.value) for x in a.attributes} & {(x.type, x.value) for x in b.attributes}
    return any(
        one[0] == other[0] and not {one, other} & shared and _rules_out(one, other) for one in mine for other in theirs
    )


def _marked(o: ObjectNode) -> list[tuple[str, str]]:
    """The attributes of lasting types that an object is told apart by."""
    return [(x.type, x.value) for x in o.attributes if x.type not in _PASSING and f" {x.value} " in f" {o.mark} "]


def _rules_out(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Whether an object has but one of two values: a shirt is red or blue, but who wears a cap may wear jeans as well."""
    alike = head(one[1]) == head(other[1])
    return (alike or one[0] not in _MANY) and excludes(one[1], other[1])


def likeness(a: ObjectNode, b: ObjectNode) -> tuple[bool, int]:
    """How alike two objects are, for ordering candidates: the same name first, then shared attributes."""
    shared = {(x.type, x.value) for x in a.attributes} & {(x.type, x.value) for x in b.attributes}
    return a.name == b.name, len(shared)


def candidates(before: Sequence[ObjectNode], after: Sequence[ObjectNode]) -> list[tuple[int, int]]:
    """Pairs (i, j) that may be one object: of like categories, not contradicting; the most alike for each, capped."""
    pairs = []
    for j, b in enumerate(after):
        possible = [i for i, a in enumerate(before) if may_be_one(a.category, b.category) and not contradict(a, b)]
        possible.sort(key=lambda i, b=b: likeness(before[i], b), reverse=True)  # type: ignore[misc]
        pairs += [(i, j) for i in possible[:_MOST_CANDIDATES]]
    return pairs


def matched(pairs: Sequence[tuple[int, int]], chances: Sequence[float], alike: Sequence[tuple[bool, int]]) -> list[int]:
    """Which of the pairs are taken as one object: the likeliest first, each side at most once."""
    order = sorted(range(len(pairs)), key=lambda n: (-chances[n], not alike[n][0], -alike[n][1], pairs[n]))
    taken: list[int] = []
    for n in order:
        i, j = pairs[n]
        if chances[n] > 0.5 and all(i != pairs[m][0] and j != pairs[m][1] for m in taken):
            taken.append(n)
    return taken


def _extend(
    tracks: list[Track], later: Parsed, frames: Mapping[str, Keyframe], llm: VideoLLM, reading: Reading
) -> None:
    """Put each object of the next keyframe on the track it belongs to, or on one of its own (Step-1)."""
    before, after = [t.last for t in tracks], later.graph.objects
    pairs = candidates(before, after)
    requests = [
        prompts.ask(
            llm.prompt_set,
            "merging_1_same_object",
            frames=[frames[before[i].keyframes[-1]], frames[after[j].keyframes[0]]],
            choices=YES_NO,
            max_new_tokens=8,
            first=before[i].name,
            second=after[j].name,
        )
        for i, j in pairs
    ]
    replies = llm.answer(requests)
    chances = [is_yes(request, reply, reading) for request, reply in zip(requests, replies, strict=True)]
    placed = set()
    for n in matched(pairs, chances, [likeness(before[i], after[j]) for i, j in pairs]):
        i, j = pairs[n]
        placed.add(j)
        tracks[i].sightings.append(after[j])
        tracks[i].links.append((round(chances[n], 4), replies[n].exchange))
    tracks += [Track([o]) for j, o in enumerate(after) if j not in placed]


@dataclass(frozen=True, slots=True)
class _Action:
    predicate: str
    target: str
    evidence: tuple[str, ...]


def _actions(
    tracks: Sequence[Track], frames: Mapping[str, Keyframe], llm: VideoLLM, reading: Reading
) -> dict[tuple[str, str], _Action]:
    """What each dynamic object did between two sightings (Step-2, Inputs 1 to 3)."""
    pairs = [pair for t in tracks if t.kind == "dynamic" for pair in zip(t.sightings, t.sightings[1:], strict=False)]
    requests = [
        prompts.ask(
            llm.prompt_set,
            "merging_2_1_action",
            frames=[frames[a.keyframes[-1]], frames[b.keyframes[0]]],
            first=a.name,
            second=b.name,
        )
        for a, b in pairs
    ]
    replies = llm.answer(requests)
    told = list(zip(requests, replies, strict=True))
    told = _follow_up(
        llm, told, "merging_2_2_action_phrase", lambda n, text: {"object": pairs[n][0].name, "sentence": text}
    )
    phrases = [reading.one(request, reply, read_action) for request, reply in told]
    known = [n for n, phrase in enumerate(phrases) if phrase is not None and not _STILL.fullmatch(phrase)]
    split = {n: (phrases[n] or "", "") for n in known}
    evidence = [[first.exchange, reply.exchange] for first, (_, reply) in zip(replies, told, strict=True)]
    if prompts.has(llm.prompt_set, "merging_2_3_predicate"):
        asked = [prompts.ask(llm.prompt_set, "merging_2_3_predicate", action=phrases[n] or "") for n in known]
        for n, request, reply in zip(known, asked, llm.answer(asked), strict=True):
            split[n] = reading.one(request, reply, read_predicate_object) or split[n]
            evidence[n].append(reply.exchange)
    split = {n: (progressive(predicate), target) for n, (predicate, target) in split.items()}
    return {
        (pairs[n][0].id, pairs[n][1].id): _Action(*split[n], tuple(dict.fromkeys(e for e in evidence[n] if e)))
        for n in known
    }


def _follow_up(
    llm: VideoLLM, told: list[_Told], step: str, values: Callable[[int, str], dict[str, Any]]
) -> list[_Told]:
    """The extraction's replies where the prompt set has it, else the replies as they are."""
    if not prompts.has(llm.prompt_set, step):
        return told
    readable = [n for n, (_, reply) in enumerate(told) if unwrap(reply.text).text]
    requests = [
        prompts.ask(llm.prompt_set, step, **values(n, " ".join(unwrap(told[n][1].text).text.split())[:500]))
        for n in readable
    ]
    followed = dict(zip(readable, zip(requests, llm.answer(requests), strict=True), strict=True))
    return [followed.get(n, pair) for n, pair in enumerate(told)]


def _fold(
    clip: Clip, tracks: Sequence[Track], actions: Mapping[tuple[str, str], _Action]
) -> tuple[list[ObjectNode], list[Motion], dict[str, str]]:
    """Nodes, motions, and for each sighting that was folded into another the id it goes by now.

    Sightings without a readable action between them, as of a dynamic object that stood still, are one state.
    """
    nodes: list[ObjectNode] = []
    motions: list[Motion] = []
    new_ids: dict[str, str] = {}
    for track in tracks:
        states = [replace(track.sightings[0], kind=track.kind)]
        for previous, sighting, (chance, exchange) in zip(
            track.sightings, track.sightings[1:], track.links, strict=False
        ):
            link = (exchange,) if exchange else ()
            action = actions.get((previous.id, sighting.id))
            if action is None:
                states[-1] = united(states[-1], sighting, link)
                new_ids[sighting.id] = states[-1].id
                continue
            times = (_time(clip, previous.keyframes[-1]), _time(clip, sighting.keyframes[0]))
            motions.append(
                Motion(
                    states[-1].id,
                    sighting.id,
                    action.predicate,
                    action.target,
                    clip.index,
                    *times,
                    confidence=chance,
                    evidence=link + action.evidence,
                )
            )
            states.append(replace(sighting, kind=track.kind))
        nodes += states
    return nodes, motions, new_ids


def _time(clip: Clip, keyframe: str) -> float:
    return next(k.t for k in clip.keyframes if k.id == keyframe)


def united(a: ObjectNode, b: ObjectNode, link: tuple[str, ...]) -> ObjectNode:
    """One node for two sightings: the interval of both, all frames, every attribute once."""
    attributes: dict[tuple[str, str], Attribute] = {}
    for x in (*a.attributes, *b.attributes):
        known = attributes.get((x.type, x.value))
        evidence = (*known.evidence, *x.evidence) if known else x.evidence
        attributes[x.type, x.value] = replace(x, evidence=tuple(dict.fromkeys(evidence)))
    return replace(
        a,
        t_start=min(a.t_start, b.t_start),
        t_end=max(a.t_end, b.t_end),
        keyframes=tuple(dict.fromkeys((*a.keyframes, *b.keyframes))),
        attributes=tuple(sorted(attributes.values())),
        confidence=min(a.confidence, b.confidence),
        evidence=tuple(dict.fromkeys((*a.evidence, *b.evidence, *link))),
    )


def rewired(relations: Iterable[Relation], new_ids: Mapping[str, str]) -> tuple[Relation, ...]:
    """Relations between the nodes that are left: repeated ones are one, over the union of their times."""
    kept: dict[tuple[str, str, str], Relation] = {}
    for r in relations:
        subject, object = new_ids.get(r.subject, r.subject), new_ids.get(r.object, r.object)
        key = (subject, r.predicate, object)
        if subject == object:
            continue
        known = kept.get(key)
        if known is None:
            kept[key] = replace(r, subject=subject, object=object)
            continue
        kept[key] = replace(
            known,
            t_start=min(known.t_start, r.t_start),
            t_end=max(known.t_end, r.t_end),
            keyframes=tuple(dict.fromkeys((*known.keyframes, *r.keyframes))),
            confidence=min(known.confidence, r.confidence),
            evidence=tuple(dict.fromkeys((*known.evidence, *r.evidence))),
        )
    return tuple(kept.values())
