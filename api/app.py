"""The HTTP service: routes, guards around them, and the service they speak to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TextIO, cast

import structlog
from fastapi import Depends, FastAPI
from fastapi.concurrency import run_in_threadpool
from starlette.types import Scope

from api import document, errors
from api.auth import Gate, check_binding, require_token
from api.body import BodyGuard
from api.headers import SafeHeaders
from api.metrics import MeasureRequests, Metrics
from api.readiness import Readiness
from api.routes import evaluations, evidence, files, fine_tuning, graphs, health, models, neo4j, qra, runs, videos
from workers.logs import Forgiving
from workers.runtime import open_service
from workers.secrecy import guard_logs
from workers.settings import Settings
from workers.settings import settings as own_settings

_JSON_LIMIT = 1024 * 1024
_PATIENCE = 1.5  # seconds for which a caller is kept waiting for a database that is away, before the 503


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; `uvicorn api.app:create_app --factory` serves it.

    Raises:
        OpenToTheWorldError: it would listen beyond this machine without a token.
    """
    given = settings or own_settings()
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(cast("TextIO", Forgiving(1))))
    check_binding(given.api_host, given.api_tokens)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.service = await run_in_threadpool(open_service, given, patience=_PATIENCE)
        app.state.readiness = Readiness(app.state.service)
        yield
        app.state.service.close()

    app = FastAPI(
        title="STSG",
        summary="Spatio-Temporal Scene Graphs: videos in, graphs in Neo4j, reasoning data out.",
        version="1",
        lifespan=lifespan,
    )
    app.state.settings, app.state.gate, app.state.metrics = given, Gate(given.api_tokens, given.api_origins), Metrics()
    errors.install(app)
    guarded = [Depends(require_token)]
    for module in (videos, runs, graphs, qra, evidence, evaluations, files, fine_tuning, models):
        app.include_router(module.router, dependencies=guarded)
    app.include_router(health.router)
    app.include_router(neo4j.router)
    app.add_middleware(MeasureRequests, metrics=app.state.metrics)
    app.add_middleware(BodyGuard, limit=lambda scope: _limit(scope, given), window=given.upload_idle_seconds)
    app.add_middleware(SafeHeaders)
    document.describe(app, with_tokens=bool(given.api_tokens))
    guard_logs()
    return app


def _limit(scope: Scope, given: Settings) -> int:
    uploads = scope["method"] == "POST" and scope["path"] in ("/v1/videos", "/v1/files")
    return given.max_upload_bytes + 64 * 1024 if uploads else _JSON_LIMIT
