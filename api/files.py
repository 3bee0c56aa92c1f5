"""Stored files over HTTP: whole or a byte range, streamed in blocks, with the content's hash as the ETag."""

import re
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager
from typing import BinaryIO
from urllib.parse import quote

from anyio import CancelScope
from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.errors import Problem

BLOCK = 256 * 1024
Opener = Callable[[], AbstractContextManager[BinaryIO]]


def serve(request: Request, opened: Opener, *, size: int, etag: str, media_type: str, name: str) -> Response:
    """The file, 200; a range of it, 206 (RFC 9110, one range); 304 when the client has it; 416 beyond the end."""
    tag = f'"{etag}"'
    headers = {"ETag": tag, "Accept-Ranges": "bytes", "Content-Disposition": f"inline; filename*=UTF-8''{quote(name)}"}
    if tag in _tags(request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    start, end = 0, size
    wanted = request.headers.get("range")
    whole = True
    if wanted and request.headers.get("if-range", tag) == tag:
        span = _span(wanted, size)
        if span is not None:
            (start, end), whole = span, False
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    headers["Content-Length"] = str(end - start)
    status = 200 if whole else 206
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=media_type)
    return Stream(_blocks(opened, start, end), status, headers, media_type)


class Stream(StreamingResponse):
    """The blocks of a generator, which is closed where the client leaves: else its files stay open for some while."""

    def __init__(
        self,
        blocks: Generator[bytes],
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
    ) -> None:
        super().__init__(blocks, status_code, headers, media_type)
        self._blocks = blocks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with CancelScope(shield=True):
                await run_in_threadpool(self._blocks.close)


def _tags(header: str) -> list[str]:
    return [tag.strip().removeprefix("W/") for tag in header.split(",")]


def _span(header: str, size: int) -> tuple[int, int] | None:
    """[start, end) of a single range; None for what may be ignored (other units, several ranges)."""
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", header.replace(" ", ""))
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first and last and int(last) < int(first):
        return None
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
    if start >= end:
        detail = f"The range {header!r} lies outside the file's {size:,} bytes."
        remedy = f"Ask for bytes from 0 to {size - 1}."
        raise Problem(416, "range_not_satisfiable", detail, remedy, headers={"Content-Range": f"bytes */{size}"})
    return start, end


def _blocks(opened: Opener, start: int, end: int) -> Generator[bytes]:
    with opened() as file:
        file.seek(start)
        left = end - start
        while left > 0 and (block := file.read(min(BLOCK, left))):
            left -= len(block)
            yield block
