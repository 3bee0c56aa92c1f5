"""Processes killed at every stage of a run: the run still ends well, and its graph is that of an undisturbed one."""

import json
import os
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from api.client import Client
from tests.stack import stack
from trainer.world.files import Rendered, render_with_truth
from workers import leftovers, local_stack

POINTS = ("split", "split-commit", "induce:0", "commit:1", "bridge", "bridge-commit")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    return render_with_truth(11, tmp_path_factory.mktemp("truth"), clips=3)


def graph(client: Client, run_id: str) -> list[dict[str, Any]]:
    """The export of a run without the run's own id."""
    return [json.loads(json.dumps(row).replace(run_id, "RUN")) for row in client.lines(f"/v1/graphs/{run_id}/export")]


def finished(client: Client, video: Rendered, seed: int) -> str:
    run = client.upload(video.video, process="true", model="perfect", seed=str(seed))["run"]["id"]
    job = client.until_final(f"/v1/runs/{run}")
    assert job["state"] == "succeeded", job["error"]
    return str(run)


def edgeless_ids(rows: list[dict[str, Any]]) -> list[str]:
    """Rows without ids: those of edges hash the run's id."""
    return sorted(json.dumps({k: _bare(v) for k, v in row.items() if k != "id"}, sort_keys=True) for row in rows)


def _bare(value: Any) -> Any:
    return {k: v for k, v in value.items() if k != "id"} if isinstance(value, dict) else value


def _hold(home: Path, point: str) -> Path:
    """The file that holds a worker of this stack at a point for as long as it is there."""
    return home / f"hold-{point.replace(':', '-')}"


@pytest.fixture(scope="module")
def undisturbed(video: Rendered, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Path, list[str]]]:
    home = tmp_path_factory.mktemp("calm")
    models = {"perfect": f"scripted:{video.truth.parent}"}
    holds = ",".join(f"{point}={_hold(home, point)}" for point in ("split", "induce:0", "qra"))
    with stack(home, models, STSG_HOLD_AT=holds) as client:
        yield client, home, edgeless_ids(graph(client, finished(client, video, 0)))


@pytest.mark.timeout(600)
def test_a_worker_killed_at_each_stage(
    video: Rendered, undisturbed: tuple[Client, Path, list[str]], tmp_path: Path
) -> None:
    """One stack for each point would be slow: the points' markers make each kill once, one run after another.

    No lease lapses within the test, so a child that dies has to give its job up at once.
    """
    _, _, expected = undisturbed
    models = {"perfect": f"scripted:{video.truth.parent}"}
    crash = ",".join(f"{point}={tmp_path / point.replace(':', '-')}" for point in POINTS)
    with stack(tmp_path / "home", models, STSG_CRASH_AT=crash, STSG_LEASE_SECONDS="3000") as client:
        run = finished(client, video, 0)
        assert edgeless_ids(graph(client, run)) == expected
    assert {f.name for f in tmp_path.iterdir()} >= {p.replace(":", "-") for p in POINTS}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("victim", "stage", "point", "seed"),
    [("valkey", "split", "split", 1), ("worker", "induce", "induce:0", 2), ("neo4j", "induce", "induce:0", 3)],
)
def test_a_part_of_the_stack_killed_mid_run(
    video: Rendered, undisturbed: tuple[Client, Path, list[str]], victim: str, stage: str, point: str, seed: int
) -> None:
    """The broker dies before it carries the wake-up of the next stage; the others while the graph is made.

    The run is held where it is until the part is dead.
    """
    client, home, expected = undisturbed
    running = local_stack.running(home)
    assert running
    hold = _hold(home, point)
    hold.touch()
    run = client.upload(video.video, process="true", model="perfect", seed=str(seed))["run"]["id"]
    while (job := client.get(f"/v1/runs/{run}"))["stage"] != stage or job["state"] != "running":
        assert job["state"] in ("queued", "running"), job
    os.killpg(running.pids[victim], signal.SIGKILL)
    hold.unlink()
    deadline = time.monotonic() + 200
    state = ""
    while state not in ("succeeded", "failed") and time.monotonic() < deadline:
        time.sleep(0.5)
        try:
            state = client.get(f"/v1/runs/{run}")["state"]
        except Exception:  # noqa: BLE001 # the API may wait for the database
            continue
    assert state == "succeeded"
    assert _times_apart(edgeless_ids(graph(client, run))) == _times_apart(expected)


@pytest.mark.timeout(600)
def test_a_worker_killed_while_it_makes_a_data_set(undisturbed: tuple[Client, Path, list[str]]) -> None:
    client, home, _ = undisturbed
    [run, *_] = client.get("/v1/runs", state="succeeded")["data"]

    def request(name: str) -> str:
        body = {"runs": [run["id"]], "steps": {"1": 200, "2": 200, "3": 200, "4": 200}, "seed": 4, "name": name}
        return f"/v1/qra-datasets/{client.post('/v1/qra-datasets', body)['id']}"

    def export(path: str) -> bytes:
        assert client.until_final(path)["state"] == "succeeded"
        return b"".join(client.blocks(f"{path}/export"))

    hold = _hold(home, "qra")
    hold.touch()
    path = request("disturbed")
    while (state := client.get(path)["state"]) != "running":
        assert state == "queued", state
    running = local_stack.running(home)
    assert running
    os.killpg(running.pids["worker"], signal.SIGKILL)
    hold.unlink()
    assert client.get(path)["state"] in ("running", "queued")
    assert export(path) == export(request("undisturbed"))


