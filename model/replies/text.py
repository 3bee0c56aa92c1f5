"""The text of a reply, and the one test that names and values pass."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from string import punctuation

from model.replies.wrappers import unwrap

MAX_ITEMS = 64
MAX_NAME = 160  # characters: a database indexes names
_MAX_WORDS = 8  # of a name, predicate or value; longer ones are sentences, not names
_REFUSALS = ("i'm sorry", "i am sorry", "sorry,", "i cannot", "i can't", "i am unable", "i'm unable", "as an ai")
NOTHING = frozenset({"", "none", "null", "n/a", "nothing", "unknown", "na", "nil", "not applicable"})
_EMPHASIS = (
    re.compile(r"(\*{1,3})(?=\S)([^*\n]{1,400}?)(?<=\S)\1(?!\*)"),
    re.compile(r"(?<!\w)(_{1,3})(?=[^\s_])([^_\n]{1,400}?)(?<=[^\s_])\1(?!\w)"),
    re.compile(r"(~~|`{1,3})(?=\S)([^~`\n]{1,400}?)\1"),
)
_HEADING = re.compile(r"^[ \t]{0,8}(?:#{1,6}|>)[ \t]+", re.MULTILINE)
_LINK = re.compile(r"\[([^\[\]()]{1,200})\]\([^()\s]{1,400}\)")
_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {
    ord("\u3000"): " ",
    ord("\u3001"): ",",
    ord("\u3002"): ".",
    ord("\u3010"): "[",
    ord("\u3011"): "]",
    ord("\u27e8"): "<",
    ord("\u27e9"): ">",
}
_PAIRS = ("()", "[]", "{}", "<>", "\u201c\u201d", "\u00ab\u00bb", "\u300c\u300d")
_SAYS = re.compile(
    r"(?:there (?:is|are|was|were)|here (?:is|are)|i (?:can|see|think|do|am|would|have)"
    r"|(?:it|this|that|he|she) (?:is|was|has|shows|appears)"
    r"|(?:they|these|those|we|you) (?:are|were|have|can|see)"
    r"|the (?:image|video|clip|scene|frame|picture|photo)s? (?:is|are|shows?|contains?|depicts?)"
    r"|(?:main |meaningful |key |visible |following |other |all )*(?:objects?|items?|things|entities)"
    r" (?:is|are|include|in|that|visible|listed|detected|found)"
    r"|note|please|based on|let me|sure)\b"
)
_TITLES = re.compile(
    r"(?:(?:list of |the |main |meaningful |key |visible |detected |distinct |identified |other )*"
    r"(?:objects?|items?|things|entities)"
    r"|attributes?|quantity|answer|categor(?:y|ies)|types?|values?|names?|labels?|notes?|output|triplets?"
    r"|list)(?: list| \d{1,3})?"
)
_refused: ContextVar[list[tuple[str, str]] | None] = ContextVar("refused", default=None)


class UnreadableReply(Exception):  # noqa: N818 # it is a reply that can't be read, not a fault
    """The model replied, but not in a form that the prompt asked for; `reason` is what it is counted under."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@contextmanager
def refusals() -> Iterator[list[tuple[str, str]]]:
    """Collect (reason, text) of each name or value that a reader leaves out while this is open."""
    items = list[tuple[str, str]]()
    before = _refused.set(items)
    try:
        yield items
    finally:
        _refused.reset(before)


def refuse(reason: str, text: str) -> None:
    """Count a name or a value that is left out, where somebody collects them."""
    items = _refused.get()
    if items is not None and len(items) < MAX_ITEMS:
        items.append((reason, text))


def clean(reply: str, *, keep_lines: bool = False) -> str:
    """What a reply says, without control characters; never empty; raises `UnreadableReply`."""
    unwrapped = unwrap(reply)
    if unwrapped.thoughts_only:
        raise UnreadableReply("thoughts_only")
    text = "".join(c if c.isprintable() or c == "\n" else " " for c in unwrapped.text.replace("\t", "    ")).strip(
        "\n "
    )
    if not keep_lines:
        text = " ".join(text.split())
    if not text:
        raise UnreadableReply("empty")
    lowered = text[:80].lower().replace("\u2019", "'")
    if lowered.startswith(_REFUSALS):
        raise UnreadableReply("refusal")
    if _loops(text):
        raise UnreadableReply("loop")
    return text


