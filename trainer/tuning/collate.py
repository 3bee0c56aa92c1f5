"""Samples as inputs of a network: the rows that a checkpoint's own processor lays out, and what is learned of them.

A row's prompt is laid out by the same code that asks the finished model, so training and use never differ.
Shape suffixes: R rows of a batch, T tokens.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor
from torch.utils.data import get_worker_info

from model.backends.hf_prompts import Prompt, Prompter, Ways, joined
from model.rationale.formats import instructed, preceded
from model.stsg import Keyframe
from model.video_llm import Request
from trainer.tuning.data import Sample
from trainer.tuning.loss import NO_TERM
from trainer.tuning.spec import TuningError, TuningSpec

IGNORE = -100  # label of a token that is not learned
PADDING = -1  # segment of a token that only fills a row up
_FAILED = "failed"  # in the place of a batch: why there is none


@dataclass(frozen=True, slots=True)
class Encoded:
    """A sample as tokens: its prompts (answer's, and rationale's if there is one) and what is to be said to each."""

    id: str
    prompts: tuple[Prompt, ...]
    targets: tuple[list[int], ...]

    @property
    def common(self) -> int:
        """How many first tokens all prompts have in common; all media are among them, and each keeps one of its own."""
        return _common(self.prompts)

    @property
    def tokens(self) -> int:
        """Tokens of all rows, each with its own prefix."""
        return sum(len(p.ids) + len(t) for p, t in zip(self.prompts, self.targets, strict=True))


def _common(prompts: Sequence[Prompt]) -> int:
    first, most = prompts[0].ids, min(len(p.ids) for p in prompts) - 1
    same = (all(p.ids[i] == first[i] for p in prompts) for i in range(most))
    return next((i for i, equal in enumerate(same) if not equal), most)


class Encoder:
    """Lays samples out with a checkpoint's processor, the way its `stsg.json` asks for."""

    def __init__(self, spec: TuningSpec, processor: Any, ways: Ways, dtype: torch.dtype, longest: int | None) -> None:
        self._instructions = (spec.instruction_answer, spec.instruction_rationale)
        self._prompter, self._ways = Prompter(processor, ways, dtype), ways
        self._processor = processor
        self._longest = longest

    def encode(self, sample: Sample) -> Encoded:
        """The sample's tokens and media.

        Raises:
            TuningError: a picture that can't be read, or more tokens than the model takes. Nothing is ever cut off.
        """
        frames = keyframes(sample)
        said = (sample.answer, sample.rationale) if sample.rationale else (sample.answer,)
        under = self._instructions if sample.instruction is None else (sample.instruction,)
        texts = [instructed(question(sample, self._ways), i) for i in under[: len(said)]]
        prompts = self._prompter.prompts([Request("tuning", text, frames) for text in texts])
        targets = tuple(self._target(text, target) for text, target in zip(texts, said, strict=True))
        encoded = Encoded(sample.id, tuple(prompts), targets)
        longest = max(len(p.ids) + len(t) for p, t in zip(prompts, targets, strict=True))
        if self._longest is not None and longest > self._longest:
            detail = f"{sample.id} takes {longest} tokens, and the model {self._longest}."
            raise TuningError("too_long", sample.id, detail, "Show fewer or smaller frames (frames, size).")
        return encoded

    def _target(self, text: str, target: str) -> list[int]:
        """Tokens of a reply with what ends it in the checkpoint's chat template."""
        tokenizer = self._processor.tokenizer
        clean = self._prompter.without_control(target)
        user = {"role": "user", "content": [{"type": "text", "text": self._prompter.without_control(text)}]}
        reply = {"role": "assistant", "content": [{"type": "text", "text": clean}]}
        template = self._processor.apply_chat_template
        before = template([user], tokenize=False, add_generation_prompt=True)
        whole = template([user, reply], tokenize=False)
        said = whole.removeprefix(before)
        if said == whole or not said.startswith(clean):  # a template that adds to the prompt while generating
            said = clean + tokenizer.eos_token
        ids: list[int] = tokenizer(said, add_special_tokens=False)["input_ids"]
        return ids


def question(sample: Sample, ways: Ways) -> str:
    """The sample's question as a checkpoint wants it asked."""
    return preceded(sample.question, sample.shown) if ways.times else sample.question


def keyframes(sample: Sample) -> tuple[Keyframe, ...]:
    """The sample's pictures.

    Raises:
        TuningError: one can't be read.
    """
    frames = []
    for file, t in zip(sample.frames, sample.times, strict=True):
        try:
            with Pillow.open(file) as picture:
                image = np.asarray(picture.convert("RGB"))
        except (OSError, ValueError) as e:
            remedy = "Put a whole picture there, or leave the row out."
            detail = f"{sample.id}: the picture {file.name} can't be read: {e}."
            raise TuningError("frames_gone", sample.id, detail, remedy) from e
        frames.append(Keyframe(f"{file}:{round(t * 1000):09d}", t, image))
    return tuple(frames)


