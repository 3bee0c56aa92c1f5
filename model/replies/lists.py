"""Readers of lists: which objects there are, and how many of each."""

import re
from collections.abc import Iterator
from typing import Any

from model.marks import names, told_apart
from model.replies.json_like import Pairs, json_values, normal
from model.replies.tables import column, table_rows
from model.replies.text import MAX_ITEMS, MAX_NAME, UnreadableReply, clear, distinct, name, without_remark

NAME_KEYS = frozenset(
    [
        "object",
        "objects",
        "object_name",
        "name",
        "names",
        "label",
        "labels",
        "item",
        "items",
        "entity",
        "entities",
        "category",
        "class",
        "class_name",
        "title",
        "thing",
        "noun",
        "text",
        "description_of_object",
        "tag",
        "tags",
        "subject",
    ]
)
_MARKER = r"(?:[-*+\u2022\u2013\u25cf\u25aa\u2023]|\(?\d{1,3}[.):]|\(?[a-z]\)|[a-z]\.)(?:\s+\[[ x]\])?"
ITEM = re.compile(rf"^( *){_MARKER}\s+(?=\S)")  # what begins an item of a list
_LABEL = r"(?:(?:object|item|thing|entity|name|label|category|class)(?: name)?(?: ?#?\d{1,3})?)"
_LABELLED = re.compile(rf"{_LABEL}\s*[:=]\s*(?=\S)", re.IGNORECASE)
_FIELD = re.compile(r"[\w ]{1,24}:", re.IGNORECASE)
_HEADER = re.compile(
    r"\b(?:objects?|items?|things?|entit(?:y|ies)|list|names?|nouns?|people|animals?|are|is|includes?|contains?|seen|visible)\b",
    re.IGNORECASE,
)
_NONE = re.compile(
    r"(?:(?:there (?:are|is|were) (?:no|not any|nothing|none)|there (?:aren't|isn't) any"
    r"|(?:it|the \w+|this \w+) (?:contains?|shows?|has|have) no(?:thing)?"
    r"|i (?:do not|don't|could not|couldn't) (?:see|find|detect|identify|observe))\b.*"
    r"|(?:no|none|nothing|not any|n/?a|nil|null|empty)\b[^,\n\[]*|\[\s*\]|\[?\s*(?:none|null|n/a)\s*\]?)",
    re.IGNORECASE,
)
_PROSE = re.compile(
    r"[^\[\]\n:]{0,160}?\b(?:(?:objects?|items?|things|entities|elements)\b[^\[\]\n:,]{0,100}?"
    r"\b(?:are|is|include|includes|including|would be)"
    r"|(?:image|video|scene|frame|picture|clip|photo|keyframe)s? (?:shows?|contains?|depicts?|features?|includes?|has)"
    r"|there (?:is|are|was|were)"
    r"|(?:i|we|you|one) (?:can |could )?(?:see|observe|identify|detect|find))\b[: ]\s*(?:the following )?",
    re.IGNORECASE,
)
_PLACE = re.compile(
    r"\s+(?:in|of|on|from|within) (?:the|this|that)"
    r" (?:image|video|scene|frame|picture|clip|photo|keyframe|foreground|background)s?\b.*"
)
_DESCRIBES = re.compile(r"\s+(?:[-\u2013\u2014]+|->|=>|=|\u2192)\s+|\s*:\s*|\s*\u2014\s*")
_SPOKEN = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
]
NUMBERS = {word: n for n, word in enumerate(_SPOKEN)} | {
    "a": 1,
    "an": 1,
    "single": 1,
    "only one": 1,
    "a single": 1,
    "no": 0,
    "none": 0,
    "a pair of": 2,
    "a couple of": 2,
    "a dozen": 12,
    "dozen": 12,
}
_NUMBER = rf"(\d{{1,3}}(?!\d)|(?:{'|'.join(sorted(NUMBERS, key=len, reverse=True))})\b)"
_ABOUT = (
    r"(?:\W|about|around|approximately|approx\.?|roughly|nearly|exactly|only|at least|at most|over|circa"
    r"|is|are|of|it){0,8}?"
)
_QUANTITY = re.compile(
    rf"\b(?:quantity|count|total(?: number)?|amount|number|how many)\b(?: of [\w' -]{{1,40}}?)?"
    rf"{_ABOUT}\W{{0,3}}(?<!\w){_NUMBER}",
    re.IGNORECASE,
)
_COUNTED = re.compile(
    rf"\W{{0,3}}(?:(?:there (?:is|are)|i (?:can )?see) )?{_ABOUT}(?<!\w){_NUMBER}(?: [\w' -]{{1,60}})?\W*",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r" *(?:[-*\u2022] +)?\(?#?\d{1,3}\s*[.):]\s*(.*)")
_QUANTITY_KEYS = frozenset(["quantity", "count", "number", "total", "amount"])


