"""The local stack as its users handle it: start it, find it, stop it. The supervisor's process does the rest.

`stack.json` in the state folder holds addresses, passwords and process ids. A lock lets one stack run for a folder. This
module imports little, so that commands answer at once.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from workers import processes

START_TIMEOUT = 180.0  # seconds; a first start may fetch 200 MB
GRACE = 15.0  # seconds for children to end by themselves
_DEATHS = 2  # a child that died so often at its start will not live


class StackError(Exception):
    """The stack could not be started; the text says which part, and holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack: where its parts answer, and the settings under which a process joins it."""

    uris: dict[str, str]
    pids: dict[str, int]
    settings: dict[str, Any]
    deaths: dict[str, int]  # how often parts died within a minute before the last time that one did


def start(home: Path, env: Mapping[str, str] | None = None) -> Stack:
    """Start the stack of a folder and wait until all of it answers; a running one is left as it is.

    Raises:
        StackError: a part died or did not answer in time.
    """
    home = home.absolute()
    (home / "logs").mkdir(parents=True, exist_ok=True)
    if is_running(home):
        return _await_ready(home, None)
    for name in ("stack.json", "failed"):
        (home / name).unlink(missing_ok=True)
    command = [sys.executable, "-m", "workers.supervisor", str(home)]
    with (home / "logs" / "supervisor.log").open("ab") as log:
        supervisor = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **(env or {}), "STSG_HOME": str(home)},
        )
    try:
        return _await_ready(home, supervisor)
    except KeyboardInterrupt:
        stop(home)
        raise


def _await_ready(home: Path, supervisor: subprocess.Popen[bytes] | None) -> Stack:
    """The stack once all of it answers; `supervisor` is the process that was started for it, None where one ran."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        ended = supervisor is not None and supervisor.poll() is not None
        if (home / "failed").exists():
            stop(home)
            raise StackError((home / "failed").read_text())
        if ended and not is_running(home):
            raise did_not_start(home, "supervisor")
        stack = running(home)
        if stack and _answers(stack):
            return stack
        dying = [name for name, times in stack.deaths.items() if times >= _DEATHS] if stack and supervisor else []
        if dying:
            stop(home)
            raise did_not_start(home, dying[0])
        time.sleep(0.2)
    stop(home)
    tails = "\n".join(f"--- {f.name}\n{tail(f)}" for f in sorted((home / "logs").glob("*.log")))
    raise StackError(f"The stack did not answer within {START_TIMEOUT:.0f} s.\n{tails}")


def _answers(stack: Stack) -> bool:
    connection = HTTPConnection(stack.uris["api"].removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def running(home: Path) -> Stack | None:
    """The stack of a folder, None where none runs."""
    with suppress(OSError, ValueError, KeyError):
        told = json.loads((home / "stack.json").read_text())
        if is_running(home):
            return Stack(told["uris"], told["pids"], told["settings"], told.get("deaths", {}))
    return None


def is_running(home: Path) -> bool:
    """Whether a supervisor holds the folder's lock."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)  # two may look at once
        except BlockingIOError:
            return True
    return False


def stop(home: Path) -> bool:
    """Stop the stack of a folder, and whatever a supervisor that was killed left behind; whether one ran."""
    home = home.absolute()
    supervisor, children = _pids(home)
    if was := is_running(home):
        _signal(supervisor, signal.SIGTERM, home)
    deadline = time.monotonic() + 2 * GRACE + 10
    while is_running(home) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid in {supervisor, *children}:
        _signal(pid, signal.SIGKILL, home)
    for pid in set(_pids(home)[1]) - set(children):  # one that was killed may have started others meanwhile
        _signal(pid, signal.SIGKILL, home)
    processes.stop_all(home / "tuning", GRACE)
    (home / "stack.json").unlink(missing_ok=True)
    return was


def _pids(home: Path) -> tuple[int, list[int]]:
    """The process ids of the supervisor, which it notes in its lock before all else, and of its children; 0 for none."""
    supervisor, children = 0, []
    with suppress(OSError, ValueError):
        supervisor = int((home / "lock").read_text())
    with suppress(OSError, ValueError, KeyError):
        children = [int(pid) for pid in json.loads((home / "stack.json").read_text())["pids"].values()]
    return supervisor, children


def _signal(pid: int, what: signal.Signals, home: Path) -> None:
    """Signal a process group of ours; a process id that is someone else's by now is left alone."""
    with suppress(OSError):
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        if f"STSG_HOME={home}".encode() in environment.split(b"\0"):
            os.killpg(os.getpgid(pid), what)


def did_not_start(home: Path, name: str) -> StackError:
    """What is told of a part that died at its start."""
    log = home / "logs" / f"{name}.log"
    return StackError(f"{name} did not start. The end of {log}:\n{tail(log)}")


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""
