"""Checkpoints that are whole or not there: written aside, flushed, renamed; only one with a true `complete.json` counts."""

import json
import re
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from model import durable
from trainer.tuning.journal import write_json
from trainer.tuning.spec import TuningError

STATE = "trainer"  # the folder of a checkpoint that only a training that goes on needs
_DONE = "complete.json"
_KEPT_STATES = 2


def path_of(folder: Path, step: int) -> Path:
    """Where a step's checkpoint lies."""
    return folder / "checkpoints" / f"step-{step:06d}"


def newest(folder: Path) -> Path | None:
    """The last whole checkpoint from which a training can go on."""
    found = sorted((folder / "checkpoints").glob("step-*"), key=step_of, reverse=True)
    return next((c for c in found if _whole(c) and (c / STATE).is_dir()), None)


def step_of(checkpoint: Path) -> int:
    """The step of a checkpoint's folder."""
    return int(checkpoint.name.removeprefix("step-"))


def _whole(checkpoint: Path) -> bool:
    try:
        sizes: dict[str, int] = json.loads((checkpoint / _DONE).read_text())["files"]
        return all((checkpoint / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError):
        return False


def aside(target: Path) -> Path:
    """An empty folder in which `target` is written before it gets its name."""
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    return part


def settle(part: Path, target: Path) -> None:
    """Give what was written aside its name, once all of it is on the disk."""
    _complete(part)
    shutil.rmtree(target, ignore_errors=True)
    durable.settle(part, target)


def _complete(folder: Path) -> None:
    files = sorted(f for f in folder.rglob("*") if f.is_file() and f.name != _DONE)
    sizes = {str(f.relative_to(folder)): f.stat().st_size for f in files}
    write_json(folder / _DONE, {"time": time.time(), "files": sizes})


def thin(folder: Path, keep: int = 0) -> None:
    """Older checkpoints stay as models, without what only a training that goes on needs: the `keep` newest and the best one.

    The best is the one whose validation has the most right answers; without `keep` all stay.
    """
    found = sorted((c for c in (folder / "checkpoints").glob("step-*") if _whole(c)), key=step_of)
    best = _best(folder) if keep else None
    for checkpoint in found[:-keep] if keep else ():
        if step_of(checkpoint) != best:
            shutil.rmtree(checkpoint, ignore_errors=True)
    for checkpoint in found[:-_KEPT_STATES]:
        if (checkpoint / STATE).exists():
            shutil.rmtree(checkpoint / STATE, ignore_errors=True)
            _complete(checkpoint)


def _best(folder: Path) -> int | None:
    """The step with the best validation, the first of several; None where there was none yet."""
    best, most = None, -1
    metrics = folder / "metrics.jsonl"
    for line in metrics.read_text().splitlines() if metrics.exists() else ():
        with suppress(ValueError):  # a line that is still written
            row = json.loads(line)
            right = sum(counts["correct"] for counts in row.get("validation", {}).values())
            if row["step"] and "validation" in row and right > most:  # step 0 is the base
                best, most = row["step"], right
    return best


def guarded(part: Path, write: Callable[[], None]) -> None:
    """Write into `part`; where that fails, nothing of it stays.

    Raises:
        TuningError: the disk is full, or can't be written to.
    """
    try:
        write()
    except Exception as e:
        shutil.rmtree(part, ignore_errors=True)
        if type(e).__name__ == "OutOfMemoryError":  # of torch, which is not loaded for this
            raise
        free = shutil.disk_usage(part.parent).free
        told = f"{e} {e.__context__}"  # torch hides the system's error behind its own; safetensors tells it in its text
        numbers = [getattr(e, "errno", None), getattr(e.__context__, "errno", None)]
        numbers += map(int, re.findall(r"os error (\d+)", told))
        remedy = "The checkpoint before it is whole; make room and start again."
        if any(n in durable.FULL for n in numbers) or free < 2**20:
            detail = f"There is no room for a checkpoint: {free // 2**20} MiB are free. {e}."
            raise TuningError("disk_full", "checkpoints", detail, remedy) from e
        if isinstance(e, OSError | RuntimeError):
            raise TuningError("not_written", "checkpoints", f"A checkpoint can't be written: {e}.", remedy) from e
        raise
