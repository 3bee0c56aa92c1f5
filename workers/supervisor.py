"""The supervisor of the local stack: one detached process that starts Neo4j, the broker, the workers and the API, and
keeps them up.

Ports are chosen free, so that two folders' stacks don't collide. External services in the settings have no child here.
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, TextIO
from urllib.parse import urlsplit

from graphdb.local import LocalNeo4j, free_port
from model import durable
from workers import leftovers, local, processes, queues
from workers.local_stack import GRACE, START_TIMEOUT, StackError, did_not_start, tail
from workers.settings import Settings

_TRIES = 3
_REACHED = 10.0  # seconds
_EXAMINED = 5.0  # seconds between two looks whether Neo4j works
_API_END = ("--timeout-graceful-shutdown", "5")  # seconds for streams that would go on for ever
_SERVICES = ("valkey", "neo4j")
_TAKEN = ("already in use", "Address in use", "BindException")  # as Neo4j and the broker put it


class Supervisor:
    """Starts the children of one folder's stack and starts again the ones that die."""

    def __init__(self, given: Settings, tie: TextIO | None = None) -> None:
        self.home = given.home.absolute()
        self.tie = tie or leftovers.new_tie(self.home, GRACE)
        self.given = given
        self.listener = _listen(given.api_port)
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.commands: dict[str, list[str]] = {}
        self.gpus: dict[str, str] = {}  # which one a child gets, where there are several
        self.deaths: dict[str, list[float]] = {}
        self.ending = False
        self.unwritten = ""  # why the last note of what runs could not be written
        self.joined: dict[str, Any] = {}
        self.uris: dict[str, str] = {}
        self.neo4j: LocalNeo4j | None = None
        self._plan()

    def _plan(self) -> None:
        """Choose ports and command lines.

        The API's port is held from here on, so nobody else gets it, and callers wait while the API is started again.
        """
        self.uris["api"] = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        if not self.given.redis_url:
            port = free_port(6379)
            folder = self.home / "valkey"
            self.joined["redis_url"] = f"redis://:{local.own_password(folder)}@127.0.0.1:{port}/0"
            self.uris["broker"] = f"redis://127.0.0.1:{port}/0"
            self.commands["valkey"] = local.valkey_command(folder, port)
        if not self.given.neo4j_uri:
            style = f"{self.uris['api']}/neo4j/style.grass"
            memory = {"heap_mb": self.given.neo4j_heap_mb, "pagecache_mb": self.given.neo4j_pagecache_mb}
            self.neo4j = LocalNeo4j(self.home / "neo4j", style_url=style, **memory)
            self.joined |= {"neo4j_uri": self.neo4j.uri, "neo4j_password": self.neo4j.password}
            self.joined["neo4j_browser_url"] = self.neo4j.http_uri
            self.uris |= {"neo4j": self.neo4j.uri, "browser": f"{self.neo4j.http_uri}/browser/"}
            self.commands["neo4j"] = self.neo4j.command()
        fd = str(self.listener.fileno())
        self.commands["api"] = [
            sys.executable,
            "-m",
            "uvicorn",
            "api.app:create_app",
            "--factory",
            "--fd",
            fd,
            *_API_END,
        ]
        gpus = visible_gpus()
        count = self.given.workers or max(len(gpus), 1)
        apart = count > 1 or bool(gpus)  # data sets take hours, in which no GPU is to be idle
        for number in range(count):
            name = f"worker-{number + 1}" if number else "worker"
            self.commands[name] = _worker(name, f"{'' if apart else 'cpu.soon,'}cpu,gpu.soon,gpu.infer")
            if len(gpus) > 1:
                self.gpus[name] = gpus[number % len(gpus)]
        if apart:
            self.commands["data-worker"] = _worker("data-worker", "cpu.soon")
        # of its own, as whoever watches a training does nothing else
        self.commands["trainer"] = _worker("trainer", "gpu.train", threads=1)
        self.commands["splitter"] = _worker("splitter", queues.LONG, threads=1)
        if self.given.calls_servers():
            self.commands["remote"] = _worker("remote", queues.REMOTE, threads=self.given.remote_jobs)

    def run(self) -> None:
        """Start all children, then watch over them until told to end.

        The worker and the API wait for Neo4j by themselves; only before a new database has its password must they not try.
        """
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, self._end)
        self._check_given()
        self._start()
        threading.Thread(target=self._examine, name="examine", daemon=True).start()
        while not self.ending:
            self._revive()
            if self.unwritten:
                self._write()
            time.sleep(0.2)
        self._stop_children()

    def _check_given(self) -> None:
        """Refuse services of the settings at which nothing answers, before all the others wait for them."""
        for name, uri, usual in (
            ("STSG_NEO4J_URI", self.given.neo4j_uri, 7687),
            ("STSG_REDIS_URL", self.given.redis_url.get_secret_value(), 6379),
        ):
            where = urlsplit(uri)
            if where.hostname and not _reachable(where.hostname, where.port or usual):
                raise StackError(f"Nothing answers at {name}: {where.hostname}:{where.port or usual}.")

    def _start(self) -> None:
        for attempt in range(_TRIES):
            try:
                self._start_children()
                return
            except StackError as e:
                if attempt == _TRIES - 1 or not any(words in str(e) for words in _TAKEN):
                    raise
                self._stop_children()  # between the choice of a port and its use somebody else took it
                self._plan()

    def _start_children(self) -> None:
        is_new = self.neo4j is not None and self.neo4j.is_new
        ours = self._ours()
        for name in _SERVICES if is_new else (*_SERVICES, *ours):
            self._spawn(name)
        self._wait_for_services()
        for name in ours if is_new else ():
            self._spawn(name)

    def _ours(self) -> list[str]:
        return [name for name in self.commands if name not in _SERVICES]

    def _wait_for_services(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not self.ending and not (self._neo4j_ready() and self._broker_ready()):
            self._check_alive()
            if time.monotonic() > deadline:
                raise StackError("Neo4j or the broker did not answer in time.")
            time.sleep(0.1)

    def _neo4j_ready(self) -> bool:
        return self.neo4j is None or self.neo4j.ready(self.children["neo4j"].pid)

    def _broker_ready(self) -> bool:
        from redis import Redis, RedisError  # here, so that Neo4j starts before this import

        try:
            return "valkey" not in self.commands or bool(
                Redis.from_url(self.joined["redis_url"], socket_timeout=2).ping()
            )
        except RedisError:
            return False

    def _check_alive(self) -> None:
        """The worker and the API may die of what ails these, and are started again."""
        for name in _SERVICES:
            if name in self.children and self.children[name].poll() is not None:
                raise did_not_start(self.home, name)

    def _spawn(self, name: str) -> None:
        if name not in self.commands:
            return
        public = {k: v for k, v in self.joined.items() if k in Settings.model_fields}
        env = {**os.environ, **{f"STSG_{k.upper()}": str(v) for k, v in public.items()}}
        if name in self.gpus:
            env["CUDA_VISIBLE_DEVICES"] = self.gpus[name]
        with self._log(name) as log:
            self.children[name] = subprocess.Popen(
                self.commands[name],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=env,
                start_new_session=True,
                pass_fds=(self.tie.fileno(), *((self.listener.fileno(),) if name == "api" else ())),
            )
        self._write()  # at once, so that none is left behind if this process is killed

    def _log(self, name: str) -> BinaryIO:
        """Where a child prints; nowhere, where the disk has no room for a new file."""
        try:
            return (self.home / "logs" / f"{name}.log").open("ab")
        except OSError:
            return Path(os.devnull).open("ab")

    def _examine(self) -> None:
        """End a Neo4j that refuses all work until it is started again, as after a full disk; it is then started again."""
        while not self.ending:
            time.sleep(_EXAMINED)
            if self.neo4j and self.neo4j.is_broken():
                child = self.children["neo4j"]
                child.terminate()
                try:
                    child.wait(GRACE)
                except subprocess.TimeoutExpired:
                    child.kill()

    def _revive(self) -> None:
        """Start dead children again; one that keeps dying is waited with, ever longer."""
        for name, child in list(self.children.items()):
            if child.poll() is None:
                continue
            now = time.monotonic()
            recent = [t for t in self.deaths.get(name, []) if now - t < 60]
            if recent and now - recent[-1] < min(10, 0.5 * 2 ** len(recent)):
                continue
            _kill_group(child.pid)
            self.deaths[name] = [*recent, now]
            if recent and name in _SERVICES and self._lost_its_port(name):
                self._start_elsewhere()
                return
            self._spawn(name)

    def _start_elsewhere(self) -> None:
        """All anew, as all are told the ports; what does not come up is tried again in the next turns."""
        self._stop_children()
        if not self.ending:
            with suppress(StackError, OSError):
                self._plan()
                self._start()

    def _lost_its_port(self, name: str) -> bool:
        """Whether somebody else took a service's port while it was dead."""
        return any(words in tail(self.home / "logs" / f"{name}.log") for words in _TAKEN)

    def _write(self) -> None:
        """Note what runs where; without room for it the next turn tries again, and the children go on."""
        pids = {"supervisor": os.getpid()} | {name: child.pid for name, child in self.children.items()}
        deaths = {name: len(times) for name, times in self.deaths.items()}
        told = {"uris": self.uris, "pids": pids, "settings": self.joined, "deaths": deaths}
        try:
            durable.write_text(self.home / "stack.json", json.dumps(told, indent=2), 0o600)
        except OSError as e:
            self.unwritten = f"{e}"
        else:
            self.unwritten = ""

    def _end(self, *_: object) -> None:
        self.ending = True

    def _stop_children(self) -> None:
        """The workers and the API first, then what they need."""
        for names in (self._ours(), _SERVICES):
            living = [self.children[n] for n in names if n in self.children]
            for child in living:
                with suppress(OSError):
                    child.terminate()
            deadline = time.monotonic() + GRACE
            for child in living:
                with suppress(subprocess.TimeoutExpired):
                    child.wait(max(0.1, deadline - time.monotonic()))
                _kill_group(child.pid)
        processes.stop_all(self.home / "tuning", GRACE)


def _worker(name: str, served: str, *, threads: int = 0) -> list[str]:
    """The command line of a worker that does one job at a time in a process, or some in threads."""
    return [
        *(sys.executable, "-m", "celery", "--app", "workers.app", "worker", "--loglevel", "WARNING"),
        *("--queues", served, "--concurrency", str(threads or 1), "--without-mingle", "--without-gossip"),
        *("--hostname", f"{name}@%h", *(("--pool", "threads") if threads else ())),
    ]


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; without torch, whose import takes seconds."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        with suppress(OSError, subprocess.SubprocessError):
            ask = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
            named = subprocess.run(ask, capture_output=True, text=True, check=True, timeout=10).stdout.replace(
                "\n", ","
            )
    return [gpu.strip() for gpu in (named or "").split(",") if gpu.strip() not in ("", "-1")]


def _reachable(host: str, port: int) -> bool:
    """Whether something listens there within some seconds: it may be just starting."""
    deadline = time.monotonic() + _REACHED
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection((host, port), timeout=_REACHED):
            return True
        time.sleep(0.5)
    return False


def _listen(usual: int) -> socket.socket:
    """A socket that listens on the usual port, or on any free one where it is taken."""
    for port in (usual, 0):
        with suppress(OSError):
            return socket.create_server(("127.0.0.1", port), backlog=128)
    raise StackError("No free port on 127.0.0.1.")


def _kill_group(pid: int) -> None:
    """Kill what a child may have left behind: it leads a process group of its own."""
    with suppress(OSError):
        os.killpg(pid, signal.SIGKILL)


def _hold_lock(home: Path) -> TextIO:
    lock = leftovers.lock(home / "lock", fcntl.LOCK_EX, _TRIES * 10)
    if lock is None:
        raise SystemExit("Another stack runs for this folder.")
    with suppress(OSError):  # for a reader's eyes; who holds the lock is known without
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
    return lock


def main(home: Path) -> None:
    """The supervisor's process: `python -m workers.supervisor FOLDER`."""
    lock = _hold_lock(home)
    os.set_inheritable(lock.fileno(), False)
    supervisor: Supervisor | None = None
    try:
        tie = leftovers.new_tie(home, GRACE)
        supervisor = Supervisor(Settings(), tie)
        supervisor.run()
    except Exception as e:  # noqa: BLE001 # the starter shows it to the user
        if supervisor:
            supervisor._stop_children()
        with suppress(OSError):
            (home / "failed").write_text(f"{e}")
    finally:
        (home / "stack.json").unlink(missing_ok=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
