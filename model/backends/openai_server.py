"""Any OpenAI-compatible server (vLLM, SGLang): frames first and the question last, so that its prefix cache works."""

import base64
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import cv2
import httpx

from model.backends.chat_server import said
from model.stsg import Keyframe
from model.video_llm import Reply, Request, VideoLLMError

_TRIES = 5
_AGAIN = (408, 409, 425, 429, 500, 502, 503, 504)
_LONGEST_WAIT = 30.0


class OpenAIVideoLLM:
    """A model behind `<url>/chat/completions`; the key is the environment's OPENAI_API_KEY, if there is one."""

    def __init__(self, url: str, name: str, *, concurrency: int = 8, timeout: float = 120) -> None:
        self.name = f"openai:{url}#{name}"
        self.prompt_set = "standard"
        self._model, self._concurrency = name, concurrency
        key = os.environ.get("OPENAI_API_KEY")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=httpx.Timeout(timeout, connect=10))
        self._guided = True  # until the server refuses it

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        with ThreadPoolExecutor(self._concurrency) as pool:
            return list(pool.map(self._reply, requests))

    def _reply(self, request: Request) -> Reply:
        since = time.monotonic()
        reply = self._post(request, guided=self._guided and bool(request.choices))
        try:
            choice = reply["choices"][0]
            text = said(choice)
            used = dict(reply.get("usage") or {})
        except (AttributeError, LookupError, TypeError, ValueError) as e:
            raise VideoLLMError(f"{self.name} replied in another form than chat completions: {str(reply)[:200]}") from e
        return Reply(
            text.strip(),
            _scores(request.choices, choice.get("logprobs")),
            tokens_in=int(used.get("prompt_tokens") or 0),
            tokens_out=int(used.get("completion_tokens") or 0),
            milliseconds=(time.monotonic() - since) * 1000,
        )

    def _post(self, request: Request, *, guided: bool) -> dict[str, Any]:
        body = self._body(request, guided=guided)
        trouble = ""
        for attempt in range(_TRIES):
            try:
                reply = self._http.post("chat/completions", json=body)
            except httpx.TransportError as e:
                trouble, wait = f"{type(e).__name__}: {e}", 0.5 * 2**attempt
            else:
                if reply.is_success:
                    try:
                        return dict(reply.json())
                    except (TypeError, ValueError) as e:
                        raise VideoLLMError(f"{self.name} replied with something that is no JSON.") from e
                if guided and reply.status_code in (400, 422):
                    self._guided = False  # an older server: ask plainly from now on
                    return self._post(request, guided=False)
                if reply.status_code not in _AGAIN:
                    raise VideoLLMError(f"{self.name} refused: {reply.status_code} {reply.text[:300]}")
                trouble, wait = f"status {reply.status_code} {reply.text[:200]}".rstrip(), _wait(reply, attempt)
            if attempt < _TRIES - 1:
                time.sleep(min(wait, _LONGEST_WAIT))
        raise VideoLLMError(f"{self.name} can't be reached ({trouble}). Is the server up, and its address right?")

    def _body(self, request: Request, *, guided: bool) -> dict[str, Any]:
        content: list[dict[str, Any]] = [
            {"type": "image_url", "image_url": {"url": _data_url(f)}} for f in request.frames
        ]
        content.append({"type": "text", "text": request.text})
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": "user", "content": content}],
            "temperature": 0,
            "max_tokens": request.max_new_tokens,
        }
        if guided:
            body |= {"structured_outputs": {"choice": list(request.choices)}, "logprobs": True, "top_logprobs": 20}
        return body


def _wait(reply: httpx.Response, attempt: int) -> float:
    try:
        return max(0.0, float(reply.headers["retry-after"]))
    except (KeyError, ValueError):
        return float(0.5 * 2**attempt)


@lru_cache(maxsize=256)
def _data_url(frame: Keyframe) -> str:
    ok, png = cv2.imencode(".png", frame.image[:, :, ::-1])
    assert ok
    return f"data:image/png;base64,{base64.b64encode(png.tobytes()).decode()}"


def _scores(choices: Sequence[str], told: Any) -> tuple[float, ...]:
    """Log-probabilities of the choices, by the candidates for the reply's first token; none where one is missing."""
    try:
        candidates = {c["token"].strip(): float(c["logprob"]) for c in reversed(told["content"][0]["top_logprobs"])}
    except (LookupError, TypeError, ValueError):
        return ()
    found = [
        max((p for token, p in candidates.items() if token and c.startswith(token)), default=None) for c in choices
    ]
    return tuple(p for p in found if p is not None) if choices and None not in found else ()
