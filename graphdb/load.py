"""A database filled with rows, as `dump` gave them; a note in it says so until the end, and keeps services off it."""

import json
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from neo4j import Driver, ManagedTransaction

from graphdb import schema
from graphdb.connection import BATCH, patiently, read, write
from graphdb.cypher import cypher
from graphdb.dump import Row
from graphdb.migrations import migrations
from graphdb.values import from_json

_BATCH_CHARACTERS = 4 * 2**20
_KEYS = "CREATE CONSTRAINT restored_key IF NOT EXISTS FOR (n:Restored) REQUIRE n._restored IS UNIQUE"


class LoadError(Exception):
    """The rows can't be loaded; the text says why."""


@dataclass(frozen=True, slots=True)
class Contents:
    """How much a database holds, and whether a restore of it was begun and has not ended."""

    nodes: int
    restoring: bool


def contents(driver: Driver) -> Contents:
    """What is in a database, besides its version and its storage's mark."""
    return Contents(**read(driver, cypher("restore_state"))[0])


class Loading:
    """One filling of a database. Each batch is written once, also where it is not known whether it was committed."""

    def __init__(self, driver: Driver, version: int) -> None:
        """Empty the database, but for a note that it is being filled, and give it the schema of the rows.

        Args:
            driver: of the database; all it holds is lost.
            version: of the schema that the rows are of.

        Raises:
            SchemaError: schema_too_new, of the rows or the database.
        """
        schema.check(version)
        schema.check(schema.version(driver))
        self._driver, self._run, self._batch, self._nodes = driver, uuid.uuid4().hex, 0, 0
        write(driver, lambda tx: tx.run(cypher("restore_begin"), run=self._run).consume())
        _in_parts(driver, "restore_wipe")
        for step in migrations()[version:]:  # what they make may not fit the rows yet
            for kind, name in step.rules:
                _alone(driver, f"DROP {kind} {name} IF EXISTS")
        schema.migrate(driver, migrations()[:version])
        _alone(driver, _KEYS)

    def put_nodes(self, rows: Iterable[Row]) -> None:
        """Write nodes.

        Raises:
            LoadError: another filling has begun meanwhile.
        """
        for batch in _batches(rows):
            self._write("restore_nodes", [_node(row) for row in batch])
            self._nodes += len(batch)

    def put_edges(self, rows: Iterable[Row]) -> None:
        """Write edges, when all nodes are there.

        Raises:
            LoadError: an end is missing, or another filling has begun meanwhile.
        """
        for batch in _batches(rows):
            self._write("restore_edges", [row | {"properties": _properties(row)} for row in batch])

    def end(self) -> None:
        """Have the jobs there, those that were at work as waiting ones, and bring the schema to that of this code.

        Raises:
            LoadError: others wrote to the database meanwhile.
        """
        _in_parts(self._driver, "restore_release")
        there = contents(self._driver).nodes
        if there != self._nodes:
            raise LoadError(
                f"The database holds {there} nodes, {self._nodes} were restored: others wrote to it meanwhile."
            )
        _in_parts(self._driver, "restore_jobs")
        _alone(self._driver, "DROP CONSTRAINT restored_key IF EXISTS")
        schema.migrate(self._driver)
        write(self._driver, lambda tx: tx.run(cypher("restore_end")).consume())

    def _write(self, query: str, rows: list[Row]) -> None:
        self._batch += 1

        def work(tx: ManagedTransaction) -> None:
            if tx.run(cypher("restore_turn"), run=self._run, batch=self._batch).single() is None:
                if tx.run(cypher("restore_run")).single(strict=True)["run"] != self._run:
                    raise LoadError("Another restore of this database has begun.")
                return
            done = tx.run(cypher(query), rows=rows).single()
            if done and done["made"] < len(rows):
                raise LoadError(f"{len(rows) - done['made']} edges have an end that is not there.")

        write(self._driver, work)


def _node(row: Row) -> Row:
    labels, is_job = row["labels"], "Job" in row["labels"]
    kept = {"labels": [] if is_job else labels, "later": labels if is_job else None}
    return {"key": row["key"], "properties": _properties(row)} | kept


def _properties(row: Row) -> Row:
    return {name: from_json(value) for name, value in row["properties"].items()}


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows that are neither many nor large together."""
    batch: list[Row] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += len(json.dumps(row))
        if len(batch) == BATCH or size > _BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _in_parts(driver: Driver, query: str) -> None:
    """Run a query until it has nothing more to do, in transactions that are neither long nor large."""

    def work(tx: ManagedTransaction) -> int:
        return int(tx.run(cypher(query), limit=BATCH).single(strict=True)["done"])

    while write(driver, work):
        pass


def _alone(driver: Driver, statement: str) -> None:
    """Run a statement that changes the schema; a second time does no harm."""

    def once() -> None:
        with driver.session() as session:
            session.run(statement).consume()

    patiently(once)
