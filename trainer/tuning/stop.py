"""Being asked to stop: a signal is heard at once while things load, and between two parts of a step afterwards."""

import ctypes
import json
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any, Literal

State = Literal["cancelled", "paused", "interrupted"]
_STATES: tuple[State, ...] = ("cancelled", "paused")
_FILE = "stop.json"
_PR_SET_PDEATHSIG = 1  # of Linux's prctl


class Stopped(BaseException):
    """The training was asked to stop; libraries that catch every Exception let it through."""


class Stop:
    """SIGTERM and SIGINT of this process, and what the folder's stop.json says they are for."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / _FILE
        self._asked = self._training = False

    def listen(self) -> None:
        """Hear signals from here on."""
        if self._file.is_file() and self._file.stat().st_mtime < time.time() - 1:  # it was for an earlier process
            self._file.unlink()
        signal.signal(signal.SIGTERM, self._hear)
        signal.signal(signal.SIGINT, self._hear)

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        asked, self._asked = self._asked, True
        if not self._training and not asked:
            raise Stopped

    def training(self, *, on: bool) -> None:
        """Hear signals between parts of a step only (on), or at once (off)."""
        self._training = on
        self.check()

    def check(self) -> None:
        """Raises Stopped if a signal came."""
        if self._asked:
            raise Stopped

    def agreed(self, accelerator: Any) -> bool:
        """Whether a signal came to any of the processes; all of them learn it at the same step."""
        if accelerator.num_processes == 1:
            return self._asked
        import torch

        heard = torch.tensor(float(self._asked), device=accelerator.device)
        return bool(accelerator.reduce(heard, "sum") > 0)

    def state(self) -> State:
        """What the stop was for."""
        try:
            told = json.loads(self._file.read_text())["state"]
        except (OSError, ValueError, KeyError, TypeError):
            return "interrupted"
        return told if told in _STATES else "interrupted"


def end_with_the_parent() -> None:
    """Have the kernel end this process when what started it is gone: no one would know that it runs."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
