"""A training's process as the launcher starts it: several at once, asked to stop, and started again."""

import json
import os
import sys
import time
from pathlib import Path

import psutil
import pytest
from accelerate.commands.launch import launch_command_parser

from tests.trainer.tuning_folders import losses, make_folder, result
from workers import processes
from workers.processes import TrainingProcess


@pytest.mark.timeout(600)
def test_several_processes_of_one_training_die_stop_and_go_on_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(processes, "_has_gpu", lambda: False)
    folder = make_folder(tmp_path / "f", 8, batch=4, epochs=100, save_every=2, processes=2)
    process, command = TrainingProcess(folder), processes.command(folder, 2)
    assert process.start(command) and not process.start(command)
    until_step(process, 3)
    launcher = launcher_of(process)
    ranks = launcher.children(recursive=True)
    assert len(ranks) == 2
    launcher.kill()
    assert ended(ranks) and process.wait(10)
    (folder / "metrics.jsonl").unlink()
    assert process.start(command)
    until_step(process, 3)
    process.stop("paused")
    assert process.wait(60)
    paused = result(folder)
    assert paused["state"] == "paused" and 3 <= paused["step"] < 200
    assert paused["model"] == f"checkpoints/step-{paused['step']:06d}"
    assert losses(folder)[0]["step"] >= 3, "it goes on from a checkpoint"


def test_what_writes_a_checkpoint_is_not_held_to_the_seconds_of_a_stop(tmp_path: Path) -> None:
    process = TrainingProcess(tmp_path)
    (tmp_path / "checkpoints" / "step-000001").mkdir(parents=True)
    assert not process.writes()
    part = tmp_path / "checkpoints" / ".step-000002.part" / "model.safetensors"
    part.parent.mkdir()
    part.write_bytes(b"half")
    assert process.writes()
    for path in (part, part.parent):
        os.utime(path, (time.time() - processes.STOP_SECONDS - 1,) * 2)
    assert not process.writes()


def launcher_of(process: TrainingProcess) -> psutil.Process:
    return psutil.Process(json.loads((process.folder / "process.json").read_text())["pid"])


def ended(found: list[psutil.Process]) -> bool:
    """Whether all of them end soon; nobody may fetch the status of a process whose parent is gone."""
    deadline = time.monotonic() + 10
    while any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in found):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def until_step(process: TrainingProcess, step: int) -> None:
    deadline = time.monotonic() + 240
    metrics = process.folder / "metrics.jsonl"
    while not (metrics.is_file() and any(row["step"] >= step for row in losses(process.folder))):
        assert process.alive() and time.monotonic() < deadline, (process.folder / "process.log").read_text()
        time.sleep(0.05)


def test_a_launcher_is_ended_with_what_it_started(tmp_path: Path) -> None:
    """Each of what it starts has a session of its own, as torch's launcher has it."""
    code = "import subprocess, sys; subprocess.Popen(['sleep', '60'], start_new_session=True).wait()"
    process = TrainingProcess(tmp_path)
    assert process.start([sys.executable, "-c", code])
    launcher = launcher_of(process)
    deadline = time.monotonic() + 30
    while not (started := launcher.children()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    assert len(started) == 1 and ended(started) and process.wait(10)


def test_several_gpus_are_driven_by_accelerate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_has_gpu", lambda: True)
    given = launch_command_parser().parse_args(processes.command(tmp_path, 4)[3:])
    assert (given.num_processes, given.multi_gpu, given.module) == (4, True, True)
    assert (given.training_script, given.training_script_args) == ("trainer.tuning", [str(tmp_path)])
    assert processes.command(tmp_path, 1)[1:] == ["-m", "trainer.tuning", str(tmp_path)]
