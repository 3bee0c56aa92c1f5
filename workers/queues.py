"""Which queue a job's next stage waits on, so that no kind of work holds up another.

Jobs of a model behind a server wait for its replies and use no GPU, so they have a queue of their own; so have videos that
take minutes to split.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any

from graphdb import videos
from graphdb.connection import Driver
from graphdb.jobs import Job
from workers import models
from workers.settings import Settings

REMOTE, LONG = "remote", "cpu.long"
QUEUES = ("cpu", "cpu.soon", LONG, "gpu.infer", "gpu.soon", "gpu.train", REMOTE)
SOON = {"cpu": "cpu.soon", "gpu.infer": "gpu.soon"}  # what must not wait behind thousands of runs
TASKS = {
    "split": ("stsg.split", "cpu"),
    "induce": ("stsg.induce", "gpu.infer"),
    "qra": ("stsg.qra", "cpu.soon"),
    "polish": ("stsg.polish", "gpu.soon"),
    "rehearse": ("stsg.rehearse", "gpu.soon"),  # not behind a training that runs
    "train": ("stsg.train", "gpu.train"),
    "evaluate": ("stsg.evaluate", "gpu.soon"),
}


def queue_of(settings: Settings, job: Job) -> str:
    """Name the queue on which a job's next stage waits; one whose worker died has waited already.

    Args:
        settings: which tell what is behind a model's name.
        job: the job's record; `long` of it says that its video takes minutes to split.

    Returns:
        One of `QUEUES`; an induction by a model of `openai:http://...` -> "remote".
    """
    queue = TASKS[job["stage"]][1]
    if server_of(settings, job):
        return REMOTE
    if job["stage"] == "split" and job.get("long"):
        return LONG
    return SOON.get(queue, queue) if job["state"] == "running" else queue


def server_of(settings: Settings, job: Job) -> str:
    """Tell the address of the server that a job's next stage calls, empty for none."""
    calls = TASKS[job["stage"]][1].startswith("gpu")
    return models.server_of(settings, job.get("model", "")) if calls else ""


def is_long(settings: Settings, driver: Driver, video_id: str) -> bool:
    """Tell whether a video takes minutes to split, as its record has it."""
    video: Mapping[str, Any] = videos.get_video(driver, video_id) or {}
    return int(video.get("frames") or 0) > settings.long_frames


class Places:
    """How many jobs of this process are at work on each server, of at most so many."""

    def __init__(self, most: int) -> None:
        self._most, self._used, self._lock = most, Counter[str](), Lock()

    @contextmanager
    def place(self, server: str) -> Iterator[bool]:
        """Take a place at a server for the block; False where it has none left, and always True for no server."""
        with self._lock:
            free = not server or self._used[server] < self._most
            self._used[server] += free
        try:
            yield free
        finally:
            with self._lock:
                self._used[server] -= free
