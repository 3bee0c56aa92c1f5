"""Trainings watched over by workers that come and go; the process is a stand-in that keeps the contract of its folder."""

import itertools
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from neo4j import Driver

from graphdb import jobs, records
from graphdb.connection import read
from graphdb.jobs import Job, LeaseLost
from model.rationale.formats import split_of
from tests.workers.test_flows import Desk
from trainer.tuning.data import read_samples
from trainer.world.files import Rendered, render_with_truth
from workers import flows, models, processes, training, tuning, uploads
from workers.processes import TrainingProcess
from workers.storage import model_folder
from workers.training_folder import chosen, folder_of, prepare

STAGES = ("split", "induce", "qra", "train", "rehearse")
STAND_IN = Path(__file__).with_name("stand_in.py")


class TrainingDesk(Desk):
    """A desk that trains with the stand-in; `watch` works a job off in a thread, as a worker would."""

    def __init__(self, driver: Driver, folder: Path, world: Path) -> None:
        super().__init__(driver, folder, world)
        settings = self.service.settings
        self.service.settings = settings.model_copy(update={"home": folder, "lease_seconds": 2.0, "max_attempts": 2})
        self.rows = ""
        self.threads: list[threading.Thread] = []

    def start(self, **wish: Any) -> Job:
        spec = {"max_steps": 20, "save_every": 5} | wish.pop("spec", {})
        job, _ = tuning.start(self.service, tuning.Wish(model="tiny", training_file=self.rows, spec=spec, **wish))
        return job

    def watch(self, id: str) -> threading.Thread:
        thread = threading.Thread(target=flows.work, args=(self.service, id, "test", STAGES))
        thread.start()
        self.threads.append(thread)
        return thread

    def job(self, id: str) -> Job:
        job = jobs.get(self.service.driver, id)
        assert job
        return job

    def process(self, id: str) -> TrainingProcess:
        return TrainingProcess(folder_of(self.service, id))

    def until(self, id: str, good: Callable[[Job], bool], seconds: float = 180) -> Job:
        deadline = time.monotonic() + seconds
        while not good(job := self.job(id)):
            assert time.monotonic() < deadline, job
            time.sleep(0.05)
        return job

    def weights(self, model: str) -> str:
        return self.service.storage.read(f"{model_folder(model)}/weights").decode()

    def told(self, id: str, event: str) -> list[str]:
        found = [e["data"] for e in jobs.events(self.service.driver, id, limit=1000)]
        return [row["message"] for row in found if row.get("event") == event]


@pytest.fixture(scope="module")
def video(world: Path) -> Rendered:
    return render_with_truth(5, world)


@pytest.fixture
def desk(
    driver: Driver, tmp_path: Path, world: Path, video: Rendered, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TrainingDesk]:
    def command(folder: Path, processes: int = 1, *, dry_run: bool = False) -> list[str]:
        return [sys.executable, str(STAND_IN), str(folder), *(["--dry-run"] if dry_run else [])]

    monkeypatch.setattr(processes, "command", command)
    desk = TrainingDesk(driver, tmp_path, world)
    desk.add(video, tmp_path)
    desk.rows = upload(desk, [{"question": "q", "answer": "a", "video_id": video.video_id, "home": str(tmp_path)}])
    yield desk
    for job in jobs.list_jobs(driver, "Tuning", limit=100):
        tuning.stop(desk.service, job["id"], "cancelled")
    for thread in desk.threads:
        thread.join(20)
    processes.stop_all(tmp_path / "tuning", 5)
    for job in jobs.list_jobs(driver, "Tuning", limit=100):
        jobs.stop(driver, job["id"], "cancelled")
        tuning.delete(desk.service, job["id"])
    for kind in ("Model", "File"):
        for record in records.find(driver, kind, limit=100):  # type: ignore[arg-type]
            records.delete(driver, kind, record["id"])  # type: ignore[arg-type]


def upload(desk: TrainingDesk, rows: list[dict[str, Any]]) -> str:
    file = desk.service.settings.home / "rows.jsonl"
    text = "".join(json.dumps(row) + "\n" for row in rows)
    file.write_text(text)
    sha256 = flows.digest(text) * 3
    return str(uploads.add(desk.service, file, name="rows.jsonl", sha256=sha256, purpose="fine-tune")["id"])


