"""What a training would take, measured on a few samples before anything is spent."""

import resource
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from trainer.tuning.collate import Encoded, collate
from trainer.tuning.journal import Journal
from trainer.tuning.networks import trained_parameters
from trainer.tuning.run import read_spec
from trainer.tuning.sft import RationaleTrainer
from trainer.tuning.spec import TuningSpec
from trainer.tuning.start import build_trainer, fitted
from trainer.tuning.stop import Stop

_LOOKED_AT = 64  # samples
_OPTIMIZER_BYTES = 8  # AdamW's two moments for each trained number
_EXCHANGE_BYTES = 4  # its gradient once more, in what several processes exchange


def estimate(folder: Path) -> dict[str, Any]:
    """Samples, tokens a sample, steps, parameters, memory and seconds; nothing in the folder changes.

    One process tells what each of several would take: its part of a batch, and memory for the gradients that they exchange.
    `accumulation` and `gradient_checkpointing` are those of the spec, or of the first smaller one that fits the device.

    Raises:
        TuningError: whatever would stop the training at its start.
    """
    journal, stop = Journal(folder, first=False), Stop(folder)
    return fitted(read_spec(folder, alone=True), lambda spec: _measured(spec, folder), journal, stop)


def _measured(spec: TuningSpec, folder: Path) -> dict[str, Any]:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    part = replace(spec, processes=1, batch=spec.batch // spec.processes)
    trainer = build_trainer(part, folder, None, Journal(folder, first=False), Stop(folder))
    samples = trainer.samples
    looked_at = samples[:: max(1, len(samples) // _LOOKED_AT)][:_LOOKED_AT]
    encoded = [trainer.encoder.encode(s) for s in looked_at]
    tokens = [_tokens(e, trainer) for e in encoded]
    each = trainer.args.per_device_train_batch_size
    longest = [e for _, e in sorted(zip(tokens, encoded, strict=True), key=lambda pair: -pair[0])]
    timed = [e for e in (longest * each)[: -(-each // spec.per_video)] for _ in range(spec.per_video)][:each]
    seconds = _seconds(trainer, timed) * spec.accumulation
    steps = spec.steps(len(samples))
    trained = trained_parameters(trainer.tuned)
    return {
        "samples": len(samples),
        "tokens_per_sample": {"min": min(tokens), "mean": sum(tokens) / len(tokens), "max": max(tokens)},
        "tokens_counted_on": len(tokens),
        "shared_prefix": trainer.shared,
        "accumulation": spec.accumulation,
        "gradient_checkpointing": spec.gradient_checkpointing,
        "steps": steps,
        "parameters": sum(p.numel() for p in trainer.tuned.trained.parameters()),
        "parameters_trained": trained,
        "memory_bytes": _peak() + trained * (_OPTIMIZER_BYTES + (_EXCHANGE_BYTES if spec.processes > 1 else 0)),
        "device": trainer.args.device.type,
        "seconds_per_step": seconds,
        "seconds": seconds * steps,
    }


def _tokens(sample: Encoded, trainer: RationaleTrainer) -> int:
    """A sample's tokens, of which those of a prefix that it shares with others count in part."""
    saved = sample.common * (len(sample.prompts) - 1) if trainer.shared else 0
    once = sample.prompts[0].prefix if trainer.shared else 0
    return sample.tokens - saved - (once - once // trainer.per_video)


def _seconds(trainer: RationaleTrainer, samples: list[Encoded]) -> float:
    """Seconds of a pass there and back over the longest samples, after one that isn't counted."""
    pad = trainer.tuned.processor.tokenizer.pad_token_id
    taken = 0.0
    for _ in range(2):
        since = time.perf_counter()
        trainer.model.train()
        batch = collate(samples, pad, shared=trainer.shared, per_video=trainer.per_video)
        inputs = trainer._prepare_inputs(batch)
        with trainer.precision():
            loss = trainer.compute_loss(trainer.model, inputs)
        trainer.accelerator.backward(loss)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        taken = time.perf_counter() - since
    return taken


def _peak() -> int:
    """The most memory that was held so far, on the device that computes."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
