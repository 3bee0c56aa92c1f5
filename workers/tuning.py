"""Trainings as the API sees them: checked, started, stopped, taken up again, deleted."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from graphdb import jobs, records
from graphdb.jobs import Job
from trainer.tuning.spec import TuningError, TuningSpec
from workers import flows, models
from workers.runtime import Service
from workers.storage import tuning_file
from workers.training_folder import folder_of


class WrongField(ValueError):  # noqa: N818 # a finding about a request
    """A field of a request that can't be as it is, and what helps."""

    def __init__(self, field: str, detail: str, remedy: str) -> None:
        super().__init__(f"{field}: {detail} {remedy}")
        self.field, self.detail, self.remedy = field, detail, remedy


@dataclass(frozen=True)
class Wish:
    """A training that is asked for; `spec` holds fields of `trainer.tuning.spec.TuningSpec` beside base and seed."""

    model: str
    training_file: str
    validation_file: str | None = None
    validation: float = 0.0  # share of the videos that is held out where there is no validation_file
    mixture_file: str | None = None
    suffix: str = ""
    seed: int = 0
    spec: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)


def start(service: Service, wish: Wish) -> tuple[Job, bool]:
    """The training of a wish, and whether it is new; the same wish gives the same training.

    Raises:
        WrongField: an unknown model or file, or a wrong value.
    """
    params = _checked(service, wish)
    id = f"ftjob-{_digest(service, params)}"
    if wish.model in service.settings.model_specs():  # a tuned one stands there already
        models.save_base(service.settings, service.driver, wish.model)
    result_id = models.tuned_id(service.settings, service.driver, wish.model, wish.suffix, id)
    job, created = jobs.create(
        service.driver, "Tuning", id, params=params, seed=wish.seed, stage="train", result_id=result_id, **_used(wish)
    )
    if created:
        flows.wake(service, job)
    return job, created


def rehearse(service: Service, wish: Wish) -> Job:
    """The dry run of a wish; one that failed or was stopped is tried again."""
    params = _checked(service, wish)
    id = f"ftdry-{_digest(service, params)}"
    job, created = jobs.create(
        service.driver, "DryRun", id, params=params, seed=wish.seed, stage="rehearse", **_used(wish)
    )
    again = jobs.resume(service.driver, id) if job["state"] in ("failed", "cancelled", "paused") else None
    if created or again:
        flows.wake(service, again or job)
    return again or job


def _used(wish: Wish) -> dict[str, Any]:
    """What can't be deleted while the job isn't over."""
    return {name: getattr(wish, name) for name in ("model", "training_file", "validation_file", "mixture_file")}


def _digest(service: Service, params: Mapping[str, Any]) -> str:
    return flows.digest([models.identity(service.settings, params["model"]), params])


def _checked(service: Service, wish: Wish) -> dict[str, Any]:
    """A job's parameters; the spec in full, so that later defaults don't change what was asked for."""
    try:
        models.check_trainable(service.settings, service.driver, wish.model)
    except models.UnknownModelError as e:
        raise WrongField("model", str(e), "Name an hf: base or a tuned model; GET /v1/models lists them.") from e
    for name in ("training_file", "validation_file", "mixture_file"):
        id = getattr(wish, name)
        if id is not None:
            check_rows(service, name, id)
    try:
        spec = TuningSpec.from_dict({**wish.spec, "base": wish.model, "seed": wish.seed}).to_dict()
    except TuningError as e:
        raise WrongField(f"method.step.{e.field}", e.detail, e.remedy) from e
    if bool(spec["mixture"]) != bool(wish.mixture_file):
        raise WrongField("method.step.mixture", "needs both a file and a ratio", "Name both, or neither.")
    del spec["base"]  # where it lies differs between machines
    return asdict(wish) | {"spec": spec, "metadata": dict(wish.metadata)}


def check_rows(service: Service, name: str, id: str) -> None:
    """Check that an id names rows that are there: an uploaded file's, or a finished data set's.

    Raises:
        WrongField: it doesn't.
    """
    remedy = "Name a file of POST /v1/files or a finished data set of GET /v1/qra-datasets."
    if id.startswith("file-"):
        if records.get(service.driver, "File", id) is None:
            raise WrongField(name, f"there is no file {id!r}", remedy)
        return
    job = jobs.get(service.driver, id) if id.startswith("qra_") else None
    if job is None:
        raise WrongField(name, f"there is no file or data set {id!r}", remedy)
    if job["state"] != "succeeded":
        raise WrongField(name, f"{id} is {job['state']}", remedy)
    if not (job.get("result") or {}).get("count"):
        raise WrongField(name, f"{id} has no samples", remedy)


def stop(service: Service, id: str, state: jobs.State) -> Job | None:
    """Ask for a training to end as cancelled or paused, after a checkpoint; None where it has ended."""
    return jobs.stop(service.driver, id, state)


def resume(service: Service, id: str) -> Job | None:
    """Go on with a training that rests, failed or was cancelled, from its last checkpoint; None where it is neither."""
    job = jobs.resume(service.driver, id)
    if job:
        flows.wake(service, job)
    return job


def delete(service: Service, id: str) -> bool:
    """Delete a training that has ended, with its checkpoints; what it made stays. False while it isn't over."""
    if not jobs.condemn(service.driver, id):
        return False
    for record in records.find(service.driver, "Model", limit=1000, job_id=id, only="checkpoint"):
        models.delete(service.driver, service.storage, record["id"])
    service.storage.delete(tuning_file(id, "any").rpartition("/")[0])
    shutil.rmtree(folder_of(service, id), ignore_errors=True)
    jobs.delete(service.driver, id)
    return True
