"""Evaluations worked off without a broker: what is stored, and what is asked again after an end in the middle."""

from itertools import count
from pathlib import Path
from typing import Any

import pytest
from neo4j import Driver

from graphdb import jobs
from model.backends.openai_server import OpenAIVideoLLM
from tests.trainer.test_benchmark_cli import Answer, said, served
from tests.workers.test_flows import Desk, Dying
from trainer.evaluation.benchmark import chosen
from trainer.evaluation.catalogue import BENCHMARKS
from trainer.evaluation.run import verdict
from trainer.world.oracle import Oracle
from workers import evaluation, flows

SAMPLES = 36  # two parts, four videos
FEW = 9  # of one video


@pytest.fixture
def desk(driver: Driver, tmp_path: Path, world: Path) -> Desk:
    return Desk(driver, tmp_path, world)


def test_an_evaluation_goes_on_after_the_replies_that_are_stored_and_its_end_leaves_nothing(desk: Desk) -> None:
    service, llm = desk.service, Dying(Oracle(desk.service.settings.home))
    desk.put("perfect", llm)
    job, created = flows.start_evaluation(service, "perfect", "world", "direct", SAMPLES, 0)
    assert created and flows.start_evaluation(service, "perfect", "world", "direct", SAMPLES, 0) == (
        jobs.get(service.driver, job["id"]),
        False,
    )
    llm.left = 1
    desk.work()
    first = list(evaluation.kept(service.storage, job["id"]))
    assert len(first) == 32 and desk.state(job["id"]) == "queued", "the model gave way after the first part"
    llm.left = 1
    flows.work(service, job["id"], "another", ("evaluate",))
    done = jobs.get(service.driver, job["id"])
    assert done and (done["state"], done["done"], llm.left) == ("succeeded", SAMPLES, 0)
    rows = list(evaluation.kept(service.storage, job["id"]))
    assert rows[:32] == first and len({row["id"] for row in rows}) == len(rows) == SAMPLES
    assert done["result"]["scores"]["3+"]["accuracy"] == 1.0 and done["result"]["scores"]["3+"]["count"] == SAMPLES // 3
    assert all(len(row["seen"][0]["frames"]) >= 4 and not row["blind"][0]["frames"] for row in rows)
    assert flows.delete_job(service, job["id"])
    assert service.storage.names("evaluations") == [] and jobs.get(service.driver, job["id"]) is None


WRAPPERS = ("{}", "<think>It is red.</think>{}", "<answer>{}</answer>", "\\boxed{{{}}}", "{}<|im_end|>")


def test_a_server_that_wraps_its_answers_scores_as_one_that_does_not(desk: Desk) -> None:
    answers = {item.question: item.answer for item in chosen(BENCHMARKS["world"]().items, FEW, 0)}
    assert len(answers) == FEW, "each question has one answer"
    turn = count()

    def react(_: int, body: dict[str, Any]) -> Answer:
        content = body["messages"][-1]["content"]
        text = content if isinstance(content, str) else content[-1]["text"]
        answer = next(answers[question] for question in answers if question in text)
        return said(WRAPPERS[next(turn) % len(WRAPPERS)].format(answer))

    with served(react) as (url, bodies):
        desk.put("served", OpenAIVideoLLM(url, "m"))
        job, _ = flows.start_evaluation(desk.service, "served", "world", "direct", FEW, 0)
        desk.work()
    done = jobs.get(desk.service.driver, job["id"])
    assert done and (done["state"], done["done"]) == ("succeeded", FEW), done
    rows = list(evaluation.kept(desk.service.storage, job["id"]))
    wrong = [(row["question"], row["answer"], row["seen"][0]["reply"]) for row in rows if not verdict(row).correct]
    assert bodies and not wrong and done["result"]["scores"]["all"]["accuracy"] == 1.0
    assert flows.delete_job(desk.service, job["id"])
