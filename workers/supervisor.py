"""The local stack: one detached supervisor that starts Neo4j, the broker, a worker and the API, and keeps them up.

`stack.json` in the state folder holds addresses, passwords and process ids. A lock lets one stack run for a folder; ports
are chosen free, so that two folders' stacks don't collide. External services in the settings have no child here.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import httpx
from redis import Redis, RedisError

from graphdb.local import LocalNeo4j, free_port
from workers import local
from workers.settings import Settings

_START_TIMEOUT = 180.0  # a first start fetches 200 MB
_GRACE = 15.0  # for children to end by themselves


class StackError(Exception):
    """The stack could not be started; the text says which part, and holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack: where its parts answer, and the settings under which a process joins it."""

    uris: dict[str, str]
    pids: dict[str, int]
    settings: dict[str, Any]


def start(given: Settings, env: Mapping[str, str] | None = None) -> Stack:
    """Start the stack of `given.home` and wait until all of it answers; a running one is left as it is.

    Raises:
        StackError: a part died or did not answer in time.
    """
    home = given.home.absolute()
    (home / "logs").mkdir(parents=True, exist_ok=True)
    if not is_running(home):
        (home / "stack.json").unlink(missing_ok=True)
        (home / "failed").unlink(missing_ok=True)
        command = [sys.executable, "-m", "workers.supervisor", str(home)]
        with (home / "logs" / "supervisor.log").open("ab") as log:
            subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, **(env or {}), "STSG_HOME": str(home)},
            )
    return _await_ready(home)


def _await_ready(home: Path) -> Stack:
    deadline = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < deadline:
        if (home / "failed").exists():
            raise StackError((home / "failed").read_text())
        stack = running(home)
        if stack and _answers(stack):
            return stack
        time.sleep(0.2)
    stop(home)
    tails = "\n".join(f"--- {f.name}\n{_tail(f)}" for f in sorted((home / "logs").glob("*.log")))
    raise StackError(f"The stack did not answer within {_START_TIMEOUT:.0f} s.\n{tails}")


def _answers(stack: Stack) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{stack.uris['api']}/readyz", timeout=2).status_code == 200
    return False


def running(home: Path) -> Stack | None:
    """The stack of a folder, None where none runs."""
    with suppress(OSError, ValueError, KeyError):
        told = json.loads((home / "stack.json").read_text())
        if is_running(home):
            return Stack(told["uris"], told["pids"], told["settings"])
    return None


def is_running(home: Path) -> bool:
    """Whether a supervisor holds the folder's lock."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def stop(home: Path) -> bool:
    """Stop the stack of a folder, and whatever a supervisor that was killed left behind; whether one ran."""
    home = home.absolute()
    try:
        told = json.loads((home / "stack.json").read_text())
    except (OSError, ValueError):
        told = {"pids": {}}
    was = is_running(home)
    if supervisor := told["pids"].get("supervisor"):
        _signal(supervisor, signal.SIGTERM, home)
    deadline = time.monotonic() + _GRACE + 10
    while is_running(home) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid in told["pids"].values():
        _signal(pid, signal.SIGKILL, home)
    (home / "stack.json").unlink(missing_ok=True)
    return was


def _signal(pid: int, what: signal.Signals, home: Path) -> None:
    """Signal a process group of ours; a process id that is someone else's by now is left alone."""
    with suppress(OSError):
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        if f"STSG_HOME={home}".encode() in environment.split(b"\0"):
            os.killpg(os.getpgid(pid), what)


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""


