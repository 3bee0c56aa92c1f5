"""Whether a reply is the right answer: exact match after one normalisation, and readings of closed questions.

The normalisation, in this order: Unicode NFKC and lower case; punctuation other than a stop or apostrophe inside a word
parts words; the articles a, an and the are dropped; the words zero to twenty become digits. Nothing else is forgiven:
no synonyms, no plurals, no words around the answer.
"""

import re
import unicodedata
from collections.abc import Sequence

MAX_CHARS = 16_384  # of a reply that are looked at
_LONGEST_ENDING = 4  # words of a rationale's end that pass for an answer
_ARTICLES = frozenset({"a", "an", "the"})
_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen twenty"
)
_DIGITS = {word: str(number) for number, word in enumerate(_NUMBERS.split())}
_WORD = re.compile(r"[^\W_]+(?:[.'][^\W_]+)*")
_LETTER = re.compile(r"\(?([A-Za-z])(?:[.:)]+\s*(.*))?", re.DOTALL)
_ANSWER = re.compile(r".*\banswer(?:\s+is\b|\s*:)(.*)", re.IGNORECASE)
_ENDING = re.compile(r".*\b(?:is|are|was|were|makes?|equals?)\b(.*)", re.IGNORECASE)


def normalised(text: str) -> str:
    """A text as it is compared; one of articles alone keeps them."""
    found = _WORD.findall(unicodedata.normalize("NFKC", text[:MAX_CHARS]).replace("\u2019", "'").lower())
    kept = [word for word in found if word not in _ARTICLES] or found
    return " ".join(_DIGITS.get(word, word) for word in kept)


def correct(reply: str, answer: str, options: Sequence[str] = ()) -> bool:
    """Whether a reply is the answer: yes/no and choices are read, anything else must match exactly."""
    said: str | None = reply
    if options:
        said = read_choice(reply, options)
    elif normalised(answer) in ("yes", "no"):
        said = read_yes_no(reply)
    return said is not None and normalised(said) == normalised(answer) != ""


def read_yes_no(reply: str) -> str | None:
    """ "yes" or "no", which must be the first word, and the other must not follow; None where it can't be told."""
    words = normalised(reply).split()
    said = {"yes", "no"}.intersection(words)
    return words[0] if len(said) == 1 and words[0] in said else None


def read_choice(reply: str, options: Sequence[str]) -> str | None:
    """The one option that a reply names, by its words or its letter; None where it names none, several or both ways."""
    letter, text = _letter(reply.strip(), options)
    named = _named(text, options)
    if not named:
        return letter
    return named[0] if len(named) == 1 and letter in (None, named[0]) else None


def _letter(reply: str, options: Sequence[str]) -> tuple[str | None, str]:
    """The option of a letter at the start, as in "B", "(b)" or "B. the red circle", and the text that goes on."""
    found = _LETTER.fullmatch(reply[:MAX_CHARS])
    if found is None:
        return None, reply
    index = ord(found[1].lower()) - ord("a")
    return (options[index], found[2] or "") if index < len(options) else (None, reply)


def _named(text: str, options: Sequence[str]) -> list[str]:
    """The options whose words a text has in a row, without those that are only part of another one."""
    said = f" {normalised(text)} "
    found = [o for o in options if normalised(o) and f" {normalised(o)} " in said]
    return [o for o in found if not any(o is not p and f" {normalised(o)} " in f" {normalised(p)} " for p in found)]


def read_ending(rationale: str) -> str | None:
    """The answer with which a rationale ends; None where its last line ends in no short phrase.

    Our rationales end in their answer (STEP Sec. 3.2): "... is the red circle.", "..., which makes 2.", "..., so the
    answer is yes.".
    """
    lines = [line.strip() for line in rationale[-MAX_CHARS:].splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    found = _ANSWER.match(last) or _ENDING.match(last)
    phrase = (found[1] if found else last).strip(" \t.,;:*\"'")
    return phrase if 0 < len(normalised(phrase).split()) <= _LONGEST_ENDING else None
