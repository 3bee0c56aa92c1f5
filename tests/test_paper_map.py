"""The map from the paper to files and tests is true, and every prompt says where it comes from."""

import re
import shutil
from pathlib import Path

import pytest

from model import prompts

ROOT = Path(__file__).parent.parent
ROWS = re.findall(
    r"^\| ((?:Sec|App|Table|G_f).*?) \| (.+?) \| (.+?) \|$", (ROOT / "model" / "README.md").read_text(), re.M
)


def test_every_file_and_test_that_the_map_names_is_there() -> None:
    assert len(ROWS) >= 12
    for row in ROWS:
        for name in re.findall(r"`([^`]+)`", " ".join(row[1:])):
            assert (ROOT / name).exists(), name


@pytest.mark.parametrize(
    "place", ["Visual Splitting", "Semantics Parsing", "Dynamic Merging", "Cross-clip Bridging", "Sec. 3.2"]
)
def test_every_part_of_the_method_is_cited_where_it_is_built(place: str) -> None:
    cited = [f for package in ("model", "graphdb") for f in (ROOT / package).rglob("*.py") if place in f.read_text()]
    assert cited


@pytest.mark.parametrize("prompt_set", prompts.SETS)
def test_every_prompt_names_its_place_its_frames_and_its_reply(prompt_set: str) -> None:
    files = sorted((ROOT / "model" / "prompts" / prompt_set).glob("*.jinja"))
    assert len(files) >= 13
    for file in files:
        head = file.read_text().splitlines()[0]
        assert re.match(r"\{# (Sec\.|App\.|Table) .*Shown: .*Reply: .*#\}", head), file.name


def test_the_compact_set_lacks_only_text_only_extractions() -> None:
    names = {s: {f.name for f in (ROOT / "model" / "prompts" / s).glob("*.jinja")} for s in prompts.SETS}
    missing = names["standard"] - names["compact"]
    assert names["compact"] <= names["standard"]
    assert all("Shown: nothing." in (ROOT / "model" / "prompts" / "standard" / name).read_text() for name in missing)


def test_a_changed_prompt_is_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "model" / "prompts" / "compact", tmp_path / "mine")
    original = prompts.version("compact")
    monkeypatch.setattr(prompts, "files", lambda _: tmp_path)
    version = prompts.version.__wrapped__
    before = version("mine")
    assert before == original and re.fullmatch(r"[0-9a-f]{12}", before)
    (tmp_path / "mine" / "notes.txt").write_text("nothing that is asked")
    assert version("mine") == before
    prompt = tmp_path / "mine" / "parsing_1_1_narrative.jinja"
    prompt.write_text(prompt.read_text() + " ")
    assert version("mine") != before
