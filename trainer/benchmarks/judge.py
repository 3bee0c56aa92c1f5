"""A judge that is pinned: which model, under which prompt; its replies are kept, and it is asked a finite number of times."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from model.video_llm import Request, VideoLLM, VideoLLMError
from trainer.benchmarks.items import Item, JudgePrompt, Scoring

TRIES = 3
# From the system's and the user's words to the reply; VideoLLMError where none can be had.
Ask = Callable[[str, str], str]


class JudgeDownError(Exception):
    """The judge can't be reached now. What it said so far is kept."""


@dataclass(frozen=True, slots=True)
class Judge:
    """A text model by name. `ask` speaks to it at temperature 0."""

    name: str
    ask: Ask
    at_once: int = 8

    def replies(self, asked: Sequence[tuple[Item, str]], scoring: Scoring) -> Iterator[tuple[Item, list[str]]]:
        """For each item with its reply, all that the judge said: the last is the verdict, if any is.

        Raises:
            JudgeDownError: it did not reply to one of them; what it said to others is given before.
        """
        down = None
        with ThreadPoolExecutor(self.at_once) as pool:
            talks = [(item, pool.submit(self._talk, item, reply, scoring)) for item, reply in asked]
            for item, talk in talks:
                if down and talk.cancel():
                    continue
                try:
                    yield item, talk.result()
                except JudgeDownError as e:
                    down = down or e
        if down:
            raise down

    def _talk(self, item: Item, reply: str, scoring: Scoring) -> list[str]:
        assert scoring.judge is not None
        said: list[str] = []
        while len(said) < TRIES and not (said and scoring.verdict(item, said[-1])):
            try:
                said.append(self.ask(scoring.judge.system, scoring.judge.filled(item, reply)))
            except VideoLLMError as e:
                raise JudgeDownError(f"The judge {self.name} can't be reached: {e}") from e
        return said


def pin(name: str, prompt: JudgePrompt) -> dict[str, Any]:
    """What must be the same for two scores to be comparable."""
    told = f"{prompt.system}\0{prompt.user}"
    return {"model": name, "prompt": hashlib.sha256(told.encode()).hexdigest()[:16], "temperature": 0, "tries": TRIES}


def local(model: VideoLLM) -> Judge:
    """A Video-LLM as judge, shown nothing."""

    def ask(system: str, user: str) -> str:
        return model.answer([Request("benchmark_judge", f"{system}\n\n{user}")])[0].text

    return Judge(model.name, ask, at_once=1)
