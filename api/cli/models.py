"""`stsg models`: what may be named, and where it comes from."""

from typing import Annotated

import typer

from api.cli import show
from api.client import Client

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
