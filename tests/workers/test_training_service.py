"""Trainings of the tiny model through the running service, driven by the official client of the OpenAI API."""

import io
import json
import os
import signal
import tarfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from api.cli.train import id_of_rows
from api.client import Client
from model.rationale.formats import split_of
from tests.api.test_cli import stsg
from tests.stack import stack
from tests.trainer.tuning_folders import PLAIN, losses_here_and_in_plain_trl, read_lines, write_rows
from trainer.conformance.checkpoints import FAMILIES
from trainer.conformance.family import build as build_random
from trainer.tuning.spec import TuningSpec
from trainer.world.files import Rendered, render_with_truth
from workers import local_stack

STEP = {
    "epochs": 4,
    "max_steps": 6,
    "batch": 2,
    "save_every": 2,
    "frames": 4,
    "learning_rate": 1e-4,
}


class Place:
    """A stack with a data set to train on."""

    def __init__(self, home: Path, client: Client, videos: list[Rendered]) -> None:
        self.home, self.client, self.videos = home, client, videos
        # The smallest share of hundredths that holds a video out, as their ids are.
        splits = ({split_of(v.video_id, 0, share / 100) for v in videos} for share in range(100))
        self.step = STEP | {"validation": next(n / 100 for n, split in enumerate(splits) if "validation" in split)}
        self.openai = OpenAI(base_url=f"{client.url}/v1", api_key="none", max_retries=0)
        sent = [client.upload(v.video, process="true", model="perfect")["run"]["id"] for v in videos]
        for run in sent:
            assert client.until_final(f"/v1/runs/{run}")["state"] == "succeeded"
        made = client.post("/v1/qra-datasets", {"runs": sent, "steps": {"1": 8, "2": 8}})
        self.dataset = str(client.until_final(f"/v1/qra-datasets/{made['id']}")["id"])

    def start(self, suffix: str, **step: Any) -> FineTuningJob:
        method: Any = {"type": "step", "step": self.step | step}
        return self.openai.fine_tuning.jobs.create(model="tiny", training_file=self.dataset, method=method, suffix=suffix)  # fmt: skip

    def until(self, id: str, *states: str, step: int = 0, seconds: float = 280) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while True:
            job: dict[str, Any] = self.client.get(f"/v1/fine_tuning/jobs/{id}")
            if job["status"] in states or (step and job["step"] >= step):
                return job
            assert time.monotonic() < deadline and job["status"] in ("queued", "running"), job
            time.sleep(0.1)

    def events(self, id: str) -> list[Any]:
        return list(self.openai.fine_tuning.jobs.list_events(id, limit=100))

    def weights(self, model: str) -> bytes:
        return (self.home / "files" / "models" / model.replace(":", "_") / "model.safetensors").read_bytes()

    def process(self, id: str) -> int:
        """The process of a training, once there is one."""
        self.wait_for(id, "process.json")
        return int(json.loads((self.home / "tuning" / id / "process.json").read_text())["pid"])

    def worker(self) -> int:
        """The process group of the worker that watches trainings."""
        running = local_stack.running(self.home)
        assert running
        return int(running.pids["trainer"])

    def wait_for(self, id: str, file: str) -> None:
        """Until a training's folder has a file."""
        deadline = time.monotonic() + 280
        while not (self.home / "tuning" / id / file).exists():
            assert time.monotonic() < deadline, file
            time.sleep(0.005)

    def until_told(self, id: str, event: str) -> None:
        deadline = time.monotonic() + 280
        while event not in [e.data.get("event") for e in self.events(id)]:
            assert time.monotonic() < deadline, event
            time.sleep(0.1)

    def graph(self, model: str) -> int:
        """Make a graph with a model; how many objects it saw."""
        video = self.client.upload(self.videos[0].video)["id"]
        run = self.client.post(f"/v1/videos/{video}/runs", {"model": model})
        assert self.client.until_final(f"/v1/runs/{run['id']}")["state"] == "succeeded"
        return int(self.client.get(f"/v1/graphs/{run['id']}")["counts"]["objects"])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    world, home = tmp_path_factory.mktemp("world"), tmp_path_factory.mktemp("home")
    videos = [render_with_truth(seed, world) for seed in range(3)]
    with stack(home, {"perfect": f"scripted:{world}"}) as client:
        yield Place(home, client, videos)
    assert not list(home.glob("tuning/*/process.json")) or not _living(home)


