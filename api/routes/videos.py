"""Videos: sent in, listed, downloaded, their keyframes, deleted."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, BinaryIO, cast

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from api import views
from api.deps import ServiceDep
from api.errors import not_found, problem_responses
from api.files import serve
from api.paging import After, Limit, Page, page
from api.schemas import Keyframe, RunRequest, Video
from api.uploads import scratch_file, upload_options
from workers import flows

router = APIRouter(prefix="/v1/videos", tags=["videos"])

_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "process": {"type": "boolean"},
                        "model": {"type": "string"},
                        "seed": {"type": "integer"},
                    },
                }
            },
            "video/*": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
