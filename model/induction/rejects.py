"""Replies that could not be used: counted by reason and kept, never dropped in silence."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from model.replies import UnreadableReply, refusals
from model.video_llm import Reply, Request

T = TypeVar("T")
_EXCERPT = 200


@dataclass(frozen=True, slots=True)
class Reject:
    """A reply that could not be read, or a fact in it that could not be used."""

    step: str
    reason: str
    excerpt: str
    exchange: str = ""
    unread: bool = False  # nothing of the reply could be read


@dataclass(frozen=True, slots=True)
class Rejects:
    """All rejects of a stage, in the order in which they came up."""

    items: tuple[Reject, ...] = ()

    def __add__(self, other: "Rejects") -> "Rejects":
        return Rejects(self.items + other.items)

    def counts(self) -> dict[str, int]:
        """How many by "step: reason"."""
        return dict(sorted(Counter(f"{r.step}: {r.reason}" for r in self.items).items()))


class Reading:
    """Reads replies for one stage and collects what could not be read."""

    def __init__(self) -> None:
        self._items: list[Reject] = []

    @property
    def rejects(self) -> Rejects:
        return Rejects(tuple(self._items))

    def all(self, requests: Sequence[Request], replies: Sequence[Reply], reader: Callable[[str], T]) -> list[T | None]:
        """Each reply as a value, None where it can't be read."""
        return [self.one(request, reply, reader) for request, reply in zip(requests, replies, strict=True)]

    def one(self, request: Request, reply: Reply, reader: Callable[[str], T]) -> T | None:
        """The reply as a value, None where it can't be read."""
        with refusals() as refused:
            try:
                value = reader(reply.text)
            except UnreadableReply as e:
                reason = e.reason if reply.text.strip() else _why_empty(reply)
                self.refuse(request.step, reason, reply)
                self._items[-1] = replace(self._items[-1], unread=True)
                return None
        for reason, text in refused:  # names and values that are none
            self.refuse(request.step, reason, reply, text)
        return value

    def refuse(self, step: str, reason: str, reply: Reply, what: str = "") -> None:
        """Count something that a reply says and that can't be used."""
        excerpt = (what or reply.text)[:_EXCERPT].encode("utf-8", "replace").decode("utf-8")
        self._items.append(Reject(step, reason, excerpt, reply.exchange))


def _why_empty(reply: Reply) -> str:
    """Why a reply has no text, by what its server gives beside it."""
    if reply.tools:
        return "tool_call"
    if reply.thoughts:
        return "thoughts_only"
    return "cut_off" if reply.finish == "length" else "empty"
