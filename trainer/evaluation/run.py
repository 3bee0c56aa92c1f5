"""A model is asked a benchmark's questions: directly under i^a, or through the rationale under i^r (STEP Sec. 3.2, 4.1).

Through the rationale, the answer is what the rationale ends in; where it ends in no short phrase, the model is asked for
the answer with its rationale before it. Each question is asked a second time, in the same way, without frames.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from model.backends.trace import Traced
from model.rationale.formats import INSTRUCTIONS, Part, asked
from model.stsg import Keyframe
from model.video_llm import Request, VideoLLM
from trainer.evaluation.benchmark import Item
from trainer.evaluation.floor import Guess
from trainer.evaluation.prior import Prior
from trainer.evaluation.scoring import correct, read_ending

Mode = Literal["direct", "rationale"]
Row = dict[str, Any]
_AT_ONCE = 32  # questions
_TOKENS: dict[Part, int] = {"answer": 32, "rationale": 256}


def evaluate(items: Iterable[Item], model: VideoLLM, mode: Mode, prior: Prior) -> Iterator[Row]:
    """A row for each item, in order: the question, every exchange with and without frames, and the guess by phrasing.

    A row is all that scores need, so that they can be told again without the model, the benchmark or its videos.

    Raises:
        VideoLLMError: no reply can be had now.
    """
    waiting = iter(items)
    while batch := list(islice(waiting, _AT_ONCE)):
        views = [(item, frames) for item in batch for frames in (item.frames, ())]
        talks = _talks(views, model, mode)
        for item, seen, blind in zip(batch, talks[::2], talks[1::2], strict=True):
            yield {
                "id": item.id,
                "video_id": item.video_id,
                "question": item.question,
                "options": list(item.options),
                "answer": item.answer,
                "steps": item.steps,
                "mode": mode,
                "guess": prior.guess(item.question),
                "chance": item.guess.to_dict() if item.guess else None,
                "seen": seen,
                "blind": blind,
            }


def _talks(views: Sequence[tuple[Item, tuple[Keyframe, ...]]], model: VideoLLM, mode: Mode) -> list[list[Row]]:
    """For each view of a question, its exchanges with the model."""
    if mode == "direct":
        return [[told] for told in _tell(model, [_request("answer", *view) for view in views])]
    talks = [[told] for told in _tell(model, [_request("rationale", *view) for view in views])]
    unread = [(view, talk) for view, talk in zip(views, talks, strict=True) if read_ending(talk[0]["reply"]) is None]
    again = _tell(model, [_after(*view, talk[0]["reply"]) for view, talk in unread])
    for (_, talk), told in zip(unread, again, strict=True):
        talk.append(told)
    return talks


def _tell(model: VideoLLM, requests: Sequence[Request]) -> list[Row]:
    """The exchanges in the form of a run's trace."""
    kept: list[Row] = []
    Traced(model, kept.append).answer(requests)
    return kept


def _request(part: Part, item: Item, frames: tuple[Keyframe, ...]) -> Request:
    values = {"item": item.id, "question": item.question}
    return Request(
        f"evaluation_{part}",
        asked(part, item.question),
        frames,
        values=values,
        max_new_tokens=_TOKENS[part],
    )


def _after(item: Item, frames: tuple[Keyframe, ...], rationale: str) -> Request:
    text = "\n".join(filter(None, (item.question, rationale, INSTRUCTIONS["answer"])))
    values = {"item": item.id, "question": item.question}
    return Request("evaluation_answer_after", text, frames, values=values, max_new_tokens=_TOKENS["answer"])


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a model said to one question, and whether that is right; `blind` without frames, `guessed` by phrasing.

    `guess` is how likely a guess is right; older rows don't have it.
    """

    id: str
    video_id: str
    steps: int
    said: str
    correct: bool
    blind: bool
    guessed: bool
    asked_after: bool  # whether the rationale ended in no answer
    guess: Guess | None = None


def verdict(row: Row) -> Verdict:
    """The verdict on a kept row, read anew from the raw replies."""
    said, blind = _said(row["seen"], row["mode"]), _said(row["blind"], row["mode"])
    right, by_chance, guessed = (correct(text, row["answer"], row["options"]) for text in (said, blind, row["guess"]))
    asked_after = len(row["seen"]) > 1
    guess = Guess.from_dict(row["chance"]) if row.get("chance") else None
    return Verdict(row["id"], row["video_id"], row["steps"], said, right, by_chance, guessed, asked_after, guess)


def _said(talk: Sequence[Row], mode: Mode) -> str:
    last = str(talk[-1]["reply"])
    return last if mode == "direct" or len(talk) > 1 else read_ending(last) or ""
