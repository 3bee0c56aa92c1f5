"""Processes killed at every stage of a run: the run still ends well, and its graph is that of an undisturbed one."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.client import Client
from tests.stack import stack
from trainer.world.files import Rendered, render_with_truth
from workers import local_stack

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


@pytest.fixture(scope="module")
def undisturbed(video: Rendered, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Path, list[str]]]:
    home = tmp_path_factory.mktemp("calm")
    models = {"perfect": f"scripted:{video.truth.parent}"}
    with stack(home, models) as client:
        yield client, home, edgeless_ids(graph(client, finished(client, video, 0)))


@pytest.mark.timeout(600)
def test_a_worker_killed_at_each_stage(
    video: Rendered, undisturbed: tuple[Client, Path, list[str]], tmp_path: Path
) -> None:
    """One stack for each point would be slow: the points' markers make each kill once, one run after another."""
    _, _, expected = undisturbed
    models = {"perfect": f"scripted:{video.truth.parent}"}
    crash = ",".join(f"{point}={tmp_path / point.replace(':', '-')}" for point in POINTS)
    with stack(tmp_path / "home", models, STSG_CRASH_AT=crash) as client:
        run = finished(client, video, 0)
        assert edgeless_ids(graph(client, run)) == expected
    assert {f.name for f in tmp_path.iterdir()} >= {p.replace(":", "-") for p in POINTS}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("victim", "stage", "seed"), [("valkey", "split", 1), ("worker", "induce", 2), ("neo4j", "induce", 3)]
)
def test_a_part_of_the_stack_killed_mid_run(
    video: Rendered, undisturbed: tuple[Client, Path, list[str]], victim: str, stage: str, seed: int
) -> None:
    """The broker dies before it carries the wake-up of the next stage; the others while the graph is made."""
    client, home, expected = undisturbed
    running = local_stack.running(home)
    assert running
    run = client.upload(video.video, process="true", model="perfect", seed=str(seed))["run"]["id"]
    while (job := client.get(f"/v1/runs/{run}"))["stage"] != stage or job["state"] != "running":
        assert job["state"] in ("queued", "running"), "the run was over too soon"
    os.killpg(running.pids[victim], signal.SIGKILL)
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

    path = request("disturbed")
    while (state := client.get(path)["state"]) != "running":
        assert state == "queued", "the data set was made too soon"
    running = local_stack.running(home)
    assert running
    os.killpg(running.pids["worker"], signal.SIGKILL)
    assert client.get(path)["state"] == "running"
    assert export(path) == export(request("undisturbed"))


def _times_apart(rows: list[str]) -> list[str]:
    """Another seed may choose other keyframes of a clip, so only what was seen counts."""
    kept = []
    for row in map(json.loads, rows):
        properties = {k: v for k, v in row["properties"].items() if k in ("name", "predicate", "type", "value", "clip")}
        if row.get("labels") not in (["Keyframe"],) and row.get("type") not in ("SHOWS", "HAS_KEYFRAME"):
            kept.append(json.dumps([row.get("labels"), row.get("type"), properties], sort_keys=True))
    return sorted(kept)
