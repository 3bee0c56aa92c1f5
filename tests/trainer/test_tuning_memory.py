"""A device's memory that is too small, or that others hold: a training goes on in smaller parts, or when they let go."""

import time
from pathlib import Path
from typing import Any

import pytest
import torch

import trainer.tuning.sft as sft
import trainer.tuning.start as tuning_start
from model.video_llm import VideoLLMError
from tests.trainer.tuning_folders import done, losses, make_folder, read_lines, result, start, train
from trainer.tuning.dry_run import estimate
from trainer.tuning.journal import Journal
from trainer.tuning.spec import TuningSpec
from trainer.tuning.stop import Stop
from trainer.tuning.validation import Validation


def with_room_for(rows: int) -> None:
    """From here on this process's device has memory for so many rows of a batch."""
    plain = sft.RationaleTrainer.compute_loss

    def compute_loss(trainer: sft.RationaleTrainer, model: Any, inputs: dict[str, torch.Tensor], **more: Any) -> Any:
        if len(inputs["input_ids"]) > rows:
            raise torch.OutOfMemoryError("a device with little memory")
        return plain(trainer, model, inputs, **more)

    sft.RationaleTrainer.compute_loss = compute_loss


def train_with_room(folder: Path, rows: str) -> None:
    with_room_for(int(rows))
    train(folder)


def train_with_less_room_from_the_fourth_step(folder: Path) -> None:
    plain, steps = sft.RationaleTrainer.compute_loss, iter(range(1000))

    def compute_loss(trainer: sft.RationaleTrainer, model: Any, inputs: dict[str, torch.Tensor], **more: Any) -> Any:
        if len(inputs["input_ids"]) > 4 and next(steps) == 3:
            raise RuntimeError("CUDA error: out of memory")  # as kernels say it that need memory of their own
        return plain(trainer, model, inputs, **more)

    sft.RationaleTrainer.compute_loss = compute_loss
    train(folder)


def test_where_memory_ends_on_the_way_no_step_is_lost(tmp_path: Path) -> None:
    wanted: dict[str, Any] = {"rows": 8, "batch": 8, "epochs": 6, "save_every": 100}
    parted, midway = tmp_path / "parted", tmp_path / "midway"
    assert done(start(make_folder(parted, accumulation=2, **wanted))) == 0
    assert done(start(make_folder(midway, **wanted), train_with_less_room_from_the_fourth_step)) == 0
    assert [r["step"] for r in losses(midway)] == [1, 2, 3, 4, 5, 6]
    assert [r["loss"] for r in losses(midway)] == pytest.approx([r["loss"] for r in losses(parted)], rel=1e-4)
    told = [(e["event"], e["message"]) for e in read_lines(midway / "events.jsonl")]
    assert ("checkpoint", "Saved step-000003.") in told and "smaller_parts" in dict(told)


def train_with_room_for_one_request_at_the_second_look(folder: Path) -> None:
    plain, looks = Validation.run, iter(range(1000))

    def run(validation: Validation, accelerator: Any) -> Any:
        if not next(looks):
            raise VideoLLMError("too large") from torch.OutOfMemoryError("a device with little memory")
        return plain(validation, accelerator)

    Validation.run = run  # type: ignore[method-assign]
    train(folder)


def test_memory_that_ends_while_the_base_is_asked_is_tried_again(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "f", 2, held=1, batch=2, epochs=1)
    assert done(start(folder, train_with_room_for_one_request_at_the_second_look)) == 0
    rows = [r for r in read_lines(folder / "metrics.jsonl") if "validation" in r]
    assert [r["step"] for r in rows] == [0, 1] and result(folder)["state"] == "succeeded"
    assert "smaller_parts" in [e["event"] for e in read_lines(folder / "events.jsonl")]


def test_a_training_waits_for_memory_that_others_will_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def work(spec: TuningSpec) -> TuningSpec:
        if held():
            raise torch.OutOfMemoryError("a device with little memory")
        return spec

    held, spec = (lambda: next(others)), TuningSpec("base", batch=8)
    monkeypatch.setattr(tuning_start, "held_by_others", lambda: (next(others) or 0) * 2**30)
    monkeypatch.setattr(tuning_start, "_PATIENCE", 2)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    journal, stop = Journal(tmp_path, first=True), Stop(tmp_path)
    others = iter([9, 9, 9, 9, 0, 0])  # tried, seen to be crowded, told, looked at twice, tried again
    assert tuning_start.fitted(spec, work, journal, stop) == spec
    others = iter([9] * 7 + [0])  # it is waited but once, for two looks
    found = tuning_start.fitted(spec, work, journal, stop)
    assert found.accumulation == 2
    journal.close()
    assert [e["event"] for e in read_lines(tmp_path / "events.jsonl")] == ["waiting", "waiting", "smaller_parts"]


def test_a_step_that_needs_too_much_memory_is_run_in_smaller_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: dict[str, Any] = {"rows": 8, "batch": 8, "epochs": 2}
    parted, fitted, large = (tmp_path / name for name in ("parted", "fitted", "large"))
    assert done(start(make_folder(parted, accumulation=2, **wanted))) == 0
    assert done(start(make_folder(fitted, **wanted), train_with_room, rows="4")) == 0
    assert [r["loss"] for r in losses(parted)] == [r["loss"] for r in losses(fitted)] != []
    [event] = [e for e in read_lines(fitted / "events.jsonl") if e["event"] == "smaller_parts"]
    assert event["level"] == "warn" and "2 parts." in event["message"]

    assert done(start(make_folder(large, **wanted), train_with_room, rows="0")) == 1
    error = result(large)["error"]
    assert error["code"] == "out_of_memory" and "fewer frames" in error["remedy"]
    tried = [e["message"] for e in read_lines(large / "events.jsonl") if e["event"] == "smaller_parts"]
    assert [message.count("anew") for message in tried] == [0, 0, 0, 1] and "8 parts" in tried[-1]

    monkeypatch.setattr(sft.RationaleTrainer, "compute_loss", sft.RationaleTrainer.compute_loss)  # comes back
    with_room_for(2)
    told = estimate(make_folder(tmp_path / "dry", **wanted))
    assert told["accumulation"] == 4 and not told["gradient_checkpointing"]
