"""QRA refinement (STEP App. A.2): the language side of a Video-LLM rewrites a sample, and only its words may change.

A rewrite is taken if nothing that the question's program rests on was lost, added or moved: then the program, the path and
the answer stay those of the template, which is kept beside it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from typing import Any, Literal

from model import prompts
from model.rationale import english
from model.replies import UnreadableReply, read_rewrite
from model.video_llm import Request

STEP = "refinement_1_rewrite"
Row = dict[str, Any]
Kept = Literal[
    "answer_changed", "steps_changed", "leaks_answer", "lost", "invented", "negated", "too_long", "unchanged"
]

_NEGATIONS = frozenset(["no", "not", "never", "none", "nothing", "without", "neither", "nor", "cannot"])
_WEIGHTY = "other same different only both each many more fewer longer shorter earlier later last before after between"
_DIRECTIONS = "left right above below over under front behind top bottom inside outside near far up down toward away"
_TOKENS_A_STEP = 48


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What a model made of a sample."""

    question: str
    rationale: tuple[str, ...]
    answer: str


def request(row: Mapping[str, Any], prompt_set: str) -> Request:
    """The prompt for a sample; no frame is shown."""
    steps = " ".join(f"{i}. {line}" for i, line in enumerate(row["rationale"], 1))
    return prompts.ask(
        prompt_set,
        STEP,
        max_new_tokens=_TOKENS_A_STEP * (2 + len(row["rationale"])),
        question=row["question"],
        rationale=steps,
        answer=row["answer"],
    )


def read(reply: str) -> Rewrite:
    """The rewrite in a reply; raises `UnreadableReply`."""
    return Rewrite(*read_rewrite(reply))


def vocabulary(rows: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The words in which a rewrite could say something else: all that the samples' programs and answers speak of."""
    found = {stem for row in rows for stem in _weighed(row)}
    return frozenset(found) | frozenset(map(_stem, f"{_WEIGHTY} {_DIRECTIONS}".split()))


def refined(row: Row, reply: str, known: frozenset[str], exchange: str = "") -> Row | str:
    """The sample in its new words, with the template and the exchange beside it, or why the template stays."""
    try:
        rewrite = read(reply)
    except UnreadableReply as e:
        return e.reason
    reason = why_not(row, rewrite, known)
    if reason is not None:
        return reason
    template = {"question": row["question"], "rationale": row["rationale"], "exchange": exchange}
    return row | {"question": rewrite.question, "rationale": list(rewrite.rationale), "template": template}


def why_not(row: Mapping[str, Any], rewrite: Rewrite, known: frozenset[str] = frozenset()) -> Kept | None:
    """Why a rewrite can't stand for a sample, None where it can; `known` is the `vocabulary` of the data set."""
    if english.content_words(rewrite.answer) != english.content_words(row["answer"]):
        return "answer_changed"
    if len(rewrite.rationale) != len(row["rationale"]):
        return "steps_changed"
    if (rewrite.question, list(rewrite.rationale)) == (row["question"], list(row["rationale"])):
        return "unchanged"
    weighed = known | _weighed(row)
    before, after = (frozenset(map(_stem, english.words(q))) for q in (row["question"], rewrite.question))
    answer = frozenset(map(_stem, english.content_words(row["answer"])))
    if answer - before and answer <= after:
        return "leaks_answer"
    moved = sum(str(op["op"]).startswith("clip_") for op in row["program"]) <= 1
    pairs = [(row["question"], rewrite.question), *zip_longest(row["rationale"], rewrite.rationale, fillvalue="")]
    for told, retold in pairs:
        if reason := _differs(told, retold, weighed, moved=moved):
            return reason
    return None if rewrite.question.endswith("?") else "lost"


def _differs(told: str, retold: str, weighed: frozenset[str], *, moved: bool) -> Kept | None:
    """What a sentence lost or gained in the retelling; the clip alone may stand elsewhere, where there is but one."""
    old, new = english.words(told), english.words(retold)
    if len(new) > 2 * len(old) + 8:
        return "too_long"
    if _count(old, _NEGATIONS) != _count(new, _NEGATIONS) or told.count("n't") != retold.count("n't"):
        return "negated"
    stems = frozenset(map(_stem, old))
    if any(stem not in stems for stem in map(_stem, new) if stem in weighed):
        return "invented"
    if _held(old, weighed, moved=moved) == _held(new, weighed, moved=moved):
        return None
    return "invented" if len(_held(new, weighed, moved=False)[0]) > len(_held(old, weighed, moved=False)[0]) else "lost"


def _held(found: Sequence[str], weighed: frozenset[str], *, moved: bool) -> list[list[str]]:
    """What must come again in the same order: the words that weigh, and the numbers, by themselves where they may move."""
    held = [(_stem(w), _is_number(w)) for w in found if _is_number(w) or _stem(w) in weighed]
    if not moved:
        return [[stem for stem, _ in held]]
    return [[stem for stem, number in held if number == wanted] for wanted in (False, True)]


def _weighed(row: Mapping[str, Any]) -> frozenset[str]:
    """The stems of the words that the program and the answer speak of, and of those that turn a question around."""
    told = [str(value) for op in row["program"] for key, value in op.items() if key not in ("op", "side")]
    content = (word for text in [*told, row["answer"]] for word in english.content_words(text))
    return frozenset(_stem(w) for w in content if not _is_number(w)) | frozenset(map(_stem, _WEIGHTY.split()))


def _is_number(word: str) -> bool:
    return word[0].isdigit() or word in _numbers()


@cache
def _numbers() -> frozenset[str]:
    counted = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    return frozenset(english.ordinal(i) for i in range(20)) | frozenset(counted)


def _count(found: Sequence[str], among: frozenset[str]) -> int:
    return sum(word in among for word in found)


def _stem(word: str) -> str:
    """A word without the ending that its place in a sentence gives it: hold, holds, holding."""
    if len(word) > 4:
        word = re.sub(r"(ing|ed|es|s)$", "", word)
    elif len(word) > 3:
        word = word.removesuffix("s")
    word = word.removesuffix("e") if len(word) > 3 else word
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word
