"""TRL's SFTTrainer with the paper's loss, whole checkpoints, and a stop at any moment that loses nothing."""

import os
import random
import shutil
import sysconfig
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor
from transformers import PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer
from trl.kernels import chunked_logprob

from model.backends.exactly import in_32_bits
from model.video_llm import VideoLLMError
from trainer.tuning import checkpoints, shared_prefix
from trainer.tuning.collate import PADDING, Collator, Encoder, checked, collate
from trainer.tuning.data import Sample, order_by_frames
from trainer.tuning.journal import Journal
from trainer.tuning.loss import Losses, step_losses
from trainer.tuning.networks import Tuned, save_adapters, save_network
from trainer.tuning.spec import TuningError, TuningSpec
from trainer.tuning.stop import Stop, Stopped
from trainer.tuning.validation import Validation

_SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
_SAME = 1e-5  # two ways to the same loss, in 32 bits, differ by no more of it
_IN_ONE_ROW = 1_000_000  # tokens
_WORKERS = 4  # processes that read pictures while a GPU computes


class RationaleTrainer(SFTTrainer):  # type: ignore[misc]
    """Explicit Rationales Supervision (STEP Sec. 3.2) on any network that `hf:` loads."""

    loss_is_scaled_for_ga = True  # N counts the whole step

    def __init__(
        self,
        spec: TuningSpec,
        tuned: Tuned,
        samples: list[Sample],
        journal: Journal,
        stop: Stop,
        validation: Validation,
    ) -> None:
        self.spec, self.tuned, self.journal, self.stop, self.validation = spec, tuned, journal, stop, validation
        self.encoder = Encoder(spec, tuned.processor, tuned.ways, tuned.network.dtype, tuned.longest)
        self.samples, self.per_video, self.due = samples, spec.per_video, False
        self._pad = tuned.processor.tokenizer.pad_token_id
        self._collator = Collator(self.encoder, samples, self._pad, spec.per_video, spec.shared_prefix)
        self.random_state: tuple[Any, ...] = ()
        self.parts = torch.zeros(3, dtype=torch.float64)  # L_answer, L_rationale and tokens of the step so far
        self.gradient_norm = 0.0  # of the step, before it is clipped
        self.updating = False  # while the optimizer changes the weights
        total = spec.steps(len(samples))
        shown = order_by_frames(samples, total * spec.batch, spec.seed, spec.per_video)
        if torch.cuda.is_available() and not _can_compile():
            chunked_logprob._TRITON_AVAILABLE = False
            message = "Triton can't make its kernels without a C compiler and Python.h; steps are slower."
            journal.event("no_compiler", message, level="warn")
        super().__init__(
            model=tuned.trained,
            args=_arguments(spec, total, journal.folder),
            train_dataset=Dataset.from_dict({"sample": shown}),
            data_collator=self._collator,
            processing_class=tuned.processor,
            callbacks=[_Steps(self)],
        )
        self.remove_callback(PrinterCallback)  # the journal tells

    @property
    def shared(self) -> bool:
        """Whether rows about the same frames share their visual prefix."""
        return self._collator.shared

    def settle_sharing(self) -> None:
        """Share prefixes only where this class gives the same loss so; found out on the first samples that would share one."""
        tried = self._would_share() if self.shared else []
        self._collator.shared = bool(tried)
        reason = (shared_prefix.why_not(self.tuned.network) or self._difference(tried)) if tried else None
        if reason is not None:
            self._collator.shared = False
            self.journal.event("shared_prefix_off", f"Rows don't share their prefixes: {reason}.", level="warn")

    def _would_share(self) -> list[Sample]:
        """The first samples that share a prefix, and, where batches hold several, one more; none where nothing is shared."""
        pairs: dict[tuple[Path, ...], list[Sample]] = {}
        for sample in self.samples if self.per_video > 1 else ():
            pairs.setdefault(sample.frames, []).append(sample)
        tried = next((of[:2] for frames, of in pairs.items() if frames and len(of) > 1), [])
        tried = tried or [s for s in self.samples if s.rationale][:1]
        if not tried or self.args.per_device_train_batch_size == 1:
            return tried
        return tried + [s for s in self.samples if s.frames != tried[0].frames][:1]

    def _difference(self, samples: list[Sample]) -> str | None:
        try:
            with in_32_bits(self.model):  # rounding to 16 bits can be as large as what a mistake does
                one, two = (self._loss_of(samples, shared=shared) for shared in (True, False))
        except Exception as e:  # noqa: BLE001 # whatever the class can't do, two passes can
            return f"{type(e).__name__}: {e}"
        apart = abs(one - two) / max(abs(two), 1e-6)
        return None if apart <= _SAME else f"the loss differs by {apart:.1e}"

    @torch.no_grad()
    def _loss_of(self, samples: list[Sample], *, shared: bool) -> float:
        encoded = [self.encoder.encode(sample) for sample in samples]
        batch = collate(encoded, self._pad, shared=shared, per_video=self.per_video)
        self.model.eval()
        return float(self._losses(self.model, self._prepare_inputs(batch), shared=shared, width=_IN_ONE_ROW).total)

    def get_batch_samples(self, *given: Any) -> tuple[list[Any], None]:
        batches, _ = super().get_batch_samples(*given)
        for batch in batches:
            checked(batch)
        return batches, None

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> None:
        """Nothing to count: every step has `batch` samples."""

    def compute_loss(self, model: Any, inputs: dict[str, Tensor], **_: Any) -> Tensor:
        """This part's share of L = L_answer + lambda L_rationale, times the processes whose gradients are averaged."""
        if self.args.world_size == 1:
            self.stop.check()
        losses = self._losses(model, inputs, shared=self.shared)
        broken = (~torch.isfinite(losses.total)).float()
        if float(self.accelerator.reduce(broken, "sum")) > 0:  # all processes learn of it, and all tell the same
            raise self._not_finite("The loss is no finite number")
        tokens = (inputs["segments"] != PADDING).sum()
        self.parts += torch.stack([losses.answer, losses.rationale, tokens]).detach().cpu().double()
        total: Tensor = losses.total * self.args.world_size
        return total

    def _losses(self, model: Any, batch: Mapping[str, Tensor], *, shared: bool, width: int = 0) -> Losses:
        inputs = shared_prefix.arranged(self.tuned.network, batch, width) if shared else dict(batch)
        terms = inputs.pop("terms")
        inputs.pop("segments", None)
        log_probs = model(**inputs, fused_lm_head=True).log_probs
        return step_losses(
            -log_probs, terms[:, 1:], samples=self.spec.batch, lambda_rationale=self.spec.lambda_rationale
        )

    def precision(self) -> AbstractContextManager[Any]:
        """In which number type a step computes, also where accelerate has not been put around the model."""
        return torch.autocast(self.args.device.type, torch.bfloat16) if self.args.bf16 else nullcontext()

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        self.gradient_norm = float(norm)
        if not np.isfinite(self.gradient_norm):
            raise self._not_finite(f"The gradients' norm is {self.gradient_norm}")
        return norm

    def _not_finite(self, what: str) -> TuningError:
        remedy = "Lower learning_rate or lengthen warmup, and start again from the last checkpoint."
        detail = f"{what} at step {self.state.global_step + 1}."
        return TuningError("loss_not_finite", "learning_rate", detail, remedy)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Nothing to load: the network was opened from the checkpoint."""

    def _save_checkpoint(self, *_: Any) -> None:
        """An ordinary checkpoint with the training's state in it, whole or not there."""
        target = checkpoints.path_of(self.journal.folder, self.state.global_step)
        part = target.with_name(f".{target.name}.part")
        if self.is_world_process_zero():
            checkpoints.aside(target)
        self.accelerator.wait_for_everyone()
        checkpoints.guarded(part, lambda: self._write(part))
        self.accelerator.wait_for_everyone()
        if self.is_world_process_zero():
            checkpoints.guarded(part, lambda: checkpoints.settle(part, target))
            checkpoints.thin(self.journal.folder, self.spec.keep)
            self.journal.event("checkpoint", f"Saved {target.name}.", step=self.state.global_step)

    def _write(self, part: Path) -> None:
        state = part / checkpoints.STATE
        state.mkdir(exist_ok=True)
        self._save_rng_state(str(state))
        if self.is_world_process_zero():
            for name, kept in (("optimizer.pt", self.optimizer), ("scheduler.pt", self.lr_scheduler)):
                with (state / name).open("wb") as file:  # given a path, torch would not say why it can't write
                    torch.save(kept.state_dict(), file)
            save_network(self.tuned, part)
            save_adapters(self.tuned, state)
            self.state.save_to_json(str(state / "trainer_state.json"))

    def save_stopped(self) -> None:
        """A checkpoint of the last finished step, whatever the present one has already drawn or added up."""
        done = checkpoints.newest(self.journal.folder)
        if done is None or checkpoints.step_of(done) != self.state.global_step:
            _set_random(self.random_state)
            self._save_checkpoint()

    def save_whole_step(self) -> None:
        """After the device's memory was used up: what was learned so far, where no step was half taken."""
        self.model.zero_grad(set_to_none=True)
        if self.args.world_size == 1 and self.state.global_step and not self.updating:
            self.save_stopped()

    def _maybe_log_save_evaluate(self, *given: Any, **named: Any) -> None:
        """Save where it is due, then validate: a stop while the model answers loses nothing."""
        super()._maybe_log_save_evaluate(*given, **named)
        if self.due:
            self.due = False
            self._validate()

    def _validate(self) -> None:
        """Accuracy by steps on the held-out rows, told in the metrics."""
        try:
            with self.precision():
                found = self.validation.run(self.accelerator)
        except VideoLLMError as e:  # too little memory is dealt with as in a step
            raise e.__cause__ or e from None
        if found:
            self.journal.metrics({"step": self.state.global_step, "validation": found})


