"""The durable record of jobs: state, progress, lease, fencing token and events.

A message in a queue is only a wake-up. Whoever takes a job holds its lease while it sends heartbeats, and a token that
every write must prove: a worker that was given up for dead can't write any more. Each change carries a key of its own,
which the job keeps, so that one that is sent again after a lost acknowledgement is known and does nothing twice.
"""

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from neo4j import Driver, ManagedTransaction

from graphdb.connection import CursorGone, read, write
from graphdb.cypher import cypher

State = Literal["queued", "running", "succeeded", "failed", "cancelled", "paused"]
Label = Literal["Run", "QraDataset", "Evaluation", "Tuning", "DryRun"]
FINAL: tuple[State, ...] = ("succeeded", "failed", "cancelled")
_CLOCKS_APART = 600.0  # seconds; further ahead is only what was written before a clock was set back
_JSON = ("params", "result", "error", "progress")  # stored as text: Neo4j has no nested values
_AFRESH: dict[str, Any] = {
    "state": "queued",
    "attempts": 0,
    "error": None,
    "finished_at": None,
    "not_before": 0.0,
    "troubled_since": 0.0,
    "dispatched_at": 0.0,
    "lease_until": 0.0,
}
Job = dict[str, Any]


class BeingDeleted(Exception):  # noqa: N818 # a fact, not a fault
    """A job of this id is being deleted, so there can't be a new one yet; the text is the id."""


class LeaseLost(Exception):  # noqa: N818 # a fact, not a fault
    """The writer no longer holds the job: another took it over, or it was cancelled. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write for a job, proven by its token."""

    job_id: str
    token: int


def prove(tx: ManagedTransaction, lease: Lease | None) -> None:
    """Check a lease inside a transaction, and keep others from taking it before the commit.

    Raises:
        LeaseLost: another holds it.
    """
    if lease and tx.run(cypher("fence"), job_id=lease.job_id, token=lease.token).single() is None:
        raise LeaseLost(lease.job_id)


def create(driver: Driver, label: Label, id: str, **properties: Any) -> tuple[Job, bool]:
    """A queued job, or the one there is under this id; and whether it is new.

    Raises:
        BeingDeleted: the one there is is being deleted.
    """
    told = {"id": id, "label": label, "properties": _packed(properties), "now": time.time()}

    def work(tx: ManagedTransaction) -> tuple[Job, bool]:
        row = tx.run(cypher("job_create"), told).single(strict=True)
        if row["job"].get("deleting"):
            raise BeingDeleted(id)
        return _unpacked(row["job"]), row["created"]

    return write(driver, work)


def get(driver: Driver, id: str) -> Job | None:
    """A job, None where there is none of this id."""
    rows = read(driver, cypher("job_get"), id=id)
    return _unpacked(rows[0]["job"]) if rows else None


def get_many(driver: Driver, ids: Sequence[str]) -> dict[str, Job]:
    """The jobs of these ids that there are, by id."""
    rows = read(driver, cypher("job_many"), ids=list(ids))
    return {row["job"]["id"]: _unpacked(row["job"]) for row in rows}


def list_jobs(
    driver: Driver,
    label: Label,
    *,
    limit: int,
    after: str | None = None,
    state: State | None = None,
    video_id: str | None = None,
) -> list[Job]:
    """Jobs, newest first, after the one of id `after`.

    Raises:
        CursorGone: there is no job `after`.
    """
    if after is not None and get(driver, after) is None:
        raise CursorGone(after)
    rows = read(driver, cypher("job_list"), label=label, limit=limit, after=after, state=state, video_id=video_id)
    return [_unpacked(row["job"]) for row in rows]


def count(driver: Driver) -> dict[tuple[str, str], int]:
    """How many jobs there are, by kind and state."""
    return {(row["kind"], row["state"]): row["count"] for row in read(driver, cypher("job_count"))}


