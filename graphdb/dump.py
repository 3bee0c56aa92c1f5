"""The whole database as rows, read while others write.

Neo4j has no snapshots: a long reading sees what is committed meanwhile. So what belongs to a job that has not ended well is
read under that job's lock, which every write of its worker needs too (`cypher/fence.cypher`): each graph is as it was at
one moment. What belongs to a job that succeeded does not change. Jobs that are made meanwhile are left out whole.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from neo4j import Driver, Session
from neo4j.exceptions import TransientError

from graphdb import schema
from graphdb.connection import BATCH, read
from graphdb.cypher import cypher
from graphdb.values import to_json

Row = dict[str, Any]
Sink = Callable[[Row], None]


class ChangedError(Exception):
    """A job was deleted while the database was read, or others held it up; another try may have more luck."""


@dataclass(slots=True)
class Dumped:
    """What was read, and of which version of the schema it is."""

    version: int
    nodes: int = 0
    edges: int = 0


def dump(driver: Driver, nodes: Sink, edges: Sink) -> Dumped:
    """Read the whole database, but for what is about this database itself: its version and its storage's mark.

    Args:
        driver: of the database.
        nodes: gets every node, {"key", "labels", "properties"}.
        edges: gets every edge, {"type", "source", "target", "properties"}, with keys of nodes as its ends.

    Raises:
        ChangedError: a job was deleted meanwhile, or others held the reading up.
        TypeError: a property has a type that can't be kept.
    """
    try:
        return _dump(driver, nodes, edges)
    except TransientError as e:
        raise ChangedError from e


def _dump(driver: Driver, nodes: Sink, edges: Sink) -> Dumped:
    reading = _Reading(driver, nodes, edges, Dumped(schema.version(driver)))
    jobs = read(driver, cypher("dump_jobs"))
    reading.settled.update(job["id"] for job in jobs if job["settled"])
    reading.open = {job["id"] for job in jobs if not job["settled"]}
    with driver.session() as session:  # first, so that models and files are never behind the job that made them
        for id in sorted(reading.open):
            reading.read_job(session, id)
    reading.read_nodes()
    reading.read_edges()
    kept = [job["id"] for job in jobs if not job["deleting"]]
    for start in range(0, len(kept), BATCH):
        if read(driver, cypher("dump_lost"), ids=kept[start : start + BATCH])[0]["lost"]:
            raise ChangedError
    return reading.dumped


@dataclass(slots=True)
class _Reading:
    driver: Driver
    nodes: Sink
    edges: Sink
    dumped: Dumped
    settled: set[str] = field(default_factory=set)  # owners whose parts don't change; also those without a job
    open: set[str] = field(default_factory=set)
    new: set[str] = field(default_factory=set)
    unowned: set[str] = field(default_factory=set)  # keys of nodes that belong to no job: videos, files, models
    pending: list[tuple[str, Row]] = field(
        default_factory=list
    )  # edges of open jobs to such a node, whose key is first

    def read_job(self, session: Session, id: str) -> None:
        """Read what belongs to a job at one moment; a job that was deleted meanwhile ends the reading."""
        with session.begin_transaction() as tx:
            if tx.run(cypher("dump_job_lock"), id=id).single() is None:
                raise ChangedError
            for row in tx.run(cypher("dump_job_nodes"), id=id):
                self._node(row["key"], row["labels"], row["properties"])
            for row in tx.run(cypher("dump_job_edges"), id=id):
                edge = _edge(row["type"], row["source"], row["target"], row["properties"])
                if row["owner"] is None:
                    self.pending.append((row["other"], edge))
                elif (
                    row["owner"] in self.settled
                    or row["owner"] == id
                    or (row["owner"] in self.open and id < row["owner"])
                ):
                    self._put_edge(edge)
            tx.rollback()

    def read_nodes(self) -> None:
        """Read what belongs to settled jobs, or to none."""
        with self.driver.session(default_access_mode="READ") as session:
            for row in session.run(cypher("dump_nodes")):
                owner = row["owner"]
                if owner is None:
                    self.unowned.add(row["key"])
                if owner is None or (owner not in self.open and self._is_settled(owner)):
                    self._node(row["key"], row["labels"], row["properties"])

    def read_edges(self) -> None:
        """Read the edges between nodes that were read; those of open jobs were read with them."""
        for other, edge in self.pending:
            if other in self.unowned:
                self._put_edge(edge)
        with self.driver.session(default_access_mode="READ") as session:
            for row in session.run(cypher("dump_edges")):
                ends = ((row["source"], row["source_owner"]), (row["target"], row["target_owner"]))
                if all(key in self.unowned if owner is None else owner in self.settled for key, owner in ends):
                    self._put_edge(_edge(row["type"], row["source"], row["target"], row["properties"]))

    def _is_settled(self, owner: str) -> bool:
        """Whether an owner's parts don't change: it is no job, or one that had ended well at the beginning."""
        if owner not in self.settled and owner not in self.new:
            is_new = read(self.driver, cypher("dump_known"), id=owner)[0]["known"]
            (self.new if is_new else self.settled).add(owner)
        return owner in self.settled

    def _node(self, key: str, labels: list[str], properties: Row) -> None:
        self.nodes({"key": key, "labels": sorted(labels), "properties": _properties(properties)})
        self.dumped.nodes += 1

    def _put_edge(self, edge: Row) -> None:
        self.edges(edge)
        self.dumped.edges += 1


def _edge(type: str, source: str, target: str, properties: Row) -> Row:
    return {"type": type, "source": source, "target": target, "properties": _properties(properties)}


def _properties(properties: Row) -> Row:
    return {name: to_json(value) for name, value in sorted(properties.items())}
