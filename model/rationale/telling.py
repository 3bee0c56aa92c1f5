"""Mentions: how a question speaks of an entity, by its name or through the edge that expanded it (STEP Sec. 3.2).

Operations, rationale lines and words grow together, so that the question, its steps and its program can't disagree.
"""

from collections.abc import Callable, Set
from dataclasses import dataclass, field
from typing import cast

from model.rationale import english
from model.rationale.program import Op
from model.rationale.scopes import SCOPE, Context, Unclear
from model.rationale.walk import EdgeKind, Entity, Hop, Setting, Slot, Walk

LONG = 8  # words of a mention after which the verb should not be kept waiting
ONE_TOPIC: dict[Slot, Slot] = {"other_object": "same_object", "other_value": "same_value"}  # slots in the same words


@dataclass(frozen=True, slots=True)
class Asked:
    """The words of a question without a question mark, its answer, and how to ask whether another answer holds.

    Where only certain answers can be right, as when two things are compared, `rivals` are the wrong ones.
    """

    question: str
    answer: str
    claim: Callable[[str], str]
    rivals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mention:
    """A noun phrase in the question, the register that it fills, and its grammatical number."""

    text: str
    register: int
    plural: bool
    trails: bool = False  # whether a verb stands at its end, which another one must not follow

    @property
    def is_long(self) -> bool:
        return len(self.text.split()) > LONG


