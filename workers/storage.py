"""Files of the service: videos, keyframes, traces, data sets, models; in a folder or behind any fsspec URL.

Every file appears whole or not at all, and is on the disk when the call that wrote it returns; a file that is written
twice is the same file.
"""

import json
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import cv2
import fsspec
import numpy as np

from model import durable
from model.stsg import Image

PARENTS = ("videos", "runs", "qra", "evaluations", "files", "models", "tuning")  # folders of what records are about
MARK = "storage.json"  # says which database the files belong to


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
        self._make_folder(part.rpartition("/")[0])
        try:
            with self._files.open(part, "wb") as out:
                for block in (content,) if isinstance(content, bytes) else content:
                    out.write(block)
            if self._local:
                durable.settle(Path(part), Path(self.path(name)))
            else:
                self._files.mv(part, self.path(name))
        except BaseException:
            if self._files.exists(part):
                self._files.rm(part)
            raise

    def _make_folder(self, folder: str) -> None:
        if self._local:
            durable.make_folder(Path(folder))
        else:
            self._files.makedirs(folder, exist_ok=True)

    def take(self, name: str, file: Path) -> None:
        """Store a local file, which is gone from where it was."""
        self._put(name, file)
        file.unlink()

    def _put(self, name: str, file: Path) -> None:
        """Store a local file whole; on the same disk it is only given a second name."""
        if self._local and _linked(file, Path(self.path(name))):
            return
        with file.open("rb") as source:
            self.write(name, iter(lambda: source.read(2**20), b""))

    def fetch(self, name: str, target: Path) -> None:
        """Put a stored file somewhere on this machine, to be read; on the same disk it is only given a second name.

        Raises:
            FileNotFoundError: it isn't there.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        if not (self._local and _linked(Path(self.path(name)), target)):
            target.write_bytes(self.read(name))

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

    def sizes(self, folder: str) -> Iterator[tuple[str, int]]:
        """The names of the files below a folder with their sizes in bytes, in no order; none where it isn't there."""
        if self._files.exists(self.path(folder)):
            cut = len(self._root) + 1
            for path, about in self._files.find(self.path(folder), detail=True).items():
                if not str(path).endswith(".part"):
                    yield str(path)[cut:], int(about["size"])

    def folders(self, parent: str) -> list[str]:
        """The names of the folders right below one, sorted; none where it isn't there."""
        found = self._files.ls(self.path(parent), detail=True) if self.exists(parent) else []
        return sorted(str(f["name"]).rstrip("/").rpartition("/")[2] for f in found if f["type"] == "directory")

    def age(self, name: str) -> float:
        """Seconds since anything of a file or folder was written last, as the storage's clock has it; 0 if it can't tell."""
        root = self.path(name)
        try:
            files = self._files.find(root) or [root]
            return time.time() - max(float(self._files.modified(file).timestamp()) for file in files)
        except (NotImplementedError, FileNotFoundError):
            return 0.0

    def delete_parts(self, old: float) -> list[str]:
        """Delete what was begun more than `old` seconds ago and never got its name; which it was."""
        cut = len(self._root) + 1
        parts = [str(path)[cut:] for path in self._files.find(self._root) if str(path).endswith(".part")]
        gone = [name for name in parts if self.age(name) > old]
        for name in gone:
            self.delete(name)
        return gone

    def delete(self, name: str) -> None:
        """Delete a file or a folder with all it holds; nothing where it isn't there."""
        if self._files.exists(self.path(name)):
            self._files.rm(self.path(name), recursive=True)

    def put_folder(self, name: str, folder: Path) -> None:
        """Store all the files below a local folder, each whole."""
        for file in sorted(f for f in folder.rglob("*") if f.is_file()):
            self._put(f"{name}/{file.relative_to(folder).as_posix()}", file)

    def get_folder(self, name: str, folder: Path) -> None:
        """Copy all the files below a name into a local folder, which appears whole or not at all."""
        part = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.part")
        for file in self.names(name):
            target = part / file.removeprefix(f"{name}/")
            target.parent.mkdir(parents=True, exist_ok=True)
            self._files.get(self.path(file), str(target))
        if not part.exists():
            raise FileNotFoundError(name)
        try:
            durable.settle(part, folder)
        except OSError:  # another was faster
            shutil.rmtree(part)

    def local_folder(self, name: str) -> Path | None:
        """Where a folder lies on this machine; None where the storage is elsewhere."""
        return Path(self.path(name)) if self._local else None

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


def _linked(file: Path, target: Path) -> bool:
    """Give a file a second name, once it is on the disk; False where the disk can't."""
    durable.make_folder(target.parent)
    part = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
    try:
        part.hardlink_to(file)
    except OSError:
        return False
    durable.flush(part)
    part.replace(target)
    durable.flush(target.parent)
    part.unlink(missing_ok=True)  # where both were the same file already, nothing was replaced
    return True


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


def draft_file(dataset_id: str) -> str:
    """Where a data set's samples are before they are polished."""
    return f"qra/{dataset_id}/draft.jsonl"


def part_file(dataset_id: str, number: int) -> str:
    """Where a polished part of a data set waits for the others."""
    return f"qra/{dataset_id}/parts/{number:06d}.json"


def polish_trace_file(dataset_id: str, number: int) -> str:
    """Where the exchanges are that polished a part."""
    return f"qra/{dataset_id}/trace/{number:06d}.jsonl"


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


def upload_file(file_id: str) -> str:
    """Where the content of an uploaded file is."""
    return f"files/{file_id}/content"


def model_folder(model_id: str) -> str:
    """Where the checkpoint of a tuned model is."""
    return f"models/{model_id.replace(':', '_')}"


def tuning_file(job_id: str, name: str) -> str:
    """Where a file of a training is: its metrics, and what is needed to go on with it."""
    return f"tuning/{job_id}/{name}"
