"""Uploaded files of rows to train on: checked line by line when they come, and kept by the hash of their content."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graphdb import records
from graphdb.records import Record
from model.rationale.moments import are_beginnings
from workers.runtime import Service
from workers.storage import upload_file

MAX_LINE = 1024 * 1024
_MEDIA = ("frames", "times", "images", "video", "videos")


class WrongRow(ValueError):  # noqa: N818 # a finding about a file
    """A line that is no row to train on; the text names the line and the field."""


def add(service: Service, file: Path, *, name: str, sha256: str, purpose: str) -> Record:
    """Store a file of rows, which is gone from where it was; a known one stays as it is.

    Raises:
        WrongRow: a line that is no row.
    """
    lines = check(file)
    id, size = f"file-{sha256[:24]}", file.stat().st_size
    service.storage.take(upload_file(id), file)
    told = {"filename": name or f"{id}.jsonl", "bytes": size, "purpose": purpose, "lines": lines, "sha256": sha256}
    return records.save(service.driver, "File", id, told | {"created_at": time.time()})


def delete(service: Service, id: str) -> bool:
    """Delete a file; False while an unfinished training uses it."""
    if not records.delete(service.driver, "File", id):
        return False
    service.storage.delete(upload_file(id).rpartition("/")[0])
    return True


def check(file: Path) -> int:
    """How many rows a file has.

    Raises:
        WrongRow: the first line that is no row, or there is none.
    """
    count = 0
    for count, line in _lines(file):
        _check_line(count, line)
    if not count:
        raise WrongRow("The file has no rows.")
    return count


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    with file.open("rb") as stream:
        number = 0
        while line := stream.readline(MAX_LINE + 1):
            number += 1
            if len(line) > MAX_LINE:
                raise WrongRow(f"Line {number} is longer than {MAX_LINE:,} bytes.")
            yield number, line


def _check_line(number: int, line: bytes) -> None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as e:
        raise WrongRow(f"Line {number} is no JSON: {e}.") from None
    if not isinstance(row, dict):
        raise WrongRow(f"Line {number} is no object.")
    for field, good in _fields(row).items():
        if not good:
            raise WrongRow(f"Line {number}: {field} is {row.get(field)!r:.80}.")


def _fields(row: dict[str, Any]) -> dict[str, bool]:
    """Which fields of a row are as they must be; pictures are named by ids, never by paths."""
    rationale, keyframes = row.get("rationale", []), row.get("keyframes", [])
    named = [row[name] for name in ("run_id", "video_id") if name in row]
    return {
        "question": _text(row.get("question")),
        "answer": _text(row.get("answer")),
        "rationale": isinstance(rationale, list) and all(_text(line) for line in rationale),
        "keyframes": isinstance(keyframes, list) and all(_text(id) for id in keyframes),
        "clips": are_beginnings(row.get("clips", [])),
        "steps": isinstance(row.get("steps", 1), int),
        "video_id": bool(named) and all(_id(name) for name in named),
        **{name: name not in row for name in _MEDIA},
    }


def _text(value: object) -> bool:
    """Whether it is a text with something in it, all of which can be written: JSON may hold halves of characters."""
    return isinstance(value, str) and bool(value.strip()) and not re.search("[\ud800-\udfff]", value)


def _id(value: object) -> bool:
    return isinstance(value, str) and value.replace("_", "").replace("-", "").isalnum() and len(value) <= 80
