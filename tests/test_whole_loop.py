"""The main job through the real service: HTTP, broker, worker, Neo4j; with the perfect model and with the tiny one."""

import json
from pathlib import Path
from typing import Any

import pytest

from api.cli import questions
from api.client import Client
from api.scoring import exported_graph
from model.rationale.qra import FAMILIES
from tests.real_videos import PARTS, REAL, join
from trainer.world.files import Rendered, load_scene, render_with_truth
from trainer.world.score import KINDS, Score, chance, score, total
from trainer.world.truth import truth

PERFECT, TINY = 50, 8


@pytest.fixture(scope="module")
def rendered(world: Path) -> list[Rendered]:
    return [render_with_truth(seed, world, uneven=True) for seed in range(PERFECT)]


@pytest.fixture(scope="module")
def client(service: Client) -> Client:
    return service


def induced(client: Client, videos: list[Rendered], model: str) -> list[str]:
    """The runs of some videos, all succeeded."""
    sent = [client.upload(v.video, process="true", model=model)["run"]["id"] for v in videos]
    runs = [client.until_final(f"/v1/runs/{run}") for run in sent]
    assert {r["state"] for r in runs} == {"succeeded"}, [r["error"] for r in runs if r["error"]]
    return sent


def scores(client: Client, runs: list[str], videos: list[Rendered]) -> dict[str, Score]:
    return total(score(exported_graph(client, run), truth(v.scene)) for run, v in zip(runs, videos, strict=True))


@pytest.fixture(scope="module")
def perfect(client: Client, rendered: list[Rendered]) -> list[str]:
    return induced(client, rendered[:PERFECT], "perfect")


@pytest.mark.timeout(900)
def test_a_perfect_model_gives_perfect_graphs(client: Client, perfect: list[str], rendered: list[Rendered]) -> None:
    found = scores(client, perfect, rendered[:PERFECT])
    assert {kind: (s.precision, s.recall) for kind, s in found.items()} == dict.fromkeys(KINDS, (1.0, 1.0))


@pytest.mark.timeout(900)
def test_every_exported_answer_is_the_answer_on_the_true_world(
    client: Client, perfect: list[str], rendered: list[Rendered]
) -> None:
    told = questions.checked(client, list(zip(rendered[:25], perfect[:25], strict=True)), 360, seed=3)
    assert told["findings"] == {"exported graphs": {}, "true graphs": {}} and told["missing"] == {}
    assert told["by_steps"] == {str(n): 60 for n in range(1, 7)} and set(told["by_family"]) == set(FAMILIES)
    rows = list(client.lines(f"/v1/qra-datasets/{told['id']}/export"))
    assert len({row["id"] for row in rows}) == len(rows) == 360
    paged = list(client.pages(f"/v1/qra-datasets/{told['id']}/rows", limit=100))[:150]
    assert paged == rows[:150]
    kept = client.lines(f"/v1/graphs/{rows[0]['run_id']}/export")
    begins = sorted(node["properties"]["t_start"] for node in kept if "Clip" in node.get("labels", ()))
    assert rows[0]["clips"] == pytest.approx(begins, abs=1e-3) and len(begins) > 1
    assert all(len(row["rationale"]) == row["steps"] for row in rows)


def test_the_same_request_gives_the_same_bytes_and_a_second_run_the_same_graph(
    client: Client, perfect: list[str], rendered: list[Rendered], world: Path
) -> None:
    def export(name: str) -> bytes:
        body = {"runs": perfect[:5], "steps": {"2": 20, "3": 20}, "seed": 5, "name": name}
        made = client.until_final(f"/v1/qra-datasets/{client.post('/v1/qra-datasets', body)['id']}")
        return b"".join(client.blocks(f"/v1/qra-datasets/{made['id']}/export"))

    assert export("once") == export("again")
    again = client.upload(rendered[0].video, process="true", model="perfect")
    assert again["run"]["id"] == perfect[0]
    extra = render_with_truth(PERFECT, world, uneven=True)
    [run] = induced(client, [extra], "perfect")
    before = list(client.lines(f"/v1/graphs/{run}/export"))
    client.delete(f"/v1/runs/{run}")
    assert induced(client, [extra], "perfect") == [run]
    assert list(client.lines(f"/v1/graphs/{run}/export")) == before


@pytest.mark.timeout(900)
def test_the_tiny_model_sees_objects_and_attributes_of_held_out_worlds(
    client: Client, rendered: list[Rendered]
) -> None:
    shown = rendered[:TINY]
    found = scores(client, induced(client, shown, "tiny"), shown)
    guessed = chance(truth(v.scene) for v in shown)
    assert found["objects"].f1 >= 0.95 and found["attributes"].f1 >= 0.90
    assert all(found[kind].f1 >= 0.9 > guessed[kind].f1 for kind in KINDS), found


@pytest.mark.timeout(600)
def test_real_videos_go_through_every_stage(client: Client, tmp_path: Path) -> None:
    """The tiny model knows nothing of what it sees here, so this is about clips, keyframes and bookkeeping."""
    files = [*REAL.values(), join(tmp_path / "joined.mp4")]
    sent = [client.upload(file, process="true", model="tiny") for file in files]
    clips = []
    for video in sent:
        run = client.until_final(f"/v1/runs/{video['run']['id']}")
        assert run["state"] == "succeeded", run["error"]
        rows = list(client.lines(f"/v1/graphs/{run['id']}/export"))
        kinds = [row.get("labels", [row.get("type")])[0] for row in rows]
        assert kinds.count("EVENT") == kinds.count("Clip")
        frames = client.get(f"/v1/videos/{video['id']}/keyframes")["data"]
        pictures = {b"".join(client.blocks(frame["url"])) for frame in frames}
        assert len(pictures) == len(frames) == kinds.count("Keyframe") >= 2 * kinds.count("Clip")
        clips.append(kinds.count("Clip"))
    assert clips[-1] == len(PARTS)


def test_the_truth_on_disk_is_the_scene(rendered: list[Rendered]) -> None:
    assert load_scene(rendered[0].truth) == rendered[0].scene
    data: dict[str, Any] = json.loads(rendered[0].truth.read_text())
    assert Path(rendered[0].truth).stem == rendered[0].video_id and data["split"] == "test"
