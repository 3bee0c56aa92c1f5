"""The OpenAPI document as the service is: its errors, who may call, and what can't be in a query."""

from typing import Any

from fastapi import FastAPI

from api.errors import ProblemBody, problem_responses

_OPEN = ("/healthz", "/readyz", "/neo4j/")


def describe(app: FastAPI, *, with_tokens: bool) -> None:
    """Have the document of an application, which wants tokens or not, tell what is served."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            _mend(plain(), with_tokens)
        return app.openapi_schema or {}

    app.openapi = described  # type: ignore[method-assign]


def _mend(document: dict[str, Any], with_tokens: bool) -> None:
    components = document["components"]
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    body = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    components["schemas"] |= body.pop("$defs", {}) | {"ProblemBody": body}
    if not with_tokens:
        components.pop("securitySchemes", None)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _mend_operation(operation, open=path.startswith(_OPEN), with_tokens=with_tokens)


def _mend_operation(operation: dict[str, Any], *, open: bool, with_tokens: bool) -> None:
    """Name the errors that any operation may answer with, and those of bodies; `open` ones are anyone's to call."""
    replies = operation["responses"]
    statuses = [] if open else [401, 503]
    statuses += [400, 408, 413] if "requestBody" in operation else []
    statuses += [422] if "422" in replies else []
    if any(parameter["name"] == "after" for parameter in operation.get("parameters", ())):
        statuses.append(404)  # of a cursor
    replies |= {str(status): reply for status, reply in problem_responses(*statuses).items()}
    if not with_tokens:
        operation.pop("security", None)
    for parameter in operation.get("parameters", ()):
        _drop_null(parameter["schema"])


def _drop_null(schema: dict[str, Any]) -> None:
    """No query and no header can be null: it is left out."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del schema["anyOf"]
        schema |= kinds[0]
