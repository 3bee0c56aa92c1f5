"""What a supervisor that was killed leaves behind: children that go on, and how they are known and ended.

Each child gets the file `tie` of the state folder open, with a shared lock on it, before its first instruction. So a process
is known by the file that it holds, whoever its parent is by now, and whatever became of `stack.json`, of its environment or
of the folder's name; a process id alone, which may be another's by now, is never trusted. (Linux shows who holds a file.)
"""

import fcntl
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TextIO

TIE = "tie"
_OURS = (b"celery", b"uvicorn")  # they end first, then what they need
_KILLED = 5.0  # seconds in which a killed process is gone


class LeftoverError(Exception):
    """Processes of a stack before this one still run and can't be ended."""


def lock(file: Path, how: int, tries: int = 1) -> TextIO | None:
    """Open a file with a lock on it, which goes when the last copy of it is closed; None where another has it.

    Args:
        file: made where it isn't there.
        how: `fcntl.LOCK_SH` or `fcntl.LOCK_EX`.
        tries: how often, 50 ms apart; others may just be looking whether it is held.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    opened = file.open("a")
    for attempt in range(tries):
        with suppress(BlockingIOError):
            fcntl.flock(opened, how | fcntl.LOCK_NB)
            return opened
        time.sleep(0.05 * (attempt + 1 < tries))
    opened.close()
    return None


def is_held(file: Path) -> bool:
    """Whether a process has an exclusive lock on a file."""
    return _is_locked(file, fcntl.LOCK_SH)


def are_left(home: Path) -> bool:
    """Whether children of a stack live, with or without a supervisor."""
    return _is_locked(home / TIE, fcntl.LOCK_EX)


def _is_locked(file: Path, how: int) -> bool:
    try:
        with file.open() as opened:  # to read: who only looks is no holder
            fcntl.flock(opened, how | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def hold(home: Path) -> TextIO | None:
    """Hold the tie of a folder's stack, where there is one: for processes that a child starts without its open files."""
    return lock(home / TIE, fcntl.LOCK_SH, tries=20) if (home / TIE).exists() else None


def new_tie(home: Path, seconds: float) -> TextIO:
    """End what is left of an earlier stack, then make the tie that the children of a new one get.

    Raises:
        LeftoverError: a process can't be ended.
    """
    end(home, seconds)
    tie = lock(home / TIE, fcntl.LOCK_EX, tries=20)
    if tie is None:
        detail = f"Processes of an earlier stack of {home} still run and can't be ended: {holders(home / TIE)}."
        raise LeftoverError(f"{detail} End them by hand, or as the user who started them.")
    fcntl.flock(tie, fcntl.LOCK_SH)
    return tie


def end(home: Path, seconds: float) -> bool:
    """End the children of a supervisor that is no more, and wait for it; whether there were any.

    The caller holds the folder's lock, so that nobody starts others meanwhile. The workers and the API go first.

    Args:
        home: the state folder.
        seconds: for the children to end by themselves.
    """
    ran = False
    for chosen in (_OURS, (b"",)):
        for what, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, _KILLED)):
            living = [pid for pid in holders(home / TIE) if any(word in _command(pid) for word in chosen)]
            for pid in living:
                ran = True
                send(pid, what, home / TIE)
            _wait(living, home / TIE, patience)
    return ran


def _wait(pids: list[int], file: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(holds(pid, file) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)


def send(pid: int, what: signal.Signals, file: Path) -> None:
    """Signal a process that holds a file, and the group that it leads, if it does; anyone else's process is left alone."""
    with suppress(OSError):
        handle = os.pidfd_open(pid)  # from here on it is this process, or none
        try:
            if holds(pid, file):
                leads = os.getpgid(pid) == pid
                if leads and what == signal.SIGKILL:
                    os.killpg(pid, what)
                else:
                    signal.pidfd_send_signal(handle, what)
        finally:
            os.close(handle)


def holders(file: Path) -> list[int]:
    """The ids of the processes, but this one, that have a file open to write, in ascending order."""
    numbers = sorted(int(entry.name) for entry in Path("/proc").glob("[0-9]*"))
    return [pid for pid in numbers if pid != os.getpid() and holds(pid, file)]


def holds(pid: int, file: Path) -> bool:
    """Whether a process has a file open to write; by the file itself, not by its name."""
    with suppress(OSError):
        here = file.stat()
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                there = entry.stat()
                if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino) and _writes(pid, entry.name):
                    return True
    return False


def _writes(pid: int, number: str) -> bool:
    text = Path(f"/proc/{pid}/fdinfo/{number}").read_text()
    flags = next(line.split()[1] for line in text.splitlines() if line.startswith("flags:"))
    return int(flags, 8) & os.O_ACCMODE != os.O_RDONLY


def _command(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""
