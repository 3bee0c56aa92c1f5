"""Every error as application/problem+json (RFC 9457) with a code to program against and the remedy to read."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.routing import compile_path

from api.headers import SAFE
from graphdb.connection import UNAVAILABLE, CursorGone
from graphdb.jobs import BeingDeleted
from model import durable
from workers.failures import is_away
from workers.secrecy import redact

MEDIA_TYPE = "application/problem+json"
log = structlog.get_logger()


class FieldError(BaseModel):
    """What is wrong with one field of a request."""

    field: str
    code: str
    detail: str


class ProblemBody(BaseModel):
    """The body of every error reply."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    remedy: str
    instance: str
    errors: list[FieldError] = []


class Problem(HTTPException):
    """An error that a client can act on; `remedy` says how."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        remedy: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.code, self.remedy, self.errors = code, remedy, tuple(errors)

    def body(self, instance: str) -> ProblemBody:
        return ProblemBody(
            type=f"urn:stsg:problem:{self.code}",
            title=self.code.replace("_", " ").capitalize(),
            status=self.status_code,
            detail=redact(str(self.detail)),
            code=self.code,
            remedy=self.remedy,
            instance=instance,
            errors=[e.model_copy(update={"detail": redact(e.detail)}) for e in self.errors],
        )

    def response(self, instance: str) -> JSONResponse:
        body = self.body(instance).model_dump()
        if not self.errors:
            del body["errors"]
        return JSONResponse(body, self.status_code, self.headers, MEDIA_TYPE)


def not_found(kind: str, id: str) -> Problem:
    """There is no `kind` with this id."""
    return Problem(
        404, f"{kind}_not_found", f"There is no {_words(kind)} {id!r}.", f"List what there is: {LISTS[kind]}."
    )


def conflict(code: str, detail: str, remedy: str) -> Problem:
    """The request is fine, but not in the present state."""
    return Problem(409, code, detail, remedy)


def invalid(field: str, detail: str, remedy: str, code: str = "value_error") -> Problem:
    """A field that only the service could judge, such as an unknown model."""
    return Problem(
        422, "invalid_request", f"{field}: {detail}", remedy, errors=[FieldError(field=field, code=code, detail=detail)]
    )


LISTS = {
    "video": "GET /v1/videos",
    "keyframe": "GET /v1/videos/{video_id}/keyframes",
    "run": "GET /v1/runs",
    "graph": "GET /v1/runs",
    "qra_dataset": "GET /v1/qra-datasets",
    "fine_tuning_job": "GET /v1/fine_tuning/jobs",
    "model": "GET /v1/models",
    "file": "GET /v1/files",
    "evaluation": "GET /v1/evaluations",
}

_REMEDIES = {
    400: ("bad_request", "Check the request's headers and body against GET /openapi.json."),
    404: ("no_such_path", "See GET /openapi.json for the paths there are."),
    405: ("method_not_allowed", "Use one of the methods that the Allow header names."),
}


def install(app: FastAPI) -> None:
    """Answer every exception with a problem; an unforeseen one is logged and says nothing about the inside."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(ClientDisconnect, lambda *_: Response(status_code=499))  # nobody is there to hear it
    app.add_exception_handler(Exception, _unforeseen)
    app.add_exception_handler(BeingDeleted, _being_deleted)
    app.add_exception_handler(CursorGone, _cursor_gone)
    app.add_exception_handler(OSError, _of_the_disk)
    for kind in UNAVAILABLE:
        app.add_exception_handler(kind, _unavailable)


async def _http(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException)
    if not isinstance(exc, Problem):
        code, remedy = _REMEDIES.get(exc.status_code, (_slug(exc.status_code), "See GET /openapi.json."))
        headers = dict(exc.headers or {})
        if exc.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = _methods(request) or headers.get("Allow", headers.get("allow", ""))
            headers.pop("allow", None)
        exc = Problem(exc.status_code, code, str(exc.detail), remedy, headers=headers)
    return exc.response(request.url.path)


