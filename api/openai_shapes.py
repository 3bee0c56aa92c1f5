"""The shapes that the OpenAI API has for files, models and fine-tuning, with what is ours in fields of its own.

Times are seconds since 1970 here, as that API has them.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.schemas import Body, Id, Seed
from graphdb.jobs import Job
from graphdb.records import Record

Status = Literal["validating_files", "queued", "running", "succeeded", "failed", "cancelled", "paused"]
Name = Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")]
Auto = Literal["auto"]


class Hyperparameters(Body):
    """What the OpenAI API lets one choose; "auto" is the default of the recipe."""

    n_epochs: Annotated[int, Field(ge=1, le=1000)] | Auto = "auto"
    batch_size: Annotated[int, Field(ge=1, le=100_000)] | Auto = "auto"
    learning_rate_multiplier: Annotated[float, Field(strict=False, gt=0, le=1e6)] | Auto = "auto"


class MixtureWish(Body):
    """Instruction data among the samples (STEP App. C): rows of a file, and how many for each sample."""

    file: Id
    ratio: Annotated[float, Field(strict=False, ge=0, le=1e6)] = 1.0


class StepMethod(BaseModel):
    """How it is trained: the fields of a training's spec, each with a default."""

    model_config = ConfigDict(extra="allow", strict=True)

    mixture: MixtureWish | None = None
    validation: Annotated[
        float, Field(strict=False, ge=0, le=0.9, description="Share of the videos held out, without a validation_file.")
    ] = 0.0


class SupervisedMethod(Body):
    """Answers alone are learned."""

    hyperparameters: Hyperparameters = Hyperparameters()


class Method(Body):
    """`step` learns answers and rationales (STEP Sec. 3.2), `supervised` answers alone."""

    type: Literal["step", "supervised"] = "step"
    step: StepMethod = StepMethod()
    supervised: SupervisedMethod | None = None


class FineTuningRequest(Body):
    """Which model is trained, on which rows, and how."""

    model: Name
    training_file: Id
    validation_file: Id | None = None
    hyperparameters: Hyperparameters = Hyperparameters()
    method: Method = Method()
    suffix: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9._ -]*$")] | None = None
    seed: Seed | None = None
    metadata: Annotated[dict[str, Annotated[str, Field(max_length=512)]], Field(max_length=16)] | None = None
    integrations: Annotated[list[Any], Field(max_length=0, description="None are known.")] | None = None


class JobError(BaseModel):
    """Why a training failed, and what to do about it."""

    code: str
    message: str
    param: str | None = None
    remedy: str = ""


class FineTuningJob(BaseModel):
    """A training. `step`, `total`, `progress`, `stopping` and `result` are ours."""

    object: Literal["fine_tuning.job"] = "fine_tuning.job"
    id: str
    model: str
    status: Status
    created_at: int
    finished_at: int | None
    estimated_finish: int | None
    fine_tuned_model: str | None
    training_file: str
    validation_file: str | None
    hyperparameters: dict[str, Any]
    method: dict[str, Any]
    seed: int
    error: JobError | None
    metadata: dict[str, str]
    organization_id: str = "stsg"
    result_files: list[str] = []
    trained_tokens: int | None = None
    integrations: list[Any] = []
    step: int
    total: int
    progress: dict[str, Any] | None
    stopping: str | None
    result: dict[str, Any] | None


class FineTuningEvent(BaseModel):
    """Something that a training told; `data` holds the whole of it."""

    object: Literal["fine_tuning.job.event"] = "fine_tuning.job.event"
    id: str
    created_at: int
    level: Literal["info", "warn", "error"]
    message: str
    type: Literal["message", "metrics"]
    data: dict[str, Any]


class Checkpoint(BaseModel):
    """A model on the way; it may be named like a finished one."""

    object: Literal["fine_tuning.job.checkpoint"] = "fine_tuning.job.checkpoint"
    id: str
    created_at: int
    fine_tuned_model_checkpoint: str
    fine_tuning_job_id: str
    step_number: int
    metrics: dict[str, Any]


class DryRun(BaseModel):
    """What a training would take; `report` is there once it has succeeded."""

    object: Literal["fine_tuning.dry_run"] = "fine_tuning.dry_run"
    id: str
    status: Status
    report: dict[str, Any] | None


