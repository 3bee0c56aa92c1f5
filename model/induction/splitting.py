"""Visual Splitting (STEP Sec. 3.1): a video becomes clips between cuts, each with a few representative keyframes.

One decode pass does both. Cuts come from PySceneDetect's adaptive detector on small pictures, times from the container's
own time stamps. Keyframe candidates are thinned as they come, so memory grows with the chosen keyframes alone.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scenedetect import AdaptiveDetector, FrameTimecode

from model.media import Frame, MediaLimits, Tally, frames
from model.stsg import Clip, Image, Keyframe, keyframe_id

_NOMINAL_FPS = 25.0  # frames are numbered for the detector; their true times are kept beside
_DETECTOR_WIDTH = 160
_MOST_CANDIDATES = 96
_ZONE = 0.15  # of a clip, at either end, in which its first and last keyframe must lie


@dataclass(frozen=True, slots=True)
class SplittingOptions:
    """How a video is split; times in seconds, sides in pixels."""

    cuts: bool = True
    min_clip: float = 0.5  # a shorter flash is no clip of its own
    max_clip: float = 30.0
    keyframe_every: float = 4.0
    min_keyframes: int = 2  # fewer can't show motion
    max_keyframes: int = 8
    max_side: int = 512


@dataclass(slots=True)
class _Candidate:
    frame: Frame
    feature: NDArray[np.float32]
    sharpness: float


@dataclass(slots=True)
class _Open:
    """The clip that is being read: where it starts, and its keyframe candidates so far."""

    start: int
    t_start: float
    stride: float = 0.2
    candidates: list[_Candidate] = field(default_factory=list)

    def consider(self, frame: Frame) -> None:
        if frame.damaged and self.candidates:
            return
        if self.candidates and self.candidates[0].frame.damaged:
            self.candidates.clear()  # it was kept for want of a better one
        if self.candidates and frame.t - self.candidates[-1].frame.t < self.stride - 1e-6:
            return
        self.candidates.append(_Candidate(frame, _feature(frame.image), _sharpness(frame.image)))
        if len(self.candidates) > _MOST_CANDIDATES:
            del self.candidates[1:-1:2]
            self.stride *= 2


def split(
    path: Path,
    video_id: str,
    options: SplittingOptions,
    seed: int,
    limits: MediaLimits = MediaLimits(),  # noqa: B008
    tally: Tally | None = None,
) -> list[Clip]:
    """The clips of a video with their keyframes; a video without cuts is one clip. `tally` holds how many frames it had.

    Raises:
        MediaError: the file is no video, damaged, or over the limits.
    """
    pictures = frames(path, limits, max_side=options.max_side, tally=tally)
    clips = []
    for index, (opened, frame_end, t_end) in enumerate(_opened_clips(pictures, options)):
        chosen = _keyframes(opened, t_end, options, _seed(seed, index))
        clips.append(
            Clip(
                index,
                round(opened.t_start, 3),
                round(t_end, 3),
                opened.start,
                frame_end,
                tuple(Keyframe(keyframe_id(video_id, f.t), round(f.t, 3), f.image) for f in chosen),
            )
        )
    return clips


def _opened_clips(pictures: Iterable[Frame], options: SplittingOptions) -> Iterator[tuple[_Open, int, float]]:
    """Each clip with its end, as frame number and time; candidates after a cut that was found late go to the next."""
    cuts = _Cuts(options)
    times: list[float] = []
    current: _Open | None = None
    whole: tuple[_Open, int, float] | None = None  # held back until the next is long enough to be one
    for frame in pictures:
        times.append(frame.t)
        current = current or _Open(frame.index, frame.t)
        cut = cuts.after(frame)
        if cut is None and options.cuts and frame.t - current.t_start >= options.max_clip + options.min_clip:
            cut = bisect_left(times, current.t_start + options.max_clip)
            cuts.restart(times[cut])
        current.consider(frame)
        if cut is not None and cut > current.start:
            if whole:
                yield whole
            late = [c for c in current.candidates if c.frame.index >= cut]
            current.candidates = [c for c in current.candidates if c.frame.index < cut]
            whole = current, cut, times[cut]
            current = _Open(cut, times[cut], candidates=late)
    if current is None:
        return
    step = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 1 / _NOMINAL_FPS
    end = times[-1] + step
    if whole and end - current.t_start < options.min_clip:
        whole[0].candidates += current.candidates
        current = whole[0]
    elif whole:
        yield whole
    yield current, len(times), end


class _Cuts:
    """PySceneDetect's adaptive detector, fed frame by frame."""

    def __init__(self, options: SplittingOptions) -> None:
        self._detector = AdaptiveDetector(min_scene_len=1, window_width=2) if options.cuts else None
        self._min_clip = options.min_clip
        self._last: float | None = None
        self._times: dict[int, float] = {}
        self._size: tuple[int, int] | None = None  # the detector compares pictures of one size

    def after(self, frame: Frame) -> int | None:
        """The number of the frame at which a clip begins, where one is found with this frame; some frames late."""
        if self._detector is None:
            return None
        self._times[frame.index] = frame.t
        self._last = frame.t if self._last is None else self._last
        self._size = self._size or _small_size(frame.image)
        small = _small(frame.image, self._size)
        found = self._detector.process_frame(FrameTimecode(frame.index, _NOMINAL_FPS), small)
        cut = next((c.frame_num for c in found), None)
        if cut is None or self._times[cut] - self._last < self._min_clip:
            return None
        self._last = self._times[cut]
        self._times = {i: t for i, t in self._times.items() if i >= cut}
        return int(cut)

    def restart(self, t: float) -> None:
        """Count from here how long a clip is: one begins for another reason."""
        self._last = t