@dataclass(slots=True)
class Teller:
    """Builds one sample: operations, rationale lines and mentions grow together."""

    walk: Walk
    setting: Setting
    context: Context
    narrow: Set[str]
    phrasing: int = 0
    ops: list[Op] = field(default_factory=list)
    describes: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    closed: bool = False  # whether the question is one for yes or no
    searched: bool = False
    front: str = ""  # the temporal context, where it holds for the whole question
    elsewhere: bool = False  # whether the question is for other clips than those of its mentions
    unsaid: frozenset[int] = frozenset()  # clips that the question must not name, so that they have to be found
    template: str = ""  # which words of ours the question is made of
    nouns: frozenset[str] = frozenset()  # what the question calls its answer, where that leaves others out
    _clips: dict[tuple[int, bool], tuple[int, str]] = field(default_factory=dict)

    def op(self, op: Op, entity: str = "") -> int:
        self.ops.append(op)
        self.describes.append(entity)
        return len(self.ops) - 1

    def line(self, text: str) -> None:
        self.lines.append(english.sentence(text))

    def say(self, *ways: str) -> str:
        """One of several ways to put a question, by the seed of the sample."""
        self.template = f"{self._topic} {self.phrasing % len(ways)}"
        return ways[self.phrasing % len(ways)]

    @property
    def _topic(self) -> str:
        asked = ONE_TOPIC.get(self.walk.asked, self.walk.asked)
        return f"{asked} {self.walk.hops[0].type}".rstrip()

    def place(self, clip: int, *, anchor: bool = True) -> tuple[dict[str, int], str]:
        """Where an operation has to search, and the words for it: nothing where the clip has to be found."""
        if clip in self.unsaid:
            return {}, "" if anchor else "in another clip"
        register, words = self.scope(clip, anchor=anchor)
        return {"clip": register}, words

    def found(self, what: str, answer: str, told: str) -> None:
        """Adds the step that finds the answer, and tells its own words where they are asked for and the sentence bends them."""
        self.line(told if self.closed or answer in told else f"{told}, so the {what} is {english.quoted(answer)}")

    def ask(self, words: str) -> str:
        """A question as it stands in the data, with the temporal context at its front."""
        return english.sentence(f"{self.front}, {words}" if self.front else words, "?")

    def noun(self, entity: Entity) -> str:
        """The word for an entity whose name must not be told."""
        return english.tidy(entity.category) if entity.id in self.narrow else "object"

    def ask_for(self, *entities: Entity) -> None:
        """One of these is the answer: where all are called by their categories, other objects can't be it."""
        if all(entity.id in self.narrow for entity in entities):
            self.nouns = frozenset(english.tidy(entity.category) for entity in entities)

    def category(self, entity: Entity) -> str:
        return entity.category if entity.id in self.narrow else ""

    def name(self, entity: Entity) -> str:
        return english.the(entity.name)

    def is_named(self, entity: Entity) -> str:
        """The end of a step that finds an entity: "is the red circle"."""
        return f"{english.be(self.plural(entity))} {self.name(entity)}"

    def in_clip(self, clip: int) -> str:
        return f"in the {english.clip_name(clip)}" if len(self.setting.clips) > 1 else "in the video"

    def scope(self, clip: int, *, anchor: bool = True) -> tuple[int, str]:
        """A register that holds the clip, and the words that say which; the first anchor gets the temporal context."""
        key = (clip, anchor)
        if key not in self._clips:
            first = anchor and not any(a for _, a in self._clips)
            context = self.context if first else "ordinal"
            register, words = SCOPE[context](self, clip)
            if context != "ordinal":
                self.front, words = ("", f"seen {words}") if self.crossing else (words, "")
            elif self.elsewhere and anchor and words:
                words = f"seen {words}"  # no clip shows "the cup in the first clip" but the first
            self._clips[key] = register, words
        return self._clips[key]

    @property
    def crossing(self) -> bool:
        """Whether the path leads from clip to clip, so that each mention has to say which it is in."""
        return any(h.kind in ("REFERENCE", "PAIR") for h in self.walk.hops)

    def mention(self, entity: Entity, *, scoped: bool = True) -> Mention:
        """How the question speaks of an entity: through the edge that expanded it, else by name."""
        hop = next((h for h in self.walk.hops if h.expanded == entity.id), None)
        if hop is None:
            return self._by_name(entity, scoped)
        self._require_unique(entity)
        self.require_needed(entity, hop)
        if entity.id in self.narrow and entity.name == entity.category:
            raise Unclear("trivial")  # "the children that run are the children" finds nothing
        return _DESCRIBE[cast(EdgeKind, hop.kind)](self, entity, hop, scoped)

    def _by_name(self, entity: Entity, scoped: bool) -> Mention:
        where, words = self.place(entity.clip)
        clips = (self.setting.clip(entity.clip),) if where else self.setting.clips
        if sum(clip.called(entity.name) for clip in clips) > 1:
            raise Unclear("ambiguous")
        register = self.op({"op": "named", **where, "name": entity.name})
        text = f"{self.name(entity)} {words if scoped else ''}".strip()
        return Mention(text, register, english.is_plural(entity.category))

    def _require_unique(self, entity: Entity) -> None:
        """The rationale goes on with this name, so it must denote one entity of its clip."""
        if self.setting.clip(entity.clip).called(entity.name) != 1:
            raise Unclear("ambiguous")

    def require_needed(self, entity: Entity, hop: Hop) -> None:
        """A description of which the noun alone says everything is no step."""
        clips = self.setting.clips if entity.clip in self.unsaid else (self.setting.clip(entity.clip),)
        categories = [category for clip in clips for category in clip.categories]
        alone = categories.count(entity.category) if entity.id in self.narrow else len(categories)
        if alone == 1:
            raise Unclear("trivial")
        if hop.kind == "ATTRIBUTE" and english.content_words(hop.value) <= english.content_words(entity.name):
            raise Unclear("trivial")

    def event_tells(self, deed: str) -> bool:
        """Whether the event that the question quotes says who does it."""
        quoted = (str(op["description"]) for op in self.ops if op["op"] == "clip_event")
        return any(deed.lower() in description.lower() for description in quoted)

    def require_one_crossing(self, known: Entity) -> None:
        """Two references in a row say no more than one."""
        if any(h.kind == "REFERENCE" and h.expanded == known.id for h in self.walk.hops):
            raise Unclear("trivial")

    def plural(self, entity: Entity) -> bool:
        return entity.id in self.narrow and english.is_plural(entity.category)


def having(teller: Teller, entity: Entity, hop: Hop) -> tuple[int, str]:
    """The entity of a clip that has an attribute: its register, and the words for the clip; adds the step."""
    where, words = teller.place(entity.clip)
    op: Op = {
        "op": "having",
        **where,
        "category": teller.category(entity),
        "type": english.type_said(hop.type),
        "value": hop.value,
    }
    register = teller.op(op, entity.id)
    told = english.with_attribute(teller.noun(entity), hop.type, hop.value)
    teller.line(f"{teller.in_clip(entity.clip)}, the {told} {teller.is_named(entity)}")
    return register, words


