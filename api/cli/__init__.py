"""The command line, `stsg`: the stack on this machine, and a client of the API wherever it runs."""

import typer

from api.cli import (
    backup,
    benchmark,
    demo,
    evaluate,
    models,
    qra,
    questions,
    rounds,
    stack,
    study,
    sweep,
    train,
    videos,
    world,
)

app = typer.Typer(
    name="stsg",
    help="Spatio-Temporal Scene Graphs: videos in, graphs in Neo4j, reasoning data out.\n\n"
    "Commands about videos, runs, data sets, answers, trainings and models speak to the API at STSG_API_URL, or else to the "
    "local stack of this folder (.stsg/stack.json). STSG_API_TOKEN is the bearer token where one is needed. The others work on "
    "this machine: up, down, doctor, backup, restore, demo, benchmark, study, world, evaluate induction and qra, models check, "
    "conformance and convert.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
)
app.command()(stack.up)
app.command()(stack.down)
app.command()(stack.status)
app.command()(stack.doctor)
app.command()(backup.backup)
app.command()(backup.restore)
app.command()(videos.ingest)
app.command()(videos.runs)
app.command()(videos.graph)
app.command()(demo.demo)
app.command()(rounds.rounds)
app.command()(study.study)
app.add_typer(qra.app, name="qra")
evaluate.app.command("qra")(questions.questions)
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(train.app, name="train")
app.add_typer(sweep.app, name="sweep")
app.add_typer(models.app, name="models")
app.add_typer(benchmark.app, name="benchmark")
app.add_typer(world.app, name="world")
