"""Constraints and indexes; to be there before the first write, because MERGE alone may double."""

from neo4j import Driver
from neo4j.exceptions import ClientError

from graphdb.cypher import cypher

_MADE_MEANWHILE = "Neo.ClientError.Schema.EquivalentSchemaRuleAlreadyExists"


def apply(driver: Driver) -> None:
    """Create what is missing; safe to run at every start, by several processes at once."""
    text = "\n".join(line for line in cypher("schema").splitlines() if not line.startswith("//"))
    with driver.session() as session:
        for statement in filter(None, (s.strip() for s in text.split(";"))):
            try:
                session.run(statement).consume()
            except ClientError as e:
                if e.code != _MADE_MEANWHILE:  # by another process that started at the same time
                    raise
        session.run("CALL db.awaitIndexes(60)").consume()
