"""Which two answers may both be true: words differ where meanings don't, as what is next to a plate is near it, too."""

import re

from model.nouns import head, may_be_one
from model.rationale.english import content_words


def _phrases(told: str) -> frozenset[str]:
    return frozenset(phrase.strip() for phrase in told.split(","))


_NEAR = _phrases("near, nearby, next to, beside, by, close to, adjacent to, alongside, around, with, at")
_PLACES = _NEAR | _phrases(
    "on, on top of, in, inside, under, below, above, over, behind, in front of, left of, right of, to the left of,"
    " to the right of, against, between, among"
)
_ALIKE = (
    _phrases("on, on top of, atop, upon, resting on, lying on"),
    _phrases("in, inside, within, inside of"),
    _phrases("under, below, beneath, underneath"),
    _phrases("above, over"),
    _phrases("left of, to the left of, on the left of, on the left side of"),
    _phrases("right of, to the right of, on the right of, on the right side of"),
    _phrases("holding, grasping, gripping, carrying"),
    _phrases("looking at, watching, facing, gazing at, staring at"),
    _phrases("talking to, talking with, speaking to, speaking with"),
    _phrases("wearing, dressed in"),
)
_SPELLINGS = {"grey": "gray", "colour": "color", "blond": "blonde"}


def excludes(value: str, other: str) -> bool:
    """Whether what has one of these for an attribute, a relation, an action or a name can't have the other as well."""
    one, two = _spelled(value), _spelled(other)
    own, others = content_words(one), content_words(two)
    within = f" {one} " in f" {two} " or f" {two} " in f" {one} "  # who sits on a bench is on it
    if within or own <= others or others <= own or any({one, two} <= group for group in _ALIKE):
        return False
    if {one, two} <= _PLACES and {one, two} & _NEAR:
        return False
    return head(one) == head(two) or not may_be_one(one, two)


def _spelled(text: str) -> str:
    return re.sub(r"[a-z]+", lambda word: _SPELLINGS.get(word[0], word[0]), text.lower())
