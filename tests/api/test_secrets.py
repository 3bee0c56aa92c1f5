"""What an unforeseen error writes: its cause, and no secret."""

import sys

import pytest
import structlog

from workers.secrecy import guard_logs, redact


def _fail(password: str) -> None:
    settings = {"neo4j_password": password}
    raise RuntimeError(f"no route to redis://user:{settings['neo4j_password']}@host/0 for /srv/data/videos/a.mp4")


def test_a_logged_error_shows_no_variable_no_password_and_no_folder(capfd: pytest.CaptureFixture[str]) -> None:
    secret = "canary-" + "41f7c2"
    guard_logs()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        _fail(secret)
    except RuntimeError as e:
        structlog.get_logger().error("unforeseen error", exc_info=e)
    written = capfd.readouterr().err
    assert "RuntimeError" in written and "a.mp4" in written
    assert secret not in written and "settings =" not in written and "/srv/data" not in written


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis://:pass-word@127.0.0.1:6379/0", "redis://***@127.0.0.1:6379/0"),
        ("Authorization: Bearer abcdef123456", "Authorization: Bearer ***"),
        ("Incorrect API key provided: sk-abcdefghijkl.", "Incorrect API key provided: ***."),
        ("{'api_key': 'abcdefgh'}", "{'api_key': '***'}"),
        ("No such file: '/home/someone/models/a/config.json'", "No such file: 'config.json'"),
        ("hf:/home/someone/models/a (prompts 3)", "hf:a (prompts 3)"),
        ("file:///srv/data/a.mp4", "a.mp4"),
        (
            "http://127.0.0.1:8000/v1/models and example.org:80/a/b",
            "http://127.0.0.1:8000/v1/models and example.org:80/a/b",
        ),
        ("GET /v1/runs/run_1 and 3/4 of a/b", "GET /v1/runs/run_1 and 3/4 of a/b"),
    ],
)
def test_secrets_and_folders_are_taken_out_of_texts(text: str, expected: str) -> None:
    assert redact(text) == expected
