"""From a sampled path to a question, its rationale, its answer and its program (STEP Sec. 3.2).

The first edge and the asked slot fix the question. Each expansion replaces a mention by a description through its edge
and adds one step to the rationale, in solving order: what is mentioned by name comes first, what is asked comes last.
"""

from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import cast

from model.rationale import english
from model.rationale.qra import TEMPORAL, Family, Qra, content_id
from model.rationale.scopes import Context, Unclear
from model.rationale.telling import ONE_TOPIC, Asked, Teller, doing, having, related, same
from model.rationale.timing import ASK
from model.rationale.walk import EdgeKind, Entity, Hop, Setting, Slot, Walk

_TWO_WAYS = ("same", "different")
_FAMILY: dict[EdgeKind, Family] = {
    "ATTRIBUTE": "attribute",
    "RELATION": "relation",
    "MOTION": "motion",
    "REFERENCE": "reference",
}
FAMILY_OF: dict[Slot, Family] = {
    "event": "event",
    **dict.fromkeys(("before", "after", "between", "first", "last"), "order"),
    **dict.fromkeys(("longer", "shorter", "acts_longer"), "duration"),
    **dict.fromkeys(("same_object", "other_object", "same_value", "other_value"), "sameness"),
    **dict.fromkeys(("first_clip", "last_clip", "most", "fewest", "longest", "shortest"), "superlative"),
}


@dataclass(frozen=True, slots=True)
class Draft:
    """A sample whose program has not been run yet.

    `describes` says which entity an operation's register stands for, where a narrower noun could help; `claim` asks
    whether some answer is the right one; `topic` is what the answer is one of, such as ("value", "color"), and `clip`
    where it is found.
    """

    qra: Qra
    describes: tuple[str, ...]
    claim: Callable[[str], str]
    topic: tuple[str, ...]
    clip: int
    rivals: tuple[str, ...] = ()  # the false answers, where there are no others
    nouns: frozenset[str] = frozenset()  # where not empty, the question says that the answer is one of these


def compose(
    walk: Walk,
    setting: Setting,
    *,
    context: Context = "ordinal",
    narrow: Set[str] = frozenset(),
    phrasing: int = 0,
    closed: bool = False,
) -> Draft:
    """The sample that a path tells; raises `Unclear` where it can't be told.

    `context` is how the first clip is named: by its number, its event or a time range (STEP Sec. 3.2, Temporal
    Contextualization). The entities in `narrow` are described with their category instead of the word "object". `phrasing`
    picks the words among those that say the same. A draft for a yes/no question (`closed`) may name what it compares.
    """
    if walk.stopped == "stuck":
        raise Unclear("stuck")
    teller = Teller(walk, setting, context, narrow, phrasing, closed=closed)
    asked = _ASK[walk.asked](teller, walk.hops[0])
    question, answer = teller.ask(asked.question), asked.answer
    if not answer:
        raise Unclear("no_answer")
    if not closed and any(_said(name, question) for name in (answer, *asked.rivals) if name not in _TWO_WAYS):
        raise Unclear("leaks_answer")
    if closed and not asked.rivals and _said(answer, question):
        raise Unclear("leaks_answer")
    return draft(teller, question, answer, lambda other: teller.ask(asked.claim(other)), asked.rivals)


def _said(answer: str, question: str) -> bool:
    return english.content_words(answer) <= frozenset(english.words(question))


def draft(
    teller: Teller, question: str, answer: str, claim: Callable[[str], str] = str, rivals: tuple[str, ...] = ()
) -> Draft:
    """The sample that a teller has told to its end."""
    walk, program = teller.walk, tuple(teller.ops)
    family = FAMILY_OF.get(walk.asked) or _FAMILY[cast(EdgeKind, walk.hops[0].kind)]
    in_time = family in TEMPORAL
    qra = Qra(
        id=content_id(walk.run_id, question, answer, program),
        video_id=teller.setting.video_id,
        run_id=walk.run_id,
        question=question,
        rationale=tuple(teller.lines),
        answer=answer,
        n_hops=len(walk.hops) - in_time,
        n_temporal=teller.searched + in_time,
        family=family,
        path=tuple(_edge(h) for h in walk.hops),
        program=program,
        keyframes=tuple(sorted({k for h in walk.hops for k in h.keyframes})),
        evidence=tuple(sorted({e for h in walk.hops for e in h.evidence})),
        clips=tuple(c.t_start for c in teller.setting.clips),
        template=teller.template or f"{walk.asked} 0",
    )
    topic = (walk.asked, walk.hops[0].type) if walk.asked == "value" else (ONE_TOPIC.get(walk.asked, walk.asked),)
    found = walk.hops[0].target if walk.asked == "there" else None
    return Draft(qra, tuple(teller.describes), claim, topic, (found or walk.hops[0].source).clip, rivals, teller.nouns)


