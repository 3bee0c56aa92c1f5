"""Whether a reply is the right answer: exact match after one normalisation, or the reading of a closed question.

What stands around a reply (thoughts, control tokens, tags, lead-ins) is taken off first. Nothing else is forgiven.
"""

import re
from collections.abc import Sequence

from model.replies import spoken, unwrap
from trainer.evaluation.closed import read_choice as read_choice
from trainer.evaluation.closed import read_yes_no as read_yes_no
from trainer.evaluation.normal import MAX_CHARS, normalised

_LONGEST_ENDING = 4  # words of a rationale's end that pass for an answer
_ANSWER = re.compile(r".*\banswer(?:\s+is\b|\s*:)(.*)", re.IGNORECASE)
_ENDING = re.compile(r".*\b(?:is|are|was|were|makes?|equals?)\b(.*)", re.IGNORECASE)


def correct(reply: str, answer: str, options: Sequence[str] = ()) -> bool:
    """Whether a reply is the answer: yes/no and choices are read, anything else must match exactly."""
    said: str | None
    if options:
        said = read_choice(reply, options)
    elif normalised(answer) in ("yes", "no"):
        said = read_yes_no(reply)
    else:
        said = unwrap(reply).text
    return said is not None and normalised(said) == normalised(answer) != ""


def read_ending(rationale: str) -> str | None:
    """The answer with which a rationale ends; None where its last line ends in no short phrase.

    Our rationales end in their answer (STEP Sec. 3.2): "... is the red circle.", "..., which makes 2.", "..., so the
    answer is yes.".
    """
    lines = [line.strip() for line in spoken(rationale).text[-MAX_CHARS:].splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    found = _ANSWER.match(last) or _ENDING.match(last)
    phrase = (found[1] if found else last).strip(" \t.,;:*\"'")
    return phrase if 0 < len(normalised(phrase).split()) <= _LONGEST_ENDING else None
