"""Rows to train on: some frames, their visual prefix exactly as the stock processor lays it out, and lessons after it."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
from trainer.world.render import RGB, frame
from trainer.world.scene import ACTIONS, COLORS, GRID, HELD_OUT, PLACES, SHAPES, SIZES, Scene, SceneClip, Thing

NOMINAL_FPS = 1.0  # frames are shown as one a second whatever their true times, in training and in use
_IGNORE = -100
Paints = Mapping[str, tuple[int, int, int]]


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
        return Row(view, (), (), tuple(lessons.thinned(asked, rng, min(most, 8))))  # each repeats a sentence
    if view == "clips":
        one, two = sorted(rng.sample(range(len(scene.clips)), 2))
        clips = (scene.clips[one], scene.clips[two])
        asked = list(lessons.bridging_lessons(*clips, rng))
        return Row(view, tuple(f for c in clips for f in _pair(c, rng)), clips, tuple(asked))
    wanted = round(looks * most)
    taught = lessons.image_lessons if view == "image" else lessons.clip_lessons
    asked = [*lessons.lookups(clip, rng, wanted), *lessons.thinned(list(taught(clip, rng)), rng, most - wanted)]
    if view == "image":
        return Row(view, _still(clip, rng), (clip,), tuple(asked))
    return Row(view, _pair(clip, rng), (clip,), tuple(asked))


def crowded_row(rng: Random) -> Row:
    """A row without lessons whose cells are half full, half of them in colours without a name.

    More to see than in scenes; and else shapes would be told by colour, as some pairs of both are never shown.
    """
    paints = {f"unnamed {i}": _unnamed_paint(rng) for i in range(4)}
    things = [
        Thing(color, shape, rng.choice(SIZES), rng.choice(ACTIONS), column, row, rng.randint(-1, 1), rng.randint(-1, 1))
        for row in range(GRID)
        for column in range(GRID)
        for color, shape in [(rng.choice(rng.choice((COLORS, tuple(paints)))), rng.choice(SHAPES))]
        if rng.random() < 0.5 and (color, shape) not in HELD_OUT
    ]
    clip = SceneClip(rng.choice(PLACES), tuple(things), rng.randrange(24))
    view: View = rng.choice(("image", "clip"))
    frames = _still(clip, rng, RGB | paints) if view == "image" else _pair(clip, rng, RGB | paints)
    return Row(view, frames, (clip,), ())


def _unnamed_paint(rng: Random) -> tuple[int, int, int]:
    """A bright colour that no named one is near."""
    while True:
        paint = (rng.randrange(256), rng.randrange(256), rng.randrange(256))
        if max(paint) > 160 and all(math.dist(paint, named) > 60 for named in RGB.values()):
            return paint


def name_row(scene: Scene, rng: Random) -> Row:
    """A row that only names: each thing of a clip, and one that isn't there."""
    row = sample_row(scene, rng.choice(("image", "clip")), rng, most=0)
    return replace(row, lessons=tuple(lessons.names(row.clips[0], rng)))


def _still(clip: SceneClip, rng: Random, paints: Paints = RGB) -> tuple[Image, Image]:
    still = _noisy(frame(clip, rng.choice((rng.uniform(0, 0.3), rng.uniform(0.7, 1.0))), paints=paints), rng)
    return still, still


def _pair(clip: SceneClip, rng: Random, paints: Paints = RGB) -> tuple[Image, Image]:
    first, last = rng.uniform(0.0, 0.2), rng.uniform(0.8, 1.0)
    return _noisy(frame(clip, first, paints=paints), rng), _noisy(frame(clip, last, paints=paints), rng)


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
        words[t.row * 4 + t.column, :5] = _thing_words(t, still=still)[:5]
    return words


def batches(tokenizer: PreTrainedTokenizerFast, rows: Sequence[Row]) -> list[Batch]:
    """Long rows in one batch and short ones in another, where that pads least: a third of the tokens would be padding."""
    lengths = {id(row): len(_lay_out(tokenizer, row)[0]) for row in rows}
    laid = sorted(rows, key=lambda row: lengths[id(row)])

    def padded(at: int) -> int:
        return at * lengths[id(laid[at - 1])] + (len(laid) - at) * lengths[id(laid[-1])]

    at = min(range(1, len(laid) + 1), key=padded)
    return [collate(tokenizer, part) for part in (laid[:at], laid[at:]) if part]


