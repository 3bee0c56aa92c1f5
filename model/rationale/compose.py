"""From a sampled path to a question, its rationale, its answer and its program (STEP Sec. 3.2).

The first edge and the asked slot fix the question. Each expansion replaces a mention by a description through its edge
and adds one step to the rationale, in solving order: what is mentioned by name comes first, what is asked comes last.
"""

from collections.abc import Callable, Set
from dataclasses import dataclass

from model.rationale import english
from model.rationale.qra import Family, Qra, content_id
from model.rationale.telling import Context, Teller, Unclear, doing, having, reappears, related, same
from model.rationale.walk import EdgeKind, Entity, Hop, Setting, Slot, Walk

_LONG = 8  # words of a mention after which the verb should not be kept waiting
_FAMILY: dict[EdgeKind, Family] = {
    "ATTRIBUTE": "attribute",
    "RELATION": "relation",
    "MOTION": "motion",
    "REFERENCE": "reference",
}


@dataclass(frozen=True, slots=True)
class Draft:
    """A sample whose program has not been run yet; `describes` says which entity an operation's register stands for."""

    qra: Qra
    describes: tuple[str, ...]  # entity id for each operation that a narrower noun could help, else ""


def compose(walk: Walk, setting: Setting, *, context: Context = "ordinal", narrow: Set[str] = frozenset()) -> Draft:
    """The sample that a path tells; raises `Unclear` where it can't be told.

    `context` is how the first clip is named: by its number, its event or a time range (STEP Sec. 3.2, Temporal
    Contextualization). The entities in `narrow` are described with their category instead of the word "object".
    """
    if walk.stopped == "stuck":
        raise Unclear("stuck")
    teller = Teller(walk, setting, context, narrow)
    question, answer = _ASK[walk.asked](teller, walk.hops[0])
    question = english.sentence(f"{teller.front}, {question}" if teller.front else question, "?")
    if not answer:
        raise Unclear("no_answer")
    if english.content_words(answer) <= frozenset(english.words(question)):
        raise Unclear("leaks_answer")
    program = tuple(teller.ops)
    qra = Qra(
        id=content_id(walk.run_id, question, answer, program),
        video_id=setting.video_id,
        run_id=walk.run_id,
        question=question,
        rationale=tuple(teller.lines),
        answer=answer,
        n_hops=len(walk.hops),
        n_temporal=int(teller.searched),
        family=_FAMILY[walk.hops[0].kind],
        path=tuple(_edge(h) for h in walk.hops),
        program=program,
        keyframes=tuple(sorted({k for h in walk.hops for k in h.keyframes})),
        evidence=tuple(sorted({e for h in walk.hops for e in h.evidence})),
    )
    return Draft(qra, tuple(teller.describes))


def _edge(hop: Hop) -> dict[str, str]:
    told = {"kind": hop.kind, "from": hop.start, "to": hop.end, "predicate": hop.predicate}
    return {key: value for key, value in (told | {"type": hop.type, "value": hop.value}).items() if value}


def _which(teller: Teller, entity: Entity, hop: Hop) -> str:
    """The noun that is asked for."""
    teller.require_needed(entity, hop)
    return teller.noun(entity)


def _ask_name(teller: Teller, entity: Entity, register: int) -> str:
    teller.op({"op": "name", "of": register})
    return entity.name


def _ask_value(teller: Teller, hop: Hop) -> tuple[str, str]:
    if any(h.kind == "REFERENCE" and h.expanded == hop.source.id for h in teller.walk.hops):
        raise Unclear("trivial")  # what an object is like seldom changes, so the other clip tells it as well
    owner = teller.mention(hop.source)
    teller.op({"op": "value", "of": owner.register, "type": hop.type})
    told = f"the {english.tidy(hop.type)} of {teller.name(hop.source)} is {hop.value}"
    teller.line(f"{teller.in_clip(hop.source.clip)}, {told}")
    return english.ask_attribute(hop.type, owner.text, owner.plural), hop.value


def _ask_owner(teller: Teller, hop: Hop) -> tuple[str, str]:
    noun = _which(teller, hop.source, hop)
    register, words = having(teller, hop.source, hop)
    question = f"which {noun} {english.has_attribute(hop.type, hop.value, teller.plural(hop.source))} {words}"
    return question, _ask_name(teller, hop.source, register)


