"""Videos as files: what they are, and their frames, read safely from files that anyone may have made.

FFmpeg runs with a short list of container formats and the `file` protocol alone, so that a playlist or a concat script
can't make it open anything else. Sizes are checked before the first picture is decoded. Times are presentation times in
seconds from the first picture, as the container gives them.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from model.stsg import Image

# Containers by their FFmpeg demuxers; none of them can name another file.
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,flv,ogg,asf"
_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": FORMATS, "enable_drefs": "0", "use_absolute_path": "0"}


class MediaError(Exception):
    """A file that can't be used as a video: a code, what is wrong, and what to do."""

    def __init__(self, code: str, detail: str, remedy: str) -> None:
        super().__init__(f"{detail} {remedy}")
        self.code, self.detail, self.remedy = code, detail, remedy


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """What is accepted; a damaged file needs `min_decoded` of its expected frames."""

    max_seconds: float = 2 * 3600
    max_pixels: int = 4096 * 4096  # of one picture
    max_frames: int = 1_000_000
    min_decoded: float = 0.98


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a container says of its first video stream."""

    duration: float  # seconds
    fps: float
    width: int
    height: int
    frames: int  # expected
    codec: str
    format: str


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded picture."""

    index: int
    t: float
    image: Image


def probe(path: Path, limits: MediaLimits = MediaLimits()) -> VideoInfo:  # frozen
    """What the file holds, with its first picture decoded as proof.

    Raises:
        MediaError: empty_file, not_a_video, forbidden_format, no_video_stream, too_large_frame, too_long, no_frames.
    """
    with _opened(path) as container:
        info = _info(container, limits)
        for _ in _pictures(container):
            return info
    detail = f"No picture of the video can be decoded: {info.frames} frames expected, 0 decoded."
    raise MediaError("no_frames", detail, "Copy or export the video again.")


def frames(path: Path, limits: MediaLimits = MediaLimits(), *, max_side: int = 512) -> Iterator[Frame]:
    """All frames in order of time, upright, with a longer side of at most `max_side` pixels.

    A frame that can't be decoded is skipped; at the end a file with too few good ones is refused.

    Raises:
        MediaError: as `probe`, and damaged with the number of frames expected and decoded.
    """
    with _opened(path) as container:
        info = _info(container, limits)
        counted = info.frames if container.streams.video[0].frames else 0  # where the container does not say
        decoded, first, last = 0, None, -math.inf
        for picture in _pictures(container):
            t = float(picture.time if picture.time is not None else decoded / info.fps)
            first = t if first is None else first
            if t - first <= last:
                continue
            last = t - first
            if last > limits.max_seconds or decoded >= limits.max_frames:
                raise _too_long(max(last, info.duration), limits)
            if picture.width * picture.height > limits.max_pixels:
                raise _too_large(picture.width, picture.height, limits)
            yield Frame(decoded, round(last, 6), _upright(picture, max_side))
            decoded += 1
    if decoded == 0:
        detail = f"No picture of the video can be decoded: {info.frames} frames expected, 0 decoded."
        raise MediaError("no_frames", detail, "Copy or export the video again.")
    if counted and decoded < limits.min_decoded * counted - 1:
        raise MediaError(
            "damaged",
            f"The video is damaged: {info.frames} frames expected, {decoded} decoded.",
            "Copy or export it again.",
        )


def _opened(path: Path) -> Any:
    if path.stat().st_size == 0:
        raise MediaError("empty_file", "The file is empty.", "Send the video again.")
    try:
        return av.open(str(path), options=_OPTIONS, metadata_errors="ignore", timeout=(10, 30))
    except av.FFmpegError as e:
        if _is_script(path):
            raise MediaError(
                "forbidden_format",
                "The file is a playlist or a script that names other files.",
                "Send the video itself, as MP4, MOV, MKV, WebM or AVI.",
            ) from e
        raise MediaError(
            "not_a_video",
            "The file is no video that can be read, or its index is cut off.",
            "Send MP4, MOV, MKV, WebM or AVI; for a truncated file, copy or export it again.",
        ) from e


def _is_script(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(256).lstrip()
    return head.startswith((b"#EXTM3U", b"ffconcat", b"file ", b"<?xml", b"<MPD"))


def _info(container: Any, limits: MediaLimits) -> VideoInfo:
    if not container.streams.video and not container.streams.audio:
        raise MediaError(
            "not_a_video",
            "The file names no stream: its index is missing or cut off.",
            "Copy or export the video again.",
        )
    if not container.streams.video:
        raise MediaError("no_video_stream", "The file has no video stream, only sound or data.", "Send a video.")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise MediaError(
            "not_a_video", "The video's codec can't be told from the file.", "Export it again as H.264 MP4."
        )
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > limits.max_pixels:
        raise _too_large(width, height, limits)
    fps = float(stream.average_rate or stream.guessed_rate or 25)
    seconds = float(stream.duration * stream.time_base) if stream.duration else (container.duration or 0) / av.time_base
    expected = round(seconds * fps)
    if stream.frames:  # what was cut without encoding again may count frames before its beginning, which are not shown
        expected = min(stream.frames, expected or stream.frames)
    if seconds > limits.max_seconds or expected > limits.max_frames:
        raise _too_long(seconds, limits)
    return VideoInfo(round(seconds, 3), fps, width, height, expected, stream.codec_context.name, container.format.name)


def _too_large(width: int, height: int, limits: MediaLimits) -> MediaError:
    detail = f"A picture has {width} x {height} pixels; {limits.max_pixels:,} are allowed."
    return MediaError("too_large_frame", detail, "Scale the video down, or have STSG_MAX_PIXELS raised.")


def _too_long(seconds: float, limits: MediaLimits) -> MediaError:
    detail = f"The video lasts {seconds:,.0f} s; {limits.max_seconds:,.0f} s are allowed."
    return MediaError("too_long", detail, "Cut it into parts, or have STSG_MAX_SECONDS raised.")


def _pictures(container: Any) -> Iterator[Any]:
    """Decoded pictures of the first video stream; packets that can't be decoded are left out."""
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.FFmpegError:
            return
        try:
            yield from packet.decode()
        except av.FFmpegError:
            continue


def _upright(picture: Any, max_side: int) -> Image:
    scale = min(1.0, max_side / max(picture.width, picture.height))
    width, height = (max(2, round(side * scale)) for side in (picture.width, picture.height))
    image: Image = picture.to_ndarray(format="rgb24", width=width, height=height, interpolation="AREA")
    turns = round(getattr(picture, "rotation", 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image
