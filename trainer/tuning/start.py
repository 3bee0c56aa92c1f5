"""From a folder to a trainer, and from a trained network to the finished model."""

import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from transformers.utils import logging

from trainer.tuning import checkpoints
from trainer.tuning.data import read_samples, training_samples
from trainer.tuning.journal import Journal
from trainer.tuning.networks import open_network, save_finished
from trainer.tuning.sft import RationaleTrainer
from trainer.tuning.spec import TuningError, TuningSpec
from trainer.tuning.stop import Stop
from trainer.tuning.validation import Validation

Result = TypeVar("Result")


def build_trainer(
    spec: TuningSpec, folder: Path, checkpoint: Path | None, journal: Journal, stop: Stop
) -> RationaleTrainer:
    """The trainer of a folder, at the checkpoint if there is one.

    Raises:
        TuningError: rows or a base that can't be used.
    """
    logging.disable_progress_bar()
    samples = training_samples(spec, folder)
    held = read_samples(folder, "validation.jsonl", spec.frames)
    journal.total = spec.steps(len(samples))
    journal.step = checkpoints.step_of(checkpoint) if checkpoint else 0
    tuned = open_network(spec, checkpoint)
    validation = Validation(spec, tuned, held, stop)
    trainer = RationaleTrainer(spec, tuned, samples, journal, stop, validation)
    trainer.settle_sharing()
    return trainer


def fitted(spec: TuningSpec, work: Callable[[TuningSpec], Result], tell: Callable[[TuningSpec], None]) -> Result:
    """What work gives on the spec, or on the first smaller one that fits the device's memory, each of which is told before.

    Several processes have the spec as it is: where one of them has no room, the others can't know.

    Raises:
        TuningError: no smaller one fits.
    """
    while True:
        try:
            return work(spec)
        except torch.OutOfMemoryError as e:
            smaller = spec.smaller()
            if smaller is None or int(os.environ.get("WORLD_SIZE", "1")) > 1:
                detail = f"The device's memory is too small: {e}"
                remedy = "Raise accumulation, or set gradient_checkpointing, fewer frames or lora."
                raise TuningError("out_of_memory", "accumulation", detail, remedy) from e
        spec = smaller  # outside the handler, which keeps what was in memory
        gc.collect()
        torch.cuda.empty_cache()
        tell(spec)


def finish(trainer: RationaleTrainer, folder: Path) -> None:
    """Write the finished model, an ordinary checkpoint that `hf:` loads.

    Raises:
        TuningError: the disk is full.
    """
    trainer.accelerator.wait_for_everyone()
    if not trainer.is_world_process_zero():
        return
    target = folder / "model"
    part = checkpoints.aside(target)
    checkpoints.guarded(part, lambda: save_finished(trainer.tuned, part))
    checkpoints.guarded(part, lambda: checkpoints.settle(part, target))