def _living(home: Path) -> list[str]:
    """Processes whose command line names a training of this stack."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended
            found.append(file.read_bytes().decode(errors="replace"))
    return [line for line in found if str(home / "tuning") in line]


@pytest.fixture(scope="module")
def calm(place: Place) -> dict[str, Any]:
    """A training that nobody disturbed."""
    return place.until(place.start("calm").id, "succeeded")


@pytest.mark.timeout(600)
def test_a_training_ends_as_a_model_that_makes_graphs(place: Place, calm: dict[str, Any]) -> None:
    assert calm["fine_tuned_model"].startswith("ft:tiny:calm:")
    job = place.openai.fine_tuning.jobs.retrieve(calm["id"])
    assert job.status == "succeeded" and job.fine_tuned_model == calm["fine_tuned_model"]
    losses = [e.data["step"] for e in reversed(place.events(job.id)) if e.type == "metrics" and "loss" in e.data]
    assert losses == list(range(1, 7))
    points = list(place.openai.fine_tuning.jobs.checkpoints.list(job.id))
    assert [p.step_number for p in points] == [6, 4, 2] and points[0].metrics.train_loss
    listed = {m.id: m.model_extra or {} for m in place.openai.models.list()}
    assert {"tiny", "perfect", points[0].fine_tuned_model_checkpoint} <= listed.keys()
    for model in (calm["fine_tuned_model"], points[1].fine_tuned_model_checkpoint):
        lineage, metrics = listed[model]["lineage"], listed[model]["metrics"]
        assert lineage["base"] == "tiny" and lineage["training_file"] == place.dataset and "+" in lineage["code"]
        assert lineage["job_id"] == calm["id"] and metrics["loss"] > 0 and metrics["validation"]
        shown = stsg("models", "show", model, STSG_API_URL=place.client.url).stdout
        assert all(
            word in shown for word in (place.dataset, calm["id"], lineage["code"], "lambda_rationale", "validation")
        )
    assert place.graph(calm["fine_tuned_model"]) > 0


@pytest.mark.timeout(600)
def test_a_training_is_watched_live_and_again(place: Place, calm: dict[str, Any]) -> None:
    path = f"/v1/fine_tuning/jobs/{calm['id']}"
    every = list(place.client.follow(path))
    assert [e.seq for e in every] == list(range(1, len(every) + 1)) and every[-1].type == "succeeded"
    assert list(place.client.follow(path, after=every[4].seq)) == every[5:]
    validated = [e.data["data"] for e in every if "validation" in e.data["data"]]
    assert [row["step"] for row in validated] == [0, 2, 4, 6]
    assert all(v["count"] > 0 for row in validated for v in row["validation"].values())
    terminal = {"TERM": "xterm", "TTY_COMPATIBLE": "1", "STSG_API_URL": place.client.url}
    shown = stsg("train", "watch", calm["id"], **terminal)
    assert shown.returncode == 0 and calm["fine_tuned_model"] in shown.stdout
    told = (
        "step",
        "loss",
        "rationale",
        "gradient norm",
        "learning rate",
        "tokens a second",
        "time left",
        "validation at 0",
        "validation at 6",
    )
    assert all(words in shown.stderr for words in told), shown.stderr[-2000:]
    lines = stsg("train", "watch", calm["id"], "--json", STSG_API_URL=place.client.url).stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [e.seq for e in every]


@pytest.mark.timeout(600)
def test_a_killed_worker_and_a_killed_trainer_change_nothing(place: Place, calm: dict[str, Any]) -> None:
    job = place.start("killed", save_every=3)
    pid = place.process(job.id)
    os.kill(pid, signal.SIGSTOP)  # it would have ended before the next worker is there
    os.killpg(place.worker(), signal.SIGKILL)
    place.until_told(job.id, "attached")
    os.kill(pid, signal.SIGCONT)
    place.wait_for(job.id, "checkpoints/step-000003/complete.json")
    assert place.process(job.id) == pid
    os.kill(pid, signal.SIGKILL)
    done = place.until(job.id, "succeeded")
    place.until_told(job.id, "restarted")
    assert place.weights(done["fine_tuned_model"]) == place.weights(calm["fine_tuned_model"])


@pytest.mark.timeout(600)
def test_a_training_that_ends_while_nobody_looks_is_told_whole(place: Place, calm: dict[str, Any]) -> None:
    job = place.start("unseen")
    place.process(job.id)
    worker = place.worker()
    os.killpg(worker, signal.SIGSTOP)
    place.wait_for(job.id, "result.json")
    os.killpg(worker, signal.SIGKILL)
    done = place.until(job.id, "succeeded")
    assert done["step"] == calm["step"] == 6
    told = [e.data["step"] for e in reversed(place.events(job.id)) if e.type == "metrics" and "loss" in e.data]
    assert told == list(range(1, 7))


@pytest.mark.alone
@pytest.mark.timeout(600)
def test_pause_resume_and_cancel(place: Place) -> None:
    job = place.start("stopped", epochs=1000, max_steps=5000, save_every=5000, recipe="distillation")
    live = place.client.follow(f"/v1/fine_tuning/jobs/{job.id}")
    assert next(event for event in live if event.type == "metrics").data["data"]["step"] < 5000
    assert place.openai.fine_tuning.jobs.pause(job.id).status == "paused"
    at = place.until(job.id, "paused")["result"]["step"]
    place.openai.fine_tuning.jobs.resume(job.id)
    place.until(job.id, step=at + 1)
    begun = time.monotonic()
    cancelled = place.openai.fine_tuning.jobs.cancel(job.id)
    assert cancelled.status == "cancelled" and time.monotonic() - begun < 5
    [newest, *_] = place.openai.fine_tuning.jobs.checkpoints.list(job.id)
    assert newest.step_number > at and place.graph(newest.fine_tuned_model_checkpoint) > 0
    assert not _living(place.home)


@pytest.mark.timeout(600)
def test_rows_are_uploaded_and_rehearsed_on_a_tuned_model(place: Place, calm: dict[str, Any]) -> None:
    rows = b"".join(place.client.blocks(f"/v1/qra-datasets/{place.dataset}/export"))
    file = place.openai.files.create(file=("rows.jsonl", rows), purpose="fine-tune")
    assert place.openai.files.content(file.id).read() == rows
    method = {
        "type": "step",
        "step": {"max_steps": 2, "batch": 2, "processes": 2},
    }  # of which one tells what each takes
    body = {"model": calm["fine_tuned_model"], "training_file": file.id, "method": method}
    told: dict[str, Any] = {"status": "queued"}
    while told["status"] in ("queued", "running"):
        told = place.client.post("/v1/fine_tuning/jobs?dry_run=true", body)
    assert told["status"] == "succeeded" and told["report"]["samples"] == 16 and told["report"]["steps"] == 2
    assert file.id in [f.id for f in place.openai.files.list()]
    assert place.openai.files.delete(file.id).deleted


@pytest.mark.timeout(600)
def test_an_export_trains_in_plain_trl_to_the_same_loss_on_answers(place: Place, tmp_path: Path) -> None:
    path = f"/v1/qra-datasets/{place.dataset}/export"
    packed = b"".join(place.client.blocks(f"{path}?format=trl&media=tar&rationales=false"))
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        tar.extractall(tmp_path, filter="data")
    folder = tmp_path / place.dataset
    exported = read_lines(folder / "rows.jsonl")[:4]
    stored = {row["id"]: row for row in place.client.lines(path)}
    times = {row["id"]: [int(Path(name).stem) / 1000 for name in row["images"]] for row in exported}
    shown = [stored[row["id"]] | {"frames": row["images"], "times": times[row["id"]]} for row in exported]
    assert all(row["prompt"][0]["content"].startswith("The frames are from the ") for row in exported)
    write_rows(folder / "train.jsonl", shown)
    base = tmp_path / "base"
    build_random(next(f for f in FAMILIES if f.name == "Qwen3-VL"), base)
    spec = TuningSpec.from_dict(PLAIN | {"base": str(base), "learning_rate": 1e-3, "frames": 64})
    (folder / "spec.json").write_text(json.dumps(spec.to_dict()))
    ours, theirs = losses_here_and_in_plain_trl(folder, exported)
    assert len(ours) == 4 and theirs == pytest.approx(ours, rel=1e-3)


@pytest.mark.timeout(600)
def test_a_round_induces_samples_trains_and_compares_and_is_not_done_twice(place: Place) -> None:
    words = ("rounds", str(place.videos[0].video), "--steps", "1=6", "--steps", "2=6", "--questions", "3", "--json")
    once, again = (
        stsg(*words, "--set", "max_steps=2", "--set", "batch=2", STSG_API_URL=place.client.url) for _ in range(2)
    )
    assert once.returncode == 0, once.stderr
    told = json.loads(once.stdout)
    [made] = told["rounds"]
    assert (made["model"], made["graphs"], made["samples"]) == ("tiny", 1, 12) and made["objects"] > 0
    assert made["tuned"].startswith("ft:tiny:round-1:")
    assert [m["name"] for m in told["report"]["models"]] == ["tiny", made["tuned"]]
    assert json.loads(again.stdout) == told
    table = stsg(*words[:-1], "--set", "max_steps=2", "--set", "batch=2", STSG_API_URL=place.client.url)
    assert table.returncode == 0 and "McNemar" in table.stdout
    rows = [line for line in table.stdout.splitlines() if " 3+ " in line]
    assert any(" tiny " in row for row in rows) and any(made["tuned"] in row for row in rows)


def test_several_data_sets_are_one_file_with_each_sample_once(place: Place, tmp_path: Path) -> None:
    kept = list(place.client.lines(f"/v1/qra-datasets/{place.dataset}/export"))
    (tmp_path / "more.jsonl").write_text(json.dumps(kept[0] | {"id": "qra_other"}) + "\n")
    files = [id_of_rows(place.client, place.dataset, str(tmp_path / "more.jsonl"), place.dataset) for _ in range(2)]
    assert files[0] == files[1]
    assert list(place.client.lines(f"/v1/files/{files[0]}/content")) == [*kept, kept[0] | {"id": "qra_other"}]


@pytest.mark.timeout(600)
def test_sweeps_train_ask_and_compare(place: Place) -> None:
    """Of lambdas (STEP Fig. 5) and of mixes of steps (Fig. 6)."""
    few = ("--set", "max_steps=1", "--set", "batch=2", "--questions", "3")
    swept = stsg(
        "sweep", "lambda", place.dataset, "--value", "0", "--value", "2", *few, "--json", STSG_API_URL=place.client.url
    )
    assert swept.returncode == 0, swept.stderr
    told = json.loads(swept.stdout)
    assert list(told["models"]) == ["base", "lambda 0", "lambda 2"]
    assert [m["name"] for m in told["report"]["models"]] == list(told["models"].values())
    jobs = [place.openai.fine_tuning.jobs.retrieve(id) for id in told["trainings"].values()]
    assert [j.model_extra["progress"]["loss_rationale"] > 0 for j in jobs] == [False, True]  # type: ignore[index]
    mixed = stsg("sweep", "steps", place.dataset, "--mix", "one step", *few, STSG_API_URL=place.client.url)
    assert mixed.returncode == 0 and "one step" in mixed.stdout and "McNemar" in mixed.stdout, mixed.stderr
    lacking = stsg("sweep", "steps", place.dataset, *few, STSG_API_URL=place.client.url)
    assert lacking.returncode == 1 and "rows of 3 steps" in lacking.stderr and "Traceback" not in lacking.stderr