def doing(teller: Teller, entity: Entity, hop: Hop) -> tuple[int, str]:
    """The entity of a clip that makes a motion: its register, and the words for the clip; adds the step."""
    where, words = teller.place(entity.clip)
    if teller.event_tells(hop.deed):
        raise Unclear("trivial")
    op: Op = {
        "op": "doing",
        **where,
        "category": teller.category(entity),
        "predicate": hop.predicate,
        "target": hop.value,
    }
    register = teller.op(op, entity.id)
    told = f"the {teller.noun(entity)} {english.acting(hop.deed, teller.plural(entity))}"
    teller.line(f"{teller.in_clip(entity.clip)}, {told} {teller.is_named(entity)}")
    return register, words


def related(teller: Teller, entity: Entity, hop: Hop, other: Mention) -> int:
    """The entity at one end of a relation whose other end is known: its register; adds the step."""
    subject = hop.source.id == entity.id
    op: Op = {
        "op": "related",
        "of": other.register,
        "side": "subject" if subject else "object",
        "predicate": hop.predicate,
        "category": teller.category(entity),
    }
    register = teller.op(op, entity.id)
    known = hop.other(entity.id)
    told = _standing(teller, entity, hop, teller.name(known), english.is_plural(known.category))
    teller.line(f"{teller.in_clip(entity.clip)}, {told} {teller.is_named(entity)}")
    return register


def same(teller: Teller, entity: Entity, hop: Hop, other: Mention) -> tuple[int, str]:
    """The same object in another clip: its register, and the words for that clip; adds the step."""
    teller.require_one_crossing(hop.other(entity.id))
    where, words = teller.place(entity.clip, anchor=False)
    register = teller.op({"op": "same", "of": other.register, **where}, entity.id)
    reappears(teller, hop.other(entity.id), entity)
    return register, words


def reappears(teller: Teller, known: Entity, found: Entity) -> None:
    """Adds the step from an object in one clip to the same object in another."""
    teller.line(
        f"{teller.name(known)} {teller.in_clip(known.clip)} {english.same_as(english.is_plural(known.category))} "
        f"{teller.name(found)} {teller.in_clip(found.clip)}"
    )


def _standing(teller: Teller, entity: Entity, hop: Hop, other: str, plural: bool) -> str:
    """An entity by its relation to another, whose words and number are given."""
    noun = teller.noun(entity)
    if hop.source.id == entity.id:
        return f"the {noun} {english.reduced(hop.predicate, teller.plural(entity))} {other}"
    return f"the {noun} that {other} {english.finite(hop.predicate, plural)}"


def _by_attribute(teller: Teller, entity: Entity, hop: Hop, scoped: bool) -> Mention:
    register, words = having(teller, entity, hop)
    text = f"the {english.with_attribute(teller.noun(entity), hop.type, hop.value)} {words if scoped else ''}"
    return Mention(text.strip(), register, teller.plural(entity))


def _by_motion(teller: Teller, entity: Entity, hop: Hop, scoped: bool) -> Mention:
    register, words = doing(teller, entity, hop)
    text = f"the {teller.noun(entity)} {english.acting(hop.deed, teller.plural(entity))} {words if scoped else ''}"
    return Mention(text.strip(), register, teller.plural(entity))


def _by_relation(teller: Teller, entity: Entity, hop: Hop, scoped: bool) -> Mention:
    other, trails = teller.mention(hop.other(entity.id), scoped=scoped), hop.source.id != entity.id
    if trails and (other.is_long or other.trails):
        raise Unclear("tangled")  # as in "the cup that the man that the dog is behind holds"
    register = related(teller, entity, hop, other)
    text = _standing(teller, entity, hop, other.text, other.plural)
    return Mention(text, register, teller.plural(entity), trails)


def _by_reference(teller: Teller, entity: Entity, hop: Hop, scoped: bool) -> Mention:
    assert scoped, "where two clips are spoken of, each is named"
    other = teller.mention(hop.other(entity.id))
    register, words = same(teller, entity, hop, other)
    plural = teller.plural(entity)
    text = f"the {teller.noun(entity)} {words} that {english.same_as(plural)} {other.text}"
    return Mention(text, register, plural)


_DESCRIBE: dict[EdgeKind, Callable[[Teller, Entity, Hop, bool], Mention]] = {
    "ATTRIBUTE": _by_attribute,
    "MOTION": _by_motion,
    "RELATION": _by_relation,
    "REFERENCE": _by_reference,
}
