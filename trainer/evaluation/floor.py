"""The floor of a benchmark: what a guesser scores who sees which things a video holds, and not how they are related.

A score shows reasoning where it is above this floor.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from trainer.evaluation.statistics import Interval, bootstrap


@dataclass(frozen=True, slots=True)
class Guess:
    """How likely a guess is right, from 0 to 1, among the things of the whole video and of the answer's clip.

    An answer is `forced` where its clip leaves no other: that is elimination, and no reasoning.
    """

    in_video: float
    in_clip: float
    forced: bool

    def to_dict(self) -> dict[str, Any]:
        """The guess as a JSON value."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Guess":
        """Read a guess from a JSON value."""
        return cls(float(values["in_video"]), float(values["in_clip"]), bool(values["forced"]))


@dataclass(frozen=True, slots=True)
class Floor:
    """The mean guess of some questions, and how far answers are above it.

    `skill` is (accuracy - guess in the video) / (1 - guess in the video): 0 is guessing, 1 is all right.
    """

    in_video: float
    in_clip: float
    skill: float
    skill_interval: Interval  # 95 %, videos drawn anew
    unforced: int  # questions whose clip leaves more than one answer
    unforced_correct: int

    @classmethod
    def of(cls, correct: Sequence[bool], guesses: Sequence[Guess], videos: Sequence[str], *, seed: int) -> "Floor":
        """Compute the floor beside some answers.

        Args:
            correct: whether each answer is right.
            guesses: of the same questions.
            videos: the id of each question's video.
            seed: of the bootstrap over videos.

        Returns:
            The floor of these questions.
        """
        count = len(guesses)
        in_video = sum(g.in_video for g in guesses) / count
        gains = [right - g.in_video for right, g in zip(correct, guesses, strict=True)]
        low, high = bootstrap(gains, videos, seed=seed)
        room = 1 - in_video or 1.0
        free = [right for right, g in zip(correct, guesses, strict=True) if not g.forced]
        return cls(
            in_video,
            sum(g.in_clip for g in guesses) / count,
            sum(gains) / count / room,
            (low / room, high / room),
            len(free),
            sum(free),
        )

    def to_dict(self) -> dict[str, Any]:
        """The floor as a JSON value."""
        return asdict(self) | {"skill_interval": list(self.skill_interval)}
