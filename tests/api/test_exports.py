"""Exports of a QRA data set over real HTTP, each opened with what it is made for."""

import gzip
import io
import itertools
import json
import socket
import tarfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import cv2
import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from neo4j import Driver

from api.card import Examples
from api.routes import qra
from graphdb import jobs
from model.rationale.formats import FORMATS, examples, from_row, keyframe_path, media_of, split_of, video_path
from tests.api.conftest import Server
from tests.api.test_cli import stsg
from tests.api.test_problems import problem
from tests.model.test_formats import sample
from workers.storage import Storage, dataset_file, keyframe_file, manifest_file, video_file

ROWS = [sample(f"vid_{number % 20}", number) for number in range(60)]
SHARE, SEED = 0.3, 5


@pytest.fixture(scope="module")
def dataset(server: Server, driver: Driver) -> Iterator[str]:
    """A finished data set of twenty videos."""
    id = f"qra_{uuid.uuid4().hex[:24]}"
    params = {"runs": ["run_1"], "steps": {"2": 60}, "seed": SEED}
    jobs.create(driver, "QraDataset", id, name='it\'s: "mine"\n---', seed=SEED, params=params, stage="qra")
    Storage(server.settings.storage_url).write_rows(dataset_file(id), iter(ROWS))
    made = {"id": "run_1", "result": {"model": "seer", "prompts": "compact 1234"}}
    Storage(server.settings.storage_url).write_json(manifest_file(id), {"id": id, "runs": [made]})
    held = jobs.acquire(driver, id, "test", 60)
    assert held
    blind = {"relation": {"open": {"tried": 60.0, "guessed": 0.25, "chance": 0.2}}}
    told = {"count": len(ROWS), "wanted": {"2": 60, "4": 7}, "by_steps": {"2": 60, "4": 0}, "blind": blind}
    jobs.finish(driver, held[0], "succeeded", result=told)
    yield id
    jobs.delete(driver, id)


def get(api: httpx.Client, dataset: str, headers: dict[str, str] | None = None, **wanted: Any) -> httpx.Response:
    return api.get(f"/v1/qra-datasets/{dataset}/export", params=wanted, headers=headers)


def of_split(split: str, share: float = SHARE) -> list[dict[str, Any]]:
    return [row for row in ROWS if split_of(row["video_id"], SEED, share) == split]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("split", ["train", "validation"])
def test_trainers_get_the_rows_of_a_split(api: httpx.Client, dataset: str, name: str, split: str) -> None:
    reply = get(api, dataset, format=name, split=split, validation=SHARE)
    assert reply.status_code == 200 and dataset in reply.headers["content-disposition"]
    rows = reply.json() if FORMATS[name].array else [json.loads(line) for line in reply.text.splitlines()]
    wanted = [e for row in of_split(split) for e in examples(row, FORMATS[name].visuals[0])]
    key = [(e.id, e.part, e.question, e.target, e.video) for e in wanted]
    assert [(e.id, e.part, e.question, e.target, e.video) for e in (from_row(r, name) for r in rows)] == key
    assert 0 < len(of_split("validation")) < len(ROWS)


def test_rationales_can_be_left_out_and_an_empty_array_is_one(api: httpx.Client, dataset: str) -> None:
    rows = get(api, dataset, format="llava", rationales=False).json()
    assert [row["id"] for row in rows] == [row["id"] for row in ROWS]
    assert get(api, dataset, format="llava", split="validation", validation=0).json() == []
    [first, *_] = get(api, dataset, format="llava", tell_times=False).json()
    assert first["conversations"][0]["value"].startswith("<video>\nWhat is “left”"), "nor is it told when clips begin"


