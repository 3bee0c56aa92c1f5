"""`stsg evaluate qra`: whether the questions made of rendered videos are right, and what can be guessed from their words."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli import evaluate, local, qra, show, verify
from api.cli.videos import write_lines
from api.client import Client

if TYPE_CHECKING:
    from model.rationale.verify import Report
    from trainer.world.files import Rendered

_MODEL = "perfect"
_MOST_STEPS = 6


def questions(
    videos: Annotated[int, typer.Option(min=2, help="How many videos are rendered.")] = 200,
    samples: Annotated[int, typer.Option(min=_MOST_STEPS, help="How many samples, spread over 1 to 6 steps.")] = 20_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first video and of the samples.")] = 0,
    as_json: show.AsJson = False,
) -> None:
    """Send rendered videos through the service with a perfect model, make QRA data, and check every sample twice.

    Once on the exported graphs and once on the true graphs of the scenes, by the interpreter that had no part in making them.
    Starts a local stack and stops it again. Exit code 1 when anything is wrong.
    """
    with show.failures(), TemporaryDirectory() as name:
        stack = local.start(models={_MODEL: f"scripted:{name}"})
        try:
            with stack.client() as client:
                sent = evaluate.sent_worlds(client, Path(name), videos, seed, _MODEL, quiet=as_json, uneven=True)
                told = checked(client, sent, samples, seed)
        finally:
            if stack.ours:
                local.stop()
    if as_json:
        show.as_json(told)
    else:
        _print(told)
    if any(told["findings"].values()):
        raise typer.Exit(1)


def checked(client: Client, sent: "list[tuple[Rendered, str]]", samples: int, seed: int) -> dict[str, Any]:
    """Make QRA data of some runs of rendered videos, and check it on the exported and on the true graphs.

    Returns the data set's id, counts and `guessing`, the `seconds` that sampling took, and `findings`: by where a sample was
    checked, how many were wrong, by reason.
    """
    per_step = {str(n): samples // _MOST_STEPS for n in range(1, _MOST_STEPS + 1)}
    since = time.monotonic()
    with show.err.status("sampling"):
        dataset = qra.make(client, [run for _, run in sent], {"steps": per_step}, seed)
    seconds = time.monotonic() - since
    with show.err.status("checking"), TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        write_lines(client, f"/v1/qra-datasets/{dataset['id']}/export", file)
        exported, true = verify.checked(client, file), _on_truth(file, sent)
    findings = {"exported graphs": dict(exported.counts), "true graphs": dict(true.counts)}
    lacking = ("missing", "missing_by_family", "missing_by_form")
    kept = ("id", "count", "by_steps", "by_family", "by_form", *lacking, "rejects", "guessing")
    return {"seconds": round(seconds, 1), "findings": findings} | {key: dataset[key] for key in kept}


def _on_truth(file: Path, sent: "list[tuple[Rendered, str]]") -> "Report":
    from model.rationale.evaluate import Evaluator
    from model.rationale.verify import verify as checked
    from trainer.world.truth import truth

    scenes = {run: rendered.scene for rendered, run in sent}
    with file.open("rb") as rows:
        return checked(rows, lambda run: Evaluator(truth(scenes[run])))


def _print(told: dict[str, Any]) -> None:
    show.out.print(f"{told['count']:,} samples in {told['seconds']:,.0f} s")
    kinds = ("steps", "family", "form")
    rows = [(kind, key, count) for kind in kinds for key, count in told[f"by_{kind}"].items()]
    show.table("", ("what", "which", "samples"), rows)
    qra.print_missing(told)
    qra.print_guessing(told["guessing"])
    wrong = [(where, reason, n) for where, counts in told["findings"].items() for reason, n in counts.items()]
    show.table("", ("checked on", "finding", "samples"), wrong or [("exported and true graphs", "nothing wrong", 0)])
