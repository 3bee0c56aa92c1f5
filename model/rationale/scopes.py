"""Which clip a question speaks of: by number, event, time, neighbours or what stands out (STEP Sec. 3.2)."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, get_args

from model.rationale import english
from model.rationale.program import Reason

if TYPE_CHECKING:
    from model.rationale.telling import Teller

Context = Literal["ordinal", "event", "range", "after", "before", "between", "most", "longest"]
CONTEXTS: tuple[Context, ...] = get_args(Context)[1:]  # those that take a search in time
Extreme = Literal["most", "fewest", "longest", "shortest"]
_MARGIN = 0.1  # of a clip's length at each end: a time range must not hang on the exact frame of a cut


class Unclear(Exception):  # noqa: N818 - a verdict on the path, not a fault
    """The path can't be told in clear words: rejected before any program is run."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


def _ordinal_scope(teller: "Teller", clip: int) -> tuple[int, str]:
    words = f"in the {english.clip_name(clip)}" if len(teller.setting.clips) > 1 else ""
    return teller.op({"op": "clip_number", "number": clip}), words


def _event_scope(teller: "Teller", clip: int) -> tuple[int, str]:
    events = teller.setting.clip(clip).events
    if not events:
        raise Unclear("no_answer")
    if len(events) > 1 or events[0] in teller.setting.repeated_events():
        raise Unclear("ambiguous")
    if len(teller.setting.clips) == 1:
        raise Unclear("trivial")
    teller.searched = True
    told = english.quoted(events[0])
    teller.line(f"the event {told} takes place {teller.in_clip(clip)}")
    return teller.op({"op": "clip_event", "description": events[0]}), f"during the event {told}"


def _range_scope(teller: "Teller", clip: int) -> tuple[int, str]:
    facts = teller.setting.clip(clip)
    margin = (facts.t_end - facts.t_start) * _MARGIN
    first, last = math.ceil((facts.t_start + margin) * 10) / 10, math.floor((facts.t_end - margin) * 10) / 10
    if last <= first or len(teller.setting.clips) == 1:
        raise Unclear("trivial")
    teller.searched = True
    words = f"between {first:.1f} and {last:.1f} seconds"
    teller.line(f"the time {words} lies {teller.in_clip(clip)}")
    return teller.op({"op": "clip_time", "t_from": first, "t_to": last}), words


def _bound_scope(teller: "Teller", clip: int, *sides: int) -> tuple[int, str]:
    """The one clip right after (-1), right before (1) or between two events that stand for nothing else."""
    told = [teller.setting.event(clip + side) for side in sides]
    if not all(told) or len(set(told)) < len(told):
        raise Unclear("no_answer")
    if set(told) & teller.setting.repeated_events():
        raise Unclear("ambiguous")
    teller.searched = True
    anchors = [teller.op({"op": "clip_event", "description": event}) for event in told]
    quoted = " and ".join(f"the event {english.quoted(event)}" for event in told)
    if len(sides) == 2:
        words = f"between {quoted}"
        register = teller.op({"op": "clip_between", "of": anchors[0], "to": anchors[1]})
    else:
        words = f"right {'after' if sides[0] < 0 else 'before'} {quoted}"
        register = teller.op({"op": "clip_beside", "of": anchors[0], "by": -sides[0]})
    teller.line(f"what comes {words} is the {english.clip_name(clip)}")
    return register, f"in the clip {words}"


def _extreme_scope(teller: "Teller", clip: int, slot: Extreme) -> tuple[int, str]:
    teller.searched = True
    register, words = extreme(teller, clip, slot)
    teller.line(f"the clip that {words} is the {english.clip_name(clip)}")
    return register, f"in the clip that {words}"


def extreme(teller: "Teller", clip: int, slot: Extreme) -> tuple[int, str]:
    """The clip that stands out: its register, and what it does; another clip may stand out instead of the wanted one."""
    if len(teller.setting.clips) == 1:
        raise Unclear("trivial")
    by, end, words = _EXTREMES[slot]
    facts = teller.setting.clips
    sizes = {c.index: len(c.names) if by == "objects" else c.seconds for c in facts}
    if sizes[clip] != (max if end == "most" else min)(sizes.values()):
        raise Unclear("no_answer")
    return teller.op({"op": "clip_extreme", "by": by, "end": end}), words


_EXTREMES: dict[Extreme, tuple[str, str, str]] = {
    "most": ("objects", "most", "shows the most objects"),
    "fewest": ("objects", "least", "shows the fewest objects"),
    "longest": ("seconds", "most", "lasts longest"),
    "shortest": ("seconds", "least", "is the shortest"),
}


SCOPE: dict[Context, Callable[["Teller", int], tuple[int, str]]] = {
    "ordinal": _ordinal_scope,
    "event": _event_scope,
    "range": _range_scope,
    "after": lambda teller, clip: _bound_scope(teller, clip, -1),
    "before": lambda teller, clip: _bound_scope(teller, clip, 1),
    "between": lambda teller, clip: _bound_scope(teller, clip, -1, 1),
    "most": lambda teller, clip: _extreme_scope(teller, clip, "most"),
    "longest": lambda teller, clip: _extreme_scope(teller, clip, "longest"),
}
