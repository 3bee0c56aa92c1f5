"""Readers of a Video-LLM's replies: from text of any kind to a value, or an `UnreadableReply` that says why.

A model may return anything: another format, an echo of the prompt, a refusal, a loop, a megabyte. Every reader is linear
in its input, looks at no more than `MAX_CHARS` of it, and never raises anything else.
"""

import ast
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from model.marks import names, told_apart
from model.replies.wrappers import unwrap
from model.stsg import Attribute, Kind

MAX_ITEMS = 64
MAX_NAME = 160  # characters: a database indexes names
_MAX_WORDS = 12  # of a name, predicate or value; longer ones are sentences, not names
_ITEM = re.compile(r"^\s*(?:[-*•–]|\d{1,3}[.)])\s+")  # what begins an item of a list
_REFUSALS = ("i'm sorry", "i am sorry", "sorry,", "i cannot", "i can't", "i am unable", "i'm unable", "as an ai")
_DENIES = re.compile(r"\b(?:not|no|never|neither|nor|without|cannot)\b|n't\b")
_UNSEEN = re.compile(
    r"(?:not|un)\s?(?:visible|clear|known|specified|applicable|determined|discernible|identifiable)\b.*"
)
_HEDGES = re.compile(
    r"(?:(?:is|are)\s+)?(?:(?:appears?|seems?)\s+to\s+(?:be\s+)?|(?:can|may|might|could)\s+be\s+(?:seen\s+)?)"
)
_NOT = r"(\bnot |n't )?(?:\w+ )?\b"  # "not entirely true"
_SAID_KIND = re.compile(rf"{_NOT}(static|dynamic)\b")
_SAID_YES_NO = re.compile(rf"\b(?:yes|no)\b|{_NOT}(true|false)\b")
_ACTING = re.compile(  # "the man is walking" says what the man does
    r"(?:the|an?|this|that|it|he|she|they)\b(?: [\w'-]+){0,5}? (?:is|are|was|were|(?:seems?|appears?) to be) (?=\w+ing\b)"
)
_NOTHING = frozenset({"", "none", "null", "n/a", "nothing", "unknown", "na"})


