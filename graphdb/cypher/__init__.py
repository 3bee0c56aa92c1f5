"""The queries: one a file, whose header says what it does, its parameters and its place in the paper."""

from functools import cache
from importlib.resources import files


@cache
def cypher(name: str) -> str:
    """The text of the query `<name>.cypher`."""
    return files(__name__).joinpath(f"{name}.cypher").read_text("utf-8")
