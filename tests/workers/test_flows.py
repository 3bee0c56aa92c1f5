"""Runs and data sets, worked off without a broker: what is stored, what a second time changes, what failures leave."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from neo4j import Driver

from graphdb import graphs, jobs
from model.media import probe
from model.stsg import SceneGraph
from model.video_llm import Reply, Request, VideoLLMError
from trainer.world.files import Rendered, render_with_truth
from trainer.world.oracle import Oracle
from trainer.world.score import score
from trainer.world.truth import truth
from workers import flows, reconciler
from workers.runtime import Service
from workers.settings import Settings
from workers.storage import Storage, dataset_file, keyframe_file

STAGES = ("split", "induce", "qra", "polish", "evaluate")


class Desk:
    """A service whose wake-ups lie on a list until `work` is called."""

    def __init__(self, driver: Driver, folder: Path, world: Path) -> None:
        self.messages: list[str] = []
        models = {"perfect": f"scripted:{world}", "other": f"scripted:{world}"}
        settings = Settings(models=models, storage=str(folder / "files"), lease_seconds=60)
        self.service = Service(settings, driver, Storage(settings.storage_url), self._wake, lambda queue: 0)

    def _wake(self, task: str, queue: str, id: str) -> None:
        self.messages.append(id)

    def add(self, rendered: Rendered, scratch: Path) -> str:
        copy = scratch / "upload"
        copy.write_bytes(rendered.video.read_bytes())
        flows.add_video(self.service, rendered.video_id, copy, probe(copy), name="a.mp4", sha256="x")
        return rendered.video_id

    def run(self, video_id: str, *, seed: int = 0, model: str = "perfect", **options: bool) -> str:
        job, _ = flows.start_run(self.service, video_id, model, options, seed)
        self.work()
        return str(job["id"])

    def work(self) -> None:
        while self.messages:
            flows.work(self.service, self.messages.pop(0), "test", STAGES)

    def state(self, id: str) -> str:
        job = jobs.get(self.service.driver, id)
        assert job
        return str(job["state"])


@pytest.fixture(scope="module")
def rendered(world: Path) -> Rendered:
    return render_with_truth(3, world)


@pytest.fixture
def desk(driver: Driver, tmp_path: Path, world: Path) -> Desk:
    return Desk(driver, tmp_path, world)


def digest(driver: Driver, run_id: str) -> list[dict[str, Any]]:
    """All of a graph but the run's own id."""
    return [_renamed(row, run_id) for row in graphs.export_rows(driver, run_id)]


def _renamed(value: Any, run_id: str) -> Any:
    if isinstance(value, dict):
        return {k: _renamed(v, run_id) for k, v in value.items() if k != "id" or "kind" not in value}
    if isinstance(value, list):
        return [_renamed(v, run_id) for v in value]
    return value.replace(run_id, "RUN") if isinstance(value, str) else value


def test_a_run_makes_the_true_graph_and_a_second_time_changes_nothing(
    desk: Desk, rendered: Rendered, tmp_path: Path
) -> None:
    driver = desk.service.driver
    run = desk.run(desk.add(rendered, tmp_path))
    assert desk.state(run) == "succeeded"
    graph = graphs.load_graph(driver, run)
    assert all(s.f1 == 1 for s in score(graph, truth(rendered.scene)).values())
    again, created = flows.start_run(desk.service, rendered.video_id, "perfect", {}, 0)
    assert (again["id"], created) == (run, False)
    jobs.cancel(driver, run)
    flows.work(desk.service, run, "late", STAGES)
    assert graphs.load_graph(driver, run) == graph
    exchanges = {
        row["exchange"]
        for name in desk.service.storage.names(f"runs/{run}/trace")
        for row in desk.service.storage.rows(name)
    }
    assert {e for o in graph.objects for e in o.evidence} <= exchanges


