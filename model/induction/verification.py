"""The dual verification (STEP Sec. 3.1): a parsed fact stays only if its narrative and the pixels both support it.

Support by text is certain where the narrative holds all the fact's content words; else the model is asked. Support by
sight is a yes/no question and its negated twin: a model that says yes to everything says yes to both. Where the backend
scores the choices, the margin between the twins decides, which takes the model's bias for one of the words out.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from model import prompts
from model.induction.parsing import Parsed
from model.induction.rejects import Reading, Rejects
from model.rationale.english import be, finite, is_plural
from model.replies import read_yes_no
from model.stsg import Attribute, Keyframe, ObjectNode, Relation
from model.video_llm import Reply, Request, VideoLLM

YES_NO = ("Yes", "No")
_Found = TypeVar("_Found", ObjectNode, Relation)
_EMPTY_WORDS = frozenset(["a", "an", "the", "is", "are", "there", "of", "to", "and", "it", "in"])


@dataclass(frozen=True, slots=True)
class Fact:
    """A statement about a keyframe, its negated twin, and the narrative that should support it, or support `written`."""

    keyframe: Keyframe
    statement: str
    twin: str
    narrative: str
    written: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What both checks said; `confidence` is the probability that sight gives the fact, 1.0 where unscored."""

    holds: bool
    confidence: float
    evidence: tuple[str, ...]


def verify_clip(parsed: Sequence[Parsed], llm: VideoLLM) -> tuple[list[Parsed], Rejects]:
    """The frame graphs without the objects, attributes and relations that do not stand up."""
    reading = Reading()
    kept = _verified_objects(parsed, llm, reading)
    return _verified_properties(kept, llm, reading), reading.rejects


def _verified_objects(parsed: Sequence[Parsed], llm: VideoLLM, reading: Reading) -> list[Parsed]:
    facts = [_existence(p, o) for p in parsed for o in p.graph.objects]
    verdicts = iter(_verdicts(facts, llm, reading))
    kept = []
    for p in parsed:
        objects = _standing(p.graph.objects, verdicts)
        ids = {o.id for o in objects}
        relations = tuple(r for r in p.graph.relations if {r.subject, r.object} <= ids)
        kept.append(replace(p, graph=replace(p.graph, objects=objects, relations=relations)))
    return kept


def _verified_properties(parsed: Sequence[Parsed], llm: VideoLLM, reading: Reading) -> list[Parsed]:
    facts: list[Fact] = []
    for p in parsed:
        facts += [_attribution(p, o, a) for o in p.graph.objects for a in o.attributes]
        facts += [_relating(p, r) for r in p.graph.relations]
    verdicts = iter(_verdicts(facts, llm, reading))
    kept = []
    for p in parsed:
        objects = []
        for o in p.graph.objects:
            checked = [(a, next(verdicts)) for a in o.attributes]
            held = tuple(replace(a, evidence=a.evidence + v.evidence) for a, v in checked if v.holds)
            objects.append(replace(o, attributes=held))
        relations = _standing(p.graph.relations, verdicts)
        kept.append(replace(p, graph=replace(p.graph, objects=tuple(objects), relations=relations)))
    return kept


def _standing(facts: Sequence[_Found], verdicts: Iterator[Verdict]) -> tuple[_Found, ...]:
    """The facts that hold, each with the next of the verdicts."""
    checked = zip(facts, verdicts, strict=False)
    return tuple(
        replace(fact, confidence=verdict.confidence, evidence=fact.evidence + verdict.evidence)
        for fact, verdict in checked
        if verdict.holds
    )


def _existence(parsed: Parsed, o: ObjectNode) -> Fact:
    """The narrative speaks of the category; what tells instances apart was asked for later, and only sight can check it."""
    twin = f"there {be(is_plural(o.name))} no {o.name}"
    return Fact(parsed.keyframe, _there_is(o.name), twin, parsed.scene, _there_is(o.category))


def _attribution(parsed: Parsed, o: ObjectNode, a: Attribute) -> Fact:
    said = f"the {a.type} of the {o.name} is"
    narrative = f"{o.name}: {a.type}. {parsed.attributes.get(o.id, '')}"
    statement = f"{said} {a.value}"
    return Fact(parsed.keyframe, statement, f"{said} not {a.value}", narrative, statement)


