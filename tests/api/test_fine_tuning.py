"""Files, models and trainings in the shape of the OpenAI API, over real HTTP; nothing works the trainings off."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from neo4j import Driver

from graphdb import jobs
from tests.api.conftest import Server
from tests.api.test_cli import stsg
from tests.api.test_problems import problem

ROW = {"question": "What is red?", "answer": "the ball", "rationale": ["The ball is red."], "video_id": "vid_1"}


def jsonl(*rows: Any) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def send(api: httpx.Client, content: bytes, purpose: str = "fine-tune") -> httpx.Response:
    return api.post("/v1/files", files={"file": ("rows.jsonl", content)}, data={"purpose": purpose})


@pytest.fixture(scope="module")
def file_id(api: httpx.Client) -> str:
    return str(send(api, jsonl(ROW)).json()["id"])


@pytest.fixture
def job(api: httpx.Client, driver: Driver, file_id: str, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """A queued training of its own for each test."""
    body = {"model": "tiny", "training_file": file_id, "suffix": request.node.name[:60], "seed": 3}
    reply = api.post("/v1/fine_tuning/jobs", json=body)
    assert reply.status_code == 200, reply.text
    yield reply.json()
    jobs.stop(driver, reply.json()["id"], "cancelled")
    api.delete(f"/v1/fine_tuning/jobs/{reply.json()['id']}")


def test_a_file_is_kept_by_its_content(api: httpx.Client, file_id: str) -> None:
    again = send(api, jsonl(ROW)).json()
    assert again["id"] == file_id and again["lines"] == 1 and again["object"] == "file"
    assert api.get(f"/v1/files/{file_id}/content").content == jsonl(ROW)
    other = send(api, jsonl(ROW, ROW)).json()
    assert {other["id"], file_id} <= {f["id"] for f in api.get("/v1/files").json()["data"]}
    assert api.delete(f"/v1/files/{other['id']}").json() == {"object": "file", "id": other["id"], "deleted": True}
    problem(api.get(f"/v1/files/{other['id']}"), 404, "file_not_found")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no rows"),
        (b"\x80\x04\x95pickle", "Line 1"),
        (jsonl(ROW) + b"{broken\n", "Line 2"),
        (jsonl([1]), "no object"),
        (jsonl(ROW, {**ROW, "answer": ""}), "Line 2: answer"),
        (jsonl({**ROW, "rationale": "text"}), "rationale"),
        (jsonl({**ROW, "video_id": "../../etc/passwd"}), "video_id"),
        (jsonl({**ROW, "run_id": "http://a.b/c"}), "video_id"),
        (jsonl({**ROW, "frames": ["/etc/passwd"]}), "frames"),
        (jsonl({k: v for k, v in ROW.items() if k != "video_id"}), "video_id"),
        (b"[" * 5000, "Line 1 is no JSON"),
        (jsonl({**ROW, "answer": "half a character \ud800"}), "answer"),
    ],
)
def test_a_file_that_is_no_rows_is_refused_with_its_line(
    server: Server, api: httpx.Client, content: bytes, said: str
) -> None:
    files = server.files()
    body = problem(send(api, content), 422, "invalid_request")
    assert [e["field"] for e in body["errors"]] == ["file"] and said in body["detail"]
    assert server.files() == files
    problem(send(api, jsonl(ROW), purpose="assistants"), 422, "invalid_request")


def test_the_same_training_is_made_once_and_goes_through_its_states(
    api: httpx.Client, job: dict[str, Any], file_id: str
) -> None:
    path = f"/v1/fine_tuning/jobs/{job['id']}"
    assert job["status"] == "queued" and job["object"] == "fine_tuning.job" and job["seed"] == 3
    assert job["method"]["step"]["lambda_rationale"] == 1.0 and job["training_file"] == file_id
    body = {"model": "tiny", "training_file": file_id, "suffix": job_suffix(job), "seed": 3}
    assert api.post("/v1/fine_tuning/jobs", json=body).json()["id"] == job["id"]
    assert api.get("/v1/fine_tuning/jobs", params={"limit": 1}).json()["data"][0]["id"] == job["id"]
    problem(api.post(f"{path}/resume"), 409, "job_not_resting")
    problem(api.delete(path), 409, "job_at_work")
    problem(api.delete(f"/v1/files/{file_id}"), 409, "file_in_use")
    assert api.post(f"{path}/pause").json()["status"] == "paused"
    assert api.post(f"{path}/resume").json()["status"] == "queued"
    assert api.post(f"{path}/cancel").json()["status"] == "cancelled"
    problem(api.post(f"{path}/cancel"), 409, "job_has_ended")
    said = api.get(f"{path}/events").json()["data"]
    assert [e["message"] for e in said] == ["cancelled", "queued", "paused"]  # the newest first
    older = api.get(f"{path}/events", params={"after": said[0]["id"], "limit": 1}).json()
    assert older["data"] == said[1:2] and older["has_more"]
    assert api.get(f"{path}/checkpoints").json()["data"] == []
    problem(api.get(f"/v1/runs/{job['id']}"), 404, "run_not_found")
    assert api.delete(path).json()["deleted"]
    problem(api.get(path), 404, "fine_tuning_job_not_found")


def job_suffix(job: dict[str, Any]) -> str:
    return "test_the_same_training_is_made_once_and_goes_through_its_states"[:60]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"training_file": "../../etc/passwd"}, "training_file"),
        ({"training_file": "http://example.org/rows.jsonl"}, "training_file"),
        ({"training_file": "model.pkl"}, "training_file"),
        ({"training_file": "file-nobody"}, "training_file"),
        ({"training_file": "qra_nobody"}, "training_file"),
        ({"validation_file": "/rows.jsonl"}, "validation_file"),
        ({"model": "/models/tiny"}, "model"),
        ({"model": "hf:tiny/../x"}, "model"),
        ({"model": "https://example.org/m"}, "model"),
        ({"model": "weights.pkl"}, "model"),
        ({"model": "ft:tiny:x:nobody"}, "model"),
        ({"suffix": "../x"}, "suffix"),
        ({"seed": -1}, "seed"),
        ({"method": {"type": "step", "step": {"lambda_rationale": -0.5}}}, "method.step.lambda_rationale"),
        ({"method": {"type": "step", "step": {"lora": {"rank": 0}}}}, "method.step.lora.rank"),
        ({"method": {"type": "step", "step": {"lora": {"targets": 5}}}}, "method.step.lora.targets"),
        ({"method": {"type": "step", "step": {"base": "/etc"}}}, "method.step.base"),
        ({"method": {"type": "step", "step": {"mixture": {"file": "/etc/passwd"}}}}, "method.step.mixture.file"),
        ({"method": {"type": "dpo"}}, "method.type"),
        ({"hyperparameters": {"n_epochs": 0}}, "hyperparameters.n_epochs"),
    ],
)
@pytest.mark.parametrize("query", ["", "?dry_run=true"])
def test_a_wrong_training_names_its_field(
    api: httpx.Client, file_id: str, wrong: dict[str, Any], field: str, query: str
) -> None:
    body = {"model": "tiny", "training_file": file_id} | wrong
    found = problem(api.post(f"/v1/fine_tuning/jobs{query}", json=body), 422, "invalid_request")
    assert any(e["field"].startswith(field) for e in found["errors"]), found


def test_bases_are_models_that_stay(api: httpx.Client) -> None:
    listed = api.get("/v1/models").json()["data"]
    assert {"id": "tiny", "kind": "base", "object": "model"}.items() <= listed[0].items()
    assert api.get("/v1/models/tiny").json()["lineage"]["spec"].startswith("hf:")
    problem(api.delete("/v1/models/tiny"), 409, "model_is_a_base")
    problem(api.get("/v1/models/ft:tiny::nobody"), 404, "model_not_found")


def test_the_command_line_shows_trainings(server: Server, job: dict[str, Any]) -> None:
    listed = json.loads(stsg("train", "list", "--json", STSG_API_URL=server.url).stdout)
    assert job["id"] in [j["id"] for j in listed]
    shown = stsg("train", "show", job["id"], STSG_API_URL=server.url)
    assert shown.returncode == 0 and job["id"] in shown.stdout and "queued" in shown.stdout
    assert (
        json.loads(stsg("train", "cancel", job["id"], "--json", STSG_API_URL=server.url).stdout)["status"]
        == "cancelled"
    )
    assert "tiny" in stsg("models", "list", STSG_API_URL=server.url).stdout
