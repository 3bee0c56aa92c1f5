"""The world benchmark: questions about held-out worlds, answered from their true graphs; frames come from the seeds.

`python -m workers.world_questions` made the questions. Blind guessing is kept low: most questions ask which object, few
have two possible answers, and among questions of one kind every answer is right about as often as any other.
"""

import gzip
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from model.induction.splitting import SplittingOptions
from model.induction.splitting import split as split_video
from model.rationale.evaluate import evaluate
from model.stsg import Keyframe
from trainer.evaluation.benchmark import STRATA, Benchmark, Item, stratum
from trainer.evaluation.prior import Prior, phrasing
from trainer.evaluation.scoring import correct, read_ending
from trainer.evaluation.world_guess import guess
from trainer.world.render import render_video
from trainer.world.scene import COLORS, DIRECTIONS, SHAPES, SIZES, Scene, Split
from trainer.world.truth import truth

Row = dict[str, Any]
# Each is a benchmark; the last is to choose by.
SPLITS: tuple[Split, ...] = ("test", "composition", "shifted", "validation")
PER_WORLD = 3  # questions of each stratum
_FOLDER = Path(__file__).parent / "questions"
_KINDS: Mapping[str, float] = {  # what is asked for, by the program's end; any other kind is left out
    "name": 11,
    "action": 3,
    "value color": 2,
    "value size": 1,
    "count": 2,
}
_WORDS = frozenset((*COLORS, *SHAPES, *SIZES, *DIRECTIONS))  # of names and answers


def name_of(split: Split) -> str:
    """What the benchmark of a split is called."""
    return "world" if split == "test" else f"world-{split}"


def video_id(split: Split, seed: int) -> str:
    """The id of a world's video in this benchmark."""
    return f"world-{split}-{seed}"


def seed_of(id: str) -> int:
    """The seed of a world, from its video's id."""
    return int(id.rpartition("-")[2])


def kind_of(row: Row) -> str:
    """What a question asks for."""
    last = row["program"][-1]
    return " ".join(filter(None, (last["op"], last.get("type"))))


def balanced(pool: Sequence[Row]) -> list[Row]:
    """As many questions of each stratum about each world, chosen so that words alone tell little of the answer.

    Only such are taken as have a rationale that ends in the answer, where an answer through the rationale is read.
    Takes one after the other: of the number of steps, then the kind, that is furthest behind, the answer that was right
    least often for its phrasing and for its kind. Ties go by the order of the pool.
    """
    chosen: list[int] = []
    for name in STRATA:
        left = {at: row for at, row in enumerate(pool) if stratum(row["steps"]) == name and _fit(row)}
        taken: Counter[Any] = Counter()
        while left:
            at = min(left, key=lambda i: (_wear(left[i], taken), i))
            row = left.pop(at)
            chosen.append(at)
            taken.update(_marks(row))
            if taken["world", row["seed"]] == PER_WORLD:
                left = {i: r for i, r in left.items() if r["seed"] != row["seed"]}
    rows = [pool[at] for at in chosen]
    return sorted(rows, key=lambda row: (row["seed"], row["steps"], row["question"]))


def _fit(row: Row) -> bool:
    ending = read_ending("\n".join(row["rationale"]))
    return kind_of(row) in _KINDS and ending is not None and correct(ending, row["answer"])


def _marks(row: Row) -> list[tuple[Any, ...]]:
    kind, answer = kind_of(row), row["answer"]
    return [
        ("world", row["seed"]),
        ("steps", row["steps"]),
        ("kind", kind),
        ("phrasing", phrasing(row["question"], _WORDS), answer),
        ("answer", kind, answer),
    ]


def _wear(row: Row, taken: Counter[Any]) -> tuple[float, ...]:
    """How much of what a question is has been taken already; the least worn is next."""
    world, steps, kind, phrased, answer = (taken[mark] for mark in _marks(row))
    return steps, kind / _KINDS[kind_of(row)], phrased, answer, world


def write(split: Split, rows: Sequence[Row]) -> None:
    """Keep the questions of a split."""
    _FOLDER.mkdir(exist_ok=True)
    with gzip.GzipFile(_FOLDER / f"{split}.jsonl.gz", "wb", mtime=0) as file:
        file.writelines(line(row) for row in rows)


def line(row: Row) -> bytes:
    """A question as it is kept: always the same bytes for the same question."""
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def write_prior(prior: Prior) -> None:
    """Keep what can be guessed from a question's words."""
    (_FOLDER / "prior.json").write_text(json.dumps(prior.to_dict(), indent=1) + "\n")


@cache
def rows(split: Split) -> tuple[Row, ...]:
    """The questions of a split, in order of their worlds."""
    with gzip.open(_FOLDER / f"{split}.jsonl.gz") as file:
        return tuple(json.loads(text) for text in file)


@cache
def benchmark(split: Split) -> Benchmark:
    """The benchmark of a split."""
    version = sha256(b"".join(line(row) for row in rows(split))).hexdigest()[:12]
    return Benchmark(name_of(split), version, tuple(item for item, _ in _known(split).values()), keyframes, _prior())


@cache
def _prior() -> Prior:
    return Prior.from_dict(json.loads((_FOLDER / "prior.json").read_text()))


@cache
def _known(split: Split) -> dict[str, tuple[Item, Row]]:
    """Each question with what is known about it, by its id, which is a hash of what is asked."""
    found = {}
    for row in rows(split):
        video = video_id(split, row["seed"])
        id = f"{video}-{sha256(row['question'].encode()).hexdigest()[:8]}"
        scene, usual = scene_of(video), _prior().guess(row["question"])
        chance = guess(scene, truth(scene), row, usual)
        found[id] = Item(id, video, row["question"], row["answer"], row["steps"], guess=chance), row
    return found


def scene_of(video: str) -> Scene:
    """The world of a video of this benchmark."""
    _, split, seed = video.split("-")
    return Scene.generate(int(seed), split=cast(Split, split))


def keyframes(video: str) -> tuple[Keyframe, ...]:
    """A world's keyframes as the induction would choose them: from its encoded video, two of each clip."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "world.mp4"
        render_video(scene_of(video), file)
        return tuple(frame for clip in split_video(file, video, SplittingOptions(), 0) for frame in clip.keyframes)


def perfect(item: str) -> tuple[str, str]:
    """The rationale and the answer to a question: the answer comes from running its program on the true graph."""
    video = item.rpartition("-")[0]
    _, row = _known(cast(Split, video.split("-")[1]))[item]
    outcome = evaluate(tuple(row["program"]), truth(scene_of(video)))
    return "\n".join(row["rationale"]), str(outcome.answer)
