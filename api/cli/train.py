"""`stsg train`: trainings started, followed and stopped."""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from api.cli import show
from api.client import Client, check_succeeded

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer(help="Trainings: rationale learning on QRA data, and what it makes.", no_args_is_help=True)
JobId = Annotated[str, typer.Argument(help="The training's id.")]
JOBS = "/v1/fine_tuning/jobs"
Row = dict[str, Any]


@app.command()
def start(
    data: Annotated[
        list[str],
        typer.Argument(
            help="What to train on: ids of data sets or files, or JSONL files to send; of several each row once."
        ),
    ],
    model: Annotated[str, typer.Option(help="The base: a name in STSG_MODELS, or a tuned model's id.")] = "tiny",
    validation: Annotated[str, typer.Option(help="A data set or file, or the share of videos to hold out.")] = "",
    lambda_rationale: Annotated[float | None, typer.Option("--lambda", help="Weight of the rationale's loss.")] = None,
    recipe: Annotated[str, typer.Option(help="step, instruct, distillation or rationale_free.")] = "",
    epochs: Annotated[float | None, typer.Option(help="Passes over the data.")] = None,
    max_steps: Annotated[int | None, typer.Option(help="At most so many steps.")] = None,
    batch: Annotated[int | None, typer.Option(help="Samples of a step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The highest learning rate.")] = None,
    lora: Annotated[int | None, typer.Option(help="Train adapters of this rank, not all weights.")] = None,
    frames: Annotated[int | None, typer.Option(help="Frames of a video.")] = None,
    save_every: Annotated[int | None, typer.Option(help="Steps between checkpoints.")] = None,
    settings: Annotated[
        list[str], typer.Option("--set", help="Any other field of method.step, such as size=224 or mixture.ratio=1.")
    ] = [],  # noqa: B006 # typer copies it
    suffix: Annotated[str, typer.Option(help="A part of the model's name.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same weights.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell tokens, memory and time.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it to its end.")] = False,
    as_json: show.AsJson = False,
) -> None:
    """Start a training; the same request again is the same training.

    It goes on when this command, or the worker that watches it, ends. Exit code 1 when --watch sees it fail.
    """
    step: dict[str, Any] = {
        "lambda_rationale": lambda_rationale,
        "recipe": recipe or None,
        "epochs": epochs,
        "max_steps": max_steps,
        "batch": batch,
        "learning_rate": learning_rate,
        "frames": frames,
        "save_every": save_every,
    }
    ranked = [f"lora.rank={lora}", f"lora.alpha={2 * lora}"] if lora else []
    step = {k: v for k, v in step.items() if v is not None} | settings_of([*ranked, *settings])
    with show.failures(), Client() as client:
        body: dict[str, Any] = {"model": model, "training_file": id_of_rows(client, *data)}
        body |= {"suffix": suffix, "seed": seed}
        if validation.replace(".", "", 1).isdigit():
            step["validation"] = float(validation)
        elif validation:
            body["validation_file"] = id_of_rows(client, validation)
        body["method"] = {"type": "step", "step": step}
        if dry_run:
            _rehearse(client, body, as_json=as_json)
            return
        job = client.post(JOBS, body)
        if watch:
            job = follow(client, job["id"], quiet=as_json)
    _tell(job, as_json=as_json)
    if watch and job["status"] != "succeeded":
        raise typer.Exit(1)


def settings_of(given: list[str]) -> dict[str, Any]:
    """`a.b=1` as {"a": {"b": 1}}; what is no JSON is text."""
    found: dict[str, Any] = {}
    for item in given:
        path, equals, text = item.partition("=")
        if not equals:
            raise typer.BadParameter("write it as FIELD=VALUE, such as size=224", param_hint="--set")
        *outer, last = path.split(".")
        place = found
        for name in outer:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise typer.BadParameter(f"{path} is part of {name}, which has a value already", param_hint="--set")
        try:
            place[last] = json.loads(text)
        except ValueError:
            place[last] = text
    return found


