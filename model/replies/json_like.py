"""JSON in replies, and what is nearly JSON."""

import ast
import json
import re
from collections.abc import Collection, Iterator
from typing import Any

_TRIES = 16


class Pairs(list[tuple[str, Any]]):
    """A JSON object with all its pairs: the paper's own example repeats a key."""

    def get(self, keys: Collection[str]) -> Any:
        """The first value under one of the keys, whatever their case; None where there is none."""
        return next((inner for key, inner in self if normal(key) in keys), None)


def normal(key: str) -> str:
    """A key as it is compared: "Object Name", "objectName" -> "object_name"."""
    return re.sub(r"[\s_-]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key.strip()).lower())


def json_values(text: str) -> list[Any]:
    """The JSON values in a text, the outermost ones; nothing where there is none that can be decoded."""
    decoder = json.JSONDecoder(object_pairs_hook=Pairs)
    found, at, tries = [], 0, 0
    text = straight(text)
    while tries < _TRIES and (at := _next_opening(text, at)) >= 0:
        tries += 1
        if _depth(text, at) > 50:
            break
        try:
            value, at = decoder.raw_decode(text, at)
            found.append(value)
        except ValueError:
            end = _closing(text, at)
            values = _python_values(text[at:end])
            found += values
            at = end if values else at + 1
    return found


def _python_values(text: str) -> list[Any]:
    """A dictionary or list as Python writes it, in single quotes, as what JSON would be; nothing where it is none."""
    if "\\" in text:  # Python warns of what it takes for an escape
        return []
    try:
        return [_paired(ast.literal_eval(text))]
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError, Warning):  # of numbers that run into words
        return []


def _paired(value: Any) -> Any:
    if isinstance(value, dict):
        return Pairs((str(key), _paired(inner)) for key, inner in value.items())
    return [_paired(inner) for inner in value] if isinstance(value, list) else value


def _next_opening(text: str, start: int) -> int:
    found = [i for i in (text.find("{", start), text.find("[", start)) if i >= 0]
    return min(found, default=-1)


def _depth(text: str, start: int) -> int:
    depth = deepest = 0
    for c in text[start:]:
        if c in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif c in "]}":
            depth -= 1
    return deepest


def _closing(text: str, start: int) -> int:
    """Where what is opened at `start` has been closed; the end of the text where it is not."""
    open = 0
    for at in range(start, len(text)):
        open += (text[at] in "[{") - (text[at] in "]}")
        if not open:
            return at + 1
    return len(text)


def straight(text: str) -> str:
    """The text with straight quotes."""
    return text.translate({0x201C: '"', 0x201D: '"', 0x2018: "'", 0x2019: "'"})


def json_fields(text: str, *keys: str) -> Iterator[str]:
    """The strings that follow one of the keys, in JSON or in something like it: `["key": "value"]`, `key: [value]`."""
    pattern = rf"""(?<![\w])["']?(?:{"|".join(keys)})["']?\s*:\s*\[?\s*["']?([^",\]}}\n]{{0,200}})"""
    for found in re.finditer(pattern, straight(text), re.IGNORECASE):
        yield found[1]
