"""One question of a public benchmark, and what a reply to it is worth."""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

PROMPT = "Based on the video, respond to this question with a short answer: {question}"  # STEP App. D


@dataclass(frozen=True, slots=True)
class Media:
    """Where an item's pictures come from: a video or a folder of numbered pictures, and the part that is asked about."""

    path: Path
    start: float | None = None  # seconds; None is the video's own
    end: float | None = None
    fps: float | None = None  # of a folder of pictures


@dataclass(frozen=True, slots=True)
class Item:
    """One question about a video; `prompt` is all that the model is told, `groups` name the tables it counts in."""

    id: str
    video_id: str
    question: str
    answer: str
    prompt: str
    options: tuple[str, ...] = ()
    steps: int | None = None
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    about: str = ""  # what a judge is asked instead of the question
    direct: str = ""  # id of the same question with nothing told indirectly (AGQA)
    media: Media | None = field(default=None, compare=False)  # None where the video isn't on disk

    def to_dict(self) -> dict[str, Any]:
        """As kept beside a reply: all but where the video lies on this machine."""
        told = asdict(self) | {"options": list(self.options), "groups": {k: list(v) for k, v in self.groups.items()}}
        del told["media"]
        return told

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> "Item":
        groups = {name: tuple(values) for name, values in told["groups"].items()}
        return cls(**{**told, "options": tuple(told["options"]), "groups": groups})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a reply is worth. One that could not be `read` is never right; `counts` is False where a rule forgets it."""

    right: bool
    read: bool = True
    score: int | None = None  # a judge's mark
    points: int | None = None  # where an official rule gives other points than 1 or 0
    counts: bool = True


UNREAD = Outcome(right=False, read=False)


@dataclass(frozen=True, slots=True)
class JudgePrompt:
    """What a judge is told; {question}, {answer} and {reply} are filled in, other braces are its own."""

    system: str
    user: str

    def filled(self, item: Item, reply: str) -> str:
        values = {"{question}": item.about or item.question, "{answer}": item.answer, "{reply}": reply}
        return re.sub(r"\{(?:question|answer|reply)\}", lambda found: values[found[0]], self.user)


@dataclass(frozen=True, slots=True)
class Scoring:
    """A benchmark's rule: `rule` reads a reply and leaves to the judge what gives None; `verdict` reads the judge.

    A `verdict` of None is nonsense: the judge is asked again, and in the end `unjudged` stands.
    """

    rule: Callable[[Item, str], Outcome | None]
    judge: JudgePrompt | None = None
    verdict: Callable[[Item, str], Outcome | None] = lambda item, reply: None
    unjudged: Outcome = UNREAD
    max_new_tokens: int = 32
