"""Stored programs run on stored graphs, many at a time (STEP Sec. 3.2): only one answer is an answer.

Operations are independent given their inputs, so all that are ready are run together: one statement for each kind of
operation and level, whatever the number of programs. Equal operations on equal inputs are run once.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from neo4j import Driver

from graphdb.connection import read_in_parts
from graphdb.cypher import cypher
from model.rationale.english import clip_name, deed
from model.rationale.program import Op, Outcome, Program, inputs, settle
from model.stsg import object_name

_BATCH = 5000


def run_program(driver: Driver, run_id: str, program: Program) -> Outcome:
    """The one answer of a program on a run's graph, or why it has none."""
    return run_programs(driver, [(run_id, program)])[0]


def run_programs(driver: Driver, programs: Sequence[tuple[str, Program]]) -> list[Outcome]:
    """The outcome of each (run id, program), in order."""
    states = [_State(run_id, program) for run_id, program in programs]
    known: dict[str, list[Any]] = {}
    while waiting := [s for s in states if s.outcome is None]:
        ready = [(s, at, s.call(at)) for s in waiting for at in s.ready()]
        _call(driver, {key: row for _, _, (key, row) in ready if key not in known}, known)
        for state, at, (key, _) in ready:
            state.fill(at, known[key])
    return [s.outcome for s in states if s.outcome is not None]


class _State:
    """One program under way: its registers, filled level by level.

    The first operation in program order that fails decides the outcome, whatever the order in which they are run.
    """

    def __init__(self, run_id: str, program: Program) -> None:
        if not program:
            raise ValueError("A program needs at least one operation.")
        self._run_id = run_id
        self._program = program
        self._registers: dict[int, Any] = {}
        self._failure: Outcome | None = None
        self._listed: list[Any] = []
        self.outcome: Outcome | None = None

    def ready(self) -> list[int]:
        """The operations that have their inputs, have not been run and still matter."""
        end = self._failure.failed if self._failure else len(self._program)
        left = (at for at in range(end) if at not in self._registers)
        return [at for at in left if all(r in self._registers for _, r in inputs(self._program[at]))]

    def call(self, at: int) -> tuple[str, dict[str, Any]]:
        """An operation with its inputs in place, and the key under which equal ones are shared."""
        op: Op = self._program[at]
        row = {**op, **{key: self._registers[r] for key, r in inputs(op)}, "graph_id": self._run_id}
        return json.dumps(row, sort_keys=True), row

    def fill(self, at: int, found: Sequence[Any]) -> None:
        """Takes an operation's set."""
        failure = settle(self._program[at], len(found), at)
        if failure is None and "all" in self._program[at]:
            self._registers[at] = self._listed = list(found)
        elif failure is None:
            self._registers[at] = found[0]
        elif self._failure is None or at < self._failure.failed:
            self._failure = failure
        if self._failure is not None and all(before in self._registers for before in range(self._failure.failed)):
            self.outcome = self._failure
        elif len(self._registers) == len(self._program):
            listed = tuple(str(id).removeprefix(f"{self._run_id}/") for id in self._listed)
            self.outcome = Outcome(answer=str(self._registers[len(self._program) - 1]), listed=listed)


def _call(driver: Driver, rows: Mapping[str, Mapping[str, Any]], known: dict[str, list[Any]]) -> None:
    """Runs operations by kind and keeps each set, sorted, under its key."""
    kinds: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for key, row in rows.items():
        known[key] = []
        kinds.setdefault(str(row["op"]), []).append((key, row))
    for kind, listed in kinds.items():
        for start in range(0, len(listed), _BATCH):
            batch = listed[start : start + _BATCH]
            parameters = [{**row, "i": i} for i, (_, row) in enumerate(batch)]
            for found in read_in_parts(driver, cypher(f"program_{kind}"), "rows", parameters):
                known[batch[found["i"]][0]] = _elements(kind, found["found"])


def _elements(kind: str, found: Sequence[Any]) -> list[Any]:
    """A statement's set as program values: objects, motions and clips in answers are told in words."""
    if kind in ("name", "sooner", "acts_longer"):
        return sorted({object_name(category, mark or "") for category, mark in found})
    if kind == "action":
        return sorted({deed(predicate, target) for predicate, target in found})
    if kind in ("other_clip", "seen_clip", "clip_longer", "clip_told"):
        return [clip_name(index) for index in sorted(found)]
    return sorted(found)