_TAG = re.compile(r"</?[a-z_]{1,20}>", re.IGNORECASE)
_ALSO = re.compile(r"(object|item|name|label)[ _]?\d{1,3}", re.IGNORECASE)


def read_objects(reply: str) -> list[str]:
    """Distinct object names: `[circle, square]`, a list, also one a line and with descriptions, a table, JSON or a sentence.

    "1. **Man**: walking on the left" -> ["man"]
    """
    text = _TAG.sub("", clear(reply))
    if _NONE.fullmatch(text.strip(" .!")):
        raise UnreadableReply("no_items")
    values = json_values(text)
    found = [n for value in values for n in _names_in(value)] or _half_json(text)
    if not found and (rows := table_rows(text)):
        found = column(rows, NAME_KEYS)
    if not found:
        groups = [group for group in re.findall(r"\[([^\[\]]*)\]", text) if group.strip(" x")]
        found = (
            [_DESCRIBES.split(part.strip())[0] for group in groups for part in _parts(group)]
            if groups
            else _listed(text)
        )
    return distinct(name(ITEM.sub("", f"{part.strip()} ")) for part in found[: 4 * MAX_ITEMS])


def _names_in(value: Any) -> Iterator[str]:
    """The names in decoded JSON."""
    pending, seen = [value], 0
    while pending and seen < 1000:
        seen += 1
        item = pending.pop(0)
        if isinstance(item, str):
            yield item
        elif isinstance(item, Pairs):
            under = item.get(NAME_KEYS)
            if under is None:
                under = _without_names(item)
            pending[:0] = under if isinstance(under, list) and not isinstance(under, Pairs) else [under]
        elif isinstance(item, list):
            pending[:0] = item


def _without_names(item: Pairs) -> list[Any]:
    """What may be names in an object that has no key for them: what is in it, or what it tells of."""
    inner = [v for _, v in item]
    if len(item) == 1 and isinstance(inner[0], list):
        return [inner[0]]
    if (kind := item.get({"type"})) is not None:
        return [kind]
    if all(key.strip().isdigit() or _ALSO.fullmatch(key.strip()) for key, _ in item):
        return inner
    return [key for key, _ in item if not normal(key).startswith(("bbox", "box", "score", "confidence", "id", "point"))]


def _half_json(text: str) -> list[str]:
    """The names in JSON that was cut off or is not quite JSON."""
    return re.findall(
        r"""["'](?:object|name|label|item|category|object_name)["']\s*:\s*["']([^"'{}\[\]]{1,200})["']""",
        text,
        re.IGNORECASE,
    )


def _parts(text: str) -> list[str]:
    """The items of a list on one line; commas in brackets part none."""
    parts, depth, start = [], 0, 0
    for at, c in enumerate(text):
        depth = max(0, depth + (c == "(") - (c == ")"))
        if (c in ",;" and not depth) or c == "\n":
            parts.append(text[start:at])
            start, depth = at + 1, 0
    return [*parts, text[start:]]


def _listed(text: str) -> list[str]:
    """The items of a list without brackets: with marks, one a line, or in a sentence."""
    text = text[1:-1] if text.startswith("(") and text.find(")") == len(text) - 1 else text
    if "\n" not in text and (" | " in text or " / " in text):
        return re.split(r"\s[|/]\s", text)
    if len(re.findall(r"(?<!\S)\d{1,2}[.)] ", text)) > 1 and "\n" not in text:  # numbered on one line
        text = re.sub(r"(?<!\S)(?=\d{1,2}[.)] )", "\n", text)
    lines = [line for line in text.splitlines() if line.strip()]
    items = [(found, line) for line in lines if (found := ITEM.match(line))]
    if len(items) > 1:
        depth = min(len(found[1]) for found, _ in items)
        return [
            part
            for found, line in items
            if len(found[1]) <= depth + 1
            for part in _described(line[found.end() :], len(items))
        ]
    if len(lines) > 1:
        rest = lines[1:] if lines[0].rstrip().endswith(":") or _PROSE.fullmatch(lines[0]) else lines
        return [part for line in rest for part in _line(ITEM.sub("", line), len(rest))]
    return _line(ITEM.sub("", lines[0]), 1)


def _described(item: str, items: int) -> list[str]:
    """The names in an item of a list, without what it says of them."""
    item = item[found.end() :] if (found := _LABELLED.match(item)) else item
    head, *rest = _DESCRIBES.split(without_remark(item), maxsplit=1)
    if rest:
        return [head]
    parts = _parts(head)
    short = all(len(part.split()) <= 2 and not re.search(r"ing\b", part) for part in parts)
    return parts if short or items == 1 else parts[:1]


