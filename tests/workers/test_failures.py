"""What errors mean for their job and for others: permanent ones end it at once, passing ones put off it and its server."""

import errno
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from neo4j import Driver
from neo4j.exceptions import ServiceUnavailable

from graphdb import jobs
from graphdb.jobs import Job
from model.backends import SpecError
from model.backends.chat_completions import RefusedError
from model.video_llm import ClosedError, Reply, Request, VideoLLMError
from tests.workers.test_flows import Desk
from trainer.world.files import Rendered, render_with_truth
from trainer.world.oracle import Oracle
from workers import flows, induction, models, reconciler
from workers.failures import classify, pause_of
from workers.settings import Settings


@pytest.fixture(scope="module")
def rendered(world: Path) -> Rendered:
    return render_with_truth(3, world)


@pytest.fixture
def desk(driver: Driver, tmp_path: Path, world: Path) -> Desk:
    return Desk(driver, tmp_path, world)


class Raising(Oracle):
    """A model that raises whatever it is given."""

    error: BaseException = VideoLLMError("never set")

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        raise self.error


def job_of(desk: Desk, id: str) -> Job:
    job = jobs.get(desk.service.driver, id)
    assert job
    return job


@pytest.mark.parametrize(
    ("error", "code", "passing"),
    [
        (RefusedError("m", 400, "At most 1 image(s) may be provided in one prompt."), "model_refused", False),
        (RefusedError("m", 401, "wrong key"), "model_refused", False),
        (RefusedError("m", 413, "too large"), "model_refused", False),
        (SpecError("no such folder"), "unusable_model", False),
        (AssertionError("a clip without frames"), "internal", False),
        (KeyError("x"), "internal", False),
        (FileNotFoundError("a.png"), "file_gone", False),
        (VideoLLMError("connection refused"), "model_unavailable", True),
        (ClosedError("busy", 5), "model_unavailable", True),
        (OSError(errno.ENOSPC, "No space left on device"), "no_room", True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "no_room", True),
        (ServiceUnavailable("gone"), "outage", True),
        (ConnectionRefusedError("gone"), "outage", True),
        (TimeoutError("hung"), "outage", True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_each_error_is_permanent_or_passing(error: BaseException, code: str, passing: bool) -> None:
    failure = classify(error)
    assert (failure.code, failure.passing) == (code, passing) and failure.detail and failure.remedy


@pytest.mark.parametrize(("seconds", "pause"), [(7, 7), (-3, 0), (1e12, 300), (math.inf, 300), (math.nan, 300)])
def test_a_server_may_ask_for_a_pause_within_reason(seconds: float, pause: float) -> None:
    assert pause_of(classify(ClosedError("busy", seconds)), 1, Settings()) == pause


def test_a_full_disk_behind_another_error_is_no_room() -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as e:
            raise RuntimeError("could not write") from e
    except RuntimeError as e:
        assert classify(e).code == "no_room"


def test_what_is_permanent_fails_at_once_and_holds_up_nobody(
    desk: Desk, rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = desk.add(rendered, tmp_path)
    model = Raising(tmp_path)
    for seed, error in enumerate((RefusedError("m", 400, "At most 1 image(s)"), AssertionError("one video's own"))):
        model.error = error
        desk.put("other", model)
        job = job_of(desk, desk.run(video, seed=seed + 40, model="other"))
        assert (job["state"], job["attempts"]) == ("failed", 1)
        assert not [e for e in jobs.events(desk.service.driver, job["id"]) if e["type"] == "trouble"]
    assert desk.state(desk.run(video, seed=42)) == "succeeded"
    with monkeypatch.context() as broken:
        broken.setattr(induction, "split", lambda *_: [][0])
        split = job_of(desk, desk.run(video, seed=43))
    assert (split["state"], split["error"]["code"], split["attempts"]) == ("failed", "internal", 1)


def test_what_passes_puts_off_its_job_and_those_of_its_server_alone(
    desk: Desk, rendered: Rendered, tmp_path: Path
) -> None:
    specs = {"one": "openai:http://127.0.0.1:9/v1#a", "two": "openai:http://127.0.0.1:9/v1#b"}
    settings = desk.service.settings.model_copy(
        update={"models": desk.service.settings.models | specs, "trouble_pause_seconds": 30.0}
    )
    desk.service = replace(desk.service, settings=settings)
    video, model = desk.add(rendered, tmp_path), Raising(tmp_path)
    runs = {name: flows.start_run(desk.service, video, name, {}, 50)[0]["id"] for name in (*specs, "perfect")}
    for id in runs.values():
        flows.work(desk.service, id, "test", ("split",))
    for name in specs:  # the second one finds its server closed, and calls nobody
        desk.service._open = ((name, models.identity(settings, name)), model)
        flows.work(desk.service, runs[name], "test", ("induce",))
        model.error = AssertionError("called all the same")
    one, two = job_of(desk, runs["one"]), job_of(desk, runs["two"])
    assert (one["state"], one["attempts"], two["state"], two["attempts"]) == ("queued", 1, "queued", 0)
    assert one["not_before"] == pytest.approx(time.time() + 2, abs=1.9) and two["not_before"] == one["not_before"]
    desk.messages = [runs["perfect"]]
    desk.work()
    assert desk.state(runs["perfect"]) == "succeeded"
    for id in (runs["one"], runs["two"]):
        jobs.cancel(desk.service.driver, id)


def test_a_message_that_comes_too_early_does_nothing(desk: Desk, driver: Driver, run_id: str) -> None:
    jobs.create(driver, "Run", run_id, stage="induce", not_before=time.time() + 1000)
    assert jobs.acquire(driver, run_id, "early", 60) is None
    reconciler.sweep(desk.service)
    assert run_id not in desk.messages
    driver.execute_query("MATCH (j:Job {id: $id}) SET j.not_before = timestamp() / 1000.0 - 1", id=run_id)
    reconciler.sweep(desk.service)
    assert run_id in desk.messages and jobs.acquire(driver, run_id, "in time", 60)


def test_a_job_that_waits_too_long_for_what_is_away_fails(desk: Desk, rendered: Rendered, tmp_path: Path) -> None:
    model = Raising(tmp_path)
    model.error = ClosedError("busy", 0)
    desk.put("other", model)
    run = desk.run(desk.add(rendered, tmp_path), seed=60, model="other")
    assert job_of(desk, run)["state"] == "queued"
    hour = 3600.0
    desk.service.settings = desk.service.settings.model_copy(update={"patience_seconds": hour})
    desk.service.driver.execute_query("MATCH (j:Job {id: $id}) SET j.troubled_since = j.troubled_since - 3601", id=run)
    desk.messages = [run]
    desk.work()
    job = job_of(desk, run)
    assert (job["state"], job["error"]["code"]) == ("failed", "model_unavailable")


class Silent(Oracle):
    """A model that thinks and says nothing, or says what nobody can read, or calls tools."""

    reply = Reply("")

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        return [self.reply for _ in requests]


@pytest.mark.parametrize(
    ("reply", "code", "told", "remedy"),
    [
        (Reply("", finish="length", thoughts="Hm."), "no_replies", "held thoughts alone", "thinking off"),
        (Reply("", tools='[{"id": "a"}]'), "no_replies", "were calls of tools", "no tools"),
        (Reply("", finish="length"), "no_replies", "were cut off", "raise the tokens"),
        (Reply("I am sorry, but I cannot help with that."), "unreadable_replies", "refusal", "trace"),
    ],
)
def test_a_run_of_which_nothing_could_be_read_fails_and_says_why(
    desk: Desk, rendered: Rendered, tmp_path: Path, world: Path, reply: Reply, code: str, told: str, remedy: str
) -> None:
    model = Silent(tmp_path)
    model.reply = reply
    desk.put("other", model)
    run = desk.run(desk.add(rendered, tmp_path), seed=sum(map(ord, told)), model="other")
    job = job_of(desk, run)
    assert (job["state"], (job["error"] or {}).get("code")) == ("failed", code)
    assert told in job["error"]["detail"] and remedy in job["error"]["remedy"]
    desk.put("other", Oracle(world))
    flows.retry(desk.service, run)
    desk.work()
    assert desk.state(run) == "succeeded"
