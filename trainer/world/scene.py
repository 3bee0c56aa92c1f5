"""Seeded scenes of the rendered world: what is where, does what, in which clip. Everything else is derived from this.

A clip shows two to four things on a 4 x 4 lattice of cells, in a place. A thing keeps to its cell while it moves, so its
spatial relations hold through the clip. Colours are unique within a clip, shapes are not. A thing of one clip may return
in the next; one that returns with another size is another thing. The split "shifted" has more things in a clip, so other
layouts, and other shades of the colours.
"""

from dataclasses import asdict, dataclass, replace
from itertools import combinations
from random import Random
from typing import Any, Literal

Split = Literal["train", "validation", "test", "composition", "shifted"]

COLORS = ("red", "green", "blue", "yellow", "purple", "white")
SHAPES = ("circle", "square", "triangle", "cross")
SIZES = ("small", "large")
DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
ACTIONS = ("still", *(f"moving {d}" for d in DIRECTIONS))
PLACES = ("night", "desert", "forest", "lab")
RELATIONS = ("left of", "right of", "above", "below")
GRID = 4
_LENGTHS = (1.5, 2.0, 2.6, 3.4)  # seconds; each is clearly longer than the one before

# Pairs of colour and shape that only the split "composition" shows.
HELD_OUT = frozenset({("red", "cross"), ("blue", "triangle"), ("yellow", "circle"), ("white", "square")})
_SEED_OF_SPLIT: dict[Split, int] = {"train": 0, "validation": 1, "test": 2, "composition": 3, "shifted": 4}


@dataclass(frozen=True, slots=True)
class Thing:
    """A coloured shape in its cell; `dx`, `dy` shift it a little, in 64ths of the picture."""

    color: str
    shape: str
    size: str
    action: str = "still"
    column: int = 0
    row: int = 0
    dx: int = 0
    dy: int = 0

    @property
    def name(self) -> str:
        return f"{self.color} {self.shape}"

    @property
    def moves(self) -> bool:
        return self.action != "still"

    def is_same_as(self, other: "Thing") -> bool:
        return (self.color, self.shape, self.size) == (other.color, other.shape, other.size)


@dataclass(frozen=True, slots=True)
class SceneClip:
    """One take: its place, what is in it (in reading order: row by row) and how long it lasts, in seconds."""

    place: str
    things: tuple[Thing, ...]
    background: int
    seconds: float = 2.0
    palette: str = "plain"  # which shades its colours have

    def event(self) -> str:
        moving = [f"the {t.name} is {t.action}" for t in self.things if t.moves]
        return f"in the {self.place}, " + (" and ".join(moving) or "nothing moves")


@dataclass(frozen=True, slots=True)
class Scene:
    """A video to be rendered: clips joined by hard cuts."""

    seed: int
    split: Split
    clips: tuple[SceneClip, ...]

    @classmethod
    def generate(cls, seed: int, *, split: Split = "test", clips: int | None = None, rivals: float = 0.0) -> "Scene":
        """The scene of a seed: 2 to 4 clips, or as many as asked. Splits never share a scene.

        `rivals` is how often a thing takes the colour of another in its clip; at 0 colours are unique.
        """
        if not 0 <= rivals < 1:
            raise ValueError(f"rivals is {rivals}: give a share from 0 to below 1.")
        rng = Random(f"{_SEED_OF_SPLIT[split]}:{seed}")
        count = clips or rng.choices((2, 3, 4), (0.4, 0.4, 0.2))[0]
        made: list[SceneClip] = []
        for place in rng.sample(PLACES, count):
            made.append(_clip(rng, place, made[-1].things if made else (), split, rivals))
        return cls(seed, split, tuple(made))

    def uneven(self) -> "Scene":
        """The same scene, whose clips last from 1.5 to 3.4 seconds instead of all the same, drawn by its seed."""
        rng = Random(f"{_SEED_OF_SPLIT[self.split]}:{self.seed}:seconds")
        return replace(self, clips=tuple(replace(clip, seconds=rng.choice(_LENGTHS)) for clip in self.clips))

    def starts(self) -> list[float]:
        """When each clip starts, in seconds."""
        return [sum(c.seconds for c in self.clips[:i]) for i in range(len(self.clips))]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Scene":
        clips = tuple(SceneClip(**c | {"things": tuple(Thing(**t) for t in c["things"])}) for c in data["clips"])
        return cls(data["seed"], data["split"], clips)


def relation(a: Thing, b: Thing) -> str:
    """Where `a` is as seen from `b`: along the axis on which they are further apart."""
    dx, dy = a.column - b.column, a.row - b.row
    if abs(dx) > abs(dy):
        return "left of" if dx < 0 else "right of"
    return "above" if dy < 0 else "below"


def _clip(rng: Random, place: str, before: tuple[Thing, ...], split: Split, rivals: float) -> SceneClip:
    count = rng.choices((2, 3, 4) if split != "shifted" else (3, 4, 5), (0.3, 0.45, 0.25))[0]
    things: list[Thing] = []
    for thing in before:
        if len(things) < count and rng.random() < 0.6:
            other = SIZES[thing.size == "small"]
            things.append(replace(thing, size=thing.size if rng.random() < 0.72 else other))
    while len(things) < count:
        thing = Thing(rng.choice(COLORS), rng.choice(SHAPES), rng.choice(SIZES))
        if things and rng.random() < 0.35:
            thing = replace(thing, shape=rng.choice(things).shape)
        if rivals and things and rng.random() < rivals:
            thing = replace(thing, color=rng.choice(things).color)
        allowed = split == "composition" or (thing.color, thing.shape) not in HELD_OUT
        taken = {t.name if rivals else t.color for t in things}
        if allowed and (thing.name if rivals else thing.color) not in taken:
            things.append(thing)
    cells = list(rng.choice(_LAYOUTS[count]))
    rng.shuffle(cells)
    placed = [
        replace(
            t,
            action=rng.choices(ACTIONS, (0.4, 0.15, 0.15, 0.15, 0.15))[0],
            column=column,
            row=row,
            dx=rng.randint(-1, 1),
            dy=rng.randint(-1, 1),
        )
        for t, (column, row) in zip(things, cells, strict=True)
    ]
    placed.sort(key=lambda t: (t.row, t.column))
    return SceneClip(place, tuple(placed), rng.randrange(24), palette="shifted" if split == "shifted" else "plain")


def _layouts(count: int) -> list[tuple[tuple[int, int], ...]]:
    """Sets of cells in which every pair has one dominant axis, so that one relation holds between any two."""
    cells = [(column, row) for row in range(GRID) for column in range(GRID)]

    def clear(a: tuple[int, int], b: tuple[int, int]) -> bool:
        return abs(a[0] - b[0]) != abs(a[1] - b[1])

    return [chosen for chosen in combinations(cells, count) if all(clear(a, b) for a, b in combinations(chosen, 2))]


_LAYOUTS = {count: _layouts(count) for count in (2, 3, 4, 5)}