def _edge(hop: Hop) -> dict[str, str]:
    told = {"kind": hop.kind, "from": hop.start, "to": hop.end, "predicate": hop.predicate}
    return {key: value for key, value in (told | {"type": hop.type, "value": hop.value}).items() if value}


def _which(teller: Teller, entity: Entity, hop: Hop) -> str:
    """The noun that is asked for."""
    teller.require_needed(entity, hop)
    teller.ask_for(entity)
    return teller.noun(entity)


def _ask_name(teller: Teller, entity: Entity, register: int, question: str, claim: Callable[[str, bool], str]) -> Asked:
    """Which object; `claim` asks whether it is the one of a noun phrase, which is plural or not."""
    teller.op({"op": "name", "of": register})

    def named(name: str) -> str:
        if teller.setting.clip(entity.clip).called(name) > 1:
            raise Unclear("ambiguous")
        return claim(english.the(name), english.is_plural(name))

    return Asked(question, entity.name, named)


def _ask_value(teller: Teller, hop: Hop) -> Asked:
    if any(h.kind == "REFERENCE" and h.expanded == hop.source.id for h in teller.walk.hops):
        raise Unclear("trivial")  # what an object is like seldom changes, so the other clip tells it as well
    owner = teller.mention(hop.source)
    teller.op({"op": "value", "of": owner.register, "type": hop.type})
    several = english.is_plural(hop.type)
    told = f"the {english.tidy(hop.type)} of {teller.name(hop.source)} {english.be(several)} {hop.value}"
    teller.line(f"{teller.in_clip(hop.source.clip)}, {told}")
    ways = english.ask_attribute(hop.type, owner.text, owner.plural)
    question = teller.say(*ways[: -1 if owner.is_long else None])
    subject = f"the {english.tidy(hop.type)} of {owner.text}"
    return Asked(
        question, hop.value, lambda value: english.whether(subject, several, f"is {value}", long=owner.is_long)
    )


def _ask_owner(teller: Teller, hop: Hop) -> Asked:
    noun = _which(teller, hop.source, hop)
    register, words = having(teller, hop.source, hop)
    be, type, value = english.be(teller.plural(hop.source)), english.tidy(hop.type), english.tidy(hop.value)
    if english.is_said_of_owner(type):
        question = f"which {noun} {be} {value} {words}"
    else:
        question = f"which {be} the {noun} whose {english.with_be(type)} {value} {words}"

    def claim(name: str, plural: bool) -> str:
        if english.is_said_of_owner(type):
            return f"{english.be(plural)} {name} {value} {words}".rstrip()
        return f"{english.be(english.is_plural(type))} the {type} of {name} {value} {words}".rstrip()

    return _ask_name(teller, hop.source, register, question, claim)


def _ask_subject(teller: Teller, hop: Hop) -> Asked:
    other = teller.mention(hop.other(hop.source.id))
    noun = _which(teller, hop.source, hop)
    register = related(teller, hop.source, hop, other)
    verb = english.finite(hop.predicate, teller.plural(hop.source))
    be = english.be(teller.plural(hop.source))
    question = teller.say(f"which {noun} {verb} {other.text}", f"which {be} the {noun} that {verb} {other.text}")
    return _ask_name(
        teller,
        hop.source,
        register,
        question,
        lambda name, plural: english.whether(name, plural, hop.predicate, other.text),
    )


def _ask_object(teller: Teller, hop: Hop) -> Asked:
    asked = hop.other(hop.source.id)
    subject = teller.mention(hop.source)
    noun = _which(teller, asked, hop)
    register = related(teller, asked, hop, subject)
    verb = english.finite(hop.predicate, subject.plural)
    be = english.be(teller.plural(asked))
    ways = (f"{subject.text} {verb} which {noun}", f"which {be} the {noun} that {subject.text} {verb}")
    question = teller.say(*ways[: 1 if subject.is_long or subject.trails else None])

    def claim(name: str, _: bool) -> str:
        return english.whether(subject.text, subject.plural, hop.predicate, name, long=subject.is_long)

    return _ask_name(teller, asked, register, question, claim)


def _ask_predicate(teller: Teller, hop: Hop) -> Asked:
    target = hop.other(hop.source.id)
    first, second = teller.mention(hop.source, scoped=teller.crossing), teller.mention(target)
    teller.op({"op": "predicate", "of": first.register, "to": second.register})
    told = english.finite(hop.predicate, english.is_plural(hop.source.category))
    told = f"{teller.in_clip(hop.source.clip)}, {teller.name(hop.source)} {told} {teller.name(target)}"
    teller.found("relation", hop.predicate, told)
    ways = (
        f"what is the relation of {first.text} to {second.text}",
        f"how {english.be(first.plural)} {first.text} related to {second.text}",
    )
    question = teller.say(*ways[: 1 if first.is_long else None])

    def claim(predicate: str) -> str:
        return english.whether(first.text, first.plural, predicate, second.text, long=first.is_long)

    return Asked(question, hop.predicate, claim)


