"""Questions about what time makes of a path: events, order, duration, identity over clips, extremes (STEP Sec. 3.2).

The clips of the objects that such a question compares are not named in it: to find them is a part of the answer.
"""

from collections.abc import Callable
from typing import cast
from zlib import crc32

from model.rationale import english
from model.rationale.alike import excludes
from model.rationale.scopes import Extreme, Unclear, extreme
from model.rationale.telling import Asked, Mention, Teller, reappears
from model.rationale.walk import Entity, Hop, Slot

_SIDES: dict[Slot, int] = {"event": 0, "before": -1, "after": 1}
_BESIDE = {-1: "before", 1: "after"}
_SOONER: dict[Slot, str] = {"first": "before", "last": "after"}


def _clip_of(teller: Teller, entity: Entity) -> tuple[int, str]:
    """The one clip that shows an entity of the path: its register, and the words for it."""
    through = next((h for h in teller.walk.hops if h.expanded == entity.id and h.kind == "REFERENCE"), None)
    if through is None:
        mention = teller.mention(entity)
        return teller.op({"op": "clip_of", "of": mention.register}), f"the clip that shows {mention.text}"
    if len(teller.setting.clips) < 3:
        raise Unclear("trivial")
    known, teller.elsewhere = through.other(entity.id), True
    mention = teller.mention(known)
    reappears(teller, known, entity)
    return teller.op({"op": "clip_other", "of": mention.register}), f"the other clip that shows {mention.text}"


def _is_shown(teller: Teller, entity: Entity) -> str:
    verb = english.be(english.is_plural(entity.category))
    return f"{teller.name(entity)} {verb} seen in the {english.clip_name(entity.clip)}"


def _require_videos(teller: Teller) -> None:
    if len(teller.setting.clips) == 1:
        raise Unclear("trivial")


def _told_event(teller: Teller, clip: int) -> str:
    event = teller.setting.event(clip)
    if not event:
        raise Unclear("no_answer")
    return event


def _require_secret(teller: Teller, event: str) -> None:
    """Words by which the question finds the clip must not be those of the event that is asked for."""
    said = english.content_words(event)
    for op in teller.ops:
        told = op.get("name") if op["op"] == "named" else op.get("predicate") if op["op"] == "doing" else None
        if told and english.content_words(str(told)) <= said:
            raise Unclear("leaks_answer")


def _ask_event(teller: Teller, hop: Hop) -> Asked:
    _require_videos(teller)
    shown, side = hop.source, _SIDES[teller.walk.asked]
    teller.unsaid = frozenset((shown.clip,))
    event = _told_event(teller, shown.clip + side)
    register, clip = _clip_of(teller, shown)
    if side:
        register = teller.op({"op": "clip_beside", "of": register, "by": side})
    teller.op({"op": "event", "of": register})
    found = f"{_is_shown(teller, shown)}, where the event is {english.quoted(event)}"
    where = f"in {clip}"
    question = teller.say(f"what happens in {clip}", f"what takes place in {clip}", f"what is the event in {clip}")
    if side:
        where = f"right {_BESIDE[side]} {clip}"
        found = (
            f"{_is_shown(teller, shown)}, and the event right {_BESIDE[side]} that, in the "
            f"{english.clip_name(shown.clip + side)}, is {english.quoted(event)}"
        )
        question = teller.say(f"what happens {where}", f"which event comes {where}", f"what takes place {where}")
    else:
        _require_secret(teller, event)
    teller.line(found)
    return Asked(question, event, lambda other: f"does the event {english.quoted(other)} take place {where}")


def _ask_between(teller: Teller, hop: Hop) -> Asked:
    one, two = hop.source, hop.other(hop.source.id)
    teller.unsaid = frozenset((one.clip, two.clip))
    middle = (one.clip + two.clip) // 2
    event = _told_event(teller, middle)
    (first, one_clip), (second, two_clip) = _clip_of(teller, one), _clip_of(teller, two)
    between = teller.op({"op": "clip_between", "of": first, "to": second})
    teller.op({"op": "event", "of": between})
    teller.line(
        f"{_is_shown(teller, one)} and {_is_shown(teller, two)}; between them, in the {english.clip_name(middle)}, the event "
        f"is {english.quoted(event)}"
    )
    where = f"between {one_clip} and {two_clip}"
    question = teller.say(f"what happens {where}", f"which event comes {where}", f"what takes place {where}")
    return Asked(question, event, lambda other: f"does the event {english.quoted(other)} take place {where}")


def _in_some_order(teller: Teller, hop: Hop) -> tuple[Entity, Entity]:
    """The two entities, swapped or not, so that the place in the question tells nothing."""
    one, two = hop.source, hop.other(hop.source.id)
    told = f"{teller.setting.run_id} {one.id} {two.id} {len(teller.walk.hops)} {teller.phrasing}"
    return (two, one) if crc32(told.encode()) % 2 else (one, two)


