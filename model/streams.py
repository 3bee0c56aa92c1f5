"""The video stream of a file that anyone may have made: opened with limits, chosen among several, its packets counted.

FFmpeg runs with a short list of container formats and the `file` protocol alone, so that a playlist or a concat script
can't make it open anything else. Its decoders refuse pictures over the limit before they allocate one.
"""

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.stream import Discard, Disposition

# Containers by their FFmpeg demuxers; none of them can name another file.
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,flv,ogg,asf"
_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": FORMATS, "enable_drefs": "0", "use_absolute_path": "0"}
_OPTIONS |= {"max_streams": "256"}
_NO_VIDEO = (
    Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image | Disposition.dependent
)  # pictures beside a video, and layers that show nothing by themselves
_STILLS = frozenset({"mjpeg", "png", "apng", "bmp", "gif", "webp", "tiff", "jpegxl"})
_PIXELS_IN_FLIGHT = 16 * 2**20  # over all threads of a decoder: each holds pictures of its own


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


USUAL = MediaLimits()


def open_container(path: Path, limits: MediaLimits) -> Any:
    """An open PyAV container, to be closed by the caller.

    Raises:
        MediaError: empty_file, forbidden_format, not_a_video, too_costly.
    """
    if path.stat().st_size == 0:
        raise MediaError("empty_file", "The file is empty.", "Send the video again.")
    options = _OPTIONS | {"max_pixels": str(limits.max_pixels)}  # for the decoders that look for the format, too
    try:
        return av.open(str(path), options=options, metadata_errors="ignore", timeout=(10, 30))
    except MemoryError as e:
        raise too_costly("more memory than is allowed") from e
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


