"""Files of the service: videos, keyframes, traces, data sets; in a folder or behind any fsspec URL.

Every file appears whole or not at all, and a file that is written twice is the same file.
"""

import json
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import cv2
import fsspec
import numpy as np

from model.stsg import Image


class Storage:
    """One root, in which names are paths with forward slashes."""

    def __init__(self, url: str) -> None:
        self._files, self._root = fsspec.core.url_to_fs(url)
        self._local = "file" in (p if isinstance(p := self._files.protocol, tuple) else (p,))

    def path(self, name: str) -> str:
        if any(part in ("", ".", "..") for part in name.split("/")):
            raise ValueError(f"{name!r} is no name of a file.")
        return f"{self._root}/{name}"

    def exists(self, name: str) -> bool:
        return bool(self._files.exists(self.path(name)))

    def size(self, name: str) -> int:
        return int(self._files.size(self.path(name)))

    def open(self, name: str) -> IO[bytes]:
        """The file for reading at any position; FileNotFoundError where it isn't there."""
        opened: IO[bytes] = self._files.open(self.path(name), "rb")
        return opened

    def read(self, name: str) -> bytes:
        with self.open(name) as file:
            return file.read()

    def write(self, name: str, content: bytes | Iterable[bytes]) -> None:
        """Write a file whole."""
        part = f"{self.path(name)}.{secrets.token_hex(4)}.part"
        self._files.makedirs(part.rpartition("/")[0], exist_ok=True)
        try:
            with self._files.open(part, "wb") as out:
                for block in (content,) if isinstance(content, bytes) else content:
                    out.write(block)
            self._files.mv(part, self.path(name))
        except BaseException:
            if self._files.exists(part):
                self._files.rm(part)
            raise

    def take(self, name: str, file: Path) -> None:
        """Store a local file, which is gone from where it was."""
        if self._local:
            Path(self.path(name)).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(file, self.path(name))
            return
        with file.open("rb") as source:
            self.write(name, iter(lambda: source.read(2**20), b""))
        file.unlink()

    def write_json(self, name: str, value: Any) -> None:
        self.write(name, json.dumps(value, ensure_ascii=False, indent=2).encode() + b"\n")

    def read_json(self, name: str) -> Any:
        return json.loads(self.read(name))

    def write_rows(self, name: str, rows: Iterable[dict[str, Any]]) -> None:
        """JSONL, a row a line."""
        self.write(name, (json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows))

    def rows(self, name: str) -> Iterator[dict[str, Any]]:
        with self.open(name) as file:
            for line in file:
                yield json.loads(line)

    def write_image(self, name: str, image: Image) -> None:
        """A PNG: what is read back are the same pixels."""
        ok, encoded = cv2.imencode(".png", image[:, :, ::-1])
        assert ok
        self.write(name, encoded.tobytes())

    def read_image(self, name: str) -> Image:
        image = cv2.imdecode(np.frombuffer(self.read(name), np.uint8), cv2.IMREAD_COLOR)
        assert image is not None, f"{name} is no image"
        return np.ascontiguousarray(image[:, :, ::-1]).astype(np.uint8)

    def names(self, folder: str) -> list[str]:
        """The names of the files below a folder, sorted; none where it isn't there."""
        found = self._files.find(self.path(folder)) if self._files.exists(self.path(folder)) else []
        cut = len(self._root) + 1
        return sorted(str(path)[cut:] for path in found if not str(path).endswith(".part"))

    def delete(self, name: str) -> None:
        """Delete a file or a folder with all it holds; nothing where it isn't there."""
        if self._files.exists(self.path(name)):
            self._files.rm(self.path(name), recursive=True)

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """The file as a local path, fetched where it has to be."""
        if self._local:
            yield Path(self.path(name))
            return
        with TemporaryDirectory() as folder:
            target = Path(folder) / name.rpartition("/")[2]
            self._files.get(self.path(name), str(target))
            yield target


def video_file(video_id: str) -> str:
    """Where a video's file is."""
    return f"videos/{video_id}/source"


def keyframe_file(run_id: str, frame_id: str) -> str:
    """Where a keyframe's picture is."""
    return f"runs/{run_id}/keyframes/{frame_id.rpartition(':')[2]}.png"


def trace_file(run_id: str, stage: str) -> str:
    """Where the exchanges of a stage are."""
    return f"runs/{run_id}/trace/{stage}.jsonl"


def rejects_file(run_id: str, stage: str) -> str:
    """Where the replies of a stage that could not be used are."""
    return f"runs/{run_id}/rejects/{stage}.jsonl"


def dataset_file(dataset_id: str) -> str:
    """Where a data set's rows are."""
    return f"qra/{dataset_id}/rows.jsonl"


def manifest_file(dataset_id: str) -> str:
    """Where a data set's manifest is."""
    return f"qra/{dataset_id}/manifest.json"


def replies_file(evaluation_id: str, first: int) -> str:
    """Where the replies to some of an evaluation's questions are, from number `first` on."""
    return f"evaluations/{evaluation_id}/replies/{first:06d}.jsonl"


def benchmark_file(version: str, video_id: str, name: str) -> str:
    """Where a frame of a benchmark's video is, or the list of them."""
    return f"benchmarks/{version}/{video_id}/{name}"


def export_file(dataset_id: str, name: str) -> str:
    """Where an export of a data set is that was built as a file."""
    return f"qra/{dataset_id}/exports/{name}"
