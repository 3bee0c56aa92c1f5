"""The command `stsg`, as a user types it."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from neo4j import Driver
from typer import BadParameter

from api.cli.train import settings_of
from api.client import Client, ServiceError
from graphdb import jobs
from tests.api.conftest import Server


def stsg(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from api.cli import app; app()", *words]
    wide = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env=os.environ | wide | env
    )


@pytest.mark.parametrize(
    "words",
    ["", "up", "down", "doctor", "ingest", "runs", "graph", "qra", "qra create", "qra export", "evaluate induction", "evaluate world", "evaluate qra", "world render", "demo", "train", "train start", "train watch", "models list", "models check", "models conformance", "models convert", "rounds", "sweep lambda", "sweep steps"],
)  # fmt: skip
def test_every_command_explains_itself(words: str) -> None:
    done = stsg(*words.split(), "--help")
    assert done.returncode == 0 and "Usage" in done.stdout


def test_a_video_is_sent_and_its_run_listed(server: Server, good: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    done = stsg("ingest", str(good), str(bad), "--json", STSG_API_URL=server.url)
    sent, refused = json.loads(done.stdout)
    assert done.returncode == 1 and refused["code"] == "not_a_video" and refused["remedy"]
    listed = json.loads(stsg("runs", "--json", "--limit", "100", STSG_API_URL=server.url).stdout)
    assert sent["run_id"] in [run["id"] for run in listed]
    shown = json.loads(stsg("graph", sent["run_id"], "--json", STSG_API_URL=server.url).stdout)
    assert shown["counts"]["objects"] == 0 and "/browser/" in shown["browser_url"]


def test_without_a_service_it_says_what_to_do() -> None:
    done = stsg("runs", STSG_API_URL="http://127.0.0.1:1")
    assert done.returncode == 1 and "stsg up" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("given", ["{qwen: hf:x}", '["hf:x"]'])
def test_models_that_can_not_be_read_are_told_before_anything_starts(given: str, tmp_path: Path) -> None:
    done = stsg("up", STSG_MODELS=given, STSG_HOME=str(tmp_path))
    assert done.returncode == 1 and "STSG_MODELS" in done.stderr and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_weight_that_is_none_is_refused_by_the_name_of_its_option() -> None:
    done = stsg("qra", "create", "run_x", "--family", "order")
    assert done.returncode == 2 and "--family" in done.stderr and "NAME=WEIGHT" in done.stderr


def test_what_would_do_nothing_is_refused() -> None:
    done = stsg("qra", "create", "run_x", "--blind", "2", "--drop-blind")
    assert done.returncode == 2 and "--polish" in done.stderr
    assert settings_of(["lora.rank=64", "lora.dropout=0"]) == {"lora": {"rank": 64, "dropout": 0}}
    with pytest.raises(BadParameter, match="has a value already"):
        settings_of(["lora=16", "lora.dropout=0"])


def test_runs_that_ended_badly_are_all_taken_up_again(server: Server, driver: Driver, run_id: str) -> None:
    params = {"model": "tiny", "options": {}, "seed": 0}
    jobs.create(driver, "Run", run_id, video_id=run_id, model="tiny", seed=0, params=params, stage="split")
    jobs.cancel(driver, run_id)
    done = stsg("runs", "--video", run_id, "--retry", "--json", STSG_API_URL=server.url)
    assert [(run["id"], run["state"]) for run in json.loads(done.stdout)] == [(run_id, "queued")]


def test_a_line_that_breaks_while_one_waits_is_taken_up_again() -> None:
    asked: list[str] = []

    class Flaky(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that http.server calls
            asked.append(self.path)
            if len(asked) == 2:
                self.close_connection = True  # without a word
                return
            self.send_response(502 if len(asked) == 3 else 200)
            self.end_headers()
            self.wfile.write(json.dumps({"state": "succeeded" if len(asked) > 3 else "running"}).encode())

    with (
        ThreadingHTTPServer(("127.0.0.1", 0), Flaky) as server,
        Client(f"http://127.0.0.1:{server.server_port}") as client,
    ):
        Thread(target=server.serve_forever, daemon=True).start()
        assert client.until_final("/v1/runs/x")["state"] == "succeeded" and len(asked) == 4
        server.shutdown()


def test_a_file_is_sent_again_where_the_line_broke(tmp_path: Path) -> None:
    received: list[bytes] = []

    class Flaky(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply(200, {})

        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            if len(received) == 1:
                self.close_connection = True
                return
            self._reply(502 if len(received) == 2 else 201, {"id": "vid_1"})

        def _reply(self, status: int, body: dict[str, str]) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

    file, sent = tmp_path / "v.mp4", list[int]()
    file.write_bytes(b"a video" * 1000)
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), Flaky) as server,
        Client(f"http://127.0.0.1:{server.server_port}") as client,
    ):
        Thread(target=server.serve_forever, daemon=True).start()
        client.get("/healthz")
        assert client.upload(file, sent.append) == {"id": "vid_1"}
        server.shutdown()
    assert len(received) == 3 and all(file.read_bytes() in body for body in received)
    assert sum(sent) == 7000, "what is sent again counts once"


def test_a_data_set_that_is_not_made_is_told_in_words(server: Server, driver: Driver, run_id: str) -> None:
    jobs.create(driver, "Run", run_id, params={"model": "tiny", "options": {}, "seed": 0}, stage="split")
    held = jobs.acquire(driver, run_id, "test", 60)
    assert held
    jobs.finish(driver, held[0], "succeeded", result={})
    with ThreadPoolExecutor(1) as pool, Client(server.url) as client:
        asked = pool.submit(stsg, "qra", "create", run_id, STSG_API_URL=server.url)
        made: list[str] = []
        while not made and not asked.done():
            made = [d["id"] for d in client.get("/v1/qra-datasets")["data"] if d["runs"] == [run_id]]
        jobs.cancel(driver, made[0])
        done = asked.result()
    assert done.returncode == 1 and f"{made[0]} cancelled" in done.stderr and "Traceback" not in done.stderr
    assert jobs.delete(driver, made[0])


def test_worlds_are_rendered_with_their_truth(tmp_path: Path) -> None:
    done = stsg("world", "render", str(tmp_path), "--count", "2", "--json")
    made = json.loads(done.stdout)
    assert len(made) == 2 and all(Path(m["file"]).is_file() and Path(m["truth"]).is_file() for m in made)


def test_a_file_that_has_to_be_built_is_waited_for() -> None:
    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that http.server calls
            time.sleep(1)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"built")

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as slow, Client(f"http://127.0.0.1:{slow.server_port}") as client:
        Thread(target=slow.serve_forever, daemon=True).start()
        client._http.timeout = httpx.Timeout(0.2)  # a minute would make a long test
        assert b"".join(client.blocks("/file")) == b"built"
        with pytest.raises(ServiceError):
            client.get("/file")
        slow.shutdown()
