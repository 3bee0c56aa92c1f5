"""Replies to closed questions: which option, or yes or no, a reply names.

Models put the letter in bold or in brackets, into a sentence, before or after an explanation. All of that is read. Where a
reply names two options and says of none that it is the answer, nothing is guessed. What it denies ("not A") is not named.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from model.replies import unwrap
from trainer.evaluation.normal import MAX_CHARS, normalised

_LONGEST_TAIL = 400  # characters after "the answer is" that are looked at
_MARKUP = re.compile(r"[*_`~#$\\]+")
_JSON = re.compile(
    r"""\{\s*["'](?:\w*(?:answer|option|choice|letter|label)\w*)["']\s*:\s*["']([^"'{}]{1,400})["']""", re.IGNORECASE
)
_LEADING = re.compile(  # "B", "(b)", "B. because", "Option B:", "[B] the red circle"
    r"\s*(?:(?:option|choice|answer|letter)\s*[:#]?\s*)?(?:"
    r"[(\[{<\"']\s*([A-Za-z])\s*[)\]}>\"'][.:,]?"
    r"|([A-Za-z])\s*(?:[)\]}:.]+(?!\w)|\u3002|$|\n)"
    r"|([A-Z])\s*(?:[,;!\u3001]|\s[-\u2013\u2014]\s|\s+(?=because\b|since\b|as\b|is\b))"
    r")",
)
_ANNOUNCES = re.compile(
    r"\b(?:(?:the|my|final|correct|right|best|closest)\s+){0,3}(?:answer|option|choice|response|letter)\b(?:\s+here|\s+to\s+the\s+question)?"
    r"\s*(?:\bis\b|\bwould\s+be\b|\bshould\s+be\b|\bmust\s+be\b|[:=])\s*[:=]?\s*"
    r"|\bI(?:\s+would|\s+will|'d|'ll)?\s+(?:choose|pick|select|go\s+with)\s+",
    re.IGNORECASE,
)
_CONFIRMED = re.compile(
    r"\b(?:option|choice|answer)\s*[(\[]?([A-Z])[)\]]?\s+(?:is|seems|appears|would be|looks)\s+(?:to be\s+)?(?:the\s+)?"
    r"(?:best\s+|most\s+\w+\s+)?(?:correct|right|answer|accurate|true)\b",
    re.IGNORECASE,
)
_IS_ANSWER = re.compile(  # "B is the answer"
    r"(?<!\w)([A-Z])[)\]]?\s+is\s+(?:correct\b|the\s+(?:(?:best|correct|right|most\s+\w+)\s+)?(?:answer|option|choice)\b)"
)
_BRACKETED = re.compile(r"[(\[]([A-Z])[)\]]")
_IN_WORD = r"[^\W\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]"  # Chinese, Japanese and Korean put no space around a letter
_BARE = re.compile(rf"(?<!{_IN_WORD})(?<!')([A-Z])(?!{_IN_WORD}|['+]|\.[A-Za-z])(?=(\s+[a-z]\w*)?)")
_LETTER = r"(?:(?:[Oo]ption|[Cc]hoice|[Aa]nswer)\s+)?[(\[]?(?<!\w)[A-Z](?![\w'+])[)\]]?"
_DENIED = re.compile(  # "not A", "neither A nor B", "rather than (C)"
    r"(?i:\bnot\b|n't\b|\bneither\b|\bnor\b|\brather\s+than\b|\binstead\s+of\b|\bunlike\b)\s+(?:(?:be|the|it's|it\s+is)\s+){0,2}"
    rf"{_LETTER}(?:\s*(?:\bor\b|\bnor\b|\band\b|/)\s*{_LETTER}){{0,9}}"
)
_REFUTED = r"(?:correct|right|true|accurate|answer|best|it|shown|supported|mentioned|possible)\b"
_IS_WRONG = re.compile(  # "C is wrong", "A and C are not shown", "option B isn't"; but "B is not moving" names B
    rf"{_LETTER}(?:\s*(?:,|\bor\b|\bnor\b|\band\b|/)\s*{_LETTER}){{0,9}}\s+(?:is|are|was|were|would\s+be)"
    rf"(?:(?:n't|\s+not)\s*(?:[.,;]|$|(?:the\s+)?{_REFUTED})"
    r"|\s+(?:\w+ly\s+|both\s+|also\s+)?(?:wrong|incorrect|false|ruled\s+out|impossible|excluded)\b)"
)
_DENIES = re.compile(r"(?:^| )(?:not|neither|nor|never|unlike|isn't|wasn't|aren't|weren't|rather than|instead of)$")
_WRONG = re.compile(rf"(?:is|are|was|were)(?:(?:n't| not) {_REFUTED}| (?:wrong|incorrect|false)\b)")
_LISTED = re.compile(r"\s*[(\[]?([A-Z])\s*[)\]:.]\s*\S")  # a line of the options, said again
_GOES_ON = frozenset(  # words after a letter; any other follows the article "A"
    ["or", "and", "nor", "but", "is", "because", "since", "as", "would", "seems", "fits", "matches", "describes"]
)
_SENTENCE = re.compile(r"\n|(?<=[\w)\]])[.!?\u3002](?:\s|$)")
_OTHERS = re.compile(r"[)\]}.:\"']*\s*(?:(?:or|and|/|&)\s*[(\[]?[A-Za-z]\b(?!')|,\s*[(\[]?[A-Z]\b(?!'|\s+[a-z]))")
_NO_ALONE = re.compile(r"\bno\b\s*(?:[.,;:!?)/]|$|it\b|they\b|he\b|she\b)", re.IGNORECASE)
_NOT_SAID = re.compile(
    r"no\s+(?:idea|clue|comment|answer|response|information\s+(?:is|was)\s+(?:given|provided|available)|way\s+(?:to|of)"
    r"|one\s+(?:knows|can\s+(?:say|tell))|video\s+(?:is|was)\s+(?:given|provided|attached))\b",
    re.IGNORECASE,
)
_BASIS = re.compile(  # "Based on the video, yes."
    r"(?:based\s+on|according\s+to|judging\s+by|from|in)\s+(?:the|this)\s[^,.\n]{0,60},\s*(?=(?:yes|no)\b)",
    re.IGNORECASE,
)
_BOTH = re.compile(r"\s*(?:,?\s*(?:or|and)\s|/)\s*(?:yes|no)\b", re.IGNORECASE)


def read_choice(reply: str, options: Sequence[str]) -> str | None:
    """Read which option a reply names, by its letter or its words.

    Args:
        reply: what the model said, as it came.
        options: under the letters A, B, C and so on.

    Returns:
        The option; None where none is named, or several and none as the answer.

    "The correct answer is **B**." -> the second option; "not A, but B" -> the second option; "A or B" -> None
    """
    text = _without_denied(_plain(reply))
    if _is_list(text, len(options)):
        return None
    announced = _announced(text, options)
    if announced:
        return _only(announced)
    found = _LEADING.match(text)
    leading = _option(found, options) if found else None
    if found and leading is not None:
        rest = text[found.end() :]
        named = _named(rest.strip().partition("\n")[0], options)
        several = _OTHERS.match(text, found.end(_group(found))) or (named and leading not in named)
        return None if several else leading
    letters = {options[at] for at in _letters(text) if at < len(options)}
    return _only([*_named(text, options), *letters])


def read_yes_no(reply: str) -> str | None:
    """Read whether a reply says yes or no: by its first word, or by what it says the answer is.

    Args:
        reply: what the model said, as it came.

    Returns:
        "yes" or "no"; None where it says neither, or both.

    "Yes, no doubt." -> "yes"; "yes and no" -> None
    """
    text = _plain(reply)
    said = {word for tail in _tails(text) if (word := _yes_or_no(tail))}
    return _only(said) if said else _yes_or_no(text)


def _yes_or_no(text: str) -> str | None:
    text = _BASIS.sub("", text, count=1) if _BASIS.match(text) else text
    first = next(iter(re.findall(r"\w+", text[:80].lower())), "")
    if first not in ("yes", "no") or _NOT_SAID.match(text.lstrip("\"'([ ")):
        return None
    rest = text[text.lower().index(first) + len(first) :]
    denied = _NO_ALONE.search(rest) if first == "yes" else re.search(r"\byes\b", rest, re.IGNORECASE)
    return None if denied or _BOTH.match(rest) else first


def _plain(reply: str) -> str:
    """The reply without what stands around it, and without markup."""
    text = unicodedata.normalize("NFKC", unwrap(reply).text).replace("\u2019", "'")
    if found := _JSON.match(text):
        text = found[1]
    return _MARKUP.sub(" ", text).strip()


def _without_denied(text: str) -> str:
    """The text without the letters of which it says that they are not the answer."""
    return _IS_WRONG.sub(" ; ", _DENIED.sub(" ; ", text))


def _is_list(text: str, count: int) -> bool:
    """Whether a text begins as the list of options does, with one a line: that names them all, and so none."""
    lines = [line for line in text[:MAX_CHARS].splitlines() if line.strip()][:2]
    letters = [found[1] for line in lines if (found := _LISTED.match(line)) and ord(found[1]) - ord("A") < count]
    return len(set(letters)) == 2


def _tails(text: str) -> list[str]:
    """What follows each announcement of an answer, to the end of its sentence."""
    after = (text[m.end() : m.end() + _LONGEST_TAIL].lstrip() for m in _ANNOUNCES.finditer(text))
    return [_SENTENCE.split(tail, maxsplit=1)[0] for tail in after]


def _announced(text: str, options: Sequence[str]) -> list[str]:
    """The options that a reply says are the answer."""
    confirmed = (*_CONFIRMED.finditer(text), *_IS_ANSWER.finditer(text))
    announced = [o for m in confirmed if (o := _option(m, options)) is not None]
    for tail in _tails(text):
        found = _LEADING.match(tail)
        leading = _option(found, options) if found else None
        if found and leading is not None:
            announced.append(leading)
            if _OTHERS.match(tail, found.end(_group(found))):  # "the answer is A or B"
                announced += [options[at] for at in _letters(tail) if at < len(options)]
        elif not re.match(r"\s*(?:not|neither|either)\b", tail, re.IGNORECASE):
            announced += _named(tail, options)
            announced += [options[at] for at in _letters(tail) if at < len(options)]
    return announced


def _group(found: re.Match[str]) -> int:
    return next(number for number, letter in enumerate(found.groups(), 1) if letter)


def _option(found: re.Match[str], options: Sequence[str]) -> str | None:
    """The option of the letter that a pattern matched."""
    index = ord(found[_group(found)].lower()) - ord("a")
    return options[index] if index < len(options) else None


def _letters(text: str) -> set[int]:
    """The places of the letters that a text names; an article and the word I are none."""
    named = {m[1] for m in _BRACKETED.finditer(text)}
    for found in _BARE.finditer(text):
        follows = (found[2] or "").strip()
        if found[1] not in "AI" or (found[1] == "A" and (not follows or follows in _GOES_ON)):
            named.add(found[1])
    return {ord(letter) - ord("A") for letter in named}


def _named(text: str, options: Sequence[str]) -> list[str]:
    """The options whose words a text has in a row, without those that are only part of another one, or are denied."""
    said = f" {normalised(text)} "
    found = [o for o in options if normalised(o) and f" {normalised(o)} " in said]
    whole = [o for o in found if not any(o is not p and f" {normalised(o)} " in f" {normalised(p)} " for p in found)]
    return [o for o in whole if _is_affirmed(f" {normalised(o)} ", said)]


def _is_affirmed(words: str, said: str) -> bool:
    """Whether a text has the words once, at least, without a denial before or behind them."""
    before, *rest = said.split(words)
    for after in rest:
        if not _DENIES.search(before[-40:]) and not _WRONG.match(after):
            return True
        before = after
    return False


def _only(found: Iterable[str]) -> str | None:
    """The one that all are."""
    different = set(found)
    return different.pop() if len(different) == 1 else None
