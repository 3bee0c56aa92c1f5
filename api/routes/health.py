"""Whether the service lives, whether it can work, and its numbers."""

import threading
import time
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from api.auth import require_token
from api.deps import ServiceDep
from api.errors import MEDIA_TYPE, Problem, problem_responses
from api.metrics import CONTENT_TYPE
from graphdb import jobs
from workers.runtime import Service

router = APIRouter(tags=["health"])
_FRESH = 1.0  # seconds for which others are told the same
_asking = threading.Lock()
_answered: list[tuple[float, str]] = [(-_FRESH, "")]


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses=problem_responses(503))
def readyz(service: ServiceDep) -> JSONResponse:
    """Neo4j, the broker and at least one worker answer; 503 names what does not."""
    checks = {"neo4j": _neo4j(service), "broker": _broker(service), "worker": _worker()}
    away = "; ".join(f"{name}: {answer}" for name, answer in checks.items() if answer != "ok")
    if not away:
        return JSONResponse({"status": "ok", "checks": checks})
    problem = Problem(503, "not_ready", away, "Start what is named, or see its log; runs that are queued wait for it.")
    return JSONResponse(
        problem.body("/readyz").model_dump(exclude={"errors"}) | {"checks": checks}, 503, None, MEDIA_TYPE
    )


@router.get("/metrics", dependencies=[Depends(require_token)])
def metrics(service: ServiceDep, request: Request) -> Response:
    """Prometheus metrics."""
    numbers = request.app.state.metrics
    numbers.jobs.clear()
    for (kind, state), count in jobs.count(service.driver).items():
        numbers.jobs.labels(kind, state).set(count)
    return Response(numbers.text(), media_type=CONTENT_TYPE)


def _neo4j(service: Service) -> str:
    try:
        service.driver.verify_connectivity()
    except Exception as e:  # noqa: BLE001 # any failure is the answer
        return f"does not answer: {e}"[:200]
    return "ok"


def _broker(service: Service) -> str:
    try:
        service.backlog("cpu")
    except Exception as e:  # noqa: BLE001 # any failure is the answer
        return f"does not answer: {e}"[:200]
    return "ok"


def _worker() -> str:
    """Whether a worker listens, asked by one thread at a time: each question takes two connections of a pool of ten."""
    with _asking:
        at, answer = _answered[0]
        if time.monotonic() - at > _FRESH:
            answer = _asked()
            _answered[0] = time.monotonic(), answer
    return answer


def _asked() -> str:
    from workers.app import app

    try:
        found: Any = app.control.inspect(timeout=0.7).ping()
    except Exception as e:  # noqa: BLE001 # any failure is the answer
        return f"does not answer: {e}"[:200]
    return "ok" if found else "none listens"
