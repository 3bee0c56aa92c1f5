"""Samples that need no video: a model that answers them blind, several times in a row, learns nothing from them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from model import prompts
from model.video_llm import Request

STEPS = (
    "blind_1_answer",
    "blind_2_answer",
    "blind_3_answer",
)  # a model that decodes greedily must be asked differently


def requests(row: Mapping[str, Any], times: int, prompt_set: str) -> list[Request]:
    """A sample's question, asked up to three times without any frame."""
    return [prompts.ask(prompt_set, step, max_new_tokens=32, question=row["question"]) for step in STEPS[:times]]


def knows(row: Mapping[str, Any], replies: Sequence[str], correct: Callable[[str, str], bool]) -> bool:
    """Whether every reply is right; `correct` tells whether a reply gives an answer."""
    return bool(replies) and all(correct(reply, row["answer"]) for reply in replies)
