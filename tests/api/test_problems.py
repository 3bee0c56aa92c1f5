"""Errors that a client can act on: a code, the field, the remedy; always application/problem+json."""

import httpx
import pytest

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
    ("query", "field"), [("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("state=odd", "state")]
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
