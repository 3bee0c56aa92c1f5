"""`python -m trainer.study.cell FOLDER` trains one cell's model and asks it the study's questions.

FOLDER is a folder of `trainer.tuning`; its `asks.json` says what is asked, and `answers.json` is what came out: for each ask a
digit a question, 1 where it was answered right, and the same without frames.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2

from model import durable
from model.stsg import Keyframe
from trainer.evaluation.benchmark import Benchmark, Item, chosen, shown
from trainer.evaluation.catalogue import BENCHMARKS
from trainer.evaluation.run import evaluate, verdict
from trainer.study.plan import Ask
from trainer.tuning.stop import end_with_the_parent


def main(folder: Path) -> int:
    """Train, unless it is over, and ask what has not been asked; the exit code is 1 when the training failed."""
    from trainer.tuning.run import run

    told = json.loads((folder / "asks.json").read_text())
    model = folder / "model"
    if run(folder) or not model.is_dir():
        return 1
    answers = _known(folder / "answers.json")
    for ask in (Ask(**fields) for fields in told["asks"]):
        if kept({"answers": answers}, ask) is None:
            answers[ask.name] = _answers(model, ask, Path(told["frames"]))
            _write(folder / "answers.json", answers)
    return 0


def asked(benchmark: Benchmark, samples: int) -> Sequence[Item]:
    """The questions of an ask, always the same for its benchmark and number."""
    return chosen(benchmark.items, samples or len(benchmark.items), seed=0)


def kept(result: Mapping[str, Any], ask: Ask) -> Mapping[str, Any] | None:
    """What a cell answered to an ask; None where it was not asked, or other questions than there are now."""
    found = result.get("answers", {}).get(ask.name)
    return found if found and found["version"] == BENCHMARKS[ask.benchmark]().version else None


def _answers(model: Path, ask: Ask, frames: Path) -> dict[str, Any]:
    from model.backends import open_video_llm

    benchmark = BENCHMARKS[ask.benchmark]()
    items = shown(asked(benchmark, ask.samples), partial(_frames, benchmark, frames / benchmark.version))
    verdicts = [
        verdict(row) for row in evaluate(items, open_video_llm(f"hf:{model}", exact=True), ask.mode, benchmark.prior)
    ]
    return {
        "benchmark": benchmark.name,
        "version": benchmark.version,
        "samples": ask.samples,
        "mode": ask.mode,
        "right": _digits(v.correct for v in verdicts),
        "blind": _digits(v.blind for v in verdicts),
    }


def _digits(marks: Iterable[bool]) -> str:
    return "".join("1" if mark else "0" for mark in marks)


def _frames(benchmark: Benchmark, folder: Path, video: str) -> tuple[Keyframe, ...]:
    """A video's frames; rendered once, as that takes longer than to read them."""
    index = folder / f"{video}.json"
    if not index.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = benchmark.frames(video)
        for at, frame in enumerate(made):
            done, packed = cv2.imencode(".png", frame.image[:, :, ::-1])
            assert done, "any picture can be packed as PNG"
            _write_bytes(folder / f"{video}-{at}.png", packed.tobytes())
        _write(index, [[frame.id, frame.t] for frame in made])
    return tuple(_read(json.loads(index.read_text()), folder, video))


def _read(index: list[Any], folder: Path, video: str) -> Iterator[Keyframe]:
    for at, (id, t) in enumerate(index):
        picture = cv2.imread(str(folder / f"{video}-{at}.png"))
        assert picture is not None, f"{video}-{at}.png is no picture"
        yield Keyframe(id, t, picture[:, :, ::-1].copy())


def _known(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text())) if file.exists() else {}


def _write(file: Path, value: Any) -> None:
    _write_bytes(file, json.dumps(value).encode())


def _write_bytes(file: Path, content: bytes) -> None:
    part = file.with_suffix(f".{os.getpid()}.part")  # another process may write the same
    part.write_bytes(content)
    durable.settle(part, file)


if __name__ == "__main__":
    end_with_the_parent()
    sys.exit(main(Path(sys.argv[1])))