def test_plain_jsonl_is_the_stored_file_and_a_split_has_its_lines(
    server: Server, api: httpx.Client, dataset: str
) -> None:
    stored = Storage(server.settings.storage_url).read(dataset_file(dataset))
    whole = get(api, dataset)
    assert whole.content == stored and whole.headers["etag"] == f'"{dataset}"'
    assert get(api, dataset, {"Range": "bytes=10-19"}, format="jsonl", split="all").content == stored[10:20]
    halves = [get(api, dataset, split=split).content.splitlines() for split in ("train", "validation")]
    assert sorted(halves[0] + halves[1]) == sorted(stored.splitlines()) and all(halves)


def test_a_stream_is_packed_for_who_wants_it(api: httpx.Client, dataset: str) -> None:
    path = f"/v1/qra-datasets/{dataset}/export?format=videochat2"

    def raw(accepted: str) -> tuple[str | None, bytes]:
        with api.stream("GET", path, headers={"Accept-Encoding": accepted}) as reply:
            assert reply.headers["vary"] == "Accept-Encoding"
            return reply.headers.get("content-encoding"), b"".join(reply.iter_raw())

    (packing, packed), (_, plain), (refused, _) = raw("br, gzip;q=0.5"), raw("identity"), raw("gzip;q=0.0, br")
    assert (packing, refused) == ("gzip", None)
    assert gzip.decompress(packed) == plain and len(packed) * 3 < len(plain)


def test_parquet_holds_the_samples_and_is_built_once(server: Server, api: httpx.Client, dataset: str) -> None:
    first = get(api, dataset, format="parquet")
    rows = pq.read_table(io.BytesIO(first.content)).to_pylist()
    assert [row.pop("video") for row in rows] == [f"videos/{row['video_id']}.mp4" for row in ROWS]
    assert {row.pop(key) for row in rows for key in ("template", "blind")} == {None}  # nothing was done to these
    assert [row | {k: json.loads(row[k]) for k in ("path", "program")} for row in rows] == ROWS
    files = server.files()
    assert f"files/qra/{dataset}/exports/all.parquet" in files and not [f for f in files if f.startswith("scratch")]
    assert get(api, dataset, {"If-None-Match": first.headers["etag"]}, format="parquet").status_code == 304
    part = get(api, dataset, {"Range": "bytes=-4"}, format="parquet")
    assert (part.status_code, part.content, server.files()) == (206, b"PAR1", files)
    held = get(api, dataset, format="parquet", split="validation", validation=SHARE)
    assert pq.read_table(io.BytesIO(held.content))["id"].to_pylist() == [row["id"] for row in of_split("validation")]
    assert held.headers["etag"] != first.headers["etag"]


def test_datasets_opens_the_folder(api: httpx.Client, dataset: str, tmp_path: Path) -> None:
    def opened(share: float) -> Any:
        packed = get(api, dataset, format="hf", validation=share).content
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            tar.extractall(tmp_path / str(share), filter="data")
        return load_dataset(str(tmp_path / str(share) / dataset), cache_dir=str(tmp_path / "cache"))

    found = opened(SHARE)
    assert {split: rows["id"][:] for split, rows in found.items()} == {
        split: [row["id"] for row in of_split(split)] for split in ("train", "validation")
    }
    assert found["train"][0]["rationale"] == of_split("train")[0]["rationale"]
    assert set(opened(0)) == {"train"}
    card = (tmp_path / str(SHARE) / dataset / "README.md").read_text()
    assert "seer (prompts compact 1234)" in card and card.count("    Q (2): ") == card.count("    A: ") == 10
    assert "| steps, fewer than wanted | 4 | 7 |" in card and "| relation | open | 60 | 0.250 | 0.200 |" in card


def test_the_examples_of_a_card_are_of_all_families_and_forms() -> None:
    cells = [
        (n, family, form) for n in (1, 2) for family in ("event", "motion") for form in ("choice", "open", "yes_no")
    ]
    rows = [ROWS[0] | {"steps": n, "family": family, "form": form} for n, family, form in cells for _ in range(40)]
    found = Examples()
    assert list(found.of(rows)) == rows
    counted = Counter((row["steps"], row["family"], row["form"]) for row in found.chosen())
    assert set(counted) == set(cells)
    assert [sum(count for cell, count in counted.items() if cell[0] == n) for n in (1, 2)] == [10, 10]
    assert max(counted.values()) == 2
    few = Examples()
    assert list(few.of(ROWS[:3])) == few.chosen() == ROWS[:3]


