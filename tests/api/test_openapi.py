"""The OpenAPI document is true: requests made from it, valid and not, get what it promises, with tokens and without."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.conftest import Server

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


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("mode", ["server", "closed"])
def test_every_reply_is_as_documented(request: pytest.FixtureRequest, mode: str, tmp_path: Path) -> None:
    served: Server = request.getfixturevalue(mode)
    bearer = [f"Authorization: Bearer {token.get_secret_value()}" for token in served.settings.api_tokens[:1]]
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{served.url}/openapi.json", "--seed", "1"]
    command += ["--max-examples", EXAMPLES, "--generation-deterministic", "--continue-on-failure"]
    command += ["--no-color", "--request-timeout", "60", *(part for head in bearer for part in ("--header", head))]
    (tmp_path / "schemathesis.toml").write_text(_CONFIG)
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert ended.returncode == 0, ended.stdout[-200_000:] + ended.stderr[-2_000:]
