"""Constraints and indexes; to be there before the first write, because MERGE alone may double."""

import time

from neo4j import Driver, Session
from neo4j.exceptions import ClientError, TransientError

from graphdb.connection import patiently
from graphdb.cypher import cypher

_TRIES = 8
_MADE_MEANWHILE = "Neo.ClientError.Schema.EquivalentSchemaRuleAlreadyExists"


def apply(driver: Driver) -> None:
    """Create what is missing; safe to run at every start, by several processes at once, while the database starts too."""
    text = "\n".join(line for line in cypher("schema").splitlines() if not line.startswith("//"))
    wanted = {s.split()[2]: s.strip() for s in text.split(";") if s.strip()}  # CREATE (CONSTRAINT | INDEX) <name> ...

    def once() -> None:
        with driver.session() as session:
            online = {row["name"] for row in session.run("SHOW INDEXES YIELD name, state WHERE state = 'ONLINE'")}
            missing = [statement for name, statement in wanted.items() if name not in online]
            for statement in missing:
                _apply_one(session, statement)
            if missing:
                session.run("CALL db.awaitIndexes(60)").consume()

    patiently(once)


def _apply_one(session: Session, statement: str) -> None:
    """Run one statement; several processes that start together make the same things and get in each other's way."""
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
