"""The study carried out: graphs, questions from a Neo4j of its own, trainings and answers, some processes at a time.

Everything is kept in a folder under a hash of what decided it, so that a study that was stopped goes on where it was; the
answers of cells, a few kilobytes each, are kept apart from it (`results`), so that reports need nothing else. All computes in
32 bits, so that a GPU and a processor give the same to rounding.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from graphdb import graphs as stored
from graphdb import videos
from graphdb.connection import Driver
from graphdb.qra import make_qra
from graphdb.scratch import scratch_database
from model import durable
from model.prompts import SETS
from model.rationale.evaluate import Evaluator
from model.rationale.mix import Mix, apportion
from trainer.study import graphs
from trainer.study.cell import kept
from trainer.study.plan import Ask, Cell, Plan, digest
from trainer.tuning.spec import Mixture, TuningSpec
from trainer.world.scene import Scene
from trainer.world.score import score as scored
from trainer.world.score import total
from trainer.world.truth import truth

TINY = Path(__file__).parent.parent / "model" / "checkpoints" / "tiny"
RESULTS = Path(__file__).parent.parent / "trainer" / "study" / "results"
_BASE_THREADS = 2  # a base is trained alone; not by what is left to do, as sums differ by threads
_REHEARSED = 200
_FAMILIES = {"attribute": 1.0, "relation": 3.0, "motion": 2.0, "reference": 1.0}  # those of the world benchmark
_FORMS = {"open": 0.85, "count": 0.15}
Told = Callable[[str], None]


class StudyError(Exception):
    """A part of the study failed; the text holds the end of its log."""


@dataclass(frozen=True)
class Study:
    """Where a study's parts are."""

    folder: Path
    results: Path = RESULTS
    checkpoint: Path = TINY
    processes: int = 2  # side by side, of one thread each

    def run(self, plan: Plan, told: Told) -> None:
        """Measure every cell that has no result yet, in the order of what each builds on.

        Raises:
            StudyError: a part failed; what was made before it is kept.
        """
        missing = self._missing(plan)
        told(f"{len(missing)} models to measure")
        for depth in sorted({cell.depth() for cell in missing}):
            wave = [cell for cell in missing if cell.depth() == depth]
            self._make_data([cell for cell in wave if not self._trained(cell)], told)
            self._answer_all(wave, plan, told)

    def _missing(self, plan: Plan) -> list[Cell]:
        """The cells that were not asked everything, and those whose models they need and the folder lacks."""
        found: list[Cell] = []
        needed: set[Cell | None] = set()
        for cell in reversed(plan.cells()):
            lacks = not self._trained(cell)
            if self._unanswered(cell, plan.asks.get(cell, [])) or (lacks and cell in needed):
                found.append(cell)
                needed |= {cell.base, cell.source.model} if lacks else set()
        return found[::-1]

    def result(self, cell: Cell) -> dict[str, Any]:
        """What is known of a cell: nothing where it was not measured yet."""
        file = self.results / f"{self.key(cell)}.json"
        return dict(json.loads(file.read_text())) if file.exists() else {}

    def key(self, cell: Cell | None) -> str:
        return self._start if cell is None else cell.key(self._start)

    @property
    def _start(self) -> str:
        return hashlib.sha256((self.checkpoint / "model.safetensors").read_bytes()).hexdigest()[:16]

    def _unanswered(self, cell: Cell, asks: Sequence[Ask]) -> bool:
        return any(kept(self.result(cell), ask) is None for ask in asks)

    def _trained(self, cell: Cell) -> bool:
        return (self._folder(cell) / "model" / "config.json").exists()

    def _folder(self, cell: Cell) -> Path:
        return self.folder / "cells" / self.key(cell)

    def _model(self, cell: Cell | None) -> Path:
        return self.checkpoint if cell is None else self._folder(cell) / "model"

    def _answer_all(self, wave: Sequence[Cell], plan: Plan, told: Told) -> None:
        def one(cell: Cell) -> None:
            self._answer(cell, plan.asks.get(cell, []))
            told(f"measured {self.key(cell)}")

        with ThreadPoolExecutor(self.processes) as pool:
            list(pool.map(one, wave))

    def _answer(self, cell: Cell, asks: Sequence[Ask]) -> None:
        """Train a cell's model, unless it is there, ask it, and keep the answers."""
        folder = self._folder(cell)
        folder.mkdir(parents=True, exist_ok=True)
        frames = str((self.folder / "frames").resolve())
        _write(folder / "asks.json", {"frames": frames, "asks": [asdict(ask) for ask in asks]})
        threads = 1 if cell.base else _BASE_THREADS
        _run(["trainer.study.cell", str(folder)], folder / "log.txt", threads)
        answers = self.result(cell).get("answers", {}) | _read(folder / "answers.json")
        result = {
            "cell": asdict(cell),
            "data": _read(folder / "data.json"),
            "training": _training(folder),
            "answers": answers,
        }
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)  # of a training that is over
        self.results.mkdir(parents=True, exist_ok=True)
        _write(self.results / f"{self.key(cell)}.json", result)

    def _make_data(self, wave: Sequence[Cell], told: Told) -> None:
        """The folder of each cell that is to be trained; graphs and questions first, which cells share."""
        for cell in wave:
            self._make_graphs(cell)
            told(f"graphs for {self.key(cell)}")
        lacking = {self._rows(cell): cell for cell in wave if not self._rows(cell).exists()}
        if lacking:
            with scratch_database() as driver:
                for file, cell in lacking.items():
                    _write_lines(file, _rows(driver, self._made(cell), cell))
                    told(f"questions for {self.key(cell)}")
        for cell in wave:
            self._write_folder(cell)

    def _make_graphs(self, cell: Cell) -> None:
        """Graphs of a cell's worlds, and for a base the exchanges that it and those built on it rehearse."""
        if cell.base is not None:
            self._make_graphs(cell.base)
        source, worlds = cell.source, _worlds(cell)
        if all((self._graphs(cell) / f"{seed}.json").exists() for seed in worlds):
            return
        order = {
            "pictures": str(self._pictures),
            "graphs": str(self._graphs(cell)),
            "model": None if source.true else str(self._model(source.model)),
            "without": source.without,
            "noise": source.noise,
            "encoded": cell.base is not None,
            "prompts": _read(self.checkpoint / "stsg.json").get("prompts", SETS[0]),
            "rehearsed": _rehearsed_worlds(cell) if cell.base is None else [],
        }
        self._graphs(cell).mkdir(parents=True, exist_ok=True)

        def part(at: int) -> None:
            file = self._graphs(cell) / f"order-{at}.json"
            _write(file, order | {"worlds": worlds[at :: self.processes]})
            _run(["trainer.study.graphs", str(file)], file.with_suffix(".log"))

        with ThreadPoolExecutor(self.processes) as pool:
            list(pool.map(part, range(self.processes)))

    @property
    def _pictures(self) -> Path:
        return (self.folder / "pictures").resolve()

    def _rehearsed(self, cell: Cell, count: int) -> Iterator[dict[str, Any]]:
        base = cell.base or cell
        files = [self._graphs(base) / f"{seed}.exchanges.json" for seed in _rehearsed_worlds(base)]
        for row in graphs.rehearsed(files, count, cell.seed):
            yield row | {"frames": [f"pictures/{name}" for name in row["frames"]]}

    def _graphs(self, cell: Cell) -> Path:
        source = cell.source
        of = "true" if source.true else self.key(source.model)
        return (self.folder / "graphs" / digest([of, source.without, source.noise])).resolve()

    def _rows(self, cell: Cell) -> Path:
        """The file of a cell's questions, one for all cells that ask the same of the same graphs."""
        told = [self._graphs(cell).name, cell.first_world, cell.worlds, cell.mix, cell.samples, cell.seed]
        return self.folder / "rows" / f"{digest(told)}.jsonl"

    def _made(self, cell: Cell) -> dict[int, graphs.Made]:
        return {seed: graphs.load(self._graphs(cell) / f"{seed}.json") for seed in _worlds(cell)}

    def _write_folder(self, cell: Cell) -> None:
        """The folder of a cell's training; its spec comes last."""
        folder = self._folder(cell)
        if (folder / "spec.json").exists():
            return
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pictures").unlink(missing_ok=True)
        (folder / "pictures").symlink_to(self._pictures)
        shutil.copy(self._rows(cell), folder / "train.jsonl")
        holds = [bool(json.loads(line)["holds"]) for line in self._rows(cell).open()]
        _write_lines(folder / "mixture.jsonl", self._rehearsed(cell, round(cell.rehearsal * len(holds))))
        scores = total(
            scored(made.graph, truth(Scene.generate(seed, split="train"))) for seed, made in self._made(cell).items()
        )
        f1 = {kind: round(s.f1, 4) for kind, s in scores.items()}
        known = {"samples": len(holds), "worlds": cell.worlds, "f1": f1, "holds": round(fmean(holds), 4)}
        _write(folder / "data.json", known)
        _write(folder / "spec.json", self._spec(cell).to_dict())

    def _spec(self, cell: Cell) -> TuningSpec:
        return TuningSpec(
            base=str(self._model(cell.base).resolve()),
            lambda_rationale=cell.lambda_rationale,
            batch=cell.batch,
            per_video=cell.per_video,
            max_steps=cell.steps,
            epochs=1000,
            learning_rate=cell.rate,
            mixture=Mixture(cell.rehearsal) if cell.rehearsal else None,
            save_every=max(min(cell.steps // 3, 250), 1),
            validate_every=0,
            exact=True,
            seed=cell.seed,
        )


def _worlds(cell: Cell) -> list[int]:
    return list(range(cell.first_world, cell.first_world + cell.worlds))


def _rehearsed_worlds(base: Cell) -> list[int]:
    """The worlds of a base of which inductions are rehearsed; each has some hundred exchanges."""
    return _worlds(base)[:_REHEARSED]


def _rows(driver: Driver, made: Mapping[int, graphs.Made], cell: Cell) -> Iterator[dict[str, Any]]:
    """Rows of questions about some graphs, which are in the database meanwhile, and whether their answers hold in the world."""
    runs = {graphs.world_id(seed): seed for seed in made}
    for run, seed in runs.items():
        graph, clips, _ = made[seed]
        videos.save_video(driver, run, {"name": run, "created_at": 0.0})
        stored.save_clips(driver, run, run, clips)
        stored.save_graph(driver, run, run, graph)
    worlds = {run: Evaluator(truth(Scene.generate(seed, split="train"))) for run, seed in runs.items()}
    mix = Mix(apportion(cell.samples, dict(cell.mix)), families=_FAMILIES, forms=_FORMS)  # type: ignore[arg-type]
    try:
        for qra in make_qra(driver, list(runs), mix, seed=cell.seed):
            shown = made[runs[qra.run_id]].shown
            names = [f"pictures/{runs[qra.run_id]}/{graphs.picture_name(id)}" for id, _ in shown]
            row = {"id": qra.id, "video_id": qra.video_id, "question": qra.question, "answer": qra.answer}
            yield row | {
                "rationale": list(qra.rationale),
                "steps": qra.steps,
                "frames": names,
                "times": [t for _, t in shown],
                "holds": worlds[qra.run_id].run(qra.program).answer == qra.answer,
            }
    finally:
        for run in runs:
            stored.delete_graph(driver, run)
            videos.delete_video(driver, run)


def _training(folder: Path) -> dict[str, Any]:
    result = _read(folder / "result.json")
    metrics = (folder / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in metrics]
    return {"steps": result.get("step"), "loss": rows[-1].get("loss") if rows else None}


def _run(module: Sequence[str], log: Path, threads: int = 1) -> None:
    """Run a module of ours.

    Raises:
        StudyError: it failed.
    """
    with log.open("a") as out:
        done = subprocess.run(
            [sys.executable, "-m", *module],
            stdout=out,
            stderr=subprocess.STDOUT,
            env=os.environ | {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"},
            check=False,
        )
    if done.returncode:
        end = "\n".join(log.read_text().splitlines()[-15:])
        raise StudyError(f"{' '.join(module)} failed. The end of {log}:\n{end}")


def _read(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text())) if file.exists() else {}


def _write(file: Path, value: Any) -> None:
    durable.write_text(file, json.dumps(value, sort_keys=True, separators=(",", ":")) + "\n")


def _write_lines(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    with part.open("w") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)
    durable.settle(part, file)
