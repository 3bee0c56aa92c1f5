"""Evaluations: a benchmark's questions put to one model, part by part, every reply stored before the next is asked for.

The parts of an evaluation are always the same questions, so one that is stored is never asked again, and two workers that
both write it write the same.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from graphdb.jobs import Job
from model.stsg import Keyframe
from trainer.evaluation.benchmark import Benchmark, chosen, shown
from trainer.evaluation.catalogue import BENCHMARKS
from trainer.evaluation.report import Report
from trainer.evaluation.run import Row, evaluate
from workers.induction import Watched
from workers.runtime import Service
from workers.storage import Storage, benchmark_file, replies_file

_AT_ONCE = 32  # questions of a part
Told = Callable[[int, int, bool], None]  # done, total, and whether something new was stored


def ask(service: Service, job: Job, lost: threading.Event, told: Told) -> dict[str, Any]:
    """Ask what has not been answered yet; returns the scores."""
    params = job["params"]
    benchmark = BENCHMARKS[params["benchmark"]]()
    items = chosen(benchmark.items, params["samples"], params["seed"])
    llm = Watched(service.model(params["model"]), lost)
    frames = partial(_frames, service.storage, benchmark)
    for at in range(0, len(items), _AT_ONCE):
        part = items[at : at + _AT_ONCE]
        stored = replies_file(job["id"], at)
        fresh = not service.storage.exists(stored)
        if fresh:
            rows = evaluate(shown(part, frames), llm, params["mode"], benchmark.prior)
            service.storage.write_rows(stored, rows)
        told(at + len(part), len(items), fresh)
    return {"scores": {part: s.to_dict() for part, s in report(service, job).scores.items()}, "model": llm.name}


def kept(storage: Storage, id: str) -> Iterator[Row]:
    """Every reply that an evaluation has stored so far, with its request, in order."""
    for name in storage.names(f"evaluations/{id}/replies"):
        yield from storage.rows(name)


def report(service: Service, job: Job) -> Report:
    """The scores of an evaluation, from its stored replies alone."""
    params = job["params"]
    through = " (rationale)" if params["mode"] == "rationale" else ""
    return Report.of(f"{params['model']}{through}", kept(service.storage, job["id"]))


def same_questions(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two evaluations of these parameters ask the same."""
    return all(one[key] == other[key] for key in ("benchmark", "version", "samples", "seed"))


def _frames(storage: Storage, benchmark: Benchmark, video: str) -> tuple[Keyframe, ...]:
    """A video's frames; made once, as that takes longer than to read them."""
    index = benchmark_file(benchmark.version, video, "frames.json")
    if not storage.exists(index):
        made = benchmark.frames(video)
        for at, frame in enumerate(made):
            storage.write_image(benchmark_file(benchmark.version, video, f"{at}.png"), frame.image)
        storage.write_json(index, [[frame.id, frame.t] for frame in made])
    return tuple(
        Keyframe(id, t, storage.read_image(benchmark_file(benchmark.version, video, f"{at}.png")))
        for at, (id, t) in enumerate(storage.read_json(index))
    )
