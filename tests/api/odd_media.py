"""Videos that are good but odd, and files that cost much to read; each made of encoded pictures, packet by packet."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

FPS = 10


@dataclass(frozen=True)
class Part:
    """Pictures of one look: how many, how large, and the time of the first one in seconds."""

    count: int
    size: tuple[int, int] = (96, 64)
    start: float = 0.0
    shade: int = 60
    stamps: Sequence[float] | None = None  # in place of regular ones


def picture(size: tuple[int, int], shade: int, number: int) -> np.ndarray:
    """A textured picture with a bar that moves; the shade sets parts apart."""
    width, height = size
    rows, columns = np.mgrid[0:height, 0:width]
    image = np.stack([(rows * 3 + shade) % 256, (columns * 5 + shade) % 256, np.full_like(rows, shade)], -1)
    image[:, number * 2 % width : number * 2 % width + 6] = 255 - shade
    return image.astype(np.uint8)


def packets(part: Part, codec: str = "libx264", **options: str) -> list[tuple[bytes, int, bool]]:
    """Encoded pictures of a part in order: data, number, keyframe; no picture refers to a later one."""
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height = part.size
    encoder.pix_fmt = options.pop("pix_fmt", "yuv420p")
    encoder.time_base, encoder.framerate = Fraction(1, FPS), Fraction(FPS)
    encoder.options = {"preset": "ultrafast", "bf": "0", "threads": "1", **options} if codec == "libx264" else options
    done = []
    for number in range(part.count):
        frame = av.VideoFrame.from_ndarray(picture(part.size, part.shade, number), format="rgb24")
        frame.pts = number
        done += encoder.encode(frame)
    done += encoder.encode(None)
    return [(bytes(p), int(p.pts or 0), p.is_keyframe) for p in done]


def write(path: Path, *parts: Part, codec: str = "libx264", kind: str | None = None, **options: str) -> Path:
    """A file of these parts, one after another in one stream, each with stamps of its own."""
    with av.open(str(path), "w", format=kind) as container:
        stream = _stream(container, parts[0].size, codec)
        for part in parts:
            for data, number, key in packets(part, codec, **options):
                stamp = part.stamps[number] if part.stamps else part.start + number / FPS
                _mux(container, stream, data, stamp, key)
    return path


def join(path: Path, *parts: Path) -> Path:
    """Files one behind the other, as `cat` joins them."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def two_tracks(path: Path, *tracks: tuple[Part, bool]) -> Path:
    """Several video tracks in one file, each with the mark of the default one or without."""
    with av.open(str(path), "w") as container:
        streams = []
        for part, default in tracks:
            stream = _stream(container, part.size)
            stream.disposition = av.stream.Disposition.default if default else av.stream.Disposition(0)
            streams.append((stream, packets(part)))
        for number in range(max(len(p) for _, p in streams)):
            for stream, track in streams:
                if number < len(track):
                    _mux(container, stream, track[number][0], number / FPS, track[number][2])
    return path


def cover_first(path: Path, part: Part | None, *, marked: bool = True) -> Path:
    """An MP4 with a cover as its first stream, and a video or a second of sound behind it."""
    with av.open(str(path), "w", format="mp4") as container:
        jpeg = packets(Part(1, (64, 64)), "mjpeg", strict="-1")[0][0]
        art = _stream(container, (64, 64), "mjpeg")
        art.disposition = av.stream.Disposition.attached_pic if marked else av.stream.Disposition(0)
        if part is None:
            stream = container.add_stream("aac", rate=16000, layout="mono")
            _mux(container, art, jpeg, 0, True)
            for number in range(16):
                sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
                sound.sample_rate, sound.pts = 16000, number * 1024
                container.mux(stream.encode(sound))
            container.mux(stream.encode(None))
            return path
        stream = _stream(container, part.size)
        _mux(container, art, jpeg, 0, True)
        for data, number, key in packets(part):
            _mux(container, stream, data, number / FPS, key)
    return path


def turn(path: Path, whole: Path, degrees: int) -> Path:
    """A file with a display matrix that turns its pictures against the clock."""
    with av.open(str(whole)) as source, av.open(str(path), "w") as container:
        [stored] = source.streams.video
        stream = container.add_stream_from_template(stored)
        stream.set_display_rotation(degrees)
        for packet in source.demux(stored):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    return path


def with_matrix(path: Path, whole: Path, matrix: tuple[int, int, int, int]) -> Path:
    """An MP4 with the display matrix (a, b, c, d) in the header of its track."""
    data = bytearray(whole.read_bytes())
    a, b, c, d = (n << 16 for n in matrix)
    struct.pack_into(">9i", data, data.index(b"tkhd") + 44, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def reordered(path: Path, count: int, between: int) -> Path:
    """A video in which so many pictures between two others refer to both, and to each other."""
    with av.open(str(path), "w") as container:
        stream = _stream(container, (96, 64))
        stream.options = {"preset": "ultrafast", "x264-params": f"bframes={between}:b-adapt=0:b-pyramid=normal"}
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(picture((96, 64), 60, number), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def spoilt(path: Path, good: Path, last: int) -> Path:
    """A file in which the second half of each of its `last` pictures is overwritten."""
    with av.open(str(good)) as container:
        pictures = [bytes(p) for p in container.demux(video=0) if p.size]
    data = bytearray(good.read_bytes())
    for picture in pictures[len(pictures) - last :]:
        at = data.index(picture)
        for i in range(at + len(picture) // 2, at + len(picture) - 1):
            data[i] ^= 0x5A
    path.write_bytes(data)
    return path


def huge_picture(path: Path, side: int, *, declared: int | None = None) -> Path:
    """An AVI file of one grey PNG of `side` x `side`; its header may declare another size."""
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    deflate, row = zlib.compressobj(1), bytes(side + 1)
    body = b"".join([*(deflate.compress(row) for _ in range(side)), deflate.flush()])
    png = b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*c) for c in ((b"IHDR", head), (b"IDAT", body), (b"IEND", b"")))
    with av.open(str(path), "w", format="avi") as container:
        _mux(container, _stream(container, (declared or side,) * 2, "png"), png, 0, True)
    return path


def many_frames_claimed(path: Path, whole: Path, count: int) -> Path:
    """An MP4 whose sample table claims `count` pictures of one byte."""
    data = bytearray(whole.read_bytes())
    at = data.index(b"stsz") + 8
    data[at : at + 8] = struct.pack(">II", 1, count)
    at = data.index(b"stts") + 8
    data[at : at + 12] = struct.pack(">III", 1, count, 1)
    path.write_bytes(data)
    return path


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _stream(container: Any, size: tuple[int, int], codec: str = "libx264") -> Any:
    stream = container.add_stream(codec, rate=FPS)
    stream.width, stream.height = size
    stream.pix_fmt = {"mjpeg": "yuvj420p", "png": "gray"}.get(codec, "yuv420p")
    return stream


def _mux(container: Any, stream: Any, data: bytes, stamp: float, key: bool) -> None:
    packet = av.Packet(data)
    packet.stream, packet.time_base = stream, Fraction(1, 1000)
    packet.pts = packet.dts = round(stamp * 1000)
    packet.is_keyframe = key
    container.mux_one(packet)
