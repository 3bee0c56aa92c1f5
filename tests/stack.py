"""A whole local stack for tests: Neo4j, broker, worker and API as a user starts them, in a folder of its own."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from api.client import Client
from workers import supervisor
from workers.settings import Settings


@contextmanager
def stack(home: Path, models: dict[str, str], **env: str) -> Iterator[Client]:
    """A client of a running stack; the stack is stopped at the end."""
    given = Settings(home=home)
    settings = {"STSG_MODELS": json.dumps(models), "STSG_LEASE_SECONDS": "4", "STSG_RECONCILE_SECONDS": "1"}
    started = supervisor.start(given, settings | env)
    try:
        with Client(started.uris["api"], token=None) as client:
            yield client
    finally:
        supervisor.stop(home)
