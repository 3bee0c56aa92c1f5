"""The ablation "w/o semantics parsing" (STEP Table 4): one prompt gives the whole graph of a keyframe."""

from dataclasses import replace

from model import prompts
from model.induction.parsing import Parsed, span
from model.induction.rejects import Reading, Rejects
from model.rationale.english import progressive
from model.replies import MAX_ITEMS, UnreadableReply, field, read_sentence
from model.stsg import Attribute, Clip, ObjectNode, Relation, SceneGraph
from model.video_llm import Reply, VideoLLM

_Row = tuple[str, list[str]]  # what kind of line it is, and its fields


def parse_clip_at_once(clip: Clip, llm: VideoLLM) -> tuple[list[Parsed], Rejects]:
    """The frame scene graph of each keyframe, from one reply each."""
    reading = Reading()
    requests = [prompts.ask(llm.prompt_set, "whole_graph", frames=[k], max_new_tokens=1024) for k in clip.keyframes]
    parsed = []
    for k, (request, reply) in enumerate(zip(requests, llm.answer(requests), strict=True)):
        rows = reading.one(request, reply, read_rows) or []
        graph = _graph(clip, k, rows, reply, reading)
        scene = reading.one(request, reply, read_sentence) if rows else ""
        texts = {o.id: scene or "" for o in graph.objects}
        parsed.append(Parsed(clip.keyframes[k], graph, scene or "", texts, texts))
    return parsed, reading.rejects


def read_rows(reply: str) -> list[_Row]:
    """Lines such as `object: name | category | mark | kind` as (kind of line, fields)."""
    rows = []
    for line in reply[:65_536].splitlines()[: 16 * MAX_ITEMS]:
        head, colon, tail = line.strip(" -*\t").partition(":")
        fields = [field(f) for f in tail.split("|")]
        if colon and (head.lower(), len(fields)) in (("object", 4), ("attribute", 3), ("relation", 3)):
            rows.append((head.lower(), fields))
    if not rows:
        raise UnreadableReply("no_graph")
    return rows


def _graph(clip: Clip, k: int, rows: list[_Row], reply: Reply, reading: Reading) -> SceneGraph:
    start, end = span(clip, k)
    frame, evidence = clip.keyframes[k].id, tuple(e for e in (reply.exchange,) if e)
    nodes: dict[str, ObjectNode] = {}
    whole = [row for row in rows if _is_whole(*row)]
    for _, fields in (row for row in rows if not _is_whole(*row)):
        reading.refuse("whole_graph", "empty_field", reply, " | ".join(fields))
    for _, (name, category, mark, kind) in (row for row in whole if row[0] == "object"):
        id = f"c{clip.index}/k{k}/{category}/{sum(o.category == category for o in nodes.values()) + 1}"
        node = ObjectNode(
            id,
            category,
            mark,
            "dynamic" if kind == "dynamic" else "static",
            clip.index,
            start,
            end,
            (frame,),
            evidence=evidence,
        )
        nodes.setdefault(name, node)
    relations = []
    for what, fields in whole:
        if what == "attribute" and fields[0] in nodes:
            node = nodes[fields[0]]
            attributes = {*node.attributes, Attribute(fields[1], fields[2], evidence)}
            nodes[fields[0]] = replace(node, attributes=tuple(sorted(attributes)))
        elif what == "relation" and fields[0] in nodes and fields[2] in nodes and fields[0] != fields[2]:
            ids = nodes[fields[0]].id, nodes[fields[2]].id
            predicate = progressive(fields[1])
            relations.append(Relation(ids[0], predicate, ids[1], clip.index, start, end, (frame,), evidence=evidence))
        elif what != "object":
            reading.refuse("whole_graph", "unknown_object", reply, " | ".join(fields))
    return SceneGraph(tuple(nodes.values()), tuple(dict.fromkeys(relations)))


def _is_whole(what: str, fields: list[str]) -> bool:
    """Whether a row says all that it must: only an object's mark and kind may be empty."""
    return all(fields[:2] if what == "object" else fields)