@pytest.mark.timeout(600)
def test_no_room_for_files_ends_nothing_and_work_goes_on_when_there_is_some(
    video: Rendered, undisturbed: tuple[Client, Path, list[str]], tmp_path: Path
) -> None:
    """The system refuses every write beyond a small size to all processes of the stack, as a full disk does."""
    client, home, expected = undisturbed
    upload = tmp_path / "video"
    upload.write_bytes(os.urandom(2**20))
    before = local_stack.running(home)
    assert before
    until_ready(client)
    known = client.get("/v1/videos")["data"][0]["id"]
    with _no_room(home / "tie"):
        for path in ("/v1/videos", "/v1/files"):
            with upload.open("rb") as body:
                reply = httpx.post(f"{before.uris['api']}{path}", content=body, headers={"Content-Type": "video/mp4"})
            assert (reply.status_code, reply.json()["code"]) == (507, "storage_full"), reply.text
            assert "room" in reply.json()["remedy"] and int(reply.headers["Retry-After"]) > 0
        for seed in range(20, 60):  # each writes to the database, until that has no room
            url = f"{before.uris['api']}/v1/videos/{known}/runs"
            reply = httpx.post(url, json={"model": "perfect", "seed": seed}, timeout=60)
            if reply.status_code != 202:
                break
        assert (reply.status_code, reply.json()["code"]) == (503, "database_unavailable"), reply.text
        assert local_stack.is_running(home)
    until_ready(client)
    after = local_stack.running(home)
    assert after and after.pids["supervisor"] == before.pids["supervisor"]
    assert _times_apart(edgeless_ids(graph(client, finished(client, video, 41)))) == _times_apart(expected)
    for run in client.get("/v1/runs", limit=100)["data"]:
        assert client.until_final(f"/v1/runs/{run['id']}")["state"] == "succeeded"


def until_ready(client: Client) -> None:
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        with suppress(Exception):  # 503, or the API is started again
            if client.get("/readyz")["status"] == "ok":
                return
        time.sleep(0.5)
    raise AssertionError("the stack did not come back")


@contextmanager
def _no_room(tie: Path) -> Iterator[None]:
    """Those that are started meanwhile inherit the limit from the supervisor."""
    _limit(tie, 4096)
    try:
        yield
    finally:
        _limit(tie, resource.RLIM_INFINITY)
        _limit(
            tie, resource.RLIM_INFINITY
        )  # one may have been started by the supervisor just before its own was lifted


def _limit(tie: Path, size: int) -> None:
    for pid in leftovers.holders(tie):
        with suppress(ProcessLookupError):
            hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


def _times_apart(rows: list[str]) -> list[str]:
    """Another seed may choose other keyframes of a clip, so only what was seen counts."""
    kept = []
    for row in map(json.loads, rows):
        properties = {k: v for k, v in row["properties"].items() if k in ("name", "predicate", "type", "value", "clip")}
        if row.get("labels") not in (["Keyframe"],) and row.get("type") not in ("SHOWS", "HAS_KEYFRAME"):
            kept.append(json.dumps([row.get("labels"), row.get("type"), properties], sort_keys=True))
    return sorted(kept)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("victim", "part", "seed"), [("neo4j", "neo4j", 5), ("valkey", "broker", 6)])
def test_a_part_that_hangs_is_named_and_work_goes_on_when_it_answers(
    video: Rendered, undisturbed: tuple[Client, Path, list[str]], victim: str, part: str, seed: int
) -> None:
    client, home, _ = undisturbed
    [stored, *_] = client.get("/v1/videos")["data"]
    running = local_stack.running(home)
    assert running
    with httpx.Client(base_url=client.url, timeout=15) as api:  # three times what is promised
        os.killpg(running.pids[victim], signal.SIGSTOP)
        try:
            reply = api.get("/readyz", timeout=6)
            assert reply.status_code == 503 and reply.json()["checks"][part] != "ok" and reply.headers["retry-after"]
            body = {"model": "perfect", "seed": seed}
            replies = [api.get("/v1/runs"), api.post(f"/v1/videos/{stored['id']}/runs", json=body)]
        finally:
            os.killpg(running.pids[victim], signal.SIGCONT)
    if victim == "neo4j":
        assert [r.status_code for r in replies] == [503, 503] and all(r.headers["retry-after"] for r in replies)
        job = client.post(f"/v1/videos/{stored['id']}/runs", body)
    else:  # what is stored is sent when the broker is back
        assert [r.status_code for r in replies] == [200, 202]
        job = replies[1].json()
    assert client.until_final(f"/v1/runs/{job['id']}")["state"] == "succeeded"


def test_nothing_that_a_stack_wrote_holds_its_secrets(undisturbed: tuple[Client, Path, list[str]]) -> None:
    """After all the faults above: logs, traces, exports and records are searched for passwords."""
    _, home, _ = undisturbed
    settings = json.loads((home / "stack.json").read_text())["settings"]
    secrets = [settings["neo4j_password"], urlsplit(settings["redis_url"]).password or ""]
    assert all(len(secret) > 8 for secret in secrets)
    own = {"stack.json", "password", "valkey.conf"}  # where they are kept, for their owner alone
    files = [
        f for f in home.rglob("*") if f.is_file() and f.name not in own and "neo4j" not in f.relative_to(home).parts
    ]
    assert any(f.suffix == ".log" for f in files) and any(f.suffix == ".jsonl" for f in files)
    holding = [f for f in files if any(secret.encode() in f.read_bytes() for secret in secrets)]
    assert holding == [] and home.stat().st_mode & 0o077 == 0
