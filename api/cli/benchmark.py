"""`stsg benchmark`: public benchmarks of video questions, from their official files on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli import show
from api.client import ServiceError

app = typer.Typer(help="Public benchmarks, from their official files on this machine.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="agqa, star, star-choice, msvd-qa, mvbench, tempcompass-yes_no, ...")]
Folder = Annotated[Path, typer.Argument(help="Where its files and videos lie.")]
Official = Annotated[bool, typer.Option("--official", help="Read replies by the official rule with its known faults.")]


@app.callback()
def _group() -> None:
    """Public benchmarks, from their official files on this machine."""


@app.command()
def check(name: Name, folder: Folder, as_json: show.AsJson = False) -> None:
    """Say what of a benchmark is on disk, what is missing and where to get it; exit code 1 unless all is there."""
    from workers import benchmarks

    with _failures():
        found = benchmarks.check(name, folder)
    if as_json:
        show.as_json(found.to_dict())
    else:
        lines = (("questions", f"{found.questions:,} of {found.expected:,}"), ("videos", f"{found.videos:,}"))
        files = tuple((f"file {file}", version) for file, version in found.files.items())
        told = [("note", n) for n in found.notes] + [("problem", p) for p in found.problems]
        show.table(
            name, ("what", "found"), [*lines, *files, *told, *([] if found.ready else [("get it", found.where)])]
        )
    raise typer.Exit(0 if found.ready else 1)


@app.command()
def run(
    name: Name,
    folder: Folder,
    model: Annotated[str, typer.Option(help="hf:FOLDER_OR_ID or openai:URL#NAME.")],
    record: Annotated[Path, typer.Option(help="What is said is kept here; the same command goes on where it stopped.")],
    judge: Annotated[str, typer.Option(help="Marks open answers; openai:URL#NAME or a model as above.")] = "",
    samples: Annotated[int, typer.Option(min=0, help="Draw so many questions by seed; 0 is all.")] = 0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    ids: Annotated[Path | None, typer.Option(exists=True, help="A file with an id of a question on each line.")] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Go on though a part or videos are missing.")] = False,
    official: Official = False,
    as_json: show.AsJson = False,
) -> None:
    """Ask a model a benchmark's questions: the paper's prompt, 8 frames of 224; show the scores."""
    from workers import benchmarks

    plan = benchmarks.Plan(name, folder, record, model, judge, samples, seed, ids, partial, official)
    with _failures(), show.RunProgress(quiet=as_json) as bars:
        stages: dict[str, tuple[Any, int]] = {}
        for step in benchmarks.run(plan):
            bar, before = stages.get(step.stage) or (bars.add(step.stage, step.total), 0)
            bars.advance(bar, step.done - before)
            stages[step.stage] = (bar, step.done)
    report(record, official, as_json)


@app.command()
def report(
    record: Annotated[Path, typer.Argument(help="What a run kept.")],
    official: Official = False,
    as_json: show.AsJson = False,
) -> None:
    """Show the scores of a finished run again, from what was kept: no model, no judge, no videos."""
    from workers import benchmarks

    with _failures():
        table = benchmarks.report(record, official=official)
    if as_json:
        show.as_json(table.to_dict())
        return
    rows = [
        (group, value, score.count, 100 * score.accuracy, 100 * score.unread, "" if score.mark is None else score.mark)
        for (group, value), score in table.scores.items()
    ]
    title = f"{table.benchmark}{' (official rule)' if official else ''}"
    show.table(title, ("by", "", "questions", "accuracy %", "unread %", "mark"), rows)
    told = [(name, 100 * figure) for name, figure in table.figures.items()]
    if told:
        show.table("its own figures", ("figure", "%"), told)
    if table.not_shown:
        show.table("not shown, and counted as wrong", ("why", "questions"), list(table.not_shown.items()))


@contextmanager
def _failures() -> Iterator[None]:
    """The faults of files, models and judges, with what to do."""
    from model.backends import SpecError
    from model.video_llm import VideoLLMError
    from trainer.benchmarks.files import BenchmarkError
    from trainer.benchmarks.judge import JudgeDownError

    with show.failures():
        try:
            yield
        except BenchmarkError as e:
            raise ServiceError(e.detail, e.remedy) from e
        except SpecError as e:
            raise ServiceError(str(e), "") from e
        except (VideoLLMError, JudgeDownError) as e:
            raise ServiceError(str(e), "What was said is kept: the same command goes on.") from e
