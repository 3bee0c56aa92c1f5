"""The thoughts of a reasoning model, which stand before or around its reply where the server has no parser for them."""

import re
from dataclasses import dataclass

from model.replies.tokens import CONTROL

_WORDS = (
    r"(?:(?:seed|mm|longcat)[:_])?(?:think(?:ing)?|thoughts?|thought[_ ]process|reasoning(?:_\w{1,12})?|reflection|scratchpad"
    r"|ant_?thinking|internal_monologue|analysis|deliberation)"
)
_OPENS = (
    rf"<{_WORDS}(?:\s[^<>]{{0,60}})?>|◁think▷|(?-i:\[THINK(?:ING)?\])|<unused94>(?:thought)?"
    r"|<[|｜](?:begin[_▁]of[_▁](?:thoughts?|thinking|reasoning)|start[_▁]thinking|think(?:ing)?(?:[_▁](?:start|begin))?)[|｜]>"
    r"|<\|channel\|?>\s*(?:analysis|commentary|thoughts?|thinking|reasoning)\b"
)
_CLOSES = (
    rf"</{_WORDS}\s?>|◁/think▷|(?-i:\[/THINK(?:ING)?\])|<unused95>"
    r"|<[|｜](?:end[_▁]of[_▁](?:thoughts?|thinking|reasoning)|end[_▁]thinking|think(?:ing)?[_▁]end|/think(?:ing)?)[|｜]>"
    r"|<\|channel\|?>\s*(?:final|response|answer)\b|<channel\|>|\bassistantfinal(?=\W|[A-Z]|$)"
)
_TAG = re.compile(f"(?P<opens>{_OPENS})|{_CLOSES}", re.IGNORECASE)
_BARE = re.compile(r"\s*analysis(?=[A-Z])")  # channels whose tokens were taken off
_BEGINS = re.compile(
    r"\W{0,4}(?:(thinking process|thought process|here is my thought process|thoughts?|thinking)|reasoning|analysis|rationale"
    r"|step[- ]by[- ]step(?: reasoning| thinking)?|explanation)\W{0,4}?(?::|\n)",
    re.IGNORECASE,
)
_THEN = re.compile(
    r"\n\W{0,6}(?:here is my (?:final )?(?:response|answer)|(?:the )?(?:final|my) (?:answer|response)|answer|response|output"
    r"|conclusion)\W{0,4}?(?::|\n)\W{0,4}?(?=[\s\w\[{<\"'(])",
    re.IGNORECASE,
)
_ANSWER = re.compile(r"<(?:final_)?(?:answer|response)>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Thoughts:
    """A reply parted into what was thought and what was said; `said` is blank where it is thoughts alone."""

    said: str
    thought: tuple[str, ...]


def without_thoughts(text: str) -> Thoughts:
    """What a reply says after its thoughts: closed ones, ones that were cut off, and such as only end.

    "<think>It may be red.</think>Blue" -> "Blue"; "It may be red.</think>Blue" -> "Blue"; "<think>It may" -> ""
    """
    outside, thought, start, is_open = list[str](), list[str](), 0, False
    if _BARE.match(text):
        is_open = True
    for tag in _TAG.finditer(text):
        piece, opens = text[start : tag.start()], tag["opens"] is not None
        if is_open:
            thought.append(piece)
        elif opens:
            outside.append(piece)
        else:  # all before it was thought
            thought += [*outside, piece]
            outside.clear()
        start, is_open = tag.end(), opens
    if is_open:
        answer = _ANSWER.search(text, start)
        at = answer.start() if answer else len(text)
        thought.append(text[start:at])
        outside.append(text[at:])
    else:
        outside.append(text[start:])
    said = next((piece for piece in reversed(outside) if CONTROL.sub("", piece).strip()), "")
    if not thought:
        return _by_headings(said)
    return Thoughts(said, tuple(t for t in thought if t.strip()) or ("",))


def _by_headings(text: str) -> Thoughts:
    """Thoughts under a heading of their own, and the answer under another."""
    begins = _BEGINS.match(text)
    if begins is None:
        return Thoughts(text, ())
    last = max(_THEN.finditer(text, begins.end() - 1), key=lambda m: m.start(), default=None)
    if last is not None and text[last.end() :].strip():
        return Thoughts(text[last.end() :], (text[: last.start()],))
    return Thoughts("", (text,)) if begins[1] else Thoughts(text, ())
