"""Asks a model a benchmark's questions, then a judge about the replies; each step can be cut off and taken up again."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from model.media import MediaError
from model.stsg import Keyframe
from model.video_llm import Request, VideoLLM
from trainer.benchmarks.files import BenchmarkError
from trainer.benchmarks.frames import shown
from trainer.benchmarks.items import Item, Scoring
from trainer.benchmarks.judge import Judge, pin
from trainer.benchmarks.record import Record

_AT_ONCE = 16  # questions
Shown = Callable[[Item], tuple[Keyframe, ...]]


def ask(
    record: Record, items: Sequence[Item], model: VideoLLM, scoring: Scoring, frames: Shown = shown
) -> Iterator[int]:
    """Each item's reply, or why its video can't be shown, into the record; gives the number done so far.

    A video that was missing and is there now is asked about again.

    Raises:
        VideoLLMError: no reply can be had now; run again to go on.
    """
    waiting = iter(unasked(record, items))
    while batch := list(islice(waiting, _AT_ONCE)):
        requests, able = list[Request](), list[Item]()
        for item in batch:
            try:
                seen = frames(item)
            except MediaError as e:
                record.reply(item, None, f"{e.code}: {e.detail}")
                continue
            able.append(item)
            requests.append(Request("benchmark", item.prompt, seen, max_new_tokens=scoring.max_new_tokens))
        for item, reply in zip(able, model.answer(requests) if requests else (), strict=True):
            record.reply(item, reply.text)
        yield len(record.items)


def unasked(record: Record, items: Sequence[Item]) -> list[Item]:
    """The items without a reply that could have one."""
    missed = {id for id, fault in record.faults.items() if fault.startswith("missing:")}
    return [item for item in items if item.id not in record.items or (item.id in missed and item.media is not None)]


def mark(record: Record, judge: Judge | None, scoring: Scoring) -> Iterator[int]:
    """The judge's word on each reply that the rule leaves to it, into the record; gives the number done so far.

    Raises:
        BenchmarkError: a judge is needed and there is none, or another one has begun.
        JudgeDownError: it can't be reached now; run again to go on.
    """
    waiting = unmarked(record, scoring)
    if not waiting:
        return
    if judge is None or scoring.judge is None:
        raise BenchmarkError(
            f"{len(waiting):,} replies can only be marked by a judge.", "Name one; what the model said is kept."
        )
    record.judged_by(pin(judge.name, scoring.judge))
    for at in range(0, len(waiting), _AT_ONCE):
        batch = waiting[at : at + _AT_ONCE]
        for item, said in judge.replies(batch, scoring):
            record.verdict(item.id, said)
        yield len(record.verdicts)


def unmarked(record: Record, scoring: Scoring) -> list[tuple[Item, str]]:
    """The replies that the rule leaves to a judge who has not spoken yet."""
    return [
        (item, reply)
        for id, item in record.items.items()
        if (reply := record.replies[id]) is not None and id not in record.verdicts and scoring.rule(item, reply) is None
    ]
