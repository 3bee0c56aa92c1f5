"""`stsg qra verify`: whether every answer of an exported data set is what its graph says."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli import show
from api.client import Client, ServiceError
from api.neo4j.pages import RUN_ID

if TYPE_CHECKING:
    from model.rationale.evaluate import Evaluator
    from model.rationale.verify import Report

_Rows = Iterator[dict[str, Any]]


def verify(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A data set, exported as JSONL.")],
    graphs: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Read the graphs from RUN.jsonl here, not from the API."),
    ] = None,
    as_json: show.AsJson = False,
) -> None:
    """Check an exported data set: run each program on its graph again, independently of what made the data.

    Also checks that no question tells its answer, that rationales have a line for each step and end with the answer, and
    that ids are the hash of their rows. With --graphs no service is needed. Exit code 1 when anything is wrong.
    """
    with show.failures(), show.err.status("checking"), Client() as client:
        report = checked(client, file, graphs)
    if as_json:
        show.as_json({"file": str(file)} | report.to_dict())
    else:
        show.out.print(f"{file}: {report.rows:,} rows of {report.runs:,} graphs, {report.counts.total():,} findings")
        if report.counts:
            show.table("findings", ("reason", "count"), report.counts.most_common())
            show.table("the first", ("line", "reason", "detail"), [(f.line, f.reason, f.detail) for f in report.first])
    if report.counts:
        raise typer.Exit(1)


def checked(client: Client, file: Path, graphs: Path | None = None) -> "Report":
    """The findings about an exported file, on graphs as the API or a folder has them."""
    from model.rationale import verify as checking

    with file.open("rb") as rows:
        if not rows.seekable():
            raise ServiceError(f"{file} can be read only once.", "Write it to a file first.")
        source = _kept(graphs) if graphs else _fetched(client)
        return checking.verify(rows, lambda run_id: _evaluator(source, run_id))


def _evaluator(source: Callable[[str], _Rows], run_id: str) -> "Evaluator":
    """The second interpreter on a run's exported graph; a run's id comes from the file, so it is checked first."""
    from api.scoring import graph_of
    from model.rationale.evaluate import Evaluator
    from model.rationale.verify import UnknownRun

    if not RUN_ID.fullmatch(run_id):
        raise UnknownRun(f"{run_id!r} is no id of a run")
    try:
        rows = list(source(run_id))
        clips = [row["properties"] for row in rows if "Clip" in row.get("labels", ())]
        return Evaluator(graph_of(rows), {c["index"]: (c["t_start"], c["t_end"]) for c in clips})
    except FileNotFoundError:
        raise UnknownRun(f"there is no graph of {run_id}") from None
    except (LookupError, TypeError, ValueError, AttributeError) as e:
        raise UnknownRun(f"the graph of {run_id} can't be read: {type(e).__name__} {e}") from None


def _fetched(client: Client) -> Callable[[str], _Rows]:
    """Graphs as the API exports them."""

    def rows(run_id: str) -> _Rows:
        try:
            yield from client.lines(f"/v1/graphs/{run_id}/export")
        except ServiceError as e:
            if e.code == "graph_not_found":
                raise FileNotFoundError(run_id) from None
            raise

    return rows


def _kept(folder: Path) -> Callable[[str], _Rows]:
    """Graphs as they were exported into a folder."""

    def rows(run_id: str) -> _Rows:
        with (folder / f"{run_id}.jsonl").open("rb") as file:
            yield from map(json.loads, file)

    return rows
