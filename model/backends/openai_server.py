"""Any OpenAI-compatible server (vLLM, SGLang): frames first and the question last, so that its prefix cache works."""

import base64
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import cv2
import httpx

from model.backends import servers
from model.backends.chat_completions import ChatCompletions, RefusedError
from model.stsg import Keyframe
from model.video_llm import NO_ADVICE, Reply, Request


class OpenAIVideoLLM:
    """A model behind `<url>/chat/completions`."""

    def __init__(self, url: str, name: str, *, concurrency: int = 8, timeout: float = 120) -> None:
        self._chat, self._concurrency = ChatCompletions(url, name, timeout=timeout), concurrency
        self.name = self._chat.name
        self.prompt_set, self.advice = "standard", NO_ADVICE
        self._server: servers.Server | None = None
        self._unknown: set[str] = set()  # fields of a request that the server said it doesn't take

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        self._look()
        with ThreadPoolExecutor(self._concurrency) as pool:
            return list(pool.map(self._reply, requests))

    def _look(self) -> None:
        if self._server is None:
            try:
                self._server = servers.look(self._chat.http)
            except httpx.HTTPError:
                return  # the requests tell whether it is there, and the next ones ask again
        servers.check_safe(self.name, self._server)

    def _reply(self, request: Request) -> Reply:
        since = time.monotonic()
        reply = self._post(request)
        chosen, used = self._chat.choice(reply), reply.get("usage") or {}
        text = chosen["message"]["content"].strip()
        return Reply(
            _plain(text) if request.choices else text,
            servers.scores(request.choices, chosen.get("logprobs")),
            tokens_in=int(used.get("prompt_tokens") or 0),
            tokens_out=int(used.get("completion_tokens") or 0),
            milliseconds=(time.monotonic() - since) * 1000,
        )

    def _post(self, request: Request) -> dict[str, Any]:
        """The reply; a field that the server says it doesn't take is left out, now and from now on."""
        while True:
            guide = {k: v for k, v in self._guide(request).items() if k not in self._unknown}
            try:
                return self._chat.post(_body(request) | guide)
            except RefusedError as e:
                refused = {field for field in guide if field in e.text} if e.status in (400, 422) else set()
                if not refused:
                    raise
                self._unknown |= refused

    def _guide(self, request: Request) -> dict[str, Any]:
        """What has the server choose, and tell how likely each choice is; or reply with JSON of a form."""
        if not request.choices:
            return {"response_format": servers.json_form(request.schema)} if request.schema else {}
        field = (self._server or servers.Server()).guide
        return {field: servers.GUIDES[field](request.choices), "logprobs": True, "top_logprobs": 20}


def _body(request: Request) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": _data_url(f)}} for f in request.frames]
    content.append({"type": "text", "text": request.text})
    messages = [{"role": "user", "content": content}]
    return {"messages": messages, "temperature": 0, "max_tokens": request.max_new_tokens}


@lru_cache(maxsize=256)
def _data_url(frame: Keyframe) -> str:
    ok, png = cv2.imencode(".png", frame.image[:, :, ::-1])
    assert ok
    return f"data:image/png;base64,{base64.b64encode(png.tobytes()).decode()}"


def _plain(text: str) -> str:
    """A choice without the quotes that it has as JSON."""
    try:
        told = json.loads(text)
    except ValueError:
        return text
    return told if isinstance(told, str) else text
