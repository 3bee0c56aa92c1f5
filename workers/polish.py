"""QRA data sets after sampling: rewritten by a Video-LLM's language side, and asked blind (STEP Sec. 3.2, App. A.2).

Works in parts, each of which is stored with the exchanges that made it, so a stopped stage goes on with the next one.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from graphdb import jobs
from graphdb.jobs import Job, Lease
from model import prompts
from model.rationale import blind, refine
from model.rationale.mix import Cell, from_json
from model.video_llm import VideoLLM
from trainer.evaluation.scoring import correct
from workers.fault_points import fault_point
from workers.induction import Recorder, Watched
from workers.runtime import Service
from workers.storage import dataset_file, draft_file, manifest_file, part_file, polish_trace_file

Row = dict[str, Any]
_PART = 512


@dataclass(frozen=True, slots=True)
class Polish:
    """What is to be done with a data set's samples, and by which model."""

    model: str
    rewrite: bool = True
    blind: int = 0  # how often a question is asked without frames
    drop_blind: bool = False


@dataclass(slots=True)
class PolishReport:
    """What became of the samples."""

    rewritten: int = 0
    kept: Counter[str] = field(default_factory=Counter)  # templates that stayed, by reason
    blind: Counter[str] = field(default_factory=Counter)  # samples that need no video, by family and form

    def take(self, part: Mapping[str, Any]) -> None:
        self.rewritten += part["rewritten"]
        self.kept.update(part["kept"])
        self.blind.update(part["blind"])

    def to_dict(self) -> dict[str, Any]:
        asked = self.rewritten + self.kept.total()
        rate = round(self.rewritten / asked, 4) if asked else None
        return {
            "rewritten": self.rewritten,
            "rewritten_share": rate,
            "kept": dict(sorted(self.kept.items())),
            "blind": dict(sorted(self.blind.items())),
        }


def polish_dataset(service: Service, lease: Lease, job: Job, lost: threading.Event) -> None:
    """Rewrite and filter the draft of a data set, and finish it."""
    id, wanted = job["id"], Polish(**job["params"]["polish"])
    llm = Watched(service.model(wanted.model), lost)
    known = refine.vocabulary(service.storage.rows(draft_file(id)))
    report, parts, done = PolishReport(), 0, 0
    for parts, rows in enumerate(_parts(service.storage.rows(draft_file(id))), 1):
        file = part_file(id, parts)
        fresh = not service.storage.exists(file)
        if fresh:
            fault_point(f"polish:{parts}")
            traced = Recorder(llm)
            part = polish(rows, traced.llm, wanted, known)
            service.storage.write_rows(polish_trace_file(id, parts), traced.rows)
            service.storage.write_json(file, part)
        report.take(service.storage.read_json(file))
        done += len(rows)
        progress = (
            {"attempts": 1, "troubled_since": 0.0} if fresh else {}
        )  # only what is new shows that the job gets on
        jobs.update(service.driver, lease, done=done, total=job["total"], **progress)
    numbers = range(1, parts + 1)
    kept = (row for number in numbers for row in service.storage.read_json(part_file(id, number))["rows"])
    counts = {key: Counter[str]() for key in ("steps", "family", "form", "n_temporal")}
    cells = Counter[Cell]()
    service.storage.write_rows(dataset_file(id), _counted(kept, counts, cells))
    told = report.to_dict() | {"model": llm.name, "prompts": prompts.version(llm.prompt_set)}
    left: dict[str, Any] = {f"by_{key}": dict(sorted(counter.items())) for key, counter in counts.items()}
    left |= {"count": cells.total(), "missing": from_json(job["params"]).missing(cells)}
    result = _result(service, id, left | {"polish": told})
    for number in numbers:
        service.storage.delete(part_file(id, number))
    jobs.finish(service.driver, lease, "succeeded", result=result)


def polish(rows: list[Row], llm: VideoLLM, wanted: Polish, known: frozenset[str]) -> dict[str, Any]:
    """Samples as they are wanted, and what became of them."""
    kept: Counter[str] = Counter()
    blindly: Counter[str] = Counter()
    if wanted.rewrite:
        replies = llm.answer([refine.request(row, llm.prompt_set) for row in rows])
        found = [refine.refined(row, r.text, known, r.exchange) for row, r in zip(rows, replies, strict=True)]
        kept.update(f for f in found if isinstance(f, str))
        rows = [row if isinstance(f, str) else f for row, f in zip(rows, found, strict=True)]
    rewritten = sum("template" in row for row in rows)
    if wanted.blind:
        asked = [blind.requests(row, wanted.blind, llm.prompt_set) for row in rows]
        said = iter(llm.answer([request for each in asked for request in each]))
        rows = [
            row | {"blind": blind.knows(row, [next(said).text for _ in each], correct)}
            for row, each in zip(rows, asked, strict=True)
        ]
        blindly.update(f"{row['family']}/{row['form']}" for row in rows if row["blind"])
        rows = [row for row in rows if not (wanted.drop_blind and row["blind"])]
    return {"rows": rows, "rewritten": rewritten, "kept": kept, "blind": blindly}


def _parts(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while part := list(islice(rows, _PART)):
        yield part


def _counted(rows: Iterable[Row], counts: Mapping[str, Counter[str]], cells: Counter[Cell]) -> Iterator[Row]:
    for row in rows:
        cells[row["steps"], row["family"], row["form"]] += 1
        for key, counter in counts.items():
            counter[str(row[key])] += 1
        yield row


def _result(service: Service, id: str, left: Mapping[str, Any]) -> dict[str, Any]:
    """The sampling's report with what is left of it, in the manifest too."""
    manifest = service.storage.read_json(manifest_file(id))
    result: dict[str, Any] = manifest["report"] | left
    service.storage.write_json(manifest_file(id), manifest | {"report": result})
    return result
