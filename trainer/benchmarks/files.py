"""Reads official files as they were downloaded, and says what is wrong with one that can't be read."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

VIDEOS = frozenset({".mp4", ".avi", ".mkv", ".mov", ".webm"})
_SPACE = re.compile(r"[\s]*")
_decode = json.JSONDecoder().raw_decode


class BenchmarkError(Exception):
    """Files that can't be used as the benchmark they should be: what is wrong, and what to do."""

    def __init__(self, detail: str, remedy: str) -> None:
        super().__init__(f"{detail} {remedy}")
        self.detail, self.remedy = detail, remedy


def entries(path: Path, where: str) -> Iterator[tuple[str, Any]]:
    """The members of the one JSON object in a file, each decoded by itself.

    A member named twice is told apart from one that is missing, and closing braces too many at the end are passed over
    (an excerpt of AGQA that is in circulation has one).

    Raises:
        BenchmarkError: no such file, no JSON object, cut off, or a member named twice.
    """
    text, broken = _text(path, where), partial(_cut, path, where)
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise BenchmarkError(f"{path} holds no JSON object.", f"Get it again: {where}")
    at, seen = _skip(text, at + 1), set[str]()
    while text[at : at + 1] != "}":
        try:
            name, at = _decode(text, at)
            at = _skip(text, at)
            if text[at : at + 1] != ":":
                raise broken(len(seen))
            value, at = _decode(text, _skip(text, at + 1))
        except ValueError as e:
            raise broken(len(seen)) from e
        if name in seen:
            raise BenchmarkError(f"{path} has {name!r} twice.", f"It was put together by hand; get it again: {where}")
        seen.add(name)
        yield name, value
        at = _skip(text, at)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
        elif text[at : at + 1] != "}":
            raise broken(len(seen))
    if text[at:].strip("} \t\r\n"):
        raise BenchmarkError(f"{path} goes on after its JSON object.", f"Get it again: {where}")


def records(path: Path, where: str) -> list[dict[str, Any]]:
    """The objects of the one JSON list in a file.

    Raises:
        BenchmarkError: no such file, or no JSON list of objects.
    """
    try:
        found = json.loads(_text(path, where))
    except ValueError as e:
        raise BenchmarkError(f"{path} is no JSON, or is cut off: {e}.", f"Get it again: {where}") from e
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise BenchmarkError(f"{path} holds no list of records.", f"Get it again: {where}")
    return found


def field(record: Mapping[str, Any], name: str, path: Path, where: str) -> Any:
    """A field that each record of the right version has.

    Raises:
        BenchmarkError: it has none.
    """
    if name not in record:
        told = ", ".join(map(str, record))[:200]
        raise BenchmarkError(
            f"A record of {path} has no {name!r} (only {told}).", f"It is another version or split. {where}"
        )
    return record[name]


def unique(ids: Iterable[str], path: Path, where: str) -> None:
    """Check that each question is there once.

    Raises:
        BenchmarkError: an id is there twice.
    """
    seen = set[str]()
    for id in ids:
        if id in seen:
            raise BenchmarkError(f"{path} has question {id!r} twice.", f"Get it again: {where}")
        seen.add(id)


def digest(path: Path) -> str:
    """Which version of a file this is: the start of its SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def videos(folder: Path) -> dict[str, Path]:
    """Every video below a folder, by its name without the ending.

    Raises:
        BenchmarkError: two files of one name differ, so that it isn't known which is meant.
    """
    found = dict[str, Path]()
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in VIDEOS and path.is_file():
            first = found.setdefault(path.stem, path)
            if first.stat().st_size != path.stat().st_size:
                raise BenchmarkError(f"{first} and {path} are two videos of one name.", "Leave the right one there.")
    return found


def _text(path: Path, where: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as e:
        raise BenchmarkError(f"There is no {path}.", where) from e
    except (OSError, UnicodeDecodeError) as e:
        raise BenchmarkError(f"{path} can't be read: {e}.", f"Get it again: {where}") from e


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()


def _cut(path: Path, where: str, count: int) -> BenchmarkError:
    return BenchmarkError(f"{path} is cut off or damaged after {count:,} members.", f"Get it again: {where}")
