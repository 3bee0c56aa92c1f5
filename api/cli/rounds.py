"""`stsg rounds`: self-training rounds, each of which induces graphs, samples them, trains on the samples, and is evaluated."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from api.cli import evaluate, qra, show, train
from api.client import Client, ServiceError, check_succeeded


@dataclass(frozen=True, slots=True)
class Round:
    """What one round made: with which model graphs were induced, what they held, and the model that came out."""

    number: int
    model: str
    graphs: int
    objects: int
    dataset: str
    samples: int
    training: str
    tuned: str

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def rounds(
    videos: Annotated[
        list[Path] | None, typer.Argument(exists=True, dir_okay=False, help="Videos to learn from.")
    ] = None,
    count: Annotated[int, typer.Option("--rounds", min=1, max=10, help="How many rounds.")] = 1,
    worlds: Annotated[
        int, typer.Option(min=1, help="How many training worlds are rendered where no video is named.")
    ] = 8,
    model: Annotated[str, typer.Option(help="The base: a name in STSG_MODELS, or a tuned model's id.")] = "tiny",
    steps: Annotated[
        list[str], typer.Option("--steps", help="How many samples of how many reasoning steps, such as 3=50.")
    ] = ["1=50", "2=50", "3=50"],  # noqa: B006 # typer copies it
    onward: Annotated[bool, typer.Option(help="Train the last round's model on, not the base anew.")] = False,
    settings: Annotated[
        list[str], typer.Option("--set", help="A field of method.step, such as epochs=3 or lambda_rationale=2.")
    ] = [],  # noqa: B006 # typer copies it
    questions: Annotated[int, typer.Option(min=0, help="How many questions of the world benchmark; 0 is all.")] = 300,
    mode: Annotated[
        evaluate.Mode, typer.Option(help="The answer at once, or a rationale first.")
    ] = evaluate.Mode.direct,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same models.")] = 0,
    plot: Annotated[Path | None, typer.Option(help="Write a plot of the scores to this file, as SVG.")] = None,
    as_json: show.AsJson = False,
) -> None:
    """Let a model improve itself: induce graphs, sample them, train on the samples, evaluate, and again with what came out.

    The same command again goes on where it was left: what the service has made already is not made twice, and what failed is
    tried again. Speaks to STSG_API_URL, or else to the local stack, which it starts where none runs, and then stops again.
    """
    mix, step = qra.step_counts(steps), train.settings_of(settings)
    with show.failures(), evaluate.service() as client, _files(videos, worlds, seed) as files:
        made: list[Round] = []
        for number in range(1, count + 1):
            now = made[-1].tuned if made else model
            if not as_json:
                show.err.print(f"round {number} of {count}, with {now}")
            body = {"model": now if onward else model, "seed": seed, "suffix": f"round-{number}"}
            body["method"] = {"type": "step", "step": step}
            made.append(_round(client, files, number, now, mix, body, quiet=as_json))
        asked = evaluate.asked(questions, mode, seed)
        bodies = [{"model": name, **asked} for name in (model, *(r.tuned for r in made))]
        report = evaluate.answered(client, bodies, plot, quiet=as_json)
    if as_json:
        show.as_json({"rounds": [r.to_dict() for r in made], "report": report})
        return
    columns = ("round", "graphs by", "graphs", "objects", "data set", "samples", "model")
    rows = [(r.number, r.model, r.graphs, r.objects, r.dataset, r.samples, r.tuned) for r in made]
    show.table("rounds", columns, rows)
    evaluate.print_report(report)


@contextmanager
def _files(videos: list[Path] | None, worlds: int, seed: int) -> Iterator[list[Path]]:
    """The videos, or those of rendered worlds that no test asks about."""
    if videos:
        yield videos
        return
    from trainer.world.files import render_with_truth

    with TemporaryDirectory() as folder:
        yield [render_with_truth(seed + n, Path(folder), split="train").video for n in range(worlds)]


def _round(
    client: Client,
    files: list[Path],
    number: int,
    model: str,
    mix: dict[str, int],
    body: dict[str, Any],
    *,
    quiet: bool,
) -> Round:
    runs = _induced(client, files, model, body["seed"], quiet=quiet)
    objects = sum(client.get(f"/v1/graphs/{run}")["counts"]["objects"] for run in runs)
    with show.err.status("sampling reasoning paths"):
        dataset = qra.make(client, runs, {"steps": mix}, body["seed"])
    check_succeeded("The data set", dataset["id"], dataset["state"], dataset["error"])
    if not dataset["count"]:
        remedy = f"See what was found wanting: stsg qra show {dataset['id']}."
        raise ServiceError(f"No question could be made of {len(runs)} graphs.", remedy)
    job = train.finished(client, body | {"training_file": dataset["id"]}, quiet=quiet)
    return Round(number, model, len(runs), objects, dataset["id"], dataset["count"], job["id"], job["fine_tuned_model"])


def _induced(client: Client, files: list[Path], model: str, seed: int, *, quiet: bool) -> list[str]:
    """The runs that gave graphs; one that did not is told and left out, as long as any did."""
    params: dict[str, Any] = {"process": "true", "model": model, "seed": str(seed)}
    with show.RunProgress(quiet) as bars:
        sending, sent = bars.add("videos", len(files)), dict[str, dict[str, Any]]()
        for file in files:
            try:
                run = client.upload(file, **params)["run"]
                sent[run["id"]] = run
            except ServiceError as e:
                if e.status < 400 or e.status >= 500:  # the service is away, and the video as good as any
                    raise
                show.err.print(f"{file.name} is left out: {e.detail}", markup=False)
            bars.advance(sending, 1)
        if not sent:
            raise ServiceError("None of the videos was taken.", "Name others.")
        bar = bars.add("graphs", len(sent))
        for id, run in sent.items():
            if run["state"] in ("failed", "cancelled"):
                client.post(f"/v1/runs/{id}/retry")
        done = []
        for id in sent:
            done.append(client.until_final(f"/v1/runs/{id}"))
            bars.advance(bar, 1)
    failed = [run for run in done if run["state"] != "succeeded"]
    for run in failed:
        show.err.print(f"{run['id']} is {run['state']} and left out: {(run['error'] or {}).get('detail', '')}")
    if len(failed) == len(done):
        check_succeeded("No video gave a graph: the first run", done[0]["id"], done[0]["state"], done[0]["error"])
    return [run["id"] for run in done if run["state"] == "succeeded"]
