"""What exporting a million samples costs: time beside what the same bytes cost without a server, and the server's memory.

    python -m benchmarks.exports [--rows 1000000] [--folder FOLDER]

Starts a Neo4j and an API of its own. Each export goes whole to a client that counts its bytes; the server's memory is compared
with what it was after a small export of the same kind. Then a client leaves each export after megabytes or a second of waiting.
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import httpx
import psutil
from neo4j import Driver

from graphdb import jobs, schema
from graphdb.connection import connect
from graphdb.local import LocalNeo4j, free_ports
from model.rationale.formats import to_rows
from model.rationale.qra import Qra
from workers.storage import Storage, dataset_file, manifest_file

_SMALL, _LARGE = "qra_small", "qra_large"
_SMALL_ROWS = 5000
_PER_VIDEO = 50
_LEFT_AFTER = 4 * 2**20
_EXPORTS: tuple[dict[str, str], ...] = (
    {"format": "jsonl"},
    {"format": "sharegpt"},
    {"format": "sharegpt", "accept": "gzip"},
    {"format": "parquet"},
    {"format": "hf"},
    {"format": "jsonl", "media": "tar"},
)


def main() -> None:
    """Run every export, whole and dropped."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=1_000_000, help="samples (default 1,000,000)")
    parser.add_argument("--folder", type=Path, help="where files are put for the while (default: the system's)")
    given = parser.parse_args()
    with TemporaryDirectory(dir=given.folder) as name:
        home = Path(name)
        neo4j = LocalNeo4j(home / "neo4j", *free_ports(2)).start()
        try:
            storage = Storage(str(home / "files"))
            with connect(neo4j.uri, neo4j.user, neo4j.password) as driver:
                schema.apply(driver)
                for id, count in ((_SMALL, _SMALL_ROWS), (_LARGE, given.rows)):
                    _store(driver, storage, id, count)
            with _served(home, neo4j) as server:
                _compare(server, Path(storage.path(dataset_file(_LARGE))), given.rows)
        finally:
            neo4j.stop()


def _store(driver: Driver, storage: Storage, id: str, count: int) -> None:
    """A finished data set, and one keyframe and video for all that its rows name."""
    storage.write_rows(dataset_file(id), (_row(number) for number in range(count)))
    storage.write_json(manifest_file(id), {"id": id, "runs": []})
    for number in range(0, count, _PER_VIDEO):
        storage.write(f"videos/{_video(number)}/source", b"video")
    jobs.create(driver, "QraDataset", id, name=id, seed=1, params={"runs": [], "steps": {}, "seed": 1}, stage="qra")
    held = jobs.acquire(driver, id, "benchmark", 60)
    assert held
    jobs.finish(driver, held[0], "succeeded", result={"count": count, "by_steps": {"2": count}})


def _video(number: int) -> str:
    return f"vid_{number // _PER_VIDEO:024x}"


def _row(number: int) -> dict[str, Any]:
    """A sample of the usual length."""
    video, clip = _video(number), number % 7
    return Qra(
        id=f"qra_{number:024x}",
        video_id=video,
        run_id=f"run_{number // _PER_VIDEO:024x}",
        question=f"What is left of the red cup that stands on the table when the dog number {number} runs to the door?",
        rationale=(
            f"In clip {clip}, the dog number {number} is running to the door.",
            "In that clip, the red cup is standing on the table.",
            "The object left of the red cup is the white plate.",
        ),
        answer=f"white plate {number % 1000}",
        n_hops=2,
        n_temporal=0,
        family="relation",
        path=(
            {"kind": "MOTION", "from": f"c{clip}/k0/dog/1", "to": f"c{clip}/k1/dog/1", "predicate": "running to"},
            {"kind": "RELATION", "from": f"c{clip}/k0/plate/1", "to": f"c{clip}/k0/cup/1", "predicate": "left of"},
        ),
        program=(
            {"op": "clip_number", "number": clip},
            {"op": "named", "clip": 0, "name": "red cup"},
            {"op": "related", "of": 1, "predicate": "left of"},
            {"op": "name", "of": 2},
        ),
        keyframes=tuple(f"{video}:{second * 1000:09d}" for second in range(3)),
        evidence=tuple(f"{number * 8 + i:016x}" for i in range(8)),
    ).to_row()


