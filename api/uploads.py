"""A file taken from a request, raw or multipart, straight into a scratch file while it is hashed: one pass, no copy."""

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from fastapi import Request
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect

from api.body import too_large
from api.errors import Problem, invalid

_MAX_FIELD, _MAX_FIELDS = 64 * 1024, 32
_RAW_TYPES = ("video/", "application/octet-stream", "application/mp4", "application/x-matroska")


def form(
    fields: Mapping[str, Any], others: Mapping[str, Any] | None = None, *, required: Sequence[str] = ()
) -> dict[str, Any]:
    """The OpenAPI entry of a body that is a form with the part `file` and these fields, or of other types."""
    parts = {"file": {"type": "string", "format": "binary"}, **fields}
    schema = {"type": "object", "required": ["file", *required], "properties": parts}
    content = {"multipart/form-data": {"schema": schema}, **(others or {})}
    return {"requestBody": {"required": True, "content": content}}


@dataclass
class Received:
    """An upload as it came: how large, which content, and the form fields beside it."""

    sha256: str
    size: int
    name: str
    fields: dict[str, str] = field(default_factory=dict)


async def receive_file(request: Request, target: Path, limit: int) -> Received:
    """Write the uploaded file to `target`; `limit` is in bytes.

    Raises:
        Problem: 400 for a broken form or a lost connection, 413, 415, 422 without a `file` part.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    try:
        with target.open("xb") as out:
            sink = _Sink(out, limit)
            if kind == b"multipart/form-data":
                name, fields = await _multipart(request.stream(), options.get(b"boundary", b""), sink)
            elif kind == b"" or kind.decode("latin-1").startswith(_RAW_TYPES):
                name, fields = request.query_params.get("filename", ""), {}
                async for chunk in request.stream():
                    sink.write(chunk)
            else:
                raise _unsupported(kind.decode("latin-1"))
    except ClientDisconnect:
        raise Problem(
            400, "upload_broken_off", "The connection closed before the file was whole.", "Send it again."
        ) from None
    return Received(sink.hash.hexdigest(), sink.size, _plain_name(name), fields)


class _Sink:
    """Writes, counts and hashes."""

    def __init__(self, out: BinaryIO, limit: int) -> None:
        self.out, self.limit = out, limit
        self.hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        self.size += len(data)
        if self.size > self.limit:
            raise too_large(self.limit)
        self.hash.update(data)
        self.out.write(data)


class _Form:
    """Reads a multipart form as it comes: the part named `file` goes on to `write`, others are kept as text."""

    def __init__(self, boundary: bytes, write: Callable[[bytes], None]) -> None:
        self.write = write
        self.fields: dict[str, bytes] = {}
        self.file_name: str | None = None
        self.finished = False
        self._header = b""
        self._headers: dict[bytes, bytes] = {}
        self._name = ""
        self._in_file = False
        self.parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._field,
                "on_header_value": self._value,
                "on_headers_finished": self._headers_done,
                "on_part_data": self._data,
                "on_end": self._end,
            },
        )

    def _begin(self) -> None:
        self._headers, self._header, self._in_file = {}, b"", False

    def _field(self, data: bytes, start: int, end: int) -> None:
        if self._header in self._headers:
            self._header = b""
        self._header += data[start:end].lower()

    def _value(self, data: bytes, start: int, end: int) -> None:
        self._headers[self._header] = self._headers.get(self._header, b"") + data[start:end]

    def _headers_done(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        self._in_file = self._name == "file"
        if self._in_file:
            if self.file_name is not None:
                raise invalid("file", "there is more than one file in the form", "Send one video per request.")
            self.file_name = options.get(b"filename", b"").decode("utf-8", "replace")
        else:
            self.fields[self._name] = b""
            if len(self.fields) > _MAX_FIELDS:
                raise invalid(self._name, f"a form may have {_MAX_FIELDS} fields", "Send the video as the part 'file'.")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self.write(data[start:end])
            return
        self.fields[self._name] += data[start:end]
        if len(self.fields[self._name]) > _MAX_FIELD:
            raise invalid(self._name, f"a form field may hold {_MAX_FIELD} bytes", "Send the video as the part 'file'.")

    def _end(self) -> None:
        self.finished = True


async def _multipart(chunks: AsyncIterator[bytes], boundary: bytes, sink: _Sink) -> tuple[str, dict[str, str]]:
    if not boundary:
        raise _broken_form("The multipart form names no boundary.")
    try:
        form = _Form(boundary, sink.write)
        async for chunk in chunks:
            form.parser.write(chunk)
        form.parser.finalize()
    except FormParserError as e:
        raise _broken_form(f"The multipart form can't be read: {e}.") from e
    if not form.finished:
        raise _broken_form("The multipart form ends before its last boundary.")
    if form.file_name is None:
        raise invalid("file", "the form has no part of this name", "Send the video as the part 'file'.", "missing")
    return form.file_name, {name: value.decode("utf-8", "replace") for name, value in form.fields.items()}


def _plain_name(name: str) -> str:
    """The last part of a path a client sent, fit for a caption; never used as a path."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return "".join(c for c in last if c.isprintable())[:120]


def _broken_form(detail: str) -> Problem:
    return Problem(400, "broken_form", detail, "Send multipart/form-data with the video as the part 'file'.")


def _unsupported(kind: str) -> Problem:
    remedy = "Send the video as the part 'file' of multipart/form-data, or as a raw body with Content-Type: video/mp4."
    return Problem(415, "unsupported_content_type", f"A video can't come as {kind!r}.", remedy)
