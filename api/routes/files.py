"""Files of rows to train on, in the shape of the OpenAI API."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from api.deps import ServiceDep
from api.errors import conflict, invalid, not_found, problem_responses
from api.files import serve
from api.openai_shapes import Deleted, UploadedFile, file_of
from api.paging import After, Limit, Page, page
from api.uploads import form, receive_file
from graphdb import records
from graphdb.records import Record
from workers import uploads
from workers.runtime import Service
from workers.storage import upload_file

router = APIRouter(prefix="/v1/files", tags=["files"])

_BODY = form({"purpose": {"type": "string", "enum": ["fine-tune"]}}, required=("purpose",))


@router.post("", openapi_extra=_BODY, responses=problem_responses(400, 408, 413, 415, 422, 507))
async def add_file(service: ServiceDep, request: Request) -> UploadedFile:
    """Take in rows to train on: JSONL, as a QRA data set is exported, `rationale` being optional.

    Each row names its pictures by the `run_id` or the `video_id` of a stored video. The same content is the same file.
    """
    with service.scratch() as folder:
        upload = Path(folder) / "upload"
        received = await receive_file(request, upload, service.settings.max_upload_bytes)
        purpose = received.fields.get("purpose", "")
        if purpose != "fine-tune":
            raise invalid("purpose", f"is {purpose!r}", "Send purpose=fine-tune; other files have no use here.")
        try:
            record = await run_in_threadpool(
                uploads.add, service, upload, name=received.name, sha256=received.sha256, purpose=purpose
            )
        except uploads.WrongRow as e:
            remedy = "Send JSONL rows with question, answer, maybe rationale, and run_id or video_id."
            raise invalid("file", str(e), remedy) from e
    return file_of(record)


@router.get("", responses=problem_responses(422))
def list_files(
    service: ServiceDep,
    limit: Limit = 20,
    after: After = None,
    purpose: Annotated[str | None, Query(description="Only `fine-tune` has files.")] = None,
) -> Page[UploadedFile]:
    """Files, newest first."""
    found = records.find(service.driver, "File", limit=limit + 1, after=after)
    return page([file_of(r) for r in found] if purpose in (None, "fine-tune") else [], limit)


@router.get("/{file_id}", responses=problem_responses(404))
def get_file(service: ServiceDep, file_id: str) -> UploadedFile:
    """One file."""
    return file_of(_found(service, file_id))


@router.get("/{file_id}/content", response_class=Response, responses=problem_responses(404, 416))
def content(service: ServiceDep, request: Request, file_id: str) -> Response:
    """The file as it was sent."""
    found = _found(service, file_id)
    name = upload_file(file_id)
    return serve(
        request,
        lambda: service.storage.open(name),  # type: ignore[arg-type,return-value]
        size=found["bytes"],
        etag=found["sha256"],
        media_type="application/jsonl",
        name=found["filename"],
    )


@router.delete("/{file_id}", responses=problem_responses(404, 409))
def delete_file(service: ServiceDep, file_id: str) -> Deleted:
    """Delete a file that no unfinished training uses."""
    _found(service, file_id)
    if not uploads.delete(service, file_id):
        raise conflict("file_in_use", "A training that isn't over uses the file.", "Cancel or await it first.")
    return Deleted(object="file", id=file_id)


def _found(service: Service, id: str) -> Record:
    record = records.get(service.driver, "File", id)
    if record is None:
        raise not_found("file", id)
    return record
