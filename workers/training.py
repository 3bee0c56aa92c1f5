"""A training, watched over: its process is started or found again, what it tells is stored, and it is stopped when asked.

The process outlives whoever watches it. A job whose worker died is given to the next worker of this machine, which finds the
process by its folder.
"""

import hashlib
import json
import logging
import os
import shutil
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from graphdb import jobs, records
from graphdb.jobs import Job, Lease, LeaseLost, State
from workers import models, processes
from workers.processes import TrainingProcess, read_json
from workers.runtime import Service
from workers.storage import model_folder, tuning_file
from workers.training_folder import JobError, folder_of, prepare

log = logging.getLogger(__name__)
ENDING = threading.Event()  # set while this worker shuts down
TICK = 0.3
_STATE = "trainer"  # the part of a checkpoint that only a training that goes on needs
_STOP_SECONDS = 60.0  # a large checkpoint may take its time
_HOST = os.uname().nodename
_EVENTS = 1000  # rows of metrics that a job keeps as events, about


def rehearse(service: Service, lease: Lease, job: Job, _lost: threading.Event) -> None:
    """What a training would take, before anything is spent."""
    folder = folder_of(service, job["id"])
    try:
        prepare(service, job, folder)
        command = processes.command(folder, job["params"]["spec"].get("processes", 1), dry_run=True)
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        report = _last_json(done.stdout)
        if done.returncode or report is None:
            error = (report or {}).get("error") or (read_json(folder / "result.json") or {}).get("error") or {}
            detail = error.get("detail") or (done.stderr.strip().splitlines() or ["It said nothing."])[-1]
            raise JobError(error.get("code", "dry_run_failed"), detail[:500], error.get("remedy", ""))
        jobs.finish(service.driver, lease, "succeeded", result=report)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _last_json(text: str) -> dict[str, Any] | None:
    """The JSON object that a text ends with; a process may print other things before."""
    for start in (i for i, c in enumerate(text) if c == "{" and (i == 0 or text[i - 1] == "\n")):
        try:
            told = json.loads(text[start:])
        except ValueError:
            continue
        return told if isinstance(told, dict) else None
    return None


def train(service: Service, lease: Lease, job: Job, lost: threading.Event) -> None:
    """See a training to its end, or until this worker ends or loses the job."""
    watch = Watch(service, lease, job, lost)
    try:
        watch.run()
    finally:
        watch.close()


def tidy(service: Service) -> None:
    """Stop trainings on this machine that another has taken over, or that have ended in the record."""
    for folder in (service.settings.home.absolute() / "tuning").glob("ft*-*"):
        job, process = jobs.get(service.driver, folder.name), TrainingProcess(folder)
        if job is None:
            continue  # of another database
        ours = job["state"] in ("queued", "running") and job.get("host") in (None, _HOST)
        if not ours and process.alive():
            process.stop(None)


