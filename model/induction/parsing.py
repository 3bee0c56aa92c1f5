"""Semantics Parsing (STEP Sec. 3.1; App. A.1): a keyframe becomes a frame scene graph G_f.

Each prompt is asked for all keyframes of a clip at once. Facts come with what they rest on: the narrative they were read
from and the exchanges that made them, so that verification can check them and a reader can trace them.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from model import prompts
from model.induction.rejects import Reading, Rejects
from model.inflection import one_of
from model.rationale.english import content_words, plural, progressive
from model.replies import (
    read_attributes,
    read_instances,
    read_kind,
    read_objects,
    read_sentence,
    read_triplets,
)
from model.stsg import Clip, Keyframe, Kind, ObjectNode, Relation, SceneGraph, object_name
from model.video_llm import Reply, Request, VideoLLM

_LISTED = 384  # tokens of a reply about several things: what is cut off would be missing from the graph unnoticed


@dataclass(frozen=True, slots=True)
class Parsed:
    """The frame scene graph of one keyframe, and the narratives by which textual support is judged."""

    keyframe: Keyframe
    graph: SceneGraph
    scene: str = ""
    attributes: dict[str, str] = field(default_factory=dict)  # object id -> attribute narrative
    relations: dict[str, str] = field(default_factory=dict)  # object id -> relation narrative


@dataclass(slots=True)
class _Found:
    """An instance as parsing goes on."""

    keyframe: int
    category: str
    mark: str
    ordinal: int
    evidence: tuple[str, ...]
    kind: Kind = "static"

    @property
    def name(self) -> str:
        return object_name(self.category, self.mark)


def parse_clip(clip: Clip, llm: VideoLLM) -> tuple[list[Parsed], Rejects]:
    """The frame scene graph of each keyframe of a clip, in time order.

    Prompts: App. A.1, Semantics Parsing, Steps 1 to 3.
    """
    reading = Reading()
    narratives = _narratives(clip, llm, reading)
    found = _instances(clip, llm, reading, narratives)
    _kinds(clip, llm, reading, found)
    nodes = [_node(clip, f) for f in found]
    nodes, attribute_texts = _attributes(clip, llm, reading, found, nodes)
    relations, relation_texts = _relations(clip, llm, reading, found, nodes)
    parsed = []
    for k, keyframe in enumerate(clip.keyframes):
        ids = {n.id for n, f in zip(nodes, found, strict=True) if f.keyframe == k}
        graph = SceneGraph(
            tuple(n for n in nodes if n.id in ids), tuple(r for r in relations if r.keyframes[0] == keyframe.id)
        )
        scene = narratives[k][0] if k in narratives else ""
        texts = ({i: t for i, t in source.items() if i in ids} for source in (attribute_texts, relation_texts))
        parsed.append(Parsed(keyframe, graph, scene, *texts))
    return parsed, reading.rejects


def span(clip: Clip, keyframe: int) -> tuple[float, float]:
    """The part of a clip that a keyframe stands for: to the middle between it and its neighbours."""
    times = [k.t for k in clip.keyframes]
    start = clip.t_start if keyframe == 0 else (times[keyframe - 1] + times[keyframe]) / 2
    end = clip.t_end if keyframe == len(times) - 1 else (times[keyframe] + times[keyframe + 1]) / 2
    return round(start, 3), round(end, 3)


def _narratives(clip: Clip, llm: VideoLLM, reading: Reading) -> dict[int, tuple[str, str]]:
    """Keyframe number to its scene narrative and exchange (Step-1, Input 1)."""
    requests = [prompts.ask(llm.prompt_set, "parsing_1_1_narrative", frames=[k]) for k in clip.keyframes]
    replies = llm.answer(requests)
    sentences = reading.all(requests, replies, read_sentence)
    return {k: (s, replies[k].exchange) for k, s in enumerate(sentences) if s is not None}


def _instances(clip: Clip, llm: VideoLLM, reading: Reading, narratives: dict[int, tuple[str, str]]) -> list[_Found]:
    """Objects named in the narratives, and the instances of each (Step-1, Inputs 2 and 3)."""
    keys = sorted(narratives)
    requests = [prompts.ask(llm.prompt_set, "parsing_1_2_objects", narrative=narratives[k][0]) for k in keys]
    listed = llm.answer(requests)
    named = reading.all(requests, listed, read_objects)
    lists = dict(zip(keys, (reply.exchange for reply in listed), strict=True))
    pairs = [(k, category) for k, names in zip(keys, named, strict=True) for category in names or ()]
    requests = [
        prompts.ask(
            llm.prompt_set,
            "parsing_1_3_instances",
            frames=[clip.keyframes[k]],
            max_new_tokens=_LISTED,
            category=category,
            narrative=narratives[k][0],
        )
        for k, category in pairs
    ]
    found: list[_Found] = []
    for (k, category), request, reply in zip(pairs, requests, llm.answer(requests), strict=True):
        marks = reading.one(request, reply, lambda text, c=category: read_instances(text, c))  # type: ignore[misc]
        evidence = (narratives[k][1], lists[k], reply.exchange)
        counts = Counter(marks or ())
        for ordinal, (mark, count) in enumerate(counts.items(), 1):
            called = one_of(category) if len(counts) > 1 or count > 1 else category
            if count > 1:  # nothing tells them apart: one node, "brown chairs", as nobody may ask for one of them
                called = plural(called)
            while any((f.keyframe, f.category, f.ordinal) == (k, called, ordinal) for f in found):
                ordinal += 1  # "chairs" may be listed beside "chair"
            instance = _Found(k, called, mark, ordinal, tuple(e for e in evidence if e))
            if all((f.keyframe, f.name) != (k, instance.name) for f in found):
                found.append(instance)
    return found


def _kinds(clip: Clip, llm: VideoLLM, reading: Reading, found: list[_Found]) -> None:
    """Static or dynamic, judged on the whole clip, once for each name (Step-1, Input 4)."""
    names = list(dict.fromkeys(f.name for f in found))
    requests = [
        prompts.ask(
            llm.prompt_set,
            "parsing_1_4_kind",
            frames=clip.keyframes,
            choices=("Static", "Dynamic"),
            max_new_tokens=8,
            object=name,
        )
        for name in names
    ]
    replies = llm.answer(requests)
    kinds = dict(zip(names, reading.all(requests, replies, read_kind), strict=True))
    exchanges = dict(zip(names, replies, strict=True))
    for f in found:
        f.kind = kinds[f.name] or "static"
        f.evidence += tuple(e for e in (exchanges[f.name].exchange,) if e)


def _node(clip: Clip, found: _Found) -> ObjectNode:
    start, end = span(clip, found.keyframe)
    return ObjectNode(
        id=f"c{clip.index}/k{found.keyframe}/{found.category}/{found.ordinal}",
        category=found.category,
        mark=found.mark,
        kind=found.kind,
        clip=clip.index,
        t_start=start,
        t_end=end,
        keyframes=(clip.keyframes[found.keyframe].id,),
        evidence=found.evidence,
    )


def _attributes(
    clip: Clip, llm: VideoLLM, reading: Reading, found: Sequence[_Found], nodes: Sequence[ObjectNode]
) -> tuple[list[ObjectNode], dict[str, str]]:
    """The nodes with their attributes, and each node's attribute narrative (Step-2)."""
    requests = [
        prompts.ask(llm.prompt_set, "parsing_2_1_attributes", frames=[clip.keyframes[f.keyframe]], object=f.name)
        for f in found
    ]
    told = _narrate(llm, reading, requests, "parsing_2_2_attribute_list", [f.name for f in found])
    named, texts = [], {}
    for node, (text, request, reply, evidence) in zip(nodes, told, strict=True):
        texts[node.id] = text
        read = reading.one(request, reply, read_attributes) if text else None
        attributes = tuple(replace(a, evidence=evidence) for a in read or ())
        named.append(replace(node, attributes=attributes))
    return named, texts


