"""The numbered steps of the schema, in a database of its own."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from neo4j import Driver
from neo4j.exceptions import ClientError

from graphdb import schema
from graphdb.migrations import Migration, migrations
from graphdb.schema import SchemaError
from tests.stack import emptied

KNOWN = migrations()
MORE = (
    Migration(len(KNOWN) + 1, "count", ("CREATE (:Step)", "MERGE (n:Twice) SET n.runs = coalesce(n.runs, 0) + 1")),
    Migration(len(KNOWN) + 2, "broken", ("MERGE (:Before)", "MATCH (n:Twice) SET n.x = 1 / 0")),
)


@pytest.fixture
def own(second: Driver) -> Iterator[Driver]:
    yield emptied(second)


def rules(driver: Driver) -> set[str]:
    return {row["name"] for kind in ("CONSTRAINTS", "INDEXES") for row in driver.execute_query(f"SHOW {kind}").records}


def test_several_processes_at_once_make_each_step_once(own: Driver) -> None:
    """A mark of the storage that was made twice before there was a constraint becomes one."""
    own.execute_query("UNWIND ['first', 'second'] AS mark CREATE (:Storage {id: 'files', mark: mark})")
    steps = (*KNOWN, MORE[0])
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: schema.apply(own, steps), range(6)))
    schema.apply(own, steps)
    [row] = own.execute_query("MATCH (n:Twice) RETURN n.runs AS runs, COUNT { (:Step) } AS made").records
    assert (row["runs"], row["made"], schema.version(own)) == (1, 1, len(steps))
    assert {name for step in KNOWN for _, name in step.rules} <= rules(own)
    [mark] = own.execute_query("MATCH (s:Storage) RETURN s.mark AS mark").records
    assert mark["mark"] in ("first", "second")
    with pytest.raises(ClientError, match="already exists"):
        own.execute_query("CREATE (:Storage {id: 'files'})")
    assert own.execute_query("SHOW INDEXES YIELD state WHERE state <> 'ONLINE'").records == []


def test_a_step_that_breaks_off_is_made_again_and_those_before_it_are_not(own: Driver) -> None:
    with pytest.raises(ClientError):
        schema.apply(own, (*KNOWN, *MORE))
    assert schema.version(own) == len(KNOWN) + 1, "what was done before it counts"
    mended = Migration(MORE[1].number, "mended", ("MERGE (:Before)", "MERGE (:After)"))
    schema.apply(own, (*KNOWN, MORE[0], mended))
    [row] = own.execute_query(
        "MATCH (n:Twice) RETURN n.runs AS r, COUNT { (:Before) } AS b, COUNT { (:After) } AS a"
    ).records
    assert row.values() == [1, 1, 1] and schema.version(own) == len(KNOWN) + 2


def test_a_newer_database_is_refused_and_nothing_is_changed(own: Driver) -> None:
    own.execute_query("CREATE (:Schema {id: 'stsg', version: 99})")
    with pytest.raises(SchemaError) as refused:
        schema.apply(own)
    assert refused.value.code == "schema_too_new" and "Upgrade stsg" in str(refused.value)
    assert schema.version(own) == 99 and "video_id" not in rules(own)
