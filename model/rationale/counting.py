"""Questions for a number: how many objects stand so, are so or do so (beyond STEP Sec. 3.2).

The last step of the rationale names what was counted, which is known only after the program has run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from model.rationale import english
from model.rationale.compose import draft
from model.rationale.program import Op, Program
from model.rationale.qra import Qra
from model.rationale.scopes import Context, Unclear
from model.rationale.telling import Teller
from model.rationale.walk import Hop, Setting, Slot, Walk


@dataclass(frozen=True, slots=True)
class _Set:
    """What is counted: its operation, the question, and how a step speaks of one and of several."""

    op: Op
    question: str
    one: str
    several: str


@dataclass(frozen=True, slots=True)
class Tally:
    """A question for a number whose program has not been run yet."""

    teller: Teller
    found: _Set
    clip: int

    @property
    def program(self) -> Program:
        return tuple(self.teller.ops)


def tally(
    walk: Walk,
    setting: Setting,
    *,
    context: Context = "ordinal",
    narrow: frozenset[str] = frozenset(),
    phrasing: int = 0,
) -> Tally:
    """The question how many there are of what a path asks for; raises `Unclear` where that can't be asked."""
    if walk.stopped == "stuck":
        raise Unclear("stuck")
    if walk.asked not in _SETS:
        raise Unclear("unasked")
    teller = Teller(walk, setting, context, narrow, phrasing)
    hop = walk.hops[0]
    found = _SETS[walk.asked](teller, hop)
    counted = teller.op({**found.op, "category": "", "all": 1})
    teller.op({"op": "count", "of": counted})
    return Tally(teller, found, hop.source.clip)


def counted(asked: Tally, number: str, listed: Sequence[str]) -> Qra:
    """The sample, once it is known which objects were found, by their local ids."""
    names = dict(asked.teller.setting.clip(asked.clip).members)
    found = sorted(english.the(names[id]) for id in listed if id in names)
    if not found or len(found) != int(number):
        raise Unclear("no_answer")
    if any(english.is_plural(name) for name in found):  # "hikers" may be any number of them
        raise Unclear("ambiguous")
    told = asked.found.several if len(found) > 1 else asked.found.one
    asked.teller.line(f"{asked.teller.in_clip(asked.clip)}, {told} {_listed(found)}, which makes {number}")
    return replace(draft(asked.teller, asked.teller.ask(asked.found.question), number).qra, form="count")


def _listed(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"is {names[0]}"
    return f"are {', '.join(names[:-1])} and {names[-1]}"


def _how_many(teller: Teller, told: str, clause: str = "") -> str:
    """The question for what a verb phrase tells, or a clause where there is none."""
    if clause:
        return teller.say(f"how many objects are there {clause}", f"what is the number of objects {clause}")
    return teller.say(f"how many objects {told}", f"what is the number of objects that {told}")


def _owners(teller: Teller, hop: Hop) -> _Set:
    clip, words = teller.scope(hop.source.clip)
    type, value = english.tidy(hop.type), english.tidy(hop.value)
    clause = "" if english.is_said_of_owner(type) else f"whose {english.with_be(type)} {value} {words}".rstrip()
    question = _how_many(teller, f"are {value} {words}".rstrip(), clause)
    op: Op = {"op": "having", "clip": clip, "type": english.type_said(hop.type), "value": hop.value}
    one = f"the only {english.with_attribute('object', hop.type, hop.value)}"
    return _Set(op, question, one, f"the {english.with_attribute('objects', hop.type, hop.value)}")


def _actors(teller: Teller, hop: Hop) -> _Set:
    clip, words = teller.scope(hop.source.clip)
    if teller.event_tells(hop.deed):
        raise Unclear("trivial")
    question = _how_many(teller, f"{english.finite(hop.deed, plural=True)} {words}".rstrip())
    op: Op = {"op": "doing", "clip": clip, "predicate": hop.predicate, "target": hop.value}
    one, several = (english.acting(hop.deed, plural) for plural in (False, True))
    return _Set(op, question, f"the only object {one}", f"the objects {several}")


def _subjects(teller: Teller, hop: Hop) -> _Set:
    other = hop.other(hop.source.id)
    mention = teller.mention(other)
    question = _how_many(teller, f"{english.finite(hop.predicate, plural=True)} {mention.text}")
    op: Op = {"op": "related", "of": mention.register, "side": "subject", "predicate": hop.predicate}
    one, several = (f"{english.reduced(hop.predicate, plural)} {teller.name(other)}" for plural in (False, True))
    return _Set(op, question, f"the only object {one}", f"the objects {several}")


def _objects(teller: Teller, hop: Hop) -> _Set:
    mention = teller.mention(hop.source)
    question = f"{mention.text} {english.finite(hop.predicate, mention.plural)} how many objects"
    op: Op = {"op": "related", "of": mention.register, "side": "object", "predicate": hop.predicate}
    told = f"that {teller.name(hop.source)} {english.finite(hop.predicate, english.is_plural(hop.source.category))}"
    return _Set(op, question, f"the only object {told}", f"the objects {told}")


_SETS: dict[Slot, Callable[[Teller, Hop], _Set]] = {
    "owner": _owners,
    "actor": _actors,
    "subject": _subjects,
    "object": _objects,
}