class _Server:
    """The API in a process of its own."""

    def __init__(self, url: str, pid: int) -> None:
        self.http = httpx.Client(base_url=url)
        self._process = psutil.Process(pid)

    def memory(self) -> int:
        return int(self._process.memory_info().rss)

    def busy(self, seconds: float) -> float:
        """Seconds of a processor that it uses in so many seconds."""
        began = sum(self._process.cpu_times()[:2])
        time.sleep(seconds)
        return float(sum(self._process.cpu_times()[:2]) - began)

    def open_files(self) -> list[str]:
        return [Path(file.path).name for file in self._process.open_files() if "files" in Path(file.path).parts]

    def export(self, dataset: str, wanted: Mapping[str, str], *, leaving: bool = False) -> int:
        """How many bytes came."""
        params = {k: v for k, v in wanted.items() if k != "accept"}
        headers = {"Accept-Encoding": wanted.get("accept", "identity")}
        timeout = httpx.Timeout(600, read=1) if leaving else httpx.Timeout(3600)
        path, size = f"/v1/qra-datasets/{dataset}/export", 0
        with self.http.stream("GET", path, params=params, headers=headers, timeout=timeout) as reply:
            reply.raise_for_status()
            for block in reply.iter_raw():
                size += len(block)
                if leaving and size >= _LEFT_AFTER:
                    break
        return size

    @contextmanager
    def watched(self) -> Iterator[list[int]]:
        """The most memory that it has meanwhile, as the list's last."""
        seen, over = [self.memory()], threading.Event()

        def look() -> None:
            while not over.wait(0.05):
                seen.append(max(seen[-1], self.memory()))

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            yield seen
        finally:
            over.set()
            watcher.join()


@contextmanager
def _served(home: Path, neo4j: LocalNeo4j) -> Iterator[_Server]:
    [port] = free_ports(1)
    env = {"STSG_HOME": str(home), "STSG_NEO4J_URI": neo4j.uri, "STSG_NEO4J_PASSWORD": neo4j.password}
    words = ["uvicorn", "api.app:create_app", "--factory", "--port", str(port), "--log-level", "warning"]
    child = subprocess.Popen([sys.executable, "-m", *words], env=os.environ | env)
    server = _Server(f"http://127.0.0.1:{port}", child.pid)
    try:
        while True:
            try:
                server.http.get("/healthz").raise_for_status()
                break
            except httpx.TransportError:
                time.sleep(0.2)
        yield server
    finally:
        child.terminate()
        child.wait()


def _compare(server: _Server, file: Path, rows: int) -> None:
    limits = {"jsonl": _seconds(_read, file), "sharegpt": _seconds(_rewritten, file)}
    limits["sharegpt gzip"] = _seconds(_packed, file)
    sys.stdout.write(f"{rows:,} rows, {file.stat().st_size / 1e9:.2f} GB as they are stored\n")
    for wanted in _EXPORTS:
        name = " ".join(wanted.values())
        server.export(_SMALL, wanted)
        before, began = server.memory(), time.perf_counter()
        with server.watched() as most:
            size = server.export(_LARGE, wanted)
        took = time.perf_counter() - began
        ratio = f", {took / limits[name]:.1f} times what it takes without a server" if name in limits else ""
        sys.stdout.write(
            f"{name:14}{rows / took:11,.0f} rows/s {size / 1e9:6.2f} GB, memory {before / 2**20:.0f} MiB"
            f" and {(most[-1] - before) / 2**20:+.0f} MiB at its most{ratio}\n"
        )
    for wanted in _EXPORTS:
        name, built = " ".join(wanted.values()), wanted["format"] in ("parquet", "hf")
        with suppress(httpx.ReadTimeout):  # what is built is asked for in a way that isn't there yet
            server.export(_LARGE, wanted | ({"split": "train", "validation": "0.5"} if built else {}), leaving=True)
        after = " ".join(f"{server.busy(1.0):.2f}" for _ in range(3))
        open_files = ", ".join(server.open_files()) or "nothing"
        sys.stdout.write(f"{name:14} left: {after} s of a processor in the seconds after, open: {open_files}\n")


def _seconds(work: Any, *given: Any) -> float:
    began = time.perf_counter()
    work(*given)
    return time.perf_counter() - began


def _read(file: Path) -> None:
    with file.open("rb") as opened:
        while opened.read(2**18):
            pass


def _rewritten(file: Path) -> None:
    """Reads samples and writes a trainer's rows, to nowhere."""
    with Path(os.devnull).open("wb") as target:
        _rewrite(file, target)


def _packed(file: Path) -> None:
    with gzip.open(os.devnull, "wb", 6) as target:
        _rewrite(file, target)


def _rewrite(file: Path, target: BinaryIO | gzip.GzipFile) -> None:
    with file.open("rb") as source:
        for line in source:
            for row in to_rows(json.loads(line), "sharegpt"):
                target.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")


if __name__ == "__main__":
    main()
