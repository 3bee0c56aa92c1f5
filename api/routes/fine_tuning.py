"""Trainings in the shape of the OpenAI API: started, followed, stopped, taken up again; and what one would take."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response

from api import events, openai_shapes
from api.deps import ServiceDep
from api.errors import Problem, conflict, invalid, not_found, problem_responses
from api.openai_shapes import Checkpoint, Deleted, DryRun, FineTuningEvent, FineTuningJob, FineTuningRequest
from api.paging import After, Limit, Page, page
from api.schemas import Event
from api.views import event_of
from graphdb import jobs, records
from graphdb.jobs import Job
from trainer.tuning.spec import LORA_RATE, RATE
from workers import tuning
from workers.runtime import Service

router = APIRouter(prefix="/v1/fine_tuning/jobs", tags=["fine-tuning"])
_DRY_RUN_WAIT = 30.0  # seconds that a dry run is waited for
_STOP_WAIT = 8.0  # seconds that a training may take for its last checkpoint before the reply goes out without it
_ENDED = (*jobs.FINAL, "paused")


@router.post(
    "",
    status_code=200,
    response_model=FineTuningJob | DryRun,
    responses=problem_responses(409, 422) | {202: {"model": DryRun}},
)
def create(
    service: ServiceDep,
    wanted: FineTuningRequest,
    response: Response,
    dry_run: Annotated[bool, Query(description="Only tell what it would take.")] = False,
) -> FineTuningJob | DryRun:
    """Start a training. The same request again gives the training there is.

    `training_file` is a file of POST /v1/files or a QRA data set. `method.step` holds the fields of a training's spec:
    lambda_rationale, instruction_answer, instruction_rationale, recipe, frames, size, lora, epochs, max_steps, batch and more.
    """
    if dry_run:
        return rehearse(service, wanted, response)
    try:
        job, _ = tuning.start(service, _wish(wanted))
    except tuning.WrongField as e:
        raise invalid(e.field, e.detail, e.remedy) from e
    response.headers["Location"] = f"/v1/fine_tuning/jobs/{job['id']}"
    return openai_shapes.job_of(job)


@router.post("/dry_run", responses=problem_responses(409, 422) | {202: {"model": DryRun}})
def rehearse(service: ServiceDep, wanted: FineTuningRequest, response: Response) -> DryRun:
    """What a training would take: tokens, steps, memory, time. 202 while it isn't known yet; the same request asks again."""
    try:
        job = tuning.rehearse(service, _wish(wanted))
    except tuning.WrongField as e:
        raise invalid(e.field, e.detail, e.remedy) from e
    job = _awaited(service, job["id"], _DRY_RUN_WAIT)
    if job["state"] == "failed":
        error = job["error"]
        raise Problem(422, error["code"], error["detail"], error["remedy"])
    response.status_code = 200 if job["state"] == "succeeded" else 202
    return DryRun(id=job["id"], status=job["state"], report=job.get("result"))


def _wish(wanted: FineTuningRequest) -> tuning.Wish:
    """The training that a request means; what it says twice counts as `method.step` says it."""
    step = wanted.method.step
    own = step.model_extra or {}
    for name in ("base", "seed"):
        if name in own:
            raise invalid(f"method.step.{name}", "has a place of its own", "Name it as `model` or `seed`.")
    mixture = {"mixture": {"ratio": step.mixture.ratio}} if step.mixture else {}
    return tuning.Wish(
        model=wanted.model,
        training_file=wanted.training_file,
        validation_file=wanted.validation_file,
        validation=step.validation,
        mixture_file=step.mixture.file if step.mixture else None,
        suffix=wanted.suffix or "",
        seed=wanted.seed or 0,
        spec=_openais(wanted, lora=bool(own.get("lora"))) | own | mixture,
        metadata=wanted.metadata or {},
    )


def _openais(wanted: FineTuningRequest, *, lora: bool) -> dict[str, Any]:
    """What the OpenAI API's own fields say, as fields of a training's spec."""
    spec: dict[str, Any] = {}
    simple = wanted.hyperparameters
    if wanted.method.type == "supervised":
        spec["recipe"] = "instruct"
        simple = (wanted.method.supervised or openai_shapes.SupervisedMethod()).hyperparameters
    if simple.n_epochs != "auto":
        spec["epochs"] = simple.n_epochs
    if simple.batch_size != "auto":
        spec["batch"] = simple.batch_size
    if simple.learning_rate_multiplier != "auto":
        spec["learning_rate"] = (LORA_RATE if lora else RATE) * simple.learning_rate_multiplier
    return spec


@router.get("", responses=problem_responses(422))
def list_jobs(service: ServiceDep, limit: Limit = 20, after: After = None) -> Page[FineTuningJob]:
    """Trainings, newest first."""
    found = jobs.list_jobs(service.driver, "Tuning", limit=limit + 1, after=after)
    return page([openai_shapes.job_of(j) for j in found], limit)