def id_of_rows(client: Client, *data: str) -> str:
    """The id of what to train on; a file on this machine is sent first, and so are the rows of several together."""
    if len(data) > 1:
        return sent(client, _each_once(row for one in data for row in rows_of(client, one)))
    if not Path(data[0]).is_file():
        return data[0]
    return str(client.send_file(Path(data[0]))["id"])


def rows_of(client: Client, data: str) -> Iterator[Row]:
    """The rows of a data set, of a file that was sent, or of one on this machine."""
    if Path(data).is_file():
        return (json.loads(line) for line in Path(data).read_text().splitlines() if line.strip())
    return client.lines(f"/v1/files/{data}/content" if data.startswith("file-") else f"/v1/qra-datasets/{data}/export")


def sent(client: Client, rows: Iterable[Mapping[str, Any]]) -> str:
    """The id of rows that are sent as a file."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        with file.open("w", encoding="utf-8") as out:
            out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        return str(client.send_file(file)["id"])


def _each_once(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows without those that an earlier one has the id of: data sets of other seeds may hold the same sample."""
    seen = set[str]()
    for row in rows:
        if (id := row.get("id")) is not None:
            if str(id) in seen:
                continue
            seen.add(str(id))
        yield row


def _rehearse(client: Client, body: dict[str, Any], *, as_json: bool) -> None:
    with show.err.status("measuring"):
        told = client.post(f"{JOBS}?dry_run=true", body)
        while told["status"] in ("queued", "running"):
            told = client.post(f"{JOBS}?dry_run=true", body)
    if as_json:
        show.as_json(told["report"])
        return
    flat = [(k, json.dumps(v) if isinstance(v, dict | list) else v) for k, v in told["report"].items()]
    show.table("what it would take", ("what", "value"), flat)


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20, as_json: show.AsJson = False
) -> None:
    """List trainings, newest first."""
    with show.failures(), Client() as client:
        found = list(islice(client.pages(JOBS), limit))
    if as_json:
        show.as_json(found)
        return
    rows = [(j["id"], j["model"], j["status"], f"{j['step']}/{j['total']}", j["fine_tuned_model"] or "") for j in found]
    show.table("", ("training", "base", "status", "step", "model"), rows)


@app.command("show")
def show_(job: JobId, as_json: show.AsJson = False) -> None:
    """Show a training, its checkpoints and what it said last."""
    with show.failures(), Client() as client:
        found = client.get(f"{JOBS}/{job}")
        points = list(client.pages(f"{JOBS}/{job}/checkpoints"))
        events = client.get(f"{JOBS}/{job}/events", limit=10)["data"]
    if as_json:
        show.as_json(found | {"checkpoints": points, "events": events})
        return
    _tell(found, as_json=False)
    rows = [(p["step_number"], p["fine_tuned_model_checkpoint"], _numbers(p["metrics"])) for p in points]
    show.table("checkpoints", ("step", "model", "metrics"), rows)
    show.table("said last", ("level", "message"), [(e["level"], e["message"]) for e in reversed(events)])


def _numbers(metrics: dict[str, Any]) -> str:
    told = [f"{k} {v:.4f}" for k, v in metrics.items() if isinstance(v, float)]
    told += [f"{n} steps {v['correct']}/{v['count']}" for n, v in metrics.get("validation", {}).items()]
    return ", ".join(told)


@app.command()
def watch(job: JobId, as_json: show.AsJson = False) -> None:
    """Follow a training to its end: losses, learning rate, tokens a second, time left, validation by steps.

    Exit code 1 when it doesn't succeed. It goes on when this command ends. With --json every event is a line.
    """
    with show.failures(), Client() as client:
        found = follow(client, job, quiet=as_json, lines=as_json)
    if not as_json:
        _tell(found, as_json=False)
    if found["status"] != "succeeded":
        raise typer.Exit(1)


