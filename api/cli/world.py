"""Commands about the rendered world: videos whose true graph is known."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli import show

app = typer.Typer(help="The rendered world: videos whose true graph is known.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The rendered world: videos whose true graph is known."""


@app.command()
def render(
    folder: Annotated[Path, typer.Argument(file_okay=False, help="Where the videos and their truth go.")],
    count: Annotated[int, typer.Option(min=1, help="How many videos.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first video; the next ones count up.")] = 0,
    as_json: show.AsJson = False,
) -> None:
    """Render videos (H.264 MP4) and write the truth of each beside it.

    A stack started with STSG_MODELS='{"perfect": "scripted:FOLDER"}' has a model that answers from this truth.
    """
    from trainer.world import files

    made = []
    with show.RunProgress(quiet=as_json) as bars:
        bar = bars.add("rendering", count)
        for number in range(seed, seed + count):
            made.append(files.render_with_truth(number, folder))
            bars.advance(bar, 1)
    if as_json:
        show.as_json([{"file": str(m.video), "truth": str(m.truth), "video_id": m.video_id} for m in made])
    else:
        show.table("", ("video", "truth"), [(str(m.video), str(m.truth)) for m in made])
