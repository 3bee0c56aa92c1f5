"""Exported samples checked by anyone: each program is run on its exported graph by the second interpreter (STEP Sec. 3.2).

An export may come from anywhere, so a row is judged by what it holds and not by who wrote it: whatever is wrong with it is
a finding with its line, and no row stops the checking of the others.
"""

import json
import re
from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, BinaryIO, Literal

from model.rationale import english
from model.rationale.evaluate import Evaluator
from model.rationale.program import REGISTERS, Program, options
from model.rationale.qra import content_id, program_from_row
from model.rationale.refine import Rewrite, why_not

Flaw = Literal[
    "malformed",
    "unknown_run",
    "ambiguous",
    "no_answer",
    "wrong_answer",
    "leaks_answer",
    "bad_rationale",
    "bad_id",
    "bad_rewrite",
]
_SHOWN = 10


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """What is wrong with one row."""

    line: int  # from 1 on
    reason: Flaw
    detail: str
    id: str = ""  # of the row, where it has one


@dataclass(frozen=True, slots=True)
class Row:
    """What is checked of an exported row."""

    line: int
    id: str
    run_id: str
    question: str
    rationale: tuple[str, ...]
    answer: str
    steps: int
    program: Program
    rewrite: Rewrite | None = None  # what the row says, where that is not its template

    def finding(self, reason: Flaw, detail: str) -> Finding:
        return Finding(self.line, reason, detail, self.id)