class _Steps(TrainerCallback):  # type: ignore[misc]
    """What happens around every step."""

    def __init__(self, trainer: RationaleTrainer) -> None:
        self._trainer = trainer
        self._since = self._began = self._rate = 0.0
        self._first = 0

    def on_train_begin(self, _args: Any, state: Any, *_: Any, **__: Any) -> None:
        self._trainer.journal.step, self._trainer.journal.total = state.global_step, state.max_steps
        self._trainer.random_state = _random()
        if self._due(state) and not self._trainer.journal.validated(state.global_step):
            self._trainer._validate()  # the base before its first step; later on, where a stop came before it was done
        self._first, self._began, self._since = state.global_step, time.monotonic(), time.monotonic()

    def _due(self, state: Any) -> bool:
        """Whether the model is validated after the present step."""
        spec = self._trainer.spec
        every = spec.save_every if spec.validate_every is None else spec.validate_every
        return bool(every) and (state.global_step >= state.max_steps or state.global_step % every == 0)

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._trainer.random_state = _random()
        self._rate = self._trainer._get_learning_rate()

    def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
        self._trainer.updating = True

    def on_optimizer_step(self, *_: Any, **__: Any) -> None:
        self._trainer.updating = False

    def on_step_end(self, _args: Any, state: Any, control: Any, **_: Any) -> None:
        trainer, spec, step = self._trainer, self._trainer.spec, state.global_step
        trainer.random_state = _random()
        trainer.journal.step = step
        self._tell(step, state.max_steps)
        last = step >= state.max_steps
        control.should_save = last or step % spec.save_every == 0
        trainer.due = self._due(state)
        if trainer.stop.agreed(trainer.accelerator) and not last:
            raise Stopped

    def _tell(self, step: int, total: int) -> None:
        trainer, now = self._trainer, time.monotonic()
        parts = trainer.accelerator.reduce(trainer.parts.to(trainer.args.device), "sum").tolist()
        trainer.parts = torch.zeros(3, dtype=torch.float64)
        answer, rationale, tokens = parts
        trainer.journal.metrics(
            {
                "step": step,
                "epoch": step * trainer.spec.batch / len(trainer.samples),
                "loss": answer + trainer.spec.lambda_rationale * rationale,
                "loss_answer": answer,
                "loss_rationale": rationale,
                "gradient_norm": trainer.gradient_norm,
                "learning_rate": self._rate,
                "tokens_per_second": tokens / max(now - self._since, 1e-9),
                "eta_seconds": (now - self._began) / (step - self._first) * (total - step),
            }
        )
        self._since = now


