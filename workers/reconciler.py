"""The reconciler: a thread of each worker that wakes jobs whose message was lost or whose worker died.

A wake-up too many does no harm: it finds the lease taken.
"""

import logging
import threading
import time

from graphdb import jobs
from graphdb.jobs import Job
from workers import flows, orphans, queues, training
from workers.runtime import Service, service

log = logging.getLogger(__name__)
_stop = threading.Event()
_LOST_AFTER = 30.0  # seconds after which a queued job's wake-up counts as lost
_EVERY = 3600.0  # seconds between two looks for stored files without a record


def start() -> None:
    """Start the thread."""
    _stop.clear()
    threading.Thread(target=_run, name="reconciler", daemon=True).start()


def stop() -> None:
    """End the thread at its next turn."""
    _stop.set()


def _run() -> None:
    next_look = 0.0
    while not _stop.is_set():
        try:
            opened = service()
            sweep(opened)
            training.tidy(opened)
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + _EVERY
                orphans.sweep(opened)
            _stop.wait(opened.settings.reconcile_seconds)
        except Exception as e:  # noqa: BLE001 # the database may be back at the next turn
            log.warning("reconciler: %s", e)
            _stop.wait(3)


def sweep(opened: Service) -> int:
    """Wake every job that is due; returns how many.

    A job whose worker died is woken at once, in a queue of few, and so is one for which no message was sent yet. A wake-up that
    was sent may be in a queue still, so it counts as lost only while the queue is empty.
    """
    lease = opened.settings.lease_seconds
    found = jobs.due(opened.driver, tuple(queues.TASKS), lost_after=min(_LOST_AFTER, lease), lease_seconds=lease)
    queue = {job["id"]: queues.queue_of(opened.settings, job) for job in found}
    waiting = {name: opened.backlog(name) for name in set(queue.values())}
    lost = [j for j in found if _unsent(j) or waiting[queue[j["id"]]] == 0]
    for job in lost:
        flows.wake(opened, job)
    return len(lost)


def _unsent(job: Job) -> bool:
    """Whether no wake-up was sent for a job's present state: since it was queued, or since its worker's lease lapsed."""
    return bool(job["dispatched_at"] <= (job["lease_until"] if job["state"] == "running" else 0.0))