def collate(tokenizer: PreTrainedTokenizerFast, rows: Sequence[Row]) -> Batch:
    """One batch of rows, padded on the right."""
    laid = [_lay_out(tokenizer, row) for row in rows]
    count, length = len(laid), max(len(ids) for ids, *_ in laid)
    ids = np.full((count, length), tokenizer.pad_token_id)
    labels, segments = np.full((count, length), _IGNORE), np.full((count, length), -1)
    positions = np.zeros((3, count, length), np.int64)
    named, named_at = [np.zeros((0, len(WORD_GROUPS)), np.int64)], [np.zeros((0, 2), np.int64)]
    for b, (row_ids, row_labels, row_segments, row_positions) in enumerate(laid):
        n = len(row_ids)
        ids[b, :n], labels[b, :n], segments[b, :n], positions[:, b, :n] = (
            row_ids,
            row_labels,
            row_segments,
            row_positions,
        )
        ends, words = named_words(tokenizer, rows[b], row_ids, row_segments)
        named_at.append(np.stack([np.full(len(ends), b), ends], 1))
        named.append(words)
    frames = [f for row in rows for f in row.frames]
    return Batch(
        ids=torch.from_numpy(ids),
        labels=torch.from_numpy(labels),
        segments=torch.from_numpy(segments),
        positions=torch.from_numpy(positions),
        pixels=torch.from_numpy(patches(frames)) if frames else torch.zeros(0, 3 * 2 * PATCH * PATCH),
        named=torch.from_numpy(np.concatenate(named)),
        named_at=torch.from_numpy(np.concatenate(named_at)),
    )


def named_words(
    tokenizer: PreTrainedTokenizerFast, row: Row, ids: Sequence[int], segments: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where names of things end in a row's lessons, and the words that each named thing shows.

    A lesson about two clips names a thing of the first, then one of the second; one that names otherwise is left out.
    """
    colors, shapes = _word_numbers(tokenizer, COLORS), _word_numbers(tokenizer, SHAPES)
    ends: dict[int, list[int]] = defaultdict(list)
    for at in range(1, len(ids) if row.clips else 0):
        if ids[at] in shapes and ids[at - 1] in colors:
            ends[segments[at]].append(at)
    kept = [
        (at, row.clips[k if len(row.clips) == 2 else 0])
        for found in ends.values()
        if len(row.clips) == 1 or len(found) == 2
        for k, at in enumerate(found)
    ]
    words = np.full((len(kept), len(WORD_GROUPS)), _IGNORE)
    for words_of_one, (at, clip) in zip(words, kept, strict=True):
        name = f"{COLORS[colors[ids[at - 1]]]} {SHAPES[shapes[ids[at]]]}"
        thing = next((t for t in clip.things if t.name == name), None)
        words_of_one[:] = _thing_words(thing, still=row.view == "image")
    return np.array([at for at, _ in kept], np.int64), words


@cache
def _word_numbers(tokenizer: PreTrainedTokenizerFast, words: tuple[str, ...]) -> dict[int, int]:
    return {_encode(tokenizer, f" {word}")[0]: number for number, word in enumerate(words)}


def _thing_words(thing: Thing | None, *, still: bool) -> list[int]:
    if thing is None:
        return [0, *[_IGNORE] * (len(WORD_GROUPS) - 1)]
    action = _IGNORE if still else ACTIONS.index(thing.action)
    color = COLORS.index(thing.color) if thing.color in COLORS else _IGNORE
    look = (color, SHAPES.index(thing.shape), SIZES.index(thing.size), action)
    return [1, *look, thing.row, thing.column, _IGNORE]


def _lay_out(tokenizer: PreTrainedTokenizerFast, row: Row) -> tuple[list[int], list[int], list[int], Any]:
    prefix, prefix_positions, start = _prefix(tokenizer, row.view, len(row.frames) // 2)
    ids, labels, segments, positions = list(prefix), [_IGNORE] * len(prefix), [0] * len(prefix), [prefix_positions]
    begin, end = tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
    for k, lesson in enumerate(row.lessons, 1):
        asked, answer = [*_encode(tokenizer, lesson.prompt)], [*_encode(tokenizer, lesson.answer)]
        if answer:
            asked, answer = [*asked, begin], [*answer, end]
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
