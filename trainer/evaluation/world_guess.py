"""How likely a guess at a question about a rendered world is right.

A question that asks for a name is answered with any thing that the question does not mention, of the shape that it asks
for; one that asks for an action or a value with that of any thing; a count with the usual one for the question's phrasing.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from model.rationale.evaluate import evaluate
from model.rationale.program import Program
from model.stsg import SceneGraph
from trainer.evaluation.floor import Guess
from trainer.world.scene import COLORS, SHAPES, Scene, Thing

_NAME = re.compile(rf"(?:{'|'.join(COLORS)}) (?:{'|'.join(SHAPES)})")
_SHAPE = re.compile(rf"which ({'|'.join(SHAPES)})", re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"')  # an event tells everything that moves, so it rules nothing out


def guess(scene: Scene, graph: SceneGraph, row: Mapping[str, Any], usual: str) -> Guess:
    """Compute how likely a guess at a question about a rendered world is right.

    Args:
        scene: the world.
        graph: its true graph.
        row: the question with its `program` and its `answer`, as the benchmark keeps it.
        usual: the usual answer to the question's phrasing, for counts.

    Returns:
        The guess: "Which square is left of the red circle?" with two other squares in the clip is right by .5 there.
    """
    program: Program = tuple(row["program"])
    answer, last = str(row["answer"]), program[-1]
    if last["op"] == "count":
        right = float(usual == answer)
        return Guess(right, right, forced=False)
    node = evaluate(program[: int(last["of"]) + 1], graph).answer
    clip = next(o.clip for o in graph.objects if o.id == node)
    everywhere = [thing for one in scene.clips for thing in one.things]
    in_video = _candidates(everywhere, row["question"], last)
    in_clip = _candidates(scene.clips[clip].things, row["question"], last)
    return Guess(
        in_video.count(answer) / len(in_video), in_clip.count(answer) / len(in_clip), forced=len(set(in_clip)) == 1
    )


def _candidates(things: Sequence[Thing], question: str, last: Mapping[str, Any]) -> list[str]:
    """The answers that a guesser draws from."""
    if last["op"] == "action":
        return [t.action for t in things if t.moves]
    if last["op"] == "value":
        return [t.color if last["type"] == "color" else t.size for t in things]
    mentioned = set(_NAME.findall(_QUOTED.sub("", question)))
    shape = _SHAPE.search(question)
    return sorted({t.name for t in things if not shape or t.shape == shape[1]} - mentioned)
