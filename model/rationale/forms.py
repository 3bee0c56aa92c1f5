"""Closed forms of a question whose open form has one answer: yes/no and choice (beyond STEP Sec. 3.2).

What makes a closed question worth training on is its false answers. They come from the same situation, from what is
frequent, or by chance; and over a data set each value is right as often as blind guessing would have it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from random import Random

from model.rationale import english
from model.rationale.alike import excludes
from model.rationale.compose import Draft
from model.rationale.program import Op
from model.rationale.qra import Qra, content_id
from model.rationale.scopes import Unclear
from model.rationale.walk import Setting

Topic = tuple[str, ...]
Pool = Mapping[Topic, Mapping[str, int]]  # how often each answer occurs, by what it is one of

_FREQUENT = 6
_BY_CHANCE = 3
_NAMES: Topic = ("name",)
_EVENTS: Topic = ("event",)
_THINGS: tuple[Topic, ...] = (_NAMES, ("clip",), ("target",))  # whose words take an article
_VERBAL: tuple[Topic, ...] = (("predicate",), ("action",))
_CLIPS = (
    "here_clip",
    "there_clip",
    "first_clip",
    "last_clip",
    "most",
    "fewest",
    "longest",
    "shortest",
    "longer",
    "shorter",
)
_SHARED: dict[str, Topic] = {
    "value": ("value",),
    "predicate": ("predicate",),
    "action": ("action",),
    "target": ("target",),
}


def pool_of(topic: Topic) -> Topic:
    """Where the answers of a topic are found: most slots ask for the name of an object."""
    if topic[0] in _CLIPS:
        return ("clip",)
    if topic[0] in ("event", "before", "after", "between"):
        return _EVENTS
    return topic if topic[0] in _SHARED else _NAMES


@dataclass(slots=True)
class Chooser:
    """Picks false answers; what it picked before decides what it picks next, so the same order gives the same picks."""

    rng: Random
    _local: Mapping[str, Pool] = field(default_factory=dict)  # by run
    _everywhere: dict[Topic, Counter[str]] = field(default_factory=dict)
    _claims: Counter[tuple[Topic, str]] = field(
        default_factory=Counter
    )  # times true less times false; "" is all of a topic
    _luck: dict[tuple[Topic, str], Fraction] = field(default_factory=dict)  # times right less what guessing expects

    def know(self, pools: Mapping[str, Pool]) -> None:
        """Take the answers that some runs' graphs hold for what there is."""
        self._local, self._everywhere = pools, {}
        for pool in pools.values():
            for topic, counted in pool.items():
                self._everywhere.setdefault(topic, Counter()).update(counted)

    def claim(self, draft: Draft, setting: Setting) -> tuple[str, bool]:
        """An answer to be confirmed or denied, and whether it is the right one."""
        false = list(draft.rivals) or self._false_answers(draft, setting)
        if not false:
            raise Unclear("no_distractor")
        topic, answer = draft.topic, draft.qra.answer
        denied = max(false, key=lambda value: self._claims[topic, value])
        surplus = self._claims[topic, ""]
        holds, denies = -self._claims[topic, answer] - surplus, self._claims[topic, denied] + surplus
        true = holds > denies or (holds == denies and self.rng.random() < 0.5)
        value = answer if true else denied
        for claimed in (value, ""):
            self._claims[topic, claimed] += 1 if true else -1
        return value, true

    def options(self, draft: Draft, setting: Setting, count: int) -> tuple[str, ...]:
        """`count` options in random order, one of them the answer."""
        topic, answer = draft.topic, draft.qra.answer
        false = self._false_answers(draft, setting)
        if len(false) < count - 1:
            raise Unclear("no_distractor")
        false.sort(key=lambda value: -self._luck.get((topic, value), Fraction(0)))
        options = [answer, *false[: count - 1]]
        for value in options:
            gain = (value == answer) - Fraction(1, count)
            self._luck[topic, value] = self._luck.get((topic, value), Fraction(0)) + gain
        self.rng.shuffle(options)
        return tuple(options)

    def _false_answers(self, draft: Draft, setting: Setting) -> list[str]:
        """Answers that could be right: of the same situation first, then frequent ones, then some by chance."""
        if pool_of(draft.topic) == ("clip",):
            never = {"first_clip": setting.clips[-1:], "last_clip": setting.clips[:1]}.get(draft.topic[0], ())
            found = [english.clip_name(c.index) for c in setting.clips if c not in never]
            self.rng.shuffle(found)
        else:
            found = [*draft.rivals, *_alike([*self._near(draft, setting), *self._far(draft)], draft)]
        asked = frozenset(english.words(draft.qra.question))
        return [v for v in dict.fromkeys(found) if _is_another(v, draft.qra.answer, asked)]

    def _near(self, draft: Draft, setting: Setting) -> list[str]:
        pool = pool_of(draft.topic)
        if pool == _NAMES:
            names = {name for clip in setting.clips if clip.index == draft.clip for name in clip.names}
            found = sorted(name for name in names if _is_called(name, draft.nouns))
        else:
            found = sorted(self._local.get(setting.run_id, {}).get(pool, {}))
        self.rng.shuffle(found)
        return found

    def _far(self, draft: Draft) -> list[str]:
        known = self._everywhere.get(pool_of(draft.topic), Counter[str]())
        counted = {value: times for value, times in known.items() if _is_called(value, draft.nouns)}
        frequent = sorted(counted, key=lambda value: (-counted[value], value))[:_FREQUENT]
        return frequent + self.rng.sample(sorted(counted), min(_BY_CHANCE, len(counted)))


