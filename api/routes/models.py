"""The Video-LLMs that a run, an evaluation or a training may name."""

from fastapi import APIRouter

from api.deps import ServiceDep
from api.errors import conflict, not_found, problem_responses
from api.openai_shapes import Deleted, Model, model_of
from api.paging import After, Limit, Page, page
from graphdb import records
from graphdb.records import Record
from workers import models
from workers.runtime import Service

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get("", responses=problem_responses(422))
def list_models(service: ServiceDep, limit: Limit = 100, after: After = None) -> Page[Model]:
    """Bases of the settings first, then tuned models and checkpoints, newest first."""
    bases = sorted(service.settings.model_specs())
    left = [] if after and after not in bases else bases[bases.index(after) + 1 if after else 0 :]
    found = [_base(service, name) for name in left]
    last = after if after not in bases else None
    while len(found) <= limit:
        rows = records.find(service.driver, "Model", limit=limit + 1, after=last)
        found += [row for row in rows if row["kind"] != "base"]
        if len(rows) <= limit:
            break
        last = rows[-1]["id"]
    return page([model_of(row) for row in found], limit)


@router.get("/{model_id}", responses=problem_responses(404))
def get_model(service: ServiceDep, model_id: str) -> Model:
    """One model, with where it comes from."""
    return model_of(_found(service, model_id))


@router.delete("/{model_id}", responses=problem_responses(404, 409))
def delete_model(service: ServiceDep, model_id: str) -> Deleted:
    """Delete a tuned model or a checkpoint; bases are the operator's."""
    if _found(service, model_id)["kind"] == "base":
        raise conflict("model_is_a_base", f"{model_id!r} is a base.", "Take it out of STSG_MODELS instead.")
    if not models.delete(service.driver, service.storage, model_id):
        raise conflict("model_in_use", "A job that isn't over uses the model.", "Cancel or await it first.")
    return Deleted(object="model", id=model_id)


def _found(service: Service, id: str) -> Record:
    if id in service.settings.model_specs():
        return _base(service, id)
    record = records.get(service.driver, "Model", id)
    if record is None or record["kind"] == "base":
        raise not_found("model", id)
    return record


def _base(service: Service, name: str) -> Record:
    return models.save_base(service.settings, service.driver, name)
