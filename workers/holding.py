"""Holding a job's lease while its work goes on, and hearing that the work is to end."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from graphdb import jobs
from graphdb.jobs import Lease, LeaseLost
from workers.runtime import Service

log = logging.getLogger(__name__)
_BEAT_SECONDS = 1.5  # a cancelled job gives its worker back within some seconds


class Hold(threading.Event):
    """Set once a job's work is to end: its lease is lost, or its stage took too long, as `late` says."""

    late = False


@contextmanager
def held(service: Service, lease: Lease, stage: str) -> Iterator[Hold]:
    """Heartbeats while the block runs; the event is set once the lease is lost or the stage takes too long."""
    lost, done = Hold(), threading.Event()
    period = min(service.settings.lease_seconds / 3, _BEAT_SECONDS)
    latest = time.monotonic() + service.settings.stage_seconds

    def beat() -> None:
        while not done.wait(period):
            if stage != "train" and time.monotonic() > latest:
                lost.late = True
                lost.set()
                return
            try:
                jobs.heartbeat(service.driver, lease, service.settings.lease_seconds)
            except LeaseLost:
                lost.set()
                return
            except Exception as e:  # noqa: BLE001 # the next beat may reach the database again
                log.warning("no heartbeat for %s: %s", lease.job_id, e)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        done.set()
        thread.join(timeout=1)