def _ask_subject(teller: Teller, hop: Hop) -> tuple[str, str]:
    other = teller.mention(hop.other(hop.source.id))
    noun = _which(teller, hop.source, hop)
    register = related(teller, hop.source, hop, other)
    question = f"which {noun} {english.finite(hop.predicate, teller.plural(hop.source))} {other.text}"
    return question, _ask_name(teller, hop.source, register)


def _ask_object(teller: Teller, hop: Hop) -> tuple[str, str]:
    asked = hop.other(hop.source.id)
    subject = teller.mention(hop.source)
    noun = _which(teller, asked, hop)
    register = related(teller, asked, hop, subject)
    question = f"{subject.text} {english.finite(hop.predicate, subject.plural)} which {noun}"
    return question, _ask_name(teller, asked, register)


def _ask_predicate(teller: Teller, hop: Hop) -> tuple[str, str]:
    target = hop.other(hop.source.id)
    first, second = teller.mention(hop.source, scoped=teller.crossing), teller.mention(target)
    teller.op({"op": "predicate", "of": first.register, "to": second.register})
    told = english.finite(hop.predicate, english.is_plural(hop.source.category))
    if hop.predicate not in told:
        told = f"has to {teller.name(target)} the relation {hop.predicate}"
    else:
        told = f"{told} {teller.name(target)}"
    teller.line(f"{teller.in_clip(hop.source.clip)}, {teller.name(hop.source)} {told}")
    return f"what is the relation of {first.text} to {second.text}", hop.predicate


def _ask_action(teller: Teller, hop: Hop) -> tuple[str, str]:
    actor = teller.mention(hop.source)
    teller.op({"op": "action", "of": actor.register})
    plural = english.is_plural(hop.source.category)
    teller.line(f"{teller.in_clip(hop.source.clip)}, {teller.name(hop.source)} {english.finite(hop.deed, plural)}")
    if len(actor.text.split()) > _LONG:
        return f"what is the action of {actor.text}", hop.deed
    return f"what {english.be(actor.plural)} {actor.text} doing", hop.deed


def _ask_actor(teller: Teller, hop: Hop) -> tuple[str, str]:
    noun = _which(teller, hop.source, hop)
    register, words = doing(teller, hop.source, hop)
    question = f"which {noun} {english.finite(hop.deed, teller.plural(hop.source))} {words}"
    return question, _ask_name(teller, hop.source, register)


def _ask_target(teller: Teller, hop: Hop) -> tuple[str, str]:
    actor = teller.mention(hop.source)
    teller.op({"op": "target", "of": actor.register, "predicate": hop.predicate})
    plural = english.is_plural(hop.source.category)
    told = f"{teller.name(hop.source)} {english.finite(hop.predicate, plural)} {english.the(hop.value)}"
    teller.line(f"{teller.in_clip(hop.source.clip)}, {told}")
    through = english.reduced(hop.predicate)
    if through.startswith("that "):
        return f"what is it that {actor.text} {through.removeprefix('that ')}", hop.value
    return f"what {english.be(actor.plural)} {actor.text} {through}", hop.value


def _ask_same(teller: Teller, hop: Hop, asked: Entity) -> tuple[str, str]:
    known = teller.mention(hop.other(asked.id))
    noun = _which(teller, asked, hop)
    register, words = same(teller, asked, hop, known)
    question = f"which {noun} {words} {english.same_as(teller.plural(asked))} {known.text}"
    return question, _ask_name(teller, asked, register)


def _ask_clip(teller: Teller, hop: Hop, asked: Entity) -> tuple[str, str]:
    if len(teller.setting.clips) < 3:
        raise Unclear("trivial")
    known = hop.other(asked.id)
    mention = teller.mention(known)
    teller.require_one_crossing(known)
    teller.op({"op": "other_clip", "of": mention.register})
    reappears(teller, known, asked)
    return f"which other clip shows {mention.text}", english.clip_name(asked.clip)


_ASK: dict[Slot, Callable[[Teller, Hop], tuple[str, str]]] = {
    "value": _ask_value,
    "owner": _ask_owner,
    "subject": _ask_subject,
    "object": _ask_object,
    "predicate": _ask_predicate,
    "action": _ask_action,
    "actor": _ask_actor,
    "target": _ask_target,
    "here": lambda teller, hop: _ask_same(teller, hop, hop.source),
    "there": lambda teller, hop: _ask_same(teller, hop, hop.other(hop.source.id)),
    "here_clip": lambda teller, hop: _ask_clip(teller, hop, hop.source),
    "there_clip": lambda teller, hop: _ask_clip(teller, hop, hop.other(hop.source.id)),
}