def test_a_training_becomes_a_model_with_its_lineage(desk: TrainingDesk, video: Rendered) -> None:
    job = desk.start(suffix="first try")
    assert desk.start(suffix="first try")["id"] == job["id"]
    desk.watch(job["id"]).join(60)
    done = desk.job(job["id"])
    assert done["state"] == "succeeded", done["error"]
    assert done["result"]["model"] == f"ft:tiny:first-try:{job['id'].removeprefix('ftjob-')}"
    record = records.get(desk.service.driver, "Model", done["result"]["model"])
    assert record and record["lineage"]["training_file"] == desk.rows and record["lineage"]["base"] == "tiny"
    assert record["lineage"]["code"] == models.code_version() and record["lineage"]["spec"]["max_steps"] == 20
    assert models.spec_of(desk.service.settings, desk.service.driver, desk.service.storage, record["id"]).startswith(
        "hf:"
    )
    query = "MATCH (:Model {id: $id})-[edge]->() RETURN DISTINCT type(edge) AS kind"
    edges = {row["kind"] for row in read(desk.service.driver, query, id=record["id"])}
    assert edges == {"MADE_BY", "TRAINED_ON", "TUNED_FROM"}
    kept = records.find(desk.service.driver, "Model", limit=10, job_id=job["id"], only="checkpoint")
    assert sorted(r["metrics"]["step"] for r in kept) == [5, 10, 15, 20]
    assert all(r["metrics"]["validation"] == {"1": {"count": 4, "correct": 3}} for r in kept)
    events = jobs.events(desk.service.driver, job["id"], limit=1000)
    losses = [e["data"]["step"] for e in events if e["type"] == "metrics" and "loss" in e["data"]]
    assert losses == list(range(1, 21)) and done["progress"]["step"] == 20
    assert not folder_of(desk.service, job["id"]).exists()
    onward, _ = tuning.start(desk.service, tuning.Wish(record["id"], desk.rows, spec={"max_steps": 5, "save_every": 5}))
    desk.watch(onward["id"]).join(60)
    assert desk.job(onward["id"])["result"]["model"].startswith("ft:tiny::"), "called after the base that it was first"


def test_a_worker_that_dies_leaves_the_training_to_the_next(desk: TrainingDesk) -> None:
    calm = desk.start(spec={"max_steps": 200})
    desk.watch(calm["id"]).join(60)
    job = desk.start(spec={"max_steps": 200}, suffix="other")
    desk.watch(job["id"])
    desk.until(job["id"], lambda j: j["done"] > 3)
    held = desk.job(job["id"])
    jobs.update(desk.service.driver, jobs.Lease(job["id"], held["fence"]), lease_until=0.0)
    pid = json.loads((folder_of(desk.service, job["id"]) / "process.json").read_text())["pid"]
    second = desk.watch(job["id"])  # takes the lapsed lease; the first one sees that and goes
    desk.until(job["id"], lambda j: j["fence"] > held["fence"])
    assert desk.process(job["id"]).alive()
    assert json.loads((folder_of(desk.service, job["id"]) / "process.json").read_text())["pid"] == pid
    second.join(60)
    done = desk.job(job["id"])
    assert done["state"] == "succeeded" and desk.told(job["id"], "attached")
    assert len(desk.told(job["id"], "begun")) == 1
    assert desk.weights(done["result"]["model"]) == desk.weights(desk.job(calm["id"])["result"]["model"])


def test_a_killed_process_goes_on_from_its_last_checkpoint(desk: TrainingDesk) -> None:
    calm = desk.start(spec={"max_steps": 150})
    desk.watch(calm["id"]).join(60)
    job = desk.start(spec={"max_steps": 150}, suffix="killed")
    thread = desk.watch(job["id"])
    desk.until(job["id"], lambda j: j["done"] > 8)
    folder = folder_of(desk.service, job["id"])
    pid = json.loads((folder / "process.json").read_text())["pid"]
    part = folder / "checkpoints" / ".step-000999.part"  # what a process leaves that dies before it gives it its name
    part.mkdir(exist_ok=True)
    (part / "complete.json").write_text("{}")
    os.kill(pid, signal.SIGKILL)
    thread.join(60)
    done = desk.job(job["id"])
    assert done["state"] == "succeeded" and desk.told(job["id"], "restarted")
    assert len(desk.told(job["id"], "begun")) == 2 and desk.told(job["id"], "begun")[1] != "Begun at step 0."
    assert desk.weights(done["result"]["model"]) == desk.weights(desk.job(calm["id"])["result"]["model"])


