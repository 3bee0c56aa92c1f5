"""Evaluations over HTTP: asked, compared, told again from the kept replies, and what is refused."""

import json
from pathlib import Path

import httpx
import pytest

from api.client import Client, ServiceError
from tests.api.test_cli import stsg
from tests.api.test_problems import problem
from trainer.evaluation.report import Report, told

SAMPLES = 9


def _asked(client: Client, model: str, mode: str) -> str:
    begun = client.post("/v1/evaluations", {"model": model, "mode": mode, "samples": SAMPLES})
    done = client.until_final(f"/v1/evaluations/{begun['id']}")
    assert (done["state"], done["done"], done["total"]) == ("succeeded", SAMPLES, SAMPLES), done["error"]
    return str(done["id"])


@pytest.fixture(scope="module")
def ids(service: Client) -> list[str]:
    """Of the perfect model directly and through the rationale, and of the tiny one."""
    return [_asked(service, *told) for told in (("perfect", "direct"), ("perfect", "rationale"), ("tiny", "direct"))]


@pytest.mark.timeout(600)
def test_the_perfect_model_is_right_in_both_modes_and_the_tiny_one_runs(service: Client, ids: list[str]) -> None:
    for id in ids[:2]:
        scores = service.get(f"/v1/evaluations/{id}")["scores"]
        assert {part: (s["accuracy"], s["blind"], s["count"]) for part, s in scores.items()} == {
            part: (1.0, 0.0, count) for part, count in (("1", 3), ("2", 3), ("3+", 3), ("all", SAMPLES))
        }
        assert scores["all"]["asked_after"] == 0
    report = service.get(f"/v1/evaluations/{ids[0]}/report", against=ids[1:])
    assert [m["name"] for m in report["models"]] == ["perfect", "perfect (rationale)", "tiny"]
    assert len(report["comparisons"]) == 3 * 4
    plot = b"".join(service.blocks(f"/v1/evaluations/{ids[0]}/report?against={ids[2]}&format=svg"))
    assert plot.startswith(b"<svg") and b"tiny" in plot
    assert {e["id"] for e in service.pages("/v1/evaluations")} >= set(ids)


@pytest.mark.timeout(600)
def test_worlds_with_held_out_combinations_are_a_benchmark_of_their_own(service: Client) -> None:
    begun = service.post("/v1/evaluations", {"model": "perfect", "benchmark": "world-composition", "samples": 3})
    done = service.until_final(f"/v1/evaluations/{begun['id']}")
    assert (done["state"], done["scores"]["all"]["accuracy"]) == ("succeeded", 1.0), done["error"]
    asked = [row["video_id"] for row in service.lines(f"/v1/evaluations/{done['id']}/results")]
    assert len(asked) == 3 and all(video.startswith("world-composition-") for video in asked)


def test_a_report_is_told_again_from_the_kept_replies_with_no_model(service: Client, ids: list[str]) -> None:
    kept = [list(service.lines(f"/v1/evaluations/{id}/results")) for id in (ids[0], ids[2])]
    asked = {exchange["text"] for row in kept[1] for exchange in row["seen"]}
    assert len(asked) == SAMPLES and all(row["correct"] for row in kept[0])
    report = service.get(f"/v1/evaluations/{ids[0]}/report", against=[ids[2]])
    again = told([Report.of("perfect", kept[0]), Report.of("tiny", kept[1])])
    assert json.loads(json.dumps(again)) == {key: report[key] for key in again}


def test_models_are_compared_on_the_command_line(service: Client, ids: list[str], tmp_path: Path) -> None:
    words = ("evaluate", "world", "--model", "perfect", "--model", "tiny", "--samples", str(SAMPLES))
    done = stsg(*words, "--plot", str(tmp_path / "plot.svg"), STSG_API_URL=service.url)
    assert done.returncode == 0, done.stderr
    assert (
        "McNemar" in done.stdout and "perfect" in done.stdout and (tmp_path / "plot.svg").read_text().startswith("<svg")
    )
    machine = json.loads(stsg(*words, "--json", STSG_API_URL=service.url).stdout)
    assert machine["evaluations"] == [ids[0], ids[2]], "what was asked before is not asked again"
    wrong = stsg(*words, "--model", "nobody", STSG_API_URL=service.url)
    assert wrong.returncode == 1 and "nobody" in wrong.stderr and "Traceback" not in wrong.stderr


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"model": "nobody"}, "model"),
        ({"benchmark": "nothing"}, "benchmark"),
        ({"benchmark": "../world"}, "benchmark"),
        ({"samples": 1_000_000}, "samples"),
        ({"samples": 0}, "samples"),
        ({"samples": "9"}, "samples"),
        ({"mode": "guess"}, "mode"),
        ({"moed": "direct"}, "moed"),
    ],
)
def test_bad_requests_name_the_field_and_the_remedy(api: httpx.Client, body: dict, field: str) -> None:
    told = problem(api.post("/v1/evaluations", json=body), 422, "invalid_request")
    assert [e["field"] for e in told["errors"]] == [field]


def test_an_evaluation_that_waits_has_no_report_and_is_compared_with_its_own_questions_only(
    api: httpx.Client, service: Client, ids: list[str]
) -> None:
    one = api.post("/v1/evaluations", json={"samples": 4})
    assert one.status_code == 202 and one.headers["location"] == f"/v1/evaluations/{one.json()['id']}"
    assert api.post("/v1/evaluations", json={"samples": 4}).status_code == 200
    id = one.json()["id"]
    problem(api.get(f"/v1/evaluations/{id}/report"), 409, "evaluation_not_ready")
    problem(api.delete(f"/v1/evaluations/{id}"), 409, "evaluation_at_work")
    assert api.get(f"/v1/evaluations/{id}/results").text == ""
    problem(api.get(f"/v1/runs/{id}"), 404, "run_not_found")
    assert api.post(f"/v1/evaluations/{id}/cancel").json()["state"] == "cancelled"
    problem(api.post(f"/v1/evaluations/{id}/cancel"), 409, "evaluation_has_ended")
    assert api.post(f"/v1/evaluations/{id}/retry").json()["state"] == "queued"
    api.post(f"/v1/evaluations/{id}/cancel")
    assert api.delete(f"/v1/evaluations/{id}").status_code == 204
    problem(api.get(f"/v1/evaluations/{id}"), 404, "evaluation_not_found")
    other = service.post("/v1/evaluations", {"model": "perfect", "samples": 3})
    service.until_final(f"/v1/evaluations/{other['id']}")
    with pytest.raises(ServiceError, match="other questions"):
        service.get(f"/v1/evaluations/{ids[0]}/report", against=[other["id"]])