class Watch:
    """One worker's eyes on one training."""

    def __init__(self, service: Service, lease: Lease, job: Job, lost: threading.Event) -> None:
        self.service, self.lease, self.job, self.lost = service, lease, job, lost
        self.folder = folder_of(service, job["id"])
        self.process = TrainingProcess(self.folder)
        self.offsets = {name: int(job.get(f"{name}_at") or 0) for name in ("metrics", "events")}
        self.published: set[str] = set()
        self.thin: set[str] = set()  # those of them that nobody can go on from
        self.noted_step = -_EVENTS
        self.asked: State | None = None
        self.asked_at = 0.0
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="publish")

    def close(self) -> None:
        self.pool.shutdown()

    def run(self) -> None:
        """Until the training has ended for good.

        Raises:
            LeaseLost: another watches now, or this worker ends; the process goes on.
        """
        if self.job["attempts"] == 1 and not self.process.alive():
            (self.folder / "result.json").unlink(missing_ok=True)  # of before it was resumed
            (self.folder / "process.json").unlink(missing_ok=True)
        if self.process.alive():
            self._note("attached", "Found the process again that an earlier worker started.")
        elif prepare(self.service, self.job, self.folder):
            self.offsets = dict.fromkeys(self.offsets, 0)  # what was told in a folder of another machine is not in here
        while True:
            if not self.process.alive() and self._ended():
                return
            if not self.process.alive():
                self._start()
            jobs.update(self.service.driver, self.lease, attempts=1, host=_HOST)
            while self.process.alive():
                self._look()
                self._wait()
            self._look()

    def _start(self) -> None:
        spec = self.job["params"]["spec"]
        self.process.start(processes.command(self.folder, spec.get("processes", 1)))
        self._note("started", "Started the process.")

    def _wait(self) -> None:
        if self.lost.wait(TICK):
            raise LeaseLost(self.job["id"])
        if ENDING.is_set():
            if self.service.settings.trainings_end:
                self.process.stop(None)
                self.process.wait(_STOP_SECONDS)
            jobs.update(self.service.driver, self.lease, lease_until=0.0, dispatched_at=0.0)
            raise LeaseLost(self.job["id"])

    def _look(self) -> None:
        """Store what is new, and pass on a wish to stop."""
        self._mirror_events()
        self._mirror_metrics()
        self._publish_checkpoints()
        job = jobs.get(self.service.driver, self.job["id"])
        wish = (job or {}).get("stop")
        if wish and not self.asked:
            self.asked, self.asked_at = wish, time.monotonic()
            self.process.stop(wish)
        elif wish and time.monotonic() - self.asked_at > _STOP_SECONDS:
            self.process.kill()
        elif self.process.alive() and self.process.silent_for() > self.service.settings.training_silence_seconds:
            self._note("silent", "The process gave no sign of life and was ended.", level="warn")
            self.process.kill()

    # --- what it tells ---

    def _new_lines(self, name: str) -> list[dict[str, Any]]:
        file = self.folder / f"{name}.jsonl"
        if not file.exists():
            return []
        at = min(
            self.offsets[name], file.stat().st_size
        )  # a training that goes on may cut what it did after its checkpoint
        with file.open("rb") as stream:
            stream.seek(at)
            text = stream.read()
        whole = text[: text.rfind(b"\n") + 1]
        self.offsets[name] = at + len(whole)
        return [json.loads(line) for line in whole.splitlines() if line.strip()]

    def _mirror_events(self) -> None:
        for row in self._new_lines("events"):
            self._log("message", row)
        self._keep_place("events")

    def _mirror_metrics(self) -> None:
        rows = self._new_lines("metrics")
        total = int((read_json(self.folder / "heartbeat.json") or {}).get("total") or self.job.get("total") or 0)
        for row in rows:
            if "validation" in row or row["step"] - self.noted_step >= total / _EVENTS:
                self.noted_step = row["step"]
                self._log("metrics", row)
            if "validation" in row:
                self.pool.submit(self._revise, row["step"])
        losses = [row for row in rows if "loss" in row]
        if losses:
            latest = losses[-1]
            self._keep_place("metrics", done=latest["step"], total=total, progress=latest)

    def _keep_place(self, name: str, **more: Any) -> None:
        if self.offsets[name] != self.job.get(f"{name}_at"):
            self.job[f"{name}_at"] = self.offsets[name]
            jobs.update(self.service.driver, self.lease, **{f"{name}_at": self.offsets[name]}, **more)

    def _note(self, event: str, message: str, level: str = "info") -> None:
        self._log("message", {"time": time.time(), "level": level, "event": event, "message": message})

    def _log(self, type: str, row: dict[str, Any]) -> None:
        """An event of the job; the same row again, after a worker died before it kept its place, is the same event."""
        key = hashlib.sha256(json.dumps([self.job["id"], type, row], sort_keys=True).encode()).hexdigest()[:32]
        jobs.log_event(self.service.driver, self.job["id"], type, row, key=key)

    # --- checkpoints and results ---

    def _publish_checkpoints(self) -> None:
        there = {f.parent.name for f in self.folder.glob("checkpoints/*/complete.json")}
        for name in sorted(there - self.published):
            self.published.add(name)
            self.pool.submit(self._publish_checkpoint, name)
        for name in self.published - there:
            self.published.discard(name)
            self.pool.submit(models.delete, self.service.driver, self.service.storage, self._checkpoint_id(name))
        for name in sorted(self.published & there):
            if name not in self.thin and not (self.folder / "checkpoints" / name / _STATE).exists():
                self._thin(name)

    def _thin(self, name: str) -> None:
        """Drop from a stored checkpoint what only a training that goes on from it needs."""
        self.thin.add(name)
        stored = f"{model_folder(self._checkpoint_id(name))}/{_STATE}"
        self.pool.submit(self.service.storage.delete, stored)

    def _publish_checkpoint(self, name: str) -> None:
        """Make a checkpoint a model that may be named, and keep it where another machine could go on from it."""
        try:
            folder, step, id = self.folder / "checkpoints" / name, _step(name), self._checkpoint_id(name)
            self._register(id, folder, "checkpoint", {"step": step} | _metrics_at(self.folder, step))
            self._log("message", {"level": "info", "event": "checkpoint", "step": step, "message": f"Checkpoint {id}"})
        except Exception:  # the training goes on without
            log.exception("%s: checkpoint %s can't be stored", self.job["id"], name)
            self.published.discard(name)

    def _revise(self, step: int) -> None:
        """Give a checkpoint the validation that came after it."""
        id, metrics = self._checkpoint_id(f"-{step}"), {"step": step} | _metrics_at(self.folder, step)
        records.revise(self.service.driver, "Model", id, {"metrics": metrics})

    def _register(self, id: str, folder: Path, kind: str, metrics: dict[str, Any]) -> None:
        driver, params = self.service.driver, self.job["params"]
        lineage = {
            "base": params["model"],
            "root": self.job["result_id"].split(":")[1],
            "job_id": self.job["id"],
            "training_file": params["training_file"],
            "code": models.code_version(),
            "spec": read_json(self.folder / "spec.json"),
        }
        models.register(driver, self.service.storage, id, folder, kind, lineage, metrics)

    def _ended(self) -> bool:
        """Whether the training is over; what its last process left behind decides, and nothing but a result is believed."""
        result = read_json(self.folder / "result.json") or {}
        state = self.asked if result.get("state") == "interrupted" and self.asked else result.get("state")
        if state in ("succeeded", "failed", "cancelled", "paused"):
            self._finish(state, result)
            return True
        if not (self.folder / "process.json").exists():
            return False  # never started here
        return self._died(result)

    def _finish(self, state: State, result: dict[str, Any]) -> None:
        """Store what a training left behind, then tell how it ended."""
        self._publish_checkpoints()
        for name in self.published if state == "succeeded" else ():
            self._thin(name)
        self.pool.shutdown()
        told: dict[str, Any] = {k: result.get(k) for k in ("step", "total", "metrics")}
        told["checkpoint"] = self._newest()
        if state == "succeeded":
            told["model"] = self.job["result_id"]
            self._register(told["model"], self.folder / result["model"], "tuned", result.get("metrics") or {})
        for name in ("metrics.jsonl", "process.log"):
            if (file := self.folder / name).exists():
                self.service.storage.write(tuning_file(self.job["id"], name), file.read_bytes())
        error = result.get("error") if state == "failed" else None
        more = {"finished_at": None} if state == "paused" else {}
        jobs.finish(self.service.driver, self.lease, state, result=told, error=error, stop=None, **more)
        if state == "succeeded":
            shutil.rmtree(self.folder, ignore_errors=True)

    def _newest(self) -> str | None:
        """The model that the newest checkpoint is."""
        return self._checkpoint_id(max(self.published, key=_step)) if self.published else None

    def _checkpoint_id(self, name: str) -> str:
        return f"{self.job['result_id']}:ckpt-step-{_step(name)}"

    def _died(self, result: dict[str, Any]) -> bool:
        """A process that ended without being asked is started again; True where it died too often without a new checkpoint."""
        step = max((_step(f.parent.name) for f in self.folder.glob("checkpoints/*/complete.json")), default=0)
        deaths = 1 if step > (self.job.get("death_step") or 0) else (self.job.get("deaths") or 0) + 1
        self.job |= {"deaths": deaths, "death_step": step}
        jobs.update(self.service.driver, self.lease, deaths=deaths, death_step=step)
        how = "was interrupted" if result else "died"
        if deaths > self.service.settings.max_attempts:
            detail = f"The process {how} {deaths} times at step {step}. {_tail(self.folder / 'process.log')}"
            remedy = "Mend the cause and resume the job; it goes on from its last checkpoint."
            self._finish(
                "failed", {"step": step, "error": {"code": "process_died", "detail": detail, "remedy": remedy}}
            )
            return True
        self._note("restarted", f"The process {how}; it goes on from step {step}.", level="warn")
        if self.lost.wait(0.5 * 2 ** (deaths - 1)):
            raise LeaseLost(self.job["id"])
        return False


def _step(name: str) -> int:
    return int(name.rpartition("-")[2])


def _tail(log: Path) -> str:
    """The last words of a log."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return " ".join(lines[-3:])[-400:]


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
