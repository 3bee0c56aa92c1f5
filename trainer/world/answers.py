"""The right reply to every induction prompt about a scene, in the form the prompt asks for (STEP App. A.1).

The perfect Video-LLM speaks these, and the tiny one learns them. Nothing here sees a picture.
"""

from collections.abc import Sequence

from trainer.world.scene import SceneClip, Thing, relation


def narrative(clip: SceneClip) -> str:
    """One sentence that names all things of a clip in reading order."""
    return f"there is {listed([f'a {t.name}' for t in clip.things])}."


def listed(items: Sequence[str]) -> str:
    """ "a, b and c"."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def objects(categories: Sequence[str]) -> str:
    """The distinct categories, bracketed."""
    return f"[ {', '.join(dict.fromkeys(categories))} ]"


def instances(marks: Sequence[str]) -> str:
    """How many instances of a category there are, and what only each of them has."""
    return "\n".join([f"Quantity: {len(marks)}", *(f"{i}. {mark}" for i, mark in enumerate(marks, 1))])


def kind(thing: Thing) -> str:
    """Static or Dynamic."""
    return "Dynamic" if thing.moves else "Static"


def attributes(thing: Thing) -> str:
    """Colour and size."""
    return f"color: {thing.color}, size: {thing.size}"


def triplets(thing: Thing, others: Sequence[Thing]) -> str:
    """Where a thing is as seen from each of the others."""
    return " ".join(f"< {thing.name}, {relation(thing, other)}, {other.name} >" for other in others)


def exists(name: str, *, negated: bool = False) -> str:
    """The statement that there is, or is not, such a thing."""
    return f"there is {'no' if negated else 'a'} {name}"


def has_attribute(name: str, type: str, value: str, *, negated: bool = False) -> str:
    """The statement that an attribute has, or has not, a value."""
    return f"the {type} of the {name} is {'not ' if negated else ''}{value}"


def related(subject: str, predicate: str, object: str, *, negated: bool = False) -> str:
    """The statement that a relation holds, or does not."""
    return f"the {subject} is {'not ' if negated else ''}{predicate} the {object}"


def yes_no(truth: bool) -> str:
    """Yes or No."""
    return "Yes" if truth else "No"
