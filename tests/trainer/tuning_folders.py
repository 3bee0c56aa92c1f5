"""Folders as a training finds them, made of the rendered world."""

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, Image, List
from PIL import Image as Pillow
from trl import SFTConfig, SFTTrainer

from trainer.tuning.data import order
from trainer.tuning.journal import Journal
from trainer.tuning.run import read_spec, run
from trainer.tuning.sft import RationaleTrainer
from trainer.tuning.spec import TuningSpec
from trainer.tuning.start import build_trainer
from trainer.tuning.stop import Stop
from trainer.world.render import frame
from trainer.world.scene import Scene

TINY = "model/checkpoints/tiny"
PLAIN = {"schedule": "constant", "batch": 1, "epochs": 1, "lambda_rationale": 0}  # what plain TRL does too


def make_folder(folder: Path, rows: int = 6, *, held: int = 0, base: str = TINY, **spec: Any) -> Path:
    """A folder of a training on the tiny model: half of the rows take one step, half two."""
    (folder / "pictures").mkdir(parents=True)
    made = [_row(folder, n) for n in range(rows + held)]
    write_rows(folder / "train.jsonl", made[:rows])
    write_rows(folder / "validation.jsonl", made[rows:])
    fast = {"base": base, "batch": 2, "learning_rate": 1e-3, "save_every": 2, "epochs": 2, "warmup": 0.0}
    (folder / "spec.json").write_text(json.dumps(TuningSpec.from_dict(fast | spec).to_dict()))
    return folder


def _row(folder: Path, seed: int) -> dict[str, Any]:
    scene = Scene.generate(seed, split="train")
    shown = [(clip, at) for clip in scene.clips for at in (0.1, 0.9)]
    names = []
    for n, (clip, at) in enumerate(shown):
        names.append(f"pictures/{seed}_{n}.png")
        Pillow.fromarray(frame(clip, at)).save(folder / names[-1])
    thing = scene.clips[0].things[0]
    rationale = [f"{thing.name} is in the {scene.clips[0].place}", f"{thing.name} is {thing.action}"][: 1 + seed % 2]
    return {
        "id": f"qra_{seed}",
        "video_id": f"vid_{seed}",
        "question": f"What is the action of the {thing.name}?",
        "answer": thing.action,
        "rationale": rationale,
        "steps": len(rationale),
        "frames": names,
        "times": [float(n) for n in range(len(names))],
    }


def write_rows(file: Path, rows: list[dict[str, Any]]) -> None:
    """Rows as lines of JSON."""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def read_lines(file: Path) -> list[dict[str, Any]]:
    """Lines of JSON."""
    return [json.loads(line) for line in file.read_text().splitlines()]


def build(folder: Path) -> RationaleTrainer:
    """The trainer of a folder, in this process."""
    return build_trainer(read_spec(folder), folder, None, Journal(folder, first=True), Stop(folder))


def losses(folder: Path) -> list[dict[str, Any]]:
    """Every step's figures."""
    return [row for row in read_lines(folder / "metrics.jsonl") if "loss" in row]


def start(folder: Path, target: Callable[..., None] | None = None, **environment: str) -> BaseProcess:
    """A process of a training, as `python -m trainer.tuning` is one, without its imports' time."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["trainer.tuning.start"])
    process = context.Process(target=target or train, args=(folder,), kwargs=environment)
    process.start()
    return process


def train(folder: Path, **environment: str) -> None:
    """What the process does."""
    os.environ.update(environment)
    torch.set_num_threads(1)
    sys.exit(run(folder))


def done(process: BaseProcess, seconds: float = 120) -> int | None:
    """The exit code, once it ended."""
    process.join(seconds)
    return process.exitcode


def wait_for_step(folder: Path, step: int) -> None:
    """Until a step is done."""
    end = time.monotonic() + 120
    while not ((folder / "metrics.jsonl").is_file() and [r for r in losses(folder) if r["step"] >= step]):
        assert time.monotonic() < end and not (folder / "result.json").is_file()
        time.sleep(0.02)


def result(folder: Path) -> dict[str, Any]:
    """How a training ended."""
    return json.loads((folder / "result.json").read_text())


def weights(folder: Path) -> bytes:
    """The weights of a checkpoint, as they lie on the disk."""
    return (folder / "model.safetensors").read_bytes()


def losses_here_and_in_plain_trl(folder: Path, exported: list[dict[str, Any]]) -> tuple[list[float], list[float]]:
    """Every step's loss of a folder whose spec is PLAIN, and of TRL's own trainer on rows for it, from the same weights."""
    ours = build(folder)
    network, processor = ours.tuned.network, ours.tuned.processor
    before = {name: value.clone() for name, value in network.state_dict().items()}
    ours.train()
    rows = [row | {"images": [str(folder / name) for name in row["images"]]} for row in exported]
    data = Dataset.from_list([rows[i] for i in order(len(rows), len(rows), ours.spec.seed)])
    network.load_state_dict(before)
    plain = SFTConfig(
        output_dir=str(folder / "plain"),
        per_device_train_batch_size=1,
        num_train_epochs=1,
        learning_rate=ours.spec.learning_rate,
        lr_scheduler_type="constant",
        optim="adamw_torch",
        train_sampling_strategy="sequential",
        max_length=None,
        activation_checkpointing=False,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        bf16=False,
    )
    data = data.cast_column("images", List(Image()))
    theirs = SFTTrainer(model=network, args=plain, train_dataset=data, processing_class=processor)
    theirs.train()
    told = [row["loss"] for row in theirs.state.log_history if "loss" in row]
    return [row["loss"] for row in losses(folder)], told
