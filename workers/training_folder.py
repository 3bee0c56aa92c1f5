"""What a training is given: a folder with its spec, its rows, and pictures from all of each video (STEP Sec. 4.1)."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2

from graphdb import graphs, records
from graphdb.jobs import Job
from model.media import frames
from model.rationale.formats import split_of
from trainer.tuning import checkpoints
from trainer.tuning.journal import write_json
from workers import models
from workers.processes import read_json
from workers.runtime import Service
from workers.storage import dataset_file, keyframe_file, model_folder, upload_file, video_file

_AT_ONCE = 8
Row = dict[str, Any]
Shot = tuple[str, float]  # a picture, relative to the folder, and its second


class JobError(Exception):
    """A job can't be done, and trying again won't help: a code, what is wrong, and what to do."""

    def __init__(self, code: str, detail: str, remedy: str) -> None:
        super().__init__(f"{detail} {remedy}")
        self.code, self.detail, self.remedy = code, detail, remedy


def folder_of(service: Service, job_id: str) -> Path:
    """Where a training works on this machine."""
    return service.settings.home.absolute() / "tuning" / job_id


def prepare(service: Service, job: Job, folder: Path, check: Callable[[], None] = lambda: None) -> bool:
    """Write the folder of a training, unless it is there; whether it is another than this worker left.

    Its spec comes last, so that it is whole once it has one. One that a deleted training of this id left is not gone on with,
    and one that is there gets the newest checkpoint where another machine has gone on meanwhile.
    `check` is called before each run's or video's pictures, and raises where the work is to end.

    Raises:
        JobError: unknown_model, empty_data, no_frames, file_gone.
    """
    if (folder / "spec.json").exists() and _job_of(folder) == job["created_at"]:
        return _fetch_checkpoint(service, job["id"], folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    params = job["params"]
    try:
        spec = models.spec_of(service.settings, service.driver, service.storage, params["model"])
    except models.UnknownModelError as e:
        raise JobError("unknown_model", str(e), "Name another model.") from e
    with closing(_Pictures(service, folder, params["spec"].get("frames", 8), check)) as pictures:
        counts = {
            name: _write(folder / f"{name}.jsonl", (pictures.shown(row) for row in rows))
            for name, rows in _parts(service, params).items()
        }
    if not counts["train"]:
        raise JobError("empty_data", "There is no row to train on.", "Name a training_file that has rows.")
    _fetch_checkpoint(service, job["id"], folder)
    told = {"id": job["id"], "created_at": job["created_at"], "database": service.settings.neo4j_uri}
    write_json(folder / "job.json", told)
    write_json(folder / "spec.json", params["spec"] | {"base": spec.partition(":")[2]})
    return True


def is_of(service: Service, folder: Path) -> bool:
    """Whether a training's folder was written for a job of this database."""
    return bool((read_json(folder / "job.json") or {}).get("database") == service.settings.neo4j_uri)


def _job_of(folder: Path) -> float:
    """When the job was created that a folder was written for."""
    return float((read_json(folder / "job.json") or {}).get("created_at", 0.0))


def _parts(service: Service, params: dict[str, Any]) -> dict[str, Iterator[Row]]:
    """The rows to train and to validate on, and those that are mixed in (STEP App. C)."""
    train = _rows(service, params["training_file"])
    if params.get("validation_file"):
        held_out = _rows(service, params["validation_file"])
    else:
        share, seed = params.get("validation", 0.0), params["seed"]
        held_out = (r for r in _rows(service, params["training_file"]) if _split(r, seed, share) == "validation")
        train = (r for r in train if _split(r, seed, share) == "train")
    mixed = {"mixture": _rows(service, params["mixture_file"])} if params.get("mixture_file") else {}
    return {"train": train, "validation": held_out} | mixed


def _split(row: Row, seed: int, share: float) -> str:
    return split_of(str(row.get("video_id") or row["run_id"]), seed, share) if share else "train"


def _rows(service: Service, id: str) -> Iterator[Row]:
    name = upload_file(id) if id.startswith("file-") else dataset_file(id)
    try:
        yield from service.storage.rows(name)
    except FileNotFoundError:
        raise JobError("file_gone", f"The rows of {id} are gone.", "Make or send them again.") from None


def _write(file: Path, rows: Iterable[Row]) -> int:
    count = 0
    with file.open("w", encoding="utf-8") as out:
        for row in rows:
            count += 1
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
    return count


