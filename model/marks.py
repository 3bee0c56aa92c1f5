"""What a model says that tells an instance apart, as words that can stand beside the instance's noun."""

import re

from model.inflection import singular
from model.stsg import words_of

_MOST = 7  # words, so that a name has eight
_LEADING = re.compile(
    r"(?:(?:the|a|an|this|that|one|he|she|it|they)\s+)*(?:(?:who|that|which)\s+)?(?:(is|are|was|were)|(has|have))\s+"
)
_ENDING = words_of(
    "a an the and or but of in on at to with by for from near next behind beside over under into onto is are his her its"
    " their who that which while very"
)
_BREAKS = re.compile(r"[,;.]\s|\s(?:-|–|—)\s")
_JOINTS = re.compile(r"\s(?:and|while|but|who|which|as)\s")
_EMPTY = re.compile(
    r"(?:n/?a|none|null|nothing|unknown|same|mark|distinguishing mark|not (?:applicable|available|specified|mentioned"
    r"|visible|clear|given|known).*|un(?:specified|clear|known)|(?:no|without|has no|there (?:is|are) no)\b.*\b"
    r"(?:feature|mark|detail|characteristic|distinction|difference)s?\b.*|(?:no|not)(?: \w+)? (?:distinct|distinctive"
    r"|unique|distinguishing|specific|particular)(?: .*)?)"
)


def told_apart(text: str, category: str) -> str:
    """The mark in a line such as "man 1: the man is wearing a red cap, and sits"; "" where it has none.

    A clause becomes a phrase, and of a list of marks the first is kept: one that is cut within would be no words of English.
    """
    head, colon, tail = text.partition(":")
    if colon and names(head, category):
        text = tail
    mark = " ".join(_BREAKS.split(f"{text.lower()} ", maxsplit=1)[0].split()).strip(" .,;:!?\"'`“”‘’[](){}<>*")
    nouns = "|".join(map(re.escape, (category.lower(), singular(category.lower()))))
    mark = re.sub(rf"^(?:the |a |an |this |that )?(?:{nouns})\s*(?:\d+\s*)?(?=(?:who |that |which )?"
                  r"(?:is|are|has|have|was|were)\s)", "", mark).strip()  # fmt: skip
    mark = re.sub(rf"^the (?:{nouns}) ", "", mark)
    if found := _LEADING.match(f"{mark} "):
        rest = mark[found.end() :].strip()
        mark = f"with {rest}" if found[2] and rest else rest
    mark = re.sub(r"^the one ", "", mark)
    if f" {category.lower()} " in f" {mark} ":  # "a red circle"
        mark = re.sub(r"^(?:the|an?) ", "", mark)
    elif mark.startswith(("a ", "an ")):  # "man 1: a red cap"
        mark = f"with {mark}"
    if len(mark.split()) > _MOST:
        mark = _JOINTS.split(mark, maxsplit=1)[0]
    words = mark.split()[:_MOST]
    while len(words) > 1 and words[-1] in _ENDING:
        words.pop()
    mark = " ".join(words)
    bare = mark.removeprefix(category.lower()).strip(" #")
    return "" if _EMPTY.fullmatch(mark) or re.fullmatch(r"\d{0,3}", bare) else mark


def names(head: str, category: str) -> bool:
    """Whether what stands before a colon is the category with a number, in whichever number of the noun."""
    if category.lower() in head.lower():
        return True
    label, noun = (re.findall(r"[a-z]+", text.lower()) for text in (head, category))
    return bool(label and noun) and len(label) <= len(noun) + 1 and singular(label[-1]) == singular(noun[-1])
