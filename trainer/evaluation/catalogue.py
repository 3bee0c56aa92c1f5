"""The benchmarks there are, by name."""

from collections.abc import Callable, Mapping
from functools import partial

from trainer.evaluation import world
from trainer.evaluation.benchmark import Benchmark

BENCHMARKS: Mapping[str, Callable[[], Benchmark]] = {
    world.name_of(split): partial(world.benchmark, split) for split in world.SPLITS
}
