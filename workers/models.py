"""The Video-LLMs that may be named: bases from the settings, and checkpoints that trainings made.

A tuned model is called `ft:BASE:SUFFIX:JOB`, a checkpoint on the way to it `ft:BASE:SUFFIX:JOB:ckpt-step-N`. Its files lie
in the storage; a worker on another machine copies them once into its own folder.
"""

import hashlib
import json
import re
import time
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import trainer
from graphdb import records
from graphdb.connection import Driver
from graphdb.records import Record
from workers.settings import Settings
from workers.storage import Storage, model_folder

PREFIX = "ft:"
_READ_WHOLE = 16 * 2**20  # bytes of a file; a larger one holds weights, and is told by its size and time


class UnknownModelError(LookupError):
    """There is no model of this name, or it can't be used in this way; the text says what to do."""


def spec_of(settings: Settings, driver: Driver, storage: Storage, name: str) -> str:
    """The spec that opens a model on this machine; a tuned one is fetched where it has to be.

    Raises:
        UnknownModelError: it is neither in the settings nor was it ever tuned, or it was deleted.
    """
    known = settings.model_specs()
    if name in known:
        return known[name]
    if not name.startswith(PREFIX) or records.get(driver, "Model", name) is None:
        raise UnknownModelError(f"There is no model {name!r}; GET /v1/models lists what there is.")
    return f"hf:{_folder(settings, storage, name)}"


def _folder(settings: Settings, storage: Storage, id: str) -> Path:
    """Where a tuned model's checkpoint is on this machine."""
    stored = model_folder(id)
    if local := storage.local_folder(stored):
        return local
    copy = settings.home.absolute() / "models" / stored.partition("/")[2]
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        storage.get_folder(stored, copy)
    return copy


def identity(settings: Settings, name: str) -> str:
    """What tells a model from another that had its name before: a tuned model's id, which says it all, or a base's spec.

    A folder on this machine may be overwritten, so what is in it is told too.
    """
    spec = settings.model_specs().get(name, name)
    kind, _, source = spec.partition(":")
    is_checkpoint = kind == "hf" and (Path(source) / "config.json").is_file()  # no other folder is read, such as /proc
    return f"{spec} {_content(Path(source))}" if is_checkpoint else spec


def _content(folder: Path) -> str:
    """A hash over what is loaded of a checkpoint, the files that lie in its folder itself.

    Weights that were only copied or touched count as others: work done again does less harm than work of another model.
    """
    versions = {file.name: _version(file) for file in folder.iterdir() if file.is_file()}
    return hashlib.sha256(json.dumps(versions, sort_keys=True).encode()).hexdigest()[:16]


def _version(file: Path) -> str:
    about = file.stat()
    if about.st_size > _READ_WHOLE:
        return f"{about.st_size} {about.st_mtime_ns}"
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def server_of(settings: Settings, name: str) -> str:
    """The address of the server behind a model, empty for one that runs in the worker; `openai:http://h/v1#m` -> `http://h/v1`."""
    kind, _, rest = settings.model_specs().get(name, "").partition(":")
    return rest.rpartition("#")[0] if kind == "openai" else ""


def known(settings: Settings, driver: Driver, name: str) -> bool:
    """Whether a run or a training may name this model."""
    return name in settings.model_specs() or (
        name.startswith(PREFIX) and records.get(driver, "Model", name) is not None
    )


def check_trainable(settings: Settings, driver: Driver, name: str) -> None:
    """Check that a model is a checkpoint, which can be trained.

    Raises:
        UnknownModelError: there is no such model, or it is none.
    """
    if not known(settings, driver, name):
        raise UnknownModelError(f"There is no model {name!r}.")
    kind = settings.model_specs().get(name, "hf:").partition(":")[0]
    if kind != "hf":
        raise UnknownModelError(f"{name!r} is no checkpoint ({kind}:), so it can't be trained.")


def tuned_id(settings: Settings, driver: Driver, base: str, suffix: str, job_id: str) -> str:
    """The id of a training's result; a model tuned twice is still called after the base that it was first."""
    record = records.get(driver, "Model", base) if base not in settings.model_specs() else None
    root = str(record["root"]) if record else base
    return ":".join((PREFIX[:-1], _plain(root), _plain(suffix), job_id.partition("-")[2]))


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-")[:64]


def save_base(settings: Settings, driver: Driver, name: str) -> Record:
    """Have a base stand in the database, for the models that come from it."""
    told = {"kind": "base", "root": name, "created_at": time.time()}
    return records.save(driver, "Model", name, told | {"lineage": {"spec": settings.model_specs()[name]}})


def register(
    driver: Driver, storage: Storage, id: str, folder: Path, kind: str, lineage: dict[str, Any], metrics: dict[str, Any]
) -> Record:
    """Store a checkpoint as a model that may be named, with where it comes from; the same one again changes nothing.

    `lineage` holds at least root, base, job_id and training_file.
    """
    storage.put_folder(model_folder(id), folder)
    told = {"kind": kind, "root": lineage["root"], "job_id": lineage["job_id"], "created_at": time.time()}
    saved = records.save(driver, "Model", id, told | {"lineage": lineage, "metrics": metrics})
    records.link(driver, id, job_id=lineage["job_id"], base=lineage["base"], dataset=lineage["training_file"])
    return saved


def delete(driver: Driver, storage: Storage, id: str) -> bool:
    """Delete a tuned model and its files; False while an unfinished job uses it."""
    if not records.delete(driver, "Model", id):
        return False
    storage.delete(model_folder(id))
    return True


@cache
def code_version() -> str:
    """This package's version, and a hash of the code that trains."""
    digest = hashlib.sha256()
    assert trainer.__file__
    for file in sorted(Path(trainer.__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return f"{version('stsg')}+{digest.hexdigest()[:12]}"
