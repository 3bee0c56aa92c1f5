"""Whether the service lives, whether it can work, and its numbers."""

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from api.auth import require_token
from api.deps import ServiceDep
from api.errors import MEDIA_TYPE, Problem, problem_responses
from api.metrics import CONTENT_TYPE
from api.readiness import Readiness
from graphdb import jobs

router = APIRouter(tags=["health"])


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses=problem_responses(503))
def readyz(request: Request) -> JSONResponse:
    """Neo4j, the broker, the storage and at least one worker answer; 503 names within two seconds what does not."""
    readiness: Readiness = request.app.state.readiness
    checks = readiness.checks()
    away = "; ".join(f"{name}: {answer}" for name, answer in checks.items() if answer != "ok")
    if not away:
        return JSONResponse({"status": "ok", "checks": checks})
    problem = Problem(503, "not_ready", away, "Start what is named, or see its log; runs that are queued wait for it.")
    return JSONResponse(
        problem.body("/readyz").model_dump(exclude={"errors"}) | {"checks": checks},
        503,
        {"Retry-After": "5"},
        MEDIA_TYPE,
    )


@router.get("/metrics", response_class=PlainTextResponse, dependencies=[Depends(require_token)])
def metrics(service: ServiceDep, request: Request) -> Response:
    """Prometheus metrics."""
    numbers = request.app.state.metrics
    numbers.jobs.clear()
    for (kind, state), count in jobs.count(service.driver).items():
        numbers.jobs.labels(kind, state).set(count)
    return Response(numbers.text(), media_type=CONTENT_TYPE)
