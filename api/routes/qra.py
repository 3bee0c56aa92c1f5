"""QRA data sets: made from graphs as immutable snapshots, read row by row, exported as a stream."""

import json
from collections.abc import Iterator
from typing import IO, Annotated

from fastapi import APIRouter, Query, Request, Response

from api import bundles, exports, lifecycle, views
from api.deps import ServiceDep
from api.errors import invalid, problem_responses
from api.paging import After, Limit, Page, page
from api.schemas import QraDataset, QraRequest, QraRow
from api.statistics import Statistics, statistics
from graphdb import jobs
from graphdb.connection import CursorGone
from model.rationale.mix import Mix, from_json
from workers import flows
from workers.runtime import Service
from workers.storage import dataset_file

Validation = Annotated[float, Query(ge=0, le=1, multiple_of=0.01, description="The share of videos for validation.")]
_STARTS: dict[tuple[str, str], int] = {}  # where the last rows of pages begin, by data set and id
_REMEMBERED = 10_000
router = APIRouter(prefix="/v1/qra-datasets", tags=["qra data sets"])


@router.post("", status_code=202, responses=problem_responses(409, 422) | {200: {"model": QraDataset}})
def create(service: ServiceDep, wanted: QraRequest, response: Response) -> QraDataset:
    """Sample a data set from the graphs of some runs. The same request again gives the data set there is, with 200."""
    mix = wanted.model_dump(include={"steps", "families", "forms", "edges", "temporal"})
    _check_possible(from_json(mix))
    known = jobs.get_many(service.driver, wanted.runs)
    for run_id in dict.fromkeys(wanted.runs):
        job = known.get(run_id)
        if job is None or job["state"] != "succeeded":
            detail = f"{run_id} is {job['state']}" if job else f"there is no run {run_id!r}"
            raise invalid("runs", detail, "Name runs that have succeeded; GET /v1/runs?state=succeeded lists them.")
    if wanted.polish is not None:
        model = views.known_model(service, wanted.polish.model, "polish.model")
        mix["polish"] = wanted.polish.model_dump() | {"model": model}
    job, created = flows.start_dataset(service, wanted.runs, mix, wanted.seed, wanted.name)
    response.status_code = 202 if created else 200
    response.headers["Location"] = f"/v1/qra-datasets/{job['id']}"
    return views.dataset_of(job)


def _check_possible(mix: Mix) -> None:
    """Raises the 422 of a number of steps for which no wanted family has a wanted form."""
    none = [str(n) for n, count in mix.steps.items() if count and not mix.cells(n)]
    if none:
        detail = f"no question of {none[0]} steps about these families has any of these forms"
        raise invalid("forms", detail, "Ask for open answers too, for other families, or for fewer steps.")


@router.get("", responses=problem_responses(422))
def list_datasets(service: ServiceDep, limit: Limit = 20, after: After = None) -> Page[QraDataset]:
    """Data sets, newest first."""
    found = jobs.list_jobs(service.driver, "QraDataset", limit=limit + 1, after=after)
    return page([views.dataset_of(j) for j in found], limit)


@router.get("/{dataset_id}", responses=problem_responses(404))
def get_dataset(service: ServiceDep, dataset_id: str) -> QraDataset:
    """One data set: its state, how many samples of each number of steps, and what was rejected and why."""
    return views.dataset(service, dataset_id)


@router.post("/{dataset_id}/cancel", responses=problem_responses(404, 409))
def cancel(service: ServiceDep, dataset_id: str) -> QraDataset:
    """Stop making the data set; one that has ended can't be stopped."""
    state = views.dataset(service, dataset_id).state
    return views.dataset_of(lifecycle.cancelled(service, "dataset", dataset_id, state))


@router.post("/{dataset_id}/retry", status_code=202, responses=problem_responses(404, 409))
def retry(service: ServiceDep, dataset_id: str, response: Response) -> QraDataset:
    """Make a failed or cancelled data set after all."""
    job = lifecycle.retried(service, "dataset", dataset_id, views.dataset(service, dataset_id).state)
    response.headers["Location"] = f"/v1/qra-datasets/{dataset_id}"
    return views.dataset_of(job)


@router.delete("/{dataset_id}", status_code=204, responses=problem_responses(404, 409))
def delete(service: ServiceDep, dataset_id: str) -> None:
    """Delete the data set and its files; one that is at work, or that a training still needs, has to wait."""
    lifecycle.delete(service, "dataset", dataset_id, views.dataset(service, dataset_id).state)


@router.get("/{dataset_id}/rows", responses=problem_responses(404, 409, 422))
def rows(service: ServiceDep, dataset_id: str, limit: Limit = 20, after: After = None) -> Page[QraRow]:
    """Samples, in the order of the export."""
    views.finished_dataset(service, dataset_id)
    return page(list(_rows_after(service, dataset_id, after, limit + 1)), limit)


def _rows_after(service: Service, dataset_id: str, after: str | None, count: int) -> Iterator[QraRow]:
    with service.storage.open(dataset_file(dataset_id)) as file:
        if after is not None:
            _pass(file, after, _STARTS.get((dataset_id, after), 0))
        starts, line = file.tell(), file.readline()
        for at in range(1, count + 1):
            if not line:
                return
            row = QraRow(**json.loads(line))
            if at == count - 1:  # the last of a page, after which the next one will be asked for
                _remember(dataset_id, row.id, starts)
            yield row
            starts, line = file.tell(), file.readline()


def _pass(file: IO[bytes], id: str, start: int) -> None:
    """Go on to the end of an id's row, which may begin at `start`."""
    begins = f'{{"id": "{id}"'.encode()  # a row's id is its first key, so no line need be read as JSON
    for place in (start, 0):  # a data set that was made anew may have other rows
        file.seek(place)
        while line := file.readline():
            if line.startswith(begins):
                return
            if place:
                break
    raise CursorGone(id)


def _remember(dataset_id: str, id: str, start: int) -> None:
    if len(_STARTS) >= _REMEMBERED:
        _STARTS.clear()
    _STARTS[dataset_id, id] = start


@router.get("/{dataset_id}/statistics", responses=problem_responses(404, 409, 422))
def get_statistics(service: ServiceDep, dataset_id: str, validation: Validation = 0.1) -> Statistics:
    """How many samples of which kinds there are, how long they are, and what is answered most."""
    return statistics(service, views.finished_dataset(service, dataset_id), validation)


@router.get("/{dataset_id}/export", response_class=Response, responses=problem_responses(404, 409, 416, 422))
def export(
    service: ServiceDep, request: Request, dataset_id: str, wanted: Annotated[exports.Wanted, Query()]
) -> Response:
    """All samples, or those of one split, as JSONL, for a trainer, as Parquet or for `datasets`.

    What is one file (jsonl of all, parquet, hf) never changes, so it has an ETag and byte ranges; the rest is a stream.
    """
    dataset = views.finished_dataset(service, dataset_id)
    if wanted.media == "tar":
        return bundles.respond(service, request, dataset, wanted)
    return exports.respond(service, request, dataset, wanted)
