"""Commands about the stack on this machine."""

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from api.cli import local, show
from workers import local_stack


def up(as_json: show.AsJson = False) -> None:
    """Start Neo4j, the broker, the workers and the API on this machine, and print their addresses."""
    with show.failures():
        stack = local.start()
    if as_json:
        show.as_json(stack.uris)
    else:
        local.describe(stack.uris)


def down(as_json: show.AsJson = False) -> None:
    """Stop the stack of this folder; what it stored stays."""
    ran = local.stop()
    if as_json:
        show.as_json({"stopped": ran})
    else:
        show.out.print("stopped" if ran else "nothing was running")


def status(as_json: show.AsJson = False) -> None:
    """Show what runs for this folder; exit code 1 where no stack does."""
    home = local.home().absolute()
    stack = local_stack.running(home)
    if as_json:
        show.as_json(
            {
                "running": stack is not None,
                "orphaned": local_stack.is_orphaned(home),
                "uris": stack.uris if stack else {},
            }
        )
    elif stack:
        local.describe(stack.uris)
    else:
        show.out.print(_why_not_running(home))
    if not stack:
        raise typer.Exit(1)


def _why_not_running(home: Path) -> str:
    if local_stack.is_orphaned(home):
        return "the supervisor was killed, its children go on; 'stsg up' starts them anew, 'stsg down' ends them"
    return "starting or ending" if local_stack.is_running(home) else "not running; start it with 'stsg up'"


def doctor(
    as_json: show.AsJson = False, strict: Annotated[bool, typer.Option(help="Exit code 1 on any finding.")] = True
) -> None:
    """Check what the service needs, and say what to do about what is missing."""
    checks = _checks()
    if as_json:
        show.as_json([{"check": name, "ok": ok, "detail": detail} for name, ok, detail in checks])
    else:
        show.table("", ("check", "result", "detail"), [(n, "ok" if ok else "MISSING", d) for n, ok, d in checks])
    if strict and not all(ok for _, ok, _ in checks):
        raise typer.Exit(1)


def _checks() -> list[tuple[str, bool, str]]:
    from workers.settings import Settings

    given = Settings()
    free = shutil.disk_usage(local.home().absolute().parent).free / 2**30
    found = [
        ("python", sys.version_info >= (3, 11), f"{sys.version.split()[0]}; 3.11 or newer is needed"),
        ("disk", free > 2, f"{free:.0f} GiB free; a stack wants 2"),
    ]
    for name, spec in given.model_specs().items():
        kind, _, rest = spec.partition(":")
        local_folder = kind == "hf" and (rest.startswith((".", "/")) or "/" not in rest)
        there = not local_folder or (Path(rest) / "config.json").is_file()
        found.append((f"model {name}", there, spec if there else f"{spec}: no config.json there"))
    home = local.home().absolute()
    stack = local_stack.running(home)
    detail = ", ".join(f"{k} {v}" for k, v in stack.uris.items()) if stack else _why_not_running(home)
    found.append(("stack", stack is not None, detail))
    return found
