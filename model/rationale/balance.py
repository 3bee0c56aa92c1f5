"""Answers held in balance, and what guessing without the video would score (beyond STEP Sec. 3.2).

A question says by its words what it asks for; where one answer to such words is more frequent than others, a model may learn
the answer instead of the video.
"""

from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256

from model.rationale.qra import Family, Form, Qra

_EXCESS = 1.25  # how many times its even share an answer may take
_SLACK = 3  # answers beyond that share, which small numbers need
_CHOICE_SLACK = 1.5  # times that an option may be right beyond chance, likewise
_LUCK = 0.03  # for each time that an answer was shown as an option: how much more often than by chance it may be right
_TWO_WAYS = frozenset(("same", "different"))
_KEPT = 50_000  # choices of which the report is made
_Kind = tuple[Family, Form]


@dataclass(slots=True)
class Balance:
    """How often each answer was given to a question of a family and form about a topic."""

    _given: dict[tuple[Family, Form, str], Counter[str]] = field(default_factory=dict)
    _seen: dict[tuple[Family, Form, str], set[str]] = field(default_factory=dict)
    _shown: dict[tuple[Family, Form, str], Counter[str]] = field(default_factory=dict)
    _luck: dict[tuple[Family, Form, str, str], float] = field(default_factory=dict)  # times right less those by chance

    def fits(self, qra: Qra) -> bool:
        """Whether a sample's answer is not too frequent yet; that of a choice, among the times it was an option."""
        if qra.form == "choice":
            topic = (qra.family, qra.form, qra.topic)
            luck, shown = self._luck.get((*topic, qra.answer), 0.0), self._shown.get(topic, Counter[str]())[qra.answer]
            return luck + 1 - 1 / len(qra.options) <= _CHOICE_SLACK + _LUCK * shown
        given, seen = self._topic(qra)
        if qra.form == "yes_no":  # what is claimed is balanced already, but not all that was made is taken
            both = self._given.get((qra.family, qra.form, ""), Counter[str]())
            return all(2 * told[qra.answer] <= told.total() + 1 for told in (given, both))
        seen.add(qra.answer)
        if qra.answer in _TWO_WAYS:  # about each topic, and on the whole
            both = self._given.get((qra.family, qra.form, ""), Counter[str]())
            return all(2 * told[qra.answer] <= (1 + _LUCK) * told.total() + _SLACK for told in (given, both))
        share = (given.total() + 1) / max(2, len(seen))
        return given[qra.answer] + 1 <= _SLACK + _EXCESS * share

    def lacks(self, family: Family, form: Form) -> str:
        """Of two answers that exclude each other, the one that was given less often; "" where there is none such."""
        given = self._given.get((family, form, ""), Counter[str]())
        if given["same"] == given["different"]:
            return ""
        return "same" if given["same"] < given["different"] else "different"

    def frequency(self, qra: Qra) -> int:
        return self._topic(qra)[0][qra.answer]

    def take(self, qra: Qra) -> None:
        self._topic(qra)[0][qra.answer] += 1
        self._given.setdefault((qra.family, qra.form, ""), Counter())[qra.answer] += 1
        topic = (qra.family, qra.form, qra.topic)
        self._shown.setdefault(topic, Counter()).update(qra.options)
        for option in qra.options:
            gain = (option == qra.answer) - 1 / len(qra.options)
            self._luck[*topic, option] = self._luck.get((*topic, option), 0.0) + gain

    def _topic(self, qra: Qra) -> tuple[Counter[str], set[str]]:
        key = (qra.family, qra.form, qra.topic)
        return self._given.setdefault(key, Counter()), self._seen.setdefault(key, set())


@dataclass(slots=True)
class Blind:
    """The best guess from the words of a question, learned on half of the videos and tried on the other half."""

    _answers: dict[tuple[_Kind, str, int], Counter[str]] = field(default_factory=dict)
    _shown: dict[tuple[_Kind, str, int], Counter[str]] = field(default_factory=dict)
    _choices: list[tuple[_Kind, str, int, tuple[str, ...], str]] = field(default_factory=list)

    def take(self, qra: Qra) -> None:
        kind, half = (qra.family, qra.form), sha256(qra.video_id.encode()).digest()[0] % 2
        self._answers.setdefault((kind, qra.template, half), Counter())[qra.answer] += 1
        if qra.form == "choice":
            self._shown.setdefault((kind, qra.template, half), Counter()).update(qra.options)
            if len(self._choices) < _KEPT:
                self._choices.append((kind, qra.template, half, qra.options, qra.answer))

    def accuracy(self) -> dict[str, dict[str, dict[str, float]]]:
        """For each family and form: how many guesses were tried, how many are right, and how many by chance alone."""
        told: dict[str, dict[str, dict[str, float]]] = {}
        for kind in sorted({kind for kind, _, _ in self._answers}):
            tried, right, chance = self._choose(kind) if kind[1] == "choice" else self._guess(kind)
            if tried:
                figures = {
                    "tried": float(tried),
                    "guessed": round(right / tried, 4),
                    "chance": round(chance / tried, 4),
                }
                told.setdefault(kind[0], {})[kind[1]] = figures
        return told

    def _guess(self, kind: _Kind) -> tuple[int, int, float]:
        tried, right, chance = 0, 0, 0.0
        for (other, template, half), answers in self._answers.items():
            learned = self._answers.get((kind, template, 1 - half))
            if other != kind or not learned:
                continue
            best = max(sorted(learned), key=lambda answer: learned[answer])
            tried, right = tried + answers.total(), right + answers[best]
            chance += answers.total() * (0.5 if kind[1] == "yes_no" else 1 / len(learned | answers))
        return tried, right, chance

    def _choose(self, kind: _Kind) -> tuple[int, int, float]:
        tried, right, chance = 0, 0, 0.0
        for other, template, half, options, answer in self._choices:
            learned = self._answers.get((kind, template, 1 - half))
            if other != kind or not learned:
                continue
            shown = self._shown[kind, template, 1 - half]
            best = max(options, key=lambda option: (learned[option] + 0.5) / (shown[option] + 1.5))
            tried, right, chance = tried + 1, right + (best == answer), chance + 1 / len(options)
        return tried, right, chance
