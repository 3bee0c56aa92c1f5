"""What the tiny model is taught: the induction's own prompts about scenes, and look-ups that lead up to them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, Literal

from model.prompts import ask
from trainer.world import answers
from trainer.world.scene import COLORS, HELD_OUT, PLACES, RELATIONS, SHAPES, SIZES, Scene, SceneClip, Thing, relation

View = Literal["text", "image", "clip", "clips"]
ROWS = ("top", "upper", "lower", "bottom")
COLUMNS = ("west", "midwest", "mideast", "east")


@dataclass(frozen=True, slots=True)
class Lesson:
    """A prompt and its right answer; `kind` is the induction step, or a look-up's name."""

    kind: str
    prompt: str
    answer: str


def lesson(step: str, answer: str, **values: str) -> Lesson:
    """A lesson in one of the induction's prompts."""
    told: dict[str, Any] = dict(values)
    return Lesson(step, ask("compact", step, **told).text, answer)


def names(clip: SceneClip, rng: Random) -> Iterator[Lesson]:
    """The names alone, without an answer: of each thing, and of one that isn't there."""
    absent = _absent(clip, rng.choice(clip.things), rng)
    yield from (Lesson("name", f"the {name}", "") for name in (*(t.name for t in clip.things), absent))


def rivalry(clip: SceneClip, thing: Thing) -> str:
    """What a thing shares with others of its clip, so that it can't be told by that alone."""
    others = [t for t in clip.things if t is not thing]
    shared = (("color", thing.color in {t.color for t in others}), ("shape", thing.shape in {t.shape for t in others}))
    return " and ".join(word for word, is_so in shared if is_so) or "nothing"


def lookups(clip: SceneClip, rng: Random, count: int) -> Iterator[Lesson]:
    """Name to place, place to name, shape to colours, pair to relation."""
    for _ in range(count):
        thing = rng.choice(clip.things)
        chance = rng.random()
        if chance < 0.3:
            yield Lesson(
                f"where, shared: {rivalry(clip, thing)}", f"Where is the {thing.name}?", _place(thing.row, thing.column)
            )
        elif chance < 0.45:
            yield _at(clip, thing.row, thing.column)
        elif chance < 0.5:
            yield _at(clip, rng.randrange(4), rng.randrange(4))
        elif chance < 0.65:
            shape = thing.shape if rng.random() < 0.85 else rng.choice(SHAPES)
            colors = [t.color for t in clip.things if t.shape == shape]
            yield Lesson("colors of", f"What colors does a {shape} have?", ", ".join(colors) or "none")
        else:
            other = rng.choice([t for t in clip.things if t is not thing])
            prompt = f"Where is the {thing.name} as seen from the {other.name}?"
            yield Lesson("pair", prompt, relation(thing, other))


def _place(row: int, column: int) -> str:
    return f"{ROWS[row]} {COLUMNS[column]}"


def _at(clip: SceneClip, row: int, column: int) -> Lesson:
    found = [t for t in clip.things if (t.row, t.column) == (row, column)]
    return Lesson(
        "at", f"What is at {_place(row, column)}?", f"{found[0].name} {found[0].size}" if found else "nothing"
    )


def image_lessons(clip: SceneClip, rng: Random) -> Iterator[Lesson]:
    """What the induction asks about one keyframe."""
    sentence = answers.narrative(clip)
    yield lesson("parsing_1_1_narrative", sentence)
    for shape in dict.fromkeys(t.shape for t in clip.things):
        marks = [t.color for t in clip.things if t.shape == shape]
        yield lesson("parsing_1_3_instances", answers.instances(marks), category=shape, narrative=sentence)
    for thing in rng.sample(clip.things, 2):
        yield lesson("parsing_2_1_attributes", answers.attributes(thing), object=thing.name)
        others = [t for t in clip.things if t is not thing]
        rng.shuffle(others)
        names = ", ".join(t.name for t in others)
        yield lesson("parsing_3_1_relations", answers.triplets(thing, others), object=thing.name, others=names)
    for _ in range(2):
        for statement, truth in claims(clip, rng):
            yield lesson("verification_2_visual", answers.yes_no(truth), statement=statement)


