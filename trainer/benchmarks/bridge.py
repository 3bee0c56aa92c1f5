"""A public benchmark for the evaluation by steps: asked through the rationale too, blind, and compared in pairs (STEP Table 2).

Answers are read as that evaluation reads them: open ones must match exactly, choices be named. Where a benchmark has a
judge or rules of its own (TempCompass), those scores are `stsg benchmark run`'s.
"""

from collections.abc import Iterable

from model.stsg import Keyframe
from trainer.benchmarks.choices import lettered
from trainer.benchmarks.frames import shown
from trainer.benchmarks.items import Item, Media
from trainer.benchmarks.suite import Loaded, version
from trainer.evaluation.benchmark import Benchmark
from trainer.evaluation.benchmark import Item as Asked
from trainer.evaluation.prior import Prior


def benchmark(name: str, loaded: Loaded, train: Iterable[Item] = ()) -> Benchmark:
    """The items whose videos are there, in order of the parts that they ask about.

    An item without steps counts as one step. `train` gives the guesses by phrasing, which are empty without it.
    """
    there = {_part(item.video_id, item.media): item for item in loaded.items if item.media is not None}
    asked = [_asked(item, item.media) for item in loaded.items if item.media is not None]

    def frames(part: str) -> tuple[Keyframe, ...]:
        return shown(there[part])

    prior = Prior.of((item.question, item.answer) for item in train)
    return Benchmark(name, version(loaded.files), tuple(sorted(asked, key=lambda item: item.video_id)), frames, prior)


def _asked(item: Item, media: Media) -> Asked:
    """The item with its options in the question, where the model is to be shown them."""
    options = item.options if item.options and lettered(item.options) in item.prompt else ()
    question = f"{item.question}\n{lettered(options)}" if options else item.question
    return Asked(item.id, _part(item.video_id, media), question, item.answer, item.steps or 1, options=options)


def _part(video_id: str, media: Media) -> str:
    """The part of a video that an item is about, as an id of its own."""
    return video_id if media.start is None else f"{video_id}@{media.start:g}-{media.end:g}"
