"""A service that runs, taken to a file and put into an empty one; with a restore that is killed on the way."""

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from neo4j import Driver
from typer.testing import CliRunner

from api.cli import app
from api.client import Client
from graphdb import graphs, jobs
from graphdb.connection import connect
from graphdb.local import LocalNeo4j
from graphdb.schema import SchemaError
from tests.api.conftest import _serve, _settings
from tests.stack import emptied
from trainer.world.files import render_with_truth
from workers import flows, queues
from workers.runtime import Service, open_service
from workers.settings import Settings
from workers.storage import Storage, keyframe_file

PLAIN = {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "300"}
AT_WORK = "run_at_work"


def stsg(*words: str, **env: str) -> tuple[int, str]:
    """The exit code of a command and all it printed."""
    done = CliRunner().invoke(app, list(words), env=PLAIN | env)
    return done.exit_code, done.output


@dataclass
class Source:
    """The service that is taken to a file, and what was made in it."""

    home: Path
    driver: Driver
    client: Client
    video: str
    run: str
    dataset: str

    def backup(self, file: Path, *words: str) -> tuple[int, str]:
        return stsg("backup", str(file), *words, STSG_HOME=str(self.home))


@pytest.fixture(scope="module")
def source(service: Client, stack_home: Path, world: Path) -> Iterator[Source]:
    """The session's stack with a run and a data set that are done, one at work, and what a user wrote by hand."""
    sent = service.upload(render_with_truth(4711, world, clips=2).video, process="true", model="perfect")
    video, run = sent["id"], sent["run"]["id"]
    service.wait(run)
    dataset = service.post("/v1/qra-datasets", {"runs": [run], "steps": {"1": 5, "2": 5}})["id"]
    assert service.until_final(f"/v1/qra-datasets/{dataset}")["state"] == "succeeded"
    given = Settings(home=stack_home).with_local_stack()
    with connect(given.neo4j_uri, given.neo4j_user, given.neo4j_password.get_secret_value()) as driver:
        params = {"model": "perfect", "options": {}, "seed": 0}
        later = {"not_before": time.time() + 3600, "troubled_since": 1.0}
        jobs.create(
            driver, "Run", AT_WORK, video_id=video, model="perfect", seed=0, params=params, stage="split", **later
        )
        at_work = "MATCH (j:Job {id: $id}) SET j.state = 'running', j.attempts = 1, j.owner = 'a host', j.lease_until = $until"
        driver.execute_query(at_work, id=AT_WORK, until=time.time() + 500)
        note = "MATCH (v:Video {id: $id}) CREATE (:Note {at: datetime()})-[:ABOUT {since: date()}]->(v)"
        driver.execute_query(note, id=video)
        yield Source(stack_home, driver, service, video, run, dataset)
        jobs.cancel(driver, AT_WORK)
        jobs.delete(driver, AT_WORK)
        driver.execute_query("MATCH (n:Note) DETACH DELETE n")


