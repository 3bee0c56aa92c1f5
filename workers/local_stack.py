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
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from workers import leftovers, processes

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
    home.chmod(0o700)  # what is in it, passwords among it, is its owner's alone
    if is_running(home) and (joined := _await_ready(home, None)):
        return joined
    (home / "failed").unlink(missing_ok=True)  # what else is there the supervisor needs, or removes
    command = [sys.executable, "-m", "workers.supervisor", str(home)]
    log_file = home / "logs" / "supervisor.log"
    log_file.touch(mode=0o600)
    with log_file.open("ab") as log:
        supervisor = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            umask=0o077,
            env={**os.environ, **(env or {}), "STSG_HOME": str(home)},
        )
    try:
        return _await_ready(home, supervisor) or start(home, env)
    except KeyboardInterrupt:
        stop(home)
        raise


def _await_ready(home: Path, supervisor: subprocess.Popen[bytes] | None) -> Stack | None:
    """The stack once all of it answers; None where the one that ran was stopped meanwhile.

    `supervisor` is the process that was started for it, None where one ran.
    """
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        ended = supervisor is not None and supervisor.poll() is not None
        if (home / "failed").exists():
            stop(home)
            raise StackError((home / "failed").read_text())
        if supervisor is None and not is_running(home):
            return None
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
    with suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads((home / "stack.json").read_text())
        if leftovers.holds(int(told["pids"]["supervisor"]), home / "lock"):  # not one that was killed, before this one
            return Stack(told["uris"], told["pids"], told["settings"], told.get("deaths", {}))
    return None


def is_running(home: Path) -> bool:
    """Whether a supervisor holds the folder's lock."""
    return leftovers.is_held(home / "lock")


def is_orphaned(home: Path) -> bool:
    """Whether the children of a supervisor that was killed go on without one."""
    return not is_running(home) and leftovers.are_left(home)


def stop(home: Path) -> bool:
    """Stop the stack of a folder, and whatever a supervisor that was killed left behind; whether anything ran."""
    home = home.absolute()
    lock = home / "lock"
    if ran := is_running(home):
        for pid in leftovers.holders(lock):
            leftovers.send(pid, signal.SIGTERM, lock)
        deadline = time.monotonic() + 2 * GRACE + 10
        while is_running(home) and time.monotonic() < deadline:
            time.sleep(0.1)
        for pid in leftovers.holders(lock) if is_running(home) else ():
            leftovers.send(pid, signal.SIGKILL, lock)
    if not home.exists():
        return False
    with leftovers.lock(lock, fcntl.LOCK_EX, tries=40) or nullcontext() as ours:
        if ours is None:  # another starts it just now
            return ran
        ran = leftovers.end(home, GRACE) or ran
        processes.stop_all(home / "tuning", GRACE)
        (home / "stack.json").unlink(missing_ok=True)
    return ran


def did_not_start(home: Path, name: str) -> StackError:
    """What is told of a part that died at its start."""
    log = home / "logs" / f"{name}.log"
    return StackError(f"{name} did not start. The end of {log}:\n{tail(log)}")


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""
