"""What the README shows is run as it stands."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def run(script: str, folder: Path) -> str:
    """Run a shell script in `folder` with this environment's commands; its output."""
    bin = Path(sys.executable).parent
    env = {**os.environ, "PATH": f"{bin}{os.pathsep}{os.environ['PATH']}", "STSG_HOME": str(folder / ".stsg")}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(600)
def test_the_demo_ends_well_and_reports(tmp_path: Path) -> None:
    shown = run("stsg demo", tmp_path)
    report = json.loads((tmp_path / ".stsg" / "demo" / "report.json").read_text())
    assert set(report) == {"video_id", "run_id", "graph", "f1", "qra", "seconds", "browser_url", "export"}
    assert set(report["graph"]) == set(report["f1"]) and report["graph"]["objects"] > 0
    assert report["qra"]["count"] == sum(report["qra"]["by_steps"].values()) > 0
    assert len(Path(report["export"]).read_text().splitlines()) == report["qra"]["count"]
    assert report["run_id"] in report["browser_url"] and "\nA  " in shown
    assert not (tmp_path / ".stsg" / "stack.json").exists()


@pytest.mark.timeout(600)
def test_the_tour_runs_line_by_line(tmp_path: Path) -> None:
    [tour] = [block for block in re.findall(r"```sh\n(.*?)```", README, re.S) if "stsg up" in block]
    lines = [line for line in tour.splitlines() if not line.startswith(". .venv")]
    run("trap 'stsg down' ERR\n" + "\n".join(lines), tmp_path)
    assert (tmp_path / "graph.jsonl").read_text().count("\n") > 10


def test_every_link_leads_somewhere() -> None:
    for readme in (ROOT / "README.md", *ROOT.glob("*/README.md")):
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", readme.read_text()):
            assert (readme.parent / target).exists(), f"{readme.name}: {target}"
