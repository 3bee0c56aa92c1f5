"""`stsg restore`: a service as a backup has it, from an empty one.

The whole archive is checked before anything is touched. A note in the database then says that it holds only parts, until
the last step is done, and keeps the service from starting. A restore that was killed is simply run again.
"""

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from graphdb import load, schema
from graphdb.dump import Row
from graphdb.load import LoadError, Loading
from graphdb.schema import SchemaError
from workers import archive
from workers.archive import BLOCK, EDGES, FILES, NODES, BackupError, Head
from workers.backup import Made, Progress
from workers.fault_points import fault_point
from workers.offline import Opened, check_at_rest, opened
from workers.runtime import Scratch
from workers.settings import Settings
from workers.storage import MARK, PARENTS, Storage

_NO_ROWS = (ValueError, LookupError, TypeError, EOFError, gzip.BadGzipFile, zlib.error)
_LONGEST_ROW = 64 * 2**20  # bytes


def restore(given: Settings, file: Path, progress: Progress, *, replace: bool = False) -> Made:
    """Put a backup into a service, whose jobs then go on from where they were.

    Args:
        given: the settings of the service, to which nobody else writes meanwhile.
        file: the backup.
        progress: is called as it goes.
        replace: what the service holds is deleted first; else it has to be empty.

    Returns:
        What was restored.

    Raises:
        BackupError: stack_running, no_such_file, not_a_backup, backup_too_new, backup_damaged, backup_unsafe, schema_too_new,
            database_unavailable, not_empty, restore_failed.
    """
    check_at_rest(given)
    size = file.stat().st_size if file.is_file() else 0
    try:
        with Scratch(given.home / "scratch") as folder:
            head = archive.verify(file, Path(folder), _counting(progress, "checking", size))
        schema.check(head.schema)
        with opened(given) as service:
            if not replace:
                _check_empty(service)
            files = _fill(service, file, head, progress)
    except SchemaError as e:
        raise BackupError(e.code, e.detail, e.remedy) from e
    except LoadError as e:
        detail = f"The restore broke off: {e}"
        raise BackupError("restore_failed", detail, "Keep others off the service, and run it again.") from e
    return Made(head, files, size)


def _check_empty(service: Opened) -> None:
    """Refuse a service that holds anything, but what a restore left that broke off."""
    there = load.contents(service.driver)
    stored = [f"{parent}/{name}" for parent in PARENTS for name in service.storage.folders(parent)]
    if there.restoring or not (there.nodes or stored):
        return
    detail = f"The service is not empty: {there.nodes} nodes in the database, {len(stored)} folders of files."
    raise BackupError("not_empty", detail, "Restore into an empty one, or delete what is there: --replace.")


def _fill(service: Opened, file: Path, head: Head, progress: Progress) -> int:
    """Put everything in its place; how many files there were."""
    progress("emptying", 0, 0)
    loading, files = Loading(service.driver, head.schema), 0
    for name in (*PARENTS, MARK):
        service.storage.delete(name)
    for name, content in archive.read(file, _counting(progress, "restoring", file.stat().st_size)):
        if name == NODES:
            loading.put_nodes(_rows(content))
        elif name == EDGES:
            loading.put_edges(_rows(content))
            fault_point("restore")
        elif name.startswith(FILES):
            _store(service.storage, name.removeprefix(FILES), content)
            files += 1
    progress("finishing", 0, 0)
    loading.end()
    return files


def _store(storage: Storage, name: str, content: IO[bytes]) -> None:
    storage.write(name, iter(lambda: content.read(BLOCK), b""))


def _rows(content: IO[bytes]) -> Iterator[Row]:
    """The rows of a member; raises LoadError where it holds others, as in an archive of another's making."""
    try:
        with gzip.open(content) as lines:
            while line := lines.readline(_LONGEST_ROW + 1):
                if len(line) > _LONGEST_ROW:
                    raise LoadError(f"A row of the archive is longer than {_LONGEST_ROW:,} bytes.")
                row: Row = json.loads(line)
                yield row
    except _NO_ROWS as e:
        raise LoadError(f"The archive holds no rows of a database ({type(e).__name__}).") from e


def _counting(progress: Progress, what: str, total: int) -> archive.Told:
    done = 0

    def told(count: int) -> None:
        nonlocal done
        done += count
        progress(what, done, total)

    return told
