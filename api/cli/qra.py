"""Commands about QRA data sets: questions, rationales and answers sampled from the graphs."""

import json
from itertools import islice
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer
from rich.markup import escape

from api.cli import show, verify
from api.cli.videos import write_lines
from api.client import Client, check_succeeded
from model.rationale.formats import ExportFormat, ExportSplit, MediaKind, Visual, dataset_info

app = typer.Typer(help="Question-Rationale-Answer data sets.", no_args_is_help=True)


@app.command()
def create(
    runs: Annotated[list[str], typer.Argument(help="Runs whose graphs are sampled.")],
    steps: Annotated[
        list[str], typer.Option("--steps", help="How many samples of how many reasoning steps, such as 3=50.")
    ] = ["1=10", "2=10", "3=10", "4=10"],  # noqa: B006 # typer copies it
    families: Annotated[
        list[str], typer.Option("--family", help="Weight of a family, such as order=2; all are equal by default.")
    ] = [],  # noqa: B006 # typer copies it
    forms: Annotated[
        list[str], typer.Option("--form", help="Weight of a form (open, yes_no, choice, count), such as open=1.")
    ] = [],  # noqa: B006 # typer copies it
    edges: Annotated[
        list[str], typer.Option("--edge", help="Weight of a kind of edge that deepens questions, such as RELATION=2.")
    ] = [],  # noqa: B006 # typer copies it
    polish: Annotated[str, typer.Option(help="A model that rewrites the samples, such as tiny.")] = "",
    blind: Annotated[int, typer.Option(min=0, max=3, help="How often it is asked without frames.")] = 0,
    drop_blind: Annotated[bool, typer.Option(help="Leave out what it answers so every time.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same data.")] = 0,
    name: Annotated[str, typer.Option(help="A name of your own.")] = "",
    as_json: show.AsJson = False,
) -> None:
    """Make a data set and wait until it is there."""
    with show.failures(), Client() as client, show.err.status("sampling"):
        mix: dict[str, Any] = {"steps": step_counts(steps)}
        weighed = (("families", "--family", families), ("forms", "--form", forms), ("edges", "--edge", edges))
        mix |= {key: _weights(given, option) for key, option, given in weighed if given}
        if (blind or drop_blind) and not polish:
            raise typer.BadParameter("which model is asked? Name it with --polish", param_hint="--blind")
        if polish:
            mix["polish"] = {"model": polish, "blind": blind, "drop_blind": drop_blind}
        dataset = make(client, runs, mix, seed, name)
    if as_json:
        show.as_json(dataset)
    else:
        _describe(dataset)
    if dataset["state"] != "succeeded":
        raise typer.Exit(1)


def make(client: Client, runs: list[str], mix: dict[str, Any], seed: int = 0, name: str = "") -> dict[str, Any]:
    """Ask for a data set, again where it failed before, and wait for it, however it ends; `mix` holds steps and more."""
    body = {"runs": runs, **mix, "seed": seed} | ({"name": name} if name else {})
    dataset: dict[str, Any] = client.post("/v1/qra-datasets", body)
    if dataset["state"] in ("failed", "cancelled"):
        client.post(f"/v1/qra-datasets/{dataset['id']}/retry")
    return client.until_final(f"/v1/qra-datasets/{dataset['id']}")


def step_counts(steps: list[str]) -> dict[str, int]:
    """`3=50` as {"3": 50}."""
    try:
        return {str(int(left)): int(right) for left, _, right in (item.partition("=") for item in steps)}
    except ValueError:
        raise typer.BadParameter("write it as STEPS=COUNT, such as 3=50", param_hint="--steps") from None


def _weights(given: list[str], option: str) -> dict[str, float]:
    """`open=1` as {"open": 1.0}."""
    try:
        return {left: float(right) for left, _, right in (item.partition("=") for item in given)}
    except ValueError:
        raise typer.BadParameter("write it as NAME=WEIGHT, such as open=1", param_hint=option) from None


@app.command("list")
def list_(as_json: show.AsJson = False) -> None:
    """List the data sets, newest first."""
    with show.failures(), Client() as client:
        found = list(client.pages("/v1/qra-datasets"))
    if as_json:
        show.as_json(found)
        return
    rows = [(d["id"], d["name"], d["state"], d["count"], d["created_at"]) for d in found]
    show.table("", ("data set", "name", "state", "samples", "created"), rows)


@app.command("show")
def show_(
    dataset: Annotated[str, typer.Argument(help="The data set's id.")],
    samples: Annotated[int, typer.Option(min=0, help="How many samples to print.")] = 3,
    family: Annotated[str, typer.Option(help="Only samples of this family.")] = "",
    form: Annotated[str, typer.Option(help="Only samples of this form.")] = "",
    steps: Annotated[int, typer.Option(min=0, help="Only samples of so many steps; 0 is any.")] = 0,
    as_json: show.AsJson = False,
) -> None:
    """Show a data set's counts and some of its samples."""
    with show.failures(), Client() as client:
        found = client.get(f"/v1/qra-datasets/{dataset}")
        wanted = {key: value for key, value in (("family", family), ("form", form), ("steps", steps)) if value}
        every = client.lines(f"/v1/qra-datasets/{dataset}/export")
        rows = list(islice((row for row in every if wanted.items() <= row.items()), samples))
    if as_json:
        show.as_json(found | {"rows": rows})
        return
    _describe(found)
    for row in rows:
        print_sample(row)