@pytest.mark.alone
def test_pause_resume_and_cancel_end_with_a_checkpoint(desk: TrainingDesk) -> None:
    job = desk.start(spec={"max_steps": 4000, "save_every": 10_000})
    desk.watch(job["id"])
    desk.until(job["id"], lambda j: j["done"] > 3)
    tuning.stop(desk.service, job["id"], "paused")
    paused = desk.until(job["id"], lambda j: j["state"] == "paused")
    at = paused["result"]["step"]
    assert paused["result"]["checkpoint"].endswith(f":ckpt-step-{at}") and desk.weights(paused["result"]["checkpoint"])
    folder = folder_of(desk.service, job["id"])
    left = folder.rename(folder.with_name("elsewhere"))  # as on another machine
    assert tuning.resume(desk.service, job["id"])
    desk.watch(job["id"])
    desk.until(job["id"], lambda j: j["done"] > at)
    tuning.stop(desk.service, job["id"], "paused")
    on = desk.until(job["id"], lambda j: j["state"] == "paused")["result"]["step"]
    assert on > at and desk.told(job["id"], "begun")[-1] == f"Begun at step {at}."
    shutil.rmtree(folder)
    left.rename(folder)  # back on the first, whose own checkpoint is older
    assert tuning.resume(desk.service, job["id"])
    desk.watch(job["id"])
    desk.until(job["id"], lambda j: j["done"] > on)
    tuning.stop(desk.service, job["id"], "cancelled")
    done = desk.until(job["id"], lambda j: j["state"] == "cancelled")
    assert not desk.process(job["id"]).alive()
    assert desk.weights(done["result"]["checkpoint"]) and done["result"]["step"] > on
    assert desk.told(job["id"], "begun")[-1] == f"Begun at step {on}."
    assert tuning.stop(desk.service, job["id"], "paused") is None


def test_a_process_that_does_not_stop_is_killed_and_the_training_ends_as_asked(
    desk: TrainingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "STOP_SECONDS", 1)
    job = desk.start(spec={"instruction_answer": "deaf", "max_steps": 4000, "save_every": 5})
    desk.watch(job["id"])
    desk.until(job["id"], lambda j: j["done"] > 6)
    tuning.stop(desk.service, job["id"], "cancelled")
    done = desk.until(job["id"], lambda j: j["state"] == "cancelled")
    assert not desk.process(job["id"]).alive() and not desk.told(job["id"], "restarted")
    assert done["result"]["step"] % 5 == 0 and done["result"]["checkpoint"].endswith(
        f":ckpt-step-{done['result']['step']}"
    )
    assert desk.weights(done["result"]["checkpoint"])


@pytest.mark.parametrize(("how", "code"), [("die", "process_died"), ("nan", "nan_loss")])
def test_a_training_that_can_not_go_on_fails_with_its_last_checkpoint(desk: TrainingDesk, how: str, code: str) -> None:
    job = desk.start(spec={"instruction_answer": how})
    desk.watch(job["id"]).join(60)
    done = desk.job(job["id"])
    assert (done["state"], done["error"]["code"]) == ("failed", code) and done["error"]["remedy"]
    assert done["result"]["checkpoint"].endswith(":ckpt-step-5") and desk.weights(done["result"]["checkpoint"])


def test_a_process_that_hangs_is_started_again(desk: TrainingDesk) -> None:
    desk.service.settings = desk.service.settings.model_copy(update={"training_silence_seconds": 5.0})
    job = desk.start(spec={"instruction_answer": "hang"})
    desk.watch(job["id"]).join(60)
    assert desk.state(job["id"]) == "succeeded" and desk.told(job["id"], "silent")


