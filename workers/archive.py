"""Backups as files: a tar with a head, the database, the stored files, and a manifest with the sha256 of each member.

    stsg-backup.json         {"format", "schema", "stsg", "created_at", "nodes", "edges", "missing"}
    database/nodes.jsonl.gz  {"key", "labels", "properties"} a line
    database/edges.jsonl.gz  {"type", "source", "target", "properties"} a line
    files/<name>             each stored file
    manifest.jsonl           {"name", "size", "sha256"} a line, for every member before it
    manifest.sha256          of the manifest

Both ways it is a stream: nothing of it is held but a block.
"""

import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from workers.storage import PARENTS

FORMAT = 1
HEAD, NODES, EDGES = "stsg-backup.json", "database/nodes.jsonl.gz", "database/edges.jsonl.gz"
MANIFEST, SEAL = "manifest.jsonl", "manifest.sha256"
FILES = "files/"
BLOCK = 2**20
_SMALL = 2**16  # bytes of a head or a seal
Told = Callable[[int], None]  # gets the bytes that were dealt with since the last call


class BackupError(Exception):
    """A backup or a restore that can't be: a code, what is wrong, and what to do."""

    def __init__(self, code: str, detail: str, remedy: str) -> None:
        super().__init__(f"{detail} {remedy}")
        self.code, self.detail, self.remedy = code, detail, remedy


class _DamagedError(BackupError):
    pass


@dataclass(frozen=True, slots=True)
class Head:
    """What a backup says of itself; `missing` files were named by records, but not there."""

    format: int
    schema: int
    stsg: str
    created_at: str
    nodes: int
    edges: int
    missing: int