class Model(BaseModel):
    """A Video-LLM that may be named. `kind`, `lineage` and `metrics` are ours."""

    object: Literal["model"] = "model"
    id: str
    created: int
    owned_by: str = "stsg"
    kind: Literal["base", "tuned", "checkpoint"]
    lineage: dict[str, Any]
    metrics: dict[str, Any]


class UploadedFile(BaseModel):
    """A file of rows to train on; `lines` is ours."""

    object: Literal["file"] = "file"
    id: str
    bytes: int
    created_at: int
    filename: str
    purpose: Literal["fine-tune"]
    status: Literal["processed"] = "processed"
    lines: int


class Deleted(BaseModel):
    """Something that is gone."""

    object: str
    id: str
    deleted: Literal[True] = True


def job_of(job: Job) -> FineTuningJob:
    """A training's record in the OpenAI shape."""
    params, spec, result, error = job["params"], job["params"]["spec"], job.get("result"), job.get("error")
    progress = job.get("progress")
    told = {"n_epochs": spec["epochs"], "batch_size": spec["batch"], "learning_rate": spec["learning_rate"]}
    running = job["state"] == "running"
    left = progress.get("eta_seconds") if progress and running else None
    ours = {"validation": params["validation"], "mixture": _mixture(params)}
    return FineTuningJob(
        id=job["id"],
        model=params["model"],
        status=job["state"],
        created_at=int(job["created_at"]),
        finished_at=int(job["finished_at"]) if job.get("finished_at") else None,
        estimated_finish=int(progress["time"] + left) if progress and left is not None else None,
        fine_tuned_model=(result or {}).get("model"),
        training_file=params["training_file"],
        validation_file=params["validation_file"],
        hyperparameters=told | {"learning_rate_multiplier": "auto"},
        method={"type": "step", "step": spec | ours},
        seed=params["seed"],
        error=JobError(code=error["code"], message=error["detail"], remedy=error["remedy"]) if error else None,
        metadata=params["metadata"],
        step=job["done"],
        total=job["total"],
        progress=progress,
        stopping=job.get("stop") if running else None,
        result=result,
    )


def _mixture(params: dict[str, Any]) -> dict[str, Any] | None:
    mixture = params["spec"]["mixture"]
    return mixture | {"file": params["mixture_file"]} if mixture else None


def event_of(event: dict[str, Any]) -> FineTuningEvent:
    """An event's record in the OpenAI shape."""
    data = event["data"]
    metrics = event["type"] == "metrics"
    return FineTuningEvent(
        id=f"ftevent-{event['seq']}",
        created_at=int(event["created_at"]),
        level=data["level"] if data.get("level") in ("info", "warn", "error") else "info",
        message=_said(data) if metrics else str(data.get("message") or event["type"]),
        type="metrics" if metrics else "message",
        data=data,
    )


def _said(row: dict[str, Any]) -> str:
    if "validation" in row:
        parts = (f"{steps} steps {v['correct']}/{v['count']}" for steps, v in row["validation"].items())
        return f"Step {row['step']}: validation {', '.join(parts)}"
    return f"Step {row['step']}: loss {row['loss']:.4f}"


def checkpoint_of(record: Record) -> Checkpoint:
    """A checkpoint's record in the OpenAI shape."""
    metrics = record["metrics"]
    return Checkpoint(
        id=f"ftckpt-{record['job_id'].partition('-')[2]}-{metrics['step']}",
        created_at=int(record["created_at"]),
        fine_tuned_model_checkpoint=record["id"],
        fine_tuning_job_id=record["job_id"],
        step_number=metrics["step"],
        metrics=metrics | ({"train_loss": metrics["loss"]} if "loss" in metrics else {}),
    )


def model_of(record: Record) -> Model:
    """A model's record in the OpenAI shape."""
    told = {k: record.get(k) or {} for k in ("lineage", "metrics")}
    return Model(id=record["id"], created=int(record["created_at"]), kind=record["kind"], **told)


def file_of(record: Record) -> UploadedFile:
    """A file's record in the OpenAI shape."""
    told = {k: record[k] for k in ("id", "bytes", "filename", "purpose", "lines")}
    return UploadedFile(**told, created_at=int(record["created_at"]))
