"""One sample with all it rests on, and a whole data set checked by a stranger, over real HTTP and on the real Neo4j."""

import io
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from neo4j import Driver

from api.neo4j.pages import path_link
from graphdb import graphs, jobs
from graphdb.connection import write
from graphdb.evidence import path_edges
from graphdb.qra import make_qra
from model.rationale.evaluate import Evaluator
from model.rationale.mix import Mix
from model.rationale.qra import FORMS, Family
from model.rationale.verify import verify
from model.stsg import Attribute, Event, Motion, ObjectNode, Reference, Relation, SceneGraph
from tests.api.conftest import Server
from tests.api.test_cli import stsg
from tests.api.test_problems import problem
from tests.graphdb.rationale_graphs import SMALL, store, stored
from trainer.world.scene import Scene
from trainer.world.truth import truth
from workers.storage import Storage, dataset_file, keyframe_file, trace_file

EDGES: dict[Family, float] = {"attribute": 1, "relation": 1, "motion": 1, "reference": 1}  # whose paths are edges only
HOSTILE = "cup' DETACH DELETE n // \\' \\u0027"  # what a model could call a thing


def thing(id: str, category: str, mark: str, **attributes: str) -> ObjectNode:
    clip = int(id[1])
    told = tuple(Attribute(*pair, (f"asked {id}",)) for pair in attributes.items())
    return ObjectNode(id, category, mark, "static", clip, 2.0 * clip, 2.0 * clip + 2, (), told, 1.0, (f"made {id}",))


MAN, LATER = (thing(f"c0/k{k}/man/0", "man", "tall", mood=mood) for k, mood in ((0, "happy"), (1, "tired")))
THING = thing(f"c0/k0/{HOSTILE}/0", HOSTILE, "", size="small")
BED, AGAIN = thing("c0/k0/bed/0", "bed", "", size="large"), thing("c1/k0/man/0", "man", "tall", size="large")
LAMP = thing("c1/k0/lamp/0", "lamp", "", size="tiny", color="white")
GRAPH = SceneGraph(
    objects=(MAN, LATER, THING, BED, AGAIN, LAMP),
    relations=(
        Relation(LATER.id, "next to", BED.id, 0, 0, 2, evidence=("related",)),
        Relation(LATER.id, "left of", BED.id, 0, 0, 2, evidence=("related",)),
        Relation(THING.id, "above", BED.id, 0, 0, 2, evidence=("related",)),
        Relation(AGAIN.id, "left of", LAMP.id, 1, 2, 4, evidence=("related",)),
    ),
    motions=(Motion(MAN.id, LATER.id, "jumping on", "bed", 0, 0, 2, 1.0, ("moved",)),),
    references=(Reference(MAN.id, AGAIN.id, 1.0, ("linked",)),),
    events=(Event(0, "a man jumps on a bed", 0, 2), Event(1, "a man stands about", 2, 4)),
)


def graph_of(video: str) -> SceneGraph:
    """The graph as one of a video, whose clips have a keyframe each."""
    return replace(GRAPH, objects=tuple(replace(o, keyframes=(f"{video}:{o.clip:09d}",)) for o in GRAPH.objects))


def exchange(id: str, video: str) -> dict[str, Any]:
    """A row of a trace."""
    told = {"exchange": id, "step": "parse", "model": "hf:tiny", "prompts": "compact", "text": f"What is “{id}”?"}
    return told | {"frames": [f"{video}:000000000"], "choices": [], "reply": f"It is {id}.\n", "scores": []}


@dataclass
class Made:
    """A finished data set and its rows."""

    dataset: str
    run: str
    rows: list[dict[str, Any]]

    def path(self, row: dict[str, Any]) -> str:
        return f"/v1/qra-datasets/{self.dataset}/rows/{row['id']}"


