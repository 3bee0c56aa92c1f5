"""Commands about videos and their runs: send them in, follow them, look at the graphs."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from api.cli import show
from api.client import Client, ServiceError
from model import durable

_BARS = 20  # runs that get a bar each; of more, one counts them


def ingest(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="Videos to send.")],
    watch: Annotated[bool, typer.Option("--watch", help="Follow the runs to their end.")] = False,
    model: Annotated[str, typer.Option(help="Which Video-LLM, by its name in STSG_MODELS; empty is the default.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the keyframe choice.")] = 0,
    as_json: show.AsJson = False,
) -> None:
    """Send videos to the service and have their graphs made.

    A file that the service already has is not stored twice. Without --watch the command ends when the runs are queued.
    Exit code 1 when a file is refused or, with --watch, a run doesn't succeed.
    """
    results: list[dict[str, Any]] = []
    try:
        with Client() as client:
            for file in files:
                results.append(_send(client, file, model, seed, quiet=as_json))  # noqa: PERF401 # kept if the next one fails
            if watch:
                _follow(client, results, quiet=as_json)
    finally:  # what was sent is told, however it ends
        _tell(results, as_json=as_json)
    if any(r["state"] in ("refused", "failed", "cancelled") for r in results):
        raise typer.Exit(1)


def _tell(results: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        show.as_json(results)
    else:
        rows = [(r["file"], r.get("video_id", "-"), r.get("run_id", "-"), r["state"]) for r in results]
        show.table("", ("file", "video", "run", "state"), rows)


def _send(client: Client, file: Path, model: str, seed: int, *, quiet: bool) -> dict[str, Any]:
    params = {"process": "true", "seed": str(seed)} | ({"model": model} if model else {})
    try:
        with show.upload_bar() as bars:
            bars.disable = quiet
            bar = bars.add_task(escape(file.name), total=file.stat().st_size)
            reply = client.upload(file, lambda size: bars.advance(bar, size), **params)
    except ServiceError as e:
        if not 400 <= e.status < 500:  # the service is away, and would be for the next file
            show.err.print(f"[red]{escape(e.detail)}[/red] {escape(e.remedy)}")
            raise typer.Exit(1) from None
        show.err.print(f"[red]{escape(file.name)}: {escape(e.detail)}[/red] {escape(e.remedy)}")
        return {"file": str(file), "state": "refused", "code": e.code, "detail": e.detail, "remedy": e.remedy}
    return {"file": str(file), "video_id": reply["id"], "run_id": reply["run"]["id"], "state": reply["run"]["state"]}


def _follow(client: Client, results: list[dict[str, Any]], *, quiet: bool) -> None:
    followed = [r for r in results if "run_id" in r]
    with show.failures(), show.RunProgress(quiet) as bars:
        if len(followed) > _BARS:
            whole = bars.add("graphs", len(followed))
            for result in followed:
                result["state"] = client.until_final(f"/v1/runs/{result['run_id']}")["state"]
                bars.advance(whole, 1)
            return
        lines = [bars.add(Path(r["file"]).name) for r in followed]
        for result, bar in zip(followed, lines, strict=True):
            run = client.wait(result["run_id"], lambda event, bar=bar: bars.seen(bar, event))  # type: ignore[misc]
            result["state"] = run["state"]
            bars.end(bar, run["state"])


def runs(
    state: Annotated[str, typer.Option(help="Only runs in this state.")] = "",
    video: Annotated[str, typer.Option(help="Only runs of this video.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20,
    retry: Annotated[bool, typer.Option("--retry", help="Take up those again that failed or were cancelled.")] = False,
    as_json: show.AsJson = False,
) -> None:
    """List runs, newest first."""
    wanted = {k: v for k, v in (("state", state), ("video_id", video)) if v}
    with show.failures(), Client() as client:
        found = [run for run, _ in zip(client.pages("/v1/runs", **wanted), range(limit), strict=False)]
        if retry:
            again = [run["state"] in ("failed", "cancelled") for run in found]
            found = [
                client.post(f"/v1/runs/{r['id']}/retry") if due else r for r, due in zip(found, again, strict=True)
            ]
    if as_json:
        show.as_json(found)
        return
    rows = [(r["id"], r["video_id"], r["model"], r["state"], r["stage"] or "", r["created_at"]) for r in found]
    show.table("", ("run", "video", "model", "state", "stage", "created"), rows)


def graph(
    run: Annotated[str, typer.Argument(help="The run's id.")],
    export: Annotated[Path | None, typer.Option(help="Write the graph to this JSONL file.")] = None,
    as_json: show.AsJson = False,
) -> None:
    """Show what a run's graph holds, and the link that opens it in Neo4j Browser."""
    with show.failures(), Client() as client:
        summary = client.get(f"/v1/graphs/{run}")
        if export:
            write_lines(client, f"/v1/graphs/{run}/export", export)
    if as_json:
        show.as_json(summary)
        return
    show.table(f"graph of {run}", ("kind", "count"), list(summary["counts"].items()))
    if summary["rejects"]:
        show.table("replies that could not be used", ("step", "reason", "count"), reject_rows(summary["rejects"]))
    show.out.print(f"Neo4j Browser: {summary['browser_url']}", soft_wrap=True)


def reject_rows(rejects: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    """The rejects of a graph as table rows."""
    return [(r["step"], r["reason"], r["count"]) for r in rejects]


def write_lines(client: Client, path: str, target: Path) -> int:
    """Stream an export into a file; a broken download leaves no half file. Returns the bytes written."""
    part = target.with_name(target.name + ".part")
    try:
        with part.open("wb") as out:
            for block in client.blocks(path):
                out.write(block)
        durable.settle(part, target)
    finally:
        part.unlink(missing_ok=True)
    return target.stat().st_size
