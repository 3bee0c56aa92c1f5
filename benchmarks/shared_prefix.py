"""What it saves that a sample's answer row and rationale row share their prefix, beside what the token counts allow.

Both ways take turns in one run, there and back over the same samples; the processor's time is counted, not the clock's.
Run: python benchmarks/shared_prefix.py [folder or id of a base] [--frames 8] [--samples 8] [--rounds 5]
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

from trainer.tuning.collate import collate
from trainer.tuning.journal import Journal
from trainer.tuning.run import read_spec
from trainer.tuning.sft import RationaleTrainer
from trainer.tuning.spec import TuningSpec
from trainer.tuning.start import build_trainer
from trainer.tuning.stop import Stop

RATIONALE = ["the blue circle is in the garden", "the red square is left of the blue circle", "the red square is still"]


def written(folder: Path, base: str, samples: int, frames: int) -> None:
    """A folder with pictures of noise, and a question of three steps about each."""
    noise = np.random.default_rng(0)
    rows = []
    for n in range(samples):
        names = [f"{n}_{k}.png" for k in range(frames)]
        for name in names:
            Pillow.fromarray(noise.integers(0, 256, (224, 224, 3), np.uint8)).save(folder / name)
        question = f"What is the action of the thing left of the {('blue', 'red')[n % 2]} circle in the garden?"
        rows.append({"id": str(n), "question": question, "answer": "still", "rationale": RATIONALE, "frames": names})
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "spec.json").write_text(json.dumps(TuningSpec(base, batch=samples, frames=frames).to_dict()))


def measured(trainer: RationaleTrainer, *, shared: bool) -> tuple[float, float]:
    """Seconds of a step without its optimizer, and its loss."""
    batch = collate([trainer.encoder.encode(s) for s in trainer.samples], 0, shared=shared)
    inputs = trainer._prepare_inputs(batch)
    trainer.model.zero_grad()
    now = time.perf_counter if torch.cuda.is_available() else time.process_time
    since = now()
    with trainer.compute_loss_context_manager():
        loss = trainer._losses(trainer.model, inputs, shared=shared).total
    loss.backward()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return now() - since, loss.item()


def main() -> None:
    """Print what was measured."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("base", nargs="?", default="model/checkpoints/tiny")
    options.add_argument("--frames", type=int, default=8)
    options.add_argument("--samples", type=int, default=8)
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written(folder, given.base, given.samples, given.frames)
        trainer = build_trainer(read_spec(folder), folder, None, Journal(folder, first=False), Stop(folder))
        if not trainer.shared:
            raise SystemExit("This class can't share its rows' prefixes.")
        encoded = [trainer.encoder.encode(s) for s in trainer.samples]
        apart = sum(e.tokens for e in encoded)
        together = apart - sum(e.common for e in encoded)
        rounds = [[measured(trainer, shared=shared) for shared in (False, True)] for _ in range(given.rounds + 1)][1:]
    two, one = (statistics.median(r[i][0] for r in rounds) for i in (0, 1))
    saved, allowed = 1 - one / two, 1 - together / apart
    print(f"two passes  {apart:6} tokens {two:8.3f} s  loss {rounds[0][0][1]:.6f}")
    print(f"one pass    {together:6} tokens {one:8.3f} s  loss {rounds[0][1][1]:.6f}")
    print(f"saved {saved:.1%} of the time; the tokens allow {allowed:.1%}: {saved / allowed:.0%} of it")


if __name__ == "__main__":
    main()
