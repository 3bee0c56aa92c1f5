"""Nobody is held up by others' work: broken servers and long videos stand beside runs that end well."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from api.client import Client
from graphdb.jobs import Job
from model.backends.openai_server import OpenAIVideoLLM
from tests.api import media
from tests.stack import stack
from workers import queues
from workers.runtime import Service
from workers.settings import Settings
from workers.storage import Storage

HUNG = ("hang", "hang-too", "drip")
BROKEN = (*HUNG, "400", "401", "nonsense", "huge")


class Servers(ThreadingHTTPServer):
    """Model servers, good and bad: what `/<name>/v1` does is in the name. `ending` frees those that hang."""

    daemon_threads = True
    ending = threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        self.send_error(404)

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.rfile.read(length)
        kind = self.path.split("/")[1].partition("-")[0]
        with suppress(OSError):
            getattr(self, f"_{kind}")()

    def _begin(self, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()

    def _good(self) -> None:
        self._begin()
        message = {"role": "assistant", "content": "yes"}
        self.wfile.write(json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode())

    def _hang(self) -> None:
        Servers.ending.wait()

    def _drip(self) -> None:
        self._begin()
        while not Servers.ending.wait(0.2):
            self.wfile.write(b" ")

    def _400(self) -> None:
        self.send_error(400)

    def _401(self) -> None:
        self.send_error(401)

    def _nonsense(self) -> None:
        self._begin()
        self.wfile.write(b"<html>hello</html>")

    def _huge(self) -> None:
        self._begin()
        for _ in range(1024):
            self.wfile.write(b" " * 2**20)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def servers() -> Iterator[str]:
    """The address of all servers."""
    Servers.ending.clear()
    with Servers(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            Servers.ending.set()
            server.shutdown()


def start(client: Client, video: Path, model: str, seed: int = 0) -> str:
    return str(client.upload(video, process="true", model=model, seed=str(seed))["run"]["id"])


def until_running(client: Client, run: str, stage: str) -> None:
    deadline = time.monotonic() + 120
    while (job := client.get(f"/v1/runs/{run}"))["stage"] != stage or job["state"] != "running":
        assert time.monotonic() < deadline and job["state"] in ("queued", "running"), job
        time.sleep(0.1)


@pytest.mark.timeout(600)
def test_runs_on_broken_servers_and_a_long_video_hold_up_nobody(tmp_path: Path) -> None:
    short, long = media.video(tmp_path / "a.mp4"), media.video(tmp_path / "b.mp4", seconds=6)
    hold = tmp_path / "hold"
    hold.touch()
    env = {"STSG_LONG_FRAMES": "40", "STSG_HOLD_AT": f"split-long={hold}", "STSG_CALL_SECONDS": "500"}
    env |= {"STSG_REMOTE_JOBS": "8", "STSG_SERVER_JOBS": "2"}
    with servers() as address:
        models = {name: f"openai:{address}/{name}/v1#m" for name in (*BROKEN, "good")}
        with stack(tmp_path / "home", models, **env) as client:
            slow = start(client, long, "good")
            until_running(client, slow, "split")
            broken = {name: start(client, short, name) for name in BROKEN}
            crowd = [
                start(client, short, "hang", seed) for seed in range(1, 6)
            ]  # with the others, enough for all threads
            for name in HUNG:
                until_running(client, broken[name], "induce")
            job = client.until_final(f"/v1/runs/{start(client, short, 'good')}")
            assert job["state"] == "succeeded", job["error"]
            assert {client.get(f"/v1/runs/{broken[name]}")["state"] for name in HUNG} == {"running"}
            assert client.get(f"/v1/runs/{slow}")["state"] == "running"
            for name in ("400", "401"):
                assert client.until_final(f"/v1/runs/{broken[name]}")["error"]["code"] == "model_refused"
            for run in (*crowd, *(broken[name] for name in BROKEN)):
                if client.get(f"/v1/runs/{run}")["state"] in ("queued", "running"):
                    client.post(f"/v1/runs/{run}/cancel")
            hold.unlink()
            assert client.until_final(f"/v1/runs/{slow}")["state"] == "succeeded"


@pytest.mark.parametrize(
    ("job", "queue"),
    [
        ({"stage": "split", "state": "queued", "model": "far", "long": False}, "cpu"),
        ({"stage": "split", "state": "queued", "model": "far", "long": True}, "cpu.long"),
        ({"stage": "split", "state": "running", "model": "far", "long": True}, "cpu.long"),
        ({"stage": "split", "state": "running", "model": "tiny"}, "cpu.soon"),
        ({"stage": "induce", "state": "queued", "model": "far", "long": True}, "remote"),
        ({"stage": "induce", "state": "running", "model": "far"}, "remote"),
        ({"stage": "evaluate", "state": "queued", "model": "far"}, "remote"),
        ({"stage": "polish", "state": "queued", "model": "far"}, "remote"),
        ({"stage": "induce", "state": "queued", "model": "tiny"}, "gpu.infer"),
        ({"stage": "qra", "state": "queued"}, "cpu.soon"),
    ],
)
def test_servers_and_long_videos_have_queues_of_their_own(job: Job, queue: str) -> None:
    assert queues.queue_of(Settings(models={"far": "openai:http://127.0.0.1:1/v1#m"}), job) == queue


def test_a_server_has_so_many_places_and_no_server_any_number() -> None:
    places = queues.Places(2)
    with places.place("a") as first, places.place("a") as second, places.place("a") as third:
        assert (first, second, third) == (True, True, False)
        with places.place("b") as other, places.place("") as none, places.place("") as more, places.place("") as most:
            assert other and none and more and most
    with places.place("a") as first, places.place("a") as second:
        assert first and second, "places are given back, and only those that were had"


def test_threads_share_one_model_of_a_server(tmp_path: Path) -> None:
    models = {name: f"openai:http://127.0.0.1:1/v1#{name}" for name in ("a", "b")}
    settings = Settings(home=tmp_path, models=models)
    service = Service(settings, None, Storage(settings.storage_url), lambda *_: None, lambda _: 0)  # type: ignore[arg-type] # no database is called
    opened: list[tuple[str, object]] = []

    def work(name: str) -> None:
        opened.append((name, service.model(name)))

    threads = [threading.Thread(target=work, args=(name,)) for name in "abababab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(opened) == 8 and len({id(model) for _, model in opened}) == 2
    assert all(isinstance(model, OpenAIVideoLLM) and model.name.endswith(name) for name, model in opened)