def claims(clip: SceneClip, rng: Random) -> Iterator[tuple[str, bool]]:
    """A statement about a clip and its negation, and whether each is true; as often as not the statement is wrong."""
    thing, right, topic = rng.choice(clip.things), rng.random() < 0.5, rng.random()
    say: Callable[..., str]
    if topic < 0.35:
        say = partial(answers.exists, thing.name if right else _absent(clip, thing, rng))
    elif topic < 0.6:
        type, value = rng.choice((("color", thing.color), ("size", thing.size), ("size", thing.size)))
        said = value if right else rng.choice([v for v in (COLORS if type == "color" else SIZES) if v != value])
        say = partial(answers.has_attribute, thing.name, type, said)
    else:
        other = rng.choice([t for t in clip.things if t is not thing])
        true = relation(thing, other)
        said = true if right else rng.choice([r for r in RELATIONS if r != true])
        say = partial(answers.related, thing.name, said, other.name)
    for negated in (False, True):
        yield say(negated=negated), right != negated


def _absent(clip: SceneClip, thing: Thing, rng: Random) -> str:
    """A name that shares a word with a thing and isn't in the clip; a held-out pair would seem to be nowhere ever."""
    while True:
        color, shape = rng.choice(((rng.choice(COLORS), thing.shape), (thing.color, rng.choice(SHAPES))))
        if (color, shape) not in HELD_OUT and all((t.color, t.shape) != (color, shape) for t in clip.things):
            return f"{color} {shape}"


def clip_lessons(clip: SceneClip, rng: Random) -> Iterator[Lesson]:
    """What the induction asks about the keyframes of one clip."""
    yield lesson("bridging_2_event", clip.event())
    for thing in clip.things:
        yield lesson("parsing_1_4_kind", answers.kind(thing), object=thing.name)
        if thing.moves or rng.random() < 0.3:
            yield lesson("merging_2_1_action", thing.action, first=thing.name, second=thing.name)
    thing, other = rng.choice(clip.things), rng.choice(clip.things)
    for second in (thing, other):
        same = answers.yes_no(thing is second)
        yield lesson("merging_1_same_object", same, first=thing.name, second=second.name)


def bridging_lessons(one: SceneClip, two: SceneClip, rng: Random) -> Iterator[Lesson]:
    """What the induction asks about two clips; pairs of one name are told apart by size alone."""
    shared = [(a, b) for a in one.things for b in two.things if a.name == b.name]
    for _ in range(4):
        if shared and rng.random() < 0.75:
            a, b = rng.choice(shared)
        else:
            a, b = rng.choice(one.things), rng.choice(two.things)
        yield lesson("bridging_1_same_object", answers.yes_no(a.is_same_as(b)), first=a.name, second=b.name)
    for ordinal, clip in (("first", one), ("second", two)):
        thing = rng.choice(clip.things)
        yield Lesson("size in clip", f"What size is the {thing.name} in the {ordinal} clip?", thing.size)


def text_lessons(clip: SceneClip, rng: Random) -> Iterator[Lesson]:
    """What the induction asks about a sentence, without frames."""
    sentence = answers.narrative(clip)
    yield lesson("parsing_1_2_objects", answers.objects([t.shape for t in clip.things]), narrative=sentence)
    for _ in range(2):
        thing = rng.choice(clip.things)
        right = rng.random() < 0.5
        fact = answers.exists(thing.name if right else _absent(clip, thing, rng))
        yield lesson("verification_1_text", answers.yes_no(right), narrative=sentence, fact=fact)


def all_lessons(scene: Scene, rng: Random) -> Iterator[Lesson]:
    """Some of every kind, for the vocabulary."""
    clip = scene.clips[0]
    yield from lookups(clip, rng, 6)
    yield from image_lessons(clip, rng)
    yield from clip_lessons(clip, rng)
    yield from bridging_lessons(clip, scene.clips[1], rng)
    yield from text_lessons(clip, rng)
    yield Lesson("place", "Which place is it?", rng.choice(PLACES))


def thinned(lessons: Sequence[Lesson], rng: Random, most: int) -> list[Lesson]:
    """At most so many, in their order."""
    kept = sorted(rng.sample(range(len(lessons)), min(most, len(lessons))))
    return [lessons[i] for i in kept]
