"""Errors that a client can act on: a code, the field, the remedy; always application/problem+json."""

import socket

import httpx
import pytest
from neo4j import Driver

from graphdb import jobs
from tests.api.conftest import Server

UNKNOWN = "vid_000000000000000000000000"


def problem(reply: httpx.Response, status: int, code: str) -> dict:
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    body = reply.json()
    assert body["status"] == status and body["code"] == code
    assert body["title"] and body["detail"] and body["remedy"] and body["type"]
    assert body["instance"] == reply.request.url.path
    return body


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", f"/v1/videos/{UNKNOWN}", "video_not_found"),
        ("DELETE", f"/v1/videos/{UNKNOWN}", "video_not_found"),
        ("GET", f"/v1/videos/{UNKNOWN}/content", "video_not_found"),
        ("GET", f"/v1/videos/{UNKNOWN}/keyframes", "video_not_found"),
        ("GET", "/v1/runs/run_nobody", "run_not_found"),
        ("GET", "/v1/runs/run_nobody/events", "run_not_found"),
        ("POST", "/v1/runs/run_nobody/cancel", "run_not_found"),
        ("POST", "/v1/runs/run_nobody/retry", "run_not_found"),
        ("DELETE", "/v1/runs/run_nobody", "run_not_found"),
        ("GET", "/v1/graphs/run_nobody", "graph_not_found"),
        ("GET", "/v1/graphs/run_nobody/nodes", "graph_not_found"),
        ("GET", "/v1/graphs/run_nobody/export", "graph_not_found"),
        ("GET", "/v1/qra-datasets/qra_nobody", "qra_dataset_not_found"),
        ("GET", "/v1/qra-datasets/qra_nobody/rows", "qra_dataset_not_found"),
        ("GET", "/v1/qra-datasets/qra_nobody/export", "qra_dataset_not_found"),
        ("GET", "/v1/nothing", "no_such_path"),
        ("GET", "/v1/videos/..%2f..%2fetc%2fpasswd", "no_such_path"),
    ],
)
def test_what_is_not_there_is_404(api: httpx.Client, method: str, path: str, code: str) -> None:
    problem(api.request(method, path), 404, code)


def test_a_wrong_method_is_405_and_names_the_right_ones(api: httpx.Client) -> None:
    reply = api.put("/v1/videos")
    problem(reply, 405, "method_not_allowed")
    assert reply.headers["allow"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"seed": "1"}, "seed"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**31}, "seed"),
        ({"model": 3}, "model"),
        ({"model": "no such model"}, "model"),
        ({"options": {"merging": "yes"}}, "options.merging"),
        ({"options": {"mergeing": True}}, "options.mergeing"),
        ({"options": {"splitting_options": {"max_side": "big"}}}, "options.splitting_options.max_side"),
        ({"options": []}, "options"),
        ({"frobnicate": 1}, "frobnicate"),
        ([], "body"),
    ],
)
def test_wrong_types_and_ranges_name_the_field(api: httpx.Client, video_id: str, body: object, field: str) -> None:
    reply = api.post(f"/v1/videos/{video_id}/runs", json=body)
    assert [e["field"] for e in problem(reply, 422, "invalid_request")["errors"]] == [field]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"steps": {"1": 1}}, "runs"),
        ({"runs": [], "steps": {"1": 1}}, "runs"),
        ({"runs": ["x' DELETE"], "steps": {"1": 1}}, "runs.0"),
        ({"runs": ["run_nobody"], "steps": {"1": 1}}, "runs"),
        ({"runs": "run_1", "steps": {"1": 1}}, "runs"),
        ({"runs": ["run_1"], "steps": {}}, "steps"),
        ({"runs": ["run_1"], "steps": {"1": 5}, "families": {"attribute": 0}}, "families"),
        ({"runs": ["run_1"], "steps": {"1": 5}, "families": {"sameness": 1}, "forms": {"choice": 1}}, "forms"),
        ({"runs": ["run_1"], "steps": {"1": 5, "3": 5}, "families": {"motion": 1}, "forms": {"count": 1}}, "forms"),
        ({"runs": ["run_1"], "steps": {"1": "many"}}, "steps.1"),
        ({"runs": ["run_1"], "steps": {"1": -1}}, "steps.1"),
    ],
)
def test_a_wrong_data_set_request_names_the_field(api: httpx.Client, body: object, field: str) -> None:
    reply = api.post("/v1/qra-datasets", json=body)
    assert [e["field"] for e in problem(reply, 422, "invalid_request")["errors"]] == [field]


