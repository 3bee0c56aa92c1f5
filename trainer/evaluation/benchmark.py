"""What a benchmark is: questions about videos with one right answer each, by number of reasoning steps (STEP Table 2)."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from model.stsg import Keyframe
from trainer.evaluation.floor import Guess
from trainer.evaluation.prior import Prior

STRATA = ("1", "2", "3+")
Frames = Callable[[str], tuple[Keyframe, ...]]  # of a video, in time order, by its id


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One question about a video; `frames` are there once they are needed, `options` where it is a choice.

    `guess` is how likely a guess is right, where the benchmark knows its videos' truth.
    """

    id: str
    video_id: str
    question: str
    answer: str
    steps: int
    frames: tuple[Keyframe, ...] = ()
    options: tuple[str, ...] = ()
    guess: Guess | None = None


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Questions in order of their videos, where their frames come from, and what their words alone let one guess."""

    name: str
    version: str  # a hash of the questions: only the same version can be compared
    items: tuple[Item, ...]
    frames: Frames
    prior: Prior


def stratum(steps: int) -> str:
    """The column of a question in the report: 1, 2, or 3 and more steps."""
    return STRATA[min(steps, len(STRATA)) - 1]


def chosen(items: Sequence[Item], samples: int, seed: int) -> list[Item]:
    """`samples` questions, of each stratum alike, about as few videos as that takes; in their order.

    Frames cost more than questions, so a sample is of whole videos. A larger one of the same seed holds the smaller one's
    videos.
    """
    videos = sorted({item.video_id for item in items})
    Random(seed).shuffle(videos)
    turn = {video: at for at, video in enumerate(videos)}
    waiting = sorted(range(len(items)), key=lambda at: (turn[items[at].video_id], at))
    strata = [name for name in STRATA if any(stratum(item.steps) == name for item in items)]
    room = Counter({name: samples // len(strata) + (at < samples % len(strata)) for at, name in enumerate(strata)})
    taken = []
    for at in waiting:
        if room[stratum(items[at].steps)] > 0:
            room[stratum(items[at].steps)] -= 1
            taken.append(at)
    others = [at for at in waiting if at not in set(taken)]  # where a stratum holds too few
    return [items[at] for at in sorted(taken + others[: samples - len(taken)])]


def shown(items: Iterable[Item], frames: Frames) -> Iterator[Item]:
    """The items with their frames, each video's fetched once where its items follow each other."""
    video, seen = "", tuple[Keyframe, ...]()
    for item in items:
        if item.video_id != video:
            video, seen = item.video_id, frames(item.video_id)
        yield replace(item, frames=seen)
