"""Which fields of a request a server does not take, by the words of its error; each server has its own."""

import json
import re
from collections.abc import Collection
from typing import Any

_NEEDED = frozenset({"model", "messages"})
_BY_WORD = frozenset({"max_tokens", "max_completion_tokens", "n"})  # also named where only their value is too large
_UNKNOWN = re.compile(
    r"unsupported|not support|n't support|unrecogni[sz]ed|unknown|unexpected|extra.(?:inputs|fields|forbidden)|not permitted"
    r"|not allowed|cannot find field|not enabled|not available|not implemented|deprecated|remove|no such|instead",
    re.IGNORECASE,
)
_LOCATION = re.compile(r"""["']loc["']\s*:\s*[\[(]([^\])]*)""")
_ALSO_CALLED = {
    "response_format": r"json_schema|structured.outputs?|grammar|guided.(?:decoding|json)",
    "structured_outputs": r"structured.outputs?|guided.(?:decoding|choice)",
    "regex": r"regex|grammar|guided.(?:decoding|regex)",
    "logprobs": r"log.?prob(?:abilitie)?s",
}
_TOGETHER = {"logprobs": {"top_logprobs"}, "top_logprobs": {"logprobs"}}  # one says nothing without the other
LIMITS = ("max_completion_tokens", "max_new_tokens", "max_output_tokens")  # what max_tokens is called elsewhere


def refused_fields(fields: Collection[str], text: str) -> set[str]:
    """Tell which of a request's fields an error says the server does not take.

    Args:
        fields: the names of the request's fields.
        text: the error's body, in whatever form.

    Returns:
        Names out of `fields`, never model or messages.
        ["temperature"], "Unsupported value: 'temperature' does not support 0" -> {"temperature"}
    """
    optional = {field for field in fields if field not in _NEEDED}
    places = [re.findall(r"[\w.]+", place) for place in _LOCATION.findall(text)]
    named = {part for place in places for part in place} | set(re.split(r"[.\[\]]", _param(text)))
    found = {field for field in optional if field in named}
    if not found and not places:
        found = {field for field in optional if _names(field, text)}
        found = found or {field for field in optional if field in _ALSO_CALLED and _names(_ALSO_CALLED[field], text)}
    if not _UNKNOWN.search(text):
        found -= _BY_WORD
    for field in tuple(found):
        found |= _TOGETHER.get(field, set()) & optional
    return found


def _names(field: str, text: str) -> bool:
    return re.search(rf"(?<!\w)(?:{field})(?!\w)", text, re.IGNORECASE) is not None


def _param(text: str) -> str:
    """The field that an error in OpenAI's form is about."""
    try:
        told: Any = json.loads(text)
        told = told[0] if isinstance(told, list) else told
        told = told.get("error", told)
        return str(told.get("param") or "")
    except (AttributeError, LookupError, ValueError, RecursionError):
        return ""


def other_name(text: str) -> str:
    """The name that a server has for max_tokens, by the words with which it refuses that."""
    return next((name for name in LIMITS if name in text), LIMITS[0])
