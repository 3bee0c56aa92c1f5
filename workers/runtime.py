"""The composition root: what a process needs, opened once, on first use."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from graphdb import schema
from graphdb.connection import PATIENCE, connect
from graphdb.connection import Driver as Driver
from model.video_llm import VideoLLM
from workers import models
from workers.settings import Settings, settings
from workers.storage import Storage

Wake = Callable[[str, str, str], None]  # (task name, queue, job id); may raise when the broker is away
Backlog = Callable[[str], int]  # how many messages a queue holds


@dataclass
class Service:
    """A database, a storage, a way to wake workers, and the Video-LLMs by name."""

    settings: Settings
    driver: Driver
    storage: Storage
    wake: Wake
    backlog: Backlog
    _models: dict[str, VideoLLM] = field(default_factory=dict)
    _identities: dict[str, str] = field(default_factory=dict)  # of the models when they were loaded

    def model(self, name: str) -> VideoLLM:
        """The Video-LLM of a name in the settings or of a tuned one's id, loaded on first use, and anew once it is another."""
        identity = models.identity(self.settings, name)
        if self._identities.get(name, identity) != identity:
            self._models.pop(name, None)  # before the other one is loaded: both may not fit
        if name not in self._models:
            spec = models.spec_of(self.settings, self.driver, self.storage, name)
            self._models[name] = open_model(spec)
            self._identities[name] = identity
        return self._models[name]

    def scratch(self) -> TemporaryDirectory[str]:
        """A folder for files that are on their way, gone in the end; the system's own may be memory."""
        parent = self.settings.home / "scratch"
        parent.mkdir(parents=True, exist_ok=True)
        return TemporaryDirectory(dir=parent)

    def close(self) -> None:
        self.driver.close()


def open_model(spec: str) -> VideoLLM:
    """The Video-LLM of a spec; `scripted:<folder>` is the perfect one of the rendered world."""
    if spec.startswith("scripted:"):
        from trainer.world.oracle import Oracle

        return Oracle(Path(spec.removeprefix("scripted:")))
    from model.backends import open_video_llm

    return open_video_llm(spec)


def open_service(given: Settings, *, patience: float = PATIENCE) -> Service:
    """A service for these settings; the database's schema is there when it returns.

    `patience` is for how many seconds it then waits for a database that is away.
    """
    uri = given.neo4j_uri or "bolt://127.0.0.1:7687"
    driver = connect(uri, given.neo4j_user, given.neo4j_password, patience=patience)
    schema.apply(driver)
    return Service(given, driver, Storage(given.storage_url), _send, _backlog)


def _send(task: str, queue: str, job_id: str) -> None:
    from workers.app import app

    app.send_task(task, (job_id,), queue=queue, retry=False)


def _backlog(queue: str) -> int:
    from workers.app import app

    with app.connection_for_read() as connection:
        return int(connection.default_channel.client.llen(queue))


@cache
def service() -> Service:
    """This process's service."""
    return open_service(settings())
