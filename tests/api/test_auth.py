"""Who may call."""

import httpx
import pytest

from api.app import create_app
from api.auth import OpenToTheWorldError, is_loopback
from tests.api.conftest import Server
from tests.api.test_problems import problem


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org"])
def test_without_a_token_only_loopback_may_be_bound(server: Server, host: str) -> None:
    settings = server.settings.model_copy(update={"api_host": host, "api_tokens": []})
    with pytest.raises(OpenToTheWorldError, match="STSG_API_TOKENS"):
        create_app(settings)


def test_with_tokens_every_call_needs_one(closed: Server) -> None:
    with httpx.Client(base_url=closed.url) as client:
        problem(client.get("/v1/runs"), 401, "unauthorized")
        wrong = client.get("/v1/runs", headers={"Authorization": "Bearer guess"})
        problem(wrong, 401, "unauthorized")
        assert wrong.headers["www-authenticate"] == "Bearer"
        problem(client.get("/metrics"), 401, "unauthorized")
        for token in (t.get_secret_value() for t in closed.settings.api_tokens):
            assert client.get("/v1/runs", headers={"Authorization": f"Bearer {token}"}).status_code == 200
        assert client.get("/healthz").status_code == 200
        assert client.get("/neo4j/style.grass").status_code == 200


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}])
def test_without_tokens_a_web_page_elsewhere_can_not_call(api: httpx.Client, headers: dict[str, str]) -> None:
    problem(api.get("/v1/runs", headers=headers), 401, "unauthorized")


def test_what_is_loopback() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.8.8.8", "localhost", "::1", "[::1]"]))
    assert not any(map(is_loopback, ["", "0.0.0.0", "::", "10.0.0.1", "localhost.example.org"]))
