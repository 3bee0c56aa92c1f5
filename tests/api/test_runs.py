"""Runs over real HTTP: started once, followed from any point on, ended, taken up again, deleted."""

import threading
from collections.abc import Iterator

import httpx
import pytest
from neo4j import Driver

from api.client import Client
from graphdb import jobs
from tests.api.conftest import Server
from tests.api.test_problems import problem


@pytest.fixture
def run(api: httpx.Client, video_id: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A queued run of its own for each test; nothing works it off."""
    seed = abs(hash(request.node.name)) % 2**31
    reply = api.post(f"/v1/videos/{video_id}/runs", json={"seed": seed})
    assert reply.status_code == 202 and reply.headers["location"] == f"/v1/runs/{reply.json()['id']}"
    yield reply.json()["id"]
    api.post(f"/v1/runs/{reply.json()['id']}/cancel")
    api.delete(f"/v1/runs/{reply.json()['id']}")


def _stream(api: httpx.Client, run: str, after: int | None = None) -> list[tuple[int, str]]:
    """The numbers and types of a run's events, read from the stream to its end."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": str(after)} if after is not None else {})
    seen: list[tuple[int, str]] = []
    with api.stream("GET", f"/v1/runs/{run}/events", headers=headers) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        for block in "".join(reply.iter_text()).split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if line[:1] != ":")
            if fields:
                seen.append((int(fields["id"]), fields["event"]))
    return seen


def test_the_same_run_is_made_once(api: httpx.Client, video_id: str) -> None:
    body = {"model": "tiny", "options": {"merging": False, "splitting_options": {"max_keyframes": 3}}, "seed": 11}
    first, again = (api.post(f"/v1/videos/{video_id}/runs", json=body) for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json()["id"] == first.json()["id"]
    assert first.json()["state"] == "queued" and first.json()["options"]["merging"] is False
    listed = api.get("/v1/runs", params={"video_id": video_id, "state": "queued"}).json()["data"]
    assert first.json()["id"] in [r["id"] for r in listed]


def test_a_video_can_be_sent_and_processed_in_one_call(api: httpx.Client, good_bytes: bytes) -> None:
    form = {"file": ("v.mp4", good_bytes, "video/mp4")}
    reply = api.post("/v1/videos", files=form, data={"process": "true", "seed": "99"})
    assert reply.status_code == 202 and reply.json()["run"]["seed"] == 99
    assert reply.headers["location"] == f"/v1/runs/{reply.json()['run']['id']}"


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"process": "maybe"}, "process"), ({"process": "true", "seed": "x"}, "seed"), ({"process": "true", "seed": "9" * 5000}, "seed"), ({"process": "true", "model": "no"}, "model")],
)  # fmt: skip
def test_a_wrong_wish_beside_a_new_video_stores_nothing(
    server: Server, api: httpx.Client, good_bytes: bytes, fields: dict[str, str], field: str
) -> None:
    files = server.files()
    form = {"file": ("new.mp4", good_bytes + field.encode(), "video/mp4")}
    body = problem(api.post("/v1/videos", files=form, data=fields), 422, "invalid_request")
    assert [e["field"] for e in body["errors"]] == [field]
    assert server.files() == files


def test_a_stream_is_taken_up_after_the_last_event_seen(api: httpx.Client, driver: Driver, run: str) -> None:
    numbers = [jobs.log_event(driver, run, "progress", {"stage": "induce", "done": n, "total": 3}) for n in range(3)]
    assert api.post(f"/v1/runs/{run}/cancel").json()["state"] == "cancelled"
    everything = _stream(api, run)
    assert [n for n, kind in everything if kind == "progress"] == numbers
    assert everything[-1][1] == "cancelled"
    assert _stream(api, run, after=numbers[1]) == [e for e in everything if e[0] > numbers[1]]
    page = api.get(f"/v1/runs/{run}/events", params={"after": numbers[0], "limit": 1}).json()
    assert [e["id"] for e in page["data"]] == [numbers[1]] and page["has_more"]
    problem(api.get(f"/v1/runs/{run}/events", headers={"Last-Event-ID": "x"}), 422, "invalid_request")


def test_a_stream_is_live(server: Server, driver: Driver, api: httpx.Client, run: str) -> None:
    seen: list[str] = []
    arrived = threading.Event()

    def follow() -> None:
        with Client(server.url) as client:
            for event in client.events(run):
                seen.append(event.type)
                arrived.set()

    thread = threading.Thread(target=follow)
    thread.start()
    jobs.log_event(driver, run, "progress", {"stage": "split"})
    assert arrived.wait(30), "it comes while the stream is still open"
    api.post(f"/v1/runs/{run}/cancel")
    thread.join(20)
    assert seen == ["progress", "cancelled"]


def test_a_run_goes_through_its_states(api: httpx.Client, video_id: str, run: str) -> None:
    problem(api.post(f"/v1/runs/{run}/retry"), 409, "run_not_ended_badly")
    problem(api.delete(f"/v1/runs/{run}"), 409, "run_at_work")
    problem(api.delete(f"/v1/videos/{video_id}"), 409, "video_has_runs")
    problem(api.post("/v1/qra-datasets", json={"runs": [run], "steps": {"1": 1}}), 422, "invalid_request")
    assert api.post(f"/v1/runs/{run}/cancel").json()["state"] == "cancelled"
    problem(api.post(f"/v1/runs/{run}/cancel"), 409, "run_has_ended")
    retried = api.post(f"/v1/runs/{run}/retry")
    assert retried.status_code == 202 and retried.json()["state"] == "queued"
    api.post(f"/v1/runs/{run}/cancel")
    assert api.delete(f"/v1/runs/{run}").status_code == 204
    problem(api.get(f"/v1/runs/{run}"), 404, "run_not_found")
    problem(api.get(f"/v1/graphs/{run}"), 404, "graph_not_found")
