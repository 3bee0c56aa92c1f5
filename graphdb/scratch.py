"""A database for the length of one piece of work, which leaves nothing behind."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from graphdb import schema
from graphdb.connection import Driver, connect
from graphdb.local import LocalNeo4j, free_ports


@contextmanager
def scratch_database(heap_mb: int = 1024) -> Iterator[Driver]:
    """A driver of a new, empty Neo4j with the schema; it is stopped and deleted at the end.

    Raises:
        StartError: it did not come up.
    """
    with TemporaryDirectory() as folder:
        server = LocalNeo4j(Path(folder), *free_ports(2), heap_mb=heap_mb).start(tied=True)
        try:
            with connect(server.uri, server.user, server.password) as driver:
                schema.apply(driver)
                yield driver
        finally:
            server.stop()
