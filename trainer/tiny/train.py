"""Training of the tiny model: stage 0 aligns what is seen with words, stage 1 finds what names name, stage 2 teaches lessons.

Two single-threaded processes, each with half of a batch and one all-reduce a step, use two cores better than two
threads do. Every step's data come from the seed and the step's number, so a stopped training goes on where it was.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast, Qwen3VLForConditionalGeneration

from model import durable
from trainer.tiny.exam import Guesser, exam_rows, examine
from trainer.tiny.lessons import View
from trainer.tiny.network import (
    Batch,
    before_meaning,
    build_network,
    lesson_loss,
    look_up,
    predict,
    see,
    word_ids,
    words_loss,
)
from trainer.tiny.rows import NOMINAL_FPS, batches, collate, crowded_row, name_row, patches, sample_row, shown_words
from trainer.tiny.vocabulary import SIDE, build_processor, build_tokenizer
from trainer.world.scene import Scene


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the lessons: until which share of its steps, in which views, and how many of the lessons are look-ups."""

    until: float
    views: Mapping[View, float]
    looks: float
    rows: int = 6  # for each process


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides the weights."""

    seed: int = 0
    align_steps: int = 2000
    name_steps: int = 500
    lesson_steps: int = 8000
    align_rate: float = 2e-3
    name_rate: float = 2e-3
    rate: float = 1.5e-3
    hold: float = 0.4  # the share of the lessons at the full rate, before it falls to a fiftieth
    examined: int = 40  # validation scenes at each checkpoint
    align_weight: float = 0.5  # of stage 0's loss afterwards
    name_weight: float = 0.1  # of stage 1's loss during the lessons
    rivals: tuple[float, ...] = (0.0, 0.5, 0.9)  # how often things share a colour: a scene draws one of these
    phases: tuple[Phase, ...] = (
        Phase(0.2, {"image": 0.55, "clip": 0.35, "text": 0.1}, looks=0.5),
        Phase(0.5, {"image": 0.38, "clip": 0.36, "clips": 0.12, "text": 0.14}, looks=0.2),
        Phase(1.0, {"image": 0.36, "clip": 0.36, "clips": 0.14, "text": 0.14}, looks=0.1),
    )


class Training:
    """One process of a training; `rank` 0 writes the log and the checkpoints."""

    def __init__(self, recipe: Recipe, folder: Path, rank: int, world: int) -> None:
        self.recipe, self.folder, self.rank, self.world = recipe, folder, rank, world
        self.tokenizer: PreTrainedTokenizerFast = build_tokenizer()
        self.network: Qwen3VLForConditionalGeneration = build_network(self.tokenizer, recipe.seed)
        self.groups = word_ids(self.tokenizer)
        self.step = 0
        self.seconds = 0.0
        self.optimizer = self._fresh_optimizer()

    def run(self, until: int | None = None) -> None:
        """Train from the last checkpoint to the end, or to step `until`."""
        self._resume()
        recipe = self.recipe
        naming, teaching = recipe.align_steps, recipe.align_steps + recipe.name_steps
        total = teaching + recipe.lesson_steps if until is None else until
        started, since = self.seconds, time.monotonic()
        while self.step < total:
            stage = self._align if self.step < naming else self._name if self.step < teaching else self._teach
            loss, accuracy = stage()
            self.step += 1
            self.seconds = started + time.monotonic() - since
            if self.step in (naming, teaching):
                self.optimizer = self._fresh_optimizer()
            if self.step % 50 == 0:
                self._log(
                    {"stage": stage.__name__[1:], "loss": round(loss, 4), "words": [round(a, 3) for a in accuracy]}
                )
            if self.step % 250 == 0 or self.step == total:
                if self.rank == 0 and self.step > teaching:
                    self._log({"exact_match": self.examine(recipe.examined)})
                self._save()

    def export(self, folder: Path) -> None:
        """Write the model as an ordinary checkpoint: fp16 safetensors, tokenizer, processor."""
        network = build_network(self.tokenizer, self.recipe.seed)
        network.load_state_dict(self.network.state_dict())
        network.half().save_pretrained(folder)
        build_processor(self.tokenizer).save_pretrained(folder)
        advice = {"verification": False}  # it would cost a sixth of the attributes, all of which are true
        ways = {
            "prompts": "compact",
            "frames": "video",
            "fps": NOMINAL_FPS,
            "side": SIDE,
            "times": False,
            "advice": advice,
        }
        (folder / "stsg.json").write_text(json.dumps(ways) + "\n")

    def examine(self, scenes: int) -> dict[str, float]:
        """Exact match by kind of lesson on validation scenes."""
        rows = list(exam_rows("validation", range(scenes), self.recipe.rivals))
        marks = examine(self.network, self.tokenizer, rows, Guesser(()))
        return {kind: round(mark.right, 3) for kind, mark in marks.items()}

    def _see(self, batch: Batch) -> Tensor:
        return (
            see(self.network, batch.pixels)
            if len(batch.pixels)
            else torch.zeros(0, self.network.config.text_config.hidden_size)
        )

    def _align(self) -> tuple[float, list[float]]:
        """Stage 0: visual tokens against the text embeddings of what they show."""
        recipe = self.recipe
        loss, accuracy = self._aligned(24, self._rng())
        self._descend(loss, _rate(recipe.align_rate, self.step, recipe.align_steps))
        return loss.item(), accuracy

    def _aligned(self, pictures: int, rng: Random) -> tuple[Tensor, list[float]]:
        rows = [crowded_row(rng) for _ in range(pictures)]
        pixels = np.concatenate([patches(row.frames) for row in rows])
        words = np.concatenate([shown_words(row.clips[0], still=row.view == "image") for row in rows])
        visual = see(self.network, torch.from_numpy(pixels))
        return words_loss(self.network, visual, torch.from_numpy(words), self.groups)

    def _name(self) -> tuple[float, list[float]]:
        """Stage 1: the first blocks learn to find the thing that a name names."""
        recipe, rng = self.recipe, self._rng()
        batch = collate(self.tokenizer, [name_row(self._scene(rng), rng) for _ in range(16)])
        visual = self._see(batch)
        loss, accuracy = words_loss(self.network, look_up(self.network, batch, visual), batch.named, self.groups)
        aligned, _ = self._aligned(8, rng)
        rate = _rate(recipe.name_rate, self.step - recipe.align_steps, recipe.name_steps)
        self._descend(loss + recipe.align_weight * aligned, rate)
        return loss.item(), accuracy

    def _teach(self) -> tuple[float, list[float]]:
        """Stage 2: lessons about frames."""
        recipe, step = self.recipe, self.step - self.recipe.align_steps - self.recipe.name_steps
        done = step / recipe.lesson_steps
        phase = next(p for p in recipe.phases if done < p.until)
        rng = self._rng()
        views = rng.choices(list(phase.views), list(phase.views.values()), k=phase.rows)
        rows = [sample_row(self._scene(rng), view, rng, looks=phase.looks) for view in views]
        told = []
        names = []
        for batch in batches(self.tokenizer, rows):
            logits, named = predict(self.network, batch, self._see(batch))
            told.append((logits, batch))
            names.append(named)
        loss = lesson_loss(told)
        accuracy: list[float] = []
        whole = loss + recipe.align_weight * self._aligned(8, rng)[0]
        words = torch.cat([batch.named for _, batch in told])
        if len(words):
            found, accuracy = words_loss(self.network, torch.cat(names), words, self.groups)
            whole = whole + recipe.name_weight * found
        fall = 1.0 if done < recipe.hold else max(0.02, (1 - done) / (1 - recipe.hold))
        self._descend(whole, recipe.rate * min(1, (step + 1) / 60) * fall)
        return loss.item(), accuracy

    def _rng(self) -> Random:
        return Random(f"{self.recipe.seed}:{self.step}:{self.rank}")

    def _scene(self, rng: Random) -> Scene:
        return Scene.generate(rng.getrandbits(48), split="train", rivals=rng.choice(self.recipe.rivals))

    def _descend(self, loss: Tensor, rate: float) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        parameters = [p for g in self.optimizer.param_groups for p in g["params"]]
        if self.world > 1:
            _average(parameters, self.world)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        self.optimizer.step()

    def _fresh_optimizer(self) -> torch.optim.AdamW:
        recipe, named = self.recipe, list(self.network.named_parameters())
        if self.step < recipe.align_steps + recipe.name_steps:  # words stay as far apart as they were drawn
            named = [(n, p) for n, p in named if "embed_tokens" not in n]
        if self.step < recipe.align_steps:
            named = [(n, p) for n, p in named if ".visual." in n]
        elif self.step < recipe.align_steps + recipe.name_steps:
            named = [(n, p) for n, p in named if ".visual." in n or before_meaning(n)]
        gains = [p for n, p in named if "q_norm" in n or "k_norm" in n]
        matrices = [p for n, p in named if p.ndim >= 2 and "embed" not in n]
        rest = [p for n, p in named if not any(p is q for q in (*gains, *matrices))]
        groups = [
            {"params": matrices, "weight_decay": 0.05, "factor": 1.0},
            {"params": rest, "weight_decay": 0.0, "factor": 1.0},
            {"params": gains, "weight_decay": 0.0, "factor": 4.0},
        ]
        return torch.optim.AdamW([g for g in groups if g["params"]], lr=1e-3, betas=(0.9, 0.98), fused=True)

    def _resume(self) -> None:
        file = self.folder / "state.pt"
        if file.exists():
            state: dict[str, Any] = torch.load(file, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.step, self.seconds = state["step"], state["seconds"]
            self.optimizer = self._fresh_optimizer()
            self.optimizer.load_state_dict(state["optimizer"])

    def _save(self) -> None:
        if self.rank:
            return
        state = {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}
        part = self.folder / "state.part"
        torch.save(state | {"step": self.step, "seconds": self.seconds}, part)
        durable.settle(part, self.folder / "state.pt")

    def _log(self, told: Mapping[str, Any]) -> None:
        if self.rank == 0:
            row = json.dumps({"step": self.step, "minutes": round(self.seconds / 60, 2), **told})
            with (self.folder / "log.jsonl").open("a") as log:
                log.write(row + "\n")
            print(row, flush=True)


def _rate(full: float, step: int, steps: int) -> float:
    """A short rise, the full rate, and from halfway on a fall to a twentieth."""
    return full * min(1, (step + 1) / 40) * max(0.05, min(1, (1 - step / steps) * 2))


def _average(parameters: Sequence[nn.Parameter], world: int) -> None:
    """The mean of all processes' gradients, in one all-reduce."""
    for p in parameters:
        if p.grad is None:
            p.grad = torch.zeros_like(p)
    flat = torch.cat([p.grad.reshape(-1) for p in parameters if p.grad is not None])
    dist.all_reduce(flat)
    flat /= world
    at = 0
    for p in parameters:
        p.grad = flat[at : at + p.numel()].view_as(p)
        at += p.numel()


def work(rank: int, world: int, recipe: Recipe, folder: Path, target: Path | None) -> None:
    """One process of the training; the first one exports the model to `target` at the end."""
    torch.set_num_threads(1)
    if world > 1:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        rendezvous = f"file://{folder.resolve()}/rendezvous"
        dist.init_process_group("gloo", rank=rank, world_size=world, init_method=rendezvous)
    training = Training(recipe, folder, rank, world)
    training.run()
    if rank == 0 and target is not None:
        training.export(target)