def _compared(teller: Teller, hop: Hop) -> tuple[tuple[Entity, Mention], tuple[Entity, Mention]]:
    """Both entities of a pair, as the question mentions them; their names must tell them apart."""
    _require_videos(teller)
    one, two = _in_some_order(teller, hop)
    if one.name == two.name:
        raise Unclear("ambiguous")
    teller.unsaid = frozenset((one.clip, two.clip))
    return (one, teller.mention(one)), (two, teller.mention(two))


def _ask_sooner(teller: Teller, hop: Hop) -> Asked:
    (one, here), (two, there) = _compared(teller, hop)
    teller.ask_for(one, two)
    end = teller.walk.asked
    wanted, other = sorted((one, two), key=lambda e: e.clip, reverse=end == "last")
    teller.op({"op": "sooner", "of": here.register, "to": there.register, "end": end})
    seen = f"{teller.name(wanted)} {english.be(english.is_plural(wanted.category))} seen {end}"
    teller.line(f"{_is_shown(teller, wanted)}, but {_is_shown(teller, other)}, so {seen}")
    both = f"{here.text} or {there.text}"
    question = teller.say(
        f"which is seen {end}, {both}", f"which of the two is seen {end}, {both}", f"what is seen {end}, {both}"
    )

    def claim(name: str) -> str:
        mine, yours = (here, there) if name == one.name else (there, here)
        return english.whether(mine.text, mine.plural, f"is seen {_SOONER[end]}", yours.text, long=mine.is_long)

    return Asked(question, wanted.name, claim, (other.name,))


def _ask_acts_longer(teller: Teller, hop: Hop) -> Asked:
    (one, here), (two, there) = _compared(teller, hop)
    teller.ask_for(one, two)
    teller.op({"op": "acts_longer", "of": here.register, "to": there.register})
    seconds = {hop.source.id: float(hop.value), hop.other(hop.source.id).id: float(hop.other_value)}
    wanted, other = sorted((one, two), key=lambda e: seconds[e.id], reverse=True)
    teller.line(
        f"the action of {teller.name(one)} {teller.in_clip(one.clip)} takes {english.seconds(seconds[one.id])} and that of "
        f"{teller.name(two)} {teller.in_clip(two.clip)} takes {english.seconds(seconds[two.id])}, so that of "
        f"{teller.name(wanted)} lasts longer"
    )
    both = f"that of {here.text} or that of {there.text}"
    question = teller.say(f"whose action lasts longer, {both}", f"which action takes more time, {both}")

    def claim(name: str) -> str:
        mine, yours = (here, there) if name == one.name else (there, here)
        return f"does the action of {mine.text} last longer than that of {yours.text}"

    return Asked(question, wanted.name, claim, (other.name,))


def _ask_longer(teller: Teller, hop: Hop) -> Asked:
    _require_videos(teller)
    one, two = _in_some_order(teller, hop)
    teller.unsaid = frozenset((one.clip, two.clip))
    (first, here), (second, there) = _clip_of(teller, one), _clip_of(teller, two)
    end, word = ("most", "longer") if teller.walk.asked == "longer" else ("least", "shorter")
    teller.op({"op": "clip_longer", "of": first, "to": second, "end": end})
    seconds = {e.clip: teller.setting.clip(e.clip).seconds for e in (one, two)}
    wanted, other = sorted((one, two), key=lambda e: seconds[e.clip], reverse=end == "most")
    teller.line(
        f"{_is_shown(teller, one)}, which lasts {english.seconds(seconds[one.clip])}, and {_is_shown(teller, two)}, which "
        f"lasts {english.seconds(seconds[two.clip])}, so the {word} one is the {english.clip_name(wanted.clip)}"
    )
    question = teller.say(
        f"which clip is {word}, {here} or {there}", f"which of these clips is {word}, {here} or {there}"
    )

    def claim(name: str) -> str:
        mine, yours = (here, there) if name == english.clip_name(one.clip) else (there, here)
        return f"is {mine} {word} than {yours}"

    return Asked(question, english.clip_name(wanted.clip), claim, (english.clip_name(other.clip),))


def _set_apart(one: Mention, two: Mention, verb: str, asked: str) -> str:
    """What is asked of two things; long ones follow it, so that it need not wait for them."""
    both = f"{one.text} and {two.text}"
    return f"{verb} these {asked}: {both}" if one.is_long or two.is_long else f"{verb} {both} {asked}"


def _ask_same_object(teller: Teller, hop: Hop) -> Asked:
    one, two = _in_some_order(teller, hop)
    same = teller.walk.asked == "same_object"
    here, there = teller.mention(one), teller.mention(two)
    expanded = {h.expanded for h in teller.walk.hops}
    if one.name != two.name and not {one.id, two.id} & expanded:
        raise Unclear("trivial")  # two names tell already that these are two
    teller.op({"op": "same_object", "of": here.register, "to": there.register})
    answer = "same" if same else "different"
    first, second = (f"{teller.name(e)} {teller.in_clip(e.clip)}" for e in (one, two))
    plural = english.is_plural(one.category)
    teller.line(
        f"{first} {english.same_as(plural)} {second}" if same else f"{first} and {second} are different objects"
    )
    both = f"{here.text} and {there.text}"
    question = teller.say(
        _set_apart(here, there, "are", "the same object or different objects"),
        _set_apart(here, there, "are", "one and the same or different"),
    )

    def claim(said: str) -> str:
        if said == "different":
            return english.whether(both, True, "are different objects", long=here.is_long and there.is_long)
        return english.whether(here.text, here.plural, english.same_as(here.plural), there.text, long=here.is_long)

    return Asked(question, answer, claim, ("different" if same else "same",))