def test_a_worker_that_ends_well_leaves_the_training_alone(desk: TrainingDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "ENDING", threading.Event())
    job = desk.start(spec={"max_steps": 400})
    thread = desk.watch(job["id"])
    desk.until(job["id"], lambda j: j["done"] > 3)
    training.ENDING.set()
    thread.join(30)
    assert not thread.is_alive() and desk.process(job["id"]).alive()
    training.ENDING.clear()
    desk.watch(job["id"])
    desk.until(job["id"], lambda j: bool(desk.told(job["id"], "attached")))
    processes.stop_all(desk.service.settings.home / "tuning", 5)  # as `stsg down` does
    desk.until(job["id"], lambda j: bool(desk.told(job["id"], "restarted")))


def test_a_training_is_cancelled_while_its_pictures_are_still_collected(desk: TrainingDesk) -> None:
    job = desk.start()
    lease, taken = jobs.acquire(desk.service.driver, job["id"], "test", 60) or (None, None)
    assert lease and taken and tuning.stop(desk.service, job["id"], "cancelled")
    assert desk.job(job["id"])["state"] == "running", "it is for whoever works on it to end it"
    watch = training.Watch(desk.service, lease, taken, threading.Event())
    with pytest.raises(LeaseLost):
        training.prepare(desk.service, taken, folder_of(desk.service, job["id"]), watch._may_go_on)
    watch.record.close()
    assert desk.job(job["id"])["state"] == "cancelled"


def test_what_a_training_leaves_on_a_machine_goes_when_it_is_deleted_on_another(
    desk: TrainingDesk, tmp_path: Path
) -> None:
    folders = []
    for suffix in ("mine", "of another database"):
        job = desk.start(suffix=suffix)
        prepare(desk.service, desk.job(job["id"]), folder_of(desk.service, job["id"]))
        assert tuning.stop(desk.service, job["id"], "cancelled")
        folders.append(folder_of(desk.service, job["id"]))
    training.tidy(desk.service)
    assert all(folder.exists() for folder in folders)
    theirs = desk.service.settings.model_copy(update={"home": tmp_path / "another machine"})
    for folder in folders:
        assert tuning.delete(replace(desk.service, settings=theirs), folder.name)
    told = folders[1] / "job.json"
    told.write_text(told.read_text().replace('"database": "', '"database": "bolt://another'))
    training.tidy(desk.service)
    assert [folder.exists() for folder in folders] == [False, True]


def test_a_tuned_model_in_use_is_not_deleted(desk: TrainingDesk, video: Rendered) -> None:
    job = desk.start(suffix="to be deleted")
    desk.watch(job["id"]).join(60)
    model, service = str(desk.job(job["id"])["result"]["model"]), desk.service
    run, _ = flows.start_run(service, video.video_id, model, {}, 0)
    assert not models.delete(service.driver, service.storage, model)
    jobs.cancel(service.driver, run["id"])
    assert models.delete(service.driver, service.storage, model)
    assert records.get(service.driver, "Model", model) is None and not service.storage.names(model_folder(model))
    with pytest.raises(models.UnknownModelError):
        models.spec_of(service.settings, service.driver, service.storage, model)
    flows.delete_job(service, run["id"])


def test_a_dry_run_tells_what_it_takes_and_leaves_nothing(desk: TrainingDesk) -> None:
    wish = tuning.Wish(model="tiny", training_file=desk.rows, spec={"max_steps": 20})
    job = tuning.rehearse(desk.service, wish)
    flows.work(desk.service, job["id"], "test", STAGES)
    assert desk.job(job["id"])["result"] == {"samples": 3, "steps": 20}
    assert not folder_of(desk.service, job["id"]).exists()
    stopped = tuning.rehearse(desk.service, replace(wish, seed=1))
    assert tuning.stop(desk.service, stopped["id"], "cancelled")
    assert tuning.rehearse(desk.service, replace(wish, seed=1))["state"] == "queued", "asked again"
    jobs.cancel(desk.service.driver, stopped["id"])
    jobs.delete(desk.service.driver, stopped["id"])
    jobs.delete(desk.service.driver, job["id"])


def test_a_training_gets_the_bases_that_are_trusted_and_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STSG_NEO4J_PASSWORD", "secret")
    monkeypatch.setenv("STSG_TRUST_REMOTE_CODE", "a/b")
    given = processes.environment()
    assert "secret" not in given.values() and given["STSG_TRUST_REMOTE_CODE"] == "a/b" and given["PATH"]


