"""Rows to train on: some frames, their visual prefix exactly as the stock processor lays it out, and lessons after it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from model.stsg import Image
from trainer.tiny import lessons
from trainer.tiny.lessons import Lesson, View
from trainer.tiny.network import VISUAL_TOKENS, Batch
from trainer.tiny.vocabulary import PATCH, WORD_GROUPS
from trainer.world.render import frame
from trainer.world.scene import ACTIONS, COLORS, PLACES, SHAPES, SIZES, Scene, SceneClip

NOMINAL_FPS = 1.0  # frames are shown as one a second whatever their true times, in training and in use
_IGNORE = -100


@dataclass(frozen=True, slots=True)
class Row:
    """Frames (in pairs), how they are shown, and the lessons about them."""

    view: View
    frames: tuple[Image, ...]
    clips: tuple[SceneClip, ...]  # what each pair of frames shows
    lessons: tuple[Lesson, ...]


def sample_row(scene: Scene, view: View, rng: Random, *, looks: float = 0.0, most: int = 14) -> Row:
    """A row about a random part of a scene; `looks` is the share of look-ups among the lessons."""
    clip = rng.choice(scene.clips)
    asked: list[Lesson] = []
    if view == "text":
        asked = [x for c in scene.clips for x in lessons.text_lessons(c, rng)]
        return Row(view, (), (), tuple(lessons.thinned(asked, rng, most)))
    if view == "clips":
        one, two = sorted(rng.sample(range(len(scene.clips)), 2))
        clips = (scene.clips[one], scene.clips[two])
        asked = list(lessons.bridging_lessons(*clips, rng))
        return Row(view, tuple(f for c in clips for f in _pair(c, rng)), clips, tuple(asked))
    wanted = round(looks * most)
    taught = lessons.image_lessons if view == "image" else lessons.clip_lessons
    asked = [*lessons.lookups(clip, rng, wanted), *lessons.thinned(list(taught(clip, rng)), rng, most - wanted)]
    if view == "image":
        still = _noisy(frame(clip, rng.choice((rng.uniform(0, 0.3), rng.uniform(0.7, 1.0)))), rng)
        return Row(view, (still, still), (clip,), tuple(asked))
    return Row(view, _pair(clip, rng), (clip,), tuple(asked))


def _pair(clip: SceneClip, rng: Random) -> tuple[Image, Image]:
    first, last = rng.uniform(0.0, 0.2), rng.uniform(0.8, 1.0)
    return _noisy(frame(clip, first), rng), _noisy(frame(clip, last), rng)


def _noisy(picture: Image, rng: Random) -> Image:
    """A picture with the faint noise that video compression leaves, and now and then a shift of tone."""
    noise = np.random.default_rng(rng.getrandbits(32)).normal(rng.uniform(-4, 4), rng.uniform(0, 3), picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def patches(frames: Sequence[Image]) -> NDArray[np.float32]:
    """Frames of 64 x 64 pixels, in pairs, as the stock processor cuts them: (16 * pairs) x (3 * 2 * 16 * 16)."""
    x = np.stack(frames).astype(np.float32) / 127.5 - 1
    pairs, side = len(frames) // 2, 4
    x = x.transpose(0, 3, 1, 2).reshape(pairs, 2, 3, side, PATCH, side, PATCH)
    return x.transpose(0, 3, 5, 2, 1, 4, 6).reshape(pairs * VISUAL_TOKENS, -1)


def shown_words(clip: SceneClip, *, still: bool) -> NDArray[np.int64]:
    """What each of a clip's 16 visual tokens shows, one column a word group; a still picture can't tell the action."""
    words = np.full((VISUAL_TOKENS, len(WORD_GROUPS)), _IGNORE)
    words[:, 0] = 0
    words[:, 5], words[:, 6] = np.divmod(np.arange(VISUAL_TOKENS), 4)
    words[:, 7] = PLACES.index(clip.place)
    for t in clip.things:
        action = _IGNORE if still else ACTIONS.index(t.action)
        words[t.row * 4 + t.column, :5] = 1, COLORS.index(t.color), SHAPES.index(t.shape), SIZES.index(t.size), action
    return words


def collate(tokenizer: PreTrainedTokenizerFast, rows: Sequence[Row]) -> Batch:
    """One batch of rows, padded on the right."""
    laid = [_lay_out(tokenizer, row) for row in rows]
    count, length = len(laid), max(len(ids) for ids, *_ in laid)
    ids = np.full((count, length), tokenizer.pad_token_id)
    labels, segments = np.full((count, length), _IGNORE), np.full((count, length), -1)
    positions = np.zeros((3, count, length), np.int64)
    for b, (row_ids, row_labels, row_segments, row_positions) in enumerate(laid):
        n = len(row_ids)
        ids[b, :n], labels[b, :n], segments[b, :n], positions[:, b, :n] = (
            row_ids,
            row_labels,
            row_segments,
            row_positions,
        )
    frames = [f for row in rows for f in row.frames]
    words = [shown_words(c, still=row.view == "image") for row in rows for c in row.clips]
    return Batch(
        ids=torch.from_numpy(ids),
        labels=torch.from_numpy(labels),
        segments=torch.from_numpy(segments),
        positions=torch.from_numpy(positions),
        pixels=torch.from_numpy(patches(frames)) if frames else torch.zeros(0, 3 * 2 * PATCH * PATCH),
        words=torch.from_numpy(np.concatenate(words)) if words else torch.zeros(0, len(WORD_GROUPS), dtype=torch.long),
    )


def _lay_out(tokenizer: PreTrainedTokenizerFast, row: Row) -> tuple[list[int], list[int], list[int], Any]:
    prefix, prefix_positions, start = _prefix(tokenizer, row.view, len(row.frames) // 2)
    ids, labels, segments, positions = list(prefix), [_IGNORE] * len(prefix), [0] * len(prefix), [prefix_positions]
    begin, end = tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
    for k, lesson in enumerate(row.lessons, 1):
        asked, answer = [*_encode(tokenizer, lesson.prompt), begin], [*_encode(tokenizer, lesson.answer), end]
        length = len(asked) + len(answer)
        ids += asked + answer
        labels += [_IGNORE] * len(asked) + answer
        segments += [k] * length
        positions.append(np.broadcast_to(np.arange(length) + start, (3, length)))
    return ids, labels, segments, np.concatenate(positions, 1)


@cache
def _encode(tokenizer: PreTrainedTokenizerFast, text: str) -> tuple[int, ...]:
    return tuple(tokenizer.encode(text, add_special_tokens=False))


@cache
def _prefix(tokenizer: PreTrainedTokenizerFast, view: View, pairs: int) -> tuple[tuple[int, ...], Any, int]:
    """Ids and 3-D positions of the visual prefix, and the position after it."""
    start, end, image, video = tokenizer.convert_tokens_to_ids(
        ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    )
    ids: list[int] = []
    positions: list[NDArray[np.int64]] = [np.zeros((3, 0), np.int64)]
    at = 0

    def text(tokens: Sequence[int]) -> None:
        nonlocal at
        ids.extend(tokens)
        positions.append(np.broadcast_to(np.arange(len(tokens)) + at, (3, len(tokens))))
        at += len(tokens)

    rows, columns = np.divmod(np.arange(VISUAL_TOKENS), 4)
    if view in ("clip", "clips"):
        text([start])
    for pair in range(pairs):
        if view in ("clip", "clips"):
            text(_encode(tokenizer, f"<{(0.5 + 2 * pair) / NOMINAL_FPS:.1f} seconds>"))
        text([start])
        ids.extend([image if view == "image" else video] * VISUAL_TOKENS)
        positions.append(np.stack([np.zeros(VISUAL_TOKENS, int), rows, columns]) + at)
        at += 4
        text([end])
    if view in ("clip", "clips"):
        text([end])
    return tuple(ids), np.concatenate(positions, 1), at
