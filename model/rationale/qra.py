"""One Question-Rationale-Answer sample (STEP Sec. 3.2) and its row in an export."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from model.rationale.program import Op, Program

Family = Literal[
    "attribute", "relation", "motion", "reference", "event", "order", "duration", "sameness", "superlative"
]
FAMILIES: tuple[Family, ...] = get_args(Family)
TEMPORAL: tuple[Family, ...] = ("order", "duration", "superlative")  # their first hop is a search in time, no edge
Form = Literal["open", "yes_no", "choice", "count"]
FORMS: tuple[Form, ...] = ("open", "yes_no", "choice", "count")


@dataclass(frozen=True, slots=True)
class Qra:
    """A question about a video, the steps that solve it in order, and the answer, which is the last step's.

    `steps` is the number of steps in the rationale: `n_hops` edges of the path plus `n_temporal` operators of time, which
    search for a clip or compare times.
    """

    id: str  # hash of the content: the same sample from the same graph has the same id
    video_id: str
    run_id: str
    question: str
    rationale: tuple[str, ...]
    answer: str
    n_hops: int
    n_temporal: int
    family: Family  # what is asked about: a kind of edge, or what time makes of several
    path: tuple[Mapping[str, str], ...]  # hops in the order of the walk; ends are local ids of states or clips
    program: Program
    keyframes: tuple[str, ...] = ()  # ids of frames that show what the path is about, in time order
    evidence: tuple[str, ...] = ()  # ids of the exchanges that made the path's nodes and edges
    form: Form = "open"  # how the answer is given
    options: tuple[str, ...] = ()  # of a choice, as the question has them
    template: str = ""  # which words of ours the question is made of, beside the graph's; no part of a row
    clips: tuple[float, ...] = ()  # when each clip of the video begins, in seconds

    @property
    def topic(self) -> str:
        """What is asked for, whichever way the question is put."""
        return self.template.rpartition(" ")[0]

    @property
    def steps(self) -> int:
        return self.n_hops + self.n_temporal

    def to_row(self) -> dict[str, Any]:
        """The sample as JSON values, keys in export order."""
        return {
            "id": self.id,
            "video_id": self.video_id,
            "run_id": self.run_id,
            "question": self.question,
            "rationale": list(self.rationale),
            "answer": self.answer,
            "steps": self.steps,
            "n_hops": self.n_hops,
            "n_temporal": self.n_temporal,
            "family": self.family,
            "form": self.form,
            "options": list(self.options),
            "path": [dict(edge) for edge in self.path],
            "program": [dict(op) for op in self.program],
            "keyframes": list(self.keyframes),
            "clips": [round(t, 3) for t in self.clips],
            "evidence": list(self.evidence),
        }

    def to_json(self) -> str:
        """The row as one line of JSON, always the same bytes for the same sample."""
        return json.dumps(self.to_row(), ensure_ascii=False, separators=(",", ":"))


def program_from_row(row: Mapping[str, Any]) -> Program:
    """The program of an exported row."""
    return tuple(dict(op) for op in row["program"])


def content_id(run_id: str, question: str, answer: str, program: tuple[Op, ...]) -> str:
    """The id of a sample: 24 hex digits of a hash over what makes it that sample."""
    text = json.dumps([run_id, question, answer, [dict(op) for op in program]], ensure_ascii=False, sort_keys=True)
    return f"qra_{hashlib.sha256(text.encode()).hexdigest()[:24]}"
