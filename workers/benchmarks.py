"""A public benchmark on this machine: opens the model and the judge, and gives the progress and the table."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from trainer.benchmarks.catalogue import suite
from trainer.benchmarks.frames import COUNT, SIDE
from trainer.benchmarks.items import Item
from trainer.benchmarks.judge import Judge, local
from trainer.benchmarks.record import Record
from trainer.benchmarks.report import Table, table
from trainer.benchmarks.run import ask, mark, unasked, unmarked
from trainer.benchmarks.suite import Check, listed, subset, version


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of whom, and where what was said is kept."""

    benchmark: str
    folder: Path
    record: Path
    model: str  # a spec, such as hf:<folder>
    judge: str = ""  # a spec; openai:<url>#<name> is told the judge's system prompt as such
    samples: int = 0  # questions drawn by seed; 0 is all
    seed: int = 0
    ids: Path | None = None  # a file with an id on each line, in place of a draw
    partial: bool = False  # a part of the benchmark, or missing videos, will do
    official: bool = False  # have the judge mark what only the official rule leaves to it, too


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is."""

    stage: str
    done: int
    total: int


def check(name: str, folder: Path) -> Check:
    """What of a benchmark is on disk.

    Raises:
        BenchmarkError: no benchmark of that name.
    """
    return suite(name).check(folder)


def run(plan: Plan) -> Iterator[Progress]:
    """Asks the model, then the judge, into the record; what is there already is not asked again.

    Raises:
        BenchmarkError: the files, the record or the judge are not what they should be.
        SpecError: the model or the judge can't be opened.
        VideoLLMError, JudgeDownError: one of them can't reply now; run again to go on.
    """
    from model.backends import open_video_llm  # torch, where the spec wants it

    chosen = suite(plan.benchmark)
    loaded = chosen.items(plan.folder, partial=plan.partial, draw=partial(_drawn, plan))
    items = loaded.items
    record = Record.opened(plan.record, _head(plan, items, version(loaded.files)))
    scoring = chosen.scoring(False)
    if unasked(record, items):
        for done in ask(record, items, open_video_llm(plan.model), scoring):
            yield Progress("asking", done, len(items))
    for rule in [scoring, chosen.scoring(True)][: 1 + plan.official]:
        if waiting := len(unmarked(record, rule)):
            total = len(record.verdicts) + waiting
            for done in mark(record, _judge(plan.judge), rule):
                yield Progress("judging", done, total)


def report(record: Path, *, official: bool = False) -> Table:
    """The table of a record, from the record alone.

    Raises:
        BenchmarkError: no record, or an unfinished one.
    """
    kept = Record(record)
    return table(kept, suite(str(kept.head.get("benchmark"))), official=official)


def _drawn(plan: Plan, items: Sequence[Item]) -> Sequence[Item]:
    if plan.ids is not None:
        return listed(items, [line for line in plan.ids.read_text(encoding="utf-8").splitlines() if line])
    return subset(items, plan.samples, plan.seed) if plan.samples else items


def _head(plan: Plan, items: Sequence[Item], files: str) -> dict[str, Any]:
    """What must be the same for a record to go on."""
    asked = hashlib.sha256("\n".join(f"{item.id}\0{item.prompt}" for item in items).encode()).hexdigest()[:16]
    told = {"benchmark": plan.benchmark, "version": files, "model": plan.model, "questions": len(items)}
    return told | {"asked": asked, "samples": plan.samples, "seed": plan.seed, "frames": f"{COUNT} x {SIDE}"}


def _judge(spec: str) -> Judge | None:
    from model.backends import open_video_llm

    kind, _, rest = spec.partition(":")
    if kind == "openai" and "#" in rest:
        from model.backends.chat_server import ChatServer

        url, _, name = rest.rpartition("#")
        return Judge(f"openai:{name}", ChatServer(url, name))  # the same judge wherever it is served
    return local(open_video_llm(spec)) if spec else None