def _relations(
    clip: Clip, llm: VideoLLM, reading: Reading, found: Sequence[_Found], nodes: Sequence[ObjectNode]
) -> tuple[list[Relation], dict[str, str]]:
    """Relations between the objects of one keyframe, and each object's relation narrative (Step-3)."""
    others = [[n for n, g in zip(nodes, found, strict=True) if g.keyframe == f.keyframe and g is not f] for f in found]
    asked = [i for i, rest in enumerate(others) if rest]
    requests = [
        prompts.ask(
            llm.prompt_set,
            "parsing_3_1_relations",
            frames=[clip.keyframes[found[i].keyframe]],
            max_new_tokens=_LISTED,
            object=found[i].name,
            others=", ".join(o.name for o in others[i]),
        )
        for i in asked
    ]
    told = _narrate(llm, reading, requests, "parsing_3_2_triplets", [found[i].name for i in asked])
    relations: list[Relation] = []
    texts = {}
    for i, (text, request, reply, evidence) in zip(asked, told, strict=True):
        texts[nodes[i].id] = text
        triplets = reading.one(request, reply, read_triplets) if text else None
        for subject, predicate, object in triplets or ():
            target = linked(object, others[i])
            if linked(subject, [nodes[i]]) is None or any(o.name == subject for o in others[i]):
                reading.refuse(request.step, "subject_is_another", reply, f"<{subject}, {predicate}, {object}>")
            elif target is None:
                reading.refuse(request.step, "unknown_object", reply, f"<{subject}, {predicate}, {object}>")
            else:
                relations.append(_relation(clip, nodes[i], progressive(predicate), target, evidence))
    return list({(r.subject, r.predicate, r.object): r for r in relations}.values()), texts