@pytest.fixture
def made(server: Server, driver: Driver, run_id: str, video_id: str) -> Iterator[Made]:
    """A run with its graph, traces and keyframes, and a data set from it, as the service leaves them."""
    files = Storage(server.settings.storage_url)
    store(driver, run_id, graph_of(video_id), video_id)
    jobs.create(driver, "Run", run_id, video_id=video_id, model="tiny", seed=0, params={"model": "tiny", "options": {}, "seed": 0}, stage="induce")  # fmt: skip
    objects = [f"{verb} {o.id}" for o in GRAPH.objects for verb in ("made", "asked")]
    files.write_rows(trace_file(run_id, "clip-0"), [exchange(id, video_id) for id in [*objects, "related", "stray"]])
    files.write_rows(trace_file(run_id, "bridge"), [exchange(id, video_id) for id in ("about linked", "linked")])
    for number in range(2):
        files.write(keyframe_file(run_id, f"{video_id}:{number:09d}"), f"picture {number}".encode())
    rows = [q.to_row() for q in make_qra(driver, [run_id], Mix({1: 12, 2: 12, 3: 12, 4: 6}, EDGES), seed=1)]
    dataset = f"qra_{uuid.uuid4().hex[:24]}"
    jobs.create(driver, "QraDataset", dataset, name="", seed=1, params={"runs": [run_id], "steps": {"1": 12}, "seed": 1}, stage="qra")  # fmt: skip
    files.write_rows(dataset_file(dataset), rows)
    held = jobs.acquire(driver, dataset, "test", 60)
    assert held
    jobs.finish(driver, held[0], "succeeded", result={"count": len(rows)})
    yield Made(dataset, run_id, rows)
    jobs.delete(driver, dataset)


def cypher_of(link: str) -> str:
    return parse_qs(urlsplit(link).query)["arg"][0]


def drawn(driver: Driver, cypher: str) -> tuple[set[str], list[str]]:
    """The ids of the nodes and edges that a query of paths returns."""
    with driver.session() as session:
        paths = [record["p"] for record in session.run(cypher)]
    return {n["id"] for p in paths for n in p.nodes}, sorted(r["id"] for p in paths for r in p.relationships)


def ends(run: str, edge: dict[str, str]) -> set[str]:
    to = f"{edge['from']}/{edge['type']}={edge['value']}" if edge["kind"] == "ATTRIBUTE" else edge["to"]
    return {f"{run}/{edge['from']}", f"{run}/{to}"}


def test_every_row_comes_with_its_evidence(api: httpx.Client, made: Made) -> None:
    kinds = {edge["kind"] for row in made.rows for edge in row["path"]}
    assert kinds == {"ATTRIBUTE", "RELATION", "MOTION", "REFERENCE"}
    for row in made.rows:
        reply = api.get(made.path(row))
        assert reply.status_code == 200, reply.text
        body = reply.json()
        assert {k: v for k, v in body.items() if k in row} == row | {"keyframes": body["keyframes"]}
        assert [frame["id"] for frame in body["keyframes"]] == row["keyframes"] != []
        pictures = [api.get(frame["url"]).text for frame in body["keyframes"]]
        assert pictures == [f"picture {int(id[-9:])}" for id in row["keyframes"]]
        assert [e["id"] for e in body["exchanges"]] == [id for id in row["evidence"] if id != "moved"]
        assert body["missing"] == [id for id in row["evidence"] if id == "moved"], "of this one there is no trace"
        for told in body["exchanges"]:
            kept = exchange(told["id"], row["video_id"])
            assert told["prompt"] == kept["text"] and told["reply"] == kept["reply"]
            assert (told["step"], told["model"]) == ("parse", "hf:tiny")
            assert [frame["id"] for frame in told["frames"]] == kept["frames"]


def test_the_link_draws_exactly_the_path(api: httpx.Client, driver: Driver, made: Made) -> None:
    named = 0
    for row in made.rows:
        cypher = cypher_of(api.get(made.path(row)).json()["browser_url"])
        nodes, edges = drawn(driver, cypher)
        assert nodes == set().union(*(ends(made.run, edge) for edge in row["path"]))
        assert len(edges) == len(set(edges)) == len(row["path"])
        kinds = sorted(edge["kind"].lower() for edge in row["path"])
        assert sorted(id.removeprefix(f"{made.run}/").split("/")[0] for id in edges) == kinds
        words = re.sub(r"[0-9a-f]{16,}", "", cypher)  # what is left beside ids, which may read like words
        assert "DETACH" not in words and "bed" not in words, "no word of the model gets into the query"
        named += any(HOSTILE in told for edge in row["path"] for told in edge.values())
    assert named, "some path leads over the thing with the hostile name"