@dataclass(slots=True)
class Collator:
    """Makes batches of samples that are named by their numbers, also in processes of their own, which a GPU's training has."""

    encoder: Encoder
    samples: Sequence[Sample]
    pad: int
    per_video: int
    shared: bool

    def __call__(self, rows: Sequence[Mapping[str, int]]) -> dict[str, Any]:
        beside = get_worker_info() is not None
        if beside:  # a stop is sent to the group of the process that trains, and would kill this one
            os.setpgid(0, 0)
        try:
            encoded = [self.encoder.encode(self.samples[row["sample"]]) for row in rows]
            return collate(encoded, self.pad, shared=self.shared, per_video=self.per_video)
        except TuningError as e:
            if not beside:
                raise
            return {_FAILED: (e.code, e.field, e.detail, e.remedy)}  # torch would make a RuntimeError of it


def checked(batch: Mapping[str, Any]) -> None:
    """Raises the TuningError that kept a process from making this batch, if one did."""
    if told := batch.get(_FAILED):
        raise TuningError(*told)


def collate(samples: Sequence[Encoded], pad: int, *, shared: bool, per_video: int = 1) -> dict[str, Tensor]:
    """A batch, padded on the right: a row for each prompt, or for each sample where rows share their prefix.

    Where `per_video` is more than 1, up to so many samples that follow each other and show the same frames have one row.
    `segments` says what a token belongs to: 0 the prefix of its row, 1 and more a prompt behind it, PADDING.
    """
    groups = _grouped(samples, per_video if shared else 1)
    laid = [(_shared_row(group) if shared else _own_rows(*group[0]), group) for group in groups]
    if shared:  # the longest first, so that the short ones fit into what they leave
        laid.sort(key=lambda pair: -len(pair[0][0]["input_ids"]))
    rows = [row for of_group, _ in laid for row in of_group]
    length = max(len(row["input_ids"]) for row in rows)
    fill = {"input_ids": pad, "labels": IGNORE, "terms": NO_TERM, "segments": PADDING}  # 0 for kinds of media
    batch = {
        key: torch.tensor([row[key] + [fill.get(key, 0)] * (length - len(row[key])) for row in rows]) for key in rows[0]
    }
    batch["attention_mask"] = (batch["segments"] != PADDING).long()
    shown = [p.media for _, group in laid for p in group[0][1].prompts[: 1 if shared else None]]
    return batch | _joined(shown)


def _grouped(samples: Sequence[Encoded], most: int) -> list[list[tuple[int, Encoded]]]:
    """The samples with their numbers, those together that have one row."""
    groups: list[list[tuple[int, Encoded]]] = []
    for k, sample in enumerate(samples):
        if groups and len(groups[-1]) < most and _show_the_same([groups[-1][0][1], sample]):
            groups[-1].append((k, sample))
        else:
            groups.append([(k, sample)])
    return groups


def _show_the_same(samples: Sequence[Encoded]) -> bool:
    """Whether these show the same frames, and nothing of them comes after what all have in common."""
    prompts = [prompt for sample in samples for prompt in sample.prompts]
    frames = {prompt.frames for prompt in prompts}
    return len(frames) == 1 and frames != {()} and max(p.prefix for p in prompts) <= _common(prompts)


def _joined(shown: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    try:
        return joined(shown)
    except RuntimeError as e:
        detail = "Frames of several sizes or numbers don't fit into one batch of this model."
        raise TuningError(
            "frames_differ", "size", detail, "Set size and as many frames in each row, or batch 1."
        ) from e


def _own_rows(k: int, sample: Encoded) -> list[dict[str, list[int]]]:
    """A row for each prompt, with the prefix in each."""
    rows = []
    for part, (prompt, target) in enumerate(zip(sample.prompts, sample.targets, strict=True)):
        asked_tokens = len(prompt.ids)
        row = {
            "input_ids": prompt.ids + target,
            "labels": [IGNORE] * asked_tokens + target,
            "terms": [NO_TERM] * asked_tokens + [2 * k + part] * len(target),
            "segments": [0] * asked_tokens + [1] * len(target),
        }
        if prompt.types is not None:
            row[prompt.types_name] = prompt.types + [0] * len(target)
        rows.append(row)
    return rows


def _shared_row(group: Sequence[tuple[int, Encoded]]) -> list[dict[str, list[int]]]:
    """One row: what all prompts have in common, then each prompt's own tokens with their target."""
    cut = _common([prompt for _, sample in group for prompt in sample.prompts])
    first = group[0][1].prompts[0]
    row = {
        "input_ids": first.ids[:cut],
        "labels": [IGNORE] * cut,
        "terms": [NO_TERM] * cut,
        "segments": [0] * cut,
    }
    said = (
        (2 * k + part, prompt.ids[cut:], target)
        for k, sample in group
        for part, (prompt, target) in enumerate(zip(sample.prompts, sample.targets, strict=True))
    )
    for segment, (term, own, target) in enumerate(said, 1):
        row["input_ids"] = row["input_ids"] + own + target
        row["labels"] = row["labels"] + [IGNORE] * len(own) + target
        row["terms"] = row["terms"] + [NO_TERM] * len(own) + [term] * len(target)
        row["segments"] = row["segments"] + [segment] * (len(own) + len(target))
    if first.types is not None:
        row[first.types_name] = first.types[:cut] + [0] * (len(row["input_ids"]) - cut)
    return [row]
