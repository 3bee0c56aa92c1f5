"""Any OpenAI-compatible server (vLLM, SGLang): frames first and the question last, so that its prefix cache works."""

import base64
import json
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from threading import Event
from typing import Any

import cv2
import httpx

from model.backends import servers
from model.backends.chat_completions import ChatCompletions
from model.backends.transport import CallLimits
from model.stsg import Keyframe
from model.video_llm import NO_ADVICE, STOPPED, Reply, Request, Stopped, StoppedError


class OpenAIVideoLLM:
    """A model behind `<url>/chat/completions`."""

    def __init__(self, url: str, name: str, *, concurrency: int = 8, limits: CallLimits | None = None) -> None:
        self._chat, self._concurrency = ChatCompletions(url, name, limits=limits), concurrency
        self.name = self._chat.name
        self.prompt_set, self.advice = "standard", NO_ADVICE
        self._server: servers.Server | None = None

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        wanted, failed = STOPPED.get(), Event()

        def stopped() -> bool:
            return failed.is_set() or wanted()

        def reply(request: Request) -> Reply:
            try:
                return self._reply(request, stopped)
            except Exception:
                failed.set()  # the others' replies are of no use
                raise

        self._look(wanted)
        with ThreadPoolExecutor(self._concurrency) as pool:
            return _all([pool.submit(reply, request) for request in requests])

    def _look(self, stopped: Stopped) -> None:
        if self._server is None:
            try:
                self._server = servers.look(self._chat.caller, stopped)
            except httpx.HTTPError:
                return  # the requests tell whether it is there, and the next ones ask again
        servers.check_safe(self.name, self._server)

    def _reply(self, request: Request, stopped: Stopped) -> Reply:
        since = time.monotonic()
        reply = self._chat.post(_body(request) | self._guide(request), stopped)
        chosen, used = self._chat.choice(reply), reply.get("usage")
        text = chosen.text.strip()
        return Reply(
            _plain(text) if request.choices else text,
            servers.scores(request.choices, chosen.logprobs),
            tokens_in=_count(used, "prompt_tokens"),
            tokens_out=_count(used, "completion_tokens"),
            milliseconds=(time.monotonic() - since) * 1000,
            finish=chosen.finish,
            thoughts=chosen.thoughts,
            tools=chosen.tools,
        )

    def _guide(self, request: Request) -> dict[str, Any]:
        """What has the server choose, and tell how likely each choice is; or reply with JSON of a form."""
        if not request.choices:
            return {"response_format": servers.json_form(request.schema)} if request.schema else {}
        field = (self._server or servers.Server()).guide
        return {field: servers.GUIDES[field](request.choices), "logprobs": True, "top_logprobs": 20}


def _all(replies: Sequence[Future[Reply]]) -> list[Reply]:
    """All replies; where there is none, the error that stopped the others."""
    errors = [e for e in (reply.exception() for reply in replies) if e]
    if errors:
        raise next((e for e in errors if not isinstance(e, StoppedError)), errors[0])
    return [reply.result() for reply in replies]


def _count(used: Any, name: str) -> int:
    """How many tokens a server says there were; 0 where it says nothing that is a number."""
    value = used.get(name) if isinstance(used, dict) else None
    return int(value) if isinstance(value, int | float) and 0 <= value < 1e15 else 0


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
    except (ValueError, RecursionError):
        return text
    return told if isinstance(told, str) else text
