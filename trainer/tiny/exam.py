"""`python -m trainer.tiny.exam` examines a tiny checkpoint on worlds it never saw: exact match by kind of question.

Beside each score stands what blind guessing would get: the usual answer to the same prompt in training's lessons, or
to the same kind of prompt.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerFast, Qwen3VLForConditionalGeneration

from trainer.tiny.lessons import Lesson
from trainer.tiny.network import predict, see
from trainer.tiny.rows import Row, collate, sample_row
from trainer.world.scene import Scene, Split


@dataclass(frozen=True, slots=True)
class Mark:
    """The share of right answers to so many questions, and the share that blind guessing gets right."""

    asked: int
    right: float
    blind: float


def exam_rows(split: Split, seeds: range, rivals: Sequence[float]) -> Iterator[Row]:
    """Questions about the scenes of these seeds, in every view."""
    for seed in seeds:
        rng = Random(seed)
        scene = Scene.generate(seed, split=split, rivals=rng.choice(rivals))
        yield sample_row(scene, "image", rng, looks=0.3)
        yield sample_row(scene, "clip", rng)
        yield sample_row(scene, "clips", rng)
        yield sample_row(scene, "text", rng)


@torch.no_grad()
def graded(network: Qwen3VLForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, row: Row) -> list[bool]:
    """Which answers come out right to the last token, as greedy decoding would give them."""
    batch = collate(tokenizer, [row])
    visual = see(network, batch.pixels) if row.frames else torch.zeros(0, network.config.text_config.hidden_size)
    logits, _ = predict(network, batch, visual)
    chosen = batch.labels[0, 1:] != -100
    right = (logits.argmax(-1) == batch.labels[0, 1:][chosen]).tolist()
    marks = [True] * len(row.lessons)
    for segment, hit in zip(batch.segments[0, 1:][chosen].tolist(), right, strict=True):
        marks[segment - 1] &= hit
    return marks


class Guesser:
    """Answers by habit: what was most often right in the lessons it read."""

    def __init__(self, lessons: Sequence[Lesson]) -> None:
        self._by_prompt: dict[str, Counter[str]] = defaultdict(Counter)
        self._by_kind: dict[str, Counter[str]] = defaultdict(Counter)
        for lesson in lessons:
            self._by_prompt[lesson.prompt][lesson.answer] += 1
            self._by_kind[lesson.kind][lesson.answer] += 1

    def guess(self, lesson: Lesson) -> str:
        known = self._by_prompt.get(lesson.prompt) or self._by_kind.get(lesson.kind)
        return known.most_common(1)[0][0] if known else ""


def examine(
    network: Qwen3VLForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    rows: Sequence[Row],
    guesser: Guesser,
) -> Mapping[str, Mark]:
    """A mark for each kind of question."""
    right: dict[str, list[bool]] = defaultdict(list)
    blind: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        for lesson, hit in zip(row.lessons, graded(network, tokenizer, row), strict=True):
            right[lesson.kind].append(hit)
            blind[lesson.kind].append(guesser.guess(lesson) == lesson.answer)
    return {k: Mark(len(hits), sum(hits) / len(hits), sum(blind[k]) / len(hits)) for k, hits in sorted(right.items())}


def main() -> None:
    """Parse the arguments and print a table."""
    parser = argparse.ArgumentParser(prog="python -m trainer.tiny.exam", description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("model/checkpoints/tiny"))
    parser.add_argument("--split", choices=("validation", "test", "composition"), default="test")
    parser.add_argument("--scenes", type=int, default=1200)
    parser.add_argument("--rivals", type=float, default=0.5, help="how often things share a colour")
    given = parser.parse_args()
    torch.set_num_threads(1)  # rows are small: more threads wait for each other
    network = Qwen3VLForConditionalGeneration.from_pretrained(given.model, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(given.model)
    read = [lesson for row in exam_rows("train", range(given.scenes), (given.rivals,)) for lesson in row.lessons]
    rows = list(exam_rows(given.split, range(given.scenes), (given.rivals,)))
    print(f"{'kind':36} {'asked':>6} {'right':>6} {'blind':>6}")
    for kind, mark in examine(network, tokenizer, rows, Guesser(read)).items():
        print(f"{kind:36} {mark.asked:6} {mark.right:6.3f} {mark.blind:6.3f}")


if __name__ == "__main__":
    main()
