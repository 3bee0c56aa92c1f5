"""A training's process: what it leaves in its folder, and that no death, signal or full disk loses anything."""

import json
import multiprocessing
import os
import resource
import shutil
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import trainer.tuning.sft as sft
from model.backends import open_video_llm
from model.rationale.formats import asked
from model.video_llm import Request
from tests.trainer.tuning_folders import (
    TINY,
    done,
    losses,
    make_folder,
    read_lines,
    result,
    start,
    train,
    wait_for_step,
    weights,
)
from trainer.evaluation.scoring import correct
from trainer.tuning import checkpoints
from trainer.tuning.__main__ import main
from trainer.tuning.collate import keyframes
from trainer.tuning.data import read_samples
from trainer.tuning.journal import Journal

DISTURBED: dict[str, Any] = {"rows": 7, "epochs": 2, "batch": 2, "accumulation": 2, "save_every": 2}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_folder(tmp_path_factory.mktemp("undisturbed") / "f", held=3, **DISTURBED)
    assert done(start(folder)) == 0
    return folder


def test_a_training_leaves_its_model_metrics_and_result(undisturbed: Path) -> None:
    ended = result(undisturbed)
    assert ended["state"] == "succeeded" and ended["error"] is None and ended["model"] == "model"
    assert (ended["step"], ended["total"]) == (7, 7) and ended["metrics"]["loss"] < losses(undisturbed)[0]["loss"]
    for row in losses(undisturbed):
        assert row["loss"] == pytest.approx(row["loss_answer"] + row["loss_rationale"])
        assert row["tokens_per_second"] > 0 and row["eta_seconds"] >= 0
    validated = [row for row in read_lines(undisturbed / "metrics.jsonl") if "validation" in row]
    assert [row["step"] for row in validated] == [0, 2, 4, 6, 7]
    assert all({k: v["count"] for k, v in row["validation"].items()} == {"1": 1, "2": 2} for row in validated)
    rows = read_samples(undisturbed, "validation.jsonl", 8)
    said = open_video_llm(f"hf:{TINY}").answer([Request("s", asked("answer", r.question), keyframes(r)) for r in rows])
    right = sum(correct(reply.text, row.answer) for reply, row in zip(said, rows, strict=True))
    assert sum(v["correct"] for v in validated[0]["validation"].values()) == right, "the first is the base's"
    beat = json.loads((undisturbed / "heartbeat.json").read_text())
    assert beat.keys() == {"pid", "started", "step", "total"} and abs(time.time() - beat["started"]) < 3600
    saved = sorted((undisturbed / "checkpoints").iterdir())
    assert [c.name for c in saved] == [f"step-00000{n}" for n in (2, 4, 6, 7)]
    assert [(c / "trainer").is_dir() for c in saved] == [False, False, True, True]
    for place in (saved[0], undisturbed / "model"):
        assert open_video_llm(f"hf:{place}").prompt_set == "compact"
    before = weights(undisturbed / "model")
    assert done(start(undisturbed)) == 0 and weights(undisturbed / "model") == before

    (undisturbed / "result.json").unlink()  # as after an end between the last step and the finished model
    shutil.rmtree(undisturbed / "model")
    assert done(start(undisturbed)) == 0 and weights(undisturbed / "model") == before
    assert len(losses(undisturbed)) == 7, "no step is done twice"


