"""Where in a video the frames are that a model is shown, in words (STEP Sec. 3.2, Temporal Contextualization).

Questions and rationales name clips by their number and by seconds. A model sees a handful of frames, which tell neither.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from model.rationale import english

_LONGEST = 1e9  # seconds
_CLIP_IS_ANSWER = frozenset(["clip_told", "seen_clip", "other_clip", "clip_longer"])  # operations of programs


def are_beginnings(value: object) -> bool:
    """Whether a value of JSON can be when clips begin: seconds in order."""
    if not isinstance(value, list) or not all(type(t) in (int, float) and 0 <= t <= _LONGEST for t in value):
        return False
    return value == sorted(value)


def clips_to_tell(row: Mapping[str, Any]) -> Sequence[float]:
    """When the clips of a QRA row's video begin; nothing where the answer is a clip, which that would give away."""
    program = row.get("program")
    ops = [str(op.get("op")) for op in program if isinstance(op, Mapping)] if isinstance(program, list) else []
    return () if _CLIP_IS_ANSWER.intersection(ops) else row.get("clips") or ()


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
