"""`stsg backup`: database and files together in one archive, while the service runs.

The database is read first and the files after it, since a file is stored before the record that names it. Whatever a
record names has to be there. Left out are settings with their secrets, the broker's messages (the records say what is to be
done), the cache of benchmarks, and where on this machine a base model lies.
"""

import os
import secrets
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from graphdb.dump import ChangedError
from model import durable
from workers.archive import EDGES, FILES, FORMAT, NODES, BackupError, Head, Writer
from workers.backup_plan import Plan
from workers.offline import Opened, opened
from workers.runtime import Scratch
from workers.settings import Settings
from workers.storage import Storage

_TRIES = 3
_SHOWN = 5  # names in an error
Progress = Callable[[str, int, int], None]  # (what goes on, how much of it is done, of how much; 0: unknown)


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was taken or restored."""

    head: Head
    files: int
    bytes: int  # of the archive


def make(given: Settings, target: Path, progress: Progress, *, allow_missing: bool = False) -> Made:
    """Write a backup, which appears whole or not at all.

    Args:
        given: the settings of the service, which may run.
        target: the new file; its owner alone may read it.
        progress: is called as it goes.
        allow_missing: files that records name need not be there.

    Returns:
        What was written.

    Raises:
        BackupError: file_exists, file_missing, changed_meanwhile, unknown_property, database_unavailable.
    """
    if target.exists():
        raise BackupError("file_exists", f"{target} is there already.", "Name a new file.")
    with opened(given) as service, Scratch(given.home / "scratch") as folder:
        plan = _planned(service, Path(folder), progress, allow_missing=allow_missing)
        with closing(plan):
            return _write(service.storage, plan, Path(folder), target, progress)


def _planned(service: Opened, folder: Path, progress: Progress, *, allow_missing: bool) -> Plan:
    """The database read, and the files that go with it; again where something may have been deleted meanwhile."""
    missing: list[str] = []
    for attempt in range(_TRIES):
        progress("reading the database", 0, 0)
        (at := folder / str(attempt)).mkdir()
        plan = Plan(at)
        try:
            plan.read(service, lambda rows: progress(f"reading the database: {rows:,} rows", 0, 0))
        except ChangedError:
            plan.close()
            time.sleep(1.0)
            continue
        except TypeError as e:
            plan.close()
            raise BackupError("unknown_property", f"In the database {e}.", "Remove or change such properties.") from e
        missing = plan.missing(_SHOWN)
        if not missing or allow_missing:
            return plan
        plan.close()
    if missing:
        detail = f"Records name files that the storage lacks: {', '.join(missing)}."
        raise BackupError("file_missing", detail, "Put them back, or leave them out: --allow-missing.")
    detail = "Videos, runs or models were deleted while the backup was taken."
    raise BackupError("changed_meanwhile", detail, "Take it again when nothing is deleted.")


def _write(storage: Storage, plan: Plan, folder: Path, target: Path, progress: Progress) -> Made:
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    done, total, files = 0, plan.size(), 0

    def told(count: int) -> None:
        nonlocal done
        done += count
        progress("writing", done, max(total, done))

    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            writer = Writer(out, folder, told)
            dumped = plan.dumped
            now = datetime.now(UTC).isoformat(timespec="seconds")
            missing = plan.count_missing()
            head = Head(FORMAT, dumped.version, version("stsg"), now, dumped.nodes, dumped.edges, missing)
            writer.add_head(head)
            for name, file in ((NODES, plan.nodes), (EDGES, plan.edges)):
                with file.open("rb") as content:
                    writer.add(name, content, file.stat().st_size)
            for name in plan.names():
                files += _add(storage, writer, plan, name)
            writer.end()
            size = out.tell()
        durable.settle(part, target)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()
    return Made(head, files, size)


def _add(storage: Storage, writer: Writer, plan: Plan, name: str) -> int:
    """Add a stored file, if it is still there; how many were added."""
    try:
        content = storage.open(name)
    except FileNotFoundError:
        if plan.needs(name):
            detail = f"{name} was deleted while the backup was taken."
            raise BackupError("changed_meanwhile", detail, "Take it again when nothing is deleted.") from None
        return 0
    with content:
        size = content.seek(0, os.SEEK_END)  # a file that was opened stays as it is, whatever takes its name
        content.seek(0)
        writer.add(f"{FILES}{name}", content, size)
    return 1
