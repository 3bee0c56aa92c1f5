"""One clock for a video's pictures, whatever its time stamps do: from 0, always forwards, without holes."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

# A stamp further ahead than this is another recording's, as for ffmpeg's dts_delta_threshold; a slide may stay for longer
# where the slides before it did, too.
JUMP_SECONDS = 10.0
_JUMP_STEPS = 10.0
_BACK_STEPS = 4.5  # a lone stamp may be so far out of order; what lies further back begins anew
_REORDERED = 16.5  # pictures that a decoder may hold back at most
_EPSILON = 1e-6


class Timeline:
    """Places pictures one after another; times in seconds.

    A late start counts as 0. A jump forwards or backwards goes on one step after the last picture. A picture without a
    stamp does, too. A lone one that repeats a stamp, or is a little out of order, is put between its neighbours.

    Example: stamps 7.0, 7.1, 7.1, 7.2, 0.0, 0.1 at 10 frames per second -> 0, 0.1, 0.15, 0.2, 0.3, 0.4.
    """

    def __init__(self, fps: float) -> None:
        self.last: float | None = None
        self.step = 1 / fps  # between the last two pictures that were in order
        self._offset = 0.0
        self._squeezed = False

    def place(self, items: Iterable[tuple[float | None, T]]) -> Iterator[tuple[float, T]]:
        """Each item with its time, later than all before; reads one item ahead."""
        held: tuple[float | None, T] | None = None
        for item in items:
            if held is not None:
                yield self._time(held[0], item[0]), held[1]
            held = item
        if held is not None:
            yield self._time(held[0], None), held[1]

    def _time(self, stamp: float | None, following: float | None) -> float:
        if self.last is None:
            self._offset = -(stamp or 0.0)
            self.last = 0.0
        elif stamp is None:
            self.last += self.step
        else:
            self.last = self._after(self.last, stamp, following)
        return self.last

    def _after(self, last: float, stamp: float, following: float | None) -> float:
        ahead = stamp + self._offset - last
        room = 0.0 if following is None else following + self._offset - last
        if ahead <= _EPSILON and ahead > -_BACK_STEPS * self.step and room > _EPSILON:
            self._squeezed = True
            return last + min(self.step, room) / 2
        squeezed, self._squeezed = self._squeezed, False
        slow = following is not None and following - stamp > ahead / _JUMP_STEPS  # slides, whatever the header says
        if ahead <= _EPSILON or (is_jump(ahead, self.step) and not slow):
            self._offset = last + self.step - stamp
            return last + self.step
        self.step = self.step if squeezed else ahead
        return last + ahead


def is_jump(ahead: float, step: float) -> bool:
    """Whether a stamp lies too far after the one before it to be of the same recording; seconds."""
    return ahead > JUMP_SECONDS and ahead > _JUMP_STEPS * step


def presented(stamps: Iterable[tuple[float | None, float | None]], fps: float) -> Iterator[float | None]:
    """Presentation stamps in order of time from packets' (pts, dts) in order of decoding, recording by recording."""
    part: list[float | None] = []
    last: float | None = None
    back = _EPSILON
    bare = False
    for pts, dts in stamps:
        at = dts if dts is not None else pts
        if bare and dts is not None:
            last = None  # Matroska begins without dts; the first one can't be compared with a pts
        bare = dts is None
        if at is not None and last is not None and (at - last < -back or is_jump(at - last, 1 / fps)):
            yield from _in_order(part)
            part = []
        last = at if at is not None else last
        back = (0.5 if dts is not None else _REORDERED) / fps  # without one, order of decoding isn't that of time
        part.append(pts if pts is not None else dts)
    yield from _in_order(part)


def _in_order(stamps: Sequence[float | None]) -> list[float | None]:
    known: list[float | None] = [*sorted(s for s in stamps if s is not None)]
    return known if len(known) == len(stamps) else [*stamps]
