"""The version of a database, and the numbered steps that bring it to that of this code.

The node `(:Schema {id: 'stsg', version})` says which step was the last. A transaction that holds its lock is open while a
step's statements run in others, so that of several processes that start at once one makes the step. When a process dies
in a step, the server frees the lock, and the next one makes that step again.
"""

import time
from collections.abc import Sequence

from neo4j import Driver, Session, Transaction
from neo4j.exceptions import ClientError, TransientError

from graphdb.connection import patiently, read
from graphdb.cypher import cypher
from graphdb.migrations import Migration, migrations

_TRIES = 8
_MADE_MEANWHILE = "Neo.ClientError.Schema.EquivalentSchemaRuleAlreadyExists"
_ONE_NODE = "CREATE CONSTRAINT schema_id IF NOT EXISTS FOR (n:Schema) REQUIRE n.id IS UNIQUE"


class SchemaError(Exception):
    """The database can't be used by this code as it is: a code, what is wrong, and what to do."""

    def __init__(self, code: str, detail: str, remedy: str) -> None:
        super().__init__(f"{detail} {remedy} ({code})")
        self.code, self.detail, self.remedy = code, detail, remedy


def apply(driver: Driver, steps: Sequence[Migration] | None = None) -> None:
    """Bring the database to the version of this code; safe at every start, by several at once, while the database starts.

    Args:
        driver: of the database.
        steps: all there are; those of this package where None.

    Raises:
        SchemaError: schema_too_new, restore_unfinished.
    """
    state = patiently(lambda: read(driver, cypher("schema_state"))[0])
    if state["restoring"]:
        detail = "A restore of this database was begun and did not end, so it holds only parts."
        raise SchemaError("restore_unfinished", detail, "Run 'stsg restore FILE' again.")
    migrate(driver, steps)


def version(driver: Driver) -> int:
    """The number of the last step that the database has had; 0 before the first."""
    return int(read(driver, cypher("schema_state"))[0]["version"])


def migrate(driver: Driver, steps: Sequence[Migration] | None = None) -> None:
    """Make the steps that the database has not had, in order.

    Args:
        driver: of the database.
        steps: those up to the version it is brought to; all of this package where None.

    Raises:
        SchemaError: schema_too_new.
    """
    known = migrations() if steps is None else steps
    at = patiently(lambda: version(driver))
    if at < len(known):
        patiently(lambda: _one_node(driver))
    while at < len(known):
        at = patiently(lambda: _next(driver, known))
    check(at, len(known))


def check(at: int, known: int | None = None) -> None:
    """Refuse a version that is newer than this code.

    Raises:
        SchemaError: schema_too_new.
    """
    newest = len(migrations()) if known is None else known
    if at > newest:
        detail = f"The data is of schema version {at}, and this stsg knows versions up to {newest}."
        raise SchemaError("schema_too_new", detail, "Upgrade stsg to the release that wrote it, or a newer one.")


def _one_node(driver: Driver) -> None:
    with driver.session() as session:
        _run(session, _ONE_NODE)


def _next(driver: Driver, steps: Sequence[Migration]) -> int:
    """Make the next step, if another has not done so meanwhile; the version after it."""
    with driver.session() as holder, holder.begin_transaction() as lock:
        at = _locked_version(lock)
        if at < len(steps):
            with driver.session() as session:
                for statement in steps[at].statements:
                    _run(session, statement)
                session.run("CALL db.awaitIndexes(600)").consume()
            at = steps[at].number
            lock.run(cypher("schema_reached"), version=at).consume()
        lock.commit()
        return at


def _locked_version(lock: Transaction) -> int:
    return int(lock.run(cypher("schema_lock")).single(strict=True)["version"])


def _run(session: Session, statement: str) -> None:
    """Run one statement; several processes that start together get in each other's way."""
    for attempt in range(_TRIES):
        try:
            session.run(statement).consume()
            return
        except ClientError as e:
            if e.code == _MADE_MEANWHILE:
                return
            raise
        except TransientError:
            if attempt == _TRIES - 1:
                raise
            time.sleep(0.2 * (attempt + 1))
