"""Which stored files the database is about: what else lies in the storage is nobody's."""

from collections.abc import Sequence

from neo4j import Driver, ManagedTransaction

from graphdb.connection import read, write
from graphdb.cypher import cypher


def known(driver: Driver, names: Sequence[str]) -> set[str]:
    """Those of the names of folders that a video, a job, a file or a model has; a model's with `_` for `:`."""
    return set(read(driver, cypher("storage_known"), names=list(names))[0]["known"])


def mark(driver: Driver) -> str | None:
    """The mark of the storage that belongs to this database, None where there is none yet."""
    found: str | None = read(driver, cypher("storage_mark"))[0]["mark"]
    return found


def adopt(driver: Driver, mark: str) -> str:
    """Note the mark of this database's storage and return it as noted; the first one stays."""

    def work(tx: ManagedTransaction) -> str:
        return str(tx.run(cypher("storage_adopt"), mark=mark).single(strict=True)["mark"])

    return write(driver, work)