def _ask_same_value(teller: Teller, hop: Hop) -> Asked:
    one, two = _in_some_order(teller, hop)
    values = {hop.source.id: hop.value, hop.other(hop.source.id).id: hop.other_value}
    type = english.tidy(hop.type)
    here, there = teller.mention(one), teller.mention(two)
    expanded = {h.expanded for h in teller.walk.hops}
    if all(
        e.id not in expanded and english.content_words(values[e.id]) <= english.content_words(e.name)
        for e in (one, two)
    ):
        raise Unclear("trivial")
    teller.op({"op": "same_value", "of": here.register, "to": there.register, "type": hop.type})
    same = hop.value == hop.other_value
    if not same and not excludes(hop.value, hop.other_value):
        raise Unclear("ambiguous")
    answer = "same" if same else "different"
    types, be = english.plural(type), english.be(english.is_plural(type))
    rest = f"so the {english.with_be(types)} {'the same' if same else 'different'}"
    teller.line(
        f"the {type} of {teller.name(one)} {teller.in_clip(one.clip)} {be} {values[one.id]} and that of {teller.name(two)} "
        f"{teller.in_clip(two.clip)} {be} {values[two.id]}, {rest}"
    )
    both = f"{here.text} and {there.text}"
    ways = (
        _set_apart(here, there, "do", f"have the same {type} or different {types}"),
        f"{be} the {type} of {here.text} the same as that of {there.text} or different",
    )
    question = teller.say(*ways[: 1 if here.is_long or there.is_long else None])

    def claim(said: str) -> str:
        have = f"have {'the same ' + type if said == 'same' else 'different ' + types}"
        return f"is it true that {both} {have}" if here.is_long and there.is_long else f"do {both} {have}"

    return Asked(question, answer, claim, ("different" if same else "same",))


def _ask_end(teller: Teller, hop: Hop) -> Asked:
    """In which clip an object is seen first or last; that it is another one than the clip in which it is mentioned."""
    if len(teller.setting.clips) < 3:
        raise Unclear("trivial")
    first = teller.walk.asked == "first_clip"
    teller.elsewhere = True
    known, found = (hop.other(hop.source.id), hop.source) if first else (hop.source, hop.other(hop.source.id))
    mention = teller.mention(known)
    teller.require_one_crossing(known)
    end, superlative = ("first", "earliest") if first else ("last", "latest")
    teller.op({"op": "seen_clip", "of": mention.register, "end": end})
    teller.line(
        f"{teller.name(known)} {teller.in_clip(known.clip)} {english.be(english.is_plural(known.category))} seen "
        f"for the {end} time {teller.in_clip(found.clip)}"
    )
    question = teller.say(
        f"which is the {superlative} clip that shows {mention.text}",
        f"which clip is the {superlative} to show {mention.text}",
    )
    name = english.clip_name(found.clip)
    return Asked(question, name, lambda clip: f"is the {clip} the {superlative} one that shows {mention.text}")


def _ask_extreme(teller: Teller, hop: Hop) -> Asked:
    slot = cast(Extreme, teller.walk.asked)
    clip = hop.source.clip
    register, words = extreme(teller, clip, slot)
    teller.op({"op": "clip_told", "of": register})
    facts = teller.setting.clip(clip)
    told = f"it lasts {english.seconds(facts.seconds)}"
    if slot in ("most", "fewest"):
        told = f"it shows {english.number_of(len(facts.names), 'object')}"
    teller.line(f"the {english.clip_name(clip)} is the one that {words}: {told}")
    question = teller.say(f"which clip {words}", f"which of the clips {words}")
    return Asked(question, english.clip_name(clip), lambda other: f"is it the {other} that {words}")


ASK: dict[Slot, Callable[[Teller, Hop], Asked]] = {
    "event": _ask_event,
    "before": _ask_event,
    "after": _ask_event,
    "between": _ask_between,
    "first": _ask_sooner,
    "last": _ask_sooner,
    "longer": _ask_longer,
    "shorter": _ask_longer,
    "acts_longer": _ask_acts_longer,
    "same_object": _ask_same_object,
    "other_object": _ask_same_object,
    "same_value": _ask_same_value,
    "other_value": _ask_same_value,
    "first_clip": _ask_end,
    "last_clip": _ask_end,
    "most": _ask_extreme,
    "fewest": _ask_extreme,
    "longest": _ask_extreme,
    "shortest": _ask_extreme,
}
