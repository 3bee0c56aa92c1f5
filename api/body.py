"""What a request body may be: how large, and how slowly it may come."""

import asyncio
import time
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import Problem

CLOSE = {"Connection": "close"}  # the rest of the body is not read


class BodyGuard:
    """Refuses a body that is over its limit before it is read on, and one that comes too slowly.

    In every `window` seconds spent waiting for the body, at least `window_bytes` of it must come: a client that
    sends a byte a second would otherwise hold its connection for ever.
    """

    def __init__(
        self, app: ASGIApp, limit: Callable[[Scope], int], window: float = 15.0, window_bytes: int = 32 * 1024
    ) -> None:
        self.app, self.limit, self.window, self.window_bytes = app, limit, window, window_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        limit = self.limit(scope)
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdigit() and int(declared) > limit:
            response = too_large(limit).response(scope["path"])
            return await response(scope, receive, send)
        return await self.app(scope, self._watched(receive, limit), send)

    def _watched(self, receive: Receive, limit: int) -> Receive:
        total = in_window = 0
        waited = 0.0
        whole = False

        async def watched() -> Message:
            nonlocal total, in_window, waited, whole
            if whole:
                return await receive()
            started = time.monotonic()
            try:
                message = await asyncio.wait_for(receive(), max(self.window - waited, 0.01))
            except TimeoutError:
                raise _too_slow(self.window_bytes, self.window) from None
            waited += time.monotonic() - started
            size = len(message.get("body", b""))
            total, in_window = total + size, in_window + size
            whole = not message.get("more_body", False)
            if total > limit:
                raise too_large(limit)
            if in_window >= self.window_bytes:
                in_window, waited = 0, 0.0
            return message

        return watched


def too_large(limit: int) -> Problem:
    """413: the body is over the limit; what is left of it isn't read."""
    detail = f"The body is larger than the {limit:,} bytes that are allowed."
    return Problem(413, "too_large", detail, "Send less, or have the operator raise the limit.", headers=CLOSE)


def _too_slow(size: int, seconds: float) -> Problem:
    detail = f"Less than {size:,} bytes of the body came in {seconds:g} seconds."
    return Problem(408, "too_slow", detail, "Send the request again over a faster or steadier link.", headers=CLOSE)