def acquire(driver: Driver, id: str, owner: str, lease_seconds: float) -> tuple[Lease, Job] | None:
    """The lease of a job that is due or whose holder is gone; None where another has it, it waits, or it has ended."""
    now = time.time()
    told = {"id": id, "owner": owner, "now": now, "until": now + lease_seconds, "key": uuid.uuid4().hex}
    told["ahead"] = _ahead(now, lease_seconds)

    def work(tx: ManagedTransaction) -> tuple[Lease, Job] | None:
        row = tx.run(cypher("job_acquire"), told).single()
        return (Lease(id, row["token"]), _unpacked(row["job"])) if row else None

    return write(driver, work)


def _ahead(now: float, lease_seconds: float) -> float:
    """The time beyond which no lease or wake-up can be of a clock that agrees with this one."""
    return now + max(_CLOCKS_APART, 2 * lease_seconds)


def heartbeat(driver: Driver, lease: Lease, lease_seconds: float) -> None:
    """Hold the lease for longer; raises LeaseLost where it is gone."""
    _fenced(driver, "job_heartbeat", lease, until=time.time() + lease_seconds)


def update(driver: Driver, lease: Lease, **properties: Any) -> None:
    """Tell how far the work is; raises LeaseLost where the lease is gone."""
    _fenced(driver, "job_update", lease, properties=_packed(properties))


def finish(driver: Driver, lease: Lease, state: State, **properties: Any) -> None:
    """End the job, with an event that tells its result or error; raises LeaseLost where the lease is gone."""
    told = properties.get("error") or properties.get("result") or {}
    properties = _packed({"state": state, "finished_at": time.time(), **properties})
    _fenced(driver, "job_update", lease, event=(state, told), properties=properties)


def release(driver: Driver, lease: Lease, *, not_before: float = 0.0, **properties: Any) -> None:
    """Give the job back to the queue, to be woken no earlier than `not_before` (a time in seconds)."""
    update(driver, lease, state="queued", lease_until=0.0, not_before=not_before, **properties)


def _fenced(
    driver: Driver, query: str, lease: Lease, *, event: tuple[str, Mapping[str, Any]] | None = None, **parameters: Any
) -> None:
    told = {"id": lease.job_id, "token": lease.token, "key": uuid.uuid4().hex, **parameters}

    def work(tx: ManagedTransaction) -> bool:
        done = tx.run(cypher(query), told).single() is not None
        if done and event:
            _note(tx, lease.job_id, told["key"], *event)
        return done

    if not write(driver, work):
        raise LeaseLost(lease.job_id)


def cancel(driver: Driver, id: str) -> Job | None:
    """Cancel a job that has not ended, with an event; None where it has, or there is none."""
    properties = {"state": "cancelled", "finished_at": time.time()}
    return _set_state(driver, id, ["queued", "running"], properties)


def retry(driver: Driver, id: str) -> Job | None:
    """Queue a failed or cancelled job again, with an event; None where it is neither."""
    return _set_state(driver, id, ["failed", "cancelled"], _AFRESH)


def resume(driver: Driver, id: str) -> Job | None:
    """Queue a job again that rests, failed or was cancelled, with an event; None where it is none of these."""
    return _set_state(driver, id, ["paused", "failed", "cancelled"], _AFRESH | {"stop": None, "deaths": 0})


def stop(driver: Driver, id: str, state: State) -> Job | None:
    """Have a job end as cancelled or paused: at once where nobody works on it, else its holder sees to it.

    None where it has ended, or there is none.
    """
    told = {"id": id, "state": state, "now": time.time(), "key": uuid.uuid4().hex}

    def work(tx: ManagedTransaction) -> Job | None:
        row = tx.run(cypher("job_stop"), told).single()
        if row is None:
            return None
        if row["job"]["state"] == state:
            _note(tx, id, told["key"], state, {"stage": row["job"]["stage"]})
        return _unpacked(row["job"])

    return write(driver, work)


