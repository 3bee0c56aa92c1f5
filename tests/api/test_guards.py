"""Who may call without a token, which headers every reply has, and what a failed job keeps; without a database."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from starlette.requests import Request

from api.app import create_app
from api.auth import FORWARDED, Gate
from api.errors import Problem
from workers import flows
from workers.secrecy import _passwords
from workers.settings import Settings

HERE = "http://127.0.0.1:8000"


def _request(**headers: str) -> Request:
    pairs = [(k.replace("_", "-").encode(), v.encode()) for k, v in ({"host": "127.0.0.1:8000"} | headers).items()]
    return Request({"type": "http", "scheme": "http", "method": "GET", "path": "/v1/runs", "query_string": b"", "headers": pairs, "server": ("127.0.0.1", 8000), "client": ("127.0.0.1", 5)})  # fmt: skip


@pytest.mark.parametrize("name", FORWARDED)
def test_what_a_proxy_forwards_is_not_this_machines(name: str) -> None:
    Gate([]).check(_request(), None)
    with pytest.raises(Problem) as refused:
        Gate([]).check(_request(**{name: "127.0.0.1"}), None)
    assert refused.value.status_code == 401 and "STSG_API_TOKENS" in refused.value.remedy


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:8001", "https://127.0.0.1:8000", "null"])
def test_only_its_own_origin_and_those_of_the_settings_may_call(origin: str) -> None:
    Gate([]).check(_request(origin=HERE), None)
    with pytest.raises(Problem) as refused:
        Gate([]).check(_request(origin=origin), None)
    assert "STSG_API_ORIGINS" in refused.value.remedy
    Gate([], [origin]).check(_request(origin=origin), None)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(Settings(home=tmp_path)), raise_app_exceptions=False)
    yield httpx.AsyncClient(transport=transport, base_url=HERE)


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/healthz", "/v1/nothing", "/neo4j/style.grass", "/docs", "/v1/runs"])
async def test_every_reply_has_safe_headers_a_500_too(client: httpx.AsyncClient, path: str) -> None:
    reply = await client.get(path)
    assert reply.status_code == {"/v1/nothing": 404, "/v1/runs": 500}.get(path, 200)  # no service was opened
    assert reply.headers["x-content-type-options"] == "nosniff" and reply.headers["x-frame-options"] == "DENY"
    assert reply.headers["referrer-policy"] == "no-referrer" and "cache-control" in reply.headers
    assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "methods"),
    [("/v1/videos", "GET, POST"), ("/v1/runs/run_1", "DELETE, GET"), ("/v1/models/a", "DELETE, GET")],
)
async def test_allow_lists_all_methods_of_a_path(client: httpx.AsyncClient, path: str, methods: str) -> None:
    reply = await client.patch(path)
    assert reply.status_code == 405 and reply.headers["allow"] == methods


@pytest.mark.parametrize("start", ["redis", "rediss", "bolt", "neo4j+s", "s3", "openai:http", "openai:https"])
def test_a_password_in_an_address_of_any_scheme_is_known(start: str) -> None:
    assert list(_passwords(f"{start}://user:canary-41f7@host/v1#name")) == ["canary-41f7"]


def test_a_failed_job_keeps_no_secret_and_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, str] = {}
    monkeypatch.setattr(flows.jobs, "finish", lambda *_, error, **__: kept.update(error))
    detail = "refused: 401 Incorrect API key provided: sk-canary41f7c2, see /home/someone/key.txt"
    flows._fail(SimpleNamespace(driver=None), None, "internal", detail, "Mend the cause.")  # type: ignore[arg-type]
    assert kept["detail"] == "refused: 401 Incorrect API key provided: ***, see key.txt"
