"""What Neo4j Browser loads: any origin may read it, and its preflight request is answered."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse, PlainTextResponse

from api.errors import problem_responses
from api.neo4j import pages

router = APIRouter(prefix="/neo4j", tags=["neo4j browser"])

_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, OPTIONS",
    "Access-Control-Allow-Headers": "*, authorization, baggage, cache-control, pragma, sentry-trace",
    "Access-Control-Allow-Private-Network": "true",
    "Access-Control-Max-Age": "600",
    "Cache-Control": "no-cache",
}
Run = Annotated[str, Query(pattern=f"^{pages.RUN_ID.pattern}$", description="The run whose graph is meant.")]


@router.get("/style.grass", response_class=PlainTextResponse)
def style() -> PlainTextResponse:
    """The style sheet: `:style ADDRESS` in Neo4j Browser; the local stack's Browser applies it by itself."""
    return PlainTextResponse(pages.style(), headers=_CORS)


@router.get("/guide.html", response_class=HTMLResponse, responses=problem_responses(422))
def guide(run: Run) -> HTMLResponse:
    """A guide with runnable slides: `:guide ADDRESS` in Neo4j Browser."""
    return HTMLResponse(pages.guide(run), headers=_CORS)


@router.get("/queries.cypher", response_class=PlainTextResponse, responses=problem_responses(422))
def queries(run: Run | None = None) -> PlainTextResponse:
    """Saved queries to drop on the Browser's favourites; without `run` they use the parameter $run."""
    return PlainTextResponse(pages.queries_file(run), headers=_CORS)


@router.options("/{path:path}", include_in_schema=False)
def preflight(path: str) -> Response:  # noqa: ARG001 # any path
    """Neo4j Browser asks first, because its requests carry headers of their own."""
    return Response(status_code=204, headers=_CORS)
