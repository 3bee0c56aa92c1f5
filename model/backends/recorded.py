"""Replays what another Video-LLM said, from a trace: without that model, and always the same."""

import json
from collections.abc import Sequence
from pathlib import Path

from model.backends.trace import request_key
from model.stsg import Keyframe
from model.video_llm import NO_ADVICE, Reply, Request, VideoLLMError


class RecordedVideoLLM:
    """The replies of a JSONL trace, found by prompt, frames and choices."""

    def __init__(self, file: Path) -> None:
        self.name = f"recorded:{file}"
        self.prompt_set, self.advice = "standard", NO_ADVICE
        self._replies: dict[str, Reply] = {}
        with file.open(encoding="utf-8") as rows:
            for row in map(json.loads, rows):
                self.prompt_set, self.advice = row["prompts"], row.get("advice", NO_ADVICE)
                self._replies[_key(row)] = Reply(row["reply"], tuple(row["scores"]))

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        return [self._reply(request) for request in requests]

    def _reply(self, request: Request) -> Reply:
        reply = self._replies.get(request_key(request))
        if reply is None:
            raise VideoLLMError(
                f"{self.name} holds no reply to this {request.step}. Record it anew: the prompts, the keyframes or "
                "the options have changed since."
            )
        return reply


def _key(row: dict[str, object]) -> str:
    frames = tuple(Keyframe(str(id), 0.0, None) for id in row["frames"])  # type: ignore[arg-type,attr-defined]
    choices = tuple(row["choices"])  # type: ignore[arg-type,var-annotated]
    return request_key(Request(str(row["step"]), str(row["text"]), frames, choices=choices))
