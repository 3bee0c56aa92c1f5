"""A server's chat completions: a request is sent again while the server is busy or away, and no sooner than it says."""

import os
import time
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from model.video_llm import ClosedError, LastingError, VideoLLMError

_TRIES = 5
_AGAIN = (408, 409, 425, 429, 500, 502, 503, 504)
_LONGEST_WAIT = 120.0


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


class ChatCompletions:
    """`<url>/chat/completions` for one model; the key is the environment's OPENAI_API_KEY, if there is one."""

    def __init__(self, url: str, model: str, *, timeout: float) -> None:
        self.name = f"openai:{url}#{model}"
        self.model = model
        key = os.environ.get("OPENAI_API_KEY")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.http = httpx.Client(base_url=url, headers=headers, timeout=httpx.Timeout(timeout, connect=10))
        self._closed_until = 0.0  # a limit told to one request holds for all of them

    def post(self, body: dict[str, Any]) -> dict[str, Any]:
        """The reply to a request, to which the model's name is added.

        Raises:
            RefusedError: the server won't answer it.
            VideoLLMError: the server can't be reached now, or speaks no JSON.
        """
        trouble = ""
        for attempt in range(_TRIES):
            self._check_open()
            _sleep(self._closed_until - time.monotonic())
            wait = 0.5 * 2**attempt
            try:
                reply = self.http.post("chat/completions", json={"model": self.model} | body)
            except httpx.TransportError as e:
                trouble = f"{type(e).__name__}: {e}"
            else:
                if reply.is_success:
                    return self._read(reply)
                if reply.status_code not in _AGAIN:
                    raise RefusedError(self.name, reply.status_code, reply.text)
                trouble = f"status {reply.status_code} {reply.text[:200]}".rstrip()
                if (told := _told_wait(reply)) is not None:
                    self._close(told)
                    wait = max(0.0, wait - told)
            if attempt < _TRIES - 1:
                _sleep(wait)
        raise VideoLLMError(f"{self.name} can't be reached ({trouble}). Is the server up, and its address right?")

    def _close(self, seconds: float) -> None:
        self._closed_until = max(self._closed_until, time.monotonic() + seconds)
        self._check_open()

    def _check_open(self) -> None:
        """Raises where the server wants no request for longer than one waits for it."""
        if (left := self._closed_until - time.monotonic()) > _LONGEST_WAIT:
            detail = f"{self.name} wants no request for {left:.0f} s. Go on then, or raise its limit."
            raise ClosedError(detail, left)

    def _read(self, reply: httpx.Response) -> dict[str, Any]:
        try:
            return dict(reply.json())
        except (TypeError, ValueError) as e:
            raise VideoLLMError(f"{self.name} replied with something that is no JSON: {reply.text[:200]}") from e

    def choice(self, reply: dict[str, Any]) -> dict[str, Any]:
        """The one completion in a reply; its text is at `message.content`.

        Raises:
            VideoLLMError: there is none.
        """
        try:
            chosen = dict(reply["choices"][0])
            chosen["message"]["content"] = _text(chosen["message"]["content"] or "")
        except (AttributeError, LookupError, TypeError, ValueError) as e:
            raise VideoLLMError(f"{self.name} replied in another form than chat completions: {str(reply)[:200]}") from e
        return chosen


def _text(content: Any) -> str:
    """What was said; some servers, such as VILA's, say it in parts."""
    return str(content) if isinstance(content, str) else "".join(str(part.get("text") or "") for part in content)


def _sleep(seconds: float) -> None:
    if seconds > 0:
        time.sleep(seconds)


def _told_wait(reply: httpx.Response) -> float | None:
    """How long Retry-After asks to wait, as seconds or as a date (RFC 9110, 10.2.3)."""
    told = reply.headers.get("retry-after", "")
    try:
        return max(0.0, float(told))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(told).timestamp() - time.time())
    except ValueError:
        return None
