"""Cross-clip Bridging (STEP Sec. 3.1; App. A.1): reference edges between clips, and an event edge for each clip.

The order of events comes from their times, never from the model.
"""

from collections.abc import Sequence

from model import prompts
from model.induction.merging import candidates, likeness, matched
from model.induction.rejects import Reading, Rejects
from model.induction.verification import YES_NO, is_yes
from model.replies import read_sentence
from model.stsg import Clip, Event, ObjectNode, Reference, SceneGraph
from model.video_llm import VideoLLM

REACH = 8  # clips ahead with which a clip is compared


def bridge_clips(
    clips: Sequence[Clip], graphs: Sequence[SceneGraph], llm: VideoLLM, *, reach: int = REACH
) -> tuple[SceneGraph, Rejects]:
    """References and events only; `graphs` are the clips' temporal scene graphs, in order.

    Clips more than `reach` apart are not compared, so that the number of prompts grows with the length of a video and
    not with its square. Prompts: App. A.1, Cross-clip Bridging, Step-1, and one of ours for events.
    """
    reading = Reading()
    references: list[Reference] = []
    ends = [_ends(graph) for graph in graphs]
    for i, one in enumerate(clips):
        for j in range(i + 1, min(i + 1 + reach, len(clips))):
            references += _references(one, clips[j], ends[i][1], ends[j][0], llm, reading)
    return SceneGraph(references=tuple(references), events=_events(clips, llm, reading)), reading.rejects


def _ends(graph: SceneGraph) -> tuple[list[ObjectNode], list[ObjectNode]]:
    """The first and the last state of each object."""
    chains = list(graph.entities())
    return [c[0] for c in chains], [c[-1] for c in chains]


def _references(
    one: Clip, two: Clip, before: Sequence[ObjectNode], after: Sequence[ObjectNode], llm: VideoLLM, reading: Reading
) -> list[Reference]:
    pairs = candidates(before, after)
    requests = [
        prompts.ask(
            llm.prompt_set,
            "bridging_1_same_object",
            frames=[*one.keyframes, *two.keyframes],
            choices=YES_NO,
            max_new_tokens=8,
            first=before[i].name,
            second=after[j].name,
        )
        for i, j in pairs
    ]
    replies = llm.answer(requests)
    chances = [is_yes(request, reply, reading) for request, reply in zip(requests, replies, strict=True)]
    taken = matched(pairs, chances, [likeness(before[i], after[j]) for i, j in pairs])
    return [
        Reference(
            before[pairs[n][0]].id,
            after[pairs[n][1]].id,
            confidence=round(chances[n], 4),
            evidence=tuple(e for e in (replies[n].exchange,) if e),
        )
        for n in sorted(taken)
    ]


def _events(clips: Sequence[Clip], llm: VideoLLM, reading: Reading) -> tuple[Event, ...]:
    requests = [prompts.ask(llm.prompt_set, "bridging_2_event", frames=clip.keyframes) for clip in clips]
    events = []
    for clip, request, reply in zip(clips, requests, llm.answer(requests), strict=True):
        said = reading.one(request, reply, read_sentence)
        if said:
            evidence = tuple(e for e in (reply.exchange,) if e)
            events.append(Event(clip.index, said.rstrip("."), clip.t_start, clip.t_end, evidence))
    return tuple(events)
