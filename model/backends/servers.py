"""What is known of servers of chat completions: how each is told to choose, and which are too old to be given media."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from model.backends.transport import Caller
from model.video_llm import LastingError, Stopped

_SECONDS = 10.0  # what a server says of itself comes at once or not at all
_MEDIA_FIXES = {
    "vLLM": (
        ((0, 11, 0), "CVE-2025-6242"),
        ((0, 12, 0), "CVE-2026-22773"),
        ((0, 14, 1), "CVE-2026-22778"),
        ((0, 14, 1), "CVE-2026-24779"),
        ((0, 19, 0), "CVE-2026-34755"),
    ),
    "SGLang": (((0, 5, 10), "CVE-2026-3059"), ((0, 5, 10), "CVE-2026-3060")),
}
_SOFTWARE = {"vllm": "vLLM", "sglang": "SGLang"}  # by `owned_by` in the list of its models
_VERSION_AT = {"vLLM": ("version",), "SGLang": ("server_info", "get_server_info")}
_GUIDES = {"vLLM": "structured_outputs", "SGLang": "regex"}


@dataclass(frozen=True, slots=True)
class Server:
    """What a server says that it is; both are empty where it doesn't tell."""

    software: str = ""
    version: str = ""

    @property
    def guide(self) -> str:
        """The field of a request that has this server reply with one of the choices; OpenAI's own for any other."""
        return _GUIDES.get(self.software, "response_format")


def look(caller: Caller, stopped: Stopped) -> Server:
    """Ask a server what it is; raises httpx.HTTPError where it can't tell now, CallTimeoutError where it hangs."""
    try:
        owner = str(_told(caller, "models", stopped)["data"][0]["owned_by"])
    except (LookupError, TypeError, ValueError, RecursionError):
        return Server()
    software = _SOFTWARE.get(owner, "")
    for path in _VERSION_AT.get(software, ()):
        try:
            return Server(software, str(_told(caller, f"../{path}", stopped)["version"]))
        except (LookupError, TypeError, ValueError, RecursionError):
            continue
    return Server(software)


def _told(caller: Caller, path: str, stopped: Stopped) -> Any:
    try:
        reply = caller.call("GET", path, None, stopped, _SECONDS)
    except LastingError:  # more than can be what a server says of itself
        return None
    if reply.status == 429 or reply.status >= 500:
        raise httpx.HTTPError(f"status {reply.status}")
    return json.loads(reply.text)


def check_safe(name: str, server: Server) -> None:
    """Check that a server is no older than the fixes of what is known of its handling of media.

    Raises:
        LastingError: it is.
    """
    told = re.match(r"(\d+)\.(\d+)\.(\d+)", server.version)  # a build between releases may have no such number
    if not told:
        return
    fixes = _MEDIA_FIXES[server.software]
    missing = [cve for fixed, cve in fixes if tuple(map(int, told.groups())) < fixed]
    if missing:
        newest = ".".join(map(str, max(fixed for fixed, _ in fixes)))
        remedy = f"Serve the model with {server.software} {newest} or newer."
        raise LastingError(
            f"{name} is {server.software} {server.version}, without the fix of {', '.join(missing)}: "
            f"no frame is sent to it. {remedy}",
            code="unsafe_server",
            remedy=remedy,
        )


def _choice(choices: Sequence[str]) -> Any:
    return {"choice": list(choices)}


def _regex(choices: Sequence[str]) -> Any:
    return "(" + "|".join(re.sub(r"([\\.^$*+?{}\[\]|()])", r"\\\1", c) for c in choices) + ")"


def json_form(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The value of `response_format` that has any of the servers reply with JSON of a schema."""
    return {"type": "json_schema", "json_schema": {"name": "reply", "strict": True, "schema": dict(schema)}}


def _json_schema(choices: Sequence[str]) -> Any:
    return json_form({"type": "string", "enum": list(choices)})


GUIDES: Mapping[str, Callable[[Sequence[str]], Any]] = {
    "structured_outputs": _choice,
    "regex": _regex,
    "response_format": _json_schema,
}


def scores(choices: Sequence[str], told: Any) -> tuple[float, ...]:
    """Log-probabilities of the choices, by the candidates for the first token that says anything.

    None where one of the choices has no candidate that it alone begins with.
    """
    try:
        first = next(place for place in told["content"] if _bare(place["token"]))
        candidates = [(_bare(c["token"]), c["logprob"]) for c in first["top_logprobs"]]
    except (AttributeError, LookupError, StopIteration, TypeError):
        return ()
    found: dict[str, float] = {}
    for token, logprob in candidates:
        begun = [c for c in choices if token and c.startswith(token)]
        if len(begun) == 1 and isinstance(logprob, (int, float)):
            found[begun[0]] = max(logprob, found.get(begun[0], -float("inf")))
    return tuple(found[c] for c in choices) if len(found) == len(choices) else ()


def _bare(token: str) -> str:
    return token.strip().strip('"')