def test_a_run_that_stopped_anywhere_goes_on_to_the_same_graph(desk: Desk, rendered: Rendered, tmp_path: Path) -> None:
    driver, video = desk.service.driver, desk.add(rendered, tmp_path)
    whole = desk.run(video, seed=1, model="perfect")
    dying = Dying(Oracle(Path(desk.service.settings.models["perfect"].removeprefix("scripted:"))))
    desk.service._models["other"] = dying
    job, _ = flows.start_run(desk.service, video, "other", {}, 1)
    for calls in range(0, 60, 7):
        dying.left = calls
        desk.messages = [job["id"]]
        desk.work()
        jobs.retry(driver, job["id"])
    dying.left = 10_000
    desk.messages = [job["id"]]
    desk.work()
    assert desk.state(job["id"]) == "succeeded"
    ours, theirs = digest(driver, job["id"]), digest(driver, whole)
    assert [_unproven(row) for row in ours] == [_unproven(row) for row in theirs]


def _unproven(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"properties": {k: v for k, v in row["properties"].items() if k != "evidence"}}


class Dying:
    """A model that gives way after some calls."""

    def __init__(self, llm: Oracle) -> None:
        self.llm, self.left = llm, 0
        self.name, self.prompt_set, self.advice = llm.name, llm.prompt_set, llm.advice

    def answer(self, requests: list[Request]) -> list[Reply]:
        self.left -= 1
        if self.left < 0:
            raise VideoLLMError("The server is gone.")
        return self.llm.answer(requests)


def test_a_model_that_is_gone_fails_the_run_with_what_to_do(desk: Desk, rendered: Rendered, tmp_path: Path) -> None:
    desk.service._models["other"] = Dying(Oracle(tmp_path))
    run, _ = flows.start_run(desk.service, desk.add(rendered, tmp_path), "other", {}, 2)
    desk.work()
    for _ in range(4):
        desk.messages = [run["id"]]
        desk.work()
    job = jobs.get(desk.service.driver, run["id"])
    assert job and job["state"] == "failed"
    assert job["error"]["code"] == "model_unavailable" and "retry" in job["error"]["remedy"]


def test_a_data_set_is_the_same_bytes_for_the_same_seed(desk: Desk, rendered: Rendered, tmp_path: Path) -> None:
    run = desk.run(desk.add(rendered, tmp_path))

    def rows(name: str, seed: int) -> bytes:
        job, _ = flows.start_dataset(desk.service, [run], {"steps": {"1": 5, "2": 5, "3": 5}}, seed, name)
        desk.work()
        assert desk.state(job["id"]) == "succeeded"
        return desk.service.storage.read(dataset_file(job["id"]))

    assert rows("a", 1) == rows("b", 1) != rows("c", 2)
    assert rows("a", 1).count(b"\n") == 15


def test_the_reconciler_wakes_what_was_lost(desk: Desk, rendered: Rendered, tmp_path: Path) -> None:
    def broken(task: str, queue: str, id: str) -> None:
        raise ConnectionError("no broker")

    away = replace(desk.service, wake=broken)
    job, _ = flows.start_run(away, desk.add(rendered, tmp_path), "perfect", {}, 9)
    assert desk.state(job["id"]) == "queued" and not desk.messages
    reconciler.sweep(desk.service)
    assert job["id"] in desk.messages
    desk.work()
    assert desk.state(job["id"]) == "succeeded"


def test_deleting_a_run_and_its_video_leaves_nothing(desk: Desk, rendered: Rendered, tmp_path: Path) -> None:
    video = desk.add(rendered, tmp_path)
    run = desk.run(video, seed=77)
    frame = graphs.load_clips(desk.service.driver, run)[0].keyframes[0].id
    assert desk.service.storage.exists(keyframe_file(run, frame))
    assert not flows.delete_video(desk.service, video)
    for job in jobs.list_jobs(desk.service.driver, "Run", limit=100, video_id=video):
        jobs.cancel(desk.service.driver, job["id"])
        assert flows.delete_job(desk.service, job["id"])
    assert flows.delete_video(desk.service, video)
    assert graphs.load_graph(desk.service.driver, run) == SceneGraph()
    assert desk.service.storage.names("runs") == desk.service.storage.names("videos") == []
