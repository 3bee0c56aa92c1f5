"""What can be guessed from a question's words alone: the majority answer of a training split to the same phrasing."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from trainer.evaluation.normal import normalised

_QUOTED = re.compile(r'"[^"]*"')
_NUMBER = re.compile(r"\d[\d.]*")
_GAP = "_"


@dataclass(frozen=True, slots=True)
class Prior:
    """Guesses by phrasing, and by the first words of one that is new; `words` are those that occur in answers."""

    words: frozenset[str]
    guesses: Mapping[str, str]

    @classmethod
    def of(cls, asked: Iterable[tuple[str, str]]) -> "Prior":
        """The prior that some questions and their answers give."""
        pairs = [(question, normalised(answer)) for question, answer in asked]
        words = frozenset(word for _, answer in pairs for word in answer.split())
        counted: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for question, answer in pairs:
            for key in _keys(phrasing(question, words)):
                counted[key][answer] += 1
        return cls(words, {key: _most(counts) for key, counts in sorted(counted.items())})

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> "Prior":
        return cls(frozenset(told["words"]), dict(told["guesses"]))

    def to_dict(self) -> dict[str, Any]:
        return {"words": sorted(self.words), "guesses": dict(self.guesses)}

    def guess(self, question: str) -> str:
        """The likeliest answer to a question that nobody sees the video of."""
        keys = _keys(phrasing(question, self.words))
        return next((self.guesses[key] for key in keys if key in self.guesses), "")


def phrasing(question: str, words: frozenset[str]) -> str:
    """A question with a gap for each run of words that occur in answers, each number and each quotation."""
    text = _NUMBER.sub(_GAP, _QUOTED.sub(_GAP, question))
    masked = [_GAP if word in words or word == _GAP else word for word in normalised_words(text)]
    return " ".join(word for at, word in enumerate(masked) if not (word == _GAP and masked[at - 1 : at] == [_GAP]))


def normalised_words(text: str) -> list[str]:
    """The words of a text in lower case, gaps among them, without articles."""
    return [w for w in re.findall(r"[\w']+", text.lower()) if w not in ("a", "an", "the")]


def _keys(phrased: str) -> list[str]:
    """From the whole phrasing down to nothing: what to look a guess up under, in this order."""
    return [phrased, " ".join(phrased.split()[:2]), ""]


def _most(counts: Counter[str]) -> str:
    return min(counts, key=lambda answer: (-counts[answer], answer))
