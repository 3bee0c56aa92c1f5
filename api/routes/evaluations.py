"""Evaluations: a benchmark's questions put to one model, every reply kept, and reports that compare several models."""

import json
from collections.abc import Generator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response

from api import lifecycle, views
from api.deps import ServiceDep
from api.errors import conflict, invalid, problem_responses
from api.files import Stream
from api.paging import After, Limit, Page, page
from api.schemas import Evaluation, EvaluationRequest, Id
from graphdb import jobs
from graphdb.jobs import Job
from trainer.evaluation.catalogue import BENCHMARKS
from trainer.evaluation.plot import svg
from trainer.evaluation.report import told
from trainer.evaluation.run import verdict
from workers import evaluation, flows
from workers.runtime import Service

router = APIRouter(prefix="/v1/evaluations", tags=["evaluations"])


@router.post("", status_code=202, responses=problem_responses(422) | {200: {"model": Evaluation}})
def create(service: ServiceDep, wanted: EvaluationRequest, response: Response) -> Evaluation:
    """Ask a model a benchmark's questions. The same request again gives the evaluation there is, with 200."""
    model = views.known_model(service, wanted.model)
    if wanted.benchmark not in BENCHMARKS:
        detail = f"there is no benchmark {wanted.benchmark!r}"
        raise invalid("benchmark", detail, f"Name one of {', '.join(BENCHMARKS)}.")
    count = len(BENCHMARKS[wanted.benchmark]().items)
    if wanted.samples and wanted.samples > count:
        detail = f"{wanted.samples:,} questions are wanted, and {wanted.benchmark} has {count:,}"
        raise invalid("samples", detail, f"Ask for {count:,} at most, or leave it out to ask them all.")
    job, created = flows.start_evaluation(
        service, model, wanted.benchmark, wanted.mode, wanted.samples or count, wanted.seed
    )
    response.status_code = 202 if created else 200
    response.headers["Location"] = f"/v1/evaluations/{job['id']}"
    return views.evaluation_of(job)


@router.get("", responses=problem_responses(422))
def list_evaluations(service: ServiceDep, limit: Limit = 20, after: After = None) -> Page[Evaluation]:
    """Evaluations, newest first."""
    found = jobs.list_jobs(service.driver, "Evaluation", limit=limit + 1, after=after)
    return page([views.evaluation_of(j) for j in found], limit)


@router.get("/{evaluation_id}", responses=problem_responses(404))
def get_evaluation(service: ServiceDep, evaluation_id: str) -> Evaluation:
    """One evaluation: how far it is, and its scores by number of steps."""
    return views.evaluation(service, evaluation_id)


@router.get("/{evaluation_id}/results", response_class=Response, responses=problem_responses(404))
def results(service: ServiceDep, evaluation_id: str) -> Response:
    """Every question with its answer, every exchange with the model and how it was judged, as JSONL; so far, while it runs."""
    views.evaluation(service, evaluation_id)
    return Stream(_lines(service, evaluation_id), media_type="application/jsonl")


def _lines(service: Service, id: str) -> Generator[bytes]:
    for row in evaluation.kept(service.storage, id):
        judged = verdict(row)
        more = {"said": judged.said, "correct": judged.correct, "blind_correct": judged.blind}
        yield json.dumps(row | more | {"guess_correct": judged.guessed}, ensure_ascii=False).encode() + b"\n"


_PLOT: dict[int | str, dict[str, Any]] = {200: {"content": {"image/svg+xml": {"schema": {"type": "string"}}}}}


@router.get("/{evaluation_id}/report", responses=problem_responses(404, 409, 422) | _PLOT)
def report(
    service: ServiceDep,
    evaluation_id: str,
    against: Annotated[list[Id], Query(max_length=20, description="Evaluations of the same questions.")] = [],  # noqa: B006 # FastAPI copies it
    format: Literal["json", "svg"] = "json",
) -> Any:
    """Scores by number of steps, beside those of other evaluations, with paired tests; or a plot of them."""
    first, *others = (_finished(service, id) for id in dict.fromkeys([evaluation_id, *against]))
    for other in others:
        if not evaluation.same_questions(first["params"], other["params"]):
            detail = f"{other['id']} asked other questions than {first['id']}"
            remedy = "Compare evaluations of one benchmark, with the same number of samples and seed."
            raise invalid("against", detail, remedy)
    params, reports = first["params"], [evaluation.report(service, job) for job in (first, *others)]
    if format == "svg":
        return Response(svg(reports, f"{params['benchmark']}: accuracy by reasoning steps"), media_type="image/svg+xml")
    asked = {key: params[key] for key in ("benchmark", "version", "samples", "seed")}
    return (
        {"object": "evaluation_report", "evaluations": [job["id"] for job in (first, *others)]} | asked | told(reports)
    )


def _finished(service: Service, id: str) -> Job:
    job = views.evaluation_job(service, id)
    if job["state"] != "succeeded":
        remedy = f"Wait for GET /v1/evaluations/{id}; /results has the replies so far."
        raise conflict("evaluation_not_ready", f"The evaluation {id} is {job['state']}.", remedy)
    return job


@router.post("/{evaluation_id}/cancel", responses=problem_responses(404, 409))
def cancel(service: ServiceDep, evaluation_id: str) -> Evaluation:
    """Stop the evaluation; its replies stay."""
    state = views.evaluation(service, evaluation_id).state
    return views.evaluation_of(lifecycle.cancelled(service, "evaluation", evaluation_id, state))


@router.post("/{evaluation_id}/retry", status_code=202, responses=problem_responses(404, 409))
def retry(service: ServiceDep, evaluation_id: str) -> Evaluation:
    """Take up a failed or cancelled evaluation again, after the last reply that was stored."""
    state = views.evaluation(service, evaluation_id).state
    return views.evaluation_of(lifecycle.retried(service, "evaluation", evaluation_id, state))


@router.delete("/{evaluation_id}", status_code=204, responses=problem_responses(404, 409))
def delete(service: ServiceDep, evaluation_id: str) -> None:
    """Delete the evaluation and its replies; one that is at work has to be cancelled first."""
    lifecycle.delete(service, "evaluation", evaluation_id, views.evaluation(service, evaluation_id).state)
