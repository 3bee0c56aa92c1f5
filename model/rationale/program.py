"""Questions as programs: lists of small operations with words for parameters and no node ids (STEP Sec. 3.2).

Operation number i fills register i with a set; `of`, `to` and `clip` name earlier registers. Each register must hold
exactly one element before another operation may read it, and the last one holds the answer; only an operation with
`all` = 1 may fill its register with a set of any size, which `count` reads. Two interpreters exist: Cypher on the stored
graph, and plain Python in `model.rationale.evaluate`.

| op | parameters | its set |
| --- | --- | --- |
| clip_number | number (from 0) | clips |
| clip_event | description | clips whose event reads so |
| clip_time | t_from, t_to (seconds) | clips that cover the range |
| named | clip, name | entities |
| having | clip, category, type, value | entities with an attribute whose value holds these words; of any `type` if empty |
| doing | clip, category, predicate, target | entities whose motion starts so; on any `target` where it is empty |
| related | of, side, predicate, category | entities on that `side` ("subject", "object") of a relation with `of` that ends so |
| same | of, clip | entities of the clip that are `of`, through any chain of references |
| name | of | names |
| value | of, type | attribute values |
| predicate | of, to | predicates from `of` to `to` |
| action | of | what it does, with the thing acted upon |
| target | of, predicate | things acted upon |
| other_clip | of | names of the other clips that show it |
| clip_of | of (an entity) | clips that show the object |
| clip_other | of (an entity) | clips that show the object, but not this one |
| clip_beside | of (a clip), by (-1 or 1) | the clip before or after it |
| clip_between | of, to (clips) | clips between them |
| clip_extreme | by ("objects", "seconds"), end ("most", "least") | clips of which there is none with more or less |
| clip_longer | of, to (clips), end ("most", "least") | name of the one that clearly lasts longer or less long |
| clip_told | of (a clip) | its name |
| seen_clip | of, end ("first", "last") | name of the first or last clip that shows the object |
| event | of (a clip) | what happens in it |
| sooner | of, to, end ("first", "last") | name of the object that is seen earlier, or of the one that is seen later |
| acts_longer | of, to | name of the object whose motions clearly last longer |
| same_object | of, to | "same" or "different" |
| same_value | of, to, type | "same" or "different" |
| is | of, value | "yes" where the value is what `of` holds, else "no" |
| choose | of, option_1, option_2, ... | what `of` holds, where it is one of the options |
| count | of (a register filled with `all`) | how many it holds |

What is dark red is red, what stands on a table is on it, and who runs on the grass runs: who asks for the shorter words means
both, so these operations find both, and `settle` has no answer. An empty `category` takes any object; without `clip`,
`named`, `having` and `doing` search the whole video, and `same` any other clip. A time is clearly longer than
another if it is so by a fifth and by 0.3 seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Op = Mapping[str, str | int | float]
Program = tuple[Op, ...]
REGISTERS = ("of", "to", "clip")

Reason = Literal[
    "ambiguous",
    "no_answer",
    "leaks_answer",
    "trivial",
    "duplicate",
    "stuck",
    "tangled",
    "no_distractor",
    "unasked",
    "unbalanced",
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a program: its one answer, or the reason why there is none and the operation that failed."""

    answer: str = ""
    reason: Reason | None = None
    failed: int = -1
    listed: tuple[str, ...] = ()  # what the last register filled with `all` holds


def inputs(op: Op) -> list[tuple[str, int]]:
    """The registers that an operation reads, by parameter."""
    return [(key, int(op[key])) for key in REGISTERS if key in op]


def options(op: Op) -> list[str]:
    """The options of a choice, in order."""
    return [str(op[key]) for key in sorted(op) if key.startswith("option_")]


def settle(op: Op, size: int, at: int) -> Outcome | None:
    """The verdict on a register with `size` elements: None where it holds exactly one, or may hold any number."""
    if size == 1 or "all" in op:
        return None
    return Outcome(reason="ambiguous" if size else "no_answer", failed=at)
