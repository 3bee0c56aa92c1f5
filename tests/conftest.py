"""Fixtures that several suites share, a real Neo4j, started once; and how tests run side by side."""

import fcntl
import os
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from neo4j import Driver

from api.client import Client
from graphdb import graphs, jobs, schema
from graphdb.connection import connect
from graphdb.local import LocalNeo4j, free_ports
from tests.leftovers import VARIABLE, leftovers
from tests.stack import stack

HERE = Path(__file__).parent
settings.register_profile("same", deadline=None, derandomize=True, database=None)  # the same examples, however long
settings.load_profile("same")
if "STSG_TEST_GPU" not in os.environ:
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # what is compared to the last bit is computed alike on every machine
BESIDE_OTHERS = "PYTEST_XDIST_WORKER" in os.environ
SESSION = os.environ.setdefault(VARIABLE, uuid.uuid4().hex)  # the processes of a session side by side share one
LEFT = pytest.StashKey[list[str]]()
if BESIDE_OTHERS:  # threads that wait for each other are slower than one, where another process has the other core
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slowest files first, so that no process of several is left with one of them when the others are done."""
    items.sort(key=lambda item: item.path.parent.name not in ("workers", "tests"))


@pytest.hookimpl(wrapper=True, tryfirst=True)  # before the clock of the test's timeout starts
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A test that has to be alone waits for those beside it, and they for it."""
    if not BESIDE_OTHERS:
        return (yield)
    alone = item.get_closest_marker("alone") is not None
    with HERE.joinpath("stack.py").open() as room, Path(__file__).open() as door:
        fcntl.flock(door, fcntl.LOCK_EX)  # who wants to be alone keeps the door, or would wait for good
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        if not alone:
            fcntl.flock(door, fcntl.LOCK_UN)
        return (yield)


@pytest.hookimpl(trylast=True)  # when the processes that run tests are gone
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A session whose tests left something running has failed."""
    if BESIDE_OTHERS or not hasattr(session.config, "_tmp_path_factory"):
        return
    left = session.config.stash[LEFT] = leftovers(SESSION, session.config._tmp_path_factory.getbasetemp())
    if left and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name what was left running."""
    if left := config.stash.get(LEFT, []):
        terminalreporter.section("left running", red=True)
        for process in left:
            terminalreporter.line(process)


@pytest.fixture(scope="session")
def neo4j(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNeo4j]:
    """An embedded Neo4j of the test session's own."""
    server = LocalNeo4j(tmp_path_factory.mktemp("neo4j"), *free_ports(2)).start()
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


@pytest.fixture(scope="session")
def second_neo4j(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNeo4j]:
    """A Neo4j that tests may empty; it has one database, so that a test which needs a new one begins with `emptied`."""
    server = LocalNeo4j(tmp_path_factory.mktemp("second"), *free_ports(2), heap_mb=384).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def second(second_neo4j: LocalNeo4j) -> Iterator[Driver]:
    """A driver to the Neo4j that may be emptied; no schema was applied there."""
    with connect(second_neo4j.uri, second_neo4j.user, second_neo4j.password) as opened:
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
def stack_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder of the session's stack."""
    return tmp_path_factory.mktemp("stack")


@pytest.fixture(scope="session")
def service(world: Path, stack_home: Path) -> Iterator[Client]:
    """A whole local stack, with the tiny model and with the perfect one for what is rendered into `world`."""
    with stack(stack_home, {"perfect": f"scripted:{world}"}) as client:
        yield client