def choose_stream(container: Any, limits: MediaLimits) -> Any:
    """The stream that a player would show: no cover and no thumbnails; the default one before larger ones.

    Its decoder is set up with the limits, and packets of other streams are passed over.

    Raises:
        MediaError: not_a_video, no_video_stream, too_large_frame.
    """
    if not container.streams.video and not container.streams.audio:
        raise MediaError(
            "not_a_video",
            "The file names no stream: its index is missing or cut off.",
            "Copy or export the video again.",
        )
    videos = [s for s in container.streams.video if not s.disposition & _NO_VIDEO]
    if not videos:
        raise no_video_stream()
    known = [s for s in videos if s.codec_context is not None]
    if not known:
        raise MediaError(
            "not_a_video", "The video's codec can't be told from the file.", "Export it again as H.264 MP4."
        )
    stream = max(known, key=_rank)
    context = stream.codec_context
    if context.width * context.height > limits.max_pixels:
        raise too_large(context.width, context.height, limits)
    context.options = {"max_pixels": str(limits.max_pixels)}
    context.thread_type = "AUTO"
    context.thread_count = max(1, min(8, _PIXELS_IN_FLIGHT // max(1, context.width * context.height)))
    for other in container.streams:
        if other.index != stream.index:
            with suppress(AttributeError, ValueError):
                other.discard = Discard.all
    return stream


def _rank(stream: Any) -> tuple[bool, int, int]:
    pixels = stream.codec_context.width * stream.codec_context.height
    return bool(stream.disposition & Disposition.default), pixels, -stream.index


def is_cover(container: Any, stream: Any, packets: int) -> bool:
    """Whether a stream without a mark is a cover all the same: one still picture beside sound."""
    return packets <= 1 and bool(container.streams.audio) and stream.codec_context.name in _STILLS


def frame_rate(stream: Any) -> float:
    """Frames per second as the container has them; 25 where it has none that can be."""
    fps = float(stream.average_rate or stream.guessed_rate or 25)
    return fps if 0 < fps <= 1000 else 25.0


def pixel_aspect(stream: Any) -> float:
    """A pixel's width by its height, as of the last decoded picture; 1 where it is not known or can't be."""
    declared, now = stream.sample_aspect_ratio, stream.codec_context.sample_aspect_ratio
    aspect = float(now or declared or 1)
    return aspect if 0.1 <= aspect <= 10 else 1.0


def display_matrix(picture: Any) -> tuple[int, int, int, int]:
    """How a player turns and mirrors a picture: (a, b, c, d), by which x, y become ax + cy, bx + dy."""
    data = picture.side_data.get("DISPLAYMATRIX")
    if data is None:
        return 1, 0, 0, 1
    a, b, _, c, d = struct.unpack_from("=5i", bytes(data))
    return a, b, c, d


def read_packets(container: Any, stream: Any) -> Iterator[Any]:
    """The packets of a stream, and at the end the empty one that flushes the decoder; ends where reading fails.

    Raises:
        MediaError: too_costly, where memory doesn't suffice.
    """
    packets = container.demux(stream)
    while True:
        try:
            yield next(packets)
        except StopIteration:
            return
        except MemoryError as e:
            raise too_costly("more memory than is allowed") from e
        except av.FFmpegError:
            return


class Expected:
    """Counts the pictures that packets should give: those with data that a player shows."""

    def __init__(self, container: Any, stream: Any) -> None:
        self.packets = 0
        self._codec = stream.codec_context.name
        self._skips = True  # before the first keyframe nothing can be decoded, as in a recording begun in the middle
        self._key = None  # its presentation time: what comes after it and is shown before it needs what was cut off
        self.indexed = 0
        if stream.frames and "mov" in container.format.name:  # an index; elsewhere the header only claims a number
            seconds = float(stream.duration * stream.time_base) if stream.duration else 0.0
            counted = round(seconds * frame_rate(stream))  # the index also has frames before the beginning
            self.indexed = min(stream.frames, counted or stream.frames)

    def add(self, packet: Any) -> bool:
        """Count a packet; whether it is one that should give a picture."""
        if not packet.size or packet.is_discard or self._hidden(packet):
            return False
        if self._skips and packet.is_keyframe:
            self._skips, self._key = False, packet.pts
            self.packets = 0
        elif self._key is not None and packet.pts is not None and packet.pts < self._key:
            return False
        else:
            self._key = None
        self.packets += 1
        return True

    def _hidden(self, packet: Any) -> bool:
        if self._codec == "vp8":
            return not bytes(packet)[0] >> 4 & 1  # RFC 6386, 9.1: show_frame
        return bool(self._codec == "mpeg4" and packet.size < 20)  # a picture that repeats the one before

    @property
    def frames(self) -> int:
        """The number of pictures that should come."""
        return max(self.packets, self.indexed)


def no_video_stream() -> MediaError:
    """The refusal of sound, data and covers."""
    return MediaError("no_video_stream", "The file has no video stream, only sound, covers or data.", "Send a video.")


def too_large(width: int, height: int, limits: MediaLimits) -> MediaError:
    """The refusal of a picture with too many pixels."""
    detail = f"A picture has {width} x {height} pixels; {limits.max_pixels:,} are allowed."
    return MediaError("too_large_frame", detail, "Scale the video down, or have STSG_MAX_PIXELS raised.")


def too_long(seconds: float, limits: MediaLimits) -> MediaError:
    """The refusal of a video that lasts too long."""
    detail = f"The video lasts {seconds:,.0f} s; {limits.max_seconds:,.0f} s are allowed."
    return MediaError("too_long", detail, "Cut it into parts, or have STSG_MAX_SECONDS raised.")


def too_many_frames(limits: MediaLimits) -> MediaError:
    """The refusal of a video of too many frames."""
    detail = f"The video has more than {limits.max_frames:,} frames, which is what is allowed."
    return MediaError("too_long", detail, "Cut it into parts, or have STSG_MAX_FRAMES raised.")


def too_costly(what: str) -> MediaError:
    """The refusal of a file whose reading alone costs too much."""
    detail = f"To read what the file holds takes {what}."
    return MediaError("too_costly", detail, "Export the video again, as H.264 MP4.")