def test_a_path_from_an_event_is_drawn_too(driver: Driver, made: Made) -> None:
    rows = [qra.to_row() for qra in make_qra(driver, [made.run], Mix({1: 2, 2: 4}, {"event": 1}), seed=1)]
    starting = [row for row in rows if row["path"][0]["kind"] == "EVENT"]
    assert starting
    for row in starting:
        edges = path_edges(driver, made.run, row["path"])
        link = path_link("http://127.0.0.1:7474", "bolt://127.0.0.1:7687", "neo4j", edges)
        assert drawn(driver, cypher_of(link))[1] == sorted(set(edges))


def test_the_link_finds_its_edges_by_index(driver: Driver, made: Made, api: httpx.Client) -> None:
    row = max(made.rows, key=lambda row: len({edge["kind"] for edge in row["path"]}))
    cypher = cypher_of(api.get(made.path(row)).json()["browser_url"])
    with driver.session() as session:
        plan = str(session.run(f"EXPLAIN {cypher}").consume().plan)
    assert "IndexSeek" in plan and "Scan" not in plan


@pytest.mark.parametrize(
    "id",
    ["", "run_1/relation/0123", "run_1/relation/" + "0" * 16 + "'", "run_1/x'/relation/" + "0" * 16, "r/video/" + "0" * 16,
     "run_1/relation/" + "0" * 16 + "\n"],
)  # fmt: skip
def test_only_ids_of_edges_get_into_the_query(id: str) -> None:
    with pytest.raises(ValueError, match="not the id"):
        path_link("http://127.0.0.1:7474", "bolt://127.0.0.1:7687", "neo4j", ["run_1/motion/" + "a" * 16, id])


def test_what_is_not_there_is_told(api: httpx.Client, driver: Driver, made: Made) -> None:
    for id in ("qra_" + "0" * 24, made.rows[0]["question"][:20], ".*"):
        problem(api.get(f"/v1/qra-datasets/{made.dataset}/rows/{id}"), 404, "row_not_found")
    problem(api.get(f"/v1/qra-datasets/qra_nobody/rows/{made.rows[0]['id']}"), 404, "qra_dataset_not_found")
    waiting, _ = jobs.create(driver, "QraDataset", f"{made.dataset}_2", name="", seed=1, params={"runs": [], "steps": {}, "seed": 1}, stage="qra")  # fmt: skip
    problem(api.get(f"/v1/qra-datasets/{waiting['id']}/rows/{made.rows[0]['id']}"), 409, "dataset_not_ready")
    jobs.cancel(driver, waiting["id"])
    jobs.delete(driver, waiting["id"])


def test_a_row_outlives_its_run(server: Server, api: httpx.Client, driver: Driver, made: Made) -> None:
    graphs.delete_graph(driver, made.run)
    Storage(server.settings.storage_url).delete(f"runs/{made.run}")
    body = api.get(made.path(made.rows[0])).json()
    assert body["browser_url"] is None and body["exchanges"] == [] and body["missing"] == made.rows[0]["evidence"]


def test_the_tokens_of_a_closed_service_are_wanted_here_too(closed: Server, made: Made) -> None:
    with httpx.Client(base_url=closed.url) as stranger:
        assert stranger.get(made.path(made.rows[0])).status_code == 401


def verified(*words: str, url: str) -> tuple[int, dict[str, Any]]:
    done = stsg("qra", "verify", *words, "--json", STSG_API_URL=url)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout or "{}")


