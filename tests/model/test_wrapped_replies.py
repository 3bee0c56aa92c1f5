"""A model that wraps its replies gives the same graph as one that doesn't."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.backends.trace import Traced
from model.induction.pipeline import InductionOptions, induce
from model.induction.splitting import split
from model.video_llm import Reply, Request
from trainer.world.files import render_with_truth
from trainer.world.oracle import Oracle

WRAPPERS = (
    "<think>\nIt is static, no. 1. First: a man <man, on, dog>\n</think>\n\n{}",
    "{}<|im_end|>",
    "Sure! Here is the answer:\n{}\n\nLet me know if you need anything else!",
    "<answer>{}</answer></s>",
    "ASSISTANT: {}",
    "It may be, or no.</think>{}<end_of_turn>",
)


class Wrapped:
    """An oracle whose replies stand in one of the wrappers after the other."""

    def __init__(self, world: Path, wrappers: Sequence[str]) -> None:
        self._oracle, self._wrappers, self._count = Oracle(world), wrappers, 0
        self.name, self.prompt_set, self.advice = self._oracle.name, self._oracle.prompt_set, self._oracle.advice

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        return [Reply(self._wrapped(reply.text)) for reply in self._oracle.answer(requests)]

    def _wrapped(self, text: str) -> str:
        self._count += 1
        return self._wrappers[self._count % len(self._wrappers)].format(text)


def test_a_model_that_wraps_its_replies_gives_the_same_graph(world: Path) -> None:
    options = InductionOptions()
    rendered = render_with_truth(0, world)
    clips = split(rendered.video, rendered.video_id, options.how_to_split(), seed=0)
    rows, plain_rows = list[dict[str, Any]](), list[dict[str, Any]]()
    graph, rejects = induce(clips, Traced(Wrapped(world, WRAPPERS), rows.append), options)
    plain, plain_rejects = induce(clips, Traced(Wrapped(world, ["{}"]), plain_rows.append), options)
    assert graph.objects and graph == plain
    assert rejects.counts() == plain_rejects.counts()
    assert all(row["removed"] for row in rows) and not any(row["removed"] for row in plain_rows)
