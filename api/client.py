"""A small client of this API: what `stsg` and the demo use, and any Python program may."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import httpx

Form = Callable[[], AbstractContextManager[dict[str, Any]]]  # opens a file anew, each time that it is sent
FINAL = ("succeeded", "failed", "cancelled", "paused")
_PATIENCE = 60.0  # seconds for which a request waits for a service whose database is away


class ServiceError(Exception):
    """The service refused, or can't be reached; the text says what to do."""

    def __init__(self, detail: str, remedy: str, code: str = "", status: int = 0) -> None:
        super().__init__(f"{detail} {remedy}".strip())
        self.detail, self.remedy, self.code, self.status = detail, remedy, code, status


def check_succeeded(what: str, id: str, state: str, error: dict[str, Any] | None) -> None:
    """Check how a job of the service has ended.

    Raises:
        ServiceError: otherwise than well, with the job's own detail and remedy.
    """
    if state != "succeeded":
        told = error or {}
        why = told.get("detail") or told.get("message") or ""
        raise ServiceError(f"{what} {id} {state}. {why}".rstrip(), told.get("remedy", ""))


@dataclass(frozen=True)
class Event:
    """One event of a run: its number, its type, and what it says."""

    seq: int
    type: str
    data: dict[str, Any]


def address(home: Path | None = None) -> str:
    """Where the API is: STSG_API_URL, else the local stack of this folder, else the usual port."""
    if url := os.environ.get("STSG_API_URL"):
        return url.rstrip("/")
    file = (home or Path(os.environ.get("STSG_HOME", ".stsg"))) / "stack.json"
    try:
        return str(json.loads(file.read_text())["uris"]["api"]).rstrip("/")
    except (OSError, ValueError, KeyError):
        return "http://127.0.0.1:8000"


def _token() -> str | None:
    if token := os.environ.get("STSG_API_TOKEN"):
        return token
    tokens = json.loads(os.environ.get("STSG_API_TOKENS") or "[]")
    return str(tokens[0]) if tokens else None


