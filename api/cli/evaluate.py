"""`stsg evaluate`: how good the graphs and the answers are, on videos whose truth is known."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

import typer

from api.cli import local, show
from api.client import FINAL, Client, check_succeeded

if TYPE_CHECKING:
    from trainer.world.files import Rendered

app = typer.Typer(help="How good graphs and answers are.", no_args_is_help=True)
_FLOOR = ("guess in video", "guess in clip", "unforced", "skill (95 %)")  # columns beside an accuracy


@app.callback()
def _group() -> None:
    """How good graphs and answers are, on held-out worlds."""


@app.command()
def induction(
    videos: Annotated[int, typer.Option(min=2, help="How many videos are rendered.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first one.")] = 0,
    model: Annotated[str, typer.Option(help="A name in STSG_MODELS; empty is the default.")] = "",
    as_json: show.AsJson = False,
) -> None:
    """Send rendered videos through the service and score the graphs, by kind, beside blind guessing.

    The videos are of the test split: other scenes than any training saw.
    Starts the local stack where none runs, and then stops it again.
    """
    with show.failures():
        stack = local.start()
        try:
            with TemporaryDirectory() as folder, stack.client() as client:
                rows = _evaluate(client, Path(folder), videos, seed, model, quiet=as_json)
        finally:
            if stack.ours:
                local.stop()
    if as_json:
        show.as_json({row[0]: dict(zip(("precision", "recall", "f1", "chance"), row[1:], strict=True)) for row in rows})
    else:
        show.table(f"{videos} held-out videos", ("kind", "precision", "recall", "F1", "F1 by chance"), rows)


def _evaluate(client: Client, folder: Path, count: int, seed: int, model: str, *, quiet: bool) -> list[tuple[Any, ...]]:
    from api.scoring import score_export
    from trainer.world.score import KINDS, chance, total
    from trainer.world.truth import truth

    sent = sent_worlds(client, folder, count, seed, model, quiet=quiet)
    with show.err.status("scoring"):
        scores = [score_export(client, run_id, rendered.truth) for rendered, run_id in sent]
    guessed, summed = chance(truth(rendered.scene) for rendered, _ in sent), total(scores)
    return [(k, summed[k].precision, summed[k].recall, summed[k].f1, guessed[k].f1) for k in KINDS]


def sent_worlds(
    client: Client, folder: Path, count: int, seed: int, model: str, *, quiet: bool, uneven: bool = False
) -> "list[tuple[Rendered, str]]":
    """Worlds rendered into a folder and sent to the service, with the runs that made their graphs.

    `uneven` gives their clips different lengths.

    Raises:
        ServiceError: a run did not succeed.
    """
    from trainer.world.files import render_with_truth

    params = {"process": "true"} | ({"model": model} if model else {})
    with show.RunProgress(quiet) as bars:
        bar = bars.add("rendering and sending", count)
        sent = []
        for number in range(seed, seed + count):
            rendered = render_with_truth(number, folder, uneven=uneven)
            sent.append((rendered, str(client.upload(rendered.video, lambda size: None, **params)["run"]["id"])))
            bars.advance(bar, 1)
        bar = bars.add("graphs", count)
        for _, run_id in sent:
            run = client.until_final(f"/v1/runs/{run_id}")
            check_succeeded("The run", run_id, run["state"], run["error"])
            bars.advance(bar, 1)
    return sent


class Mode(StrEnum):
    """How answers are given."""

    direct = "direct"
    rationale = "rationale"


class Worlds(StrEnum):
    """Which worlds are asked about."""

    world = "world"
    composition = "world-composition"
    shifted = "world-shifted"
    validation = "world-validation"


@app.command()
def world(
    models: Annotated[
        list[str], typer.Option("--model", help="A model that is asked; several are compared. Empty is the default.")
    ] = [""],  # noqa: B006 # typer copies it
    modes: Annotated[
        list[Mode], typer.Option("--mode", help="The answer at once, or a rationale first; both are compared.")
    ] = [Mode.direct],  # noqa: B006 # typer copies it
    samples: Annotated[int, typer.Option(min=0, help="How many questions; 0 is all.")] = 0,
    benchmark: Annotated[
        Worlds,
        typer.Option(
            help="Held-out worlds, plain or with held-out combinations, other layouts and shades, or those to choose by."
        ),
    ] = Worlds.world,
    seed: Annotated[int, typer.Option(min=0, help="Which questions, where not all are asked.")] = 0,
    plot: Annotated[Path | None, typer.Option(help="Write a plot to this file, as SVG.")] = None,
    as_json: show.AsJson = False,
) -> None:
    """Ask models questions of 1, 2 and more steps about held-out worlds, and compare them on the same questions.

    Beside each score stand what the model gets right without frames, and what can be guessed from the question's phrasing.
    Speaks to STSG_API_URL, or else to the local stack, which it starts where none runs, and then stops again.
    """
    bodies = [{"model": model, **asked(samples, mode, seed, benchmark)} for model in models for mode in modes]
    with show.failures(), service() as client:
        report = answered(client, bodies, plot, quiet=as_json)
    if as_json:
        show.as_json(report)
    else:
        print_report(report)


def asked(questions: int, mode: Mode, seed: int, benchmark: Worlds = Worlds.world) -> dict[str, Any]:
    """The fields of an evaluation beside its model; 0 questions are all."""
    fields: dict[str, Any] = {"benchmark": benchmark.value, "mode": mode.value, "seed": seed}
    return fields | ({"samples": questions} if questions else {})


@contextmanager
def service() -> Iterator[Client]:
    """The service of STSG_API_URL, or the local stack, which is started and stopped where none runs."""
    if os.environ.get("STSG_API_URL"):
        with Client() as client:
            yield client
        return
    stack = local.start()
    try:
        with stack.client() as client:
            yield client
    finally:
        if stack.ours:
            local.stop()


def answered(client: Client, bodies: list[dict[str, Any]], plot: Path | None, *, quiet: bool) -> dict[str, Any]:
    """The report on some evaluations, which are started and waited for; a plot of it goes to a file if wanted."""
    first, *others = _evaluations(client, bodies, quiet=quiet)
    path = f"/v1/evaluations/{first}/report"
    if plot:
        query = urlencode({"against": others, "format": "svg"}, doseq=True)
        plot.write_bytes(b"".join(client.blocks(f"{path}?{query}")))
    report: dict[str, Any] = client.get(path, against=others)
    return report


def _evaluations(client: Client, bodies: list[dict[str, Any]], *, quiet: bool) -> list[str]:
    """Start the evaluations and wait for them; returns their ids."""
    with show.RunProgress(quiet) as bars:
        begun = [client.post("/v1/evaluations", body) for body in bodies]
        for job in begun:
            bar = bars.add(f"{job['model']} {job['mode']}", job["samples"])
            while job["state"] not in FINAL:
                time.sleep(0.5)
                job, before = client.get(f"/v1/evaluations/{job['id']}"), job
                bars.advance(bar, job["done"] - before["done"])
            bars.end(bar, job["state"])
            retry = {"remedy": f"Retry it: POST /v1/evaluations/{job['id']}/retry."}
            check_succeeded("The evaluation", job["id"], job["state"], retry | (job["error"] or {}))
    return [job["id"] for job in begun]


def print_report(report: dict[str, Any]) -> None:
    """Print scores by number of steps, and the paired tests."""
    rows = [
        (
            model["name"],
            steps,
            s["count"],
            s["accuracy"],
            _span(s["interval"]),
            s["blind"],
            s["guessed"],
            *_above_floor(s.get("floor")),
            s["asked_after"],
        )
        for model in report["models"]
        for steps, s in model["scores"].items()
    ]
    columns = (
        "model",
        "steps",
        "questions",
        "accuracy",
        "95 %",
        "without frames",
        "by phrasing",
        *_FLOOR,
        "asked after",
    )
    show.table(f"{report['benchmark']}, {report['samples']} questions", columns, rows)
    if report["comparisons"]:
        paired = [
            (c["first"], c["second"], c["steps"], f"{c['difference']:+.3f}", _span(c["interval"]), c["p"], c["p_holm"])
            for c in report["comparisons"]
        ]
        titles = ("model", "against", "steps", "gain of the second", "95 %", "p (McNemar)", "p (Holm)")
        show.table("paired, on the same questions", titles, paired)


def _above_floor(floor: dict[str, Any] | None) -> tuple[Any, ...]:
    """The cells of `_FLOOR`."""
    if floor is None:
        return ("",) * len(_FLOOR)
    unforced = floor["unforced_correct"] / floor["unforced"] if floor["unforced"] else ""
    skill = f"{floor['skill']:.3f} ({_span(floor['skill_interval'])})"
    return floor["in_video"], floor["in_clip"], unforced, skill


def _span(interval: list[float]) -> str:
    return f"{interval[0]:.3f} to {interval[1]:.3f}"
