"""The composition root: what a process needs, opened once, on first use."""

import fcntl
import gc
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock, Timer

from graphdb import schema
from graphdb.connection import PATIENCE, connect
from graphdb.connection import Driver as Driver
from model.backends.transport import CallLimits
from model.video_llm import VideoLLM
from workers import models
from workers.queues import Places
from workers.settings import Settings, settings
from workers.storage import Storage

Wake = Callable[[str, str, str], None]  # (task name, queue, job id); may raise when the broker is away
Backlog = Callable[[str], int]  # how many messages a queue holds
_opening = Lock()


@dataclass
class Service:
    """A database, a storage, a way to wake workers, and the Video-LLMs by name."""

    settings: Settings
    driver: Driver
    storage: Storage
    wake: Wake
    backlog: Backlog
    _closed: dict[str, float] = field(default_factory=dict)  # when a model's server may be called again
    _idle: Timer | None = None
    _servers: dict[str, VideoLLM] = field(default_factory=dict)  # by spec: all threads share one, which holds no memory
    _lock: Lock = field(default_factory=Lock)
    _open: tuple[tuple[str, str], VideoLLM] | None = None  # a model, under its name and its identity when it was loaded

    def model(self, name: str) -> VideoLLM:
        """The Video-LLM of a name in the settings or of a tuned one's id, which stays open until another one is wanted."""
        if models.server_of(self.settings, name):
            return self._server(self.settings.model_specs()[name])
        wanted = (name, models.identity(self.settings, name))
        if self._open is None or self._open[0] != wanted:
            spec = models.spec_of(self.settings, self.driver, self.storage, name)
            self.let_go()  # before the other one is loaded: both may not fit
            self._open = (wanted, open_model(spec, self.settings.calls))
        return self._open[1]

    def _server(self, spec: str) -> VideoLLM:
        with self._lock:
            if spec not in self._servers:
                self._servers[spec] = open_model(spec, self.settings.calls)
            return self._servers[spec]

    def close_server(self, server: str, until: float) -> None:
        """Keep jobs off a model's server until a time in seconds; none where `server` is empty."""
        if server:
            self._closed[server] = max(until, self.closed_until(server))

    def closed_until(self, server: str) -> float:
        """Tell when a model's server may be called again, as a time in seconds; 0 where it may be now."""
        return self._closed.get(server, 0.0)

    @cached_property
    def places(self) -> Places:
        """Who may call which server now."""
        return Places(self.settings.server_jobs)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """The open model is kept while the block runs, and for `model_idle_seconds` more."""
        if self._idle:
            self._idle.cancel()
        try:
            yield
        finally:
            self._idle = Timer(self.settings.model_idle_seconds, self.let_go)
            self._idle.daemon = True
            self._idle.start()

    def let_go(self) -> None:
        """Forget the Video-LLM that is open, and give its memory back, as to a training on the same GPU."""
        self._open = None
        gc.collect()
        if torch := sys.modules.get("torch"):  # not imported for this
            torch.cuda.empty_cache()

    def scratch(self) -> TemporaryDirectory[str]:
        """A folder for files that are on their way, gone in the end; the system's own may be memory."""
        return Scratch(self.settings.home / "scratch")

    def close(self) -> None:
        self.driver.close()


class Scratch(TemporaryDirectory[str]):
    """A folder that this process holds a lock on, so that others know it from one that a killed process left."""

    def __init__(self, parent: Path) -> None:
        parent.mkdir(parents=True, exist_ok=True)
        with _locked(parent):
            super().__init__(dir=parent)
            self._held = os.open(self.name, os.O_RDONLY)
            fcntl.flock(self._held, fcntl.LOCK_EX)

    def cleanup(self) -> None:
        super().cleanup()
        if self._held >= 0:
            os.close(self._held)
            self._held = -1


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def clear_scratch(parent: Path) -> None:
    """Remove the scratch folders of processes that are no more."""
    if not parent.is_dir():
        return
    with _locked(parent):
        for folder in parent.iterdir():
            with suppress(OSError):  # it is held, or went just now
                _remove_unheld(folder)


def _remove_unheld(folder: Path) -> None:
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(held)


def open_model(spec: str, calls: CallLimits | None = None) -> VideoLLM:
    """The Video-LLM of a spec; `scripted:<folder>` is the perfect one of the rendered world."""
    if spec.startswith("scripted:"):
        from trainer.world.oracle import Oracle

        return Oracle(Path(spec.removeprefix("scripted:")))
    from model.backends import open_video_llm

    return open_video_llm(spec, limits=calls)


def open_service(given: Settings, *, patience: float = PATIENCE) -> Service:
    """A service for these settings; the database's schema is there when it returns.

    `patience` is for how many seconds it then waits for a database that is away.
    """
    uri = given.neo4j_uri or "bolt://127.0.0.1:7687"
    driver = connect(uri, given.neo4j_user, given.neo4j_password.get_secret_value(), patience=patience)
    schema.apply(driver)
    clear_scratch(given.home / "scratch")
    return Service(given, driver, Storage(given.storage_url), _send, _backlog)


def _send(task: str, queue: str, job_id: str) -> None:
    from workers.app import app

    app.send_task(task, (job_id,), queue=queue, retry=False)


def _backlog(queue: str) -> int:
    from workers.app import app

    with app.connection_for_read() as connection:
        return int(connection.default_channel.client.llen(queue))


def service() -> Service:
    """This process's service, which its threads share."""
    with _opening:
        return _opened()


@cache
def _opened() -> Service:
    return open_service(settings())
