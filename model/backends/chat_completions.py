"""A server's chat completions: a request is sent again while the server is busy or away, and no sooner than it says."""

import json
import math
import os
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from model.backends.refused import other_name, refused_fields
from model.backends.transport import Answer, Caller, CallLimits, parsed, without_surrogates
from model.video_llm import STOPPED, ClosedError, LastingError, Stopped, StoppedError, VideoLLMError

_TRIES = 5
_GLANCE = 0.25  # seconds between two looks at whether the reply is still wanted
_AGAIN = (408, 409, 425, 429, 500, 502, 503, 504)
_FOREVER = 30 * 86_400.0  # seconds; what asks for longer asks for nothing that can be waited for


_REMEDIES = {
    401: "Set OPENAI_API_KEY to a key that the server takes, then retry the job.",
    403: "Use a key that may call this model, then retry the job.",
    404: "Check the server's address and the model's name in STSG_MODELS, then retry the job.",
}
_REMEDY = "Mend what the server names (its limits, the model's name, the run's options), then retry the job."


class RefusedError(LastingError):
    """A request that the server won't answer however often it is sent; `status` and `text` are what it says."""

    def __init__(self, name: str, status: int, text: str) -> None:
        detail = f"{name} refused: {status} {text[:300]}"
        super().__init__(detail, code="model_refused", remedy=_REMEDIES.get(status, _REMEDY))
        self.status, self.text = status, text


@dataclass(frozen=True, slots=True)
class Completion:
    """What a server gives as the model's reply, and beside it."""

    text: str
    finish: str = ""
    thoughts: str = ""
    tools: str = ""
    logprobs: Any = None


class ChatCompletions:
    """`<url>/chat/completions` for one model; the key is the environment's OPENAI_API_KEY, if there is one."""

    def __init__(self, url: str, model: str, *, limits: CallLimits | None = None) -> None:
        self.name = f"openai:{url}#{model}"
        self.model = model
        key = os.environ.get("OPENAI_API_KEY")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.limits = limits or CallLimits()
        self.caller = Caller(url, headers, self.limits)
        self._closed_until = 0.0  # a limit told to one request holds for all of them
        self._left_out: set[str] = set()  # fields of a request that the server said it doesn't take
        self._most = "max_tokens"  # what this server calls that field

    def post(self, body: dict[str, Any], stopped: Stopped | None = None) -> dict[str, Any]:
        """The reply to a request, to which the model's name is added.

        A field that the server says it doesn't take is left out, or goes by another name, now and from now on.

        Raises:
            RefusedError: the server won't answer it.
            LastingError: the reply is too large, too deep, or no JSON.
            VideoLLMError: the server can't be reached now.
            StoppedError: the reply is not wanted any more.
        """
        stopped = stopped or STOPPED.get()
        while True:
            sent = self._taken_fields(body)
            try:
                return self._post({"model": self.model} | sent, stopped)
            except RefusedError as e:
                refused = refused_fields(sent, e.text) if e.status in (400, 422) else set()
                if not refused:
                    raise
                self._learn(refused, e.text)

    def _taken_fields(self, body: dict[str, Any]) -> dict[str, Any]:
        named = {self._most if k == "max_tokens" else k: v for k, v in body.items()}
        return {k: v for k, v in named.items() if k not in self._left_out}

    def _learn(self, refused: set[str], text: str) -> None:
        if "max_tokens" in refused and self._most == "max_tokens":
            self._most = other_name(text)
        self._left_out |= refused

    def _post(self, body: dict[str, Any], stopped: Stopped) -> dict[str, Any]:
        trouble = ""
        for attempt in range(_TRIES):
            self._check_open()
            _sleep(self._closed_until - time.monotonic(), stopped)
            wait = 0.5 * 2**attempt
            try:
                reply = self.caller.call("POST", "chat/completions", body, stopped)
            except httpx.HTTPError as e:
                trouble = f"{type(e).__name__}: {e}"
            except (httpx.InvalidURL, UnicodeError) as e:
                raise LastingError(f"{self.name} is no address: {e}", code="unusable_model", remedy=_REMEDY) from e
            else:
                if reply.is_success:
                    return self._read(reply)
                if reply.status not in _AGAIN and reply.status < 500:
                    raise RefusedError(self.name, reply.status, reply.text)
                trouble = f"status {reply.status} {reply.text[:200]}".rstrip()
                if (told := _told_wait(reply)) is not None:
                    self._close(told)
                    wait = max(0.0, wait - told)
            if attempt < _TRIES - 1:
                _sleep(wait, stopped)
        raise VideoLLMError(f"{self.name} can't be reached ({trouble}). Is the server up, and its address right?")

    def _close(self, seconds: float) -> None:
        self._closed_until = max(self._closed_until, time.monotonic() + seconds)
        self._check_open()

    def _check_open(self) -> None:
        """Raises where the server wants no request for longer than one waits for it."""
        if (left := self._closed_until - time.monotonic()) > self.limits.wait_seconds:
            detail = f"{self.name} wants no request for {left:.0f} s. Go on then, or raise its limit."
            raise ClosedError(detail, left)

    def _read(self, reply: Answer) -> dict[str, Any]:
        try:
            return dict(parsed(reply.text, self.limits.depth))
        except (TypeError, ValueError) as e:
            raise _other_form(f"{self.name} replied with something that is no JSON: {reply.text[:200]}") from e

    def choice(self, reply: dict[str, Any]) -> Completion:
        """The one completion in a reply; a message without content is an empty one.

        Raises:
            LastingError: there is none.
        """
        try:
            chosen = dict(reply["choices"][0])
            message = dict(chosen["message"])
            return Completion(
                without_surrogates(_text(message.get("content"))),
                without_surrogates(str(chosen.get("finish_reason") or "")),
                without_surrogates(_text(message.get("reasoning_content") or message.get("reasoning"))),
                without_surrogates(_tools(message)),
                chosen.get("logprobs"),
            )
        except (AttributeError, LookupError, TypeError, ValueError) as e:
            raise _other_form(f"{self.name} replied in another form than chat completions: {str(reply)[:200]}") from e


def _other_form(detail: str) -> LastingError:
    remedy = (
        "Check that the address is that of an OpenAI-compatible server, such as http://host/v1; then retry the job."
    )
    return LastingError(without_surrogates(detail), code="not_chat_completions", remedy=remedy)


def _text(content: Any) -> str:
    """What was said; some servers, such as VILA's, say it in parts."""
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(part if isinstance(part, str) else str(part.get("text") or "") for part in content)


def _tools(message: dict[str, Any]) -> str:
    """The calls of tools in a message, as JSON; none is an empty text."""
    calls = message.get("tool_calls") or message.get("function_call")
    return json.dumps(calls, ensure_ascii=False) if calls else ""


def _sleep(seconds: float, stopped: Stopped) -> None:
    while seconds > 0:
        if stopped():
            raise StoppedError
        time.sleep(min(seconds, _GLANCE))
        seconds -= _GLANCE


def _told_wait(reply: Answer) -> float | None:
    """How long Retry-After asks to wait, as seconds or as a date (RFC 9110, 10.2.3); None where it is odd."""
    told = reply.headers.get("retry-after", "")
    try:
        seconds = float(told)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(told).timestamp() - time.time()
        except (ValueError, OverflowError, OSError):
            return None
    return None if math.isnan(seconds) else min(max(0.0, seconds), _FOREVER)