def _alike(found: Sequence[str], draft: Draft) -> list[str]:
    """Actions and relations in the grammatical form of the answer, where there are some: no "runs" beside "sitting"."""
    form = english.form_of(draft.qra.answer)
    alike = [value for value in found if english.form_of(value) == form]
    return alike if pool_of(draft.topic) in _VERBAL and len({*alike} - {draft.qra.answer}) > 1 else list(found)


def _is_called(name: str, nouns: frozenset[str]) -> bool:
    """Whether a question for one of these nouns could have the answer: who asks for a circle rules out squares by that word."""
    return not nouns or any(f" {name}".endswith(f" {noun}") for noun in nouns)


def _is_another(value: str, answer: str, asked: frozenset[str]) -> bool:
    """Whether a value can't be right beside the answer, and the question does not speak of it already."""
    return excludes(value, answer) and not english.content_words(value) <= asked


def yes_no(draft: Draft, value: str, true: bool) -> Qra:
    """Whether `value` is the answer."""
    answer = "yes" if true else "no"
    so = "; the" if ", so " in draft.qra.rationale[-1] else ", so the"
    lines = _ending(draft.qra.rationale, f"{so} answer is {answer}")
    return _closed(draft.qra, draft.claim(value), lines, answer, {"op": "is", "value": value})


def choice(draft: Draft, options: Sequence[str]) -> Qra:
    """Which of the options is the answer."""
    pool = pool_of(draft.topic)
    say = english.the if pool in _THINGS else english.quoted if pool == _EVENTS else str
    told = [say(option) for option in options]
    question = f"{draft.qra.question[:-1]}: {', '.join(told[:-1])} or {told[-1]}?"
    op = {"op": "choose"} | {f"option_{i}": option for i, option in enumerate(options, 1)}
    closed = _closed(draft.qra, question, draft.qra.rationale, draft.qra.answer, op)
    return replace(closed, form="choice", options=tuple(options))


def _closed(qra: Qra, question: str, lines: tuple[str, ...], answer: str, op: Op) -> Qra:
    program = (*qra.program, {**op, "of": len(qra.program) - 1})
    id = content_id(qra.run_id, question, answer, program)
    return replace(qra, id=id, question=question, rationale=lines, answer=answer, program=program, form="yes_no")


def _ending(lines: tuple[str, ...], words: str) -> tuple[str, ...]:
    return (*lines[:-1], english.sentence(lines[-1].rstrip(".") + words))
