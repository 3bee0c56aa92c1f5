"""A benchmark as a whole: its items from the files on disk, and what of it is there."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from trainer.benchmarks.files import BenchmarkError, digest
from trainer.benchmarks.items import Item, Outcome, Scoring

Results = Mapping[str, tuple[Item, Outcome]]  # by id of the item
Draw = Callable[[Sequence[Item]], Sequence[Item]]
_NAMED = 5  # missing videos that a message names


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a reader found: items in the files' order, the files themselves, and what is odd about them."""

    items: tuple[Item, ...]
    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """What of a benchmark is on disk; `problems` keep it from being used whole."""

    name: str
    files: Mapping[str, str]  # the version of each
    questions: int
    expected: int
    videos: int
    missing: tuple[str, ...]  # ids of the videos that are not there
    notes: tuple[str, ...]
    problems: tuple[str, ...]
    where: str

    @property
    def ready(self) -> bool:
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in ("name", "questions", "expected", "videos", "where")}
        lists = {name: list(getattr(self, name)) for name in ("missing", "notes", "problems")}
        return told | lists | {"files": dict(self.files), "ready": self.ready}


@dataclass(frozen=True, slots=True)
class Suite:
    """A benchmark by name. `scoring` takes whether the official rule is wanted with its known faults."""

    name: str
    where: str  # to get its files, and where to put them
    expected: int  # questions, as published
    read: Callable[[Path], Loaded]
    scoring: Callable[[bool], Scoring]
    more: Callable[[Results], dict[str, float]] = field(default=lambda results: {})  # official figures of its own

    def check(self, folder: Path) -> Check:
        """What is on disk, what is missing, and where to get it; never raises for files that are wrong."""
        try:
            loaded = self.loaded(folder)
        except BenchmarkError as e:
            return Check(self.name, {}, 0, self.expected, 0, (), (), (str(e),), self.where)
        missing = _missing(loaded.items)
        there = {item.video_id for item in loaded.items if item.media is not None}
        return Check(
            self.name,
            {file.name: digest(file) for file in loaded.files},
            len(loaded.items),
            self.expected,
            len(there),
            missing,
            loaded.notes,
            tuple(_problems(self, len(loaded.items), missing)),
            self.where,
        )

    def loaded(self, folder: Path) -> Loaded:
        """All that is on disk.

        Raises:
            BenchmarkError: files are missing, of another version or damaged.
        """
        try:
            return self.read(folder)
        except (AttributeError, LookupError, TypeError, ValueError) as e:
            detail = f"A record in {folder} is of another form than {self.name} has ({type(e).__name__}: {e})."
            raise BenchmarkError(detail, f"It is another version, or damaged. {self.where}") from e

    def items(self, folder: Path, *, partial: bool = False, draw: Draw = tuple) -> Loaded:
        """The items that `draw` takes of all, with their videos; with `partial` of a part, or without some videos.

        Raises:
            BenchmarkError: files are missing, of another version or damaged; or a part is missing and `partial` is off.
        """
        loaded = self.loaded(folder)
        drawn = replace(loaded, items=tuple(draw(loaded.items)))
        problems = _problems(self, len(loaded.items), _missing(drawn.items))
        if problems and not partial:
            raise BenchmarkError(
                " ".join((*problems, *loaded.notes)), f"{self.where} A part can be run if it is asked for (partial)."
            )
        return drawn


def _missing(items: Sequence[Item]) -> tuple[str, ...]:
    """The videos of items that are not there."""
    return tuple(sorted({item.video_id for item in items if item.media is None}))


def _problems(suite: Suite, questions: int, missing: Sequence[str]) -> list[str]:
    found = []
    if questions != suite.expected:
        found.append(f"{suite.name} has {suite.expected:,} questions as published; {questions:,} are here.")
    if missing:
        named = ", ".join(missing[:_NAMED]) + (", ..." if len(missing) > _NAMED else "")
        found.append(f"{len(missing):,} videos are missing: {named}.")
    return found


def version(files: Sequence[Path]) -> str:
    """Which version of a benchmark its files are: only the same one can be compared."""
    told = "\n".join(f"{file.name} {digest(file)}" for file in sorted(files))
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def subset(items: Sequence[Item], count: int, seed: int) -> list[Item]:
    """`count` items drawn by seed from the sorted ids, in the files' order; a larger draw holds the smaller one."""
    ids = sorted(item.id for item in items)
    Random(seed).shuffle(ids)
    taken = set(ids[:count])
    return [item for item in items if item.id in taken]


def listed(items: Sequence[Item], ids: Sequence[str]) -> list[Item]:
    """The items of a list of ids, in its order.

    Raises:
        BenchmarkError: the list names one twice, or one that isn't there.
    """
    known = {item.id: item for item in items}
    wrong = [id for at, id in enumerate(ids) if id not in known or id in ids[:at]]
    if wrong:
        raise BenchmarkError(
            f"The list names {wrong[0]!r}, which is unknown or there twice.", "Give ids of this benchmark, each once."
        )
    return [known[id] for id in ids]
