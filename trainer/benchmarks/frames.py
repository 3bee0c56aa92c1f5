"""The pictures that a model is shown of an item: 8 of 224 x 224, evenly over the part that is asked about (STEP Sec. 4.1)."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import cv2

from model.media import MediaError, probe
from model.media import frames as decoded
from model.stsg import Image, Keyframe, keyframe_id
from trainer.benchmarks.items import Item, Media

COUNT, SIDE = 8, 224
_PICTURES = frozenset({".jpg", ".jpeg", ".png"})


def shown(item: Item, count: int = COUNT, side: int = SIDE) -> tuple[Keyframe, ...]:
    """The middle picture of each of `count` equal parts, scaled to its shorter side and cut to a square.

    Raises:
        MediaError: the video is not there, can't be read, or ends before the part that is asked about.
    """
    if item.media is None or not item.media.path.exists():
        raise MediaError("missing", f"The video {item.video_id} is not on disk.", "Put it where the others are.")
    return _shown(item.video_id, item.media, count, side)


@lru_cache(maxsize=4)  # questions about one video follow each other
def _shown(video_id: str, media: Media, count: int, side: int) -> tuple[Keyframe, ...]:
    start, end = media.start or 0.0, _end(media)
    if end <= start:
        raise MediaError("too_short", f"{video_id} ends before {start} s.", "Get the video again.")
    times = [start + (end - start) * (at + 0.5) / count for at in range(count)]
    found = _nearest(_from_folder(media) if media.path.is_dir() else _from_video(media), times)
    if not found:
        raise MediaError("too_short", f"{video_id} has no picture from {start} to {end} s.", "Get it again.")
    return tuple(Keyframe(keyframe_id(video_id, t), t, _square(image, side)) for t, image in found)


def _end(media: Media) -> float:
    pictures = _numbered(media.path) if media.path.is_dir() else None
    total = probe(media.path).duration if pictures is None else len(pictures) / (media.fps or 1.0)
    return min(media.end, total) if media.end is not None else total


def _numbered(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _PICTURES)


def _from_video(media: Media) -> Iterator[tuple[float, Image]]:
    return ((frame.t, frame.image) for frame in decoded(media.path))


def _from_folder(media: Media) -> Iterator[tuple[float, Image]]:
    for number, path in enumerate(_numbered(media.path)):
        image = cv2.imread(str(path))
        if image is None:
            raise MediaError("damaged", f"{path} is no picture.", "Get it again.")
        yield number / (media.fps or 1.0), image[:, :, ::-1].astype("uint8")


def _nearest(pictures: Iterator[tuple[float, Image]], times: Sequence[float]) -> list[tuple[float, Image]]:
    """For each time the picture shown then: the last one that began before it."""
    found, waiting, last = [], list(times), None
    for t, image in pictures:
        while waiting and last is not None and t > waiting[0]:
            found.append((waiting.pop(0), last))
        last = image
        if not waiting:
            break
    return found + [(t, last) for t in waiting if last is not None]


def _square(image: Image, side: int) -> Image:
    height, width = image.shape[:2]
    scale = side / min(height, width)
    size = (max(side, round(width * scale)), max(side, round(height * scale)))
    large: Image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    top, left = (large.shape[0] - side) // 2, (large.shape[1] - side) // 2
    return large[top : top + side, left : left + side].copy()
