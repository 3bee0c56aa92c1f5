"""A reply taken apart: what the model says, and what stands around it.

Models think aloud, leave control tokens, greet, put their answer into tags, boxes, fences or quotes, and offer more help.
Everything that reads a reply reads it through `unwrap`, which is linear in the reply and raises nothing.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from model.replies import shells
from model.replies.thoughts import without_thoughts
from model.replies.tokens import own_turn

MAX_CHARS = 16_384  # of a reply that are looked at, without its thoughts
_MAX_ROUNDS = 8  # wrappers within wrappers
_MAX_REMOVED = 32
_EXCERPT = 200
_HALF = re.compile(r"[\ud800-\udfff]")
_BOX_TOKENS = re.compile(
    r"<[|\uff5c](?:(begin)|end)_of_(?:solution|answer|response|box)[|\uff5c]>|<\|(?:(START)|END)_(?:RESPONSE|TEXT)\|>",
    re.IGNORECASE,
)

Wrapper = Literal[
    "thoughts", "control_token", "tag", "box", "fence", "role", "lead_in", "offer", "quotes", "field", "half_character"
]


@dataclass(frozen=True, slots=True)
class Removed:
    """Something that stood around a reply: which kind of wrapper, and how it begins."""

    wrapper: Wrapper
    text: str


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """What a reply says, and what was taken off; `text` is empty where nothing is left."""

    text: str
    removed: tuple[Removed, ...] = ()

    @property
    def thoughts_only(self) -> bool:
        """Whether the reply is nothing but thoughts, as one that was cut off while the model still thought."""
        return not self.text and any(r.wrapper == "thoughts" for r in self.removed)


_STEPS: tuple[tuple[Wrapper, Callable[[str], shells.Taken]], ...] = (
    ("tag", shells.tags),
    ("fence", shells.fences),
    ("role", shells.roles),
    ("lead_in", shells.lead_ins),
    ("offer", shells.offers),
    ("box", shells.boxes),
    ("quotes", shells.quotes),
    ("field", shells.fields),
)


def storable(text: str) -> str:
    r"""The text as UTF-8 can hold it: half a surrogate pair that stands alone becomes U+FFFD, and so does NUL.

    "a\ud800b" -> "a\ufffdb"
    """
    return _HALF.sub("\ufffd", text).replace("\0", "\ufffd")


def spoken(reply: str) -> Unwrapped:
    """The reply without thoughts and control tokens, otherwise word for word.

    "<think>Red?</think>The answer is B.<|im_end|>" -> "The answer is B."
    """
    return _spoken(reply, "")


def unwrap(reply: str) -> Unwrapped:
    r"""What a reply says, without anything that stands around it.

    Args:
        reply: what the model said, of any length.

    Returns:
        The text, of `MAX_CHARS` at most, and what was taken off. Within the text nothing is changed but that it has no
        control tokens.

    "<think>Hm.</think>Sure! Here is the answer: **\boxed{Yes}**<|im_end|>" -> "Yes"
    """
    first = _spoken(reply, r"<answer>")
    text, removed = first.text, list(first.removed)
    for _ in range(_MAX_ROUNDS):
        before = text
        for wrapper, step in _STEPS:
            left, taken = step(text)
            if taken and left.strip() and len(left) <= len(text):
                text = left.strip()
                removed += [_removed(wrapper, t) for t in taken[:_MAX_REMOVED]]
        if text == before:
            break
    return Unwrapped(text, tuple(removed[:_MAX_REMOVED]))


def _spoken(reply: str, box: str) -> Unwrapped:
    """The model's own turn; tokens that box an answer become a tag, where one is given."""
    thoughts = without_thoughts(reply)
    removed = [_removed("thoughts", t) for t in thoughts.thought[:_MAX_REMOVED]]
    said, halves = _HALF.subn("", thoughts.said[:MAX_CHARS])
    if halves:
        removed.append(_removed("half_character", "\ufffd" * halves))
    if box:
        said = _BOX_TOKENS.sub(lambda m: box if m[1] or m[2] else box.replace("<", "</"), said)
    text, tokens = own_turn(said)
    removed += [_removed("control_token", t) for t in tokens[:_MAX_REMOVED]]
    return Unwrapped(text.strip(), tuple(removed[:_MAX_REMOVED]))


def _removed(wrapper: Wrapper, text: str) -> Removed:
    return Removed(wrapper, storable(text.strip()[:_EXCERPT]))