def test_a_validation_that_a_stop_cut_short_is_made_up_for(undisturbed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "f"
    shutil.copytree(undisturbed, folder)
    rows = read_lines(folder / "metrics.jsonl")
    (folder / "metrics.jsonl").write_text(
        "".join(json.dumps(r) + "\n" for r in rows if "validation" not in r or r["step"] < 7)
    )
    (folder / "result.json").unlink()
    assert done(start(folder)) == 0
    validated = [[r["step"], r["validation"]] for r in read_lines(folder / "metrics.jsonl") if "validation" in r]
    assert validated == [[r["step"], r["validation"]] for r in rows if "validation" in r]


def test_killed_mid_epoch_it_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    """With everything that draws at random: adapters, their dropout, and an order of samples."""
    spec = DISTURBED | {"lora": {"rank": 2, "dropout": 0.3}}
    whole, killed = make_folder(tmp_path / "whole", **spec), make_folder(tmp_path / "killed", **spec)
    assert done(start(whole)) == 0
    process = start(killed)
    wait_for_step(killed, 5)
    process.kill()
    done(process)
    half = killed / "checkpoints" / "step-000099"  # what a process leaves that dies while it writes
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")
    assert not (killed / "result.json").exists()
    assert done(start(killed)) == 0
    assert weights(killed / "model") == weights(whole / "model")
    last = [[r["loss"] for r in losses(folder) if r["step"] == 7][-1] for folder in (whole, killed)]
    assert last[0] == last[1]


@pytest.mark.alone
def test_a_signal_stops_it_at_once_and_a_full_disk_loses_nothing(tmp_path: Path, undisturbed: Path) -> None:
    folder = make_folder(tmp_path / "f", held=3, **DISTURBED)
    process = start(folder)
    wait_for_step(folder, 3)
    (folder / "stop.json").write_text('{"state": "paused"}')
    os.kill(process.pid or 0, signal.SIGTERM)
    assert done(process) == 0
    ended = result(folder)
    assert ended["state"] == "paused" and ended["error"] is None and ended["step"] >= 3
    assert open_video_llm(f"hf:{folder / ended['model']}").prompt_set == "compact"

    assert done(start(folder, train_on_little_disk)) == 1
    full = result(folder)
    assert full["state"] == "failed" and full["error"]["code"] == "disk_full" and "MiB" in full["error"]["detail"]
    assert full["model"] == ended["model"] and checkpoints.newest(folder) == folder / ended["model"]
    assert not list(folder.rglob("*.part"))

    assert done(start(folder)) == 0
    assert weights(folder / "model") == weights(undisturbed / "model")


def train_on_little_disk(folder: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
    train(folder)


def test_stopped_within_a_step_it_goes_on_as_if_that_step_had_not_begun(tmp_path: Path) -> None:
    """Dropout of the part that was thrown away has been drawn by then."""
    spec = DISTURBED | {"lora": {"rank": 2, "dropout": 0.3}}
    whole, stopped = make_folder(tmp_path / "whole", **spec), make_folder(tmp_path / "stopped", **spec)
    assert done(start(whole)) == 0
    assert done(start(stopped, train_until_the_fourth_step_is_half_done)) == 0
    assert (result(stopped)["state"], result(stopped)["step"]) == ("interrupted", 3)
    assert done(start(stopped)) == 0
    assert weights(stopped / "model") == weights(whole / "model")


def train_until_the_fourth_step_is_half_done(folder: Path) -> None:
    step_losses, calls = sft.step_losses, iter(range(100))

    def told_to_stop(*given: Any, **named: Any) -> Any:
        if next(calls) == 2 + 3 * 2:  # after both ways of the first sample, and three steps of two parts
            os.kill(os.getpid(), signal.SIGTERM)
        return step_losses(*given, **named)

    sft.step_losses = told_to_stop
    train(folder)


def test_only_a_whole_checkpoint_counts(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        part = checkpoints.aside(checkpoints.path_of(tmp_path, step))
        (part / checkpoints.STATE).mkdir()
        (part / "model.safetensors").write_bytes(b"weights")
        checkpoints.settle(part, checkpoints.path_of(tmp_path, step))
    one, two, three = (checkpoints.path_of(tmp_path, step) for step in (1, 2, 3))
    assert checkpoints.newest(tmp_path) == three
    (three / "model.safetensors").write_bytes(b"half")
    assert checkpoints.newest(tmp_path) == two
    (two / "complete.json").write_text('{"fil')
    checkpoints.aside(checkpoints.path_of(tmp_path, 4))
    assert checkpoints.newest(tmp_path) == one


def test_a_loss_that_is_no_number_stops_it_at_the_last_good_checkpoint(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "f")
    assert done(start(folder, train_into_nothing)) == 1
    ended = result(folder)
    assert ended["error"]["code"] == "loss_not_finite" and "step 4" in ended["error"]["detail"]
    assert "learning_rate" in ended["error"]["remedy"] and ended["model"] == "checkpoints/step-000002"
    assert [e["level"] for e in read_lines(folder / "events.jsonl") if e["event"] == "failed"] == ["error"]


def test_gradients_that_are_no_numbers_stop_it_too(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "f")
    assert done(start(folder, train_with_broken_gradients)) == 1
    ended = result(folder)
    assert (
        ended["error"]["code"] == "loss_not_finite" and "gradients' norm is nan at step 4" in ended["error"]["detail"]
    )
    assert ended["model"] == "checkpoints/step-000002"


def train_with_broken_gradients(folder: Path) -> None:
    """A device whose backward pass gives no numbers from the fourth step on."""
    step_losses, calls = sft.step_losses, iter(range(100))

    def broken(*given: Any, **named: Any) -> Any:
        found = step_losses(*given, **named)
        if next(calls) >= 5:
            found.total.register_hook(lambda gradient: gradient * torch.nan)
        return found

    sft.step_losses = broken
    train(folder)


def train_into_nothing(folder: Path) -> None:
    """A device that gives no number from the fourth step on."""
    step_losses, calls = sft.step_losses, iter(range(100))

    def broken(*given: Any, **named: Any) -> Any:
        found = step_losses(*given, **named)
        return found if next(calls) < 5 else type(found)(found.total * torch.nan, found.answer, found.rationale)

    sft.step_losses = broken
    train(folder)


def test_a_stop_that_reaches_the_processes_that_read_pictures_stops_the_training_alone(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "f", 8, batch=2, epochs=200)
    process = start(folder, train_with_readers_in_a_group)
    wait_for_step(folder, 3)
    os.killpg(process.pid or 0, signal.SIGTERM)  # as a launcher of several processes does
    assert done(process) == 0
    assert result(folder)["state"] == "interrupted" and result(folder)["model"].startswith("checkpoints/step-")


def train_with_readers_in_a_group(folder: Path) -> None:
    os.setpgid(0, 0)
    train_with_readers(folder)


def train_with_readers(folder: Path) -> None:
    """As on a GPU, batches are made in other processes."""
    multiprocessing.set_start_method("fork", force=True)

    def with_readers(*given: Any) -> Any:
        made = arguments(*given)
        made.dataloader_num_workers = 2
        return made

    arguments, sft._arguments = sft._arguments, with_readers
    train(folder)


def test_batches_are_made_in_other_processes_too_and_their_errors_are_told(tmp_path: Path) -> None:
    alone, read, broken = (make_folder(tmp_path / name, 4) for name in ("alone", "read", "broken"))
    assert done(start(alone)) == done(start(read, train_with_readers)) == 0
    assert [r["loss"] for r in losses(alone)] == [r["loss"] for r in losses(read)] != []
    next((broken / "pictures").glob("2_*")).write_bytes(b"no picture")
    assert done(start(broken, train_with_readers)) == 1
    error = result(broken)["error"]
    assert error["code"] == "frames_gone" and "qra_2" in error["detail"] and error["remedy"]


def test_the_first_failure_of_several_processes_is_what_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, first = Journal(tmp_path, first=False), Journal(tmp_path, first=True)
    error = {"code": "frames_gone", "detail": "qra_1: a picture can't be read.", "remedy": "Put it there."}
    other.result({"state": "failed", "error": error})
    first.result({"state": "interrupted", "error": None})
    first.close()
    assert result(tmp_path)["error"] == error and "frames_gone: qra_1" in capsys.readouterr().err


def test_two_processes_give_what_one_gives(tmp_path: Path) -> None:
    fixed = {"rows": 6, "held": 3, "batch": 4, "save_every": 3, "schedule": "constant"}
    one, two = make_folder(tmp_path / "one", **fixed), make_folder(tmp_path / "two", processes=2, **fixed)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    where = {
        "WORLD_SIZE": "2",
        "OMP_NUM_THREADS": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "GLOO_SOCKET_IFNAME": "lo",
    }
    both = [start(two, RANK=str(n), LOCAL_RANK=str(n), ACCELERATE_USE_CPU="true", **where) for n in (0, 1)]
    assert [done(p) for p in both] == [0, 0] and done(start(one)) == 0
    for kind in ("loss", "loss_answer", "loss_rationale"):
        assert [r[kind] for r in losses(one)] == pytest.approx([r[kind] for r in losses(two)], rel=1e-4)
    norms = [[r["gradient_norm"] for r in losses(f)] for f in (one, two)]  # AdamW hides a wrong scale from all losses
    assert norms[0] == pytest.approx(norms[1], rel=1e-3)
    assert [r["step"] for r in losses(two)] == [1, 2, 3]
    told = [[r["validation"] for r in read_lines(f / "metrics.jsonl") if "validation" in r] for f in (one, two)]
    assert told[0] == told[1] != []


def test_a_dry_run_tells_what_it_takes_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_folder(tmp_path / "f", lora={"rank": 2})
    before = sorted(folder.rglob("*"))
    monkeypatch.setattr("sys.argv", ["tuning", str(folder), "--dry-run"])
    assert main() == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    tokens = told["tokens_per_sample"]
    assert told["samples"] == told["steps"] == 6 and 0 < tokens["min"] <= tokens["mean"] <= tokens["max"]
    assert 0 < told["parameters_trained"] < told["parameters"] / 10 and told["memory_bytes"] > 2**20
    assert told["seconds"] == pytest.approx(6 * told["seconds_per_step"]) and sorted(folder.rglob("*")) == before
    (folder / "spec.json").write_text('{"base": "nowhere/at/all"}')
    assert main() == 1
    error = json.loads(capsys.readouterr().out.splitlines()[-1])["error"]
    assert error["code"] == "unknown_base" and error["field"] == "base"
