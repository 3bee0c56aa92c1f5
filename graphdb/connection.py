"""Connections to Neo4j, and the one way in which writes are made."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from neo4j import Driver as Driver
from neo4j import GraphDatabase, ManagedTransaction
from neo4j.exceptions import (
    ClientError,
    DatabaseError,
    IncompleteCommit,
    ServiceUnavailable,
    SessionExpired,
    TransientError,
)

T = TypeVar("T")
BATCH = 1000  # rows of one UNWIND
UNAVAILABLE = (IncompleteCommit, ServiceUnavailable, SessionExpired)  # the database is away, and may come back
PATIENCE = 120.0  # seconds for which work waits; a killed Neo4j takes about twenty to come back
_LOCKED = "Neo.ClientError.Security.AuthenticationRateLimit"  # for five seconds, after three wrong passwords of anyone
_BROKEN = "Neo.DatabaseError.Transaction."  # it could not write its log, and does nothing more
_NO_MEMORY = "Neo.TransientError.General.MemoryPoolOutOfMemoryError"
_patience: WeakKeyDictionary[Driver, float] = WeakKeyDictionary()


class CursorGone(LookupError):  # noqa: N818 # a fact, not a fault
    """What a page should begin after is not there, or not any more; the text is its id."""


class _TooMuchAtOnce(Exception):  # noqa: N818 # a verdict on the size of a query, not a fault
    pass


def connect(uri: str, user: str, password: str, *, patience: float = PATIENCE) -> Driver:
    """A driver; types that no data has yet are no cause for warnings.

    A database that hangs counts as away: it tells the driver for how long it may be silent, even in a long statement
    (`server.bolt.connection_keep_alive`, 3 s in ours), and a connection that is silent for longer is given up.

    Args:
        uri: of the database.
        user: its user.
        password: of that user.
        patience: for how many seconds `read` and `write` wait for a database that is away.
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
        connection_acquisition_timeout=min(60.0, max(2.0, patience)),
    )
    _patience[driver] = patience
    return driver


def is_broken(error: Exception) -> bool:
    """Whether the database refuses all work until it is started again, as after a commit on a full disk."""
    return isinstance(error, DatabaseError) and (error.code or "").startswith(_BROKEN)


def patiently(act: Callable[[], T], patience: float = PATIENCE) -> T:
    """What `act` returns, tried again while the database is away or lets nobody in, for so many seconds."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return act()
        except DatabaseError as e:
            if not is_broken(e):
                raise
            if time.monotonic() > deadline:  # it comes back as one that was away does, once it is started again
                raise ServiceUnavailable(str(e)) from e
            time.sleep(0.5)
        except (*UNAVAILABLE, ClientError) as e:
            if time.monotonic() > deadline or (isinstance(e, ClientError) and e.code != _LOCKED):
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
    return _read(driver, lambda tx: tx.run(query, parameters).data())


def read_in_parts(driver: Driver, query: str, name: str, parts: Sequence[Any], **more: Any) -> Iterator[dict[str, Any]]:
    """The rows of a read-only query over a list, its parameter `name`: of all of it, or of its halves if memory is short.

    How much memory a query takes depends on the graphs, and the driver would try one that is too large again and again.
    """

    def work(tx: ManagedTransaction) -> list[dict[str, Any]]:
        try:
            return tx.run(query, more | {name: parts}).data()
        except TransientError as e:
            if e.code == _NO_MEMORY and len(parts) > 1:
                raise _TooMuchAtOnce from e
            raise

    try:
        yield from _read(driver, work)
    except _TooMuchAtOnce:
        half = len(parts) // 2
        for some in (parts[:half], parts[half:]):
            yield from read_in_parts(driver, query, name, some, **more)


def _read(driver: Driver, work: Callable[[ManagedTransaction], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    def once() -> list[dict[str, Any]]:
        with driver.session(default_access_mode="READ") as session:
            return session.execute_read(work)

    return patiently(once, _patience.get(driver, PATIENCE))
