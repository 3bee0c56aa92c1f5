"""Where in a video the frames are that a model is shown, in words (STEP Sec. 3.2, Temporal Contextualization).

Questions and rationales name clips by their number and by seconds. A model sees a handful of frames, which tell neither.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import groupby
from math import isfinite

from model.rationale import english


def are_beginnings(value: object) -> bool:
    """Whether a value of JSON can be when clips begin: seconds in order."""
    if not isinstance(value, list) or not all(isinstance(t, int | float) and isfinite(t) for t in value):
        return False
    return value == sorted(value)


def frames_at(times: Sequence[float], clips: Sequence[float]) -> str:
    """A sentence on which clip each of the frames is of, and when; "" where the video has no two clips.

    `times` are those of the frames and `clips` when each clip begins, all in seconds and in order.
    """
    if len(clips) < 2:
        return ""
    begins = [_milliseconds(t) for t in clips]
    told = (
        f"the {english.clip_name(clip)} ({_listed([f'{t:.1f}' for t in of])} s)"
        for clip, of in groupby(times, lambda t: max(0, bisect_right(begins, _milliseconds(t)) - 1))
    )
    return f"The frames are from {_listed(list(told))} of the video."


def clips_at(clips: Sequence[float]) -> str:
    """A sentence on when each clip of a video begins, for who sees all of it; "" where there are no two."""
    return f"The clips of the video begin at {_listed([f'{t:.1f}' for t in clips])} s." if len(clips) > 1 else ""


def _milliseconds(seconds: float) -> int:
    """As keyframes' ids have times: a frame at the very start of a clip is of this clip."""
    return round(seconds * 1000)


def _listed(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
