"""The steps of the schema, one a file `NNNN_name.cypher`: statements with `;` behind each, all of which may run twice.

A step that was released is never changed; what is new is a new step. Neo4j mixes no changes of schema and of data in one
transaction, so that each statement is one of its own.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable


@dataclass(frozen=True, slots=True)
class Migration:
    """One step; a database that has it is of version `number`."""

    number: int
    name: str
    statements: tuple[str, ...]

    @property
    def rules(self) -> list[tuple[str, str]]:
        """The constraints and indexes it makes: [("CONSTRAINT", "video_id")]."""
        return [(words[1], words[2]) for s in self.statements if (words := s.split())[0] == "CREATE"]


@cache
def migrations(folder: Traversable | None = None) -> tuple[Migration, ...]:
    """The steps of a folder (None: of this one), in order; their numbers are 1, 2, 3 ..."""
    steps = sorted(_step(file) for file in (folder or files(__name__)).iterdir() if file.name.endswith(".cypher"))
    assert [number for number, *_ in steps] == list(range(1, len(steps) + 1)), "a number is missing or there twice"
    return tuple(Migration(*step) for step in steps)


def _step(file: Traversable) -> tuple[int, str, tuple[str, ...]]:
    named = re.fullmatch(r"(\d{4})_(\w+)\.cypher", file.name)
    assert named, f"{file.name} is no NNNN_name.cypher"
    text = "\n".join(line for line in file.read_text("utf-8").splitlines() if not line.startswith("//"))
    return int(named[1]), named[2], tuple(s.strip() for s in text.split(";") if s.strip())
