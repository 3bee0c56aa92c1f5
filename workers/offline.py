"""Database and storage for a command of this machine, whether the local stack runs or not."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from graphdb.connection import UNAVAILABLE, Driver, connect
from graphdb.local import LocalNeo4j, StartError
from workers import local_stack
from workers.archive import BackupError
from workers.settings import Settings
from workers.storage import Storage

_PATIENCE = 30.0  # seconds for which a command waits for a database that is away


@dataclass(frozen=True, slots=True)
class Opened:
    """A database and the storage that belongs to it."""

    driver: Driver
    storage: Storage


def check_at_rest(given: Settings) -> None:
    """Refuse to go on while the stack of a folder runs, or what a supervisor that was killed left of it.

    Raises:
        BackupError: stack_running.
    """
    if _runs(given):
        raise BackupError("stack_running", "The stack of this folder runs.", "Stop it first: stsg down.")


def _runs(given: Settings) -> bool:
    return local_stack.is_running(given.home) or local_stack.is_orphaned(given.home)


@contextmanager
def opened(given: Settings) -> Iterator[Opened]:
    """The database and the storage of some settings; a local stack's Neo4j is started where the stack does not run.

    Raises:
        BackupError: database_unavailable.
    """
    try:
        if given.neo4j_uri or _runs(given):
            joined = given.with_local_stack()
            password = joined.neo4j_password.get_secret_value()
            with connect(joined.neo4j_uri, joined.neo4j_user, password, patience=_PATIENCE) as driver:
                yield Opened(driver, Storage(given.storage_url))
        else:
            with _own(given) as driver:
                yield Opened(driver, Storage(given.storage_url))
    except (*UNAVAILABLE, StartError) as e:
        raise BackupError("database_unavailable", f"Neo4j does not answer: {e}", "Start it, then try again.") from e


@contextmanager
def _own(given: Settings) -> Iterator[Driver]:
    """The local stack's Neo4j alone; it keeps a second one off its files by itself."""
    server = LocalNeo4j(given.home / "neo4j", heap_mb=given.neo4j_heap_mb, pagecache_mb=given.neo4j_pagecache_mb)
    server.start(tied=True)
    try:
        with connect(server.uri, server.user, server.password, patience=_PATIENCE) as driver:
            yield driver
    finally:
        server.stop()