def _relating(parsed: Parsed, r: Relation) -> Fact:
    subject, object = parsed.graph.object(r.subject).name, parsed.graph.object(r.object).name
    narrative = f"{subject}: {parsed.relations.get(r.subject, '')}"
    many = is_plural(subject)
    said = f"{finite(r.predicate, many)} the {object}"
    statement, after = f"the {subject} {said}", said.removeprefix(f"{be(many)} ")
    twin = f"it is not true that {statement}" if after == said else f"the {subject} {be(many)} not {after}"
    return Fact(parsed.keyframe, statement, twin, narrative, statement)


def _there_is(name: str) -> str:
    if is_plural(name):
        return f"there are {name}"
    return f"there is {'an' if name[:1] in 'aeiou' else 'a'} {name}"


def _verdicts(facts: Sequence[Fact], llm: VideoLLM, reading: Reading) -> list[Verdict]:
    supported = _text_support(facts, llm, reading)
    asked = [fact for fact, (holds, _) in zip(facts, supported, strict=True) if holds]
    requests = [_sight(llm, f.keyframe, text) for f in asked for text in (f.statement, f.twin)]
    replies = llm.answer(requests)
    sights = iter(_sight_verdict(requests[i : i + 2], replies[i : i + 2], reading) for i in range(0, len(requests), 2))
    verdicts = []
    for holds, evidence in supported:
        seen = next(sights) if holds else Verdict(holds=False, confidence=0.0, evidence=())
        verdicts.append(replace(seen, evidence=evidence + seen.evidence))
    return verdicts


def _sight(llm: VideoLLM, keyframe: Keyframe, statement: str) -> Request:
    return prompts.ask(
        llm.prompt_set,
        "verification_2_visual",
        frames=[keyframe],
        choices=YES_NO,
        max_new_tokens=8,
        statement=statement,
    )


def _text_support(facts: Sequence[Fact], llm: VideoLLM, reading: Reading) -> list[tuple[bool, tuple[str, ...]]]:
    """Whether each fact's narrative entails it, with the exchange that says so where the model was asked."""
    open_facts = [i for i, f in enumerate(facts) if not content_words(f.written) <= content_words(f.narrative)]
    requests = [
        prompts.ask(
            llm.prompt_set,
            "verification_1_text",
            choices=YES_NO,
            max_new_tokens=8,
            narrative=facts[i].narrative,
            fact=facts[i].written,
        )
        for i in open_facts
    ]
    support: list[tuple[bool, tuple[str, ...]]] = [(True, ())] * len(facts)
    for i, request, reply in zip(open_facts, requests, llm.answer(requests), strict=True):
        said = reading.one(request, reply, read_yes_no)
        if said is False:
            reading.refuse(request.step, "not_in_narrative", reply, facts[i].written)
        support[i] = (bool(said), _evidence(reply))
    return support


def content_words(text: str) -> frozenset[str]:
    """The words of a text that say something."""
    return frozenset(re.findall(r"[\w'-]+", text.lower())) - _EMPTY_WORDS


def _sight_verdict(requests: Sequence[Request], replies: Sequence[Reply], reading: Reading) -> Verdict:
    request, reply, twin = requests[0], replies[0], replies[1]
    evidence = _evidence(reply) + _evidence(twin)
    if len(reply.scores) == 2 and len(twin.scores) == 2:
        margin = (reply.scores[0] - reply.scores[1]) - (twin.scores[0] - twin.scores[1])
        holds, confidence = margin > 0, probability(margin / 2)
    else:
        said, denied = reading.one(request, reply, read_yes_no), reading.one(requests[1], twin, read_yes_no)
        holds, confidence = said is True and denied is False, 1.0
        if said is None or denied is None:  # counted already, as what can't be read
            return Verdict(holds=False, confidence=1.0, evidence=evidence)
    if not holds:
        reading.refuse(request.step, "not_seen", reply, request.values["statement"])
    return Verdict(holds, round(confidence, 4), evidence)


def probability(margin: float) -> float:
    """The logistic function, safe at both ends."""
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, margin))))


def is_yes(request: Request, reply: Reply, reading: Reading) -> float:
    """The probability that a yes/no reply means yes; 0 where it can't be read."""
    if len(reply.scores) == 2:
        return probability(reply.scores[0] - reply.scores[1])
    return float(bool(reading.one(request, reply, read_yes_no)))


def _evidence(reply: Reply) -> tuple[str, ...]:
    return (reply.exchange,) if reply.exchange else ()
