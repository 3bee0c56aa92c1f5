"""Points at which tests of faults kill or hold a worker. Without the two variables a point does nothing."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

_POLL_SECONDS = 0.05


def fault_point(name: str) -> None:
    """Kill or hold this process here, where a test wants it.

    `STSG_CRASH_AT=<point>=<file>,...` kills the process once at each point, unless its file is there.
    `STSG_HOLD_AT=<point>=<file>,...` holds the process at the point for as long as its file is there.

    Args:
        name: the point, such as `split-commit`.
    """
    for marker in _markers("STSG_CRASH_AT", name):
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    for marker in _markers("STSG_HOLD_AT", name):
        while marker.exists():
            time.sleep(_POLL_SECONDS)


def _markers(variable: str, name: str) -> Iterator[Path]:
    """The files of a point."""
    for entry in filter(None, os.environ.get(variable, "").split(",")):
        point, _, marker = entry.partition("=")
        if point == name:
            yield Path(marker)
