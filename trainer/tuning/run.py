"""The process of a training: `python -m trainer.tuning FOLDER`. Heavy things load after signals are heard."""

import json
import os
import traceback
from pathlib import Path
from typing import Any

from model import durable
from trainer.tuning import checkpoints
from trainer.tuning.journal import Journal
from trainer.tuning.spec import TuningError, TuningSpec
from trainer.tuning.stop import Stop, Stopped, end_with_the_parent


def run(folder: Path) -> int:
    """Train what the folder asks for, or go on with it; the exit code is 1 when it failed."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if "TORCHELASTIC_RUN_ID" in os.environ:
        end_with_the_parent()
    first = os.environ.get("RANK", "0") == "0"
    result = folder / "result.json"
    if _state(result) == "succeeded":
        return 0
    if first:
        result.unlink(missing_ok=True)
    journal = Journal(folder, first=first)
    told: dict[str, Any] = {"state": "interrupted", "error": None}
    stop = Stop(folder)
    try:
        stop.listen()
        _train(folder, journal, stop)
        told["state"] = "succeeded"
    except Stopped:
        told["state"] = stop.state()
    except TuningError as e:
        told |= {"state": "failed", "error": {"code": e.code, "detail": e.detail, "remedy": e.remedy}}
    except Exception as e:  # noqa: BLE001 # whatever it was, the folder says so
        told |= {"state": "failed", "error": _unforeseen(e)}
    _tell(journal, told)
    return 1 if told["state"] == "failed" else 0


def _train(folder: Path, journal: Journal, stop: Stop) -> None:
    spec, checkpoint = read_spec(folder), checkpoints.newest(folder)
    journal.event("started", f"Process {os.getpid()} began.", checkpoint=checkpoint.name if checkpoint else None)

    from trainer.tuning.start import fitted

    fitted(spec, lambda spec: _trained(spec, folder, journal, stop), journal, stop)


def _trained(spec: TuningSpec, folder: Path, journal: Journal, stop: Stop) -> None:
    from model.backends.devices import lacks_memory
    from trainer.tuning.start import build_trainer, finish

    stop.training(on=False)
    checkpoint = checkpoints.newest(folder)
    trainer = build_trainer(spec, folder, checkpoint, journal, stop)
    journal.event("training", "Training began.", samples=len(trainer.samples), steps=journal.total)
    stop.training(on=True)
    lacking: RuntimeError | None = None
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint / checkpoints.STATE) if checkpoint else None)
    except Stopped:
        trainer.save_stopped()
        raise
    except RuntimeError as e:
        if not lacks_memory(e):
            raise
        lacking = e.with_traceback(None)  # which holds what was in memory
    if lacking is not None:
        trainer.save_whole_step()
        raise lacking
    stop.training(on=False)
    finish(trainer, folder)


def read_spec(folder: Path, *, alone: bool = False) -> TuningSpec:
    """The spec in the folder; with `alone`, this process need not be one of those that it wants.

    Raises:
        TuningError: there is none, it is wrong, or it wants other processes than there are.
    """
    try:
        given = json.loads((folder / "spec.json").read_text())
    except (OSError, ValueError) as e:
        detail = f"spec.json can't be read: {e}."
        raise TuningError("bad_spec", "spec.json", detail, "Write the spec as one JSON object.") from e
    spec = TuningSpec.from_dict(given)
    present = int(os.environ.get("WORLD_SIZE", "1"))
    if present != spec.processes and not alone:
        detail = f"The spec wants {spec.processes} processes, and there are {present}."
        remedy = f"Start with `accelerate launch --num_processes {spec.processes} -m trainer.tuning FOLDER`."
        raise TuningError("invalid_value", "processes", detail, remedy)
    return spec


def _tell(journal: Journal, told: dict[str, Any]) -> None:
    """The result, with the model that is there: the finished one, else the newest checkpoint."""
    folder, last = journal.folder, checkpoints.newest(journal.folder)
    model = None if last is None else f"checkpoints/{last.name}"
    if told["state"] == "succeeded":
        model = "model"
    step = journal.step if last is None or told["state"] != "succeeded" else checkpoints.step_of(last)
    journal.close()
    level = "error" if told["error"] else "info"
    message = told["error"]["detail"] if told["error"] else f"The training {told['state']}."
    journal.event(told["state"], message, level=level, step=step)
    metrics = {} if not (folder / "metrics.jsonl").is_file() else _last_metrics(folder / "metrics.jsonl")
    row = {"state": told["state"], "step": step, "total": journal.total, "error": told["error"]}
    journal.result(row | {"model": model, "metrics": metrics})


def _last_metrics(file: Path) -> dict[str, Any]:
    """The last step's figures and the last validation's."""
    found: dict[str, Any] = {}
    for line in file.read_text().splitlines():
        found |= {k: v for k, v in json.loads(line).items() if k not in ("time", "eta_seconds")}
    return found


def _state(result: Path) -> str | None:
    try:
        state = json.loads(result.read_text())["state"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(state)


def _unforeseen(e: Exception) -> dict[str, str]:
    traceback.print_exc()
    if isinstance(e, OSError) and e.errno in durable.FULL:
        remedy = "Make room and start again; it goes on from the last checkpoint."
        return {"code": "disk_full", "detail": f"There is no room to write: {e}.", "remedy": remedy}
    remedy = "See the process's log; started again it goes on from the last checkpoint."
    return {"code": "internal", "detail": f"{type(e).__name__}: {e}", "remedy": remedy}
