"""What a video takes of a model: prompts, tokens, seconds and money, from what a clip and a pair of clips take."""

from dataclasses import dataclass
from typing import TypeVar

from model.induction.bridging import REACH

_N = TypeVar("_N", int, float)


@dataclass(frozen=True, slots=True)
class Share:
    """What some prompts take; None is what was not measured."""

    prompts: int
    tokens_in: int | None = None
    tokens_out: int | None = None
    seconds: float | None = None

    def __add__(self, other: "Share") -> "Share":
        return Share(
            self.prompts + other.prompts,
            _sum(self.tokens_in, other.tokens_in),
            _sum(self.tokens_out, other.tokens_out),
            _sum(self.seconds, other.seconds),
        )

    def times(self, count: int) -> "Share":
        return Share(
            self.prompts * count,
            None if self.tokens_in is None else self.tokens_in * count,
            None if self.tokens_out is None else self.tokens_out * count,
            None if self.seconds is None else self.seconds * count,
        )


@dataclass(frozen=True, slots=True)
class Work:
    """The induction (STEP Sec. 3.1) of a video by its parts."""

    clip: Share  # a clip of three things, with its event
    pair: Share  # the references between two clips, of three things and of two

    def video(self, clips: int) -> Share:
        """What a video of so many clips takes: each clip is compared with the next ones within reach."""
        pairs = sum(min(REACH, clips - 1 - at) for at in range(clips))
        return self.clip.times(clips) + self.pair.times(pairs)


@dataclass(frozen=True, slots=True)
class Rates:
    """What is paid, in any one currency: for an hour of the device, and for a million tokens each way."""

    hour: float = 0.0
    million_in: float = 0.0
    million_out: float = 0.0

    def cost(self, share: Share) -> float | None:
        """The price of a share; None where nothing is paid, or what is paid for was not measured."""
        paid = (
            (self.hour, share.seconds, 3600),
            (self.million_in, share.tokens_in, 1e6),
            (self.million_out, share.tokens_out, 1e6),
        )
        due = [(rate, amount, unit) for rate, amount, unit in paid if rate]
        if not due or any(amount is None for _, amount, _ in due):
            return None
        return sum(rate * (amount or 0) / unit for rate, amount, unit in due)


def _sum(one: _N | None, other: _N | None) -> _N | None:
    return None if one is None or other is None else one + other
