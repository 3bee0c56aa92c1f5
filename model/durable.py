"""Files that are there, whole, after a power loss: flushed to the disk before they get their name, and the name after it."""

import errno
import os
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what a system says when there is no room


def write_text(file: Path, text: str, mode: int = 0o666) -> None:
    """Write a file that readers find whole, the old or the new one; what was written aside is gone where it fails.

    Args:
        file: its folder is there.
        text: all of it.
        mode: who may read a new one, before the umask.
    """
    part = file.with_name(f".{file.name}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        part.replace(file)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    flush(file.parent)


def settle(part: Path, target: Path) -> None:
    """Give a file or folder that is whole its name, once it is on the disk; the name is there too when this returns."""
    for path in [*part.rglob("*"), part] if part.is_dir() else [part]:
        flush(path)
    part.rename(target)
    flush(target.parent)


def flush(path: Path) -> None:
    """Have the system put a file, or the names in a folder, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, whose names are on the disk."""
    lacking = [f for f in (folder, *folder.parents) if not f.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in lacking:
        flush(made.parent)
