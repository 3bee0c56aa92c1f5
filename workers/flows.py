"""What the service does with videos, runs, data sets and evaluations: look up, call one function of the method, save.

Jobs are started here for the API and worked off here for the tasks. Work goes on from what is stored: clips, then the graph
of each clip, then the edges between them; every save proves the lease in its own transaction.
"""

import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from graphdb import graphs, jobs, videos
from graphdb.jobs import Job, Lease, LeaseLost
from graphdb.qra import QraReport, make_qra
from model.media import VideoInfo
from model.rationale.mix import from_json
from model.video_llm import VideoLLMError
from trainer.evaluation.catalogue import BENCHMARKS
from workers import evaluation, induction, models, queues, training
from workers.failures import classify, is_gpu_gone, pause_of
from workers.fault_points import fault_point
from workers.holding import Hold, held
from workers.polish import polish_dataset
from workers.runtime import Service
from workers.secrecy import redact, redact_all
from workers.storage import dataset_file, draft_file, manifest_file, video_file

log = logging.getLogger(__name__)
_FULL_SECONDS = 2.0  # after which a job is tried again that found no place at its server


def add_video(service: Service, id: str, file: Path, info: VideoInfo, *, name: str, sha256: str) -> Job:
    """Store a video that was found to be good; a known one stays as it is."""
    size = file.stat().st_size
    service.storage.take(video_file(id), file)
    told = {"id": id, "name": name, "sha256": sha256, "size": size, "created_at": time.time()}
    return videos.save_video(service.driver, id, told | asdict(info))


def delete_video(service: Service, id: str) -> bool:
    """Delete a video and its file; False while it has runs."""
    if not videos.delete_video(service.driver, id):
        return False
    service.storage.delete(f"videos/{id}")
    return True


def start_run(service: Service, video_id: str, model: str, options: Mapping[str, Any], seed: int) -> tuple[Job, bool]:
    """The run of these arguments, and whether it is new; the same arguments give the same run."""
    params = {"model": model, "options": dict(options), "seed": seed}
    id = f"run_{digest([video_id, models.identity(service.settings, model), params])}"
    told: dict[str, Any] = {"model": model, "seed": seed, "params": params, "stage": "split"}
    told["long"] = queues.is_long(service.settings, service.driver, video_id)
    job, created = jobs.create(service.driver, "Run", id, video_id=video_id, **told)
    return _woken(service, job, created), created


def start_dataset(
    service: Service, runs: Sequence[str], mix: Mapping[str, Any], seed: int, name: str = ""
) -> tuple[Job, bool]:
    """The data set of these arguments, and whether it is new.

    `mix` holds the fields of `model.rationale.mix.Mix`, and maybe `polish`, those of `workers.polish.Polish`.
    """
    params = {"runs": list(runs), **mix, "seed": seed}
    by = {"model": mix["polish"]["model"]} if "polish" in mix else {}
    id = f"qra_{digest([params, name, *(models.identity(service.settings, model) for model in by.values())])}"
    told: dict[str, Any] = {"name": name, "seed": seed, "runs": list(runs), **by}  # in use until it is made
    job, created = jobs.create(service.driver, "QraDataset", id, params=params, stage="qra", **told)
    return _woken(service, job, created), created


def start_evaluation(
    service: Service, model: str, benchmark: str, mode: str, samples: int, seed: int
) -> tuple[Job, bool]:
    """The evaluation of these arguments, and whether it is new; another version of the benchmark makes another one."""
    version = BENCHMARKS[benchmark]().version
    params = {
        "benchmark": benchmark,
        "version": version,
        "samples": samples,
        "seed": seed,
        "model": model,
        "mode": mode,
    }
    id = f"eval_{digest([models.identity(service.settings, model), params])}"
    job, created = jobs.create(
        service.driver, "Evaluation", id, model=model, seed=seed, params=params, stage="evaluate"
    )
    return _woken(service, job, created), created


def digest(told: object) -> str:
    """What tells the same request again: 24 hex digits of a hash over JSON values."""
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:24]


def _woken(service: Service, job: Job, fresh: bool) -> Job:
    if fresh:
        wake(service, job)
    return job


