"""Runs: the making of one video's graph, as a job to start, follow, cancel, retry and delete."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from api import events, lifecycle, views
from api.deps import ServiceDep
from api.errors import problem_responses
from api.paging import After, Limit, Page, page
from api.schemas import Event, Run, RunRequest, State
from graphdb import jobs
from workers.runtime import Service

router = APIRouter(prefix="/v1", tags=["runs"])


@router.post(
    "/videos/{video_id}/runs", status_code=202, responses=problem_responses(404, 409, 422) | {200: {"model": Run}}
)
def start_run(service: ServiceDep, video_id: str, wanted: RunRequest, response: Response) -> Run:
    """Start making the video's graph. The same model, options and seed again give the run there is, with 200."""
    views.video(service, video_id)
    run, created = views.start_run(service, video_id, wanted)
    response.status_code = 202 if created else 200
    response.headers["Location"] = f"/v1/runs/{run.id}"
    return run


@router.get("/runs", responses=problem_responses(422))
def list_runs(
    service: ServiceDep,
    limit: Limit = 20,
    after: After = None,
    state: Annotated[State | None, Query(description="Only runs in this state.")] = None,
    video_id: Annotated[str | None, Query(description="Only runs of this video.")] = None,
) -> Page[Run]:
    """Runs, newest first."""
    found = jobs.list_jobs(service.driver, "Run", limit=limit + 1, after=after, state=state, video_id=video_id)
    return page([views.run_of(r) for r in found], limit)


@router.get("/runs/{run_id}", responses=problem_responses(404))
def get_run(service: ServiceDep, run_id: str) -> Run:
    """One run: its state, its stage, how much of the stage is done, and why it failed."""
    return views.run(service, run_id)


@router.post("/runs/{run_id}/cancel", responses=problem_responses(404, 409))
def cancel_run(service: ServiceDep, run_id: str) -> Run:
    """Stop the run; a run that has ended can't be stopped."""
    return views.run_of(lifecycle.cancelled(service, "run", run_id, views.run(service, run_id).state))


@router.post("/runs/{run_id}/retry", status_code=202, responses=problem_responses(404, 409))
def retry_run(service: ServiceDep, run_id: str, response: Response) -> Run:
    """Take up a failed or cancelled run again, from the last clip and stage that were stored."""
    job = lifecycle.retried(service, "run", run_id, views.run(service, run_id).state)
    response.headers["Location"] = f"/v1/runs/{run_id}"
    return views.run_of(job)


@router.delete("/runs/{run_id}", status_code=204, responses=problem_responses(404, 409))
def delete_run(service: ServiceDep, run_id: str) -> None:
    """Delete the run, its graph and its files; one that is at work, or of which a data set is being made, has to wait."""
    lifecycle.delete(service, "run", run_id, views.run(service, run_id).state)


@router.get("/runs/{run_id}/events", response_model=Page[Event], responses=problem_responses(404, 422))
def run_events(
    service: ServiceDep,
    request: Request,
    run_id: str,
    limit: Limit = 100,
    after: Annotated[int, Query(ge=0, lt=2**63, description="Only events after this number.")] = 0,
    last_event_id: Annotated[int | None, Header(ge=0, lt=2**63)] = None,
) -> Page[Event] | Response:
    """What happened: with `Accept: text/event-stream` live to the run's end, else a page in JSON.

    A stream that broke is taken up again with the header Last-Event-ID.
    """
    views.run(service, run_id)
    if "text/event-stream" in request.headers.get("accept", ""):
        return events.stream(
            lambda seq: [views.event_of(e) for e in jobs.events(service.driver, run_id, after=seq, limit=100)],
            lambda: _ended(service, run_id),
            last_event_id if last_event_id is not None else after,
        )
    found = jobs.events(service.driver, run_id, after=after, limit=limit + 1)
    return page([views.event_of(e) for e in found], limit)


def _ended(service: Service, run_id: str) -> bool:
    """Whether nothing more will happen to a run; one that was deleted meanwhile has ended too."""
    job = jobs.get(service.driver, run_id)
    return job is None or job["state"] in jobs.FINAL
