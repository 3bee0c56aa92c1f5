"""Models by name: what tells one from another that had its name before, and that it is the one that is then asked."""

import json
import os
import shutil
import uuid
from pathlib import Path
from time import monotonic, sleep

import pytest
from neo4j import Driver

from workers import flows, models
from workers.runtime import Service
from workers.settings import Settings
from workers.storage import Storage

TINY = Path(__file__).parents[2] / "model" / "checkpoints" / "tiny"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TINY, tmp_path / "checkpoint"))


@pytest.fixture
def settings(folder: Path) -> Settings:
    return Settings(models={"mine": f"hf:{folder}"})


@pytest.fixture
def desk(driver: Driver, settings: Settings, tmp_path: Path) -> Service:
    return Service(settings, driver, Storage(str(tmp_path / "files")), lambda *_: None, lambda _: 0)


def rewrite_ways(folder: Path) -> None:
    told = json.loads((folder / "stsg.json").read_text())
    (folder / "stsg.json").write_text(json.dumps(told | {"prompts": "standard"}))


def test_a_folder_is_told_by_what_is_in_it(settings: Settings, folder: Path, tmp_path: Path) -> None:
    first = models.identity(settings, "mine")
    os.utime(folder / "model.safetensors", (0, 0))
    (folder / "logs").mkdir()
    assert models.identity(settings, "mine") == first, "small weights are read, and what lies deeper is not loaded"
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    other = models.identity(settings, "mine")
    assert other != first
    rewrite_ways(folder)
    assert models.identity(settings, "mine") not in (first, other)
    shutil.rmtree(folder)
    assert models.identity(settings, "mine") == f"hf:{folder}", "a folder of another machine's"


def test_large_weights_are_told_by_size_and_time(settings: Settings, folder: Path) -> None:
    large, seen = folder / "model-00002-of-00002.safetensors", set()
    for size, time in ((2**25, 10**9), (2**25, 10**9), (2**25, 10**9 + 1), (2**25 + 1, 10**9 + 1)):
        large.touch()
        os.truncate(large, size)
        os.utime(large, ns=(0, time))
        seen.add(models.identity(settings, "mine"))
    assert len(seen) == 3


def test_names_without_a_folder_are_told_by_their_spec(tmp_path: Path) -> None:
    specs = {
        "hub": "hf:someone/something",
        "served": "openai:http://127.0.0.1:1/v1#x",
        "world": f"scripted:{tmp_path}",
        "etc": "hf:/etc",
    }
    settings = Settings(models=specs)
    assert {name: models.identity(settings, name) for name in specs} == specs
    assert models.identity(settings, "ft:tiny:first:abc") == "ft:tiny:first:abc"


def test_what_an_overwritten_checkpoint_made_is_not_given_again(desk: Service, folder: Path) -> None:
    video = f"vid_{uuid.uuid4().hex}"
    polish = {"steps": {"1": 1}, "polish": {"model": "mine"}}

    def asked() -> list[tuple[str, bool]]:
        begun = (
            flows.start_run(desk, video, "mine", {}, 0),
            flows.start_evaluation(desk, "mine", "world", "direct", 3, 0),
            flows.start_dataset(desk, [video], polish, 0, video),
            flows.start_dataset(desk, [video], {"steps": {"1": 1}}, 0, video),
        )
        return [(job["id"], created) for job, created in begun]

    before, again = asked(), asked()
    assert [id for id, _ in before] == [id for id, _ in again] and not any(created for _, created in again)
    rewrite_ways(folder)
    run, evaluation, polished, plain = (created for _, created in asked())
    assert (run, evaluation, polished, plain) == (True, True, True, False), "the last one asks no model"
    for id in {id for id, _ in (*before, *asked())}:
        flows.cancel(desk, id)
        assert flows.delete_job(desk, id)


def test_a_worker_loads_a_checkpoint_anew_once_it_is_another(desk: Service, folder: Path) -> None:
    first = desk.model("mine")
    assert desk.model("mine") is first and first.prompt_set == "compact"
    rewrite_ways(folder)
    (folder / "config.json").rename(folder / "gone.json")
    with pytest.raises(ValueError, match="can't be loaded"):
        desk.model("mine")
    (folder / "gone.json").rename(folder / "config.json")
    second = desk.model("mine")
    assert second.prompt_set == "standard" and desk.model("mine") is second


def test_a_model_that_is_idle_is_let_go(desk: Service) -> None:
    desk.settings = desk.settings.model_copy(update={"model_idle_seconds": 2})
    with desk.at_work():
        first = desk.model("mine")
        sleep(2.2)
        assert desk.model("mine") is first
    with desk.at_work():  # again before it was idle for long
        assert desk.model("mine") is first
    deadline = monotonic() + 10
    while desk._open and monotonic() < deadline:
        sleep(0.05)
    assert desk._open is None and desk.model("mine") is not first
