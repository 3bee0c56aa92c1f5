"""What a video file holds, found out in this process or in a child of its own with limits on memory and time.

The child is `python -m model.probe FILE LIMITS MEMORY`; it prints one JSON object. It imports no more than PyAV, to start fast.
"""

import json
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av
import av.logging

from model.streams import (
    USUAL,
    Expected,
    MediaError,
    MediaLimits,
    choose_stream,
    display_matrix,
    frame_rate,
    is_cover,
    no_video_stream,
    open_container,
    pixel_aspect,
    read_packets,
    too_costly,
    too_large,
    too_long,
    too_many_frames,
)
from model.timeline import Timeline, is_jump, presented

MEMORY_BYTES = 1024 * 2**20  # of address space: a picture of 4096 x 4096 and 8 bytes a pixel is 128 MiB, held thrice
CPU_SECONDS = 30
_WALL_SECONDS, _BYTES_A_SECOND = 60.0, 50e6  # a large file has to be read once, from whatever disk
_ROOT = Path(__file__).parents[1]
_INTERLACED = frozenset({2, 3, 4, 5})  # AVFieldOrder: TT, BB, TB, BT
_REFUSED = re.compile(r"Picture size (\d+)x(\d+) exceeds")  # what FFmpeg logs of a picture over max_pixels
_TRANSFERS = {16: "pq", 18: "hlg"}  # ITU-T H.273; all others have the range of a common display


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a file holds; sizes as stored, before pictures are turned upright and their pixels made square."""

    duration: float  # seconds
    fps: float
    width: int
    height: int
    frames: int  # expected
    codec: str
    format: str
    rotation: int = 0  # degrees clockwise to turn the first picture upright
    mirrored: bool = False  # left and right change places before that
    pixel_aspect: float = 1.0  # a pixel's width by its height
    interlaced: bool = False
    transfer: str = "sdr"  # or pq, hlg
    bit_depth: int = 8


def probe(path: Path, limits: MediaLimits = USUAL) -> VideoInfo:
    """What the file holds: its packets counted, and its first picture decoded as proof.

    Raises:
        MediaError: empty_file, not_a_video, forbidden_format, no_video_stream, too_large_frame, too_long, too_costly,
            no_frames.
    """
    level = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture(local=False) as log:
            return _probed(path, limits)
    except MediaError as e:
        sizes = [size for line in log if (size := _REFUSED.search(line[2]))]
        if sizes and e.code in ("no_frames", "not_a_video"):  # a decoder forgets the size that it refused
            raise too_large(int(sizes[0][1]), int(sizes[0][2]), limits) from e
        raise
    finally:
        av.logging.set_level(level)


def _probed(path: Path, limits: MediaLimits) -> VideoInfo:
    with open_container(path, limits) as container:
        stream = choose_stream(container, limits)
        count, seconds = _measured(container, stream, limits)
    with open_container(path, limits) as container:
        stream = choose_stream(container, limits)
        return _info(container, stream, _first(container, stream, count), count, seconds)


def probe_apart(path: Path, limits: MediaLimits) -> VideoInfo:
    """As `probe`, in a child process that may take neither much memory nor much time.

    Raises:
        MediaError: as `probe`; too_costly, too, where the child came to its limits.
    """
    if path.stat().st_size == 0:
        raise MediaError("empty_file", "The file is empty.", "Send the video again.")
    command = [sys.executable, "-m", "model.probe", str(path.absolute()), json.dumps(asdict(limits)), str(MEMORY_BYTES)]
    seconds = _WALL_SECONDS + path.stat().st_size / _BYTES_A_SECOND
    try:
        child = subprocess.run(command, cwd=_ROOT, env={}, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as e:
        raise too_costly(f"longer than {seconds:.0f} s") from e
    try:
        reply: dict[str, Any] = json.loads(child.stdout)
    except ValueError:
        limit = f"more than {CPU_SECONDS} s of computing or {MEMORY_BYTES // 2**20} MiB of memory"
        raise too_costly(limit) from None
    if "error" in reply:
        raise MediaError(*reply["error"])
    return VideoInfo(**reply["info"])


def _measured(container: Any, stream: Any, limits: MediaLimits) -> tuple[int, float]:
    """The number of pictures and their seconds, of the packets and not of what the header claims."""
    if stream.frames > limits.max_frames and "mov" in container.format.name:
        raise too_many_frames(limits)
    fps, expected, tail = frame_rate(stream), Expected(container, stream), [0.0]
    timeline = Timeline(fps)
    stamps = presented(_stamps(container, stream, expected, tail, limits), fps)
    for t, _ in timeline.place((stamp, None) for stamp in stamps):
        if t > limits.max_seconds:
            break
    seconds = (timeline.last or 0.0) + (tail[0] or timeline.step)
    if seconds > limits.max_seconds:
        raise too_long(seconds, limits)
    if is_cover(container, stream, expected.frames):
        raise no_video_stream()
    return expected.frames, seconds if timeline.last is not None else 0.0


def _stamps(
    container: Any, stream: Any, expected: Expected, tail: list[float], limits: MediaLimits
) -> Iterator[tuple[float | None, float | None]]:
    """(pts, dts) of each packet that should give a picture; `tail` keeps how long the last one is shown."""
    base = float(stream.time_base)
    for packet in read_packets(container, stream):
        if not expected.add(packet):
            continue
        if expected.packets > limits.max_frames:
            raise too_many_frames(limits)
        seconds = (packet.duration or 0) * base
        tail[0] = 0.0 if is_jump(seconds, 1 / frame_rate(stream)) else seconds
        yield tuple(None if t is None else t * base for t in (packet.pts, packet.dts))  # type: ignore[misc]


def _first(container: Any, stream: Any, count: int) -> Any:
    """The first picture that can be decoded."""
    stream.codec_context.thread_count = 1  # one is enough for one picture, and holds less
    for packet in read_packets(container, stream):
        try:
            for picture in packet.decode():
                return picture
        except MemoryError as e:
            raise too_costly("more memory than is allowed") from e
        except av.FFmpegError:
            continue
    detail = f"No picture of the video can be decoded: {count} frames expected, 0 decoded."
    raise MediaError("no_frames", detail, "Copy or export the video again.")


def _info(container: Any, stream: Any, first: Any, count: int, seconds: float) -> VideoInfo:
    context = stream.codec_context
    a, b, c, d = display_matrix(first)
    fps, measured = frame_rate(stream), count / seconds if seconds else 0.0
    if count > 1 and not measured / 2 < fps < measured * 2:  # the header tells of something else
        fps = round(measured, 3)
    return VideoInfo(
        round(seconds, 3),
        fps,
        first.width,
        first.height,
        count,
        context.name,
        container.format.name,
        rotation=_rotation(a, b, c, d),
        mirrored=a * d - b * c < 0,
        pixel_aspect=round(pixel_aspect(stream), 4),
        interlaced=bool(first.interlaced_frame) or context.field_order in _INTERLACED,
        transfer=_TRANSFERS.get(first.color_trc, "sdr"),
        bit_depth=max((c.bits for c in first.format.components), default=8),
    )


def _rotation(a: int, b: int, c: int, d: int) -> int:
    if abs(b) + abs(c) > abs(a) + abs(d):
        return 90 if c < 0 else 270
    return 180 if d < 0 else 0


def _main(path: str, limits: str, memory: str) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (int(memory),) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        reply: dict[str, Any] = {"info": asdict(probe(Path(path), MediaLimits(**json.loads(limits))))}
    except MemoryError:
        return  # what the parent says of a child without a reply
    except MediaError as e:
        reply = {"error": [e.code, e.detail, e.remedy]}
    print(json.dumps(reply))


if __name__ == "__main__":
    _main(*sys.argv[1:])
