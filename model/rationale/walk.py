"""A reasoning path as it was sampled (STEP Sec. 3.2, Multi-step Reasoning Path Sampling): plain values, no database.

An *entity* is one object within one clip: the chain of its states, joined by motions. It goes by its first state.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from model.rationale.english import deed
from model.stsg import object_name

EdgeKind = Literal["ATTRIBUTE", "RELATION", "MOTION", "REFERENCE"]
EDGE_KINDS: tuple[EdgeKind, ...] = ("ATTRIBUTE", "RELATION", "MOTION", "REFERENCE")
HopKind = Literal[EdgeKind, "EVENT", "PAIR"]  # only a first hop is of the last two: a clip's event, two objects in time
Slot = Literal[
    "value",  # ATTRIBUTE: which value of a type
    "owner",  # ATTRIBUTE: which object has it
    "subject",  # RELATION: which object stands so to the other
    "object",  # RELATION: to which object
    "predicate",  # RELATION: how do they stand to each other
    "action",  # MOTION: what does it do
    "actor",  # MOTION: which object does it
    "target",  # MOTION: what is acted upon
    "here",  # REFERENCE: which object of the earlier clip
    "there",  # REFERENCE: which object of the later clip
    "here_clip",  # REFERENCE: in which other clip, and that is the earlier one
    "there_clip",  # REFERENCE: in which other clip, and that is the later one
    "first_clip",  # REFERENCE: in which clip is it seen first
    "last_clip",  # REFERENCE: in which clip is it seen last
    "event",  # EVENT: what happens in the clip that shows it
    "before",  # EVENT: what happens right before that clip
    "after",  # EVENT: what happens right after that clip
    "most",  # EVENT: which clip shows the most objects
    "fewest",  # EVENT: which clip shows the fewest
    "longest",  # EVENT: which clip lasts longest
    "shortest",  # EVENT: which clip lasts shortest
    "first",  # PAIR: which of two objects is seen first
    "last",  # PAIR: which of the two is seen last
    "between",  # PAIR: what happens between the clips that show them
    "longer",  # PAIR: which of these clips lasts longer
    "shorter",  # PAIR: which of them lasts less long
    "acts_longer",  # PAIR: which of two objects acts for longer
    "same_object",  # PAIR: are they the same object, where they are
    "other_object",  # PAIR: are they the same object, where they aren't
    "same_value",  # PAIR: have they the same attribute of a type, where they have
    "other_value",  # PAIR: have they the same attribute of a type, where they haven't
]
Stopped = Literal["reached", "stuck"]


@dataclass(frozen=True, slots=True)
class Entity:
    """One object within one clip."""

    id: str  # local id of its first state
    category: str
    mark: str
    clip: int

    @property
    def name(self) -> str:
        return object_name(self.category, self.mark)


@dataclass(frozen=True, slots=True)
class Hop:
    """One edge of a path, from `source` to `target` as the graph has it; `expanded` is the entity that left Q."""

    kind: HopKind
    source: Entity
    target: Entity | None  # None where the edge leads to no object: ATTRIBUTE, MOTION and EVENT
    start: str  # local ids of the states that the edge joins; for ATTRIBUTE only `start`
    end: str
    predicate: str = ""
    type: str = ""
    value: str = ""  # the attribute's value, or what the motion acts upon
    other_value: str = ""  # of a pair: the target's value, where `value` is the source's
    expanded: str = ""  # "" for the first hop
    keyframes: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()

    @property
    def deed(self) -> str:
        """A motion with what it acts upon, in one phrase."""
        return deed(self.predicate, self.value)

    def other(self, entity: str) -> Entity:
        """The entity at the other end."""
        assert self.target is not None, f"{self.kind} leads to a value"
        return self.target if entity == self.source.id else self.source


@dataclass(frozen=True, slots=True)
class Walk:
    """A reasoning path p: the first hop with its asked slot, then one hop for each expansion."""

    run_id: str
    asked: Slot
    hops: tuple[Hop, ...]
    wanted: int  # the paper's N
    stopped: Stopped


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """What a question has to know of a clip: its place in time, its events and who is in it."""

    index: int
    t_start: float
    t_end: float
    events: tuple[str, ...] = ()
    names: tuple[str, ...] = ()  # of its entities, sorted
    categories: tuple[str, ...] = ()
    members: tuple[tuple[str, str], ...] = ()  # (local id, name) of each, sorted

    def called(self, name: str) -> int:
        """How many of its entities a name may mean: whoever says "man" may mean the tall man."""
        return sum(f" {name} " in f" {n} " for n in self.names)

    @property
    def seconds(self) -> float:
        return self.t_end - self.t_start


@dataclass(frozen=True, slots=True)
class Setting:
    """One graph's clips, in order: the background against which a mention is clear or not."""

    run_id: str
    video_id: str
    clips: tuple[ClipFacts, ...]

    def clip(self, index: int) -> ClipFacts:
        return next(c for c in self.clips if c.index == index)

    def event(self, index: int) -> str:
        """What the one event of a clip is; "" where there is no such clip, or none or several events."""
        events = next((c.events for c in self.clips if c.index == index), ())
        return events[0] if len(events) == 1 else ""

    def repeated_events(self) -> frozenset[str]:
        """Descriptions that more than one event has."""
        return frozenset(d for d, n in Counter(e for c in self.clips for e in c.events).items() if n > 1)
