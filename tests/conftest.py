"""Fixtures that several suites share: a real Neo4j, started once."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from neo4j import Driver

from api.client import Client
from graphdb import graphs, jobs, schema
from graphdb.connection import connect
from graphdb.local import LocalNeo4j, free_port
from tests.stack import stack


@pytest.fixture(scope="session")
def neo4j(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNeo4j]:
    """An embedded Neo4j of the test session's own."""
    server = LocalNeo4j(tmp_path_factory.mktemp("neo4j"), free_port(0), free_port(0)).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """A driver to the Neo4j of STSG_NEO4J_URI, else to the embedded one; tests keep apart by their run ids."""
    uri = os.environ.get("STSG_NEO4J_URI")
    user, password = os.environ.get("STSG_NEO4J_USER", "neo4j"), os.environ.get("STSG_NEO4J_PASSWORD", "")
    if not uri:
        server: LocalNeo4j = request.getfixturevalue("neo4j")
        uri, user, password = server.uri, server.user, server.password
    with connect(uri, user, password) as opened:
        schema.apply(opened)
        yield opened


@pytest.fixture
def run_id(driver: Driver) -> Iterator[str]:
    """The id of a run that no other test has; what a test stores under it is deleted after it."""
    id = f"run_{uuid.uuid4().hex}"
    yield id
    jobs.cancel(driver, id)
    jobs.delete(driver, id)
    graphs.delete_graph(driver, id)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for rendered videos and their truth."""
    return tmp_path_factory.mktemp("world")


@pytest.fixture(scope="session")
def service(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A whole local stack, with the tiny model and with the perfect one for what is rendered into `world`."""
    with stack(tmp_path_factory.mktemp("stack"), {"perfect": f"scripted:{world}"}) as client:
        yield client