def test_anyone_can_verify_an_export_and_a_graph_edited_by_hand_is_caught(
    server: Server, api: httpx.Client, driver: Driver, made: Made, tmp_path: Path
) -> None:
    export, kept = tmp_path / "rows.jsonl", tmp_path / f"{made.run}.jsonl"
    export.write_bytes(api.get(f"/v1/qra-datasets/{made.dataset}/export").content)
    kept.write_bytes(api.get(f"/v1/graphs/{made.run}/export").content)
    nobody = "http://127.0.0.1:1"
    good = {"file": str(export), "rows": len(made.rows), "runs": 1, "findings": {}, "first": []}
    assert verified(str(export), url=server.url) == (0, good)
    assert verified(str(export), "--graphs", str(tmp_path), url=nobody) == (0, good)

    told = next(r for r in made.rows if (r["form"], r["path"][0]["kind"], r["path"][0].get("value")) == ("open", "ATTRIBUTE", r["answer"]))  # fmt: skip
    edge, answer = told["path"][0], told["answer"]
    said = "MATCH (:Object {id: $id})-[:ATTRIBUTE]->(a {type: $type}) SET a.value = 'vast', a.name = 'vast'"
    write(driver, lambda tx: tx.run(said, id=f"{made.run}/{edge['from']}", type=edge["type"]).consume())
    asked = [n for n, r in enumerate(made.rows, 1) if (r["form"], r["answer"], r["path"][0]) == ("open", answer, edge)]
    code, report = verified(str(export), url=server.url)
    assert code == 1 and asked and {"no_answer", "wrong_answer"} >= set(report["findings"])
    assert set(asked) <= {found["line"] for found in report["first"] if found["reason"] == "wrong_answer"}
    assert verified(str(export), "--graphs", str(tmp_path), url=nobody) == (0, good), "what was kept is as it was"


def test_a_clip_that_lost_its_event_is_still_a_clip(
    server: Server, api: httpx.Client, driver: Driver, made: Made, tmp_path: Path
) -> None:
    """Real models leave clips without an event; only what is asked by the event has no answer then."""
    lost = "MATCH ()-[r:EVENT {graph_id: $id}]->(:Clip {index: 1}) DELETE r"
    write(driver, lambda tx: tx.run(lost, id=made.run).consume())
    export = tmp_path / "rows.jsonl"
    export.write_bytes(api.get(f"/v1/qra-datasets/{made.dataset}/export").content)
    asked = [row for row in made.rows if row["program"][0].get("description") == "a man stands about"]
    _, report = verified(str(export), url=server.url)
    assert report["findings"] == {"no_answer": len(asked)} and asked


@pytest.mark.timeout(300)
def test_no_sample_of_the_service_is_found_wanting(driver: Driver) -> None:
    """Samples of every family and form, from rendered worlds and from a graph in a model's freer words."""
    held = {f"run_verified_{seed}": truth(Scene.generate(seed)) for seed in range(4)} | {"run_verified_small": SMALL}
    with stored(driver, held):
        rows = [q.to_json() for q in make_qra(driver, list(held), Mix(dict.fromkeys(range(1, 6), 40)), seed=3)]
        report = verify(io.BytesIO("\n".join(rows).encode()), lambda run: Evaluator(graphs.load_graph(driver, run)))
    assert report.first == [] and (report.rows, report.runs) == (len(rows), len(held))
    assert {json.loads(row)["form"] for row in rows} == set(FORMS)


def test_what_cannot_be_verified_is_told_and_nothing_crashes(server: Server, made: Made, tmp_path: Path) -> None:
    export = tmp_path / "rows.jsonl"
    strange = [made.rows[0] | {"run_id": id} for id in ("run_nobody", "../rows", "a/b", "[red]\x1b[31m")]
    lines = [json.dumps(row).encode() for row in strange]
    export.write_bytes(b"\n".join([b"\x1b]0;{", *lines]))
    expected = {"malformed": 1, "unknown_run": 4, "bad_id": 4}
    code, report = verified(str(export), url=server.url)
    assert (code, report["findings"]) == (1, expected)
    (tmp_path / "run_nobody.jsonl").write_text('{"kind": "node"}\n')
    code, report = verified(str(export), "--graphs", str(tmp_path), url="http://127.0.0.1:1")
    assert (code, report["findings"]) == (1, expected)
    assert [f["line"] for f in report["first"]] == [1, 2, 2, 3, 3, 4, 4, 5, 5]
    shown = stsg("qra", "verify", str(export), STSG_API_URL=server.url)
    assert shown.returncode == 1 and "unknown_run" in shown.stdout and "\x1b" not in shown.stdout
    away = stsg("qra", "verify", str(export), STSG_API_URL="http://127.0.0.1:1")
    assert away.returncode == 1 and "stsg up" in away.stderr and "Traceback" not in away.stderr
