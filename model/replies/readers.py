"""Readers of kinds, yes and no, attributes, triplets, actions and rewrites.

Every reader is linear in its input, looks at a bounded part of it, and raises nothing but `UnreadableReply`.
"""

import re
from collections.abc import Iterator
from typing import Any

from model.replies.json_like import Pairs, json_fields, json_values, normal
from model.replies.lists import ITEM
from model.replies.tables import table_rows
from model.replies.text import (
    MAX_ITEMS,
    NOTHING,
    UnreadableReply,
    clean,
    clear,
    fault,
    name,
    passed,
    plain,
    value,
    without_markdown,
)
from model.stsg import Attribute, Kind

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
_TYPE_KEYS = (  # of two, the one that stands first here
    *(
        "attribute_type",
        "attribute_name",
        "type",
        "attribute",
        "property",
        "key",
        "category",
        "kind",
        "aspect",
        "feature",
    ),
    *("characteristic", "field", "name"),
)
_VALUE_KEYS = frozenset(["value", "values", "attribute_value", "val", "detail", "details", "description"])
_ABOUT_OBJECT = frozenset(
    ["object", "object_name", "name", "label", "id", "category", "type"]
)  # in a map, no types of attributes
_BOXES = frozenset(["bbox", "bbox_2d", "box", "bounding_box", "box_2d", "point", "point_2d", "coordinates"])
_NO_TYPES = frozenset({"object", "objects", "attributes", "attribute", "type", "value", "name", "answer", "quantity"})
_TRIPLET_KEYS = (
    frozenset(["subject", "subj", "source", "s", "head"]),
    frozenset(["predicate", "relation", "relationship", "pred", "verb", "p", "action"]),
    frozenset(["object", "obj", "target", "o", "tail"]),
)
_FIELD_LABEL = re.compile(r"(?:subject|predicate|relation|object)\s*:\s*", re.IGNORECASE)
_LETTER = re.compile(r"^[ \t]{0,8}(q|r|a|question|rationale|reasoning|answer)[ \t]{0,4}:", re.IGNORECASE | re.MULTILINE)
_REWRITE_KEYS = (
    frozenset(["q", "question", "rewritten_question", "new_question"]),
    frozenset(["r", "rationale", "rationales", "reasoning", "steps", "explanation"]),
    frozenset(["a", "answer", "final_answer"]),
)


def read_kind(reply: str) -> Kind:
    """Static or dynamic, by the first of the two words; "not static" is dynamic."""
    if (found := _SAID_KIND.search(clean(reply)[:200].lower())) is None:
        raise UnreadableReply("neither_static_nor_dynamic")
    return "static" if (found[2] == "static") == (found[1] is None) else "dynamic"


def read_yes_no(reply: str) -> bool:
    """Yes or no, by the first word that is either; "not true" is no."""
    if (found := _SAID_YES_NO.search(clean(reply)[:200].lower())) is None:
        raise UnreadableReply("neither_yes_nor_no")
    return (found[0] == "yes" or found[2] == "true") if found[1] is None else found[2] == "false"


def read_attributes(reply: str) -> list[Attribute]:
    """Typed attributes, from JSON (repeated keys kept), a table, or `type: value`, parted by commas or one a line."""
    text = clear(reply)
    pairs = [pair for item in json_values(" ".join(text.split())) for pair in _attribute_pairs(item)]
    pairs = pairs or _table_pairs(text)
    if not pairs:
        pairs = [(k, v) for k, v in _colon_pairs(text) if plain(k) not in _NO_TYPES]
    attributes = list[Attribute]()
    for type_text, value_text in pairs[: 4 * MAX_ITEMS]:
        if not _UNSEEN.fullmatch(plain(value_text)) and (said := value(value_text)) and (kind := name(type_text)):
            attributes.append(Attribute(kind, said))
    if not attributes:
        raise UnreadableReply("no_attributes")
    return sorted(set(attributes))[:MAX_ITEMS]


def _attribute_pairs(decoded: Any) -> Iterator[tuple[str, str]]:
    """(type, value) pairs in decoded JSON, in which objects are lists of pairs."""
    pending, seen = [decoded], 0
    while pending and seen < 10_000:
        seen += 1
        item = pending.pop(0)
        if isinstance(item, Pairs):
            kind = next((v for key in _TYPE_KEYS if isinstance(v := item.get((key,)), str)), None)
            values = item.get(_VALUE_KEYS)
            if kind is not None and values is not None:
                yield from ((kind, x) for x in _texts(values))
            else:
                yield from _pairs_of(item, pending)
        elif isinstance(item, list) and len(item) == 2 and all(isinstance(x, str) and ":" not in x for x in item):
            yield item[0], item[1]
        elif isinstance(item, list):
            pending.extend(item)


