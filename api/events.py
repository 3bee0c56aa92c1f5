"""A job's events as they come, in the form of Server-Sent Events, from any point on."""

import time
from collections.abc import AsyncIterator, Callable, Sequence

import anyio
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event

from api.schemas import Event

_POLL = 0.4
_KEEPALIVE = 15.0


def stream(read: Callable[[int], Sequence[Event]], ended: Callable[[], bool], after: int) -> EventSourceResponse:
    """Events after number `after`, live, until the job has ended and all its events are sent.

    `read(after)` gives the next events; `ended()` says whether there will be no more.
    """
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return EventSourceResponse(_follow(read, ended, after), headers=headers)


async def _follow(
    read: Callable[[int], Sequence[Event]], ended: Callable[[], bool], after: int
) -> AsyncIterator[bytes]:
    quiet_since = time.monotonic()
    while True:
        over = await run_in_threadpool(ended)
        found = await run_in_threadpool(read, after)
        for event in found:
            after = event.id
            yield format_sse_event(data_str=event.model_dump_json(), event=event.type, id=str(event.id))
        if found:
            quiet_since = time.monotonic()
            continue
        if over:
            return
        if time.monotonic() - quiet_since > _KEEPALIVE:
            quiet_since = time.monotonic()
            yield KEEPALIVE_COMMENT
        await anyio.sleep(_POLL)
