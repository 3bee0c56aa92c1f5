"""Connections to Neo4j, and the one way in which writes are made."""

import time
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from neo4j import Driver as Driver
from neo4j import GraphDatabase, ManagedTransaction
from neo4j.exceptions import IncompleteCommit, ServiceUnavailable, SessionExpired

T = TypeVar("T")
BATCH = 1000  # rows of one UNWIND
UNAVAILABLE = (IncompleteCommit, ServiceUnavailable, SessionExpired)  # the database is away, and may come back
PATIENCE = 120.0  # seconds for which work waits; a killed Neo4j takes about twenty to come back
_patience: WeakKeyDictionary[Driver, float] = WeakKeyDictionary()


def connect(uri: str, user: str, password: str, *, patience: float = PATIENCE) -> Driver:
    """A driver; types that no data has yet are no cause for warnings.

    `patience` is for how many seconds `read` and `write` wait for a database that is away.
    """
    driver = GraphDatabase.driver(
        uri,
        auth=(user, password),
        notifications_disabled_classifications=["UNRECOGNIZED"],
        max_transaction_retry_time=patience,
        initial_retry_delay=0.5,
        retry_delay_multiplier=1.0,
        retry_delay_jitter_factor=0.5,
        connection_timeout=min(30.0, patience),
        connection_acquisition_timeout=min(60.0, 2 * patience),
    )
    _patience[driver] = patience
    return driver


def patiently(act: Callable[[], T], patience: float = PATIENCE) -> T:
    """What `act` returns, tried again while the database is away, for so many seconds."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return act()
        except UNAVAILABLE:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def write(driver: Driver, work: Callable[[ManagedTransaction], T]) -> T:
    """Run `work` in one write transaction, again where it can't be known whether it was committed.

    The driver retries transient errors and never a commit whose outcome it does not know. Ours may be replayed:
    every write is a MERGE by id or is guarded by a fencing token.
    """

    def once() -> T:
        with driver.session() as session:
            return session.execute_write(work)

    return patiently(once, _patience.get(driver, PATIENCE))


def read(driver: Driver, query: str, **parameters: Any) -> list[dict[str, Any]]:
    """The rows of a read-only query."""

    def once() -> list[dict[str, Any]]:
        with driver.session(default_access_mode="READ") as session:
            return session.execute_read(lambda tx: tx.run(query, parameters).data())

    return patiently(once, _patience.get(driver, PATIENCE))
