"""What is done from outside to a run, a data set or an evaluation, or the 409 that says why it can't be."""

from api.errors import conflict
from graphdb import jobs
from graphdb.jobs import Job
from workers import flows
from workers.runtime import Service

_WORDS = {"dataset": "data set"}


def cancelled(service: Service, noun: str, id: str, state: str) -> Job:
    """The job, cancelled; `noun` is what it is in codes, `state` what it was when it was asked for."""
    job = flows.cancel(service, id)
    if job is None:
        detail = f"The {_told(noun)} has {state} already."
        raise conflict(f"{noun}_has_ended", detail, "Start another, or retry this one.")
    return job


def retried(service: Service, noun: str, id: str, state: str) -> Job:
    """The job, taken up again from what it stored."""
    job = flows.retry(service, id)
    if job is None:
        remedy = f"Only a failed or cancelled {_told(noun)} can be retried."
        raise conflict(f"{noun}_not_ended_badly", f"The {_told(noun)} is {state}.", remedy)
    return job


def delete(service: Service, noun: str, id: str, state: str) -> None:
    """Delete the job with all that belongs to it."""
    if flows.delete_job(service, id):
        return
    if state in jobs.FINAL:
        detail = f"A data set or a training that is not over needs the {_told(noun)}."
        raise conflict(f"{noun}_in_use", detail, "Wait for that one, or cancel it.")
    raise conflict(f"{noun}_at_work", f"The {_told(noun)} is at work.", "Cancel it first: POST .../cancel.")


def _told(noun: str) -> str:
    return _WORDS.get(noun, noun)
