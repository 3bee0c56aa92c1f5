"""The benchmarks there are, by name."""

from collections.abc import Callable, Mapping

from trainer.evaluation import world
from trainer.evaluation.benchmark import Benchmark

BENCHMARKS: Mapping[str, Callable[[], Benchmark]] = {
    "world": lambda: world.benchmark("test"),
    "world-composition": lambda: world.benchmark("composition"),
}
