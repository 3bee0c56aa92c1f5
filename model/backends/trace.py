"""Every exchange with a Video-LLM, kept: what was asked about which frames, and what came back.

The row keeps the reply as it came, and what was taken off it; whoever asked gets the reply without its wrappers.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from model.replies import Unwrapped, unwrap
from model.video_llm import Reply, Request, VideoLLM

Sink = Callable[[dict[str, Any]], None]


def request_key(request: Request, model: str = "") -> str:
    """16 hex digits over what makes a request that request; without a model's name the key of a recording."""
    told = [model, request.step, request.text, [f.id for f in request.frames], list(request.choices)]
    return hashlib.sha256(json.dumps(told, ensure_ascii=True).encode()).hexdigest()[:16]


class Traced:
    """A Video-LLM whose exchanges go to `sink`, one JSON row each; its replies are unwrapped and carry the exchange's id."""

    def __init__(self, llm: VideoLLM, sink: Sink) -> None:
        self._llm, self._sink = llm, sink
        self.name, self.prompt_set, self.advice = llm.name, llm.prompt_set, llm.advice

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        if not requests:
            return []
        replies = self._llm.answer(requests)
        return [self._keep(request, reply) for request, reply in zip(requests, replies, strict=True)]

    def _keep(self, request: Request, reply: Reply) -> Reply:
        exchange = request_key(request, self.name)
        unwrapped = Unwrapped(reply.text) if reply.text in request.choices else unwrap(reply.text)
        thoughts = [r.text for r in unwrapped.removed if r.wrapper == "thoughts"]
        self._sink(
            {
                "exchange": exchange,
                "step": request.step,
                "model": self.name,
                "prompts": self.prompt_set,
                "advice": dict(self.advice),
                "text": request.text,
                "frames": [f.id for f in request.frames],
                "choices": list(request.choices),
                "reply": reply.text,
                "removed": [{"wrapper": r.wrapper, "text": r.text} for r in unwrapped.removed],
                "scores": list(reply.scores),
                "finish": reply.finish,
                "thoughts": reply.thoughts,
                "tools": reply.tools,
                "tokens_in": reply.tokens_in,
                "tokens_out": reply.tokens_out,
                "milliseconds": round(reply.milliseconds, 3),
            }
        )
        return replace(reply, exchange=exchange, text=unwrapped.text, thoughts=reply.thoughts or " ".join(thoughts))
