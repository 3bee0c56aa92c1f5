"""The Spatio-Temporal Scene Graph in the paper's own words (STEP Sec. 3.1): plain values, no I/O.

Times are seconds from the start of the video; an interval is half open, [t_start, t_end).
Ids are made from position and content, so that the same video and the same replies give the same ids.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["static", "dynamic"]
Image = NDArray[np.uint8]  # height x width x 3, RGB


@dataclass(frozen=True, slots=True, eq=False)
class Keyframe:
    """One representative frame f_t of a clip (Sec. 3.1, Visual Splitting)."""

    id: str  # "<video_id>:<milliseconds, 9 digits>"
    t: float
    image: Image = field(repr=False)

    @property
    def video_id(self) -> str:
        return self.id.rpartition(":")[0]


def video_id(sha256: str) -> str:
    """The id of a video, from the SHA-256 of its file in hex: the same file is the same video everywhere."""
    return f"vid_{sha256[:24]}"


def keyframe_id(video_id: str, t: float) -> str:
    """The id of the frame shown at `t` seconds."""
    return f"{video_id}:{round(t * 1000):09d}"


def seconds_of(keyframe_id: str) -> float:
    """When the frame of an id is shown."""
    return int(keyframe_id.rpartition(":")[2]) / 1000


@dataclass(frozen=True, slots=True)
class Clip:
    """A stretch of video between two cuts, with its keyframes in time order (Sec. 3.1, Visual Splitting)."""

    index: int
    t_start: float
    t_end: float
    frame_start: int
    frame_end: int
    keyframes: tuple[Keyframe, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Attribute:
    """a_{i,j}: one typed property of an object, such as (color, red)."""

    type: str
    value: str
    evidence: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class ObjectNode:
    """o_i: an object as seen in one state. A dynamic object has one node per state, joined by motions."""

    id: str  # "c<clip>/k<keyframe index in clip>/<category>/<ordinal>"
    category: str
    mark: str  # what only this instance has (App. A.1, Step-1, Input 3); may be empty
    kind: Kind
    clip: int
    t_start: float
    t_end: float
    keyframes: tuple[str, ...]  # ids of the keyframes that show it, in time order
    attributes: tuple[Attribute, ...] = ()
    confidence: float = 1.0
    evidence: tuple[str, ...] = ()  # ids of the exchanges with the Video-LLM that made it

    @property
    def name(self) -> str:
        return object_name(self.category, self.mark)


def object_name(category: str, mark: str) -> str:
    """A noun phrase for an instance: "red circle", or "woman walking on the dock" where the mark is a phrase."""
    words = mark.split()
    if not words:
        return category
    if f" {category} " in f" {mark} ":
        return mark
    leads = len(words) <= 2 and not words[0].endswith("ing") and words[0] not in _PREPOSITIONS
    return f"{mark} {category}" if leads else f"{category} {mark}"


def words_of(listed: str) -> frozenset[str]:
    """A set of words, from one text."""
    return frozenset(listed.split())


_PREPOSITIONS = words_of("at behind beside by holding in near next of on over to under wears with")


@dataclass(frozen=True, slots=True)
class Relation:
    """r_{i,j} = (o_i, p_{i,j}, o_j), holding over [t_start, t_end)."""

    subject: str
    predicate: str
    object: str
    clip: int
    t_start: float
    t_end: float
    keyframes: tuple[str, ...] = ()
    confidence: float = 1.0
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Motion:
    """m_k = (o_{i,t1}, p_k, o_{i,t2}; [t1, t2]): what a dynamic object did between two states."""

    start: str  # object id of the earlier state
    end: str  # object id of the later state
    predicate: str
    target: str  # the thing acted upon, "" for none
    clip: int
    t_start: float
    t_end: float
    confidence: float = 1.0
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reference:
    """The same object in two clips (Sec. 3.1, Cross-clip Bridging); `here` is in the earlier clip."""

    here: str
    there: str
    confidence: float = 1.0
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """What one clip is about, as a whole (Sec. 3.1, event edges)."""

    clip: int
    description: str
    t_start: float
    t_end: float
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SceneGraph:
    """G_f for one keyframe, a temporal SG for one clip, the STSG for a video: one type, growing edge kinds."""

    objects: tuple[ObjectNode, ...] = ()
    relations: tuple[Relation, ...] = ()
    motions: tuple[Motion, ...] = ()
    references: tuple[Reference, ...] = ()
    events: tuple[Event, ...] = ()

    def __or__(self, other: "SceneGraph") -> "SceneGraph":
        return SceneGraph(
            self.objects + other.objects,
            self.relations + other.relations,
            self.motions + other.motions,
            self.references + other.references,
            self.events + other.events,
        )

    def object(self, id: str) -> ObjectNode:
        return next(o for o in self.objects if o.id == id)

    def in_clip(self, clip: int) -> "SceneGraph":
        """The part that lies within one clip (no references)."""
        return replace(
            self,
            objects=tuple(o for o in self.objects if o.clip == clip),
            relations=tuple(r for r in self.relations if r.clip == clip),
            motions=tuple(m for m in self.motions if m.clip == clip),
            references=(),
            events=tuple(e for e in self.events if e.clip == clip),
        )

    def entities(self) -> Iterator[tuple[ObjectNode, ...]]:
        """Each object once per clip, as the chain of its states in time order (a static object has one)."""
        following = {m.start: m.end for m in self.motions}
        later = set(following.values())
        nodes = {o.id: o for o in self.objects}
        for o in self.objects:
            if o.id in later:
                continue
            chain = [o]
            while (after := following.get(chain[-1].id)) is not None and len(chain) <= len(nodes):
                chain.append(nodes[after])
            yield tuple(chain)

    def counts(self) -> dict[str, int]:
        """How many of each kind; `objects` counts nodes, so each state of a dynamic object counts."""
        return {
            "objects": len(self.objects),
            "attributes": sum(len(o.attributes) for o in self.objects),
            "relations": len(self.relations),
            "motions": len(self.motions),
            "references": len(self.references),
            "events": len(self.events),
        }