def _set_state(driver: Driver, id: str, before: list[State], properties: dict[str, Any]) -> Job | None:
    told = {"id": id, "from": before, "properties": properties, "key": uuid.uuid4().hex}

    def work(tx: ManagedTransaction) -> Job | None:
        row = tx.run(cypher("job_set_state"), told).single()
        if row is None:
            return None
        _note(tx, id, told["key"], properties["state"], {"stage": row["job"]["stage"]})
        return _unpacked(row["job"])

    return write(driver, work)


def log_event(driver: Driver, id: str, type: str, data: Mapping[str, Any], *, key: str | None = None) -> int:
    """Note something that happened to a job, once for a key; returns the event's number, from 1 on."""
    key = key or uuid.uuid4().hex
    return write(driver, lambda tx: _note(tx, id, key, type, data))


def _note(tx: ManagedTransaction, id: str, key: object, type: str, data: Mapping[str, Any]) -> int:
    told = {"id": id, "key": key, "type": type, "data": json.dumps(data, ensure_ascii=False), "now": time.time()}
    row = tx.run(cypher("job_event"), told).single()
    return int(row["seq"]) if row else 0


def events(driver: Driver, id: str, *, after: int = 0, limit: int = 100) -> list[dict[str, Any]]:
    """A job's events after number `after`: {seq, type, data, created_at}."""
    rows = [row["event"] for row in read(driver, cypher("job_events"), id=id, after=after, limit=limit)]
    return [row | {"data": json.loads(row["data"])} for row in rows]


def events_before(driver: Driver, id: str, *, before: int | None = None, limit: int = 100) -> list[dict[str, Any]]:
    """A job's events before number `before`, the newest first."""
    rows = [row["event"] for row in read(driver, cypher("job_events_before"), id=id, before=before, limit=limit)]
    return [row | {"data": json.loads(row["data"])} for row in rows]


def due(
    driver: Driver, stages: Sequence[str], *, lost_after: float, limit: int = 1000, lease_seconds: float = 0.0
) -> list[Job]:
    """Jobs in one of `stages` that need a wake-up; one sent less than `lost_after` seconds ago is still counted on."""
    now = time.time()
    times = {"now": now, "before": now - lost_after, "ahead": _ahead(now, lease_seconds)}
    rows = read(driver, cypher("job_due"), stages=list(stages), limit=limit, **times)
    return [_unpacked(row["job"]) for row in rows]


def give_up(driver: Driver, owner: str) -> list[Job]:
    """End the leases of a holder that is no more.

    Args:
        driver: of the database.
        owner: who held them; it must be dead, or its work is done twice.

    Returns:
        The jobs, which need a wake-up.
    """

    def work(tx: ManagedTransaction) -> list[Job]:
        return [_unpacked(row["job"]) for row in tx.run(cypher("job_give_up"), owner=owner).data()]

    return write(driver, work)


def dispatched(driver: Driver, id: str) -> None:
    """Note that a wake-up was sent."""
    write(driver, lambda tx: tx.run(cypher("job_dispatched"), id=id, now=time.time()).consume())


def condemn(driver: Driver, id: str) -> bool:
    """Whether a job can be deleted: it has ended, and no unfinished one uses it. If so, it is not taken up or made again."""
    return write(driver, lambda tx: tx.run(cypher("job_condemn"), id=id).single() is not None)


def delete(driver: Driver, id: str) -> bool:
    """Delete a job that has ended, with its events; whether it was deleted."""

    def work(tx: ManagedTransaction) -> bool:
        return bool(tx.run(cypher("job_delete"), id=id).single(strict=True)["deleted"])

    return write(driver, work)


def _packed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        k: json.dumps(v, ensure_ascii=False, sort_keys=True) if k in _JSON and v is not None else v
        for k, v in properties.items()
    }


def _unpacked(job: dict[str, Any]) -> Job:
    return {k: json.loads(v) if k in _JSON else v for k, v in job.items()}
