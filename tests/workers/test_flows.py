"""Runs and data sets, worked off without a broker: what is stored, what a second time changes, what failures leave."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from neo4j import Driver

from graphdb import graphs, jobs
from graphdb.jobs import BeingDeleted
from model.media import probe
from model.stsg import SceneGraph
from model.video_llm import ClosedError, Reply, Request, VideoLLM, VideoLLMError
from tests.api import media
from trainer.world.files import Rendered, render_with_truth
from trainer.world.oracle import Oracle
from trainer.world.score import score
from trainer.world.truth import truth
from workers import flows, models, reconciler
from workers.runtime import Service
from workers.settings import Settings
from workers.storage import Storage, dataset_file, keyframe_file

STAGES = ("split", "induce", "qra", "polish", "evaluate")


class Desk:
    """A service whose wake-ups lie on a list until `work` is called."""

    def __init__(self, driver: Driver, folder: Path, world: Path) -> None:
        self.messages: list[str] = []
        models = {"perfect": f"scripted:{world}", "other": f"scripted:{world}"}
        told: dict[str, Any] = {"lease_seconds": 60, "trouble_pause_seconds": 0}
        settings = Settings(models=models, storage=str(folder / "files"), **told)
        self.service = Service(settings, driver, Storage(settings.storage_url), self._wake, lambda queue: 0)

    def put(self, name: str, llm: VideoLLM) -> None:
        """Have a model stand for the one of a name."""
        self.service._open = ((name, models.identity(self.service.settings, name)), llm)

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
    desk.put("other", dying)
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
    desk.put("other", Dying(Oracle(tmp_path)))
    run, _ = flows.start_run(desk.service, desk.add(rendered, tmp_path), "other", {}, 2)
    desk.work()
    for _ in range(4):
        desk.messages = [run["id"]]
        desk.work()
    job = jobs.get(desk.service.driver, run["id"])
    assert job and job["state"] == "failed"
    assert job["error"]["code"] == "model_unavailable" and "retry" in job["error"]["remedy"]


def test_a_model_advises_and_the_run_decides(desk: Desk, rendered: Rendered, tmp_path: Path, world: Path) -> None:
    adviser = Oracle(world)
    adviser.advice = {"verification": False}
    video = desk.add(rendered, tmp_path)
    for asked, made in (({}, False), ({"verification": True}, True)):
        desk.put("other", adviser)
        job = jobs.get(desk.service.driver, desk.run(video, seed=30, model="other", **asked))
        assert job and job["result"]["options"]["verification"] is made


def test_a_worker_whose_gpu_is_gone_ends_and_leaves_the_job_to_others(
    desk: Desk, rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Oracle):
        def answer(self, requests: Sequence[Request]) -> list[Reply]:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    ended: list[bool] = []
    monkeypatch.setattr(flows, "end_process", lambda: ended.append(True))
    desk.put("other", Broken(tmp_path))
    run, _ = flows.start_run(desk.service, desk.add(rendered, tmp_path), "other", {}, 4)
    desk.work()
    job = jobs.get(desk.service.driver, run["id"])
    assert job and job["state"] == "queued" and len(ended) == 1
    [told] = [e["data"] for e in jobs.events(desk.service.driver, run["id"]) if e["type"] == "trouble"]
    assert told["worker"] == "test" and "illegal memory" in told["detail"]
    for _ in range(3):
        desk.messages = [run["id"]]
        desk.work()
    job = jobs.get(desk.service.driver, run["id"])
    assert job and job["state"] == "failed" and len(ended) == 3, "its own input may be what breaks them"
    assert "worker test" in job["error"]["detail"]


def test_a_job_that_kills_its_worker_is_given_up_until_it_is_retried(
    desk: Desk, rendered: Rendered, tmp_path: Path
) -> None:
    run = desk.run(desk.add(rendered, tmp_path))
    made, _ = flows.start_dataset(desk.service, [run], {"steps": {"1": 3}}, 0, "deadly")
    for _ in range(desk.service.settings.max_attempts):
        assert jobs.acquire(desk.service.driver, made["id"], "one that dies", -1)
    desk.work()
    job = jobs.get(desk.service.driver, made["id"])
    assert job and (job["state"], job["error"]["code"]) == ("failed", "poison") and "retry" in job["error"]["remedy"]
    again = flows.retry(desk.service, made["id"])
    assert again and again["attempts"] == 0
    desk.work()
    assert desk.state(made["id"]) == "succeeded"


def test_a_model_that_says_when_to_come_back_is_waited_for(desk: Desk, rendered: Rendered, tmp_path: Path) -> None:
    class Closed(Oracle):
        def answer(self, requests: Sequence[Request]) -> list[Reply]:
            raise ClosedError("No request for four minutes.", 240)

    desk.put("other", Closed(tmp_path))
    run, _ = flows.start_run(desk.service, desk.add(rendered, tmp_path), "other", {}, 3)
    for _ in range(5):
        desk.work()
        desk.messages = [run["id"]]
    job = jobs.get(desk.service.driver, run["id"])
    assert job and job["state"] == "queued" and 200 < job["not_before"] - time.time() <= 240 and job["attempts"] < 2
    jobs.cancel(desk.service.driver, run["id"])


def test_a_video_whose_middle_is_damaged_fails_its_run_and_leaves_nothing_of_it(desk: Desk, tmp_path: Path) -> None:
    """Its first picture is fine, so it is taken in."""
    upload = media.damaged(tmp_path / "damaged.mp4")
    video = f"vid_{uuid.uuid4().hex}"
    flows.add_video(desk.service, video, upload, probe(upload), name="a.mp4", sha256="x")
    run = desk.run(video)
    job = jobs.get(desk.service.driver, run)
    assert job and job["state"] == "failed" and job["error"]["code"] == "damaged"
    assert "60 frames expected, 20 decoded" in job["error"]["detail"] and job["error"]["remedy"]
    assert graphs.load_clips(desk.service.driver, run) == []
    assert desk.service.storage.names(f"runs/{run}") == []


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


def test_a_job_whose_worker_died_is_not_kept_waiting_by_a_long_queue(desk: Desk, driver: Driver, run_id: str) -> None:
    waiting = [f"{run_id}-{n}" for n in range(3)]
    for id in waiting:
        jobs.create(driver, "Run", id, stage="waits here")
        jobs.dispatched(driver, id)
    jobs.create(driver, "Run", run_id, stage="waits here")
    assert jobs.acquire(driver, run_id, "one that dies", -1)
    found = [j["id"] for j in jobs.due(driver, ["waits here"], lost_after=-1, limit=2)]
    assert found == [run_id, waiting[0]]
    for id in waiting:
        jobs.cancel(driver, id)
        jobs.delete(driver, id)


def test_a_run_whose_worker_died_waits_once_and_not_behind_all_others(desk: Desk, driver: Driver, run_id: str) -> None:
    sent: list[str] = []
    crowded = replace(
        desk.service, wake=lambda task, queue, job: sent.append(f"{queue} {job}"), backlog=lambda queue: 9
    )
    jobs.create(driver, "Run", run_id, stage="induce")
    reconciler.sweep(crowded)
    assert f"gpu.infer {run_id}" in sent
    assert jobs.acquire(driver, run_id, "one that dies", -1)
    driver.execute_query("MATCH (j:Job {id: $id}) SET j.dispatched_at = j.lease_until - 60", id=run_id)
    for _ in range(2):
        reconciler.sweep(crowded)
        driver.execute_query(
            "MATCH (j:Job {id: $id}) SET j.lease_until = j.lease_until - 40, j.dispatched_at = j.dispatched_at - 40",
            id=run_id,
        )
    assert sent.count(f"gpu.soon {run_id}") == 1 and sent.count(f"gpu.infer {run_id}") == 1


def test_a_run_is_not_deleted_while_a_data_set_is_made_of_it(desk: Desk, rendered: Rendered, tmp_path: Path) -> None:
    run = desk.run(desk.add(rendered, tmp_path), seed=78)
    made, _ = flows.start_dataset(desk.service, [run], {"steps": {"1": 3}}, 0)
    assert not flows.delete_job(desk.service, run)
    desk.work()
    assert desk.state(made["id"]) == "succeeded" and len(list(desk.service.storage.rows(dataset_file(made["id"])))) == 3
    assert flows.delete_job(desk.service, run)


def test_a_deletion_that_broke_off_can_be_repeated(
    desk: Desk, rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = desk.run(desk.add(rendered, tmp_path), seed=79)
    with monkeypatch.context() as broken:
        broken.setattr(Storage, "delete", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            flows.delete_job(desk.service, run)
    with pytest.raises(BeingDeleted):
        desk.run(rendered.video_id, seed=79)
    assert flows.retry(desk.service, run) is None and flows.delete_job(desk.service, run)
    assert not desk.service.storage.names(f"runs/{run}") and desk.run(rendered.video_id, seed=79) == run


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