class UnreadableReply(Exception):  # noqa: N818 # it is a reply that can't be read, not a fault
    """The model replied, but not in a form that the prompt asked for; `reason` is what it is counted under."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def read_sentence(reply: str) -> str:
    """A narrative of one or two sentences, on one line."""
    text = _clean(reply)
    words = text.split()
    if len(words) > 200:
        words = words[:200]
    return " ".join(words)[:2000]


def read_objects(reply: str) -> list[str]:
    """Distinct object names: `[circle, square]`, with or without words around it, or a plain list, also one a line."""
    text = _clean(reply, keep_lines=True)
    groups = re.findall(r"\[([^\[\]]*)\]", text)
    head, colon, tail = text.partition(":")
    headed = bool(colon) and len(head.split()) <= 6
    inner = ",".join(groups) if groups else tail if headed else text
    parts = [_ITEM.sub("", part) for part in re.split(r"[,\n;]", inner)]
    if not groups and not headed and "," not in inner and any(len(part.split()) > 3 for part in parts):
        raise UnreadableReply("no_list")
    names = [_name(part) for part in parts]
    return _distinct(name for name in names if name not in _NOTHING)


def read_instances(reply: str, category: str) -> list[str]:
    """The mark of each instance of `category`, "" for one that has none; several may have the same.

    Reads `Quantity: n` and numbered lines such as `1. circle 1: red`. Where the lines are more, those that say nothing new
    are echoes of the form that was asked for; else the lines are counted.
    """
    text = _clean(reply, keep_lines=True)
    marks: list[str] = []
    quantity = None
    for line in text.splitlines()[: 4 * MAX_ITEMS]:
        stripped = line.strip(" \t*-")
        if (found := re.match(r"quantity\s*:?\s*(\d{1,3})", stripped, re.IGNORECASE)) is not None:
            quantity = int(found[1])
        elif (found := re.match(r"\d{1,3}\s*[.):]\s*(.*)", stripped)) is not None:
            marks.append(told_apart(found[1], category)[:MAX_NAME])
        elif (found := re.match(r"([\w '*-]{1,60}?)\s*#?\d{1,3}\W{0,3}:", stripped)) and names(found[1], category):
            marks.append(told_apart(stripped, category)[:MAX_NAME])
    if not marks and quantity is None:
        raise UnreadableReply("no_quantity")
    if quantity is not None and not any(marks):
        marks = [""] * quantity
    elif quantity is not None and len(marks) > quantity:
        marks = list(dict.fromkeys(mark for mark in marks if mark))
    return marks[:MAX_ITEMS]


def read_kind(reply: str) -> Kind:
    """Static or dynamic, by the first of the two words; "not static" is dynamic."""
    if (found := _SAID_KIND.search(_clean(reply)[:200].lower())) is None:
        raise UnreadableReply("neither_static_nor_dynamic")
    return "static" if (found[2] == "static") == (found[1] is None) else "dynamic"


def read_yes_no(reply: str) -> bool:
    """Yes or no, by the first word that is either; "not true" is no."""
    if (found := _SAID_YES_NO.search(_clean(reply)[:200].lower())) is None:
        raise UnreadableReply("neither_yes_nor_no")
    return (found[0] == "yes" or found[2] == "true") if found[1] is None else found[2] == "false"


def read_attributes(reply: str) -> list[Attribute]:
    """Typed attributes, from JSON (repeated keys kept) or from `type: value`, parted by commas or one a line."""
    text = _clean(reply, keep_lines=True)
    pairs = [pair for value in _json_values(" ".join(text.split())) for pair in _attribute_pairs(value)]
    if not pairs:
        pairs = [(k, v) for k, v in _colon_pairs(text) if _plain(k) not in ("object", "attributes", "type", "value")]
    attributes = [Attribute(_name(k), _plain(v)) for k, v in pairs[: 4 * MAX_ITEMS]]
    kept = [a for a in attributes if a.type and a.value not in _NOTHING and _is_short(a.value)]
    kept = [a for a in kept if not _UNSEEN.fullmatch(a.value)]
    if not kept:
        raise UnreadableReply("no_attributes")
    return sorted(set(kept))[:MAX_ITEMS]


def _attribute_pairs(value: Any) -> Iterator[tuple[str, str]]:
    """(type, value) pairs in decoded JSON, in which objects are lists of pairs."""
    pending, seen = [value], 0
    while pending and seen < 10_000:
        seen += 1
        item = pending.pop(0)
        if isinstance(item, _Pairs):
            keys = [k for k, _ in item]
            if "type" in keys and "value" in keys:
                found = dict(item)
                values = found["value"] if isinstance(found["value"], list) else [found["value"]]
                if isinstance(found["type"], str):
                    yield from ((found["type"], x) for x in values if isinstance(x, str))
                continue
            for key, inner in item:
                if isinstance(inner, str) and key.lower() != "object":
                    yield key, inner
                elif isinstance(inner, _Pairs):
                    pending.append(inner)
                elif isinstance(inner, list):
                    strings = [x for x in inner if isinstance(x, str)]
                    yield from ((key, x) for x in strings)
                    pending.extend(x for x in inner if not isinstance(x, str))
        elif isinstance(item, list):
            pending.extend(item)


def read_triplets(reply: str) -> list[tuple[str, str, str]]:
    """`<subject, predicate, object>` triplets, in order, without repeats or what is denied, which is no relation."""
    text = _clean(reply)
    found, denied = [], False
    for part in text.split("<")[1 : 4 * MAX_ITEMS]:
        inner, closed, _ = part.partition(">")
        fields = [f.strip() for f in inner.split(",")]
        if closed and len(fields) == 3 and all(fields):
            subject, predicate, object = _name(fields[0]), _HEDGES.sub("", _plain(fields[1]), count=1), _name(fields[2])
            if _DENIES.search(predicate):
                denied = True
            elif subject and predicate and object and _is_short(predicate):
                found.append((subject, predicate, object))
    if not found:
        raise UnreadableReply("only_denials" if denied else "no_triplets")
    return list(dict.fromkeys(found))[:MAX_ITEMS]


def read_action(reply: str) -> str:
    """A verb phrase: `{"action": "..."}`, or the phrase itself."""
    text = _clean(reply)
    phrase = next(iter(_json_fields(text, "action")), text)
    phrase = _HEDGES.sub("", _ACTING.sub("", _plain(phrase), count=1), count=1)
    if phrase in _NOTHING:
        raise UnreadableReply("no_action")
    if not _is_short(phrase):
        raise UnreadableReply("action_too_long")
    return phrase


def read_predicate_object(reply: str) -> tuple[str, str]:
    """A predicate and the thing acted upon, "" for none: `{"predicate": "jumping on", "object": "bed"}`."""
    text = _clean(reply)
    predicate = _plain(next(iter(_json_fields(text, "predicate")), ""))
    target = _name(next(iter(_json_fields(text, "object")), ""))
    if predicate in _NOTHING or not _is_short(predicate):
        raise UnreadableReply("no_predicate")
    return predicate, "" if target in _NOTHING else target


def read_rewrite(reply: str) -> tuple[str, tuple[str, ...], str]:
    """A question, its numbered steps and its answer: `{"Q": "...", "R": "1. ... 2. ...", "A": "..."}`, R also as a list."""
    found = next((dict(value) for value in _json_values(_clean(reply)) if isinstance(value, _Pairs)), {})
    question, steps, answer = (found.get(key) for key in ("Q", "R", "A"))
    if isinstance(steps, str):
        steps = _numbered(steps)
    if not isinstance(question, str) or not isinstance(answer, str) or not isinstance(steps, list):
        raise UnreadableReply("no_question_rationale_answer")
    lines = [re.sub(r"^(step\s*)?\d{1,2}\s*[.):]\s+", "", s, flags=re.IGNORECASE) for s in steps if isinstance(s, str)]
    if not question.strip() or not answer.strip() or not lines or not all(line.strip() for line in lines):
        raise UnreadableReply("empty_part")
    return question.strip(), tuple(line.strip() for line in lines), answer.strip()


def _numbered(text: str) -> list[str]:
    """The steps of "1. ... 2. ...": a number parts them only where it is the next one."""
    steps, rest = list[str](), text
    while found := re.search(rf"(?<![\w.])(?:step\s+)?{len(steps) + 2}\s*[.):]\s", rest, re.IGNORECASE):
        steps.append(rest[: found.start()])
        rest = rest[found.end() :]
    return [*steps, rest]


def _clean(reply: str, *, keep_lines: bool = False) -> str:
    """The readable part of a reply: bounded, without control characters or half characters; never empty."""
    unwrapped = unwrap(reply)
    if unwrapped.thoughts_only:
        raise UnreadableReply("thoughts_only")
    text = "".join(c if c.isprintable() or c == "\n" else " " for c in unwrapped.text).strip()
    if not keep_lines:
        text = " ".join(text.split())
    if not text:
        raise UnreadableReply("empty")
    lowered = text[:80].lower()
    if lowered.startswith(_REFUSALS):
        raise UnreadableReply("refusal")
    if _loops(text):
        raise UnreadableReply("loop")
    return text


def _loops(text: str) -> bool:
    """Whether a long reply says the same few words over and over."""
    words = text.split()
    if len(words) > 60:
        return len(set(words)) < len(words) / 15
    return len(text) > 2000 and len({text[i : i + 8] for i in range(0, len(text) - 8, 8)}) < len(text) / 120


def _name(text: str) -> str:
    """A noun phrase in lower case without articles, quotes or punctuation; "" for one that is too long to be one."""
    words = _plain(text).split()
    while words and words[0] in ("a", "an", "the", "and", "some"):
        words.pop(0)
    name = " ".join(words)
    return name if len(words) <= _MAX_WORDS and len(name) <= MAX_NAME else ""


def field(text: str) -> str:
    """One field of a line that has several, such as a name or a value; "" where it says that there is nothing."""
    name = _name(text)
    return "" if name in _NOTHING or not name.strip("-–— ") else name


def _is_short(text: str) -> bool:
    return len(text) <= MAX_NAME and len(text.split()) <= _MAX_WORDS


def _plain(text: str) -> str:
    return " ".join(text.lower().split()).strip(" .,;:!?\"'`“”‘’[](){}<>*")


def _distinct(items: Iterator[str] | Sequence[str]) -> list[str]:
    kept = list(dict.fromkeys(items))[:MAX_ITEMS]
    if not kept:
        raise UnreadableReply("no_items")
    return kept


def _colon_pairs(text: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"[,;{}\[\]\n]", text):
        key, colon, value = _ITEM.sub("", part).partition(":")
        if colon and 0 < len(key.split()) <= 3:
            yield key, value


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with all its pairs: the paper's own example repeats a key."""


def _json_values(text: str) -> list[Any]:
    """The JSON values in a text, the outermost ones; nothing where there is none that can be decoded."""
    decoder = json.JSONDecoder(object_pairs_hook=_Pairs)
    found, at, tries = [], 0, 0
    text = _straight(text)
    while tries < 8 and (at := _next_opening(text, at)) >= 0:
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
        return _Pairs((str(key), _paired(inner)) for key, inner in value.items())
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


def _straight(text: str) -> str:
    return text.replace("“", '"').replace("”", '"').replace("‘", "'").replace("’", "'")


def _json_fields(text: str, key: str) -> Iterator[str]:
    """The strings that follow a key, in JSON or in something like it: `["key": "value"]`."""
    straight = _straight(text)
    for found in re.finditer(rf"""["']?{key}["']?\s*:\s*["']?([^",\]}}]{{0,200}})""", straight, re.IGNORECASE):
        yield found[1]
