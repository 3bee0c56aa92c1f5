"""The public benchmarks there are, by name."""

from collections.abc import Mapping

from trainer.benchmarks import agqa, mvbench, open_qa, star, tempcompass
from trainer.benchmarks.files import BenchmarkError
from trainer.benchmarks.suite import Suite

SUITES: Mapping[str, Suite] = {
    suite.name: suite for module in (agqa, star, open_qa, mvbench, tempcompass) for suite in module.SUITES
}


def suite(name: str) -> Suite:
    """The benchmark of a name.

    Raises:
        BenchmarkError: there is none.
    """
    if name not in SUITES:
        raise BenchmarkError(f"There is no benchmark {name!r}.", f"Name one of {', '.join(SUITES)}.")
    return SUITES[name]
