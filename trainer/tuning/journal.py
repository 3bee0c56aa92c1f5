"""What a training tells of itself in its folder: metrics, events, heartbeat and result. Files are whole at any time."""

import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from model import durable

BEAT = 2.0  # seconds


class Journal:
    """The files of one training; a process that is not the first of several writes none."""

    def __init__(self, folder: Path, *, first: bool) -> None:
        self.folder, self._first = folder, first
        self.step, self.total = 0, 0
        self._started = psutil.Process().create_time()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        if first:
            self._thread.start()

    def close(self) -> None:
        """End the heartbeat."""
        self._ended.set()
        if self._first:
            self._thread.join()

    def event(self, event: str, message: str, *, level: str = "info", **more: Any) -> None:
        """Something that happened, a line in events.jsonl."""
        self._add("events.jsonl", {"time": time.time(), "level": level, "event": event, "message": message, **more})

    def metrics(self, row: Mapping[str, Any]) -> None:
        """A line in metrics.jsonl; of two about the same step, which a training that went on writes, the later counts."""
        self._add("metrics.jsonl", {"time": time.time(), **row})

    def validated(self, step: int) -> bool:
        """Whether the model of a step was validated."""
        file = self.folder / "metrics.jsonl"
        rows = map(json.loads, file.read_text(encoding="utf-8").splitlines()) if file.exists() else ()
        return any(row["step"] == step and "validation" in row for row in rows)

    def result(self, row: Mapping[str, Any]) -> None:
        """How it ended.

        Of several processes one that is not the first tells why it failed, and the first, which then ends for the other's
        sake, leaves that as it is.
        """
        file = self.folder / "result.json"
        if self._first and not (row["state"] == "interrupted" and file.exists()):
            write_json(file, row)
        elif not self._first and row["state"] == "failed" and not file.exists():
            print(f"{row['error']['code']}: {row['error']['detail']}", file=sys.stderr)
            with suppress(OSError):  # another one tells the same just now
                write_json(file, row)

    def _add(self, name: str, row: Mapping[str, Any]) -> None:
        if self._first:
            with (self.folder / name).open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")

    def _beat(self) -> None:
        while True:
            row = {"pid": os.getpid(), "started": self._started, "step": self.step, "total": self.total}
            with suppress(OSError):  # a full disk is the checkpoint's to tell
                write_json(self.folder / "heartbeat.json", row)
            if self._ended.wait(BEAT):
                return


def write_json(file: Path, row: Mapping[str, Any]) -> None:
    """A file that readers find whole, on the disk when this returns."""
    durable.write_text(file, json.dumps(row) + "\n")
