"""Tar archives as streams of known length: nothing of them is held but a block, and the same members give the same bytes."""

import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO

from api.files import BLOCK

_RECORD = tarfile.RECORDSIZE


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive."""

    name: str
    size: int
    opened: Callable[[], AbstractContextManager[BinaryIO]]

    @property
    def header(self) -> bytes:
        told = tarfile.TarInfo(self.name)
        told.size, told.mode = self.size, 0o644
        return told.tobuf(tarfile.PAX_FORMAT)

    @property
    def padding(self) -> int:
        return -self.size % tarfile.BLOCKSIZE


def length(members: Sequence[Member]) -> int:
    """How many bytes the archive has."""
    size = sum(len(m.header) + m.size + m.padding for m in members) + 2 * tarfile.BLOCKSIZE
    return size + -size % _RECORD


def stream(members: Sequence[Member]) -> Iterator[bytes]:
    """The archive in blocks; raises OSError where a file has become shorter than it was."""
    sent = 0
    for member in members:
        yield (header := member.header)
        left = member.size
        with member.opened() as file:
            while left:
                block = file.read(min(BLOCK, left))
                if not block:
                    raise OSError(f"{member.name} has lost {left} bytes")
                left -= len(block)
                yield block
        yield bytes(member.padding)
        sent += len(header) + member.size + member.padding
    end = 2 * tarfile.BLOCKSIZE
    yield bytes(end + -(sent + end) % _RECORD)