@router.get("/{job_id}", responses=problem_responses(404))
def get_job(service: ServiceDep, job_id: str) -> FineTuningJob:
    """One training: its status, how far it is, and why it failed."""
    return openai_shapes.job_of(_job(service, job_id))


@router.post("/{job_id}/cancel", responses=problem_responses(404, 409))
def cancel(service: ServiceDep, job_id: str) -> FineTuningJob:
    """End the training after a checkpoint; the reply waits for it some seconds, and else has `stopping`."""
    return _stopped(service, job_id, "cancelled")


@router.post("/{job_id}/pause", responses=problem_responses(404, 409))
def pause(service: ServiceDep, job_id: str) -> FineTuningJob:
    """Have the training rest after a checkpoint; the reply waits for it some seconds, and else has `stopping`."""
    return _stopped(service, job_id, "paused")


@router.post("/{job_id}/resume", responses=problem_responses(404, 409))
def resume(service: ServiceDep, job_id: str) -> FineTuningJob:
    """Go on from the last checkpoint of a training that was paused or cancelled, or failed."""
    status = _job(service, job_id)["state"]
    job = tuning.resume(service, job_id)
    if job is None:
        raise conflict("job_not_resting", f"The training is {status}.", "Only one that rests or has failed goes on.")
    return openai_shapes.job_of(job)


@router.delete("/{job_id}", responses=problem_responses(404, 409))
def delete(service: ServiceDep, job_id: str) -> Deleted:
    """Delete a training that has ended, with its checkpoints; the model that it made stays."""
    _job(service, job_id)
    if not tuning.delete(service, job_id):
        remedy = f"Cancel it first: POST /v1/fine_tuning/jobs/{job_id}/cancel."
        raise conflict("job_at_work", "The training is at work.", remedy)
    return Deleted(object="fine_tuning.job", id=job_id)


def _stopped(service: Service, job_id: str, state: jobs.State) -> FineTuningJob:
    status = _job(service, job_id)["state"]
    if tuning.stop(service, job_id, state) is None:
        raise conflict("job_has_ended", f"The training is {status} already.", "Start another, or resume this one.")
    return openai_shapes.job_of(_awaited(service, job_id, _STOP_WAIT))


def _awaited(service: Service, job_id: str, seconds: float) -> Job:
    """The job when it has ended, or as it is after so many seconds."""
    deadline = time.monotonic() + seconds
    while (job := _job(service, job_id))["state"] not in _ENDED and time.monotonic() < deadline:
        time.sleep(0.1)
    return job


@router.get("/{job_id}/events", response_model=Page[FineTuningEvent], responses=problem_responses(404, 422))
def job_events(
    service: ServiceDep,
    request: Request,
    job_id: str,
    limit: Limit = 20,
    after: Annotated[str | None, Query(pattern=r"^(ftevent-)?\d{1,18}$", description="The page's last id.")] = None,
    last_event_id: Annotated[int | None, Header(ge=0, lt=2**63)] = None,
) -> Page[FineTuningEvent] | Response:
    """What a training told: the newest first in JSON; with `Accept: text/event-stream` live and in order, to its end.

    A stream that broke is taken up again with the header Last-Event-ID.
    """
    _job(service, job_id)
    number = int(after.removeprefix("ftevent-")) if after else None
    if "text/event-stream" in request.headers.get("accept", ""):
        return events.stream(
            lambda seq: _events_after(service, job_id, seq),
            lambda: (job := jobs.get(service.driver, job_id)) is None or job["state"] in _ENDED,
            last_event_id if last_event_id is not None else number or 0,
        )
    found = jobs.events_before(service.driver, job_id, before=number, limit=limit + 1)
    return page([openai_shapes.event_of(e) for e in found], limit)


def _events_after(service: Service, job_id: str, seq: int) -> list[Event]:
    return [event_of(e) for e in jobs.events(service.driver, job_id, after=seq, limit=100)]


@router.get("/{job_id}/checkpoints", responses=problem_responses(404, 422))
def checkpoints(service: ServiceDep, job_id: str, limit: Limit = 10, after: After = None) -> Page[Checkpoint]:
    """The training's checkpoints, newest first; each is a model that may be named."""
    _job(service, job_id)
    last = None
    if after:
        found = records.find(service.driver, "Model", limit=1000, job_id=job_id, only="checkpoint")
        last = next((r["id"] for r in found if openai_shapes.checkpoint_of(r).id == after), after)
    found = records.find(service.driver, "Model", limit=limit + 1, after=last, job_id=job_id, only="checkpoint")
    return page([openai_shapes.checkpoint_of(r) for r in found], limit)


def _job(service: Service, id: str) -> Job:
    job = jobs.get(service.driver, id) if id.startswith(("ftjob-", "ftdry-")) else None
    if job is None:
        raise not_found("fine_tuning_job", id)
    return job