def wake(service: Service, job: Job) -> None:
    """Send a wake-up for a job; without a broker the record stands, and the reconciler sends it later."""
    try:
        service.wake(queues.TASKS[job["stage"]][0], queues.queue_of(service.settings, job), job["id"])
    except Exception as e:  # noqa: BLE001 # any broker's any failure means the same
        log.warning("no wake-up for %s yet: %s", job["id"], e)
        return
    jobs.dispatched(service.driver, job["id"])


def cancel(service: Service, id: str) -> Job | None:
    """Cancel a job; None where it has ended."""
    return jobs.cancel(service.driver, id)


def retry(service: Service, id: str) -> Job | None:
    """Take up a failed or cancelled job again from what it stored; None where it is neither."""
    job = jobs.retry(service.driver, id)
    if job:
        wake(service, job)
    return job


def delete_job(service: Service, id: str) -> bool:
    """Delete a job that has ended, with its graph and files; False while it is at work, or another that is uses it.

    Its record goes last, so that a deletion that was broken off can be repeated.
    """
    if not jobs.condemn(service.driver, id):
        return False
    graphs.delete_graph(service.driver, id)
    service.storage.delete(f"runs/{id}")
    service.storage.delete(f"qra/{id}")
    service.storage.delete(f"evaluations/{id}")
    jobs.delete(service.driver, id)
    return True


def work(service: Service, id: str, owner: str, stages: Sequence[str]) -> None:
    """Take a job's lease and do its next stage; nothing where another has it, or the stage is not of `stages`."""
    job = jobs.get(service.driver, id)
    if job is None or job["stage"] not in stages:
        if job and job["state"] == "queued":
            wake(service, job)
        return
    taken = jobs.acquire(service.driver, id, owner, service.settings.lease_seconds)
    if taken is None:
        return
    lease, job = taken
    gone = False
    server = queues.server_of(service.settings, job)
    with service.at_work(), service.places.place(server) as free, held(service, lease, job["stage"]) as lost:
        try:
            if job["attempts"] > service.settings.max_attempts:
                detail = (
                    f"The job was given up after {service.settings.max_attempts} attempts that ended without a word."
                )
                _fail(service, lease, "poison", detail, "Read the worker's log; a retry starts from what was stored.")
            elif not _put_off(service, lease, job, server, free=free):
                _STAGES[job["stage"]](service, lease, job, lost)
        except LeaseLost:
            log.info("%s: another goes on, or it was cancelled", id)
            _end_late(service, lease, lost)
        except Exception as e:  # noqa: BLE001 # whatever it was, the job must not stay as it is
            gone = is_gpu_gone(e)
            _trouble(service, lease, job, e, owner)
    if gone:
        end_process()


def end_process() -> None:
    """End this process, which can do no more work; supervisor, Celery or Docker starts another."""
    log.error("this process is of no more use and ends")
    os._exit(1)


def _put_off(service: Service, lease: Lease, job: Job, server: str, *, free: bool) -> bool:
    """Put a job off while its model's server is in trouble, or has enough of this process's jobs; whether it was."""
    until = max(service.closed_until(server), 0.0 if free else time.time() + _FULL_SECONDS)
    if until <= time.time():
        return False
    jobs.release(service.driver, lease, not_before=until, dispatched_at=0.0, attempts=job["attempts"] - 1)
    return True


def _trouble(service: Service, lease: Lease, job: Job, error: Exception, owner: str) -> None:
    """Fail for what won't pass, put off what may."""
    log.exception("%s in stage %s", job["id"], job["stage"])
    failure, now = classify(error), time.time()
    since = job.get("troubled_since") or now
    given_up = job["attempts"] >= service.settings.max_attempts if failure.counts else _is_over(service, now - since)
    pause = pause_of(failure, job["attempts"], service.settings)
    try:
        if failure.passing and isinstance(error, VideoLLMError):
            service.close_server(queues.server_of(service.settings, job), now + pause)
        if not failure.passing or given_up:
            detail = f"{failure.detail} (worker {owner})" if failure.passing else failure.detail
            _fail(service, lease, failure.code, detail, failure.remedy)
            return
        told = {"code": failure.code, "detail": redact(failure.detail), "retry_in": pause, "worker": owner}
        jobs.log_event(service.driver, job["id"], "trouble", told)
        attempts = job["attempts"] if failure.counts else job["attempts"] - 1
        again: dict[str, Any] = {"dispatched_at": 0.0, "attempts": attempts, "troubled_since": since}
        jobs.release(service.driver, lease, not_before=now + pause, **again)
    except LeaseLost:
        log.info("%s: no longer ours", job["id"])