@pytest.mark.parametrize(
    ("wanted", "field"),
    [({"format": "csv"}, "format"), ({"split": "test"}, "split"), ({"validation": 1.5}, "validation"), ({"splt": "train"}, "splt")],
)  # fmt: skip
def test_a_wrong_wish_is_named(api: httpx.Client, dataset: str, wanted: dict[str, Any], field: str) -> None:
    body = problem(get(api, dataset, **wanted), 422, "invalid_request")
    assert [e["field"] for e in body["errors"]] == [field]
    if field == "format":
        assert all(f"'{name}'" in body["detail"] for name in (*FORMATS, "jsonl", "parquet", "hf"))


def test_the_command_writes_what_is_asked_for(server: Server, dataset: str, tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    words = ["--format", "sharegpt", "--split", "train", "--validation", str(SHARE), "--no-rationales", "--json"]
    done = stsg("qra", "export", dataset, str(file), *words, STSG_API_URL=server.url)
    told = json.loads(done.stdout)
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["id"] for row in rows] == [row["id"] for row in of_split("train")]
    assert told["bytes"] == file.stat().st_size and told["dataset_info"][dataset]["file_name"] == "train.jsonl"


@pytest.fixture
def pictured(server: Server, dataset: str) -> Iterator[None]:
    """The media that the rows name."""
    files = Storage(server.settings.storage_url)
    names = {keyframe_file(r["run_id"], k): k.encode() for r in ROWS for k in r["keyframes"]}
    names |= {video_file(r["video_id"]): r["video_id"].encode() for r in ROWS}
    png = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
    for name, content in names.items():
        files.write(name, png if name.endswith(".png") else content)
    yield
    for name in names:
        files.delete(name)


@pytest.mark.parametrize(
    "wanted",
    [
        {"format": "jsonl"},
        {"format": "llava"},
        {"format": "sharegpt", "visual": "frames"},
        {"format": "trl"},
        {"format": "hf"},
    ],
    ids=lambda w: w["format"],
)
def test_a_tar_holds_the_rows_and_what_they_name(
    api: httpx.Client, dataset: str, pictured: None, wanted: dict[str, str]
) -> None:
    reply = get(api, dataset, media="tar", split="train", validation=SHARE, **wanted)
    assert reply.status_code == 200 and int(reply.headers["content-length"]) == len(reply.content)
    assert reply.content == get(api, dataset, media="tar", split="train", validation=SHARE, **wanted).content
    with tarfile.open(fileobj=io.BytesIO(reply.content)) as tar:
        held = {m.name.removeprefix(f"{dataset}/"): tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]
    media = {name for name in held if name.startswith(("videos/", "keyframes/"))}
    rows = of_split("train")
    frames = {keyframe_path(r["run_id"], k) for r in rows for k in r["keyframes"]}
    videos = {video_path(r["video_id"]) for r in rows}
    assert media == (frames if wanted["format"] == "trl" or "visual" in wanted else videos)
    if wanted["format"] in FORMATS:
        [text] = [content for name, content in held.items() if name.startswith("rows.")]
        made = json.loads(text) if FORMATS[wanted["format"]].array else list(map(json.loads, text.splitlines()))
        assert {path for row in made for path in media_of(row)} == media
    told = json.loads(held.get("dataset_info.json", b"{}"))
    assert [(e["file_name"], "images" in e["columns"]) for e in told.values()] == (
        [("rows.jsonl", True)] if wanted["format"] == "sharegpt" else []
    )