def _methods(request: Request) -> str:
    """The methods of the request's path, which may stand in several routes, as an Allow header names them."""
    paths = request.app.openapi()["paths"]
    here = request.url.path  # one that is spelt out, such as /dry_run, is no {id}
    there = [paths[here]] if here in paths else [m for p, m in paths.items() if compile_path(p)[0].fullmatch(here)]
    return ", ".join(sorted({method.upper() for methods in there for method in methods}))


async def _being_deleted(request: Request, exc: Exception) -> JSONResponse:
    detail = f"{exc} is being deleted, and the same request would make it again."
    remedy = "Send this again in a moment; if the deletion was broken off, repeat it first."
    return conflict("being_deleted", detail, remedy).response(request.url.path)


async def _cursor_gone(request: Request, exc: Exception) -> JSONResponse:
    detail = f"there is nothing of the id {exc}, or not any more"
    error = FieldError(field="after", code="cursor_gone", detail=detail)
    problem = Problem(404, "cursor_gone", f"after: {detail}", "Begin again without it.", errors=[error])
    return problem.response(request.url.path)


async def _validation(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestValidationError)
    errors = [_field_error(e) for e in exc.errors()]
    detail = "; ".join(f"{e.field}: {e.detail}" for e in errors)
    remedy = "Correct the named fields; GET /openapi.json says what each may be."
    return Problem(422, "invalid_request", detail, remedy, errors=errors).response(request.url.path)


async def _unavailable(request: Request, exc: Exception) -> JSONResponse:
    log.warning("the database does not answer", path=request.url.path, error=str(exc))
    remedy = "Try again in a while; GET /readyz says what is away."
    problem = Problem(503, "database_unavailable", "Neo4j does not answer.", remedy, headers={"Retry-After": "5"})
    return problem.response(request.url.path)


async def _away(request: Request, exc: Exception) -> JSONResponse:
    log.warning("the storage does not answer", path=request.url.path, error=str(exc))
    remedy = "Try again in a while; GET /readyz says what is away."
    detail = "The storage of files does not answer."
    return Problem(503, "storage_unavailable", detail, remedy, headers={"Retry-After": "5"}).response(request.url.path)


async def _of_the_disk(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, OSError)
    if exc.errno not in durable.FULL:
        return await _unforeseen(request, exc)  # a storage that is away among them
    log.warning("the disk is full", path=request.url.path, error=str(exc))
    detail, remedy = (
        "The service's disk has no room for this.",
        "Make room there, or delete what is not needed; then send it again.",
    )
    return Problem(507, "storage_full", detail, remedy, headers={"Retry-After": "30"}).response(request.url.path)


async def _unforeseen(request: Request, exc: Exception) -> JSONResponse:
    if is_away(exc):
        return await _away(request, exc)
    log.error("unforeseen error", path=request.url.path, exc_info=exc)  # without what variables hold: guard_logs
    detail = "The service made a mistake; it is logged."
    remedy = "Try again; if it stays, report it with the API's log."
    return Problem(500, "internal_error", detail, remedy, headers=SAFE).response(request.url.path)


def _field_error(error: Mapping[str, Any]) -> FieldError:
    """Name the field as a client writes it: `options.merging`, `steps.3`, `limit`; the whole body is `body`."""
    place, *path = (str(part) for part in error["loc"])
    if error["type"] == "json_invalid":
        path = []
    return FieldError(field=".".join(path) or place, code=str(error["type"]), detail=str(error["msg"]))


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI entries for the errors a route answers with."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def _slug(status: int) -> str:
    return HTTPStatus(status).phrase.lower().replace(" ", "_").replace("-", "_")


def _words(kind: str) -> str:
    return {"qra_dataset": "QRA data set", "fine_tuning_job": "fine-tuning job"}.get(kind, kind)