def _pairs_of(item: Pairs, pending: list[Any]) -> Iterator[tuple[str, str]]:
    """The pairs of a JSON object whose keys are types; what is within them goes to `pending`."""
    for key, inner in item:
        if isinstance(inner, str) and (normal(key) not in _ABOUT_OBJECT or (normal(key) == "type" and len(item) == 1)):
            yield key, inner
        elif isinstance(inner, Pairs):
            pending.append(inner)
        elif isinstance(inner, list) and normal(key) not in _BOXES:
            yield from ((key, x) for x in inner if isinstance(x, str))
            pending.extend(x for x in inner if not isinstance(x, str))


def _texts(values: Any) -> list[str]:
    return [x for x in (values if isinstance(values, list) else [values]) if isinstance(x, str)]


def _table_pairs(text: str) -> list[tuple[str, str]]:
    """(type, value) pairs in the rows of a table of two columns, or of one with such headers."""
    rows = table_rows(text)
    header = [normal(cell) for cell in rows[0]] if rows else []
    kinds = next((n for n, cell in enumerate(header) if cell in _TYPE_KEYS), 0)
    values = next((n for n, cell in enumerate(header) if cell in _VALUE_KEYS and n != kinds), 1)
    rows = rows[1:] if len(header) != 2 or header[0] in _TYPE_KEYS else rows
    return [(row[kinds], row[values]) for row in rows if len(row) > max(kinds, values)]


def _colon_pairs(text: str) -> Iterator[tuple[str, str]]:
    typed = ""
    for part in re.split(r"[,;{}\[\]\n]", text):
        item = ITEM.sub("", part)
        key, colon, said = item.partition(":")
        if not colon:
            key, colon, said = re.sub(r"\s+[-\u2013\u2014=]\s+", ":", item, count=1).partition(":")
        bare = normal(key.strip(" \"'"))
        if colon and bare in _TYPE_KEYS and bare != "category" and said.strip(" \"'"):
            typed = said
        elif colon and bare in _VALUE_KEYS and typed:
            yield typed, said
            typed = ""
        elif colon and 0 < len(key.split()) <= 3 and said.strip(" \"'"):
            yield key, said


def read_triplets(reply: str) -> list[tuple[str, str, str]]:
    """`<subject, predicate, object>` triplets, in order, without repeats or what is denied, which is no relation.

    Also as JSON, in round brackets, or as rows of a table.
    """
    text = clear(reply).replace("&lt;", "<").replace("&gt;", ">")
    found, denied = [], False
    for subject_text, predicate_text, object_text in _triplet_fields(text):
        hedged = plain(without_markdown(predicate_text))
        if _DENIES.search(hedged):
            denied = True
            continue
        subject, predicate, object = name(subject_text), passed(_HEDGES.sub("", hedged, count=1)), name(object_text)
        if subject and predicate and object:
            found.append((subject, predicate, object))
    if not found:
        raise UnreadableReply("only_denials" if denied else "no_triplets")
    return list(dict.fromkeys(found))[:MAX_ITEMS]


def _triplet_fields(text: str) -> list[list[str]]:
    """The three fields of each triplet, in whichever form the text has them."""
    parts = [part.partition(">") for part in " ".join(text.split()).split("<")[1 : 4 * MAX_ITEMS]]
    found = [_fields(inner) for inner, closed, _ in parts if closed]
    if not any(map(_is_triplet, found)):
        found = [fields for item in json_values(text) for fields in _json_triplets(item)]
    if not any(map(_is_triplet, found)):
        found = [_fields(inner) for inner in re.findall(r"\(([^()\n]{1,500})\)", text)[: 4 * MAX_ITEMS]]
    if not any(map(_is_triplet, found)):
        found = [row[-3:] for row in table_rows(text)[1:] if len(row) >= 3]
    if not any(map(_is_triplet, found)):
        found = [_fields(inner) for inner in re.findall(r"\[([^\[\]\n]{1,500})\]", text)[: 4 * MAX_ITEMS]]
    if not any(map(_is_triplet, found)):
        lines = [ITEM.sub("", line) for line in text.splitlines()[: 4 * MAX_ITEMS]]
        found = [_fields(re.sub(r"\s+(?:->|\u2192|-|\u2013)\s+", ",", line)) for line in lines]
    return [fields for fields in found if _is_triplet(fields)]


