"""What it saves that rows share their visual prefix, those of a sample or of several about one video, beside what tokens allow.

All ways take turns in one run, there and back over the same samples; the processor's time is counted, not the clock's.
Run: python benchmarks/shared_prefix.py [folder or id of a base] [--frames 8] [--samples 8] [--per-video 4] [--rounds 5]
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image as Pillow

from trainer.tuning.collate import PADDING, collate
from trainer.tuning.journal import Journal
from trainer.tuning.run import read_spec
from trainer.tuning.sft import RationaleTrainer
from trainer.tuning.spec import TuningSpec
from trainer.tuning.start import build_trainer
from trainer.tuning.stop import Stop

RATIONALE = ["the blue circle is in the garden", "the red square is left of the blue circle", "the red square is still"]


def written(folder: Path, base: str, samples: int, frames: int, per_video: int) -> None:
    """A folder with pictures of noise, and questions of three steps about them."""
    noise = np.random.default_rng(0)
    rows = []
    for n in range(samples):
        names = [f"{n // per_video}_{k}.png" for k in range(frames)]
        for name in names if n % per_video == 0 else ():
            Pillow.fromarray(noise.integers(0, 256, (224, 224, 3), np.uint8)).save(folder / name)
        question = f"What is the action of the thing left of the {('blue', 'red')[n % 2]} circle in the garden?"
        rows.append({"id": str(n), "question": question, "answer": "still", "rationale": RATIONALE, "frames": names})
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "spec.json").write_text(
        json.dumps(TuningSpec(base, batch=samples, frames=frames, per_video=per_video).to_dict())
    )


def measured(trainer: RationaleTrainer, per_video: int) -> tuple[float, float, int]:
    """Seconds of a step without its optimizer, its loss and its tokens; 0 samples of a video together is two passes."""
    shared = per_video > 0
    batch = collate([trainer.encoder.encode(s) for s in trainer.samples], 0, shared=shared, per_video=per_video)
    inputs = trainer._prepare_inputs(batch)
    trainer.model.zero_grad()
    now = time.perf_counter if torch.cuda.is_available() else time.process_time
    since = now()
    with trainer.precision():
        loss = trainer._losses(trainer.model, inputs, shared=shared).total
    loss.backward()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return now() - since, loss.item(), int((batch["segments"] != PADDING).sum())


def main() -> None:
    """Print what was measured."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("base", nargs="?", default="model/checkpoints/tiny")
    options.add_argument("--frames", type=int, default=8)
    options.add_argument("--samples", type=int, default=8)
    options.add_argument("--per-video", type=int, default=4)
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written(folder, given.base, given.samples, given.frames, given.per_video)
        trainer = build_trainer(read_spec(folder), folder, None, Journal(folder, first=False), Stop(folder))
        if not trainer.shared:
            raise SystemExit("This class can't share its rows' prefixes.")
        ways = {
            "each row by itself": 0,
            "rows of a sample": 1,
            f"{given.per_video} samples of a video": given.per_video,
        }
        rounds = [[measured(trainer, n) for n in ways.values()] for _ in range(given.rounds + 1)][1:]
    apart, tokens_apart = statistics.median(r[0][0] for r in rounds), rounds[0][0][2]
    for way, name in enumerate(ways):
        seconds = statistics.median(r[way][0] for r in rounds)
        _, loss, tokens = rounds[0][way]
        print(
            f"{name:22} {tokens:6} tokens {seconds:8.3f} s  loss {loss:.6f}  "
            f"{apart / seconds:.2f} times as fast; tokens allow {tokens_apart / tokens:.2f}"
        )


if __name__ == "__main__":
    main()