@pytest.fixture(scope="module")
def target(second_neo4j: LocalNeo4j, second: Driver, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a service that is empty."""
    emptied(second)
    home = tmp_path_factory.mktemp("target")
    return {"STSG_HOME": str(home), "STSG_NEO4J_URI": second_neo4j.uri, "STSG_NEO4J_PASSWORD": second_neo4j.password}


@pytest.fixture(scope="module")
def archive(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The backup of the service, taken while it runs."""
    file = tmp_path_factory.mktemp("backup") / "all.tar"
    code, shown = source.backup(file, "--json")
    assert code == 0, shown
    assert json.loads(shown)["missing"] == 0
    return file


def members(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as tar:
        found = {member.name: content.read() for member in tar if (content := tar.extractfile(member))}
    return {name: gzip.decompress(c) if name.endswith(".gz") else c for name, c in found.items()}


def compared(file: Path) -> tuple[list[str], list[str]]:
    """Nodes and edges without the keys that the database chose, and without the job at work."""
    content = members(file)
    nodes, edges = (
        [json.loads(line) for line in content[f"database/{name}.jsonl.gz"].splitlines()] for name in ("nodes", "edges")
    )
    names = {row["key"]: json.dumps([row["labels"], row["properties"]], sort_keys=True) for row in nodes}
    at_work = {row["key"] for row in nodes if row["properties"].get("id") == AT_WORK}
    ends = [[e["type"], names[e["source"]], names[e["target"]], e["properties"]] for e in edges]
    return sorted(n for key, n in names.items() if key not in at_work), sorted(
        json.dumps(e, sort_keys=True) for e in ends
    )


def test_it_holds_no_secret_and_no_place_of_this_machine_beside_the_stored_files(
    archive: Path, source: Source, world: Path
) -> None:
    stack = json.loads((source.home / "stack.json").read_text())
    secrets = [stack["settings"]["neo4j_password"], stack["settings"]["redis_url"].split("@")[0].rpartition(":")[2]]
    assert all(len(secret) > 20 for secret in secrets) and archive.stat().st_mode & 0o777 == 0o600
    for name, content in members(archive).items():
        assert not any(secret.encode() in content for secret in secrets), name
        if not name.startswith("files/"):
            assert not any(str(place).encode() in content for place in (source.home, world, Path.cwd())), name


def test_the_file_is_not_written_over_and_a_running_stack_is_not_restored_into(archive: Path, source: Source) -> None:
    before = archive.read_bytes()
    code, shown = source.backup(archive)
    assert code == 1 and "is there already" in shown and archive.read_bytes() == before
    code, shown = stsg("restore", str(archive), STSG_HOME=str(source.home))
    assert code == 1 and "stsg down" in shown


def test_a_file_that_a_record_names_has_to_be_there(source: Source, tmp_path: Path) -> None:
    files = Storage(str(source.home / "files"))
    clip = graphs.load_clips(source.driver, source.run)[0]
    name = keyframe_file(source.run, clip.keyframes[0].id)
    picture = files.read(name)
    files.delete(name)
    try:
        code, shown = source.backup(tmp_path / "x.tar")
        assert code == 1 and name in shown and "--allow-missing" in shown and list(tmp_path.iterdir()) == []
        code, shown = source.backup(tmp_path / "x.tar", "--allow-missing", "--json")
        assert code == 0 and json.loads(shown)["missing"] == 1
        assert f"files/{name}" not in members(tmp_path / "x.tar")
    finally:
        files.write(name, picture)


@pytest.mark.timeout(600)
def test_a_killed_restore_says_so_and_is_run_again_and_all_is_as_it_was(
    archive: Path,
    source: Source,
    target: dict[str, str],
    second: Driver,
    second_neo4j: LocalNeo4j,
    tmp_path: Path,
    world: Path,
) -> None:
    home = Path(target["STSG_HOME"])
    killed = restore_that_is_killed(archive, target, tmp_path)
    assert killed == -signal.SIGKILL
    given = _settings(second_neo4j, home, models={"perfect": f"scripted:{world}"})
    with pytest.raises(SchemaError, match="restore_unfinished") as refused:
        open_service(given)
    assert "stsg restore FILE" in str(refused.value)
    code, shown = stsg("restore", str(archive), "--json", **target)
    assert code == 0, shown
    code, shown = stsg("restore", str(archive), **target)
    assert code == 1 and "not empty" in shown and "--replace" in shown
    second.execute_query("CREATE (:Video {id: 'vid_of_later'})")
    Storage(given.storage_url).write("videos/vid_of_later/source", b"x")
    code, shown = stsg("restore", str(archive), "--replace", "--json", **target)
    assert code == 0 and json.loads(shown)["files"] > 5, shown
    assert not (home / "files" / "videos" / "vid_of_later").exists()

    code, shown = stsg("backup", str(tmp_path / "again.tar"), **target)
    assert code == 0 and compared(tmp_path / "again.tar") == compared(archive)
    stored = [
        {n: c for n, c in members(f).items() if n.startswith("files/")} for f in (archive, tmp_path / "again.tar")
    ]
    assert stored[0] == stored[1]

    with (
        contextmanager(_serve)(given) as server,
        httpx.Client(base_url=server.url, timeout=60) as now,
    ):
        for path in (f"/v1/graphs/{source.run}/export", f"/v1/qra-datasets/{source.dataset}/export"):
            assert now.get(path).content == b"".join(source.client.blocks(path)), path
        content = now.get(f"/v1/videos/{source.video}/content").content
        assert hashlib.sha256(content).hexdigest() == source.client.get(f"/v1/videos/{source.video}")["sha256"]
        assert {k: v for k, v in now.get(f"/v1/runs/{source.run}").json().items() if k not in HERE} == {
            k: v for k, v in source.client.get(f"/v1/runs/{source.run}").items() if k not in HERE
        }
    goes_on(given, second, source)


HERE = ("browser_url", "guide_url")


def restore_that_is_killed(file: Path, target: dict[str, str], folder: Path) -> int:
    """The exit code of a restore that is killed when nodes and edges are there."""
    command = [sys.executable, "-c", "from api.cli import app; app()", "restore", str(file)]
    crash = {"STSG_CRASH_AT": f"restore={folder / 'killed'}"}
    return subprocess.run(command, env=os.environ | target | crash, timeout=300, check=False).returncode


def goes_on(given: Settings, driver: Driver, source: Source) -> None:
    """The job at work waits, without the pauses and the worker of before, and is done by a worker of now."""
    job: Any = jobs.get(driver, AT_WORK)
    fresh = {"state": "queued", "attempts": 0, "lease_until": 0.0, "dispatched_at": 0.0, "not_before": 0.0}
    assert fresh.items() <= job.items() and job["troubled_since"] == 0.0 and "owner" not in job
    assert AT_WORK in [due["id"] for due in jobs.due(driver, tuple(queues.TASKS), lost_after=30)]
    service = Service(given, driver, Storage(given.storage_url), lambda *_: None, lambda _: 0)
    for _ in range(2):
        flows.work(service, AT_WORK, "a worker of now", tuple(queues.TASKS))
    job = jobs.get(driver, AT_WORK)
    assert job["state"] == "succeeded", job
    done, then = graphs.load_graph(driver, AT_WORK), graphs.load_graph(driver, source.run)
    assert done == then and done.objects
