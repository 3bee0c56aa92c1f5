"""What only a GPU shows: run by `make gpu`, and left out elsewhere. All other tests run on the processor, also beside a GPU."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from model.backends.hf import HuggingFaceVideoLLM
from model.video_llm import Request, VideoLLMError
from tests.model.test_backends import A, B, keyframe
from tests.trainer.test_conformance import PLAINLY
from tests.trainer.tuning_folders import done, losses, make_folder, read_lines, start, train
from trainer.conformance.checkpoints import FAMILIES
from trainer.conformance.checks import PLAIN, conformance
from trainer.conformance.family import Family, build
from trainer.tuning import sft
from trainer.tuning.dry_run import estimate

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: make gpu")
ROOM = 64 * 2**20  # what a device that has no room left still has


@contextmanager
def room_for(extra: int) -> Iterator[None]:
    """Only so many bytes more than are in use now."""
    gc.collect()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + extra) / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_a_class_conforms(family: Family) -> None:
    [found] = conformance([family])
    plainly = {check for check, result in found.results.items() if result.startswith(PLAIN)}
    assert found.passed and plainly == PLAINLY.get(family.name, set()), found.results


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_a_class_shares_prefixes_in_16_bits_as_it_does_in_32(family: Family, tmp_path: Path) -> None:
    build(family, tmp_path)
    asked = [Request("s", text, (A, B), max_new_tokens=4) for text in ("What happens?", "What does the red circle do?")]
    shares = []
    for exact in (True, False):
        llm = HuggingFaceVideoLLM(str(tmp_path), worth_sharing=1, exact=exact)
        assert len(llm.answer(asked)) == 2
        shares.append((llm.shares, llm.plain_because))
    assert shares[0] == shares[1]


def test_a_model_that_meets_the_end_of_memory_answers_in_smaller_batches() -> None:
    llm = HuggingFaceVideoLLM("model/checkpoints/tiny", share=False, batch=512, exact=True)
    asked = [Request("s", f"what is in the room {n}?", (keyframe(n),), max_new_tokens=8) for n in range(512)]
    expected = [reply.text for reply in llm.answer(asked)]
    tried: list[int] = []
    plain = llm._run

    def run(part: list, *, shared: bool) -> list:  # type: ignore[type-arg]
        tried.append(len(part))
        return plain(part, shared=shared)

    llm._run = run  # type: ignore[method-assign]
    with room_for(ROOM):
        assert [reply.text for reply in llm.answer(asked)] == expected
    assert tried[0] == 512 and tried[1] == 256
    with room_for(0), pytest.raises(VideoLLMError, match="does not fit"):
        llm.answer([Request("s", "what? " * 400, tuple(keyframe(n) for n in range(64)))])
    assert len(llm.answer(asked[:2])) == 2


@pytest.mark.parametrize("lora", [None, {"rank": 4, "dropout": 0.0}], ids=["all weights", "LoRA"])
def test_a_training_in_16_bits_learns_what_one_in_32_does(lora: dict[str, float] | None, tmp_path: Path) -> None:
    told = []
    for exact in (True, False):
        folder = make_folder(tmp_path / str(exact), 8, held=2, batch=4, epochs=3, exact=exact, lora=lora)
        assert done(start(folder)) == 0, (folder / "result.json").read_text()
        told.append([row["loss"] for row in losses(folder)])
        assert [row for row in read_lines(folder / "metrics.jsonl") if "validation" in row]
        HuggingFaceVideoLLM(str(folder / "model"))
    assert told[0] == pytest.approx(told[1], rel=0.05) and told[0][-1] < told[0][0]


def test_a_training_that_was_stopped_goes_on_on_the_gpu(tmp_path: Path) -> None:
    whole, stopped = (make_folder(tmp_path / name, 8, batch=2, epochs=2, exact=True) for name in ("whole", "stopped"))
    assert done(start(whole)) == 0
    assert done(start(stopped, end_after_three_steps)) != 0 and len(losses(stopped)) < 8
    assert done(start(stopped)) == 0
    last = {row["step"]: row["loss"] for row in losses(stopped)}
    assert [last[step] for step in sorted(last)] == pytest.approx([row["loss"] for row in losses(whole)], rel=1e-4)


def end_after_three_steps(folder: Path) -> None:
    plain = sft._Steps.on_step_end

    def on_step_end(self: sft._Steps, given: object, state: object, control: object, **more: object) -> None:
        if state.global_step == 4:  # type: ignore[attr-defined]
            sys.exit(9)
        plain(self, given, state, control, **more)

    sft._Steps.on_step_end = on_step_end  # type: ignore[method-assign]
    train(folder)


def test_a_dry_run_tells_the_memory_and_parts_that_a_training_takes(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "f", 64, batch=64, epochs=1, per_video=1)
    whole = estimate(folder)
    assert whole["accumulation"] == 1 and whole["device"] == "cuda"
    torch.cuda.reset_peak_memory_stats()
    with room_for(whole["memory_bytes"] // 2):
        parted = estimate(folder)
    assert parted["accumulation"] > 1 and parted["memory_bytes"] < whole["memory_bytes"]
