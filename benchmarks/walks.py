"""What sampling walks costs (STEP Sec. 3.2): with a small and with a large database, together and one by one.

    python -m benchmarks.walks [--nodes 1000000]

Starts a Neo4j of its own. Prints what a walk takes, a question, and the export of the sampled graph, beside the same with
many nodes of other graphs in the database (a ratio of 1 is flat); and a walk with a query of its own for each. Times are the
processors', of Neo4j and of this process: other work on the machine hardly bears on them.
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from neo4j import Driver, ManagedTransaction

from graphdb import graphs, schema, videos
from graphdb.connection import connect, write
from graphdb.local import LocalNeo4j, free_ports
from graphdb.paths import sample_walks
from graphdb.qra import make_qra
from model.rationale.mix import Mix
from model.rationale.walk import Walk
from model.stsg import Clip
from trainer.world.scene import Scene
from trainer.world.truth import truth

_RUN = "run_sampled"
_WALKS, _ALONE, _STEPS, _REPEATS = 2000, 40, 4, 5
_BATCH = 20_000
_FILL = """
CYPHER 25
UNWIND range($first, $last) AS n
CREATE (o:Object:Static {id: 'filler/' + n, graph_id: 'filler_' + (n / 50), clip: n % 4, category: 'cup', mark: 'red'})
CREATE (o)-[:RELATION {id: 'filler/r/' + n, graph_id: 'filler_' + (n / 50), predicate: 'left of'}]->(o)
"""


def main() -> None:
    """Run both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--nodes", type=int, default=1_000_000, help="nodes of other graphs (default 1,000,000)")
    nodes = parser.parse_args().nodes
    with TemporaryDirectory() as folder:
        server = LocalNeo4j(Path(folder), *free_ports(2), heap_mb=1024).start()
        try:
            with connect(server.uri, server.user, server.password) as driver:
                _compare(driver, nodes, _Clock(server.pid))
        finally:
            server.stop()


def _compare(driver: Driver, nodes: int, clock: "_Clock") -> None:
    schema.apply(driver)
    _store(driver)
    _costs(driver, clock)  # a JVM that has just started is slower than it will be
    small = _costs(driver, clock)
    alone = clock.seconds(lambda seed: [_walks(driver, 1, _ALONE * seed + i) for i in range(_ALONE)]) / _ALONE
    for first in range(0, nodes, _BATCH):
        told = {"first": first, "last": min(first + _BATCH, nodes) - 1}
        write(driver, partial(_fill, told=told))
        sys.stderr.write(f"\r{told['last'] + 1:,} nodes")
    sys.stderr.write("\n")
    for what, large in _costs(driver, clock).items():
        sys.stdout.write(
            f"{what:24} {small[what] * 1e3:9.3f} ms, with {nodes:,} nodes {large * 1e3:9.3f} ms: "
            f"{large / small[what]:.2f} times\n"
        )
    walk = small["a walk"]
    sys.stdout.write(f"{'a walk by itself':24} {alone * 1e3:9.3f} ms: {alone / walk:.1f} times\n")


def _costs(driver: Driver, clock: "_Clock") -> dict[str, float]:
    """Seconds for one of each."""
    mix = Mix({1: 20, 2: 20, 3: 20})
    return {
        "a walk": clock.seconds(lambda seed: _walks(driver, _WALKS, seed)) / _WALKS,
        "a question": clock.seconds(lambda seed: list(make_qra(driver, [_RUN], mix, seed=seed)))
        / sum(mix.steps.values()),
        "the graph, exported": clock.seconds(lambda _: list(graphs.export_rows(driver, _RUN))),
    }


def _walks(driver: Driver, count: int, seed: int) -> list[Walk]:
    return sample_walks(driver, _RUN, count=count, steps=_STEPS, seed=seed)


def _fill(tx: ManagedTransaction, told: dict[str, int]) -> None:
    tx.run(_FILL, told).consume()


def _store(driver: Driver) -> None:
    graph = truth(Scene.generate(1, clips=4))
    videos.save_video(driver, "vid", {"name": "sampled.mp4", "created_at": 0.0})
    graphs.save_clips(driver, _RUN, "vid", [Clip(e.clip, e.t_start, e.t_end, 0, 1) for e in graph.events])
    graphs.save_graph(driver, _RUN, "vid", graph)


class _Clock:
    """Tells processor time, of the database and of this process together."""

    def __init__(self, database: int) -> None:
        self._processes = psutil.Process(database), psutil.Process()

    def seconds(self, act: Callable[[int], object]) -> float:
        """The least time of several after a warm-up."""
        act(0)
        times = []
        for seed in range(1, _REPEATS + 1):
            began = self._spent()
            act(seed)
            times.append(self._spent() - began)
        return min(times)

    def _spent(self) -> float:
        told = [process.cpu_times() for process in self._processes]
        return sum(t.user + t.system for t in told)


if __name__ == "__main__":
    main()