def _arguments(spec: TuningSpec, total: int, folder: Path) -> SFTConfig:
    on_device = torch.cuda.is_available()
    given = SFTConfig(
        output_dir=str(folder),
        per_device_train_batch_size=spec.batch // (spec.accumulation * spec.processes),
        gradient_accumulation_steps=spec.accumulation,
        num_train_epochs=1,  # all epochs lie in the order of the samples
        train_sampling_strategy="sequential",
        learning_rate=spec.learning_rate,
        lr_scheduler_type=_SCHEDULES[spec.schedule],
        warmup_steps=round(spec.warmup * total),
        weight_decay=spec.weight_decay,
        optim="adamw_torch",
        ddp_find_unused_parameters=True,  # a vision tower's last layers, or all of it in a row of text alone
        bf16=on_device and torch.cuda.is_bf16_supported() and not spec.exact,
        use_cpu=not on_device,
        activation_checkpointing=spec.gradient_checkpointing,
        gradient_checkpointing=None,  # the name of old
        max_length=None,  # visual tokens are never cut off
        router_aux_loss_coef=0.0,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        dataloader_num_workers=_WORKERS if on_device else 0,
        dataloader_pin_memory=on_device,
        save_strategy="no",
        logging_strategy="no",
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        seed=spec.seed,
        data_seed=spec.seed,
    )
    # a process has one device: torch's DataParallel would take the step's samples on each
    given._n_gpu = min(given.n_gpu, 1)
    return given


def _can_compile() -> bool:
    """Whether Triton finds what it makes kernels with at their first use: a compiler, and Python's headers."""
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    return header.exists() and any(map(shutil.which, filter(None, (os.environ.get("CC"), "gcc", "clang"))))


def _random() -> tuple[Any, ...]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return random.getstate(), np.random.get_state(), torch.random.get_rng_state(), cuda


def _set_random(state: tuple[Any, ...]) -> None:
    random.setstate(state[0])
    np.random.set_state(state[1])
    torch.random.set_rng_state(state[2])
    if state[3]:
        torch.cuda.set_rng_state_all(state[3])
