"""Videos as files: what they are, and their frames, read safely from files that anyone may have made.

Which stream is read, and within which limits, is in `streams.py`. Times are seconds from the first picture on one clock
that goes forwards (`timeline.py`). Pictures come upright, with square pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from model.probe import VideoInfo, probe
from model.streams import (
    USUAL,
    Expected,
    MediaError,
    MediaLimits,
    choose_stream,
    display_matrix,
    frame_rate,
    open_container,
    pixel_aspect,
    read_packets,
    too_large,
    too_long,
    too_many_frames,
)
from model.stsg import Image
from model.timeline import Timeline

__all__ = ["Frame", "MediaError", "MediaLimits", "Tally", "VideoInfo", "frames", "probe"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded picture; `damaged` where the decoder had to guess parts of it."""

    index: int
    t: float
    image: Image
    damaged: bool = False


@dataclass(slots=True)
class Tally:
    """How many pictures a pass over a video expected, decoded, and decoded with damage."""

    expected: int = 0
    decoded: int = 0
    damaged: int = 0


def frames(
    path: Path, limits: MediaLimits = USUAL, *, max_side: int = 512, tally: Tally | None = None
) -> Iterator[Frame]:
    """All frames in order of time, upright, with square pixels and a longer side of at most `max_side` pixels.

    A frame that can't be decoded is skipped; at the end a file with too few good ones is refused. `tally` holds the
    numbers of it, when the last frame has come.

    Raises:
        MediaError: as `probe`, and damaged with the number of frames expected and decoded.
    """
    tally = tally if tally is not None else Tally()
    with open_container(path, limits) as container:
        stream = choose_stream(container, limits)
        expected, timeline = Expected(container, stream), Timeline(frame_rate(stream))
        shown = _shown(_pictures(container, stream, expected), stream, limits, max_side)
        for t, (image, damaged) in timeline.place(shown):
            if t > limits.max_seconds:
                raise too_long(t, limits)
            if tally.decoded >= limits.max_frames:
                raise too_many_frames(limits)
            yield Frame(tally.decoded, round(t, 6), image, damaged)
            tally.decoded += 1
            tally.damaged += damaged
        tally.expected = max(expected.frames, tally.decoded)
    _judge(tally, limits)


def _shown(
    pictures: Iterator[Any], stream: Any, limits: MediaLimits, max_side: int
) -> Iterator[tuple[float | None, tuple[Image, bool]]]:
    """The stamp of each picture, with what is shown and whether it is damaged."""
    for picture in pictures:
        if picture.width * picture.height > limits.max_pixels:
            raise too_large(picture.width, picture.height, limits)
        stamp = None if picture.time is None else float(picture.time)
        yield stamp, (_upright(picture, pixel_aspect(stream), max_side), bool(picture.is_corrupt))


def _judge(tally: Tally, limits: MediaLimits) -> None:
    if tally.decoded == 0:
        detail = f"No picture of the video can be decoded: {tally.expected} frames expected, 0 decoded."
        raise MediaError("no_frames", detail, "Copy or export the video again.")
    used = tally.decoded - tally.damaged
    if used < limits.min_decoded * tally.expected - 1:
        bad = f", {tally.damaged} of them with damage, {used} used" if tally.damaged else f", {used} used"
        detail = f"The video is damaged: {tally.expected} frames expected, {tally.decoded} decoded{bad}."
        raise MediaError("damaged", detail, "Copy or export it again.")


def _pictures(container: Any, stream: Any, expected: Expected) -> Iterator[Any]:
    """Decoded pictures of a stream; packets that can't be decoded are left out, but counted."""
    for packet in read_packets(container, stream):
        expected.add(packet)
        try:
            yield from packet.decode()
        except av.FFmpegError:
            continue


def _upright(picture: Any, aspect: float, max_side: int) -> Image:
    shown = (picture.width * max(aspect, 1.0), picture.height * max(1 / aspect, 1.0))
    scale = min(1.0, max_side / max(shown))
    width, height = (max(2, round(side * scale)) for side in shown)
    image: Image = picture.to_ndarray(format="rgb24", width=width, height=height, interpolation="AREA")
    return np.ascontiguousarray(_turned(image, display_matrix(picture)))


def _turned(image: Image, matrix: tuple[int, int, int, int]) -> Image:
    a, b, c, d = matrix
    if abs(b) + abs(c) > abs(a) + abs(d):  # on its side
        image, a, d = image.transpose(1, 0, 2), c, b
    return image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
