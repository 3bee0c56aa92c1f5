"""`stsg evaluate`: how good the graphs are, on videos whose true graph is known."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from api.cli import local, show
from api.client import Client, ServiceError

app = typer.Typer(help="How good the graphs are.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """How good the graphs are."""


@app.command()
def induction(
    videos: Annotated[int, typer.Option(min=2, help="How many held-out videos are rendered.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first one.")] = 0,
    model: Annotated[str, typer.Option(help="A name in STSG_MODELS; empty is the default.")] = "",
    as_json: show.AsJson = False,
) -> None:
    """Send rendered videos through the service and score the graphs, by kind, beside blind guessing.

    The videos are of the test split: other scenes than any training saw, and pairs of colour and shape that it never saw.
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
    from trainer.world.files import load_scene, render_with_truth
    from trainer.world.score import KINDS, chance, total
    from trainer.world.truth import truth

    params = {"process": "true"} | ({"model": model} if model else {})
    with show.RunProgress(quiet) as bars:
        bar = bars.add("rendering and sending", count)
        sent = []
        for number in range(seed, seed + count):
            rendered = render_with_truth(number, folder)
            sent.append((rendered, client.upload(rendered.video, lambda size: None, **params)["run"]["id"]))
            bars.advance(bar, 1)
        bar = bars.add("graphs", count)
        scores = []
        for rendered, run_id in sent:
            run = client.until_final(f"/v1/runs/{run_id}")
            if run["state"] != "succeeded":
                raise ServiceError(f"{run_id} {run['state']}: {run['error']}", "Read .stsg/logs/worker.log.")
            scores.append(score_export(client, run_id, rendered.truth))
            bars.advance(bar, 1)
    guessed = chance(truth(load_scene(rendered.truth)) for rendered, _ in sent)
    summed = total(scores)
    return [(k, summed[k].precision, summed[k].recall, summed[k].f1, guessed[k].f1) for k in KINDS]
