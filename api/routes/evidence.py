"""The evidence of one QRA sample: what it rests on, down to the model's own replies."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from pydantic import BaseModel

from api import views
from api.deps import ServiceDep
from api.errors import Problem, problem_responses
from api.neo4j.pages import path_link
from api.schemas import QraRow
from graphdb.evidence import path_edges
from workers.runtime import Service
from workers.storage import Storage, dataset_file, trace_file

router = APIRouter(prefix="/v1/qra-datasets", tags=["qra data sets"])


class Frame(BaseModel):
    """A keyframe; `url` is its picture."""

    id: str
    url: str


class Exchange(BaseModel):
    """One exchange with the Video-LLM, as it was traced."""

    id: str
    step: str
    model: str
    prompt: str
    choices: list[str] = []
    frames: list[Frame]
    reply: str


class QraEvidence(QraRow):
    """A sample with what it rests on; `missing` are the exchanges whose traces are gone, as those of a deleted run are."""

    video_id: str
    run_id: str
    path: list[dict[str, str]]
    program: list[dict[str, Any]]
    keyframes: list[Frame]
    exchanges: list[Exchange]
    missing: list[str]
    browser_url: str | None


@router.get("/{dataset_id}/rows/{row_id}", responses=problem_responses(404, 409))
def row(service: ServiceDep, dataset_id: str, row_id: str) -> QraEvidence:
    """One sample with its evidence: path, program, pictures, the exchanges that made the path, and the path in Neo4j Browser.

    `browser_url` is null where nothing of the path is stored any more.
    """
    found = _row(service, dataset_id, row_id)
    traced = {told["exchange"]: told for told in _traced(service.storage, found["run_id"], found["evidence"])}
    told = {
        "keyframes": _frames(found, found["keyframes"]),
        "exchanges": [_exchange(found, traced[id]) for id in found["evidence"] if id in traced],
        "missing": [id for id in found["evidence"] if id not in traced],
        "browser_url": _browser_url(service, found),
    }
    return QraEvidence(**found | told)


def _row(service: Service, dataset_id: str, row_id: str) -> dict[str, Any]:
    """The row of a finished data set; raises where one or the other is not there."""
    views.finished_dataset(service, dataset_id)
    for row in _lines_with(service.storage, dataset_file(dataset_id), [row_id]):
        if row["id"] == row_id:
            return row
    remedy = f"List what there is: GET /v1/qra-datasets/{dataset_id}/rows."
    raise Problem(404, "row_not_found", f"There is no row {row_id!r} in {dataset_id}.", remedy)


def _traced(storage: Storage, run_id: str, exchanges: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The exchanges of a run with these ids; no more files are read than needed."""
    left = set(exchanges)
    for name in storage.names(trace_file(run_id, "any").rpartition("/")[0]):
        for told in _lines_with(storage, name, sorted(left)) if left else ():
            if told["exchange"] in left:
                left.remove(told["exchange"])
                yield told


def _lines_with(storage: Storage, name: str, ids: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows of a JSONL file that hold one of some ids anywhere; the others, which are most, are never parsed."""
    texts = (json.dumps(id, ensure_ascii=False).encode() for id in ids)
    wanted = re.compile(b"|".join(map(re.escape, texts)))
    with storage.open(name) as file:
        yield from (json.loads(line) for line in file if wanted.search(line))


def _exchange(row: dict[str, Any], told: dict[str, Any]) -> Exchange:
    return Exchange(
        id=told["exchange"],
        step=told["step"],
        model=told["model"],
        prompt=told["text"],
        choices=told["choices"],
        frames=_frames(row, told["frames"]),
        reply=told["reply"],
    )


def _frames(row: dict[str, Any], ids: Sequence[str]) -> list[Frame]:
    base = f"/v1/videos/{row['video_id']}/keyframes"
    return [Frame(id=id, url=f"{base}/{quote(id.rpartition(':')[2])}?run={row['run_id']}") for id in ids]


def _browser_url(service: Service, row: dict[str, Any]) -> str | None:
    edges = path_edges(service.driver, row["run_id"], row["path"])
    return path_link(*views.browser(service), edges) if edges else None
