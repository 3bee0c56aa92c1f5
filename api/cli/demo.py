"""`stsg demo`: a video goes in over HTTP, its graph stands in Neo4j, reasoning data comes out."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli import show


def demo(
    video: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Your own video.")] = None,
    model: Annotated[str, typer.Option(help="Another Video-LLM: hf:FOLDER, hf:ID or openai:URL#NAME.")] = "",
    keep: Annotated[bool, typer.Option("--keep", help="Leave the stack running afterwards.")] = False,
) -> None:
    """Start the stack, send it a video, and show the graph and the data that come out.

    Without --video a three-clip video is rendered whose true graph is known, so the result is also scored.
    What was made is described in .stsg/demo/report.json. Exit code 1 when a step fails.
    """
    from api import demo as steps

    with show.failures():
        steps.run(video, model, keep=keep)
