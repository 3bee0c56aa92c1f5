"""A whole local stack for tests: Neo4j, broker, worker and API as a user starts them, in a folder of its own."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neo4j import Driver

from api.client import Client
from workers import local_stack


def emptied(driver: Driver, *, rules: bool = True) -> Driver:
    """The database without any nodes, and, unless `rules` may stay, without constraints and indexes."""
    driver.execute_query("MATCH (n) DETACH DELETE n")
    for kind, all in (("CONSTRAINT", "CONSTRAINTS"), ("INDEX", "INDEXES")) if rules else ():
        for row in driver.execute_query(f"SHOW {all} YIELD name, type WHERE type <> 'LOOKUP'").records:
            driver.execute_query(f"DROP {kind} $name IF EXISTS", name=row["name"])
    return driver


@contextmanager
def stack(home: Path, models: dict[str, str], **env: str) -> Iterator[Client]:
    """A client of a running stack; the stack is stopped at the end."""
    settings = {"STSG_MODELS": json.dumps(models), "STSG_LEASE_SECONDS": "4", "STSG_RECONCILE_SECONDS": "1"}
    started = local_stack.start(home, settings | env)
    try:
        with Client(started.uris["api"], token=None) as client:
            yield client
    finally:
        local_stack.stop(home)