def test_pictures_lie_in_the_rows_where_they_are_wanted(
    api: httpx.Client, dataset: str, pictured: None, tmp_path: Path
) -> None:
    with tarfile.open(
        fileobj=io.BytesIO(get(api, dataset, format="hf", media="embedded", validation=SHARE).content)
    ) as tar:
        tar.extractall(tmp_path, filter="data")
    opened = load_dataset(str(tmp_path / dataset), cache_dir=str(tmp_path / "cache"))
    first = opened["train"][0]
    assert [image.size for image in first["images"]] == [(4, 4)] * len(first["keyframes"]) and first["keyframes"]
    plain = pq.read_table(io.BytesIO(get(api, dataset, format="parquet", media="embedded").content))
    assert plain.num_rows == len(ROWS) and plain["images"][0][0]["bytes"].as_py().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "wanted", [{"format": "trl", "media": "tar"}, {"format": "parquet", "media": "embedded"}], ids=["tar", "embedded"]
)
def test_media_that_are_gone_are_told_before_anything_is_sent(
    server: Server, api: httpx.Client, dataset: str, wanted: dict[str, str]
) -> None:
    before = server.files()
    found = problem(get(api, dataset, split="validation", validation=0.97, **wanted), 409, "media_gone")
    assert "more" in found["detail"] or "keyframes" in found["detail"] or "run_" in found["detail"]
    assert server.files() == before


@pytest.mark.parametrize(
    "wanted",
    [
        {"format": "jsonl", "split": "train"},
        {"format": "trl"},
        {"format": "parquet", "split": "train"},
        {"format": "hf"},
        {"format": "llava", "media": "tar"},
    ],
    ids=lambda w: w["format"],
)
def test_a_client_that_leaves_ends_the_work(
    server: Server, dataset: str, wanted: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    began, ended = threading.Event(), threading.Event()

    def endless(*_: object) -> Iterator[dict[str, Any]]:
        began.set()
        try:
            yield from itertools.cycle(ROWS)
        finally:
            ended.set()

    monkeypatch.setattr(Storage, "rows", endless)
    query = urlencode(wanted | {"validation": 0.5})
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.sendall(f"GET /v1/qra-datasets/{dataset}/export?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert began.wait(30) and not ended.is_set()
    assert ended.wait(30)
    until = time.monotonic() + 30
    while (left := [f for f in server.files() if f.startswith("scratch")]) and time.monotonic() < until:
        time.sleep(0.02)
    assert not left


def test_statistics_count_the_rows_and_are_made_once(server: Server, api: httpx.Client, dataset: str) -> None:
    told = api.get(f"/v1/qra-datasets/{dataset}/statistics", params={"validation": SHARE}).json()
    assert (told["count"], told["videos"]) == (len(ROWS), 20)
    assert told["by_split"] == {s: len(of_split(s)) for s in ("train", "validation")}
    assert told["answers"] == {"open": {"dog": len(ROWS)}} and told["by_steps"] == {"2": len(ROWS)}
    made = {name: (server.settings.home / name).stat().st_mtime_ns for name in server.files()}
    api.get(f"/v1/qra-datasets/{dataset}/statistics", params={"validation": SHARE})
    assert {name: (server.settings.home / name).stat().st_mtime_ns for name in server.files()} == made
    shown = stsg("qra", "statistics", dataset, STSG_API_URL=server.url)
    assert shown.returncode == 0 and f"{len(ROWS)} samples of 20 videos" in shown.stdout


def test_pages_of_rows_follow_each_other(api: httpx.Client, dataset: str) -> None:
    seen: list[str] = []
    while True:
        page = api.get(
            f"/v1/qra-datasets/{dataset}/rows", params={"limit": 25} | ({"after": seen[-1]} if seen else {})
        ).json()
        seen += [row["id"] for row in page["data"]]
        if not page["has_more"]:
            break
    assert seen == [row["id"] for row in ROWS]
    path = f"/v1/qra-datasets/{dataset}/rows"
    qra._STARTS.update({(dataset, id): 7 for id in seen})  # as those of a data set that was made anew may be
    page = api.get(path, params={"limit": 25, "after": seen[30]}).json()
    assert [row["id"] for row in page["data"]] == seen[31:56]
