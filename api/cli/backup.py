"""Commands that take a service to a file and back: for another machine, an upgrade, or a bad day."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from api.cli import show
from api.client import ServiceError

if TYPE_CHECKING:
    from workers.backup import Made, Progress

File = Annotated[Path, typer.Argument(help="The backup, such as stsg.tar.")]


def backup(
    file: File,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Go on where files that records name are not there.")
    ] = False,
    as_json: show.AsJson = False,
) -> None:
    """Write database and files of the service into one file, while it runs or not."""
    from workers import backup as backups
    from workers.settings import Settings

    with show.failures(), _shown(as_json) as progress:
        made = backups.make(Settings(), file, progress, allow_missing=allow_missing)
    _tell("written", file, made, as_json)


def restore(
    file: File,
    replace: Annotated[
        bool, typer.Option("--replace", help="Delete what the service holds; else it must be empty.")
    ] = False,
    as_json: show.AsJson = False,
) -> None:
    """Fill an empty service with a backup; its jobs go on when the service is started."""
    from workers import restore as restores
    from workers.settings import Settings

    with show.failures(), _shown(as_json) as progress:
        made = restores.restore(Settings(), file, progress, replace=replace)
    _tell("restored", file, made, as_json)


@contextmanager
def _shown(quiet: bool) -> Iterator["Progress"]:
    """A bar that moves with what goes on; the errors of both commands with their remedies."""
    from workers.archive import BackupError

    with show.upload_bar(quiet) as bars:
        bar = bars.add_task("starting", total=None)

        def progress(what: str, done: int, total: int) -> None:
            bars.update(bar, description=what, completed=done, total=total or None)

        try:
            yield progress
        except BackupError as e:
            raise ServiceError(e.detail, e.remedy) from e
        except OSError as e:
            raise ServiceError(
                f"A file can't be read or written: {e}", "Make room, or mend the cause; then try again."
            ) from e


def _tell(what: str, file: Path, made: "Made", as_json: bool) -> None:
    head = made.head
    if as_json:
        counts = {"nodes": head.nodes, "edges": head.edges, "files": made.files, "missing": head.missing}
        show.as_json(
            {"file": str(file), "bytes": made.bytes, "created_at": head.created_at, "schema": head.schema} | counts
        )
        return
    size = f"{made.bytes / 2**20:,.1f} MiB of {head.created_at}"
    counted = f"{head.nodes} nodes, {head.edges} edges, {made.files} files"
    show.out.print(escape(f"{what}: {file}, {size}: {counted}"))
    if head.missing:
        show.err.print(f"{head.missing} files that records name were not there and are not in it")