def _small_size(image: Image) -> tuple[int, int]:
    return _DETECTOR_WIDTH, max(2, min(4 * _DETECTOR_WIDTH, round(image.shape[0] * _DETECTOR_WIDTH / image.shape[1])))


def _small(image: Image, size: tuple[int, int]) -> Image:
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small[:, :, ::-1])


def _feature(image: Image) -> NDArray[np.float32]:
    thumbnail = cv2.resize(image, (8, 8), interpolation=cv2.INTER_AREA)
    return np.asarray(thumbnail, np.float32).reshape(-1) / np.float32(255)


def _sharpness(image: Image) -> float:
    return float(cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())


def _keyframes(opened: _Open, t_end: float, options: SplittingOptions, seed: int) -> list[Frame]:
    """Representative frames in time order: the medoid of each cluster, and one near either end of the clip."""
    found = opened.candidates
    if len(found) > 3 and found[0].frame.index == opened.start:
        found = found[1:]  # the first picture after a cut may still be blended with the one before
    seconds = t_end - opened.t_start
    wanted = int(np.clip(np.ceil(seconds / options.keyframe_every), options.min_keyframes, options.max_keyframes))
    if len(found) <= wanted:
        return [c.frame for c in found]
    medoids = _medoids(found, wanted, seconds, seed)
    head = [c for c in found if c.frame.t <= opened.t_start + _ZONE * seconds] or found[:1]
    tail = [c for c in found if c.frame.t >= t_end - _ZONE * seconds] or found[-1:]
    if wanted >= 2:
        first, last = _in_zone(medoids[0], head), _in_zone(medoids[-1], tail)
        medoids = [first, *(m for m in medoids[1:-1] if first.frame.t < m.frame.t < last.frame.t), last]
    return [c.frame for c in medoids]


def _in_zone(medoid: _Candidate, zone: list[_Candidate]) -> _Candidate:
    return medoid if any(medoid is c for c in zone) else max(zone, key=lambda c: c.sharpness)


def _medoids(found: list[_Candidate], count: int, seconds: float, seed: int) -> list[_Candidate]:
    """The candidate nearest each k-means centre, near ones told apart by sharpness; looks and time both count."""
    times = np.array([[c.frame.t - found[0].frame.t] for c in found], np.float32) / max(seconds, 1e-3)
    features = np.hstack([np.stack([c.feature for c in found]), 2 * times])
    from sklearn.cluster import KMeans  # seconds to import, which only a split need pay

    clusters = KMeans(count, n_init=3, random_state=seed).fit(features)
    chosen = []
    for k in range(count):
        members = np.flatnonzero(clusters.labels_ == k)
        if len(members) == 0:
            continue
        distances = np.linalg.norm(features[members] - clusters.cluster_centers_[k], axis=1)
        sharp = np.array([found[i].sharpness for i in members])
        worth = sharp / (sharp.max() + 1e-9) - distances / (distances.max() + 1e-9)
        chosen.append(found[members[int(np.argmax(worth))]])
    return sorted(chosen, key=lambda c: c.frame.t)


def _seed(seed: int, clip: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{clip}".encode()).digest()[:4], "big")
