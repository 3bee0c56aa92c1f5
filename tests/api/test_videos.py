"""Videos over real HTTP: taken in once, refused with a reason, given back whole or in part."""

import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.api import media, odd_media
from tests.api.conftest import Server
from tests.api.test_problems import problem


def _post(api: httpx.Client, path: Path, **params: str) -> httpx.Response:
    with path.open("rb") as file:
        return api.post("/v1/videos", files={"file": (path.name, file, "video/mp4")}, params=params)


def test_a_video_is_stored_once_however_it_comes(api: httpx.Client, tmp_path: Path) -> None:
    path = media.video(tmp_path / "a.mp4", seconds=2.5)
    data = path.read_bytes()
    first = _post(api, path)
    assert first.status_code == 201 and first.headers["location"] == f"/v1/videos/{first.json()['id']}"
    again = api.post("/v1/videos?filename=b.mp4", content=data, headers={"Content-Type": "video/mp4"})
    assert again.status_code == 200
    assert again.json() == first.json()
    video = first.json()
    assert video["sha256"] == hashlib.sha256(data).hexdigest() and video["size"] == len(data)
    assert (video["width"], video["height"], video["name"]) == (64, 64, "a.mp4")
    assert video["duration"] == pytest.approx(2.5, abs=0.1)


def test_ten_at_once_are_one_video(api: httpx.Client, tmp_path: Path) -> None:
    path = media.video(tmp_path / "ten.mp4", seconds=3.5)
    with ThreadPoolExecutor(10) as pool:
        replies = list(pool.map(lambda _: _post(api, path), range(10)))
    assert {r.status_code for r in replies} <= {200, 201}
    assert len({r.json()["id"] for r in replies}) == 1