def _fields(text: str) -> list[str]:
    text = text if "," in text else text.replace(";", ",")
    return [_FIELD_LABEL.sub("", field.strip()) for field in text.split(",")]


def _is_triplet(fields: list[str]) -> bool:
    return len(fields) == 3 and all(fields)


def _json_triplets(decoded: Any) -> Iterator[list[str]]:
    """Triplets in decoded JSON: lists of three texts, or objects with the three keys."""
    pending, seen = [decoded], 0
    while pending and seen < 1000:
        seen += 1
        item = pending.pop(0)
        if isinstance(item, Pairs):
            said = [item.get(keys) for keys in _TRIPLET_KEYS]
            if all(isinstance(x, str) for x in said):
                yield said
            else:
                pending += [v for _, v in item if isinstance(v, list)]
        elif isinstance(item, list) and len(item) == 3 and all(isinstance(x, str) and "," not in x for x in item):
            yield item
        elif isinstance(item, list):
            pending += item


def read_action(reply: str) -> str:
    """A verb phrase: `{"action": "..."}`, or the phrase itself."""
    text = clear(reply)
    phrase = next(filter(str.strip, json_fields(text, "actions?", "verb", "activity")), "") or _only_text(text)
    phrase = _HEDGES.sub("", _ACTING.sub("", plain(phrase), count=1), count=1)
    if phrase in NOTHING:
        raise UnreadableReply("no_action")
    if reason := fault(phrase):
        raise UnreadableReply(f"action_{reason}")
    return phrase


def _only_text(text: str) -> str:
    """The text in JSON that has but one, else the first item of a list, or all of it."""
    found = [v for item in json_values(text) if isinstance(item, Pairs) for _, v in item if isinstance(v, str)]
    if len(found) == 1:
        return found[0]
    first = text.strip().splitlines()[0]
    return ITEM.sub("", first) if ITEM.match(first) else text


def read_predicate_object(reply: str) -> tuple[str, str]:
    """A predicate and the thing acted upon, "" for none: `{"predicate": "jumping on", "object": "bed"}`."""
    text = clear(reply)
    predicate = value(next(json_fields(text, "predicates?", "verb", "relation", "actions?"), ""))
    target = name(next(json_fields(text, "objects?", "target"), ""))
    if not predicate:
        raise UnreadableReply("no_predicate")
    return predicate, target


def read_rewrite(reply: str) -> tuple[str, tuple[str, ...], str]:
    """A question, its numbered steps and its answer: `{"Q": "...", "R": "1. ... 2. ...", "A": "..."}`, R also as a list.

    The keys may be whole words, in any case.
    """
    values = [x for item in json_values(clean(reply)) for x in ([item] if isinstance(item, Pairs) else _listed(item))]
    found = next((item for item in values if isinstance(item, Pairs)), None) or _lettered(reply)
    if len(found) == 1 and isinstance(found[0][1], Pairs):
        found = found[0][1]
    question, steps, answer = (found.get(keys) for keys in _REWRITE_KEYS)
    if isinstance(steps, Pairs):
        steps = [step for _, step in steps]
    if isinstance(steps, str):
        steps = _numbered(steps)
    if not isinstance(question, str) or not isinstance(answer, str) or not isinstance(steps, list):
        raise UnreadableReply("no_question_rationale_answer")
    lines = [re.sub(r"^(step\s*)?\d{1,2}\s*[.):]\s+", "", s, flags=re.IGNORECASE) for s in steps if isinstance(s, str)]
    if not question.strip() or not answer.strip() or not lines or not all(line.strip() for line in lines):
        raise UnreadableReply("empty_part")
    return question.strip(), tuple(line.strip() for line in lines), answer.strip()


def _listed(item: Any) -> list[Any]:
    return item if isinstance(item, list) else []


def _lettered(reply: str) -> Pairs:
    """The parts of "Q: ... R: ... A: ..." that begin a line each."""
    pieces = _LETTER.split(clear(reply))
    return Pairs(zip(pieces[1::2], map(str.strip, pieces[2::2]), strict=True))


def _numbered(text: str) -> list[str]:
    """The steps of "1. ... 2. ...": a number parts them only where it is the next one."""
    steps, rest = list[str](), text
    while found := re.search(rf"(?<![\w.])(?:step\s+)?{len(steps) + 2}\s*[.):]\s", rest, re.IGNORECASE):
        steps.append(rest[: found.start()])
        rest = rest[found.end() :]
    return [*steps, rest]
