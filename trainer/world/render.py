"""Pictures and videos of scenes."""

from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from random import Random

import av
import cv2
import numpy as np

from model.stsg import Image
from trainer.world.scene import DIRECTIONS, GRID, PLACES, Scene, SceneClip, Thing

SIDE = 64  # the world's own unit: positions and sizes are in 64ths of the picture
FPS = 10
_CELL = SIDE // GRID
_TRAVEL = 7.0  # how far a moving thing gets in a clip
_RADIUS = {"small": 3.6, "large": 6.2}
RGB = {
    "red": (225, 40, 40),
    "green": (40, 200, 60),
    "blue": (60, 90, 245),
    "yellow": (245, 225, 40),
    "purple": (190, 60, 220),
    "white": (245, 245, 245),
}
PALETTES: Mapping[str, Mapping[str, tuple[int, int, int]]] = {
    "plain": RGB,
    "shifted": {
        "red": (180, 20, 60),
        "green": (20, 150, 90),
        "blue": (40, 130, 220),
        "yellow": (215, 190, 80),
        "purple": (140, 50, 190),
        "white": (215, 215, 225),
    },
}
_SUBPIXEL = 4


def frame(
    clip: SceneClip, progress: float, scale: int = 1, paints: Mapping[str, tuple[int, int, int]] | None = None
) -> Image:
    """The picture of a clip at `progress` from 0 (its start) to 1 (its end), 64 * scale pixels a side.

    A larger picture has larger pixels and shows nothing more, so that a model sees the same at any size. `paints` are in
    place of the clip's palette.
    """
    picture = _background(clip.place, clip.background).copy()
    paints = paints or PALETTES[clip.palette]
    for thing in clip.things:
        _draw(picture, thing, *position(thing, progress), paints[thing.color])
    return np.repeat(np.repeat(picture, scale, 0), scale, 1) if scale > 1 else picture


def position(thing: Thing, progress: float) -> tuple[float, float]:
    """The centre of a thing, in 64ths of the picture."""
    step_x, step_y = DIRECTIONS.get(thing.action.removeprefix("moving "), (0, 0))
    travelled = _TRAVEL * (progress - 0.5)
    x = _CELL * (thing.column + 0.5) + thing.dx + step_x * travelled
    y = _CELL * (thing.row + 0.5) + thing.dy + step_y * travelled
    return x, y


def render_video(scene: Scene, path: Path, *, scale: int = 4) -> None:
    """Write the scene as an H.264 MP4 of 64 * scale pixels a side, at 10 frames a second, with hard cuts."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "14", "preset": "fast", "threads": "1"})
        stream.width = stream.height = SIDE * scale
        stream.pix_fmt = "yuv420p"
        number = 0
        for clip in scene.clips:
            count = round(clip.seconds * FPS)
            for i in range(count):
                picture = av.VideoFrame.from_ndarray(frame(clip, (i + 0.5) / count, scale), format="rgb24")
                picture.pts, picture.time_base = number, Fraction(1, FPS)
                container.mux(stream.encode(picture))
                number += 1
        container.mux(stream.encode(None))


@lru_cache(maxsize=256)
def _background(place: str, variant: int) -> Image:
    rng = Random(PLACES.index(place) * 1000 + variant)
    picture = np.zeros((SIDE, SIDE, 3), np.float32)
    slope = np.linspace(0, 1, SIDE, dtype=np.float32)[:, None, None]
    if place == "night":
        picture[:] = (14, 14, 38)
        for _ in range(10):
            picture[rng.randrange(SIDE), rng.randrange(SIDE)] = (150, 150, 150)
    elif place == "desert":
        picture[:] = np.array((150, 112, 70), np.float32) - 30 * slope
    elif place == "forest":
        picture[:] = (30, 62, 40)
        picture[:, rng.randrange(8) :: 8] = (22, 44, 28)
    else:
        offset = rng.randrange(12)
        picture[:] = (98, 100, 104)
        picture[offset::12, :] = picture[:, offset::12] = (84, 86, 90)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _draw(picture: Image, thing: Thing, x: float, y: float, color: tuple[int, int, int]) -> None:
    r = _RADIUS[thing.size]
    if thing.shape == "circle":
        k = 1 << _SUBPIXEL
        cv2.circle(picture, (int(x * k), int(y * k)), int(r * k), color, -1, cv2.LINE_AA, _SUBPIXEL)
    elif thing.shape == "square":
        _fill(picture, _box(x, y, r * 0.9, r * 0.9), color)
    elif thing.shape == "triangle":
        _fill(picture, [(x, y - r * 1.05), (x + r, y + r * 0.85), (x - r, y + r * 0.85)], color)
    else:
        for width, height in ((r * 1.05, r * 0.36), (r * 0.36, r * 1.05)):
            _fill(picture, _box(x, y, width, height), color)


def _box(x: float, y: float, w: float, h: float) -> list[tuple[float, float]]:
    return [(x - w, y - h), (x + w, y - h), (x + w, y + h), (x - w, y + h)]


def _fill(picture: Image, points: list[tuple[float, float]], color: tuple[int, int, int]) -> None:
    corners = np.round(np.array(points) * (1 << _SUBPIXEL)).astype(np.int32)
    cv2.fillConvexPoly(picture, corners, color, cv2.LINE_AA, _SUBPIXEL)