def _is_over(service: Service, waited: float) -> bool:
    """Whether a job has waited too long for something that is away."""
    return waited > service.settings.patience_seconds


def _fail(service: Service, lease: Lease, code: str, detail: str, remedy: str) -> None:
    jobs.finish(service.driver, lease, "failed", error=redact_all({"code": code, "detail": detail, "remedy": remedy}))


def _end_late(service: Service, lease: Lease, lost: Hold) -> None:
    """Fail a job whose stage took too long; whoever lost a lease leaves the job alone."""
    if lost.late:
        detail = f"The stage took more than {service.settings.stage_seconds:g} s."
        with suppress(LeaseLost):
            _fail(
                service, lease, "stage_timeout", detail, "Raise STSG_STAGE_SECONDS, then retry: it goes on from there."
            )


def _split(service: Service, lease: Lease, job: Job, lost: threading.Event) -> None:
    clips = induction.split_video(service, lease, job, lost)
    _go_on(service, lease, job, stage="induce", total=len(clips))


def _go_on(service: Service, lease: Lease, job: Job, *, stage: str, total: int) -> None:
    """Leave a job to whoever does its next stage."""
    seen: dict[str, Any] = {"stage": stage, "done": 0, "total": total, "attempts": 0}
    jobs.release(service.driver, lease, **seen, dispatched_at=0.0, troubled_since=0.0)
    jobs.log_event(service.driver, job["id"], "progress", seen)
    wake(service, job | seen | {"state": "queued"})


def _induce(service: Service, lease: Lease, job: Job, lost: threading.Event) -> None:
    def told(done: int, total: int, stage: str, *, fresh: bool) -> None:
        progress = (
            {"attempts": 1, "troubled_since": 0.0} if fresh else {}
        )  # only what is new shows that the job gets on
        jobs.update(service.driver, lease, done=done, total=total, **progress)
        jobs.log_event(service.driver, job["id"], "progress", {"stage": stage, "done": done, "total": total})

    result = induction.induce_video(service, lease, job, lost, told)
    jobs.finish(service.driver, lease, "succeeded", result=result)


def _make_dataset(service: Service, lease: Lease, job: Job, lost: threading.Event) -> None:
    params, report = job["params"], QraReport()
    mix = from_json(params)
    samples = make_qra(service.driver, params["runs"], mix, seed=params["seed"], report=report)

    def rows() -> Iterator[dict[str, Any]]:
        for done, sample in enumerate(samples, 1):
            if lost.is_set():
                raise LeaseLost(job["id"])
            if done % 500 == 0:
                jobs.update(service.driver, lease, done=done, total=sum(mix.steps.values()))
            yield sample.to_row()

    draft = "polish" in params
    service.storage.write_rows((draft_file if draft else dataset_file)(job["id"]), rows())
    fault_point("qra")
    manifest = {"id": job["id"], "name": job["name"], **params, "runs": _run_facts(service, params["runs"])}
    service.storage.write_json(manifest_file(job["id"]), manifest | {"report": report.to_dict()})
    if draft:
        _go_on(service, lease, job, stage="polish", total=report.to_dict()["count"])
        return
    jobs.finish(service.driver, lease, "succeeded", result=report.to_dict())


def _evaluate(service: Service, lease: Lease, job: Job, lost: threading.Event) -> None:
    def told(done: int, total: int, fresh: bool) -> None:
        jobs.update(
            service.driver, lease, done=done, total=total, **({"attempts": 1, "troubled_since": 0.0} if fresh else {})
        )

    result = evaluation.ask(service, job, lost, told)
    jobs.finish(service.driver, lease, "succeeded", result=result)


def _run_facts(service: Service, runs: Sequence[str]) -> list[dict[str, Any]]:
    """What a data set's manifest says of the runs it was made from."""
    facts, known = [], jobs.get_many(service.driver, runs)
    for id in runs:
        job = known.get(id, {})
        facts.append(
            {"id": id, "video_id": job.get("video_id"), "params": job.get("params"), "result": job.get("result")}
        )
    return facts


_STAGES: dict[str, Callable[[Service, Lease, Job, threading.Event], None]] = {
    "split": _split,
    "induce": _induce,
    "qra": _make_dataset,
    "polish": polish_dataset,
    "rehearse": training.rehearse,
    "train": training.train,
    "evaluate": _evaluate,
}
