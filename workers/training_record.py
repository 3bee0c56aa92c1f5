"""What a training's process tells in its folder, put on record: events, metrics, and checkpoints as models."""

import hashlib
import json
import logging
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from graphdb import jobs, records
from graphdb.jobs import Job, Lease, State
from trainer.tuning import checkpoints
from workers import models
from workers.processes import read_json
from workers.runtime import Service
from workers.secrecy import redact_all
from workers.storage import model_folder, tuning_file

log = logging.getLogger(__name__)
_EVENTS = 1000  # rows of metrics that a job keeps as events, about


class Record:
    """A training's job in the database, its models in the storage; what is put there twice is there once.

    Files are stored in a thread of their own, since that may take long.
    """

    def __init__(self, service: Service, lease: Lease, job: Job, folder: Path) -> None:
        self._service, self._lease, self._job, self._folder = service, lease, job, folder
        self._offsets = {name: int(job.get(f"{name}_at") or 0) for name in ("metrics", "events")}
        self._noted_step = -_EVENTS
        self._stored: set[int] = set()  # the steps of checkpoints
        self._thin: set[int] = set()  # of those that nobody can go on from
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="publish")

    def close(self) -> None:
        """Wait until everything is stored."""
        self._pool.shutdown()

    def begin_anew(self) -> None:
        """Read a folder from its start that was written anew: what an earlier one told is not in it."""
        self._offsets = dict.fromkeys(self._offsets, 0)

    def look(self) -> None:
        """Store what is new in the folder."""
        self._store_events()
        self._store_metrics()
        self._store_checkpoints()

    def note(self, event: str, message: str, level: str = "info") -> None:
        """An event that the worker tells."""
        self._log("message", {"time": time.time(), "level": level, "event": event, "message": message})

    def last_step(self) -> int:
        """The step of the newest checkpoint in the folder, 0 where there is none."""
        return max(self._whole(), default=0)

    def finish(self, state: State, result: dict[str, Any]) -> None:
        """Store what the training left behind, also while no worker looked, then tell how it ended."""
        self.look()
        for step in self._stored if state == "succeeded" else ():
            self._drop_state(step)
        self.close()
        told: dict[str, Any] = {k: result.get(k) for k in ("step", "total", "metrics")}
        told["checkpoint"] = self._id(max(self._stored)) if self._stored else None
        if state == "succeeded":
            told["model"] = self._job["result_id"]
            self._register(told["model"], self._folder / result["model"], "tuned", result.get("metrics") or {})
        for name in ("metrics.jsonl", "process.log"):
            if (file := self._folder / name).exists():
                self._service.storage.write(tuning_file(self._job["id"], name), file.read_bytes())
        error = redact_all(result.get("error")) if state == "failed" else None
        more = {"finished_at": None} if state == "paused" else {}
        jobs.finish(self._service.driver, self._lease, state, result=told, error=error, stop=None, **more)
        if state == "succeeded":
            shutil.rmtree(self._folder, ignore_errors=True)

    # --- events and metrics ---

    def _store_events(self) -> None:
        for row in self._new_lines("events"):
            self._log("message", row)
        self._keep_place("events")

    def _store_metrics(self) -> None:
        rows = self._new_lines("metrics")
        total = int((read_json(self._folder / "heartbeat.json") or {}).get("total") or self._job.get("total") or 0)
        for row in rows:
            if "validation" in row or row["step"] - self._noted_step >= total / _EVENTS:
                if "loss" in row:
                    self._noted_step = row["step"]
                self._log("metrics", row)
            if "validation" in row:
                self._pool.submit(self._revise, row["step"])
        losses = [row for row in rows if "loss" in row]
        if losses:
            self._keep_place("metrics", done=losses[-1]["step"], total=total, progress=losses[-1])

    def _new_lines(self, name: str) -> list[dict[str, Any]]:
        """The lines of a file that have come since it was last read; one that is not whole yet is left for the next time."""
        file = self._folder / f"{name}.jsonl"
        if not file.exists():
            return []
        with file.open("rb") as stream:
            stream.seek(self._offsets[name])
            text = stream.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._offsets[name] += len(whole)
        return [json.loads(line) for line in whole.splitlines() if line.strip()]

    def _keep_place(self, name: str, **more: Any) -> None:
        """Note how far a file has been read, for a worker that takes over."""
        key, at = f"{name}_at", self._offsets[name]
        if at != self._job.get(key):
            self._job[key] = at
            jobs.update(self._service.driver, self._lease, **{key: at}, **more)

    def _log(self, type: str, row: dict[str, Any]) -> None:
        """An event of the job; the same row again, after a worker died before it kept its place, is the same event."""
        key = hashlib.sha256(json.dumps([self._job["id"], type, row], sort_keys=True).encode()).hexdigest()[:32]
        jobs.log_event(self._service.driver, self._job["id"], type, redact_all(row), key=key)

    # --- checkpoints and models ---

    def _whole(self) -> set[int]:
        """The steps of the checkpoints in the folder; one that is still written has another name."""
        return {checkpoints.step_of(f.parent) for f in self._folder.glob("checkpoints/step-*/complete.json")}

    def _store_checkpoints(self) -> None:
        there = self._whole()
        for step in sorted(there - self._stored):
            self._stored.add(step)
            self._pool.submit(self._store_checkpoint, step)
        for step in self._stored - there:
            self._stored.discard(step)
            self._pool.submit(models.delete, self._service.driver, self._service.storage, self._id(step))
        for step in sorted((self._stored & there) - self._thin):
            if not (checkpoints.path_of(self._folder, step) / checkpoints.STATE).exists():
                self._drop_state(step)

    def _store_checkpoint(self, step: int) -> None:
        """Make a checkpoint a model that may be named, and keep it where another machine could go on from it."""
        try:
            id, metrics = self._id(step), {"step": step} | _metrics_at(self._folder, step)
            self._register(id, checkpoints.path_of(self._folder, step), "checkpoint", metrics)
            self._log("message", {"level": "info", "event": "checkpoint", "step": step, "message": f"Checkpoint {id}"})
        except Exception:  # the training goes on without
            log.exception("%s: the checkpoint of step %s can't be stored", self._job["id"], step)
            self._stored.discard(step)

    def _drop_state(self, step: int) -> None:
        """Drop from a stored checkpoint what only a training that goes on from it needs."""
        self._thin.add(step)
        self._pool.submit(self._service.storage.delete, f"{model_folder(self._id(step))}/{checkpoints.STATE}")

    def _revise(self, step: int) -> None:
        """Give a checkpoint the validation that came after it."""
        metrics = {"step": step} | _metrics_at(self._folder, step)
        records.revise(self._service.driver, "Model", self._id(step), {"metrics": metrics})

    def _register(self, id: str, folder: Path, kind: str, metrics: dict[str, Any]) -> None:
        params = self._job["params"]
        lineage = {
            "base": params["model"],
            "root": self._job["result_id"].split(":")[1],
            "job_id": self._job["id"],
            "training_file": params["training_file"],
            "code": models.code_version(),
            "spec": params["spec"],
        }
        models.register(self._service.driver, self._service.storage, id, folder, kind, lineage, metrics)

    def _id(self, step: int) -> str:
        """The model that a checkpoint is."""
        return f"{self._job['result_id']}:ckpt-step-{step}"


def _metrics_at(folder: Path, step: int) -> dict[str, Any]:
    """The losses last told up to a step, and the validation at it."""
    found: dict[str, Any] = {}
    file = folder / "metrics.jsonl"
    for line in file.read_text().splitlines() if file.exists() else ():
        with suppress(ValueError):
            row = json.loads(line)
            if "validation" in row and row["step"] == step:
                found["validation"] = row["validation"]
            elif "loss" in row and row["step"] <= step:
                found |= {k: v for k, v in row.items() if k.startswith("loss")}
    return found
