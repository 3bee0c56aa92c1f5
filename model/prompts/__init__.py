"""Prompts are data: one template a file, named after its place in the paper (STEP App. A.1), in sets.

`standard` is for Video-LLMs that follow instructions and examples; `compact` says the same in a few words, for small
models that were trained on it. Inputs and output forms are the same. Where a set lacks a text-only extraction, the reply
before it already has the extraction's form.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from model.stsg import Keyframe
from model.video_llm import Request

SETS = ("standard", "compact")


def _object(*names: str) -> dict[str, Any]:
    """The JSON schema of an object of strings."""
    told = {name: {"type": "string"} for name in names}
    return {"type": "object", "properties": told, "required": list(names), "additionalProperties": False}


SCHEMAS: Mapping[str, Mapping[str, Any]] = {  # of the replies that are JSON (App. A.1, A.2)
    "parsing_2_2_attribute_list": {"type": "array", "items": _object("type", "value")},
    "merging_2_2_action_phrase": _object("action"),
    "merging_2_3_predicate": _object("predicate", "object"),
    "refinement_1_rewrite": _object("Q", "R", "A"),
}
_jinja = Environment(undefined=StrictUndefined, trim_blocks=True, autoescape=False)  # noqa: S701 # plain text, not HTML


def ask(
    prompt_set: str,
    step: str,
    *,
    frames: Sequence[Keyframe] = (),
    choices: Sequence[str] = (),
    max_new_tokens: int = 128,
    **values: str,
) -> Request:
    """The request for one prompt; `values` fill the template's variables."""
    text = _template(prompt_set, step).render(values).strip()
    return Request(step, text, tuple(frames), values, tuple(choices), max_new_tokens, SCHEMAS.get(step))


def has(prompt_set: str, step: str) -> bool:
    """Whether the set has a template for the step."""
    return files(__name__).joinpath(prompt_set, f"{step}.jinja").is_file()


@cache
def version(prompt_set: str) -> str:
    """12 hex digits over the names and texts of a set's templates."""
    digest = hashlib.sha256()
    for file in sorted(files(__name__).joinpath(prompt_set).iterdir(), key=lambda f: f.name):
        if file.name.endswith(".jinja"):
            digest.update(f"{file.name}\0{file.read_text('utf-8')}\0".encode())
    return digest.hexdigest()[:12]


@cache
def _template(prompt_set: str, step: str) -> Template:
    return _jinja.from_string(files(__name__).joinpath(prompt_set, f"{step}.jinja").read_text("utf-8"))
