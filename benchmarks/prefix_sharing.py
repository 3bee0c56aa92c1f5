"""Seconds for a stage's requests, about few frame groups: one by one, in plain batches, with shared visual prefixes.

Run: python benchmarks/prefix_sharing.py [hf:<folder or id>] [--requests 96] [--groups 4] [--frames 1]
"""

import argparse
import time
from collections.abc import Sequence

import numpy as np

import model.backends.hf as hf
from model.stsg import Keyframe
from model.video_llm import Request


def requests(count: int, groups: int, shown: int, side: int, tokens: int) -> list[Request]:
    """Questions of several lengths, every second one with choices, over `groups` different frames."""
    noise = np.random.default_rng(0)
    pictures = noise.integers(0, 256, (groups, shown, side, side, 3), np.uint8)
    frames = [tuple(Keyframe(f"v:{g}.{i}", float(i), p) for i, p in enumerate(ps)) for g, ps in enumerate(pictures)]
    made = []
    for i in range(count):
        text = f"Is there a red circle{' or a blue square' * (i % 5)}?"
        choices = ("Yes", "No") if i % 2 else ()
        made.append(Request("benchmark", text, frames[i * groups // count], {}, choices, tokens))
    return made


def measured(way: str, source: str, asked: Sequence[Request]) -> tuple[float, list[str]]:
    """Seconds and texts of one way, after a first pass that isn't counted."""
    batch, share = 1 if way == "one by one" else 64, way == "shared"
    llm = hf.HuggingFaceVideoLLM(source, batch=batch, share=share, worth_sharing=1)
    llm.answer(asked[:4])
    since = time.perf_counter()
    texts = [reply.text for reply in llm.answer(asked)]
    return time.perf_counter() - since, texts


def main() -> None:
    """Print a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("model", nargs="?", default="hf:model/checkpoints/tiny")
    options.add_argument("--requests", type=int, default=96)
    options.add_argument("--groups", type=int, default=4)
    options.add_argument("--frames", type=int, default=1, help="frames of a group")
    options.add_argument("--side", type=int, default=256, help="pixels of a frame")
    options.add_argument("--tokens", type=int, default=24, help="most new tokens")
    given = options.parse_args()
    asked = requests(given.requests, given.groups, given.frames, given.side, given.tokens)
    first: list[str] = []
    for way in ("one by one", "plain batches", "shared"):
        seconds, texts = measured(way, given.model.removeprefix("hf:"), asked)
        first = first or texts
        same = sum(a == b for a, b in zip(first, texts, strict=True))
        print(f"{way:14} {seconds:7.2f} s {given.requests / seconds:7.1f} requests/s, same text {same}/{len(texts)}")


if __name__ == "__main__":
    main()
