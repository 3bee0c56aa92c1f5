"""The job ledger: one holder at a time, nothing lost, nothing done after a cancel."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest
from neo4j import Driver
from neo4j.exceptions import IncompleteCommit

from graphdb import jobs
from graphdb.connection import write
from graphdb.cypher import cypher


def test_a_job_is_made_once_and_keeps_its_first_words(driver: Driver, run_id: str) -> None:
    first, created = jobs.create(driver, "Run", run_id, video_id="v", params={"a": [1]})
    again, twice = jobs.create(driver, "Run", run_id, video_id="w", params={})
    assert (created, twice) == (True, False)
    assert first == again == jobs.get(driver, run_id)
    assert (first["state"], first["params"]) == ("queued", {"a": [1]})
    assert run_id in [j["id"] for j in jobs.list_jobs(driver, "Run", limit=50, video_id="v")]


def test_of_eight_that_want_a_job_one_gets_it(driver: Driver, run_id: str) -> None:
    jobs.create(driver, "Run", run_id)
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda i: jobs.acquire(driver, run_id, f"w{i}", 60), range(8)))
    assert sum(t is not None for t in taken) == 1


def test_a_lapsed_lease_is_taken_over_and_its_holder_is_refused(driver: Driver, run_id: str) -> None:
    jobs.create(driver, "Run", run_id)
    old = jobs.acquire(driver, run_id, "old", -1)
    new = jobs.acquire(driver, run_id, "new", 60)
    assert old and new and new[0].token > old[0].token
    with pytest.raises(jobs.LeaseLost):
        jobs.heartbeat(driver, old[0], 60)
    with pytest.raises(jobs.LeaseLost):
        jobs.finish(driver, old[0], "succeeded")
    jobs.finish(driver, new[0], "succeeded", result={"n": 1})
    done = jobs.get(driver, run_id)
    assert done and (done["state"], done["result"]) == ("succeeded", {"n": 1})
    assert jobs.acquire(driver, run_id, "late", 60) is None


@pytest.mark.parametrize(
    "act",
    [
        lambda driver, lease: write(driver, lambda tx: jobs.prove(tx, lease)),
        lambda driver, lease: jobs.heartbeat(driver, lease, 999),
        lambda driver, lease: jobs.finish(driver, lease, "failed"),
    ],
    ids=["prove", "heartbeat", "finish"],
)
def test_a_take_over_that_is_not_committed_yet_counts(
    driver: Driver, run_id: str, act: Callable[[Driver, jobs.Lease], Any]
) -> None:
    jobs.create(driver, "Run", run_id)
    old = jobs.acquire(driver, run_id, "old", -1)
    assert old
    now = time.time()
    with ThreadPoolExecutor(1) as pool, driver.session() as session, session.begin_transaction() as tx:
        times = {"now": now, "until": now + 60, "ahead": now + 600}
        tx.run(cypher("job_acquire"), times, id=run_id, owner="new", key="k").consume()
        late = pool.submit(act, driver, old[0])
        time.sleep(0.5)  # long enough for the old holder to read what is about to change
        tx.commit()
        with pytest.raises(jobs.LeaseLost):
            late.result(timeout=60)
    job = jobs.get(driver, run_id)
    assert job and (job["state"], job["owner"], job["fence"]) == ("running", "new", old[0].token + 1)
    assert job["lease_until"] == pytest.approx(now + 60)


def test_cancel_stops_the_holder_and_retry_queues_again(driver: Driver, run_id: str) -> None:
    jobs.create(driver, "Run", run_id)
    taken = jobs.acquire(driver, run_id, "w", 60)
    assert taken and jobs.retry(driver, run_id) is None
    assert jobs.cancel(driver, run_id)
    with pytest.raises(jobs.LeaseLost):
        jobs.heartbeat(driver, taken[0], 60)
    assert jobs.cancel(driver, run_id) is None
    assert jobs.retry(driver, run_id)
    assert jobs.acquire(driver, run_id, "w", 60)


def test_the_reconciler_sees_what_needs_a_wake_up(driver: Driver, run_id: str) -> None:
    jobs.create(driver, "Run", run_id, stage="here")

    def is_due() -> bool:
        return run_id in [j["id"] for j in jobs.due(driver, ["here"], lost_after=30)]

    assert is_due()
    jobs.dispatched(driver, run_id)
    assert not is_due()
    assert run_id in [j["id"] for j in jobs.due(driver, ["here"], lost_after=-1)]
    assert not jobs.due(driver, ["elsewhere"], lost_after=-1)
    assert jobs.acquire(driver, run_id, "w", -1)
    assert run_id in [j["id"] for j in jobs.due(driver, ["here"], lost_after=-1)]


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_clock_that_is_set_by_an_hour_leaves_no_job_waiting_for_it(
    driver: Driver, run_id: str, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    """Its holder has died, or its wake-up was lost; a job whose holder lives is given to nobody else for longer than a beat."""
    clock = time.time
    jobs.create(driver, "Run", run_id, stage="here")
    jobs.dispatched(driver, run_id)
    monkeypatch.setattr("graphdb.jobs.time.time", lambda: clock() + jump)
    assert run_id in [j["id"] for j in jobs.due(driver, ["here"], lost_after=30, lease_seconds=15)]
    monkeypatch.undo()
    first = jobs.acquire(driver, run_id, "first", 15)
    assert first
    monkeypatch.setattr("graphdb.jobs.time.time", lambda: clock() + jump)
    jobs.heartbeat(driver, first[0], 15)
    assert jobs.acquire(driver, run_id, "second", 15) is None, "the first one lives, by the new clock"
    monkeypatch.undo()
    jobs.heartbeat(driver, first[0], 15)
    monkeypatch.setattr("graphdb.jobs.time.time", lambda: clock() + jump)
    assert run_id in [j["id"] for j in jobs.due(driver, ["here"], lost_after=30, lease_seconds=15)]
    second = jobs.acquire(driver, run_id, "second", 15)
    assert second and second[0].token > first[0].token
    with pytest.raises(jobs.LeaseLost):
        jobs.heartbeat(driver, first[0], 15)


def test_events_are_numbered_and_read_from_any_point(driver: Driver, run_id: str) -> None:
    jobs.create(driver, "Run", run_id)
    assert [jobs.log_event(driver, run_id, "stage", {"n": n}) for n in range(3)] == [1, 2, 3]
    assert [(e["seq"], e["data"]) for e in jobs.events(driver, run_id, after=1)] == [(2, {"n": 1}), (3, {"n": 2})]
    assert not jobs.delete(driver, run_id)
    jobs.cancel(driver, run_id)
    assert jobs.delete(driver, run_id) and jobs.get(driver, run_id) is None and not jobs.events(driver, run_id)


class Forgetful:
    """A driver whose every other commit is made, and its acknowledgement lost."""

    def __init__(self, driver: Driver) -> None:
        self._driver, self.writes = driver, 0

    def session(self, **config: Any) -> Any:
        session, outer = self._driver.session(**config), self
        commit = session.execute_write

        def execute_write(work: Any) -> Any:
            outer.writes += 1
            done = commit(work)
            if outer.writes % 2:
                raise IncompleteCommit("the connection broke")
            return done

        session.execute_write = execute_write  # type: ignore[method-assign]
        return session


def test_a_change_whose_acknowledgement_is_lost_is_made_once(driver: Driver, run_id: str) -> None:
    lossy = cast(Driver, Forgetful(driver))
    assert jobs.create(lossy, "Run", run_id, stage="here")[0]["state"] == "queued"
    taken = jobs.acquire(lossy, run_id, "w", 60)
    assert taken and (taken[0].token, taken[1]["attempts"]) == (1, 1)
    assert jobs.log_event(lossy, run_id, "progress", {}) == 1
    assert jobs.cancel(lossy, run_id)
    assert jobs.retry(lossy, run_id)
    again = jobs.acquire(lossy, run_id, "w", 60)
    assert again and again[0].token == 2
    jobs.finish(lossy, again[0], "succeeded", result={"n": 1})
    told = [(e["seq"], e["type"], e["data"].get("n")) for e in jobs.events(driver, run_id)]
    assert told == [(1, "progress", None), (2, "cancelled", None), (3, "queued", None), (4, "succeeded", 1)]
