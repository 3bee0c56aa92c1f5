"""Records of the database in the shapes of the API, and the 404s of those that are not there."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from api.errors import conflict, invalid, not_found
from api.neo4j.pages import browser_link
from api.schemas import Evaluation, Event, Failure, Graph, QraDataset, Reject, Run, RunRequest, Video
from graphdb import graphs, jobs, videos
from graphdb.jobs import Job
from workers import flows, models
from workers.runtime import Service


def video(service: Service, id: str) -> Video:
    """A video; raises the 404 where there is none."""
    found = videos.get_video(service.driver, id)
    if found is None:
        raise not_found("video", id)
    return video_of(found)


def video_of(found: dict[str, Any]) -> Video:
    """A stored video as the API shows it."""
    told = {k: v for k, v in found.items() if k in Video.model_fields}
    return Video(**told | {"created_at": _time(found["created_at"])})


def run(service: Service, id: str) -> Run:
    """A run; raises the 404 where there is none."""
    return run_of(_job(service, "run", id))


def known_model(service: Service, name: str, field: str = "model") -> str:
    """The name of a model that there is, the default one for ""; raises the 422 of an unknown one."""
    model = name or service.settings.default_model
    if not models.known(service.settings, service.driver, model):
        bases = ", ".join(sorted(service.settings.model_specs()))
        remedy = f"Name one of {bases}, or a tuned one of GET /v1/models, or set STSG_MODELS."
        raise invalid(field, f"there is no model {model!r}", remedy)
    return model


def start_run(service: Service, video_id: str, wanted: RunRequest) -> tuple[Run, bool]:
    """The run that is asked for, and whether it is new; raises the 422 of an unknown model."""
    model = known_model(service, wanted.model)
    options = wanted.options.model_dump(exclude_unset=True)
    job, created = flows.start_run(service, video_id, model, options, wanted.seed)
    return run_of(job), created


def run_of(job: Job) -> Run:
    """A run's record as the API shows it."""
    result = job.get("result") or {}
    params = job["params"]
    return Run(
        **_common(job),
        video_id=job["video_id"],
        model=params["model"],
        options=params["options"],
        seed=params["seed"],
        prompts=result.get("prompts"),
        counts=result.get("counts", {}),
    )


def dataset(service: Service, id: str) -> QraDataset:
    """A data set; raises the 404 where there is none."""
    return dataset_of(_job(service, "qra_dataset", id))


def finished_dataset(service: Service, id: str) -> QraDataset:
    """A data set that has its samples; raises the 404 where there is none, the 409 where they are still made."""
    found = dataset(service, id)
    if found.state != "succeeded":
        raise conflict("dataset_not_ready", f"The data set is {found.state}.", f"Wait for GET /v1/qra-datasets/{id}.")
    return found


def dataset_of(job: Job) -> QraDataset:
    """A data set's record as the API shows it."""
    result, params = job.get("result") or {}, job["params"]
    made = {
        "count": result.get("count", 0),
        "by_steps": result.get("by_steps", {}),
        "by_family": result.get("by_family", {}),
        "by_form": result.get("by_form", {}),
        **_missing(result),
        "rejects": result.get("rejected", {}),
        "guessing": result.get("blind", {}),
        "polish": result.get("polish", {}),
    }
    return QraDataset(
        **_common(job),
        **made,
        name=job.get("name", ""),
        runs=params["runs"],
        steps=params["steps"],
        seed=params["seed"],
    )


def _missing(result: Mapping[str, Any]) -> dict[str, Any]:
    """What a data set lacks; one that was made before families were counted tells it of steps only."""
    made, told = result.get("by_steps", {}), result.get("missing", {})
    steps = {n: count - made.get(n, 0) for n, count in result.get("wanted", {}).items() if count > made.get(n, 0)}
    return {
        "missing": steps,
        "missing_by_family": told.get("families", {}),
        "missing_by_form": told.get("forms", {}),
    }


def evaluation(service: Service, id: str) -> Evaluation:
    """An evaluation; raises the 404 where there is none."""
    return evaluation_of(evaluation_job(service, id))


def evaluation_job(service: Service, id: str) -> Job:
    """The record of an evaluation; raises the 404 where there is none."""
    return _job(service, "evaluation", id)


def evaluation_of(job: Job) -> Evaluation:
    """An evaluation's record as the API shows it."""
    return Evaluation(**_common(job), **job["params"], scores=(job.get("result") or {}).get("scores", {}))


def graph(service: Service, run_id: str, guide: str) -> Graph:
    """What a run's graph holds so far; raises the 404 where there is no such run."""
    job = graph_job(service, run_id)
    rejects = (job.get("result") or {}).get("rejects", {})
    told = [(*key.split(": ", 1), count) for key, count in rejects.items()]
    return Graph(
        id=run_id,
        run_id=run_id,
        video_id=job["video_id"],
        state=job["state"],
        counts=graphs.counts(service.driver, run_id),
        rejects=[Reject(step=step, reason=reason, count=count) for step, reason, count in told],
        browser_url=browser_link(*browser(service), run_id),
        guide_url=guide,
    )


def browser(service: Service) -> tuple[str, str, str]:
    """Where users reach Neo4j Browser, and the database and user that it connects to."""
    given = service.settings
    return given.neo4j_browser_url or "http://127.0.0.1:7474", given.neo4j_uri, given.neo4j_user


def graph_job(service: Service, run_id: str) -> Job:
    """The run of a graph; raises the 404 where there is none."""
    return _job(service, "graph", run_id)


def event_of(event: dict[str, Any]) -> Event:
    """An event's record as the API shows it."""
    return Event(id=event["seq"], type=event["type"], created_at=_time(event["created_at"]), data=event["data"])


def _job(service: Service, kind: str, id: str) -> Job:
    job = jobs.get(service.driver, id)
    if job is None or _kind_of(job) != {"graph": "run"}.get(kind, kind):
        raise not_found(kind, id)
    return job


def _kind_of(job: Job) -> str:
    told = {"runs": "qra_dataset", "benchmark": "evaluation", "training_file": "fine_tuning_job"}
    return next((kind for name, kind in told.items() if name in job["params"]), "run")


def _common(job: Job) -> dict[str, Any]:
    error = job.get("error")
    times = {k: _time(job[k]) if job.get(k) else None for k in ("created_at", "started_at", "finished_at")}
    return {
        "id": job["id"],
        "state": job["state"],
        "stage": job["stage"] or None,
        "done": job["done"],
        "total": job["total"],
        "error": Failure(**error) if error else None,
        **times,
    }


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
