"""One exchange with a server over HTTP: within a time, a size and an encoding that are known, and stopped at any moment.

A thread of its own makes each exchange, so that whoever waits for it can leave in a moment whatever the server does.
"""

import json
import re
import ssl
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx

from model.video_llm import LastingError, Stopped, StoppedError, VideoLLMError

_GLANCE = 0.1  # seconds between two looks at whether the exchange is still wanted
_CONNECT_SECONDS = 10.0
_PLAIN = ("", "identity")
_PACKED = {"gzip": 47, "x-gzip": 47, "deflate": 47}  # window bits for zlib, which tells the two apart


@dataclass(frozen=True, slots=True)
class CallLimits:
    """What a call of a server may take.

    `call_seconds` is for the whole of one exchange, from the connection to the last byte; `wait_seconds` the longest pause
    that a call makes because the server asks for it; `reply_bytes` the size of a reply, unpacked; `depth` its brackets.
    """

    call_seconds: float = 120.0
    wait_seconds: float = 120.0
    reply_bytes: int = 4 * 2**20
    depth: int = 64


class CallTimeoutError(VideoLLMError):
    """An exchange took longer than it may."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server sent: the status, the headers by their names in small letters, and the text."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


@dataclass(slots=True)
class _Exchange:
    """An exchange under way, and how it ended."""

    client: httpx.Client
    done: threading.Event = field(default_factory=threading.Event)
    left: bool = False  # nobody waits for it any more
    answer: Answer | None = None
    error: Exception | None = None


class Caller:
    """Exchanges with the server at `url`; several may be under way at once."""

    def __init__(self, url: str, headers: Mapping[str, str], limits: CallLimits) -> None:
        self.limits, self._url = limits, url
        self._headers = {**headers, "Accept-Encoding": "identity"}
        self._idle: list[httpx.Client] = []

    def call(
        self, method: str, path: str, body: Mapping[str, Any] | None, stopped: Stopped, seconds: float | None = None
    ) -> Answer:
        """Exchange a request for an answer.

        Args:
            method: such as "POST".
            path: from the server's own address on, such as "chat/completions" or "../version".
            body: what is sent as JSON, if anything.
            stopped: whether the answer is still wanted; looked at while the exchange is under way.
            seconds: the time for the exchange, where that is not the limits' own.

        Raises:
            httpx.TransportError: the server can't be reached, or broke the exchange off.
            CallTimeoutError: it took too long.
            LastingError: the answer is too large, or packed in a way that is not read here.
            StoppedError: the answer is not wanted any more.
        """
        seconds = seconds or self.limits.call_seconds
        exchange, deadline = _Exchange(self._client()), time.monotonic() + seconds
        arguments = (exchange, method, path, body, deadline)
        threading.Thread(target=self._make, args=arguments, daemon=True).start()
        while not exchange.done.wait(_GLANCE):
            if (late := time.monotonic() > deadline) or stopped():
                exchange.left = True
                exchange.client.close()
                if late:
                    raise CallTimeoutError(f"{self._url} did not answer whole within {seconds:g} s (call_timeout)")
                raise StoppedError(self._url)
        if exchange.error:
            raise exchange.error
        assert exchange.answer
        return exchange.answer

    def _client(self) -> httpx.Client:
        with suppress(IndexError):
            return self._idle.pop()
        return httpx.Client(base_url=self._url, headers=self._headers, verify=_tls())

    def _make(
        self, exchange: _Exchange, method: str, path: str, body: Mapping[str, Any] | None, deadline: float
    ) -> None:
        client = exchange.client
        try:
            exchange.answer = self._exchanged(exchange, method, path, body, deadline)
            self._idle.append(client)
        except Exception as e:  # noqa: BLE001 # raised where the answer is waited for
            exchange.error = e
            client.close()
        finally:
            exchange.done.set()

    def _exchanged(
        self, exchange: _Exchange, method: str, path: str, body: Mapping[str, Any] | None, deadline: float
    ) -> Answer:
        left = max(0.1, deadline - time.monotonic())
        timeout = httpx.Timeout(left + 1, connect=min(left, _CONNECT_SECONDS))
        client = exchange.client
        with client.stream(method, client.base_url.join(path), json=body, timeout=timeout) as reply:
            parts, size = [], 0
            for part in _unpacked(reply, self.limits.reply_bytes + 1):
                if exchange.left or time.monotonic() > deadline:
                    raise CallTimeoutError(f"{self._url} did not answer whole in time (call_timeout)")
                parts.append(part)
                size += len(part)
                if size > self.limits.reply_bytes:
                    raise _too_large(self._url, self.limits.reply_bytes)
            text = b"".join(parts).decode("utf-8", "replace")
            return Answer(reply.status_code, {k.lower(): v for k, v in reply.headers.items()}, text)


def _unpacked(reply: httpx.Response, most: int) -> Iterator[bytes]:
    """The parts of a body as they come, no more than `most` bytes of any."""
    encoding = reply.headers.get("content-encoding", "").strip().lower()
    if encoding in _PLAIN:
        yield from reply.iter_raw()
        return
    if encoding not in _PACKED:
        detail = f"{reply.url.host} packs its replies as {encoding!r}, though it was asked not to."
        raise LastingError(
            detail, code="reply_packed", remedy="Have the server, or a proxy before it, not pack replies."
        )
    unpacker = zlib.decompressobj(_PACKED[encoding])
    try:
        for part in reply.iter_raw():
            yield unpacker.decompress(part, most)
    except zlib.error as e:
        raise httpx.DecodingError(f"The body is not {encoding}: {e}") from e


def _too_large(url: str, most: int) -> LastingError:
    return LastingError(
        f"{url} sent a reply of more than {most:,} bytes.",
        code="reply_too_large",
        remedy="See what the server sends, or raise STSG_MAX_REPLY_BYTES; then retry the job.",
    )


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()


_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")


def parsed(text: str, depth: int) -> Any:
    """Parse JSON whose brackets stand in each other no deeper than `depth`.

    Raises:
        LastingError: they do.
        ValueError: it is no JSON.
    """
    if text.count("[") + text.count("{") > depth and _depth(text) > depth:
        raise LastingError(
            f"A reply's brackets stand in each other more than {depth} deep.",
            code="reply_too_deep",
            remedy="See what the server sends, or raise STSG_MAX_REPLY_DEPTH; then retry the job.",
        )
    try:
        return json.loads(text)
    except RecursionError as e:
        raise ValueError("too deep") from e


def _depth(text: str) -> int:
    deepest = now = 0
    for bracket in _BRACKET.finditer(_TEXT.sub("", text)):
        now += 1 if bracket.group() in "[{" else -1
        deepest = max(deepest, now)
    return deepest


_SURROGATE = re.compile("[\ud800-\udfff]")


def without_surrogates(text: str) -> str:
    """Text that can be encoded: halves of pairs, which no encoding takes, are replaced."""
    return _SURROGATE.sub("\ufffd", text)
