"""What goes into a backup: the database's rows as files, and the names of the stored files, on disk and not in memory."""

import gzip
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

from graphdb.dump import Dumped, Row, Sink, dump
from workers.offline import Opened
from workers.storage import (
    PARENTS,
    Storage,
    dataset_file,
    keyframe_file,
    manifest_file,
    model_folder,
    upload_file,
    video_file,
)

_TOLD = 1000  # rows after which it is told how many there were
_TABLES = """
CREATE TABLE files (name TEXT PRIMARY KEY, size INTEGER) WITHOUT ROWID;
CREATE TABLE needed (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE owners (folder TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_LACKING = "SELECT name FROM needed EXCEPT SELECT name FROM files ORDER BY name"

# the spec of a checkpoint in a folder, in a text or in JSON, maybe within JSON
_PLACE = re.compile(r'\b(hf|scripted|recorded):[/~.][^"\\\n]*?([^/"\\\n]+)/*(?=["\\\n]|$)')


class Plan:
    """The database and the names of the files at one time, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.nodes, self.edges = folder / "nodes.jsonl.gz", folder / "edges.jsonl.gz"
        self.dumped = Dumped(0)
        self._sql = sqlite3.connect(folder / "names.sqlite", isolation_level=None)
        self._sql.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_TABLES}")

    def close(self) -> None:
        self._sql.close()

    def read(self, service: Opened, seen: Callable[[int], None]) -> None:
        """Read the database, then list the files.

        Args:
            service: whose they are.
            seen: gets the number of rows now and then.

        Raises:
            ChangedError: something was deleted meanwhile.
            TypeError: a property has a type that can't be kept.
        """
        with ExitStack() as files:
            write_node, write_edge = (_rows_into(files, file) for file in (self.nodes, self.edges))
            numbers = count(1)

            def keep(row: Row) -> None:
                self._note(row)
                write_node(_without_places(row))
                tell()

            def keep_edge(row: Row) -> None:
                write_edge(row)
                tell()

            def tell() -> None:
                if (number := next(numbers)) % _TOLD == 0:
                    seen(number)

            self.dumped = dump(service.driver, keep, keep_edge)
        self._list(service.storage)

    def _note(self, row: Row) -> None:
        """Note which folder of files belongs to a node, and which files it names."""
        if {"Video", "Job", "File", "Model"} & set(row["labels"]) and isinstance(
            id := row["properties"].get("id"), str
        ):
            self._sql.execute("INSERT OR IGNORE INTO owners VALUES (?)", (id.replace(":", "_"),))
        for name in _named(set(row["labels"]), row["properties"]):
            self._sql.execute("INSERT OR IGNORE INTO needed VALUES (?)", (name,))

    def _list(self, storage: Storage) -> None:
        known = "SELECT 1 FROM owners WHERE folder = ?"
        for parent in PARENTS:
            for folder in storage.folders(parent):
                if self._sql.execute(known, (folder,)).fetchone():  # else of something that came later
                    self._sql.executemany("INSERT INTO files VALUES (?, ?)", storage.sizes(f"{parent}/{folder}"))

    def missing(self, limit: int) -> list[str]:
        """Names of files that records name and that are not there, at most so many."""
        return [name for (name,) in self._sql.execute(f"{_LACKING} LIMIT ?", (limit,))]

    def count_missing(self) -> int:
        """How many files are not there that records name."""
        return int(self._sql.execute(f"SELECT count(*) FROM ({_LACKING})").fetchone()[0])  # noqa: S608 # a constant

    def needs(self, name: str) -> bool:
        """Whether a record names a file."""
        return self._sql.execute("SELECT 1 FROM needed WHERE name = ?", (name,)).fetchone() is not None

    def names(self) -> Iterator[str]:
        """The names of the files, sorted."""
        return (name for (name,) in self._sql.execute("SELECT name FROM files ORDER BY name"))

    def size(self) -> int:
        """About how many bytes the archive will have."""
        stored = self._sql.execute("SELECT coalesce(sum(size), 0) FROM files").fetchone()[0]
        return int(stored) + self.nodes.stat().st_size + self.edges.stat().st_size


def _rows_into(files: ExitStack, file: Path) -> Sink:
    """What writes rows into a file, which is closed with `files`."""
    out = files.enter_context(gzip.GzipFile(file, "wb", compresslevel=6))

    def write(row: Row) -> None:
        out.write(json.dumps(row).encode() + b"\n")

    return write


def _named(labels: set[str], p: dict[str, Any]) -> list[str]:
    """The files that a node names, if it is one of ours."""
    if p.get("deleting"):
        return []
    if "Video" in labels:
        return [video_file(p["id"])]
    if "Keyframe" in labels:
        return [keyframe_file(p["graph_id"], p["frame_id"])]
    if "File" in labels:
        return [upload_file(p["id"])]
    if "Model" in labels and p.get("kind") != "base":
        return [f"{model_folder(p['id'])}/config.json"]
    if "QraDataset" in labels and p.get("state") == "succeeded":
        return [dataset_file(p["id"]), manifest_file(p["id"])]
    return []


def _without_places(row: Row) -> Row:
    """A node without the folders of this machine in which checkpoints lie; `hf:/srv/models/qwen` -> `hf:qwen`."""
    kept = {k: _PLACE.sub(r"\1:\2", v) if isinstance(v, str) else v for k, v in row["properties"].items()}
    return row | {"properties": kept}
