"""`stsg study`: the paper's tables in miniature, measured on a small Video-LLM and rendered videos."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from api.cli import show


class Table(StrEnum):
    """A part of the study."""

    arms = "arms"
    ablation = "ablation"
    lambdas = "lambda"
    mix = "mix"
    rounds = "rounds"
    noise = "noise"
    size = "size"
    rationale = "rationale"


def study(
    quick: Annotated[bool, typer.Option(help="A small form: one seed, few samples, the table of the arms.")] = False,
    tables: Annotated[list[Table], typer.Option("--table", help="Measure only these tables.")] = [],  # noqa: B006 # typer copies it
    folder: Annotated[
        Path, typer.Option(help="Graphs, rows and models; a study that was stopped goes on from it.")
    ] = Path(".stsg/study"),
    report: Annotated[Path | None, typer.Option(help="The report; pictures go beside it.")] = None,
    processes: Annotated[
        int, typer.Option(min=1, help="Trainings side by side, of one thread each; a GPU has room for more than two.")
    ] = 2,
    told_only: Annotated[bool, typer.Option("--report-only", help="Measure nothing; tell what is measured.")] = False,
) -> None:
    """Train the small Video-LLM as the paper's models were, ask each what no training showed, and write the report.

    Everything is kept by what decided it: the same command again goes on where it was left.
    """
    from dataclasses import replace

    from trainer.study import plan as plans
    from trainer.study.report import markdown, pictures
    from workers.study import RESULTS, Study, StudyError

    scale = plans.QUICK if quick else plans.FULL
    wanted = replace(scale, tables=tuple(table.value for table in tables)) if tables else scale
    target = report or (folder / "STUDY.md" if quick else RESULTS.parent.parent / "STUDY.md")
    plan = plans.study(scale)
    carried = Study(folder, RESULTS if not quick else folder / "results", processes=processes)
    if not told_only:
        try:
            carried.run(plans.study(wanted), show.err.print)
        except StudyError as e:
            show.err.print(str(e), markup=False)
            raise typer.Exit(1) from e
    command = f"stsg study{' --quick' if quick else ''}"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(markdown(plan, carried.result, command)) + "\n")
    for name, picture in pictures(plan, carried.result):
        (target.parent / "study" / name).parent.mkdir(exist_ok=True)
        (target.parent / "study" / name).write_text(picture)
    show.out.print(f"{target}")
