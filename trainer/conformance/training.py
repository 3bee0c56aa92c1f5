"""One step of L = L_answer + lambda L_rationale on a checkpoint, saved and loaded again."""

import json
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from model.backends.hf import HuggingFaceVideoLLM
from model.video_llm import Request
from trainer.tuning.journal import Journal
from trainer.tuning.sft import RationaleTrainer
from trainer.tuning.spec import Lora, TuningSpec
from trainer.tuning.start import build_trainer, finish
from trainer.tuning.stop import Stop

_ROWS = (
    ("What does the red circle do?", "it moves", ["the red circle is in the kitchen", "it moves"]),
    ("Where is the blue square?", "left", ["the blue square is left of the red circle"]),
)


def step_fault(checkpoint: Path, asked: Request, lora: Lora | None) -> str | None:
    """What is wrong with a step of all weights, or of adapters, and with the model that is written then; None if nothing.

    `asked` is a question with choices: its scores must change by the step, and be the same after saving and loading.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_rows(folder, asked)
        spec = TuningSpec(
            str(checkpoint),
            batch=2,
            max_steps=1,
            learning_rate=1e-2,
            warmup=0.0,
            schedule="constant",
            exact=True,
            lora=lora,
        )
        with closing(Journal(folder, first=True)) as journal:  # its heartbeat would write while the folder is removed
            trainer = build_trainer(spec, folder, None, journal, Stop(folder))
            before = _scores(trainer, asked)
            trainer.train()
            finish(trainer, folder)
        after = _scores(trainer, asked)
        loaded = HuggingFaceVideoLLM(str(folder / "model"), exact=True).answer([asked])[0].scores
        told = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    if not all(step[part] > 0 for step in told if "loss" in step for part in ("loss_answer", "loss_rationale")):
        return f"a part of the loss is nothing: {told}"
    if np.allclose(before, after, atol=1e-4):
        return f"learns nothing from a step: it scores {after} before and after"
    if not np.allclose(after, loaded, atol=1e-3):
        return f"scores {loaded} after it was saved and loaded, and {after} before"
    return None


def _write_rows(folder: Path, asked: Request) -> None:
    files = [f"{n}.png" for n in range(len(asked.frames))]
    for file, frame in zip(files, asked.frames, strict=True):
        Pillow.fromarray(frame.image).save(folder / file)
    about: dict[str, Any] = {"video_id": "vid_x", "frames": files, "times": [f.t for f in asked.frames]}
    rows = [
        about | {"id": f"qra_{n}", "question": q, "answer": a, "rationale": r, "steps": len(r)}
        for n, (q, a, r) in enumerate(_ROWS)
    ]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def _scores(trainer: RationaleTrainer, asked: Request) -> tuple[float, ...]:
    tuned = trainer.tuned
    tuned.network.eval()
    [reply] = HuggingFaceVideoLLM.holding(tuned.network, tuned.processor, tuned.ways).answer([asked])
    return tuple(reply.scores)
