"""A training, watched over: its process is started or found again, looked after, and stopped when asked.

The process outlives whoever watches it. A job whose worker died is given to the next worker of this machine, which finds the
process by its folder.
"""

import json
import logging
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from graphdb import jobs
from graphdb.jobs import Job, Lease, LeaseLost, State
from workers import processes
from workers.processes import TrainingProcess, read_json
from workers.runtime import Service
from workers.training_folder import JobError, folder_of, is_of, prepare
from workers.training_record import Record

log = logging.getLogger(__name__)
ENDING = threading.Event()  # set while this worker shuts down
TICK = 0.3
_ENDED: tuple[State, ...] = ("succeeded", "failed", "cancelled", "paused")
_REHEARSAL_SECONDS = 600.0
_HOST = os.uname().nodename


def rehearse(service: Service, lease: Lease, job: Job, lost: threading.Event) -> None:
    """What a training would take, before anything is spent."""

    def check() -> None:
        if lost.is_set():
            raise LeaseLost(job["id"])

    folder = folder_of(service, job["id"])
    service.let_go()
    try:
        prepare(service, job, folder, check)
        command = processes.command(folder, dry_run=True)  # one process, which sees one GPU, tells it of all
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=_REHEARSAL_SECONDS,
            env=processes.environment(),
        )
        report = _last_json(done.stdout)
        if done.returncode or report is None:
            error = (report or {}).get("error") or {}
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
    service.let_go()
    watch = Watch(service, lease, job, lost)
    try:
        watch.run()
    finally:
        watch.record.close()


def tidy(service: Service) -> None:
    """Stop trainings on this machine that another has taken over, or that have ended in the record.

    What a deleted one left is removed: whoever deletes it may be another machine.
    """
    for folder in (service.settings.home.absolute() / "tuning").glob("ft*-*"):
        job, process = jobs.get(service.driver, folder.name), TrainingProcess(folder)
        if job is None:
            if is_of(service, folder) and not process.alive():
                shutil.rmtree(folder, ignore_errors=True)
            continue
        ours = job["state"] in ("queued", "running") and job.get("host") in (None, _HOST)
        if not ours and process.alive():
            process.stop(None)


class Watch:
    """One worker's eyes on one training."""

    def __init__(self, service: Service, lease: Lease, job: Job, lost: threading.Event) -> None:
        self.service, self.lease, self.job, self.lost = service, lease, job, lost
        self.folder = folder_of(service, job["id"])
        self.process = TrainingProcess(self.folder)
        self.record = Record(service, lease, job, self.folder)
        self.asked: State | None = None  # what the process was told to end as
        self.asked_at = 0.0
        self._sign, self._sign_at = 0.0, time.monotonic()

    def run(self) -> None:
        """Until the training has ended for good.

        Raises:
            LeaseLost: another watches now, or this worker ends; the process goes on.
        """
        if self.job["attempts"] == 1 and not self.process.alive():
            (self.folder / "result.json").unlink(missing_ok=True)  # of before it was resumed
            (self.folder / "process.json").unlink(missing_ok=True)
        if self.process.alive():
            self.record.note("attached", "Found the process again that an earlier worker started.")
        elif prepare(self.service, self.job, self.folder, self._may_go_on) or self.job.get("host") not in (None, _HOST):
            self.record.begin_anew()  # how far another machine's files were read says nothing of those here
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

    def _may_go_on(self) -> None:
        """Raises LeaseLost where another has the job, this worker ends, or the training is to stop before it has begun."""
        if self.lost.is_set() or ENDING.is_set():
            raise LeaseLost(self.job["id"])
        wish = (jobs.get(self.service.driver, self.job["id"]) or {}).get("stop")
        if wish:
            self.record.finish(wish, {"step": self.job.get("done") or 0})
            raise LeaseLost(self.job["id"])

    def _start(self) -> None:
        spec = self.job["params"]["spec"]
        self.process.start(processes.command(self.folder, spec.get("processes", 1)))
        self.record.note("started", "Started the process.")

    def _look(self) -> None:
        """Store what is new, pass on a wish to stop, and end a process that no longer answers."""
        self.record.look()
        wish = (jobs.get(self.service.driver, self.job["id"]) or {}).get("stop")
        if wish and not self.asked:
            self.asked, self.asked_at = wish, time.monotonic()
            self.process.stop(wish)
        elif wish and time.monotonic() - self.asked_at > processes.STOP_SECONDS and not self.process.writes():
            self.process.kill()
        elif self.process.alive() and self._silent_for() > self.service.settings.training_silence_seconds:
            self.record.note("silent", "The process gave no sign of life and was ended.", level="warn")
            self.process.kill()

    def _silent_for(self) -> float:
        """Seconds since a new sign of life was seen, by a clock that nobody sets."""
        if (sign := self.process.last_sign()) != self._sign:
            self._sign, self._sign_at = sign, time.monotonic()
        return time.monotonic() - self._sign_at

    def _wait(self) -> None:
        if self.lost.wait(TICK):
            raise LeaseLost(self.job["id"])
        if ENDING.is_set():
            if self.service.settings.trainings_end:
                self.process.stop(None)
                self.process.wait(processes.STOP_SECONDS)
                self.record.look()  # the last checkpoint, from which another goes on
            jobs.update(self.service.driver, self.lease, lease_until=0.0, dispatched_at=0.0)
            raise LeaseLost(self.job["id"])

    def _ended(self) -> bool:
        """Whether the training is over: its last process left a result, or had been asked to stop and is gone."""
        result = read_json(self.folder / "result.json") or {}
        state = result.get("state")
        if self.asked and state not in _ENDED:  # interrupted, or killed as it took too long
            state, result = self.asked, {"step": self.record.last_step()} | result
        if state in _ENDED:
            self.record.finish(state, result)
            return True
        if not (self.folder / "process.json").exists():
            return False  # never started here
        return self._died(how="was interrupted" if result else "died")

    def _died(self, how: str) -> bool:
        """A process that ended without being asked is started again; True where it died too often without a new checkpoint."""
        step = self.record.last_step()
        deaths = 1 if step > (self.job.get("death_step") or 0) else (self.job.get("deaths") or 0) + 1
        self.job |= {"deaths": deaths, "death_step": step}
        jobs.update(self.service.driver, self.lease, deaths=deaths, death_step=step)
        if deaths >= self.service.settings.max_attempts:
            detail = f"The process {how} {deaths} times at step {step}. {_tail(self.folder / 'process.log')}"
            remedy = "Mend the cause and resume the job; it goes on from its last checkpoint."
            error = {"code": "process_died", "detail": detail, "remedy": remedy}
            self.record.finish("failed", {"step": step, "error": error})
            return True
        self.record.note("restarted", f"The process {how}; it goes on from step {step}.", level="warn")
        if self.lost.wait(0.5 * 2 ** (deaths - 1)):
            raise LeaseLost(self.job["id"])
        return False


def _tail(log: Path) -> str:
    """The last words of a log."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return " ".join(lines[-3:])[-400:]