def test_a_folder_holds_the_rows_with_their_pictures(desk: TrainingDesk, video: Rendered, tmp_path: Path) -> None:
    row = {"question": "q", "answer": "a", "video_id": video.video_id}
    held, mixed = upload(desk, [row | {"id": "held"}]), upload(desk, [row | {"id": "m1"}, row | {"id": "m2"}])
    spec = {"mixture": {"ratio": 2.0}, "frames": 5}
    job, folder = desk.start(validation_file=held, mixture_file=mixed, spec=spec), tmp_path / "folder"
    assert prepare(desk.service, job, folder) and not prepare(desk.service, job, folder)
    given = (
        read_samples(folder, "train.jsonl", 5),
        *(read_samples(folder, f"{n}.jsonl", 5) for n in ("validation", "mixture")),
    )
    assert [[s.id for s in samples] for samples in given[1:]] == [["held"], ["m1", "m2"]] and len(given[0]) == 1
    assert all(len(set(s.frames)) == 5 and sorted(s.times) == list(s.times) for samples in given for s in samples)
    told = json.loads((folder / "spec.json").read_text())
    assert told["mixture"] == {"ratio": 2.0} and Path(told["base"]).is_dir()
    assert prepare(desk.service, job | {"created_at": 1.0}, folder), "what a deleted one left is not gone on with"


def test_rows_that_name_only_a_run_are_held_out_by_it(desk: TrainingDesk, video: Rendered, tmp_path: Path) -> None:
    runs = [desk.run(video.video_id, seed=seed) for seed in range(4)]
    desk.rows = upload(desk, [{"question": "q", "answer": "a", "run_id": run} for run in runs])
    seed = next(seed for seed in itertools.count() if len({split_of(run, seed, 0.5) for run in runs}) == 2)
    job, folder = desk.start(validation=0.5, seed=seed), tmp_path / "folder"
    assert prepare(desk.service, job, folder)
    for name in ("train", "validation"):
        rows = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
        assert [row["run_id"] for row in rows] == [run for run in runs if split_of(run, seed, 0.5) == name]


def test_pictures_show_what_a_sample_is_about_and_then_all_of_the_video() -> None:
    keyframes = {f"k{n}": (f"{n}.png", float(n)) for n in range(10)}

    def names(needed: list[str], count: int) -> list[str]:
        return [name.removesuffix(".png") for name, _ in chosen(keyframes, needed, count)]

    assert names(["k7", "k2"], 4) == ["2", "3", "7", "8"]
    assert names([], 2) == ["2", "7"] and names([f"k{n}" for n in range(10)], 5) == ["1", "3", "5", "7", "9"]
    assert names(["k3", "gone"], 20) == [str(n) for n in range(10)]


def test_videos_that_are_gone_are_told_before_anything_starts(desk: TrainingDesk, video: Rendered) -> None:
    lost = upload(desk, [{"id": "r1", "question": "q", "answer": "a", "video_id": "vid_gone", "run_id": "run_gone"}])
    desk.rows = lost
    job = desk.start()
    desk.watch(job["id"]).join(30)
    done = desk.job(job["id"])
    assert done["error"]["code"] == "no_frames" and "r1" in done["error"]["detail"] and done["error"]["remedy"]


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"model": "nobody"}, "model"),
        ({"model": "perfect"}, "model"),
        ({"training_file": "file-none"}, "training_file"),
        ({"training_file": "../../etc/passwd"}, "training_file"),
        ({"validation_file": "qra_none"}, "validation_file"),
        ({"spec": {"lambda_rationale": -1}}, "method.step.lambda_rationale"),
        ({"spec": {"lora": {"rank": 0}}}, "method.step.lora.rank"),
        ({"spec": {"frame": 8}}, "method.step.frame"),
    ],
)
def test_a_wrong_wish_names_its_field(desk: TrainingDesk, wish: dict[str, Any], field: str) -> None:
    with pytest.raises(tuning.WrongField) as found:
        tuning.start(desk.service, tuning.Wish(**{"model": "tiny", "training_file": desk.rows} | wish))
    assert found.value.field == field and found.value.remedy