def clear(reply: str) -> str:
    """What a reply says, line by line, without markdown and with plain punctuation and digits; raises `UnreadableReply`.

    "**Quantity\uff1a** `2`" -> "Quantity: 2"
    """
    return without_markdown(clean(reply, keep_lines=True).translate(_WIDE))


def without_markdown(text: str) -> str:
    """The text without emphasis, headings, code marks and links; what is emphasized stays."""
    text = _LINK.sub(r"\1", _HEADING.sub("", text))
    for _ in range(2):  # emphasis within emphasis
        for emphasis in _EMPHASIS:
            text = emphasis.sub(r"\2", text)
    return text


def _loops(text: str) -> bool:
    """Whether a long reply says the same few words over and over."""
    words = text.split()
    if len(words) > 60:
        return len(set(words)) < len(words) / 15
    return len(text) > 2000 and len({text[i : i + 8] for i in range(0, len(text) - 8, 8)}) < len(text) / 120


def fault(text: str) -> str:
    """Why a text can't be a name, a predicate or a value; "" where it can.

    "dog" -> ""; "dog**: brown" -> "markup"; "man (on the" -> "half_of_a_pair"; "12" -> "no_word"; "objects" -> "heading"
    """
    if text.count('"') % 2:
        return "half_of_a_pair"
    if any(
        mark in text
        for mark in ("**", "__", "|", "{", "}", "`", "<", ">", "\\", "##", "[", "]", "://", '":', "':", "->")
    ):
        return "markup"
    if any(text.count(pair[0]) != text.count(pair[1]) for pair in _PAIRS):
        return "half_of_a_pair"
    if all(c.isdigit() or c.isspace() or c in punctuation for c in text):
        return "no_word"
    if _TITLES.fullmatch(text) or text.endswith(":"):
        return "heading"
    if len(text) > MAX_NAME or len(text.split()) > _MAX_WORDS:
        return "too_long"
    return "sentence" if _SAYS.match(text) or re.search(r"[a-z]{2}[.!?] +\w", text) else ""


def passed(text: str) -> str:
    """The text where it can be a name, a predicate or a value; else "", and it is counted with the reason."""
    if text in NOTHING:
        return ""
    reason = fault(text)
    if reason:
        refuse(f"name_{reason}", text)
    return "" if reason else text


def name(text: str) -> str:
    """A noun phrase in lower case without articles, quotes or punctuation; "" for what can't be one."""
    return passed(bare(text))


def bare(text: str) -> str:
    """A noun phrase in lower case without articles, remarks in brackets, quotes or punctuation, whatever it is."""
    words = plain(without_remark(without_markdown(text))).split()
    while words and words[0] in ("a", "an", "the", "and", "some"):
        words.pop(0)
    return " ".join(words)


def without_remark(text: str) -> str:
    """The text without a remark in brackets at its end: "man (on the left)" -> "man"."""
    text = text.strip()
    if text.endswith((")", ").", "),")):
        before = text[: text.rfind("(")] if "(" in text else text
        return before if before.strip(" \"'*") else text
    return text


def value(text: str) -> str:
    """A value or a predicate in lower case, without quotes or punctuation around it; "" for what can't be one."""
    return passed(plain(without_markdown(text)))


def field(text: str) -> str:
    """One field of a line that has several, such as a name or a value; "" where it says that there is nothing."""
    return name(text) if text.strip("-\u2013\u2014 ") else ""


def plain(text: str) -> str:
    """The text in lower case and on one line, without punctuation, quotes or whole brackets around it."""
    text = " ".join(text.lower().split()).strip(" .,;:!?\"'`\u201c\u201d\u2018\u2019[]{}<>*")
    if text.startswith("(") and (text.endswith(")") or ")" not in text):
        text = text.strip("() ")
    return text if text.count("(") == text.count(")") or ")" in text[:-1] else text.rstrip(")")


def distinct(items: Iterable[str]) -> list[str]:
    """The names without repeats or blanks, `MAX_ITEMS` at most; raises `UnreadableReply` where there are none."""
    kept = list(dict.fromkeys(item for item in items if item))[:MAX_ITEMS]
    if not kept:
        raise UnreadableReply("no_items")
    return kept