def _relation(
    clip: Clip, subject: ObjectNode, predicate: str, target: ObjectNode, evidence: tuple[str, ...]
) -> Relation:
    return Relation(
        subject.id,
        predicate,
        target.id,
        clip.index,
        subject.t_start,
        subject.t_end,
        subject.keyframes,
        evidence=evidence,
    )


def _narrate(
    llm: VideoLLM, reading: Reading, requests: Sequence[Request], extraction: str, names: Sequence[str]
) -> list[tuple[str, Request, Reply, tuple[str, ...]]]:
    """A narrative for each request, the reply to be read, and the exchanges of both.

    That is the extraction's reply, or the narrative itself where the prompt set has no such extraction.
    """
    replies = llm.answer(requests)
    texts = [s or "" for s in reading.all(requests, replies, read_sentence)]
    read = dict(enumerate(zip(requests, replies, strict=True)))
    if prompts.has(llm.prompt_set, extraction):
        told = [i for i, text in enumerate(texts) if text]
        follow_ups = [
            prompts.ask(llm.prompt_set, extraction, max_new_tokens=_LISTED, object=names[i], narrative=texts[i])
            for i in told
        ]
        read |= zip(told, zip(follow_ups, llm.answer(follow_ups), strict=True), strict=True)
    return [
        (text, *read[i], tuple(dict.fromkeys(e for e in (replies[i].exchange, read[i][1].exchange) if e)))
        for i, text in enumerate(texts)
    ]


def linked(name: str, nodes: Sequence[ObjectNode]) -> ObjectNode | None:
    """The node that a name in a triplet means: by its whole name, else by its category where that is unambiguous.

    Of nodes with marks it means the one whose mark has the most of what the name says beside the category, and more than half
    of that: a man in a white shirt is not the man in a red shirt, and a white car is not the red car.
    """
    for node in nodes:
        if node.name == name:
            return node
    matches = [n for n in nodes if set(n.category.split()) <= set(name.split())]
    alike: dict[int, list[ObjectNode]] = {}
    for n in matches:
        said = content_words(name) - content_words(n.category)
        shared = len(said & content_words(n.mark))
        if not said or not n.mark or 2 * shared > len(said):
            alike.setdefault(shared if said else 0, []).append(n)
    best = alike[max(alike)] if alike else []
    return best[0] if len(best) == 1 else None
