"""What operators and Neo4j Browser ask for."""

from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from fsspec.implementations.local import LocalFileSystem

from graphdb.local import LocalNeo4j
from tests.api.conftest import _serve, _settings
from tests.api.test_problems import problem
from workers.storage import Storage


def test_readiness_names_what_is_away(api: httpx.Client) -> None:
    assert api.get("/healthz").json() == {"status": "ok"}
    reply = api.get("/readyz")
    checks = problem(reply, 503, "not_ready")["checks"]  # this service has neither a broker nor a worker
    assert checks["neo4j"] == checks["storage"] == "ok" and checks["broker"] != "ok" and checks["worker"] != "ok"


def test_metrics_count_requests_by_route_jobs_by_state_and_bytes(
    api: httpx.Client, video_id: str, good_bytes: bytes
) -> None:
    before = metrics(api)
    api.get(f"/v1/videos/{video_id}")
    assert api.post("/v1/videos", content=good_bytes, headers={"Content-Type": "video/mp4"}).status_code == 200
    run = api.post(f"/v1/videos/{video_id}/runs", json={"seed": 616}).json()["id"]  # as no other test has asked for it
    after = metrics(api)
    route = 'stsg_http_requests_total{method="GET",route="/v1/videos/{video_id}",status="200"}'
    more = {route: 1.0, "stsg_upload_bytes_total": len(good_bytes), 'stsg_jobs{kind="Run",state="queued"}': 1.0}
    assert {name: after[name] - before.get(name, 0.0) for name in more} == more
    assert not any(video_id in name for name in after)
    api.post(f"/v1/runs/{run}/cancel")


def metrics(api: httpx.Client) -> dict[str, float]:
    lines = [line for line in api.get("/metrics").text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_the_browser_may_ask_first_and_load_from_anywhere(api: httpx.Client) -> None:
    asked = {
        "Origin": "http://127.0.0.1:7474",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "sentry-trace,cache-control,baggage",
    }
    for path in ("/neo4j/style.grass", "/neo4j/guide.html?run=run_1", "/neo4j/queries.cypher"):
        preflight = api.options(path, headers=asked)
        assert preflight.status_code == 204 and preflight.headers["access-control-allow-origin"] == "*"
        assert "sentry-trace" in preflight.headers["access-control-allow-headers"]
        reply = api.get(path, headers={"Origin": asked["Origin"]})
        assert reply.status_code == 200 and reply.headers["access-control-allow-origin"] == "*"
    assert api.get("/neo4j/guide.html?run=<script>").status_code == 422


class _Away(LocalFileSystem):
    """A storage behind a network that is down."""

    protocol = "away"

    def exists(self, path: str, **_: object) -> bool:
        raise ConnectionRefusedError(f"no route to {path}")

    def open(self, path: str, *_: object, **__: object) -> None:
        raise ConnectionRefusedError(f"no route to {path}")


def test_a_storage_that_is_away_is_named(
    neo4j: LocalNeo4j, tmp_path: Path, good_bytes: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextmanager(_serve)(_settings(neo4j, tmp_path)) as server, httpx.Client(base_url=server.url) as api:
        monkeypatch.setattr(Storage, "exists", lambda self, name: _Away().exists(name))
        monkeypatch.setattr(Storage, "take", lambda self, name, file: _Away().open(name))
        assert "no route" in problem(api.get("/readyz"), 503, "not_ready")["checks"]["storage"]
        reply = api.post("/v1/videos", content=good_bytes)
        problem(reply, 503, "storage_unavailable")
        assert reply.headers["retry-after"]
