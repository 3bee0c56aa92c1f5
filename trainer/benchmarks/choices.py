"""Questions with choices under letters, as MVBench asks and scores them.

The strings are kept word for word from `video_chat2/mvbench.ipynb` of OpenGVLab/Ask-Anything, as public scores depend on them.
There, the reply goes on after "Best option:(", which no chat interface lets one write for the model. The official reading has
faults that the strict one (the default) lacks: it looks for the first word and the letter in each other. So an empty reply and
"." are always right, "A man opens a door" is right where A is, and "Option A" never is.
"""

from collections.abc import Sequence

from trainer.benchmarks.items import UNREAD, Item, Outcome, Scoring
from trainer.evaluation.closed import read_choice
from trainer.evaluation.normal import normalised

LETTERS = "ABCDEFGHIJ"
SYSTEM = (
    "Carefully watch the video and pay attention to the cause and sequence of events, the detail and movement of objects,"
    " and the action and pose of persons. Based on your observations, select the best option that accurately addresses"
    " the question.\n"
)
SUFFIX = "\nOnly give the best option."


def lettered(options: Sequence[str]) -> str:
    """The options, each on a line under its letter."""
    return "\n".join(f"({letter}) {option}" for letter, option in zip(LETTERS, options, strict=False)).rstrip()


def choice_prompt(question: str, options: Sequence[str]) -> str:
    """The whole prompt of a question with choices."""
    return f"{SYSTEM}Question: {question}\nOptions:\n{lettered(options)}{SUFFIX}"


def chosen(official: bool = False) -> Scoring:
    """A reply must name one option, by its letter or its words; what names none or several is unread, and wrong."""
    return Scoring(_official if official else _strict, max_new_tokens=100)


def _strict(item: Item, reply: str) -> Outcome:
    said = read_choice(reply, item.options)
    return UNREAD if said is None else Outcome(normalised(said) == normalised(item.answer))


def _official(item: Item, reply: str) -> Outcome:
    letter = f"({LETTERS[item.options.index(item.answer)].lower()})"
    first = ("(" + reply.strip().split("\n")[0]).lower().split(" ")[0]
    return Outcome(first.replace(".", "") in letter or letter in first)
