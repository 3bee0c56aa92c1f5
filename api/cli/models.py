"""`stsg models`: what may be named, and where it comes from."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from api.cli import show
from api.client import Client, ServiceError

app = typer.Typer(help="Models that a run, an evaluation or a training may name.", no_args_is_help=True)


@app.command("list")
def list_(
    kind: Annotated[str, typer.Option(help="Only base, tuned or checkpoint.")] = "", as_json: show.AsJson = False
) -> None:
    """List models: bases first, then tuned ones and checkpoints, newest first."""
    with show.failures(), Client() as client:
        found = [m for m in client.pages("/v1/models") if kind in ("", m["kind"])]
    if as_json:
        show.as_json(found)
        return
    rows = [(m["id"], m["kind"], m["lineage"].get("base") or m["lineage"].get("spec", "")) for m in found]
    show.table("", ("model", "kind", "from"), rows)


@app.command("show")
def show_(model: Annotated[str, typer.Argument(help="The model's id.")], as_json: show.AsJson = False) -> None:
    """Show where a model comes from: base, data, code, spec, metrics."""
    with show.failures(), Client() as client:
        found = client.get(f"/v1/models/{model}")
    if as_json:
        show.as_json(found)
        return
    lineage = dict(found["lineage"])
    spec = lineage.pop("spec", None)
    show.table(model, ("", ""), [(k, v) for k, v in ({"kind": found["kind"]} | lineage).items()])
    if isinstance(spec, dict):
        show.table("spec", ("field", "value"), [(k, str(v)) for k, v in spec.items()])
    if found["metrics"]:
        show.table("metrics", ("", ""), [(k, str(v)) for k, v in found["metrics"].items()])


@app.command()
def delete(model: Annotated[str, typer.Argument(help="The model's id.")], as_json: show.AsJson = False) -> None:
    """Delete a tuned model or a checkpoint."""
    with show.failures(), Client() as client:
        client.delete(f"/v1/models/{model}")
    if as_json:
        show.as_json({"id": model, "deleted": True})
    else:
        show.out.print(f"{model} is deleted")


@app.command()
def check(
    model: Annotated[str, typer.Argument(help="A name in STSG_MODELS, hf:FOLDER_OR_ID or openai:URL#NAME.")],
    width: Annotated[int, typer.Option(min=1, help="Of your videos' frames, in pixels.")] = 1280,
    height: Annotated[int, typer.Option(min=1, help="Of your videos' frames, in pixels.")] = 720,
    measure: Annotated[bool, typer.Option(help="Load the model and time the prompts of a clip.")] = True,
    clips: Annotated[int, typer.Option(min=1, help="Of the video that is estimated.")] = 10,
    clip_seconds: Annotated[float, typer.Option(min=0.5, help="How long one of its clips is.")] = 10,
    hour: Annotated[float, typer.Option(min=0, help="What an hour of this device costs.")] = 0,
    million_in: Annotated[float, typer.Option(min=0, help="What a million tokens sent to a server cost.")] = 0,
    million_out: Annotated[float, typer.Option(min=0, help="What a million tokens of its replies cost.")] = 0,
    as_json: show.AsJson = False,
) -> None:
    """Tell memory, tokens, prompts, time and cost of a video on this device, before a run is started.

    Works without the service. Exit code 1 where the model doesn't fit.
    """
    from workers.settings import settings

    with show.failures(), _quiet():
        from model.backends import SpecError
        from model.video_llm import VideoLLMError
        from trainer.conformance.cost import Rates
        from trainer.conformance.fit import fit, told

        try:
            found = fit(
                settings().model_specs().get(model, model), (width, height), seconds=clip_seconds, measure=measure
            )
        except (SpecError, VideoLLMError) as e:
            raise ServiceError(str(e), "") from e
    rates, video = Rates(hour, million_in, million_out), found.work.video(clips)
    if as_json:
        estimate = asdict(video) | {"clips": clips, "cost": rates.cost(video)}
        show.as_json(asdict(found) | {"fits": found.fits, "video": estimate})
    else:
        show.out.print(told(found, clips, rates), markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(0 if found.fits else 1)


@app.command()
def conformance(
    names: Annotated[list[str] | None, typer.Argument(help="Classes, such as Qwen3-VL; none is all.")] = None,
    folder: Annotated[Path | None, typer.Option(exists=True, file_okay=False, help="Check this checkpoint.")] = None,
    readme: Annotated[Path | None, typer.Option(exists=True, help="Put the table into this Markdown file.")] = None,
    as_json: show.AsJson = False,
) -> None:
    """Try what the service needs of a Video-LLM class on a small random checkpoint of each, or on yours.

    Replies are compared token for token with what transformers' own `generate` gives. Works without the service. Exit code 1
    where a check fails, with why below the table.
    """
    with show.failures(), _quiet(), show.err.status("checking"):
        import torch

        from trainer.conformance.checkpoints import FAMILIES
        from trainer.conformance.checks import check_own, table
        from trainer.conformance.checks import conformance as checked

        known = {f.name: f for f in FAMILIES}
        if unknown := sorted(set(names or ()) - set(known)):
            raise ServiceError(f"There is no class {', '.join(unknown)}.", f"Name some of {', '.join(known)}.")
        torch.set_num_threads(1)  # networks this small gain nothing from more
        found = [check_own(folder)] if folder else checked([known[name] for name in names or known])
    if readme:
        between = re.compile(r"(<!-- conformance -->\n).*(<!-- end -->)", re.DOTALL)
        readme.write_text(between.sub(lambda m: f"{m[1]}\n{table(found)}\n\n{m[2]}", readme.read_text()))
    if as_json:
        show.as_json([asdict(one) for one in found])
    else:
        show.out.print(table(found), markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(0 if all(one.passed for one in found) else 1)


@app.command()
def convert(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The checkpoint as it was published.")],
    target: Annotated[Path, typer.Argument(file_okay=False, help="A new folder.")],
    language: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="VideoChat2: Mistral-7B-Instruct-v0.2.")
    ] = None,
    lora_alpha: Annotated[float, typer.Option(help="VideoChat2: that its adapters were trained with.")] = 32.0,
    as_json: show.AsJson = False,
) -> None:
    """Make a checkpoint that hf: loads of one that was published for other code: VideoChat2 (Mistral) or VILA 1.5.

    Files are read without running code in them. Exit code 1 where weights are missing; those left over are named.
    """
    with show.failures(), _quiet(), show.err.status("converting"):
        from model.convert.videochat2 import convert_videochat2
        from model.convert.vila import convert_vila, is_vila

        if not is_vila(folder) and language is None:
            raise ServiceError(
                f"{folder} isn't laid out as VILA's are, and for VideoChat2 its language network is missing.",
                "Add --language FOLDER_OF_MISTRAL.",
            )
        try:
            done = (
                convert_videochat2(folder, target, language, lora_alpha) if language else convert_vila(folder, target)
            )
        except (OSError, ValueError) as e:
            raise ServiceError(str(e), "") from e
    if as_json:
        show.as_json(asdict(done))
        return
    show.out.print(f"{target}: {done.network}, {done.parameters / 1e6:,.1f} M parameters, from {', '.join(done.read)}")
    for name in done.left_over:
        show.out.print(f"  left over: {name}", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what transformers tells about classes that are only tried."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
