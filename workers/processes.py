"""Training processes: each in a session of its own, so that it outlives the worker that started it.

A process holds a lock on its folder from before its first instruction to its end, whoever its parent is by then. So there is
never more than one in a folder, and whether it lives needs no process id, which may be another's by now. This module imports
little: `stsg down` uses it.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import psutil

from trainer.tuning.journal import write_json

STOP_SECONDS = 60  # for what a training does until it ends, and for each pause in what it writes meanwhile
_LAUNCHER_SECONDS = 1800  # after which a launcher of several kills them itself
_KEPT = ("STSG_HOME", "STSG_TRUST_REMOTE_CODE")  # the second names bases that may bring code of their own


@dataclass(frozen=True)
class TrainingProcess:
    """The process of one folder."""

    folder: Path

    def alive(self) -> bool:
        """Whether it runs."""
        try:
            with (self.folder / "lock").open() as lock:
                return not _locked(lock, fcntl.LOCK_SH)
        except FileNotFoundError:
            return False

    def start(self, command: Sequence[str]) -> bool:
        """Start it; False where it runs already. What it prints is appended to `process.log`."""
        with (self.folder / "lock").open("a") as lock, (self.folder / "process.log").open("ab") as log:
            if not _locked(lock, fcntl.LOCK_EX, tries=5):  # others may just be looking whether it lives
                return False
            for name in ("stop.json", "heartbeat.json", "process.json"):
                (self.folder / name).unlink(missing_ok=True)
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(),
                start_new_session=True,
                pass_fds=(lock.fileno(),),
            )
        write_json(self.folder / "process.json", {"pid": child.pid, "started": start_time(child.pid)})
        return True

    def stop(self, state: str | None) -> None:
        """Ask it to save a checkpoint and end; `state` (cancelled or paused) is what it then tells of itself."""
        if state:
            write_json(self.folder / "stop.json", {"state": state})
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and all that it started at once; a launcher of several processes gives each a session of its own."""
        if told := self._found():
            with suppress(psutil.Error):
                launcher = psutil.Process(told["pid"])
                for process in (launcher, *launcher.children(recursive=True)):
                    with suppress(psutil.NoSuchProcess):
                        process.kill()

    def wait(self, seconds: float) -> bool:
        """Whether it ended within so many seconds, or after more in which it wrote a checkpoint."""
        deadline = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > deadline and not self.writes():
                return False
            time.sleep(0.05)
        return True

    def writes(self) -> bool:
        """Whether it is writing a checkpoint or its model: one of tens of gigabytes takes minutes."""
        with suppress(OSError):  # it got its name meanwhile
            parts = [*self.folder.glob(".model.part"), *self.folder.glob("checkpoints/.step-*.part")]
            written = [path.stat().st_mtime for part in parts for path in (part, *part.rglob("*"))]
            return max(written, default=0.0) > time.time() - STOP_SECONDS
        return True

    def last_sign(self) -> float:
        """When it gave its last sign of life, its start being the first, as the files have it; 0 for none."""
        times = [f.stat().st_mtime for n in ("heartbeat.json", "process.json") if (f := self.folder / n).exists()]
        return max(times, default=0.0)

    def _signal(self, what: signal.Signals) -> None:
        if told := self._found():
            with suppress(OSError):
                os.kill(told["pid"], what)

    def _found(self) -> dict[str, Any] | None:
        """Its process id, where that is not someone else's by now.

        A worker that died right after the start left no note; then the heartbeat tells it.
        """
        if not self.alive():
            return None
        told = read_json(self.folder / "process.json")
        if told and told["started"] == start_time(told["pid"]):
            return told
        told = read_json(self.folder / "heartbeat.json")
        return told if told and str(self.folder) in _command_of(told["pid"]) else None


def environment() -> dict[str, str]:
    """What a training's process gets of this one's environment: none of our settings, for they hold passwords."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("STSG_") or k in _KEPT}
    return kept | {"TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(_LAUNCHER_SECONDS)}


def start_time(pid: int) -> int | None:
    """When a process started, in ticks since the machine did: with the id it names one process for ever."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def _command_of(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    return ""


def command(folder: Path, processes: int = 1, *, dry_run: bool = False) -> list[str]:
    """The command line of a training; several processes are started by Accelerate, and without a GPU by what it starts."""
    start = [sys.executable, "-m"]
    if processes > 1 and _has_gpu():
        start += ["accelerate.commands.launch", "--multi_gpu", "--num_processes", str(processes), "--num_machines", "1"]
        start += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0", "--module"]
    elif processes > 1:  # `accelerate launch` knows of no processes on one machine's CPU
        start += ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "--module"]
    return [*start, "trainer.tuning", str(folder), *(["--dry-run"] if dry_run else [])]


def _has_gpu() -> bool:
    return Path("/dev/nvidiactl").exists()


def stop_all(parent: Path, seconds: float) -> None:
    """Stop every training below a folder: each after a checkpoint, to go on from there when it is started again."""
    living = [p for f in parent.glob("*/lock") if (p := TrainingProcess(f.parent)).alive()]
    for process in living:
        process.stop(None)
    deadline = time.monotonic() + seconds
    for process in living:
        if not process.wait(max(0.0, deadline - time.monotonic())):
            process.kill()


def read_json(file: Path) -> dict[str, Any] | None:
    """A small JSON file, None where it isn't there or isn't whole."""
    try:
        told = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None


def _locked(lock: TextIO, how: int, tries: int = 1) -> bool:
    """Take the lock, which goes when the last copy of the file is closed; False where another has it."""
    for attempt in range(tries):
        try:
            fcntl.flock(lock, how | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02 * (attempt + 1 < tries))
        else:
            return True
    return False
