"""How the command line shows things: tables and progress for people, JSON for programs."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from api.client import Event, ServiceError

out = Console()
err = Console(stderr=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def as_json(value: Any) -> None:
    """Print a value as JSON on one line a thing, ready for jq."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows; numbers to the right."""
    view = Table(title=title, title_justify="left", header_style="bold")
    for i, name in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[i], int | float) for row in rows)
        view.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        view.add_row(*(f"{cell:.3f}" if isinstance(cell, float) else escape(str(cell)) for cell in row))
    out.print(view)


@contextmanager
def failures() -> Iterator[None]:
    """Say what went wrong and what to do, and end with exit code 1."""
    try:
        yield
    except ServiceError as e:
        err.print(f"[red]{escape(e.detail)}[/red]\n{escape(e.remedy)}")
        raise typer.Exit(1) from None


class RunProgress:
    """Bars for uploads and runs, one each."""

    def __init__(self, quiet: bool) -> None:
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=err,
            disable=quiet,
        )

    def __enter__(self) -> "RunProgress":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def add(self, name: str, total: float | None = None) -> TaskID:
        return self._bars.add_task(escape(name), total=total, note="")

    def advance(self, bar: TaskID, by: float) -> None:
        self._bars.advance(bar, by)

    def seen(self, bar: TaskID, event: Event) -> None:
        """Move a run's bar by one of its events."""
        stage, done, total = stage_of(event)
        if stage:
            note = f"{stage} {done}/{total}" if total else stage
            self._bars.update(bar, total=total or None, completed=done, note=escape(note))

    def end(self, bar: TaskID, state: str) -> None:
        colour = "green" if state == "succeeded" else "red"
        self._bars.update(bar, total=1, completed=1, note=f"[{colour}]{state}[/{colour}]")


def stage_of(event: Event) -> tuple[str, int, int]:
    """The stage an event speaks of, and how much of it is done out of how much."""
    data = event.data
    return str(data.get("stage") or ""), int(data.get("done") or 0), int(data.get("total") or 0)


def upload_bar(quiet: bool = False) -> Progress:
    """A bar that counts bytes."""
    return Progress(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), console=err, disable=quiet)