@dataclass(slots=True)
class Report:
    """How much was checked, how often each thing was wrong, and the first findings."""

    rows: int = 0
    runs: int = 0
    counts: Counter[Flaw] = field(default_factory=Counter)
    first: list[Finding] = field(default_factory=list)

    def take(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self.counts[finding.reason] += 1
            insort(self.first, finding)
            del self.first[_SHOWN:]

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        counts = dict(sorted(self.counts.items()))
        return {"rows": self.rows, "runs": self.runs, "findings": counts, "first": [asdict(f) for f in self.first]}


class UnknownRun(Exception):  # noqa: N818 # a fact about the export, not a fault
    """There is no graph to run a row's program on; the text says why."""


def verify(file: BinaryIO, evaluator_of: Callable[[str], Evaluator]) -> Report:
    """Checks every row of a JSONL export; blank lines are none.

    The file is read twice, for its rows come in any order and graphs are large: each run's is asked for once, and only one
    is held at a time. `evaluator_of` may raise `UnknownRun`.
    """
    report, places, offset = Report(), dict[str, list[tuple[int, int]]](), 0
    for line, raw in enumerate(file, 1):
        if raw.strip():
            report.rows += 1
            row = read_row(line, raw)
            report.take([row] if isinstance(row, Finding) else told_badly(row))
            if isinstance(row, Row):
                places.setdefault(row.run_id, []).append((line, offset))
        offset += len(raw)
    report.runs = len(places)
    for run_id, listed in places.items():
        report.take(_answered_badly(_rows_at(file, listed), run_id, evaluator_of))
    return report


def _rows_at(file: BinaryIO, places: Iterable[tuple[int, int]]) -> Iterator[Row]:
    for line, offset in places:
        file.seek(offset)
        row = read_row(line, file.readline())
        assert isinstance(row, Row), "the file changed while it was read"
        yield row


def _answered_badly(rows: Iterable[Row], run_id: str, evaluator_of: Callable[[str], Evaluator]) -> Iterator[Finding]:
    try:
        evaluator = evaluator_of(run_id)
    except UnknownRun as unknown:
        yield from (row.finding("unknown_run", str(unknown)) for row in rows)
        return
    for row in rows:
        if found := answered_badly(row, evaluator):
            yield found


def read_row(line: int, raw: bytes) -> Row | Finding:
    """A line of an export, or why it is none."""
    try:
        row = json.loads(raw.decode())
        json.dumps(row, ensure_ascii=False).encode()  # half a surrogate pair could be neither hashed nor printed
        if wrong := next((f"{key!r} is {what}" for key, what in _wrong(row)), None):
            return Finding(line, "malformed", wrong)
    except (ValueError, RecursionError) as e:
        return Finding(line, "malformed", f"no line of JSON: {e}")
    told = row.get("template") or row
    said = None if told is row else Rewrite(row["question"], tuple(row["rationale"]), row["answer"])
    return Row(
        line=line,
        id=row["id"],
        run_id=row["run_id"],
        question=told["question"],
        rationale=tuple(told["rationale"]),
        answer=row["answer"],
        steps=row["steps"],
        program=program_from_row(row),
        rewrite=said,
    )


def _wrong(row: Any) -> Iterator[tuple[str, str]]:
    """What is missing from a row or of the wrong kind, by key."""
    if not isinstance(row, dict):
        yield "row", "no object"
        return
    for key, (good, what) in _FIELDS.items():
        if key not in row:
            yield key, "missing"
        elif not good(row[key]):
            yield key, f"not {what}"
    if row.get("template") is not None and not _is_template(row["template"]):
        yield "template", "not a question and a rationale"


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(_is_text(item) for item in value)


def _is_template(value: Any) -> bool:
    return isinstance(value, dict) and _is_text(value.get("question")) and _is_texts(value.get("rationale"))


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0


def _is_program(value: Any) -> bool:
    """Whether operations are flat, and read only registers that are filled before them."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(op, dict) and isinstance(op.get("op"), str) for op in value)
        and all(isinstance(told, str | int | float) for op in value for told in op.values())
        and all(type(op[k]) is int and 0 <= op[k] < at for at, op in enumerate(value) for k in REGISTERS if k in op)
    )


_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "id": (_is_text, "a text"),
    "run_id": (_is_text, "a text"),
    "question": (_is_text, "a text"),
    "rationale": (_is_texts, "a list of texts"),
    "answer": (_is_text, "a text"),
    "steps": (_is_count, "a number of 1 or more"),
    "program": (_is_program, "a program"),
}


def told_badly(row: Row) -> Iterator[Finding]:
    """What is wrong with a row by itself: its id, its question, its rationale."""
    if row.id != content_id(row.run_id, row.question, row.answer, row.program):
        yield row.finding("bad_id", f"{row.id!r} is not the hash of what the row holds")
    asked = _open_part(row)
    if asked is not None and english.content_words(row.answer) <= frozenset(english.words(asked)):
        yield row.finding("leaks_answer", f"the question says {row.answer!r} already")
    if len(row.rationale) != row.steps:
        yield row.finding("bad_rationale", f"{len(row.rationale)} lines for {row.steps} steps")
    elif not _names(row.rationale[-1], row.answer):
        yield row.finding("bad_rationale", f"the last line, {row.rationale[-1]!r}, does not name {row.answer!r}")
    if row.rewrite is not None:
        told = {"question": row.question, "rationale": row.rationale, "answer": row.answer, "program": row.program}
        if reason := why_not(told, row.rewrite):
            yield row.finding("bad_rewrite", f"the rewritten sample says something else than its template: {reason}")


def _open_part(row: Row) -> str | None:
    """The part of a question that must not hold the answer.

    That leaves out the options of a choice. "Yes", "no" and numbers answer closed questions, where such a word gives nothing
    away: there is no such part.
    """
    last = row.program[-1]
    if last["op"] in ("is", "count", "same_object", "same_value"):
        return None
    for option in options(last)[:1]:
        for told in (english.the(option), english.quoted(option), option):
            head, found, _ = row.question.rpartition(f": {told}, ")
            if found:
                return head
    return row.question


def _names(line: str, answer: str) -> bool:
    """Whether a line says the answer, whole; a verb may be inflected ("hold" is told as "is holding")."""
    inflected = (english.finite(answer, plural) for plural in (False, True))
    ways = (english.tidy(answer), *inflected)
    return any(re.search(rf"(?<!\w){re.escape(way.lower())}(?!\w)", line.lower()) for way in ways if way)


def answered_badly(row: Row, evaluator: Evaluator) -> Finding | None:
    """What is wrong with a row's answer on its graph."""
    try:
        found = evaluator.run(row.program)
    except Exception as e:  # noqa: BLE001 # whatever a damaged program does, it is a finding
        return row.finding("malformed", f"the program can't be run: {type(e).__name__} {e}")
    if found.reason == "ambiguous":
        return row.finding("ambiguous", f"operation {found.failed} finds more than one")
    if found.reason is not None:
        return row.finding("no_answer", f"operation {found.failed} finds nothing")
    if found.answer != row.answer:
        return row.finding("wrong_answer", f"the graph says {found.answer!r}, the row {row.answer!r}")
    return None