class Writer:
    """A backup on its way into a stream; `scratch` is a folder for its manifest meanwhile."""

    def __init__(self, stream: IO[bytes], scratch: Path, told: Told) -> None:
        self._tar = tarfile.open(fileobj=stream, mode="w|", bufsize=BLOCK, format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self._manifest = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 # both are closed in `end`
        self._told = told

    def add(self, name: str, content: IO[bytes], size: int) -> None:
        """Add a member; raises OSError where the content is shorter than `size`."""
        line = {"name": name, "size": size, "sha256": self._add(name, content, size)}
        self._manifest.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")

    def _add(self, name: str, content: IO[bytes], size: int) -> str:
        told = tarfile.TarInfo(name)
        told.size, told.mode = size, 0o600
        hashed = _Hashed(content, self._told)
        self._tar.addfile(told, hashed)
        _forget(self._tar)
        return hashed.digest.hexdigest()

    def add_head(self, head: Head) -> None:
        """Add what the backup says of itself, before all others."""
        content = json.dumps(asdict(head)).encode()
        self.add(HEAD, io.BytesIO(content), len(content))

    def end(self) -> None:
        """Add the manifest and its hash, and close the archive."""
        with self._manifest as manifest:
            size = manifest.tell()
            manifest.seek(0)
            seal = self._add(MANIFEST, manifest, size).encode()
            self._add(SEAL, io.BytesIO(seal), len(seal))
        self._tar.close()


class _Hashed(io.RawIOBase):
    """A stream that hashes and counts what is read of it."""

    def __init__(self, content: IO[bytes], told: Told) -> None:
        self.digest, self._content, self._told = hashlib.sha256(), content, told

    def read(self, size: int = -1) -> bytes:
        block = self._content.read(size)
        self.digest.update(block)
        self._told(len(block))
        return block


def read_head(file: Path) -> Head:
    """What a backup says of itself.

    Raises:
        BackupError: not_a_backup, backup_too_new, backup_damaged.
    """
    try:
        with _opened(file, lambda _: None) as members:
            member, content = next(members)
            if member.name != HEAD or member.size > _SMALL:
                raise _none(file)
            return _head(file, content.read())
    except (_DamagedError, StopIteration) as e:
        raise _none(file) from e


def _head(file: Path, content: bytes) -> Head:
    try:
        told = json.loads(content)
        format = int(told["format"])
    except (ValueError, TypeError, KeyError) as e:
        raise _none(file) from e
    if format > FORMAT:
        detail = f"{file.name} has the format {format}, and this stsg reads formats up to {FORMAT}."
        raise BackupError("backup_too_new", detail, "Upgrade stsg to the release that wrote it, or a newer one.")
    try:
        return Head(**told)
    except TypeError as e:
        raise _damaged(file, f"{HEAD} lacks fields or has others") from e


def verify(file: Path, scratch: Path, told: Told) -> Head:
    """Read a backup from end to end and check it: names, kinds and hashes of all members, and that none is missing.

    Args:
        file: the backup.
        scratch: a folder for what was seen meanwhile.
        told: gets the bytes as they are read.

    Returns:
        What it says of itself.

    Raises:
        BackupError: not_a_backup, backup_too_new, backup_damaged, backup_unsafe.
    """
    head = read_head(file)
    with tempfile.TemporaryFile(dir=scratch) as seen, _opened(file, told) as members:
        seal, sealed, count = "", "", 0
        for member, content in members:
            if member.name == SEAL:
                sealed = content.read(_SMALL).decode("ascii", "replace")
            elif member.name == MANIFEST:
                seal = _compare(file, seen, content)
            else:
                _check_name(file, member.name, count)
                line = {"name": member.name, "size": member.size, "sha256": _digest(content)}
                seen.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
                count += 1
        if count < 3:
            raise _damaged(file, "it has no rows of the database")
        if not seal or seal != sealed:
            raise _damaged(file, "its end is missing" if not sealed else "its manifest was changed")
    return head


def _check_name(file: Path, name: str, number: int) -> None:
    """The head and the database come first, then stored files with plain names."""
    first = (HEAD, NODES, EDGES)
    if number < len(first):
        if name != first[number]:
            raise _damaged(file, f"{first[number]} is missing")
        return
    parts = name.removeprefix(FILES).split("/")
    plain = all(part not in ("", ".", "..") and "\\" not in part and "\0" not in part for part in parts)
    if not name.startswith(FILES) or len(parts) < 3 or parts[0] not in PARENTS or not plain:
        raise _unsafe(file, f"a member is called {name!r:.200}")


def _compare(file: Path, seen: IO[bytes], manifest: IO[bytes]) -> str:
    """Compare the manifest with what was read; its hash."""
    digest = hashlib.sha256()
    seen.seek(0)
    for line in seen:
        listed = manifest.readline(len(line) + 1)
        digest.update(listed)
        if listed != line:
            raise _damaged(file, f"{json.loads(line)['name']} is not as the manifest has it")
    if manifest.read(1):
        raise _damaged(file, "members are missing")
    return digest.hexdigest()


def _digest(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := content.read(BLOCK):
        digest.update(block)
    return digest.hexdigest()


def read(file: Path, told: Told) -> Iterator[tuple[str, IO[bytes]]]:
    """The members of a backup that was verified, up to the manifest; each is read before the next one comes.

    Raises:
        BackupError: backup_damaged, where it was changed since.
    """
    with _opened(file, told) as members:
        for number, (member, content) in enumerate(members):
            if member.name == MANIFEST:
                return
            _check_name(file, member.name, number)
            yield member.name, content


@contextmanager
def _opened(file: Path, told: Told) -> Iterator[Iterator[tuple[tarfile.TarInfo, IO[bytes]]]]:
    """The members of an archive with their contents; all of them plain files."""
    if not file.is_file():
        raise BackupError("no_such_file", f"There is no file {file}.", "Check the name.")
    with file.open("rb") as stream:
        try:
            with tarfile.open(fileobj=_Hashed(stream, told), mode="r|") as tar:
                yield _members(file, tar)
        except tarfile.TarError as e:
            raise _damaged(file, str(e)) from e


def _members(file: Path, tar: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    for member in tar:
        content = tar.extractfile(member) if member.type == tarfile.REGTYPE else None
        if content is None or member.issparse():
            raise _unsafe(file, f"{member.name!r:.200} is no plain file")
        yield member, content
        _forget(tar)


def _forget(tar: Any) -> None:
    """Have an archive keep nothing of the members before."""
    tar.members = []


def _none(file: Path) -> BackupError:
    return BackupError("not_a_backup", f"{file.name} is no backup of stsg.", "Name a file that 'stsg backup' made.")


def _damaged(file: Path, why: str) -> BackupError:
    detail = f"{file.name} is damaged: {why}."
    return _DamagedError("backup_damaged", detail, "Copy it again, or take another backup.")


def _unsafe(file: Path, why: str) -> BackupError:
    detail = f"{file.name} holds what no backup has: {why}."
    return BackupError("backup_unsafe", detail, "Restore only what 'stsg backup' made.")