def _ask_action(teller: Teller, hop: Hop) -> Asked:
    actor = teller.mention(hop.source)
    teller.op({"op": "action", "of": actor.register})
    plural = english.is_plural(hop.source.category)
    told = f"{teller.in_clip(hop.source.clip)}, {teller.name(hop.source)} {english.finite(hop.deed, plural)}"
    teller.found("action", hop.deed, told)
    doing = f"what {english.be(actor.plural)} {actor.text} doing"
    if english.form_of(hop.deed):  # a verb, and no "moving left"
        doing = f"what {'do' if actor.plural else 'does'} {actor.text} do"
    ways = (f"what is the action of {actor.text}", doing)
    question = teller.say(*ways[: 1 if actor.is_long else None])
    return Asked(question, hop.deed, lambda deed: english.whether(actor.text, actor.plural, deed, long=actor.is_long))


def _ask_actor(teller: Teller, hop: Hop) -> Asked:
    noun = _which(teller, hop.source, hop)
    register, words = doing(teller, hop.source, hop)
    verb = english.finite(hop.deed, teller.plural(hop.source))
    be = english.be(teller.plural(hop.source))
    question = teller.say(f"which {noun} {verb} {words}", f"which {be} the {noun} that {verb} {words}")
    return _ask_name(
        teller, hop.source, register, question, lambda name, plural: english.whether(name, plural, hop.deed, words)
    )


def _ask_target(teller: Teller, hop: Hop) -> Asked:
    actor = teller.mention(hop.source)
    teller.op({"op": "target", "of": actor.register, "predicate": hop.predicate})
    plural = english.is_plural(hop.source.category)
    told = f"{teller.name(hop.source)} {english.finite(hop.predicate, plural)} {english.the(hop.value)}"
    teller.line(f"{teller.in_clip(hop.source.clip)}, {told}")
    verb, be = english.finite(hop.predicate, actor.plural), f"{english.be(actor.plural)} "
    if actor.is_long or actor.trails:
        question = f"{actor.text} {verb} what"
    elif verb.startswith(be):
        question = f"what {be}{actor.text} {verb.removeprefix(be)}"
    else:
        question = f"what is it that {actor.text} {verb}"

    def claim(target: str) -> str:
        return english.whether(actor.text, actor.plural, hop.predicate, english.the(target), long=actor.is_long)

    return Asked(question, hop.value, claim)


def _ask_same(teller: Teller, hop: Hop, asked: Entity) -> Asked:
    known = teller.mention(hop.other(asked.id))
    noun = _which(teller, asked, hop)
    register, words = same(teller, asked, hop, known)
    teller.op({"op": "name", "of": register})
    identity = english.same_as(teller.plural(asked))
    question = teller.say(
        f"which {noun} {words} {identity} {known.text}", f"which is the {noun} {words} that {identity} {known.text}"
    )

    def claim(name: str) -> str:
        if teller.setting.clip(asked.clip).called(name) != 1:
            raise Unclear("ambiguous")
        found = f"{english.the(name)} {words}"
        return english.whether(known.text, known.plural, english.same_as(known.plural), found, long=known.is_long)

    return Asked(question, asked.name, claim)


def _ask_clip(teller: Teller, hop: Hop, asked: Entity) -> Asked:
    if len(teller.setting.clips) < 3:
        raise Unclear("trivial")
    known, teller.elsewhere = hop.other(asked.id), True
    mention = teller.mention(known)
    teller.require_one_crossing(known)
    teller.op({"op": "other_clip", "of": mention.register})
    plural = english.is_plural(known.category)
    teller.line(
        f"{teller.name(known)} {teller.in_clip(known.clip)} {english.be(plural)} also seen {teller.in_clip(asked.clip)} "
        "and in no other clip"
    )
    do, appear = ("do", "appear") if mention.plural else ("does", "appears")
    ways = (f"which other clip shows {mention.text}", f"in which other clip {do} {mention.text} appear")
    question = teller.say(*ways[: 1 if mention.is_long else None])

    def claim(clip: str) -> str:
        if mention.is_long:
            return f"is it true that {mention.text} also {appear} in the {clip}"
        return f"{do} {mention.text} also appear in the {clip}"

    return Asked(question, english.clip_name(asked.clip), claim)


_ASK: dict[Slot, Callable[[Teller, Hop], Asked]] = {
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
    **ASK,
}