class Supervisor:
    """Starts the children of one folder's stack and starts again the ones that die."""

    def __init__(self, given: Settings) -> None:
        self.home = given.home.absolute()
        self.given = given
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.commands: dict[str, list[str]] = {}
        self.deaths: dict[str, list[float]] = {}
        self.ending = False
        self.joined: dict[str, Any] = {}
        self.uris: dict[str, str] = {}
        self.neo4j: LocalNeo4j | None = None
        self._plan()

    def _plan(self) -> None:
        """Choose ports and command lines."""
        api_port = free_port(self.given.api_port)
        self.uris["api"] = f"http://127.0.0.1:{api_port}"
        if not self.given.redis_url:
            port = free_port(6379)
            folder = self.home / "valkey"
            self.joined["redis_url"] = f"redis://:{local.own_password(folder)}@127.0.0.1:{port}/0"
            self.uris["broker"] = f"redis://127.0.0.1:{port}/0"
            self.commands["valkey"] = local.valkey_command(folder, port)
        if not self.given.neo4j_uri:
            style = f"{self.uris['api']}/neo4j/style.grass"
            self.neo4j = LocalNeo4j(self.home / "neo4j", style_url=style)
            self.joined |= {"neo4j_uri": self.neo4j.uri, "neo4j_password": self.neo4j.password}
            self.joined["neo4j_browser_url"] = self.neo4j.http_uri
            self.uris |= {"neo4j": self.neo4j.uri, "browser": f"{self.neo4j.http_uri}/browser/"}
            self.commands["neo4j"] = self.neo4j.command()
        python = sys.executable
        self.commands["api"] = [python, "-m", "uvicorn", "api.app:create_app", "--factory", "--port", str(api_port)]
        self.commands["worker"] = [
            *(python, "-m", "celery", "--app", "workers.app", "worker", "--loglevel", "WARNING"),
            *("--queues", "cpu,gpu.infer,gpu.train", "--concurrency", "1", "--without-mingle", "--without-gossip"),
        ]

    def run(self) -> None:
        """Start all children, then watch over them until told to end."""
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, self._end)
        for name in ("valkey", "neo4j"):
            self._spawn(name)
        self._write()
        self._wait_for_services()
        for name in ("worker", "api"):
            self._spawn(name)
        self._write()
        while not self.ending:
            self._revive()
            time.sleep(0.2)
        self._stop_children()

    def _wait_for_services(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        while not self.ending and not (self._neo4j_ready() and self._broker_ready()):
            self._check_alive()
            if time.monotonic() > deadline:
                raise StackError("Neo4j or the broker did not answer in time.")
            time.sleep(0.1)

    def _neo4j_ready(self) -> bool:
        return self.neo4j is None or self.neo4j.ready()

    def _broker_ready(self) -> bool:
        try:
            return "valkey" not in self.commands or bool(Redis.from_url(self.joined["redis_url"]).ping())
        except RedisError:
            return False

    def _check_alive(self) -> None:
        for name, child in self.children.items():
            if child.poll() is not None:
                log = self.home / "logs" / f"{name}.log"
                raise StackError(f"{name} did not start. The end of {log}:\n{_tail(log)}")

    def _spawn(self, name: str) -> None:
        if name not in self.commands:
            return
        public = {k: v for k, v in self.joined.items() if k in Settings.model_fields}
        env = {**os.environ, **{f"STSG_{k.upper()}": str(v) for k, v in public.items()}}
        with (self.home / "logs" / f"{name}.log").open("ab") as log:
            self.children[name] = subprocess.Popen(
                self.commands[name],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=env,
                start_new_session=True,
            )

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
            self._spawn(name)
            self._write()

    def _write(self) -> None:
        pids = {"supervisor": os.getpid()} | {name: child.pid for name, child in self.children.items()}
        part = self.home / "stack.part"
        part.touch(mode=0o600)
        part.write_text(json.dumps({"uris": self.uris, "pids": pids, "settings": self.joined}, indent=2))
        part.replace(self.home / "stack.json")

    def _end(self, *_: object) -> None:
        self.ending = True

    def _stop_children(self) -> None:
        """The worker and the API first, then what they need."""
        for names in (("api", "worker"), ("valkey", "neo4j")):
            living = [self.children[n] for n in names if n in self.children]
            for child in living:
                with suppress(OSError):
                    child.terminate()
            deadline = time.monotonic() + _GRACE
            for child in living:
                with suppress(subprocess.TimeoutExpired):
                    child.wait(max(0.1, deadline - time.monotonic()))
                _kill_group(child.pid)


def _kill_group(pid: int) -> None:
    """Kill what a child may have left behind: it leads a process group of its own."""
    with suppress(OSError):
        os.killpg(pid, signal.SIGKILL)


def _hold_lock(home: Path) -> TextIO:
    lock = (home / "lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit("Another stack runs for this folder.") from None
    return lock


def main(home: Path) -> None:
    """The supervisor's process: `python -m workers.supervisor FOLDER`."""
    lock = _hold_lock(home)
    os.set_inheritable(lock.fileno(), False)
    supervisor: Supervisor | None = None
    try:
        supervisor = Supervisor(Settings())
        supervisor.run()
    except Exception as e:  # noqa: BLE001 # the starter shows it to the user
        (home / "failed").write_text(f"{e}")
        if supervisor:
            supervisor._stop_children()
    finally:
        (home / "stack.json").unlink(missing_ok=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
