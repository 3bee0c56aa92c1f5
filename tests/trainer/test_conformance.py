"""The classes that are promised to work do, and one that does not says why."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model.backends import SpecError
from model.backends.hf import HuggingFaceVideoLLM
from trainer.conformance.checkpoints import FAMILIES
from trainer.conformance.checks import CHECKS, OK, check_own, conformance, table
from trainer.conformance.family import Family, build
from trainer.conformance.fit import fit

BY_NAME = {f.name: f for f in FAMILIES}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    "family", [BY_NAME[name] for name in ("SmolVLM2", "InternVL3", "Video-LLaVA", "VideoChat2")], ids=lambda f: f.name
)
def test_a_class_conforms(family: Family) -> None:
    [found] = conformance([family])
    assert found.results == dict.fromkeys(CHECKS, OK)


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
    assert found.fits and found.seconds_per_clip is None
    assert found.tokens_per_frame and found.tokens_per_clip and found.tokens_per_frame < found.tokens_per_clip
    with pytest.raises(SpecError, match=r"config\.json"):
        fit(f"hf:{tmp_path}/nowhere")


def test_the_readme_has_a_row_for_each_class_and_a_column_for_each_check() -> None:
    text = (Path(__file__).parents[2] / "model" / "README.md").read_text()
    assert f"| class | {' | '.join(CHECKS)} |" in text
    assert all(f"| {name} | {' | '.join(['yes'] * len(CHECKS))} |" in text for name in BY_NAME)
