"""What the service rests on, looked at side by side; a part that hangs is named like one that is gone."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from functools import partial
from threading import Lock, Thread
from typing import Any

from workers.runtime import Service

_SECONDS = 1.8  # for which an answer is waited for
_FRESH = 1.0  # seconds for which callers get the same answer of a check that costs others something


@dataclass
class Readiness:
    """The checks of one service. Each runs once at a time, however many callers ask and however long it hangs."""

    service: Service
    _running: dict[str, Future[str]] = field(default_factory=dict)
    _worker: tuple[float, str] = (-_FRESH, "")
    _lock: Lock = field(default_factory=Lock)

    def checks(self) -> Mapping[str, str]:
        """Look at every part.

        Returns:
            By part, `ok` or what is wrong with it: `{"neo4j": "ok", "broker": "does not answer within 1.8 s"}`.
        """
        looks: dict[str, Callable[[], object]] = {
            "neo4j": self.service.driver.verify_connectivity,
            "broker": partial(self.service.backlog, "cpu"),
            "storage": partial(self.service.storage.exists, "storage.json"),
            "worker": self._ping,
        }
        with self._lock:
            running = {name: self._start(name, look) for name, look in looks.items()}
        wait(running.values(), timeout=_SECONDS)
        return {name: f.result() if f.done() else _HANGS for name, f in running.items()}

    def _start(self, name: str, look: Callable[[], object]) -> Future[str]:
        before = self._running.get(name)
        if before is None or before.done():
            self._running[name] = running = Future[str]()
            Thread(target=lambda: running.set_result(_answer(look)), daemon=True).start()  # none holds up the exit
        return self._running[name]

    def _ping(self) -> str:
        """Ask the workers, once a second at most: each time takes two connections of a pool of ten."""
        at, answer = self._worker
        if time.monotonic() - at > _FRESH:
            from workers.app import app

            found: Any = app.control.inspect(timeout=0.7).ping()
            answer = "ok" if found else "none listens"
            self._worker = time.monotonic(), answer
        return answer


_HANGS = f"does not answer within {_SECONDS} s"


def _answer(look: Callable[[], object]) -> str:
    try:
        result = look()
    except Exception as e:  # noqa: BLE001 # any failure is the answer
        return f"does not answer: {e}"[:200]
    return result if isinstance(result, str) else "ok"