def _fetch_checkpoint(service: Service, job_id: str, folder: Path) -> bool:
    """Fetch the newest stored checkpoint where it is of a later step than all that are here; whether it was."""
    found = records.find(service.driver, "Model", limit=1000, job_id=job_id, only="checkpoint")
    newest = max(found, key=lambda record: int(record["metrics"]["step"]), default=None)
    here = checkpoints.newest(folder)
    if newest is None or (here is not None and checkpoints.step_of(here) >= int(newest["metrics"]["step"])):
        return False
    target = checkpoints.path_of(folder, int(newest["metrics"]["step"]))
    target.parent.mkdir(exist_ok=True)
    shutil.rmtree(target, ignore_errors=True)  # of which something lacks
    service.storage.get_folder(model_folder(newest["id"]), target)
    return True


class _Pictures:
    """Gives each row the pictures of its video, each of which is fetched once, and only if a row shows it."""

    def __init__(self, service: Service, folder: Path, count: int, check: Callable[[], None]) -> None:
        self._service, self._folder, self._count, self._check = service, folder, count, check
        self._of_run: dict[str, dict[str, Shot]] = {}
        self._of_video: dict[str, list[Shot]] = {}
        self._waiting: dict[str, str] = {}  # to the pictures that were not fetched yet, where they are stored
        self._pool = ThreadPoolExecutor(_AT_ONCE)  # as another machine's storage takes its time for each

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown()

    def shown(self, row: Row) -> Row:
        """The row with `frames` and `times`."""
        run, video = row.get("run_id"), row.get("video_id")
        shots: list[Shot] = []
        if isinstance(run, str):
            shots = chosen(self._keyframes(run), row.get("keyframes", ()), self._count)
            if not self._fetched(shots):
                self._of_run[run], shots = {}, []
        if not shots and isinstance(video, str):
            shots = self._even(video)
        if not shots:
            detail = f"Row {row.get('id') or row['question'][:60]!r} has no pictures: its run and its video are gone."
            raise JobError("no_frames", detail, "Send the video again, or leave the row out.")
        return row | {"frames": [name for name, _ in shots], "times": [t for _, t in shots]}

    def _keyframes(self, run: str) -> dict[str, Shot]:
        if run not in self._of_run:
            self._check()
            stored = [k for clip in graphs.load_clips(self._service.driver, run) for k in clip.keyframes]
            found = {k.id: (f"pictures/{run}/{k.id.rpartition(':')[2]}.png", k.t) for k in stored}
            self._of_run[run] = found
            self._waiting |= {name: keyframe_file(run, id) for id, (name, _) in found.items()}
        return self._of_run[run]

    def _fetched(self, shots: Sequence[Shot]) -> bool:
        """Fetch the pictures that are not here yet; False where one is gone."""
        lacking = [name for name, _ in shots if name in self._waiting]
        try:
            list(self._pool.map(lambda n: self._service.storage.fetch(self._waiting[n], self._folder / n), lacking))
        except FileNotFoundError:
            return False
        for name in lacking:
            del self._waiting[name]
        return True

    def _even(self, video: str) -> list[Shot]:
        """Pictures at even distances through a stored video; none where it is gone."""
        if video not in self._of_video:
            self._check()
            stored = video_file(video)
            self._of_video[video] = []
            if _is_id(video) and self._service.storage.exists(stored):
                with self._service.storage.local(stored) as file:
                    self._of_video[video] = self._decoded(video, file)
        return self._of_video[video]

    def _decoded(self, video: str, file: Path) -> list[Shot]:
        limits = self._service.settings.limits
        times = [f.t for f in frames(file, limits, max_side=16)]
        wanted = set(_evenly(len(times), self._count))
        shots = []
        for frame in frames(file, limits):
            if frame.index in wanted:
                name = f"pictures/{video}/{frame.index}.png"
                (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(self._folder / name), frame.image[:, :, ::-1])
                shots.append((name, frame.t))
        return shots


def _is_id(text: str) -> bool:
    return text.replace("_", "").replace("-", "").isalnum()


def chosen(keyframes: dict[str, Shot], needed: Sequence[str], count: int) -> list[Shot]:
    """Up to `count` keyframes in order of time: those that show what a sample is about, filled up evenly with others."""
    first = [id for id in keyframes if id in set(needed)]
    first = [first[i] for i in _evenly(len(first), count)]
    others = [id for id in keyframes if id not in set(first)]
    ids = first + [others[i] for i in _evenly(len(others), count - len(first))]
    return sorted((keyframes[id] for id in ids), key=lambda shot: shot[1])


def _evenly(total: int, count: int) -> list[int]:
    """Up to `count` numbers below `total`, at even distances."""
    if total <= count:
        return list(range(total))
    return [int((i + 0.5) * total / count) for i in range(count)]