def follow(client: Client, id: str, *, quiet: bool, lines: bool = False) -> dict[str, Any]:
    """A training when it has ended, shown as it goes; with `lines` every event is a line of JSON."""
    from rich.live import Live

    seen: dict[str, Any] = {"validation": []}
    with Live(console=show.err, refresh_per_second=4, transient=True) as live:
        for event in client.follow(f"{JOBS}/{id}"):
            told = event.data["data"]
            if lines:
                show.as_json(event.data)
            if "validation" in told:
                seen["validation"].append(told)
            elif event.type == "metrics":
                seen["metrics"] = told
            else:
                seen["said"] = told.get("message", event.type)
            if not quiet:
                live.update(_view(id, seen))
    found: dict[str, Any] = client.get(f"{JOBS}/{id}")
    return found


def finished(client: Client, body: dict[str, Any], *, quiet: bool) -> dict[str, Any]:
    """A training of these fields, once it has succeeded; one that has failed or was stopped before goes on.

    Raises:
        ServiceError: it did not succeed.
    """
    job = client.post(JOBS, body)
    if job["status"] in ("failed", "cancelled", "paused"):
        client.post(f"{JOBS}/{job['id']}/resume")
    job = follow(client, job["id"], quiet=quiet)
    check_succeeded("The training", job["id"], job["status"], job["error"])
    return job


def _view(id: str, seen: dict[str, Any]) -> "Table":
    """What a training tells of itself just now."""
    from rich.table import Table

    view = Table(title=id, title_justify="left", show_header=False)
    m = seen.get("metrics")
    if m:
        left = m.get("eta_seconds")
        view.add_row("step", f"{m['step']}, epoch {m['epoch']:.2f}")
        names = [k for k in ("loss", "loss_answer", "loss_rationale") if m.get(k) is not None]
        parts = (f"{k.removeprefix('loss_')} {m[k]:.4f}" for k in names)
        view.add_row("loss", ", ".join(parts))
        if m.get("gradient_norm") is not None:
            view.add_row("gradient norm", f"{m['gradient_norm']:.3g}")
        view.add_row("learning rate", f"{m['learning_rate']:.3g}")
        view.add_row("tokens a second", f"{m['tokens_per_second']:,.0f}")
        view.add_row(
            "time left",
            f"{int(left) // 3600}:{int(left) // 60 % 60:02}:{int(left) % 60:02}" if left is not None else "",
        )
    for row in (*seen["validation"][:1], *seen["validation"][1:][-4:]):  # the base, and the last ones
        view.add_row(f"validation at {row['step']}", _numbers(row))
    view.add_row("said", escape(str(seen.get("said", ""))))
    return view


@app.command()
def cancel(job: JobId, as_json: show.AsJson = False) -> None:
    """End a training after a checkpoint, which is a model that may be named."""
    _ask(job, "cancel", as_json=as_json)


@app.command()
def pause(job: JobId, as_json: show.AsJson = False) -> None:
    """Have a training rest after a checkpoint."""
    _ask(job, "pause", as_json=as_json)


@app.command()
def resume(job: JobId, as_json: show.AsJson = False) -> None:
    """Go on with a training that rests, failed or was cancelled, from its last checkpoint."""
    _ask(job, "resume", as_json=as_json)


def _ask(job: str, what: str, *, as_json: bool) -> None:
    with show.failures(), Client() as client:
        found = client.post(f"{JOBS}/{job}/{what}")
    _tell(found, as_json=as_json)


def _tell(job: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show.as_json(job)
        return
    result = job["result"] or {}
    rows = [
        ("training", job["id"]),
        ("status", f"{job['status']}, {job['stopping']} soon" if job["stopping"] else job["status"]),
        ("base", job["model"]),
        ("data", job["training_file"]),
        ("step", f"{job['step']} of {job['total']}"),
        ("model", job["fine_tuned_model"] or result.get("checkpoint") or ""),
    ]
    show.table("", ("", ""), rows)
    if job["error"]:
        show.err.print(f"[red]{escape(job['error']['message'])}[/red]\n{escape(job['error']['remedy'])}")