@pytest.mark.parametrize("steps", [{"0": 1}, {"-1": 1}, {"one": 1}, {"21": 1}])
def test_a_number_of_steps_that_makes_no_sense_is_refused(api: httpx.Client, steps: dict) -> None:
    reply = api.post("/v1/qra-datasets", json={"runs": ["run_1"], "steps": steps})
    [error] = problem(reply, 422, "invalid_request")["errors"]
    assert error["field"].startswith("steps.")


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[" * 100_000, b'{"seed": NaN}', b""])
def test_broken_json_is_422(api: httpx.Client, video_id: str, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    reply = api.post(f"/v1/videos/{video_id}/runs", content=content, headers=headers)
    assert reply.status_code in (400, 422) and reply.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("state=odd", "state"),
        ("after=" + "x" * 1001, "after"),
    ],
)
def test_a_wrong_query_names_the_parameter(api: httpx.Client, query: str, field: str) -> None:
    [error] = problem(api.get(f"/v1/runs?{query}"), 422, "invalid_request")["errors"]
    assert error["field"] == field


def test_a_large_json_body_is_413(api: httpx.Client, video_id: str) -> None:
    reply = api.post(f"/v1/videos/{video_id}/runs", json={"model": "x" * 2_000_000})
    problem(reply, 413, "too_large")


def test_the_openapi_document_describes_errors_as_they_are(api: httpx.Client) -> None:
    document = api.get("/openapi.json").json()
    assert "HTTPValidationError" not in document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for status, reply in operation["responses"].items():
                if status >= "400" and path.startswith("/v1"):
                    assert list(reply["content"]) == ["application/problem+json"], (path, method, status)


def test_a_number_that_no_database_holds_is_refused(api: httpx.Client, video_id: str) -> None:
    run = api.post(f"/v1/videos/{video_id}/runs", json={"seed": 501}).json()["id"]
    [error] = problem(api.get(f"/v1/runs/{run}/events?after={2**63}"), 422, "invalid_request")["errors"]
    assert error["field"] == "after"
    api.post(f"/v1/runs/{run}/cancel")


def test_an_unknown_model_is_told_before_the_video_has_come(server: Server) -> None:
    head = "POST /v1/videos?process=true&model=nobody HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: video/mp4\r\nContent-Length: 1000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head.encode() + b"the first bytes")
        reply = connection.recv(65_536)
    assert b" 422 " in reply.splitlines()[0] and b"nobody" in reply


def test_a_data_set_is_cancelled_retried_and_deleted(api: httpx.Client, driver: Driver, run_id: str) -> None:
    jobs.create(
        driver,
        "Run",
        run_id,
        video_id="v",
        model="tiny",
        seed=0,
        params={"model": "tiny", "options": {}, "seed": 0},
        stage="induce",
    )
    held = jobs.acquire(driver, run_id, "test", 60)
    assert held
    jobs.finish(driver, held[0], "succeeded", result={})
    path = f"/v1/qra-datasets/{api.post('/v1/qra-datasets', json={'runs': [run_id], 'steps': {'1': 3}}).json()['id']}"
    problem(api.post(f"{path}/retry"), 409, "dataset_not_ended_badly")
    problem(api.delete(path), 409, "dataset_at_work")
    problem(api.delete(f"/v1/runs/{run_id}"), 409, "run_in_use")
    assert api.post(f"{path}/cancel").json()["state"] == "cancelled"
    problem(api.post(f"{path}/cancel"), 409, "dataset_has_ended")
    again = api.post(f"{path}/retry")
    assert again.status_code == 202 and again.json()["state"] == "queued"
    api.post(f"{path}/cancel")
    assert api.delete(path).status_code == 204 and api.get(path).status_code == 404


@pytest.mark.parametrize(
    "path", ["videos", "runs", "qra-datasets", "evaluations", "files", "models", "fine_tuning/jobs"]
)
def test_a_page_after_what_is_gone_is_not_the_first_one_again(api: httpx.Client, path: str) -> None:
    [error] = problem(api.get(f"/v1/{path}?after=gone"), 404, "cursor_gone")["errors"]
    assert error["field"] == "after"