def _line(line: str, lines: int) -> list[str]:
    """The names in a line that is no item of a list."""
    if found := _LABELLED.match(line):
        return _parts(line[found.end() :])
    head, colon, tail = line.partition(":")
    if (
        colon
        and tail.strip()
        and len(head.split()) <= 8
        and (_HEADER.search(head) or (lines == 1 and ("," in tail or "," not in head)))
    ):
        return _sentence_parts(tail)
    if found := _PROSE.match(line):
        return _sentence_parts(line[found.end() :])
    if lines > 1 and "," not in head and colon:
        return [head]
    parts = _parts(line)
    last = re.split(r"\s+and\s+", parts[-1])
    if len(last) == 2 and all(0 < len(piece.split()) <= 2 for piece in last):
        parts = [*parts[:-1], *last]
    if (
        len(parts) == 1
        and len(parts[0].split()) > 3
        and lines == 1
        and not _DESCRIBES.search(line)
        and not line.strip().endswith(")")
    ):
        raise UnreadableReply("no_list")
    if len(parts) == 1:
        return _described(line, lines)
    return [*parts[:-1], re.sub(r"^\s*(?:and|or)\s+", "", parts[-1])]


def _sentence_parts(text: str) -> list[str]:
    """The names in "a man, a dog, and a bench in the image."."""
    first = re.split(r"(?<=[a-z]{2})[.!?](?:\s|$)", text, maxsplit=1)[0]
    parts = [piece for part in _parts(first) for piece in re.split(r"\s+and\s+(?=an?\b|the\b|some\b)|^\s*and\s+", part)]
    if len(parts) > 0:
        last = re.split(r"\s+and\s+", parts[-1])
        parts = [*parts[:-1], *last] if all(len(piece.split()) <= 3 for piece in last) else parts
    return [_PLACE.sub("", part) for part in parts]


def read_instances(reply: str, category: str) -> list[str]:
    """The mark of each instance of `category`, "" for one that has none; several may have the same.

    Reads `Quantity: n`, also in words, and numbered lines such as `1. circle 1: red`. Where the lines are more, those that
    say nothing new are echoes of the form that was asked for; else the lines are counted.
    """
    text = clear(reply)
    quantity, marks = _in_json(json_values(text), category)
    if quantity is None and not marks:
        quantity, marks = _in_lines(text, category)
    if not marks and quantity is None:
        if (counted := _COUNTED.fullmatch(text[:200])) is None:
            raise UnreadableReply("no_quantity")
        quantity = _number(counted[1])
    if quantity is not None and not any(marks):
        marks = [""] * quantity
    elif quantity is not None and len(marks) > quantity:
        marks = list(dict.fromkeys(mark for mark in marks if mark))
    return marks[:MAX_ITEMS]


def _number(text: str) -> int:
    return int(text) if text.isdigit() else NUMBERS[text.lower()]


def _in_lines(text: str, category: str) -> tuple[int | None, list[str]]:
    """The quantity that lines give, None for none, and the marks."""
    marks: list[str] = []
    quantity = None
    for line in re.sub(r"(?<=[^\n]) +(?=1[.)] )", "\n", text).splitlines()[: 4 * MAX_ITEMS]:
        cells = [cell.strip() for cell in line.strip(" |").split("|")]
        if len(cells) == 2 and names(cells[0], category) and cells[1].isdigit():
            line = f"Quantity: {cells[1]}"
        if len(cells) > 2 and cells[0].isdigit():
            line = f"{cells[0]}. {': '.join(cells[1:])}"
        stripped = line.strip(" *-")
        if (found := _QUANTITY.search(stripped)) is not None:
            quantity = _number(found[1]) if quantity is None else quantity
        elif (found := _NUMBERED.fullmatch(line)) is not None:
            marks.append(_mark(found[1], category))
        elif (found := re.match(r"([\w '*-]{1,60}?)\s*#?\d{1,3}\W{0,3}:", stripped)) and names(found[1], category):
            marks.append(_mark(stripped, category))
        elif marks and not marks[-1] and re.match(r" +[-*\u2022] ", line):  # what is said of the item above
            marks[-1] = _mark(_FIELD.sub("", stripped, count=1), category)
    return quantity, marks


def _mark(text: str, category: str) -> str:
    return told_apart(text, category)[:MAX_NAME]


def _in_json(values: list[Any], category: str) -> tuple[int | None, list[str]]:
    """The quantity that JSON gives, None for none, and the marks."""
    quantity, marks = None, list[str]()
    for value in values[:MAX_ITEMS]:
        for item in value if isinstance(value, list) and not isinstance(value, Pairs) else [value]:
            if not isinstance(item, Pairs):
                continue
            said = item.get(_QUANTITY_KEYS)
            if isinstance(said, int | str) and (found := re.search(_NUMBER, str(said), re.IGNORECASE)):
                quantity = _number(found[1])
            inner = next((v for _, v in item if isinstance(v, list)), [])
            marks += [_mark(_remark(one), category) for one in inner if isinstance(one, str | Pairs)]
    return quantity, marks


def _remark(item: str | Pairs) -> str:
    """What is said of an instance: its last text."""
    if isinstance(item, str):
        return item
    return next((v for _, v in reversed(item) if isinstance(v, str)), "")
