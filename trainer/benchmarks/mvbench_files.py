"""Where a video of MVBench lies: its archives were packed anew several times, and several layouts circulate."""

from glob import escape
from pathlib import Path

from trainer.benchmarks.items import Media

ROOTS = ("video", "video/data0613", "", "data0613")  # below the benchmark's folder
# By the place that the first release has: others that hold the same videos, and others that hold the parts already cut.
_SAME = {"ssv2_video": ("ssv2_video_mp4",), "nturgbd": ("nturgbd_convert",)}
_CUT = {
    "star/Charades_v1_480": ("star/Charades_segment",),
    "sta/sta_video": ("sta/sta_video_segment",),
    "tvqa/frames_fps3_hq": ("tvqa/video_fps3_hq_segment",),
}
_SUFFIXES = (".mp4", ".webm", ".avi", ".mkv", ".mov")  # a copy may be in another container
_FRAME_RATE = 3.0  # of the folders of pictures (TVQA)


def find_media(folder: Path, place: str, video: str, start: float | None, end: float | None) -> Media | None:
    """Find the pictures of one question.

    Args:
        folder: of the benchmark.
        place: where the first release has the videos of the question's task.
        video: the name in the question's record.
        start: where the part begins that the question is about, in seconds; None where it is about the whole.
        end: where that part ends.

    Returns:
        The video and its part; of a video that is cut already there is no part. None where it isn't in any layout.
    """
    for root in ROOTS:
        for same in (place, *_SAME.get(place, ())):
            if source := _existing(folder / root / same / video):
                return Media(source, start, end, _FRAME_RATE if source.is_dir() else None)
    for root in ROOTS:
        for cut in _CUT.get(place, ()):
            if source := _cut(folder / root / cut, video, start, end):
                return Media(source)
    return None


def looked_in(place: str) -> tuple[str, ...]:
    """Name the folders, below the benchmark's, in which the videos of a place may lie.

    "sta/sta_video" -> ("video/sta/sta_video", "video/data0613/sta/sta_video", ..., "data0613/sta/sta_video_segment")
    """
    places = (place, *_SAME.get(place, ()), *_CUT.get(place, ()))
    return tuple(str(Path(root) / one) for one in places for root in ROOTS)


def _existing(path: Path) -> Path | None:
    """The path, or the same video in another container."""
    if path.exists():
        return path
    return next((other for suffix in _SUFFIXES if (other := path.with_suffix(suffix)).is_file()), None)


def _cut(folder: Path, video: str, start: float | None, end: float | None) -> Path | None:
    """The part of a video: `USNP1_1.3_15.4.mp4` is `USNP1.mp4` from 1.3 s to 15.4 s."""
    stem = Path(video).stem if Path(video).suffix in _SUFFIXES else Path(video).name
    if start is not None and end is not None:
        part = _part(folder, stem, (start, end))
        if part:
            return part
    return _existing(folder / video)


def _part(folder: Path, stem: str, times: tuple[float, float]) -> Path | None:
    """The file in a folder that is named by a video and two times; the folder is read anew, as files may be added."""
    for path in folder.glob(f"{escape(stem)}_*_*") if folder.is_dir() else ():
        of, start, end = path.stem.rsplit("_", 2)
        try:
            named = round(float(start), 3), round(float(end), 3)
        except ValueError:
            continue
        if of == stem and named == (round(times[0], 3), round(times[1], 3)):
            return path
    return None
