"""Videos: sent in, listed, downloaded, their keyframes, deleted."""

import re
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError

from api import views
from api.deps import ServiceDep
from api.errors import Problem, conflict, invalid, not_found, problem_responses
from api.files import serve
from api.paging import After, Limit, Page, page
from api.schemas import Keyframe, RunRequest, Video
from api.uploads import Received, form, receive_file
from graphdb import graphs, jobs, videos
from model.media import MediaError, VideoInfo
from model.probe import probe_apart
from model.stsg import video_id as id_of
from workers import flows
from workers.runtime import Service
from workers.storage import keyframe_file, video_file

router = APIRouter(prefix="/v1/videos", tags=["videos"])

_FIELDS = {
    "process": {"type": "boolean"},
    "model": {"type": "string"},
    "seed": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
}
_BODY = form(_FIELDS, {"video/*": {"schema": {"type": "string", "format": "binary"}}})
_REPLIES = problem_responses(400, 408, 409, 411, 413, 415, 422, 507) | {200: {"model": Video}, 202: {"model": Video}}
_STATUS = {"empty_file": 400, "not_a_video": 400, "forbidden_format": 415, "no_video_stream": 415}
_PROBES = CapacityLimiter(2)  # at once; who waits for it holds no thread of those that serve other requests


@router.post("", status_code=201, openapi_extra=_BODY, responses=_REPLIES)
async def add_video(service: ServiceDep, request: Request, response: Response) -> Video:
    """Take a video in: 201, or 200 where it is known; with `process=true` its graph is made too, 202."""
    with service.scratch() as folder:
        upload = Path(folder) / "upload"
        await run_in_threadpool(_checked, service, dict(request.query_params))  # before all of a file has come
        received = await receive_file(request, upload, service.settings.max_upload_bytes)
        wanted = await run_in_threadpool(_checked, service, {**dict(request.query_params), **received.fields})
        known = await run_in_threadpool(_known, service, received)
        if known is None:
            info = await to_thread.run_sync(_probed, service, upload, limiter=_PROBES)
            video = await run_in_threadpool(_store, service, upload, received, info)
        else:
            video = known
        request.app.state.metrics.received.inc(received.size)
    response.headers["Location"] = f"/v1/videos/{video.id}"
    response.status_code = 201 if known is None else 200
    if wanted is not None:
        run, _ = await run_in_threadpool(views.start_run, service, video.id, wanted)
        response.status_code = 202
        response.headers["Location"] = f"/v1/runs/{run.id}"
        return video.model_copy(update={"run": run})
    return video


def _checked(service: Service, fields: dict[str, str]) -> RunRequest | None:
    """What `_wanted` says, of a model that there is."""
    wanted = _wanted(fields)
    if wanted is not None:
        views.known_model(service, wanted.model)
    return wanted


def _wanted(fields: dict[str, str]) -> RunRequest | None:
    """The run that a form or query asks for with `process=true`; None where it asks for none."""
    process = fields.get("process", "false").lower()
    if process not in ("true", "false"):
        raise invalid("process", "may be true or false", "Send process=true to have the graph made.")
    if process == "false":
        return None
    told: dict[str, Any] = {k: fields[k] for k in ("model",) if k in fields}
    if "seed" in fields:
        told["seed"] = (
            int(float(fields["seed"])) if re.fullmatch(r"\d{1,12}(\.0+)?", fields["seed"]) else fields["seed"]
        )
    try:
        return RunRequest(**told)
    except ValidationError as e:
        [first, *_] = e.errors()
        raise invalid(str(first["loc"][0]), first["msg"], "Correct the named field.") from e


def _known(service: Service, received: Received) -> Video | None:
    """The video of this content that is stored already."""
    id = id_of(received.sha256)
    known = videos.get_video(service.driver, id)
    return views.video_of(known) if known and service.storage.exists(video_file(id)) else None


def _probed(service: Service, file: Path) -> VideoInfo:
    try:
        return probe_apart(file, service.settings.limits)
    except MediaError as e:
        raise Problem(_STATUS.get(e.code, 422), e.code, e.detail, e.remedy) from e


def _store(service: Service, file: Path, received: Received, info: VideoInfo) -> Video:
    id = id_of(received.sha256)
    name = received.name or f"{id}.mp4"
    return views.video_of(flows.add_video(service, id, file, info, name=name, sha256=received.sha256))


@router.get("", responses=problem_responses(422))
def list_videos(service: ServiceDep, limit: Limit = 20, after: After = None) -> Page[Video]:
    """Videos, newest first."""
    found = videos.list_videos(service.driver, limit=limit + 1, after=after)
    return page([views.video_of(v) for v in found], limit)


@router.get("/{video_id}", responses=problem_responses(404))
def get_video(service: ServiceDep, video_id: str) -> Video:
    """One video."""
    return views.video(service, video_id)


@router.delete("/{video_id}", status_code=204, responses=problem_responses(404, 409))
def delete_video(service: ServiceDep, video_id: str) -> None:
    """Delete a video; its runs have to be deleted first."""
    views.video(service, video_id)
    if not flows.delete_video(service, video_id):
        remedy = f"Delete them first: GET /v1/runs?video_id={video_id} lists them."
        raise conflict("video_has_runs", "The video has runs.", remedy)


@router.get("/{video_id}/content", response_class=Response, responses=problem_responses(404, 416))
@router.head("/{video_id}/content", response_class=Response, include_in_schema=False)
def content(service: ServiceDep, request: Request, video_id: str) -> Response:
    """The video's file, or a byte range of it."""
    video = views.video(service, video_id)
    name = video_file(video_id)
    if not service.storage.exists(name):
        raise not_found("video", video_id)
    size = service.storage.size(name)
    return serve(
        request,
        lambda: service.storage.open(name),  # type: ignore[arg-type,return-value]
        size=size,
        etag=video.sha256,
        media_type="video/mp4",
        name=video.name,
    )


@router.get("/{video_id}/keyframes", responses=problem_responses(404))
def keyframes(service: ServiceDep, video_id: str) -> Page[Keyframe]:
    """The keyframes that the video's runs chose, in order of time."""
    views.video(service, video_id)
    found: dict[str, Keyframe] = {}
    for job in jobs.list_jobs(service.driver, "Run", limit=100, video_id=video_id):
        for clip in graphs.load_clips(service.driver, job["id"]):
            for k in clip.keyframes:
                number = k.id.rpartition(":")[2]
                found[number] = Keyframe(
                    id=number, t=k.t, url=f"/v1/videos/{video_id}/keyframes/{number}?run={job['id']}"
                )
    return page(sorted(found.values(), key=lambda k: k.t), len(found) or 1)


@router.get("/{video_id}/keyframes/{number}", response_class=Response, responses=problem_responses(404))
def keyframe(service: ServiceDep, request: Request, video_id: str, number: str, run: str) -> Response:
    """A keyframe of a run, as PNG."""
    views.video(service, video_id)
    job = views.run(service, run)
    name = keyframe_file(job.id, f"{video_id}:{number}")
    if job.video_id != video_id or not number.isdecimal() or not service.storage.exists(name):
        raise not_found("keyframe", number)
    return serve(
        request,
        lambda: service.storage.open(name),  # type: ignore[arg-type,return-value]
        size=service.storage.size(name),
        etag=f"{job.id}-{number}",
        media_type="image/png",
        name=f"{number}.png",
    )
