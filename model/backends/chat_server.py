"""A text model behind an OpenAI-compatible server, told something by the system and by the user, at temperature 0."""

import os
import time
from typing import Any

import httpx

from model.video_llm import VideoLLMError

_TRIES = 5
_AGAIN = (408, 409, 425, 429, 500, 502, 503, 504)
_LONGEST_WAIT = 30.0


class ChatServer:
    """A model behind `<url>/chat/completions`; the key is the environment's OPENAI_API_KEY, if there is one."""

    def __init__(self, url: str, name: str, *, timeout: float = 120, max_tokens: int = 128) -> None:
        self.name = f"openai:{url}#{name}"
        self._model, self._max_tokens = name, max_tokens
        key = os.environ.get("OPENAI_API_KEY")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=httpx.Timeout(timeout, connect=10))

    def __call__(self, system: str, user: str) -> str:
        """The reply, as it is.

        Raises:
            VideoLLMError: none can be had now.
        """
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        body = {"model": self._model, "messages": messages, "temperature": 0, "max_tokens": self._max_tokens}
        reply = self._post(body)
        try:
            return said(reply.json()["choices"][0])
        except (AttributeError, LookupError, TypeError, ValueError) as e:
            raise VideoLLMError(f"{self.name} replied in another form than chat completions: {reply.text[:200]}") from e

    def _post(self, body: dict[str, Any]) -> httpx.Response:
        trouble = ""
        for attempt in range(_TRIES):
            try:
                reply = self._http.post("chat/completions", json=body)
            except httpx.TransportError as e:
                trouble = f"{type(e).__name__}: {e}"
            else:
                if reply.is_success:
                    return reply
                if reply.status_code not in _AGAIN:
                    raise VideoLLMError(f"{self.name} refused: {reply.status_code} {reply.text[:300]}")
                trouble = f"status {reply.status_code} {reply.text[:200]}".rstrip()
            if attempt < _TRIES - 1:
                time.sleep(min(0.5 * 2**attempt, _LONGEST_WAIT))
        raise VideoLLMError(f"{self.name} can't be reached ({trouble}). Is the server up, and its address right?")


def said(choice: Any) -> str:
    """The text of a choice; some servers, such as VILA's, reply in parts."""
    content = choice["message"]["content"] or ""
    return content if isinstance(content, str) else "".join(str(part.get("text") or "") for part in content)
