"""The local stack as the command line uses it."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from api.cli import show
from api.client import Client, ServiceError
from workers import local_stack

if TYPE_CHECKING:
    from trainer.world.files import Rendered


@dataclass(frozen=True)
class Local:
    """A stack that answers, and whether this process started it."""

    uris: dict[str, str]
    ours: bool

    def client(self) -> Client:
        return Client(self.uris["api"])


def home() -> Path:
    """The state folder."""
    return Path(os.environ.get("STSG_HOME", ".stsg"))


def start(model: str = "", models: dict[str, str] | None = None) -> Local:
    """Start the stack, or join the one that runs; `model` is a spec that runs may then name "demo"."""
    known = _named() | (models or {}) | ({"demo": model} if model else {})
    if local_stack.running(home().absolute()):
        if model or models:
            detail = "A stack is running in this folder already, without this model."
            raise ServiceError(detail, "Stop it first: stsg down.")
        return Local(local_stack.start(home()).uris, ours=False)
    try:
        with show.err.status("starting Neo4j, the broker, the workers and the API (the first time fetches 200 MB)"):
            stack = local_stack.start(home(), {"STSG_MODELS": json.dumps(known)})
    except local_stack.StackError as e:
        raise ServiceError(str(e), "Mend the cause, or set STSG_NEO4J_URI and STSG_REDIS_URL to your own.") from e
    return Local(stack.uris, ours=True)


def _named() -> dict[str, str]:
    """The models of STSG_MODELS."""
    try:
        named = json.loads(os.environ.get("STSG_MODELS") or "{}")
    except ValueError:
        named = None
    if not isinstance(named, dict):
        remedy = """Write it as '{"NAME": "hf:FOLDER_OR_ID"}', or leave it out."""
        raise ServiceError("STSG_MODELS is no JSON object of names and specs.", remedy)
    return named


def stop() -> bool:
    """Stop the stack; whether one ran."""
    return local_stack.stop(home())


def describe(uris: dict[str, str]) -> None:
    """Print where everything answers."""
    show.table("", ("what", "where"), sorted(uris.items()))
    show.out.print(f"Neo4j user 'neo4j', password in {home() / 'neo4j' / 'password'}")


def render(seed: int, folder: Path) -> "Rendered":
    """A three-clip video of the rendered world, with its truth."""
    from trainer.world.files import render_with_truth

    return render_with_truth(seed, folder, clips=3)
