"""From rows on disk to the samples of every step; needs no torch."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from random import Random
from typing import Any

from model.rationale.moments import are_beginnings, clips_to_tell, frames_at
from trainer.tuning.spec import TuningError, TuningSpec


@dataclass(frozen=True, slots=True)
class Sample:
    """A question about frames with its answer, and the rationale where there is one (STEP Sec. 3.2: x, q, a, r)."""

    id: str
    video_id: str
    question: str
    answer: str
    rationale: str
    steps: int
    frames: tuple[Path, ...]
    times: tuple[float, ...]
    options: tuple[str, ...] = ()  # of a choice
    shown: str = ""  # where in the video the frames are, if it has several clips
    instruction: str | None = None  # of a row of earlier instruction data, in place of i^a; "" is none


def training_samples(spec: TuningSpec, folder: Path) -> list[Sample]:
    """What a training learns from: the QRA rows, and the instruction rows of the mixture.

    Raises:
        TuningError: a file or a row that can't be used, or nothing to learn from.
    """
    samples = read_samples(folder, "train.jsonl", spec.frames)
    if not samples:
        raise TuningError("no_samples", "train.jsonl", "There is nothing to learn from.", "Give at least one row.")
    if spec.lambda_rationale == 0:  # then the term is not computed at all: exactly the training on answers
        samples = [replace(s, rationale="") for s in samples]
    if spec.mixture is not None and spec.mixture.ratio > 0:
        earlier = read_samples(folder, "mixture.jsonl", spec.frames, blind=True)
        if not earlier:
            remedy = "Give instruction rows, or leave the mixture out."
            raise TuningError("no_samples", "mixture.jsonl", "There is nothing to mix in.", remedy)
        wanted = round(spec.mixture.ratio * len(samples))
        chosen = order(len(earlier), wanted, f"{spec.seed}:mixture")
        samples += [replace(earlier[i], rationale="") for i in chosen]  # App. C: L_answer alone
    return samples


def order(count: int, length: int, seed: object) -> list[int]:
    """`length` indices below `count`: permutation after permutation, always the same for a seed."""
    made: list[int] = []
    while len(made) < length:
        turn = list(range(count))
        Random(f"{seed}:{len(made) // count}").shuffle(turn)
        made += turn
    return made[:length]


def drawn(held: list[Sample], most: int, seed: int) -> list[Sample]:
    """At most so many of the held-out samples, in their order, always the same for a seed; all where `most` is 0."""
    if not 0 < most < len(held):
        return held
    return [held[i] for i in sorted(order(len(held), most, f"{seed}:validation"))]


def order_by_frames(samples: Sequence[Sample], length: int, seed: object, per_video: int) -> list[int]:
    """Like `order`, but samples about the same frames follow each other, so many at a time.

    What is left of a video makes up runs with what is left of others, so that all runs are as long and batches begin with one.
    """
    if per_video == 1:
        return order(len(samples), length, seed)
    made: list[int] = []
    while len(made) < length:
        turn = order(len(samples), len(samples), f"{seed}:{len(made) // len(samples)}")
        made += _in_runs(samples, turn, per_video, Random(f"{seed}:{len(made) // len(samples)}:runs"))
    return made[:length]


def _in_runs(samples: Sequence[Sample], turn: Sequence[int], per_video: int, rng: Random) -> list[int]:
    shown: dict[tuple[Path, ...], list[int]] = {}
    for at in turn:
        shown.setdefault(samples[at].frames, []).append(at)
    whole = {frames: len(of) - len(of) % per_video for frames, of in shown.items()}
    left = [at for frames, of in shown.items() for at in of[whole[frames] :]]
    parts = [*(of[: whole[frames]] for frames, of in shown.items()), left]
    runs = [of[i : i + per_video] for of in parts for i in range(0, len(of), per_video)]
    last = [runs.pop()] if len(turn) % per_video else []  # the only shorter one
    rng.shuffle(runs)
    return [at for run in [*runs, *last] for at in run]


def read_samples(folder: Path, name: str, most_frames: int, *, blind: bool = False) -> list[Sample]:
    """The rows of a file in the folder; none where there is no such file. `blind`: also such as show no frames.

    Raises:
        TuningError: a row that can't be used, by its line.
    """
    file = folder / name
    if not file.is_file():
        return []
    return [_sample(row, folder, f"{name} line {n}", most_frames, blind) for n, row in _rows(file)]


def _rows(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with file.open(encoding="utf-8") as lines:
        for n, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as e:
                detail = f"{file.name} line {n} is no JSON: {e}."
                raise TuningError("bad_row", f"{file.name} line {n}", detail, "Write one object a line.") from e
            if not isinstance(row, dict):
                detail = f"{file.name} line {n} is no object."
                raise TuningError("bad_row", f"{file.name} line {n}", detail, "Write one object a line.")
            yield n, row


def _sample(row: Mapping[str, Any], folder: Path, place: str, most_frames: int, blind: bool) -> Sample:
    for key in ("question", "answer"):
        if not isinstance(row.get(key), str) or not row[key].strip():
            raise TuningError("bad_row", place, f"{place} has no {key}.", "Every row needs a question and an answer.")
    frames, times = ((), ()) if blind and not row.get("frames") else _shown(row, folder, place)
    kept = [len(frames) * (2 * i + 1) // (2 * most_frames) for i in range(most_frames)]  # the middles of equal parts
    if len(frames) > most_frames:
        frames, times = tuple(frames[i] for i in kept), tuple(times[i] for i in kept)
    told = row.get("rationale") or ()
    rationale = told if isinstance(told, str) else "\n".join(map(str, told))
    steps = row["steps"] if isinstance(row.get("steps"), int) else 0
    video = str(row.get("video_id", ""))
    name, options = str(row.get("id", place)), tuple(map(str, row.get("options") or ()))
    own = row.get("instruction")
    if own is not None and not isinstance(own, str):
        raise TuningError(
            "bad_row", place, f"{place} has an instruction that is no text.", "Write a text, or leave it out."
        )
    _check_clips(row, place)
    where = frames_at(times, clips_to_tell(row)) if frames and row.get("times") else ""
    return Sample(name, video, row["question"], row["answer"], rationale, steps, frames, times, options, where, own)


def _check_clips(row: Mapping[str, Any], place: str) -> None:
    if not are_beginnings(row.get("clips") or []):
        detail = f"{place} has clips that are no list of seconds in order."
        raise TuningError("bad_row", place, detail, "Tell when each clip begins, or leave clips out.")


def _shown(row: Mapping[str, Any], folder: Path, place: str) -> tuple[tuple[Path, ...], tuple[float, ...]]:
    names = row.get("frames") or []
    if not isinstance(names, Sequence) or isinstance(names, str) or not names:
        remedy = "Give `frames`, the pictures that the model is to see, in time order."
        raise TuningError("no_frames", place, f"{place} shows no frames.", remedy)
    times = row.get("times") or list(range(len(names)))
    if len(times) != len(names):
        detail = f"{place} has {len(names)} frames and {len(times)} times."
        raise TuningError("bad_row", place, detail, "Give a time for each frame.")
    for name in map(str, names):
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            remedy = "Name pictures inside the folder."
            raise TuningError("bad_row", place, f"{place} names a picture outside the folder.", remedy)
        if not (folder / name).is_file():
            remedy = "Put the picture there, or leave the row out."
            raise TuningError("frames_gone", place, f"{place}: the picture {name} is gone.", remedy)
    return tuple(folder / str(name) for name in names), tuple(map(float, times))
