"""Processes that tests leave running; `tests/conftest.py` fails a session that has any."""

import time
from pathlib import Path

import psutil

VARIABLE = "STSG_TEST_SESSION"  # each child of a test has it in its environment
_GRACE = 30.0  # seconds in which a process that was stopped is gone


def leftovers(session: str, folder: Path) -> list[str]:
    """List the processes that a test session started and nobody stopped.

    A process is known by its environment, or by a working folder or an open file below the session's folder: a server that
    writes its title overwrites its environment.

    Args:
        session: the value of `VARIABLE`.
        folder: in which the session's tests have their folders.

    Returns:
        `PID COMMAND` of each, once those that are ending have had time to.
    """
    deadline = time.monotonic() + _GRACE
    while (alive := _alive(session, folder)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return alive


def _alive(session: str, folder: Path) -> list[str]:
    own = {psutil.Process().pid, *(parent.pid for parent in psutil.Process().parents())}
    return [
        f"{process.pid} {' '.join(process.cmdline())}"
        for process in psutil.process_iter()
        if process.pid not in own and _belongs(process, session, folder)
    ]


def _belongs(process: psutil.Process, session: str, folder: Path) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if process.environ().get(VARIABLE) == session:
            return True
        places = [process.cwd(), *(file.path for file in process.open_files())]
    except (psutil.Error, OSError):
        return False
    return any(Path(place).is_relative_to(folder) for place in places)
