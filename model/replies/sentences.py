"""Readers of sentences."""

import re

from model.replies.text import clean, without_markdown

_MEDIUM = (
    r"(?:video|clip|image|scene|frame|footage|sequence|picture|photo|keyframe|segment|event|snippet"
    r"|shot|recording|film)s?"
)
_THE = rf"(?:(?:the|this|these|that|a|an) (?:\w+ ){{0,2}}?{_MEDIUM}(?: (?:clip|sequence|frame|segment)s?)?)"
_SHOWS = (
    r"(?:shows?|depicts?|captures?|features?|displays?|portrays?|presents?|illustrates?|contains?|documents?|describes?|records?"
    r"|follows?|is of|(?:appears?|seems?) to (?:show|depict|capture|feature)"
    r"|(?:is|are) (?:showing|depicting|capturing|featuring|displaying|about))"
)
_SEE = (
    r"(?:(?:we|you|one|i) (?:can |could )?(?:see|observe|watch)|there (?:is|are|was|were)|(?:it )?(?:is|are) seen that)"
)
_BEGINS = r"(?:an?|the|two|three|one|several|some|many|we|you|there|it|people|someone|he|she|they)"
_LEADS = (
    re.compile(r"(?:[-*\u2022]|\d{1,2}[.)])\s+|(?:here|overall|in summary),\s+", re.IGNORECASE),
    re.compile(
        rf"as (?:shown|seen|depicted) in {_THE},\s+|(?:a|the) {_MEDIUM} of (?=an?\b|the\b|two\b)", re.IGNORECASE
    ),
    re.compile(
        r"(?:the|this) (?:\w+ )?(?:event|action|activity)(?: (?:shown|depicted|captured|seen|that takes place|taking place))?"
        rf"(?: (?:in|of) {_THE})?(?: is| shows| involves)(?: that)?\s*:?\s+(?={_BEGINS}\b)",
        re.IGNORECASE,
    ),
    re.compile(
        rf"it (?:appears|seems) that\s+|what happens is that\s+|(?:it|the camera) {_SHOWS}(?: that)?\s+", re.IGNORECASE
    ),
    re.compile(r"(?:event|sentence|description|caption|summary|narrative)\s*[:\uff1a]\s*", re.IGNORECASE),
    re.compile(
        rf"(?:in|throughout|during|over the course of|across|from) {_THE}(?: provided)?"
        rf"(?:[,:]\s+|\s+(?={_BEGINS}\b))(?:{_SEE}\s+)?",
        re.IGNORECASE,
    ),
    re.compile(
        rf"(?:{_THE}|{_MEDIUM})(?: (?:you )?provided)? {_SHOWS}(?: that| how| us)?:?\s+"
        r"(?:the moment (?:when |in which |that )?)?",
        re.IGNORECASE,
    ),
    re.compile(rf"{_SEE}(?: that)?\s+", re.IGNORECASE),
)
_MAX_WORDS = 200
_MAX_CHARS = 2000


def read_sentence(reply: str) -> str:
    """A narrative of one or two sentences, on one line, without markdown."""
    words = without_markdown(clean(reply, keep_lines=True)).split()[:_MAX_WORDS]
    return " ".join(words)[:_MAX_CHARS]


def read_event(reply: str) -> str:
    """What takes place, without words on the video that shows it.

    "The clip shows a person walking past a bicycle." -> "A person walking past a bicycle."
    """
    sentence = read_sentence(reply)
    for _ in range(2):
        for lead in _LEADS:
            found = lead.match(sentence)
            if found and len(sentence) - found.end() > 3:
                rest = sentence[found.end() :]
                sentence = rest[0].upper() + rest[1:]
    return sentence
