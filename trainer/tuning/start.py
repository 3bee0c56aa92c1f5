"""From a folder to a trainer, and from a trained network to the finished model."""

import gc
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from transformers.utils import logging

from model.backends.devices import CROWDED, held_by_others, lacks_memory
from trainer.tuning import checkpoints
from trainer.tuning.data import drawn, read_samples, training_samples
from trainer.tuning.journal import Journal
from trainer.tuning.networks import open_network, save_finished
from trainer.tuning.sft import RationaleTrainer
from trainer.tuning.spec import TuningError, TuningSpec
from trainer.tuning.stop import Stop
from trainer.tuning.validation import Validation

Result = TypeVar("Result")
_PATIENCE = 180  # seconds; a worker lets an idle model go after sixty


def build_trainer(
    spec: TuningSpec, folder: Path, checkpoint: Path | None, journal: Journal, stop: Stop
) -> RationaleTrainer:
    """The trainer of a folder, at the checkpoint if there is one.

    Raises:
        TuningError: rows or a base that can't be used.
    """
    logging.disable_progress_bar()
    samples = training_samples(spec, folder)
    held = drawn(read_samples(folder, "validation.jsonl", spec.frames), spec.validate_rows, spec.seed)
    journal.total = spec.steps(len(samples))
    journal.step = checkpoints.step_of(checkpoint) if checkpoint else 0
    tuned = open_network(spec, checkpoint)
    validation = Validation(spec, tuned, held, stop)
    trainer = RationaleTrainer(spec, tuned, samples, journal, stop, validation)
    trainer.settle_sharing()
    return trainer


def fitted(spec: TuningSpec, work: Callable[[TuningSpec], Result], journal: Journal, stop: Stop) -> Result:
    """What work gives on the spec, or on the first smaller one that fits the device's memory, as the journal tells.

    Where others hold much of the memory, such as a worker's model that will soon be let go, it is waited for them once.
    Several processes have the spec as it is: where one of them has no room, the others can't know.

    Raises:
        TuningError: no smaller one fits.
    """
    waited = int(os.environ.get("WORLD_SIZE", "1")) > 1
    while True:
        try:
            return work(spec)
        except RuntimeError as e:
            if not lacks_memory(e):
                raise
            smaller = spec.smaller() if int(os.environ.get("WORLD_SIZE", "1")) == 1 else None
            crowded = held_by_others() > CROWDED
            if smaller is None and (waited or not crowded):
                raise _too_small(e, crowded=crowded) from e
        # outside the handler, which keeps what was in memory
        gc.collect()
        torch.cuda.empty_cache()
        if crowded and not waited:
            waited = True
            _wait_for_others(journal, stop)
        elif smaller is not None:
            spec = smaller
            message = f"The device's memory was too small. A step now has {spec.accumulation} parts"
            message += " and computes activations anew." if spec.gradient_checkpointing else "."
            journal.event("smaller_parts", message, level="warn")


def _too_small(error: RuntimeError, *, crowded: bool) -> TuningError:
    remedy = "Raise accumulation, or set gradient_checkpointing, fewer frames or lora."
    if crowded:
        remedy = f"Others hold {held_by_others() / 2**30:.1f} GiB of it: let them end. Else: {remedy}"
    return TuningError("out_of_memory", "accumulation", f"The device's memory is too small: {error}", remedy)


def _wait_for_others(journal: Journal, stop: Stop) -> None:
    """Until others let the device's memory go, for some minutes at most.

    Raises:
        Stopped: the training was asked to stop.
    """
    held = held_by_others() / 2**30
    journal.event("waiting", f"Others hold {held:.1f} GiB of the device's memory; it is waited for them.", level="warn")
    stop.training(on=False)
    for _ in range(_PATIENCE):
        if held_by_others() <= CROWDED:
            return
        time.sleep(1)


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
