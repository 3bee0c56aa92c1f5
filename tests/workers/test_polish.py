"""Data sets in other words, and without what needs no video: finished parts are kept, and the same comes out again."""

import io
import time
from pathlib import Path
from typing import Any

import pytest
from neo4j import Driver

from graphdb import graphs, jobs
from model.rationale.evaluate import Evaluator
from model.rationale.verify import verify
from model.video_llm import Reply, Request, VideoLLMError
from tests.workers.test_flows import Desk
from trainer.world.files import Rendered, render_with_truth
from workers import flows, polish, reconciler
from workers.storage import dataset_file, manifest_file

MIX = {"steps": {"1": 20, "2": 20}, "forms": {"open": 0.5, "yes_no": 0.5}}


@pytest.fixture(scope="module")
def rendered(world: Path) -> Rendered:
    return render_with_truth(3, world)


@pytest.fixture
def desk(driver: Driver, tmp_path: Path, world: Path) -> Desk:
    return Desk(driver, tmp_path, world)


class Moody:
    """The perfect model, which goes away now and then, and rewrites every third sample badly."""

    def __init__(self, llm: Any, fails_at: int) -> None:
        self.name, self.prompt_set, self.advice, self._llm = llm.name, llm.prompt_set, llm.advice, llm
        self.calls, self._fails_at = 0, fails_at

    def answer(self, requests: list[Request]) -> list[Reply]:
        self.calls += 1
        if self.calls == self._fails_at:
            raise VideoLLMError("gone")
        replies: list[Reply] = self._llm.answer(requests)
        bad = [i % 3 == 0 and request.step.startswith("refinement") for i, request in enumerate(requests)]
        return [Reply("nonsense") if spoilt else reply for spoilt, reply in zip(bad, replies, strict=True)]


def rows(desk: Desk, id: str) -> list[dict[str, Any]]:
    return list(desk.service.storage.rows(dataset_file(id)))


def made(desk: Desk, run: str, name: str, **wanted: Any) -> str:
    job, _ = flows.start_dataset(desk.service, [run], MIX | ({"polish": wanted} if wanted else {}), 1, name)
    deadline = time.monotonic() + 60
    while desk.state(job["id"]) != "succeeded" and time.monotonic() < deadline:
        desk.work()
        reconciler.sweep(desk.service)
        time.sleep(0.2)
    assert desk.state(job["id"]) == "succeeded"
    return str(job["id"])


def test_samples_are_rewritten_filtered_and_the_same_after_a_failure(
    desk: Desk, rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polish, "_PART", 16)
    run = desk.run(desk.add(rendered, tmp_path))
    perfect = desk.service.model("perfect")
    plain = rows(desk, made(desk, run, "plain"))

    desk.put("perfect", Moody(perfect, 0))
    undisturbed = made(desk, run, "polished", model="perfect", blind=2, drop_blind=True)
    desk.put("perfect", Moody(perfect, 4))
    disturbed = made(desk, run, "disturbed", model="perfect", blind=2, drop_blind=True)

    found = rows(desk, undisturbed)
    assert found == rows(desk, disturbed)
    assert [r["id"] for r in found] == [r["id"] for r in plain if r["answer"] != "yes"]
    rewritten = [r for r in found if "template" in r]
    by_id = {r["id"]: r for r in plain}
    assert rewritten and all(r["rationale"][0].startswith("Clearly, ") for r in rewritten)
    assert all(r["template"]["rationale"] == by_id[r["id"]]["rationale"] for r in rewritten)
    told = desk.service.storage.read_json(manifest_file(undisturbed))["report"]["polish"]
    assert told["rewritten"] + told["kept"]["no_question_rationale_answer"] == len(plain)
    assert sum(told["blind"].values()) == len(plain) - len(found) and told["model"] == perfect.name
    graph = graphs.load_graph(desk.service.driver, run)
    with desk.service.storage.open(dataset_file(undisturbed)) as file:
        report = verify(io.BytesIO(file.read()), lambda _: Evaluator(graph))
    assert report.first == [] and report.rows == len(found)


def test_a_part_that_always_fails_is_given_up(
    desk: Desk, rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing(Moody):
        def answer(self, requests: list[Request]) -> list[Reply]:
            if self.calls:
                raise VideoLLMError("never this one")
            return super().answer(requests)

    monkeypatch.setattr(polish, "_PART", 16)
    run = desk.run(desk.add(rendered, tmp_path))
    desk.put("perfect", Refusing(desk.service.model("perfect"), 0))
    job, _ = flows.start_dataset(desk.service, [run], MIX | {"polish": {"model": "perfect"}}, 1, "refused")
    for _ in range(8):
        desk.work()
        desk.messages = [job["id"]]
    failed = jobs.get(desk.service.driver, job["id"])
    assert failed and (failed["state"], failed["error"]["code"]) == ("failed", "model_unavailable")


def test_a_rewritten_row_that_was_tampered_with_is_found_out(desk: Desk, rendered: Rendered, tmp_path: Path) -> None:
    run = desk.run(desk.add(rendered, tmp_path))
    id = made(desk, run, "tampered", model="perfect")
    text = desk.service.storage.read(dataset_file(id)).decode()
    graph = graphs.load_graph(desk.service.driver, run)
    changed = text.replace("Clearly, ", "Clearly not, ", 1).encode()
    assert verify(io.BytesIO(changed), lambda _: Evaluator(graph)).counts == {"bad_rewrite": 1}
