"""A child of a worker's pool that dies: its jobs are given up at once, in place of when their leases lapse."""

import logging
import os
from threading import Thread
from typing import Any

from graphdb import jobs
from workers import flows
from workers.runtime import service

log = logging.getLogger(__name__)


def owner_of(pid: int) -> str:
    """Name the holder of a lease: the process `pid` of this machine."""
    return f"{os.uname().nodename}:{pid}"


def watch(pool: Any) -> None:
    """Give up the jobs of each child of a pool that dies.

    Args:
        pool: Celery's pool of processes; one of threads has no children and is left alone.
    """
    processes: Any = getattr(pool, "_pool", None)
    if not hasattr(processes, "on_process_down"):
        return
    known: Any = processes.on_process_down

    def on_process_down(process: Any) -> None:
        if known:
            known(process)
        if process.exitcode:  # one that ends by itself has given its jobs back
            Thread(target=give_up, args=(owner_of(process.pid),), daemon=True).start()  # the pool waits for nobody

    processes.on_process_down = on_process_down


def give_up(owner: str) -> None:
    """Wake the jobs of a process that is no more.

    Args:
        owner: the holder of their leases.
    """
    try:
        for job in jobs.give_up(service().driver, owner):
            log.warning("%s goes on elsewhere: the process that held it died", job["id"])
            flows.wake(service(), job)
    except Exception as e:  # noqa: BLE001 # their leases lapse, and the reconciler wakes them
        log.warning("jobs of %s wait for their leases to lapse: %s", owner, e)
