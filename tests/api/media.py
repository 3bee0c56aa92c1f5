"""Videos, good and bad, made on the spot."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def video(path: Path, *, seconds: float = 2.0, fps: int = 10, side: int = 64, frames: int | None = None) -> Path:
    """An H.264 MP4 of plain greys that change every second; the same arguments give the same bytes."""
    count = round(seconds * fps) if frames is None else frames
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "threads": "1", "crf": "30"})
        stream.width = stream.height = side
        stream.pix_fmt = "yuv420p"
        for number, picture in enumerate(_pictures(count, fps, side)):
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _pictures(count: int, fps: int, side: int) -> Iterator[np.ndarray]:
    for number in range(count):
        yield np.full((side * 3 // 2, side), (30, 220, 120)[number // fps % 3], np.uint8)


def sound(path: Path) -> Path:
    """A second of silence in an MP4 without a picture."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        for number in range(16):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, number * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def no_frames(path: Path) -> Path:
    """An MP4 whose video track holds no picture: the good file's header with nothing to play."""
    whole = video(path, frames=3).read_bytes()
    at = whole.index(b"mdat") - 4
    size = int.from_bytes(whole[at : at + 4], "big")
    path.write_bytes(whole[: at + 8] + bytes(size - 8) + whole[at + size :])
    return path


def truncated(path: Path) -> Path:
    """The first 60 % of a good file: its index, at the end, is missing."""
    whole = video(path).read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10])
    return path


def flipped(path: Path) -> Path:
    """A good file with damage in the middle of its pictures."""
    data = bytearray(video(path, seconds=6).read_bytes())
    at = data.index(b"mdat") + 4
    size = int.from_bytes(data[at - 8 : at - 4], "big") - 8
    for i in range(at + size // 3, at + size // 3 * 2):
        data[i] ^= 0x5A
    path.write_bytes(data)
    return path


def damaged(path: Path) -> Path:
    """A good file of 60 pictures, of which all but the first 20 are overwritten."""
    video(path, seconds=6)
    with av.open(str(path)) as container:
        spans = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for at, size in spans[20:]:
        data[at : at + size] = b"\xff" * size
    path.write_bytes(data)
    return path


def script(path: Path, other: Path) -> Path:
    """A concat script that calls itself MP4 and points at another file."""
    path.write_text(f"ffconcat version 1.0\nfile '{other.name}'\n")
    return path


def playlist(path: Path, other: Path) -> Path:
    """A playlist that calls itself MP4 and points at another file."""
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://{other}\n#EXT-X-ENDLIST\n")
    return path
