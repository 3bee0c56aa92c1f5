"""The shape of the project, as facts: where packages come from, what may import what, what README and lock promise."""

import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("api", "graphdb", "model", "trainer", "workers")


@pytest.mark.parametrize("name", PACKAGES)
def test_packages_resolve_inside_this_checkout(name: str) -> None:
    assert Path(importlib.import_module(name).__file__ or "").is_relative_to(ROOT)


def test_the_api_the_cli_and_the_tasks_start_without_what_takes_seconds_to_load() -> None:
    code = "import sys, api.app, api.cli, workers.tasks; print({'torch', 'transformers', 'inflect'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True).stdout
    assert told == "set()\n"


def test_the_lock_pins_every_dependency_by_hash_and_names_no_host() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    blocks = re.split(r"\n(?=\S)", lock.strip())
    assert all("==" in block and "--hash=sha256:" in block for block in blocks)
    assert "://" not in lock
    pinned = {block.partition("==")[0].partition("[")[0].lower().replace("_", "-") for block in blocks}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    specs = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    wanted = [re.match(r"[A-Za-z0-9_-]+", spec)[0] for spec in specs]  # type: ignore[index]
    assert {name.lower() for name in wanted} <= pinned


def test_every_make_target_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    assert (
        {"demo", "test"} <= set(re.findall(r"(?:^|`)make ([a-z]+)", (ROOT / "README.md").read_text(), re.M)) <= targets
    )


def test_no_file_is_larger_than_twelve_mebibytes() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    assert [name for name in listed if (ROOT / name).stat().st_size > 12 * 2**20] == []
