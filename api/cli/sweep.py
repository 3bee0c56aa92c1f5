"""`stsg sweep`: the same training at several lambdas (STEP Fig. 5) or on several mixes of steps (Fig. 6), compared."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli import evaluate, show, train
from api.client import Client, ServiceError
from trainer.tuning import recipes
from trainer.tuning.spec import TuningError

app = typer.Typer(help="The same training several times, with one thing different each time.", no_args_is_help=True)
Data = Annotated[str, typer.Argument(help="What to train on: a data set's id, a file's id, or a JSONL file to send.")]
Base = Annotated[str, typer.Option("--model", help="The base: a name in STSG_MODELS, or a tuned model's id.")]
Settings = Annotated[
    list[str], typer.Option("--set", help="A field of method.step, the same for all, such as epochs=3.")
]
Questions = Annotated[int, typer.Option(min=0, help="How many questions of the world benchmark; 0 is all.")]
How = Annotated[evaluate.Mode, typer.Option("--mode", help="The answer at once, or a rationale first.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the trainings, the mixes and the questions.")]
Plot = Annotated[Path | None, typer.Option(help="Write a plot of the scores to this file, as SVG.")]
Bodies = Mapping[str, dict[str, Any]]  # what is asked of the service, by what a training is called


@app.command("lambda")
def lambda_(
    data: Data,
    values: Annotated[list[float], typer.Option("--value", help="A weight of the rationale's loss.")] = [  # noqa: B006 # typer copies it
        *recipes.LAMBDAS
    ],
    model: Base = "tiny",
    settings: Settings = [],  # noqa: B006 # typer copies it
    questions: Questions = 300,
    mode: How = evaluate.Mode.direct,
    seed: Seed = 0,
    plot: Plot = None,
    as_json: show.AsJson = False,
) -> None:
    """Train at several weights of the rationale's loss, and compare what comes out with the base (STEP Fig. 5).

    The same command again goes on where it was left. Speaks to STSG_API_URL, or else to the local stack.
    """
    step = train.settings_of(settings)
    with show.failures(), evaluate.service() as client, _told():
        swept = recipes.lambda_sweep(recipes.step(model), values)
        file = train.id_of_rows(client, data)
        bodies = {
            name: _body(model, file, step | {"lambda_rationale": spec.lambda_rationale}, name, seed)
            for name, spec in swept.items()
        }
        _compare(client, model, bodies, evaluate.asked(questions, mode, seed), plot, as_json=as_json)


@app.command()
def steps(
    data: Data,
    mixes: Annotated[list[str], typer.Option("--mix", help="Only this mix; all by default.")] = [],  # noqa: B006 # typer copies it
    model: Base = "tiny",
    settings: Settings = [],  # noqa: B006 # typer copies it
    questions: Questions = 300,
    mode: How = evaluate.Mode.direct,
    seed: Seed = 0,
    plot: Plot = None,
    as_json: show.AsJson = False,
) -> None:
    """Train on several mixes of one, two and more reasoning steps, and compare what comes out with the base (STEP Fig. 6).

    All mixes have as many samples, which are drawn from the rows given. The same command again goes on where it was left.
    Speaks to STSG_API_URL, or else to the local stack.
    """
    if unknown := set(mixes) - set(recipes.STEP_MIXES):
        raise typer.BadParameter(f"{min(unknown)} is none of {', '.join(recipes.STEP_MIXES)}", param_hint="--mix")
    step = train.settings_of(settings)
    with show.failures(), evaluate.service() as client, _told():
        chosen = {name: mix for name, mix in recipes.STEP_MIXES.items() if name in (mixes or recipes.STEP_MIXES)}
        swept = recipes.step_mix_sweep(recipes.step(model, seed=seed), list(train.rows_of(client, data)), chosen)
        bodies = {name: _body(model, train.sent(client, rows), step, name, seed) for name, (_, rows) in swept.items()}
        _compare(client, model, bodies, evaluate.asked(questions, mode, seed), plot, as_json=as_json)


@contextmanager
def _told() -> Iterator[None]:
    """What a recipe refuses, as the command line tells it."""
    try:
        yield
    except TuningError as e:
        raise ServiceError(e.detail, e.remedy) from e


def _body(model: str, file: str, step: Mapping[str, Any], name: str, seed: int) -> dict[str, Any]:
    method = {"type": "step", "step": dict(step)}
    return {"model": model, "training_file": file, "method": method, "suffix": name, "seed": seed}


def _compare(
    client: Client, base: str, bodies: Bodies, asked: Mapping[str, Any], plot: Path | None, *, as_json: bool
) -> None:
    """Train all, then ask all and the base the same questions."""
    made: dict[str, dict[str, Any]] = {}
    for body in bodies.values():  # all at once, as several workers may train
        client.post(train.JOBS, body)
    for name, body in bodies.items():
        if not as_json:
            show.err.print(f"{name}, {len(made) + 1} of {len(bodies)}")
        made[name] = train.finished(client, body, quiet=as_json)  # the same request again is the same training
    models = {"base": base} | {name: job["fine_tuned_model"] for name, job in made.items()}
    report = evaluate.answered(client, [{"model": id, **asked} for id in models.values()], plot, quiet=as_json)
    if as_json:
        show.as_json({"models": models, "trainings": {n: job["id"] for n, job in made.items()}, "report": report})
        return
    scored = zip(models.items(), report["models"], strict=True)
    rows = [(name, id, *(score["accuracy"] for score in told["scores"].values())) for (name, id), told in scored]
    show.table("accuracy by number of steps", ("training", "model", *report["models"][0]["scores"]), rows)
    evaluate.print_report(report)
