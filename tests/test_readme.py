"""What the README shows is run as it stands."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer import BadParameter
from typer.core import TyperGroup as Group
from typer.main import get_command

from api.cli import app
from tests.real_videos import REAL
from workers.settings import Settings

ROOT = Path(__file__).parent.parent
READMES = (ROOT / "README.md", *ROOT.glob("*/README.md"))
README = READMES[0].read_text()


def run(script: str, folder: Path) -> str:
    """Run a shell script in `folder` with this environment's commands; its output."""
    bin = Path(sys.executable).parent
    env = {**os.environ, "PATH": f"{bin}{os.pathsep}{os.environ['PATH']}", "STSG_HOME": str(folder / ".stsg")}
    env["COLUMNS"] = "500"  # so that no line is broken
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
    assert {"start", "render", "upload", "induction", "qra"} <= set(report["seconds"])
    assert all(seconds >= 0 for seconds in report["seconds"].values())
    assert all(0.9 <= f1 <= 1 for f1 in report["f1"].values()), report["f1"]
    assert report["run_id"] in report["browser_url"] and report["browser_url"] in shown
    for part in (r"Q \(\d steps?\)  .+\?", r"   1\. .+", r"A  .+", r"path: .+-\["):
        assert len(re.findall(f"^{part}", shown, re.M)) == 3, part
    assert not (tmp_path / ".stsg" / "stack.json").exists()


@pytest.mark.timeout(600)
def test_the_demo_takes_a_video_and_a_model_of_ones_own_and_keeps_the_stack(tmp_path: Path) -> None:
    tiny = ROOT / "model" / "checkpoints" / "tiny"
    try:
        shown = run(f"stsg demo --video '{REAL['carphone']}' --model 'hf:{tiny}' --keep", tmp_path)
        report = json.loads((tmp_path / ".stsg" / "demo" / "report.json").read_text())
        assert report["f1"] == {} and report["graph"]["events"] > 0 and "still running" in shown
        [kept] = json.loads(run("stsg runs --json", tmp_path))
        assert (kept["id"], kept["model"], kept["state"]) == (report["run_id"], "demo", "succeeded")
    finally:
        assert run("stsg down", tmp_path).strip() == "stopped"


def test_make_lists_its_targets_and_hands_on_what_the_demo_is_given() -> None:
    def make(*words: str) -> str:
        # A test run is itself started by make, which tells what it starts that it is one of its own.
        env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
        done = subprocess.run(["make", *words], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
        return done.stdout

    makefile = (ROOT / "Makefile").read_text()
    [targets] = re.findall(r"^\.PHONY: (.+)$", makefile, re.M)
    listed = make()
    assert all(f"\n  make {name} " in f"\n{listed}" for name in targets.split())
    assert all(f"make demo {name}=" in listed for name in ("VIDEO", "MODEL", "KEEP"))
    command = make("-n", "demo", "VIDEO=my film.mp4", "MODEL=openai:http://h/v1#n", "KEEP=1").splitlines()[-1]
    assert command.endswith("stsg demo --video 'my film.mp4' --model 'openai:http://h/v1#n' --keep")
    assert make("-n", "demo").splitlines()[-1].rstrip().endswith("stsg demo")


@pytest.mark.timeout(600)
def test_the_tour_runs_line_by_line(tmp_path: Path) -> None:
    [tour] = [block for block in re.findall(r"```sh\n(.*?)```", README, re.S) if "stsg up" in block]
    lines = [line for line in tour.splitlines() if not line.startswith(". .venv")]
    run("trap 'stsg down' ERR\n" + "\n".join(lines), tmp_path)
    assert (tmp_path / "graph.jsonl").read_text().count("\n") > 10


def test_every_command_shown_is_one_that_there_is() -> None:
    """Its words are parsed, not run; the files that it names stand for a user's own."""
    blocks = [b for f in READMES for b in re.findall(r"```(?:sh|console)?\n(.*?)```", f.read_text(), re.S)]
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("stsg ")]
    assert len(lines) > 30
    for line in lines:
        words = shlex.split(re.sub(r"\$\(.*?\)\)?'\)|\$\(.*?\)", "RUN", line))[1:]
        command = get_command(app)
        while isinstance(command, Group):
            command = command.commands[words.pop(0)]
        try:
            command.make_context("stsg", words)
        except BadParameter as e:
            assert "does not exist" in e.message, line


def test_every_setting_is_told() -> None:
    told = set(re.findall(r"`STSG_(\w+)`", (ROOT / "workers" / "README.md").read_text().partition("## Settings")[2]))
    assert {name.upper() for name in Settings.model_fields} <= told


def test_every_link_leads_somewhere() -> None:
    for readme in READMES:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", readme.read_text()):
            assert (readme.parent / target).exists(), f"{readme.name}: {target}"