def test_a_range_of_the_content_is_206(api: httpx.Client, video_id: str, good: Path) -> None:
    data = good.read_bytes()
    url = f"/v1/videos/{video_id}/content"
    whole = api.get(url)
    assert whole.status_code == 200 and whole.content == data and whole.headers["accept-ranges"] == "bytes"
    part = api.get(url, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, data[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(data)}"
    assert api.get(url, headers={"Range": "bytes=-5"}).content == data[-5:]
    assert api.get(url, headers={"Range": f"bytes={len(data) - 3}-"}).content == data[-3:]
    assert api.get(url, headers={"Range": "bytes=9-2"}).status_code == 200
    assert api.get(url, headers={"Range": f"bytes={'9' * 5000}-"}).status_code == 200
    assert api.head(url).headers["content-length"] == str(len(data))
    beyond = api.get(url, headers={"Range": f"bytes={len(data)}-"})
    problem(beyond, 416, "range_not_satisfiable")
    assert beyond.headers["content-range"] == f"bytes */{len(data)}"
    assert api.get(url, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304


def test_pages_follow_each_other(api: httpx.Client, tmp_path: Path) -> None:
    made = {_post(api, media.video(tmp_path / f"{n}.mp4", frames=20 + n)).json()["id"] for n in range(3)}
    seen: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = api.get("/v1/videos", params={"limit": 2, **after}).json()
        assert page["object"] == "list" and page["data"][0]["id"] == page["first_id"]
        seen += [v["id"] for v in page["data"]]
        if not page["has_more"]:
            break
        after = {"after": page["last_id"]}
    assert len(seen) == len(set(seen)) and made <= set(seen)


def test_a_deleted_video_is_gone_with_its_files(server: Server, api: httpx.Client, tmp_path: Path) -> None:
    before = server.files()
    video = _post(api, media.video(tmp_path / "gone.mp4", frames=33)).json()
    assert server.files() != before
    assert api.delete(f"/v1/videos/{video['id']}").status_code == 204
    problem(api.get(f"/v1/videos/{video['id']}"), 404, "video_not_found")
    assert server.files() == before


BAD: dict[str, tuple[Callable[[Path], Path], set[int]]] = {
    "text": (lambda p: (p.write_text("hello, I am no video"), p)[1], {400, 415}),
    "empty": (lambda p: (p.write_bytes(b""), p)[1], {400}),
    "truncated": (media.truncated, {400}),
    "audio only": (media.sound, {415, 422}),
    "zero frames": (media.no_frames, {400, 422}),
    "14000 pixels": (lambda p: media.video(p, frames=1, side=14000), {422}),
    "10 hours": (lambda p: media.video(p, seconds=36000, fps=1, side=16), {422}),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_media_is_refused_and_leaves_nothing(server: Server, api: httpx.Client, tmp_path: Path, name: str) -> None:
    make, statuses = BAD[name]
    path = make(tmp_path / "bad.mp4")
    files, videos = server.files(), api.get("/v1/videos?limit=100").json()["data"]
    reply = _post(api, path)
    assert reply.status_code in statuses, reply.text
    problem(reply, reply.status_code, reply.json()["code"])
    assert server.files() == files
    assert api.get("/v1/videos?limit=100").json()["data"] == videos


@pytest.mark.parametrize("make", [media.script, media.playlist])
def test_a_script_in_disguise_opens_no_other_file(
    server: Server, api: httpx.Client, good: Path, make: Callable[[Path, Path], Path]
) -> None:
    files = server.files()
    path = make(good.with_name("evil.mp4"), good)
    reply = _post(api, path)
    assert reply.status_code in (400, 415), reply.text
    assert server.files() == files


def test_damage_is_told(server: Server, api: httpx.Client, tmp_path: Path) -> None:
    files = server.files()
    reply = _post(api, media.flipped(tmp_path / "flipped.mp4"))
    assert "60 frames expected, 0 decoded" in problem(reply, 422, "no_frames")["detail"]
    assert server.files() == files


def test_one_frame_is_a_video_of_one_keyframe(api: httpx.Client, tmp_path: Path) -> None:
    reply = _post(api, media.video(tmp_path / "one.mp4", frames=1))
    assert reply.status_code == 201 and reply.json()["frames"] == 1


def test_a_body_over_the_limit_is_413_before_it_is_read(server: Server) -> None:
    """The length is declared and nothing is sent: only a server that doesn't wait for the body can answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        length = server.settings.max_upload_bytes * 2
        raw.sendall(f"POST /v1/videos HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n".encode())
        reply = raw.recv(65536)
    assert reply.startswith(b"HTTP/1.1 413") and b"too_large" in reply


def test_a_body_that_grows_over_the_limit_is_413(server: Server, api: httpx.Client) -> None:
    files = server.files()
    blocks = (bytes(65536) for _ in range(server.settings.max_upload_bytes // 65536 + 40))
    reply = api.post("/v1/videos", content=blocks, headers={"Content-Type": "video/mp4"})
    problem(reply, 413, "too_large")
    assert server.files() == files


def test_a_slow_upload_is_ended(server: Server) -> None:
    files = server.files()
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as raw:
        raw.sendall(b"POST /v1/videos HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n")
        raw.settimeout(0.2)
        reply = b""
        while not reply and time.monotonic() - started < 30:
            raw.sendall(b"x")
            try:
                reply = raw.recv(65536)
            except TimeoutError:
                continue
    assert reply.startswith(b"HTTP/1.1 408") and b"too_slow" in reply
    assert server.files() == files


def test_a_connection_that_breaks_leaves_nothing(server: Server, good: Path) -> None:
    files = server.files()
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.sendall(
            b"POST /v1/videos HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n" + good.read_bytes()[:500]
        )
        assert _soon(lambda: server.files() != files), "nothing came in"
    assert _soon(lambda: server.files() == files)


def _soon(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not (held := holds()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return held


@pytest.mark.parametrize(
    ("headers", "content", "status", "code"),
    [
        ({"Content-Type": "application/json"}, b"{}", 415, "unsupported_content_type"),
        ({"Content-Type": "multipart/form-data"}, b"", 400, "broken_form"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"--x\r\ngarbage", 400, "broken_form"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n', 422, "invalid_request"),
        ({"Content-Type": f"multipart/form-data; boundary={'x' * 300}"}, b"--x", 400, "broken_form"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"".join(b'--x\r\nContent-Disposition: form-data; name="%d"\r\n\r\n\r\n' % n for n in range(40)), 422, "invalid_request"),
    ],
)  # fmt: skip
def test_a_broken_form_is_told(api: httpx.Client, headers: dict, content: bytes, status: int, code: str) -> None:
    problem(api.post("/v1/videos", headers=headers, content=content), status, code)


def test_a_name_is_never_a_path(api: httpx.Client, tmp_path: Path) -> None:
    path = media.video(tmp_path / "n.mp4", frames=27)
    reply = api.post("/v1/videos", files={"file": ("../../etc/passwd\x00.mp4", path.read_bytes(), "video/mp4")})
    assert reply.status_code == 201 and "/" not in reply.json()["name"]


def test_huge_pictures_at_once_cost_the_service_no_memory(api: httpx.Client, tmp_path: Path) -> None:
    """Six pictures of 14000 x 14000 (187 MiB each, if decoded), of which each file's header says that it is small."""
    paths = [odd_media.huge_picture(tmp_path / "0.avi", 14000, declared=64)]
    for number in range(1, 6):
        paths.append(tmp_path / f"{number}.avi")
        paths[-1].write_bytes(paths[0].read_bytes() + bytes([number]))
    before, peak, done = _resident(), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.01):
            peak = max(peak, _resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda path: _post(api, path), paths))
    done.set()
    watcher.join()
    for reply in replies:
        problem(reply, 422, "too_large_frame")
    assert peak - before < 150 * 2**20


def _resident() -> int:
    """Bytes of memory that this process holds, in which the API runs."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