class Client:
    """Speaks to one running API."""

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        self.url = url or address()
        token = token or _token()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=httpx.Timeout(60, connect=5))
        self._answered = False  # a service that never did is told at once

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._http.close()

    def get(self, path: str, **params: Any) -> Any:
        return self._call("GET", path, params=params)

    def post(self, path: str, body: Any = None) -> Any:
        return self._call("POST", path, json=body)

    def delete(self, path: str) -> None:
        self._call("DELETE", path)

    def upload(self, file: Path, sent: Callable[[int], None] = lambda size: None, **params: str) -> dict[str, Any]:
        """Send a video as a multipart form; `sent` hears of every block's size in bytes."""

        told = 0

        def count(size: int) -> None:
            nonlocal told
            told += size
            sent(size)

        @contextmanager
        def form() -> Iterator[dict[str, Any]]:
            if told:  # it is sent again
                count(-told)
            with file.open("rb") as stream:
                yield {"file": (file.name, _Counted(stream, count), "video/mp4")}

        patient = httpx.Timeout(60, connect=5, read=600)  # a storage far away may take a while for the whole of it
        reply: dict[str, Any] = self._call("POST", "/v1/videos", form, params=params, timeout=patient)
        return reply

    def send_file(self, file: Path) -> dict[str, Any]:
        """Send rows to train on."""

        @contextmanager
        def form() -> Iterator[dict[str, Any]]:
            with file.open("rb") as stream:
                yield {"file": (file.name, stream, "application/jsonl")}

        reply: dict[str, Any] = self._call("POST", "/v1/files", form, data={"purpose": "fine-tune"})
        return reply

    def pages(self, path: str, **params: Any) -> Iterator[dict[str, Any]]:
        """All the items of a list, page after page."""
        after: dict[str, Any] = {"limit": 100}
        while True:
            page = self.get(path, **after | params)
            yield from page["data"]
            if not page["has_more"]:
                return
            after["after"] = page["last_id"]

    def lines(self, path: str) -> Iterator[dict[str, Any]]:
        """The rows of a JSONL export, as they come."""
        with self._reached(), self._http.stream("GET", path) as reply:
            _check(reply)
            for line in reply.iter_lines():
                if line:
                    yield json.loads(line)

    def blocks(self, path: str) -> Iterator[bytes]:
        """The bytes of a file, as they come, however long the first take: the file may have to be built."""
        with self._reached(), self._http.stream("GET", path, timeout=httpx.Timeout(None, connect=5)) as reply:
            _check(reply)
            yield from reply.iter_bytes()

    def until_final(self, path: str) -> dict[str, Any]:
        """Ask for a job until it has ended, however it ended."""
        while True:
            job: dict[str, Any] = self.get(path)
            if job["state"] in FINAL:
                return job
            time.sleep(0.3)

    def events(self, run_id: str, after: int = 0) -> Iterator[Event]:
        """A run's events, live, to its end."""
        return self.follow(f"/v1/runs/{run_id}", after)

    def follow(self, path: str, after: int = 0, retries: int = 20) -> Iterator[Event]:
        """A job's events, live, to its end; a broken stream is taken up again after the last event seen."""
        while True:
            try:
                for event in self._stream(path, after):
                    after, retries = event.seq, 20
                    yield event
                job = self.get(path)
                if (job.get("state") or job["status"]) in FINAL:
                    return
            except ServiceError as e:
                retries -= 1
                if retries <= 0 or e.status in (401, 404):
                    raise
                time.sleep(1)

    def wait(self, run_id: str, seen: Callable[[Event], None] = lambda event: None) -> dict[str, Any]:
        """The run when it has ended, however it ended."""
        for event in self.events(run_id):
            seen(event)
        run: dict[str, Any] = self.get(f"/v1/runs/{run_id}")
        return run

    def _stream(self, path: str, after: int) -> Iterator[Event]:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        with self._reached(), self._http.stream("GET", f"{path}/events", headers=headers) as reply:
            _check(reply)
            fields: dict[str, str] = {}
            for line in reply.iter_lines():
                name, _, value = line.partition(":")
                if name:
                    fields[name] = value.removeprefix(" ")
                elif not line and "data" in fields:
                    yield Event(int(fields["id"]), fields["event"], json.loads(fields["data"]))
                    fields = {}

    def _call(self, method: str, path: str, form: Form | None = None, **kwargs: Any) -> Any:
        """One request, made again while the service says that its database is away and when to come back.

        Where the line broke, or a proxy answered for a service that is being started again, a question is put again, too, and a
        file sent again: what has come already is not stored twice. What is deleted already would seem never to have been.
        """
        deadline = time.monotonic() + _PATIENCE
        repeats = method == "GET" or form is not None
        while True:
            try:
                with form() if form else nullcontext() as files:
                    reply = self._http.request(method, path, files=files, **kwargs)
            except httpx.TransportError as e:
                if not repeats or not self._answered or time.monotonic() > deadline:
                    raise self._unreached(e) from e
                time.sleep(1)
                continue
            self._answered = True
            wait = _wait(reply, method, repeats=repeats)
            if wait is None or time.monotonic() > deadline:
                break
            time.sleep(wait)
        _check(reply)
        return reply.json() if reply.content else None

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Turns a connection that can't be made, or that broke, into what to do about it."""
        try:
            yield
        except httpx.TransportError as e:
            raise self._unreached(e) from e

    def _unreached(self, error: httpx.TransportError) -> "ServiceError":
        if isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout):
            detail = f"The API at {self.url} was reached, but took too long ({type(error).__name__})."
            return ServiceError(detail, "Send it again: what has come already is not stored twice.")
        remedy = "Start it with 'stsg up', or set STSG_API_URL to where it runs."
        return ServiceError(f"The API doesn't answer at {self.url} ({error}).", remedy)


def _wait(reply: httpx.Response, method: str, *, repeats: bool) -> float | None:
    """How many seconds to wait before a request is made again; None where it is not."""
    if reply.status_code == 503 and "retry-after" in reply.headers and method != "DELETE":
        return float(reply.headers["retry-after"])
    return 1.0 if reply.status_code in (502, 504) and repeats else None


class _Counted:
    """A file that tells how much of it was read."""

    def __init__(self, stream: BinaryIO, sent: Callable[[int], None]) -> None:
        self._stream, self._sent = stream, sent

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._sent(len(data))
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _check(reply: httpx.Response) -> None:
    if reply.is_success:
        return
    reply.read()
    try:
        problem = reply.json()
        raise ServiceError(problem["detail"], problem["remedy"], problem["code"], reply.status_code)
    except (ValueError, KeyError, TypeError):
        raise ServiceError(f"{reply.status_code}: {reply.text[:300]}", "", status=reply.status_code) from None
