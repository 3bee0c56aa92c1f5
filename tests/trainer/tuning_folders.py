"""Folders as a training finds them, made of the rendered world."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from trainer.tuning.spec import TuningSpec
from trainer.world.render import frame
from trainer.world.scene import Scene

TINY = "model/checkpoints/tiny"


def make_folder(folder: Path, rows: int = 6, *, held: int = 0, **spec: Any) -> Path:
    """A folder of a training on the tiny model: half of the rows take one step, half two."""
    (folder / "pictures").mkdir(parents=True)
    made = [_row(folder, n) for n in range(rows + held)]
    write_rows(folder / "train.jsonl", made[:rows])
    write_rows(folder / "validation.jsonl", made[rows:])
    fast = {"base": TINY, "batch": 2, "learning_rate": 1e-3, "save_every": 2, "epochs": 2, "warmup": 0.0}
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


def start(folder: Path, **environment: str) -> subprocess.Popen[bytes]:
    """The process of a training, on one thread as every training of these tests."""
    import os

    command = [sys.executable, "-m", "trainer.tuning", str(folder)]
    given: Mapping[str, str] = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.Popen(command, env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
