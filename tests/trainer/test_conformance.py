"""The classes that are promised to work do, and one that does not says why."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model.backends import SpecError
from model.backends.hf import HuggingFaceVideoLLM
from trainer.conformance.checkpoints import FAMILIES
from trainer.conformance.checks import CHECKS, OK, PLAIN, check_own, conformance, table
from trainer.conformance.cost import Rates, Share, Work
from trainer.conformance.family import Family, build
from trainer.conformance.fit import fit, told

BY_NAME = {f.name: f for f in FAMILIES}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


# What a class does in another way than others, with the same replies.
PLAINLY = {
    "VILA 1.5": {"video"},
    "LLaVA 1.5": {"video"},
    "LLaVA-NeXT": {"video"},
    "Idefics3": {"video"},
    "Mistral 3": {"video"},
    "Gemma 3": {"video", "shared prefix"},
    "Gemma 4": {"shared prefix"},
    "EXAONE 4.5": {"shared prefix"},
    "Qwen3.5": {"shared prefix"},
    "Qwen3.5-MoE": {"shared prefix"},
    "LFM3-VL": {"shared prefix"},
    "MiniCPM-V 4.6": {"shared prefix"},
}


@pytest.mark.parametrize(
    "family",
    [BY_NAME[name] for name in ("SmolVLM2", "InternVL3", "Video-LLaVA", "VideoChat2", "Molmo2", "Gemma 3")],
    ids=lambda f: f.name,
)
def test_a_class_conforms(family: Family) -> None:
    [found] = conformance([family])
    plainly = {check for check, result in found.results.items() if result.startswith(PLAIN)}
    assert plainly == PLAINLY.get(family.name, set())
    assert {check for check, result in found.results.items() if result == OK} == set(CHECKS) - plainly and found.passed


def test_a_class_that_cannot_says_why(tmp_path: Path) -> None:
    deaf = replace(BY_NAME["LLaVA-OneVision"], template="{% for m in messages %}{% endfor %}<|im_start|>")
    build(deaf, tmp_path)
    found = check_own(tmp_path)
    assert found.results["one frame"] != OK and not found.passed
    told = table([found])
    assert f"| {tmp_path.name} | no |" in told and f"* {tmp_path.name}, one frame: " in told
    assert not (tmp_path / "stsg.json").exists()


def test_what_a_model_needs_is_known_before_it_is_loaded(tmp_path: Path) -> None:
    build(BY_NAME["SmolVLM2"], tmp_path)
    found = fit(f"hf:{tmp_path}", measure=False)
    llm = HuggingFaceVideoLLM(str(tmp_path))
    assert found.parameters == sum(p.numel() for p in llm._network.parameters())
    assert found.fits and found.settings == "float32, sdpa attention, not quantised"
    assert found.work.clip.tokens_in and found.work.clip.seconds is None and found.work.pair.prompts
    assert found.tokens_per_frame and found.tokens_at_most and found.tokens_per_frame < found.tokens_at_most
    assert fit(f"hf:{tmp_path}", (3000, 3000), measure=False) == fit(f"hf:{tmp_path}", (512, 512), measure=False)
    longer = fit(f"hf:{tmp_path}", seconds=30, measure=False).work
    assert (
        longer.clip.tokens_in or 0
    ) > 2 * found.work.clip.tokens_in and longer.pair.prompts == found.work.pair.prompts
    assert (longer.pair.tokens_in or 0) > (found.work.pair.tokens_in or 0)
    with pytest.raises(SpecError, match=r"config\.json"):
        fit(f"hf:{tmp_path}/nowhere")


def test_a_video_takes_what_its_clips_and_their_pairs_take_and_costs_what_is_paid_for() -> None:
    work = Work(Share(100, 5000, 800, 60.0), Share(4, 400, 8, 3.0))
    assert work.video(1) == Share(100, 5000, 800, 60.0)
    assert work.video(3) == Share(312, 16200, 2424, 189.0)
    assert work.video(20).prompts == 20 * 100 + 4 * sum(min(8, 19 - n) for n in range(20))
    assert Rates(hour=2.0).cost(work.video(3)) == pytest.approx(2 * 189 / 3600)
    assert Rates(million_in=1.0, million_out=4.0).cost(work.video(3)) == pytest.approx((16200 + 4 * 2424) / 1e6)
    assert Rates().cost(work.video(3)) is None and Rates(hour=2.0).cost(Share(3, 4)) is None


def test_a_model_is_timed_on_the_prompts_of_right_answers() -> None:
    tiny = Path(__file__).parents[2] / "model" / "checkpoints" / "tiny"
    found = fit(f"hf:{tiny}", (96, 96))
    assert found.work.clip.prompts > 20 and found.work.clip.seconds and found.work.clip.tokens_out
    lines = told(found, 10, Rates(hour=1.0))
    assert f"a video of 10 clips with three things each, about: {found.work.video(10).prompts:,} prompts, " in lines
    assert " min, costs " in lines


def test_the_readme_has_a_row_for_each_class_and_a_column_for_each_check() -> None:
    text = (Path(__file__).parents[2] / "model" / "README.md").read_text()
    assert f"| class | {' | '.join(CHECKS)} |" in text
    for name in BY_NAME:
        cells = ["plain" if check in PLAINLY.get(name, ()) else "yes" for check in CHECKS]
        assert f"| {name} | {' | '.join(cells)} |" in text
