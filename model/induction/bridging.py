"""Cross-clip Bridging (STEP Sec. 3.1; App. A.1): reference edges between clips, and an event edge for each clip.

The order of events comes from their times, never from the model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from model import prompts
from model.induction.merging import candidates, likeness, matched
from model.induction.rejects import Reading, Rejects
from model.induction.verification import YES_NO, is_yes
from model.replies import read_event
from model.stsg import Clip, Event, ObjectNode, Reference, SceneGraph
from model.video_llm import Reply, Request, VideoLLM

REACH = 8  # clips ahead with which a clip is compared


def bridge_clips(
    clips: Sequence[Clip], graphs: Sequence[SceneGraph], llm: VideoLLM, *, reach: int = REACH
) -> tuple[SceneGraph, Rejects]:
    """References and events only; `graphs` are the clips' temporal scene graphs, in order.

    Clips more than `reach` apart are not compared, so that the number of prompts grows with the length of a video and
    not with its square. Prompts: App. A.1, Cross-clip Bridging, Step-1, and one of ours for events.
    """
    reading = Reading()
    found: list[_Link] = []
    ends = [_ends(graph) for graph in graphs]
    for i, one in enumerate(clips):
        others = range(i + 1, min(i + 1 + reach, len(clips)))
        asked = [_asked(one, clips[j], ends[i][1], ends[j][0], llm.prompt_set) for j in others]
        replies = iter(llm.answer([request for pair in asked for request in pair.requests]))
        for j, pair in zip(others, asked, strict=True):
            found += pair.links(i, j, [next(replies) for _ in pair.requests], reading)
    return SceneGraph(references=_consistent(found), events=_events(clips, llm, reading)), reading.rejects


def _ends(graph: SceneGraph) -> tuple[list[ObjectNode], list[ObjectNode]]:
    """The first and the last state of each object."""
    chains = list(graph.entities())
    return [c[0] for c in chains], [c[-1] for c in chains]


_Place = tuple[int, int]  # an object: its clip, and its number there


@dataclass(frozen=True, slots=True)
class _Link:
    """Two objects that the model takes for one."""

    before: _Place
    after: _Place
    reference: Reference


def _consistent(found: Sequence[_Link]) -> tuple[Reference, ...]:
    """The references by which no two objects of one clip become the same; of those at odds, the likelier stay."""
    of: dict[_Place, dict[int, _Place]] = {}  # to each object, what it is in other clips
    kept = set[int]()
    for n in sorted(range(len(found)), key=lambda n: (-found[n].reference.confidence, n)):
        link = found[n]
        one, two = (of.setdefault(place, {place[0]: place}) for place in (link.before, link.after))
        if one is not two and one.keys() & two.keys():
            continue
        kept.add(n)
        one |= two
        of |= dict.fromkeys(one.values(), one)
    return tuple(link.reference for n, link in enumerate(found) if n in kept)


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two clips' objects that may be the same, and a question about each two of them."""

    before: Sequence[ObjectNode]
    after: Sequence[ObjectNode]
    candidates: Sequence[tuple[int, int]]
    requests: Sequence[Request]

    def links(self, i: int, j: int, replies: Sequence[Reply], reading: Reading) -> list[_Link]:
        """Links between those of clips i and j that the model takes for the same, each object in one at most."""
        chances = [is_yes(request, reply, reading) for request, reply in zip(self.requests, replies, strict=True)]
        alike = [likeness(self.before[a], self.after[b]) for a, b in self.candidates]
        links = []
        for n in sorted(matched(self.candidates, chances, alike)):
            a, b = self.candidates[n]
            evidence = tuple(e for e in (replies[n].exchange,) if e)
            ids = self.before[a].id, self.after[b].id
            reference = Reference(*ids, confidence=round(chances[n], 4), evidence=evidence)
            links.append(_Link((i, a), (j, b), reference))
        return links


def _asked(one: Clip, two: Clip, before: Sequence[ObjectNode], after: Sequence[ObjectNode], prompt_set: str) -> _Pair:
    pairs = candidates(before, after)
    requests = [
        prompts.ask(
            prompt_set,
            "bridging_1_same_object",
            frames=[*one.keyframes, *two.keyframes],
            choices=YES_NO,
            max_new_tokens=8,
            first=before[i].name,
            second=after[j].name,
            before=str(len(one.keyframes)),
            after=str(len(two.keyframes)),
        )
        for i, j in pairs
    ]
    return _Pair(before, after, pairs, requests)


def _events(clips: Sequence[Clip], llm: VideoLLM, reading: Reading) -> tuple[Event, ...]:
    requests = [prompts.ask(llm.prompt_set, "bridging_2_event", frames=clip.keyframes) for clip in clips]
    events = []
    for clip, request, reply in zip(clips, requests, llm.answer(requests), strict=True):
        said = reading.one(request, reply, read_event)
        if said:
            evidence = tuple(e for e in (reply.exchange,) if e)
            events.append(Event(clip.index, said.rstrip("."), clip.t_start, clip.t_end, evidence))
    return tuple(events)
