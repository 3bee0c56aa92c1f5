"""What an error of a job means: whether it passes, whose it is, and what is to be done.

A permanent failure ends its job at once. A passing one puts off its own job, and the jobs on the same model server;
the worker takes other jobs meanwhile.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from graphdb.connection import UNAVAILABLE
from model import durable
from model.backends import SpecError
from model.media import MediaError
from model.video_llm import ClosedError, LastingError, VideoLLMError
from workers.models import UnknownModelError
from workers.settings import Settings
from workers.training_folder import JobError

_AWAY = (*UNAVAILABLE, ConnectionError, TimeoutError)
_REMOTE = (
    "botocore",
    "aiobotocore",
    "aiohttp",
    "google.api_core",
    "azure.core",
    "redis",
    "kombu",
)  # libraries of services
_AWAY_WORDS = ("connect", "timeout", "unavailable", "closed", "disconnected", "operational")
_OUTAGE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as the job's record tells it.

    A `passing` one may be gone when the job is tried again after `pause_s` seconds (None: ever longer). With `counts`
    false the job is not to blame, and the try is none of its attempts.
    """

    code: str
    detail: str
    remedy: str
    passing: bool = False
    pause_s: float | None = None
    counts: bool = True


def classify(error: BaseException) -> Failure:
    """Tell what an error means for its job.

    Args:
        error: what a stage raised.

    Returns:
        A failure; `RefusedError` of status 401 -> code "model_refused", not passing.
    """
    detail = f"{type(error).__name__}: {error}"[:500]
    if isinstance(error, MediaError | JobError):
        return Failure(error.code, error.detail, error.remedy)
    if isinstance(error, LastingError):
        return Failure(error.code, str(error)[:500], error.remedy)
    if isinstance(error, UnknownModelError):
        return Failure("unknown_model", str(error), "Name another model.")
    if isinstance(error, SpecError):
        return Failure("unusable_model", str(error)[:500], "Mend the model's spec in STSG_MODELS, then retry the job.")
    if isinstance(error, ClosedError):  # it says when to come back
        return Failure("model_unavailable", detail, _LATER, passing=True, pause_s=error.seconds, counts=False)
    if isinstance(error, VideoLLMError):
        return Failure("model_unavailable", detail, _LATER, passing=True)
    return _of_the_machine(error, detail)


_LATER = "See that the model's server answers, then retry the job."


def _of_the_machine(error: BaseException, detail: str) -> Failure:
    """The failure of an error that comes from no model and no input."""
    causes = list(_causes(error))
    if any(isinstance(e, OSError) and e.errno in durable.FULL for e in causes):
        remedy = "Make room on the disk; the job goes on by itself."
        return Failure("no_room", detail, remedy, passing=True, pause_s=_OUTAGE_SECONDS, counts=False)
    if any(is_away(e) for e in causes):
        remedy = "Bring the database or the storage back, then retry the job."
        return Failure("outage", detail, remedy, passing=True, pause_s=_OUTAGE_SECONDS, counts=False)
    if isinstance(error, FileNotFoundError):
        told = f"A file of the job is gone from the storage: {error}."
        return Failure("file_gone", told, "Send the video again, then retry.")
    remedy = "Mend the cause, then retry the job."
    return Failure("internal", detail, remedy, passing=is_gpu_gone(error))


def is_away(error: BaseException) -> bool:
    """Tell whether an error says that the database, the broker or the storage can't be had now.

    A storage's own library isn't imported for this: its errors are known by module and name, as
    `botocore.exceptions.EndpointConnectionError` is.
    """
    if isinstance(error, _AWAY):
        return True
    kind = type(error)
    return kind.__module__.startswith(_REMOTE) and any(word in kind.__name__.lower() for word in _AWAY_WORDS)


def is_gpu_gone(error: BaseException) -> bool:
    """Tell whether a GPU is gone for this process: after one such fault every call of CUDA fails, for whatever job."""
    text = str(error)
    return "CUDA error" in text and "out of memory" not in text


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those that it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def pause_of(failure: Failure, attempts: int, settings: Settings) -> float:
    """Tell for how many seconds a job waits before it is tried again; `attempts` is how many it had."""
    if failure.pause_s is None:
        return float(min(2.0**attempts, settings.trouble_pause_seconds))
    longest = settings.longest_wait_seconds
    return min(max(failure.pause_s, 0.0), longest) if failure.pause_s == failure.pause_s else longest  # nan is no wait