@app.command()
def statistics(
    dataset: Annotated[str, typer.Argument(help="The data set's id.")],
    validation: Annotated[float, typer.Option(min=0, max=1, help="The share of videos for validation.")] = 0.1,
    as_json: show.AsJson = False,
) -> None:
    """Count what a data set holds: steps, families, forms, splits, and the most frequent answers."""
    with show.failures(), Client() as client:
        told = client.get(f"/v1/qra-datasets/{dataset}/statistics", validation=validation)
        guessing = client.get(f"/v1/qra-datasets/{dataset}")["guessing"]
    if as_json:
        show.as_json(told)
        return
    kinds = ("steps", "hops", "temporal", "family", "form", "split")
    rows = [(kind, key, count) for kind in kinds for key, count in told[f"by_{kind}"].items()]
    rows += [(f"answer, {form}", a, n) for form, most in told["answers"].items() for a, n in most.items()]
    show.table(f"{told['count']:,} samples of {told['videos']:,} videos", ("what", "which", "samples"), rows)
    print_guessing(guessing)


def print_guessing(guessing: dict[str, dict[str, dict[str, float]]]) -> None:
    """What the words of questions give away."""
    rows = [
        (f, form, int(t["tried"]), t["guessed"], t["chance"])
        for f, told in guessing.items()
        for form, t in told.items()
    ]
    show.table("guessed from the words alone", ("family", "form", "tried", "right", "by chance"), rows)


@app.command()
def export(
    dataset: Annotated[str, typer.Argument(help="The data set's id.")],
    file: Annotated[Path, typer.Argument(help="Where to write it.")],
    format: Annotated[ExportFormat, typer.Option(help="For whom; hf is a tar of a folder for `datasets`.")] = "jsonl",
    split: Annotated[ExportSplit, typer.Option(help="No video is in both train and validation.")] = "all",
    validation: Annotated[float, typer.Option(min=0, max=1, help="The share of videos for validation.")] = 0.1,
    rationales: Annotated[bool, typer.Option(help="Whether trainers also get a row for each rationale.")] = True,
    tell_times: Annotated[
        bool, typer.Option(help="Whether trainers' questions begin with where clips or frames are in the video.")
    ] = True,
    visual: Annotated[Visual | None, typer.Option(help="What rows show, where the format leaves a choice.")] = None,
    media: Annotated[
        MediaKind, typer.Option(help="Media as paths, embedded in parquet and hf, or in one tar with the rows.")
    ] = "paths",
    as_json: show.AsJson = False,
) -> None:
    """Download a data set as JSONL, as a trainer wants it, or as Parquet, with its videos or frames if wanted."""
    wanted: dict[str, Any] = {"format": format, "split": split, "validation": validation, "rationales": rationales}
    wanted |= {"tell_times": tell_times, "media": media} | ({"visual": visual} if visual else {})
    with show.failures(), Client() as client:
        size = write_lines(client, f"/v1/qra-datasets/{dataset}/export?{urlencode(wanted)}", file)
    bare = format == "sharegpt" and media == "paths"  # a tar holds the entry itself
    told = {"dataset_info": dataset_info(dataset, file.name, visual or "video")} if bare else {}
    if as_json:
        show.as_json({"file": str(file), "bytes": size} | told)
        return
    show.out.print(f"{file}: {size:,} bytes")
    if told:
        show.out.print(
            f"for LLaMA-Factory's dataset_info.json: {escape(json.dumps(told['dataset_info']))}", soft_wrap=True
        )


app.command()(verify.verify)


def _describe(dataset: dict[str, Any]) -> None:
    show.out.print(f"[bold]{dataset['id']}[/bold] {escape(dataset['name'])} {dataset['state']}")
    with show.failures():
        check_succeeded("The data set", dataset["id"], dataset["state"], dataset["error"])
    for what in ("steps", "family", "form"):
        show.table("", (what, "samples"), sorted(dataset[f"by_{what}"].items()))
    print_missing(dataset)
    if polished := dataset["polish"]:
        rows = [("rewritten", polished["rewritten"]), *(("kept: " + k, n) for k, n in polished["kept"].items())]
        show.table("", ("words", "samples"), rows + [("blind: " + k, n) for k, n in polished["blind"].items()])
    if dataset["rejects"]:
        show.table("walks not used", ("reason", "count"), list(dataset["rejects"].items()))


def print_missing(dataset: dict[str, Any]) -> None:
    """How much less there is than was asked for, if anything."""
    rows = [("any", steps, "any", count) for steps, count in dataset["missing"].items()]
    rows += [(f, steps, "any", n) for f, told in dataset["missing_by_family"].items() for steps, n in told.items()]
    rows += [("any", "any", form, count) for form, count in dataset["missing_by_form"].items()]
    if rows:
        show.table("fewer than wanted", ("family", "steps", "form", "missing"), rows)


def print_sample(row: dict[str, Any]) -> None:
    """One sample for reading: question, numbered rationale, answer, path."""
    steps = f"{row['steps']} step{'s' * (row['steps'] != 1)}"
    show.out.print(f"\n[bold]Q[/bold] ({steps})  {escape(row['question'])}")
    for number, line in enumerate(row["rationale"], 1):
        show.out.print(f"   {number}. {escape(line)}")
    show.out.print(f"[bold]A[/bold]  {escape(row['answer'])}")
    show.out.print(f"[dim]path: {escape(path_line(row['path']))}[/dim]")


def path_line(path: list[dict[str, str]]) -> str:
    """A reasoning path as one line: `from -[RELATION left of]-> to, ...`."""
    return ", ".join(
        f"{edge['from']} -[{' '.join(edge[k] for k in ('kind', 'type', 'predicate') if k in edge)}]-> "
        f"{edge.get('to') or edge.get('value', '')}"
        for edge in path
    )
