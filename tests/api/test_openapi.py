"""The OpenAPI document is true: requests made from it, valid and not, get what it promises, with tokens and without."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from graphdb.local import LocalNeo4j, free_ports
from tests.api.conftest import Server, _serve, _settings

_OF_WHAT_IS_STORED = (  # they name what is or isn't there, which no schema can tell: 422 with a name of the field
    "POST /v1/evaluations",
    "POST /v1/files",
    "POST /v1/fine_tuning/jobs",
    "POST /v1/fine_tuning/jobs/dry_run",
    "POST /v1/qra-datasets",
    "POST /v1/videos",
)
_CONFIG = (
    "".join(
        f'[[operations]]\ninclude-name = "{name}"\nchecks.positive_data_acceptance.enabled = false\n'
        for name in _OF_WHAT_IS_STORED
    )
    + '[[operations]]\ninclude-path = "/readyz"\nchecks.not_a_server_error.enabled = false\n'
)  # no broker is here
EXAMPLES = os.environ.get("STSG_TEST_EXAMPLES", "4")  # of each operation, beside those at the limits of its fields


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNeo4j]:
    """A database in which no other test has left records whose files lie elsewhere."""
    server = LocalNeo4j(tmp_path_factory.mktemp("neo4j"), *free_ports(2), heap_mb=384).start()
    yield server
    server.stop()


@pytest.fixture(params=[[], ["one"]], ids=["without tokens", "with tokens"])
def served(request: pytest.FixtureRequest, database: LocalNeo4j, tmp_path: Path) -> Iterator[Server]:
    """An API over that database."""
    yield from _serve(_settings(database, tmp_path / "api", api_tokens=request.param))


@pytest.mark.timeout(3600)
def test_every_reply_is_as_documented(served: Server, tmp_path: Path) -> None:
    bearer = [f"Authorization: Bearer {token.get_secret_value()}" for token in served.settings.api_tokens[:1]]
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{served.url}/openapi.json", "--seed", "1"]
    command += ["--max-examples", EXAMPLES, "--generation-deterministic", "--continue-on-failure"]
    command += ["--no-color", "--request-timeout", "60", *(part for head in bearer for part in ("--header", head))]
    (tmp_path / "schemathesis.toml").write_text(_CONFIG)
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert ended.returncode == 0, ended.stdout[-200_000:] + ended.stderr[-2_000:]
