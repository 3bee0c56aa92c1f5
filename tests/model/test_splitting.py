"""Clips and keyframes of real videos that nobody here made, and of rendered ones."""

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from model.induction.splitting import SplittingOptions, split
from model.stsg import Clip
from tests.real_videos import PARTS, REAL, join, pictures, write
from trainer.world.files import render_with_truth


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return join(tmp_path_factory.mktemp("joined") / "joined.mp4")


def sharpness(image: np.ndarray) -> float:
    return float(cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())


def check(clips: list[Clip]) -> None:
    """What holds of every split: clips in a row, keyframes inside them, in order, distinct and not blank."""
    for before, after in pairwise(clips):
        assert before.t_end == after.t_start and before.frame_end == after.frame_start
    for clip in clips:
        times = [k.t for k in clip.keyframes]
        assert times and times == sorted(set(times))
        assert all(clip.t_start <= t < clip.t_end for t in times)
        assert all(sharpness(k.image) > 20 for k in clip.keyframes)


@pytest.mark.parametrize("name", REAL)
def test_real_videos_are_split_into_sharp_and_distinct_keyframes(name: str) -> None:
    clips = split(REAL[name], "v", SplittingOptions(), 0)
    check(clips)
    assert all(len(c.keyframes) >= 2 for c in clips if c.t_end - c.t_start > 0.5)
    again = split(REAL[name], "v", SplittingOptions(), 0)
    assert [[k.id for k in c.keyframes] for c in again] == [[k.id for k in c.keyframes] for c in clips]


def test_known_cuts_are_found_within_a_frame(joined: Path) -> None:
    clips = split(joined, "v", SplittingOptions(), 0)
    check(clips)
    ends = np.cumsum([count for _, count in PARTS]) / 25
    assert len(clips) == len(PARTS)
    assert np.abs(np.array([c.t_end for c in clips]) - ends).max() <= 1 / 25 + 1e-3


@pytest.mark.parametrize("seed", range(12))
def test_rendered_clips_have_exact_cuts_and_two_keyframes_that_show_motion(seed: int, world: Path) -> None:
    rendered = render_with_truth(seed, world)
    clips = split(rendered.video, rendered.video_id, SplittingOptions(), 0)
    assert [c.t_start for c in clips] == rendered.scene.starts()
    for clip in clips:
        first, last = (k.t for k in clip.keyframes)
        assert last - first >= 0.7 * (clip.t_end - clip.t_start)


def test_without_cuts_a_video_is_one_clip_and_a_long_clip_is_windows(joined: Path) -> None:
    [whole] = split(joined, "v", SplittingOptions(cuts=False), 0)
    assert (whole.frame_start, whole.frame_end) == (0, 155)
    windows = split(REAL["bunny"], "v", SplittingOptions(max_clip=2.0), 0)
    check(windows)
    assert max(c.t_end - c.t_start for c in windows) <= 2.1 and len(windows) == 3


def test_what_is_too_short_at_the_end_is_no_clip_of_its_own(tmp_path: Path) -> None:
    [whole] = split(REAL["bunny"], "v", SplittingOptions(cuts=False), 0)
    [window] = split(REAL["bunny"], "v", SplittingOptions(max_clip=whole.t_end - 0.3), 0)
    assert (window.t_end, window.frame_end) == (whole.t_end, whole.frame_end)
    frames = [*pictures(REAL["bunny"], 50), *pictures(REAL["carphone"], 5)]
    [flashed] = split(write(tmp_path / "flash.mp4", iter(frames)), "v", SplittingOptions(), 0)
    assert flashed.frame_end == 55
    check([window])
    check([flashed])


def test_a_single_frame_is_a_clip_of_one_keyframe(tmp_path: Path) -> None:
    path = write(tmp_path / "one.mp4", pictures(REAL["bunny"], 1))
    [clip] = split(path, "v", SplittingOptions(), 0)
    assert len(clip.keyframes) == 1 and clip.t_end > clip.t_start


def test_times_are_those_of_the_container(tmp_path: Path) -> None:
    """A variable frame rate: the second half comes at a fifth of the pace."""
    times = [i / 25 for i in range(50)] + [2 + i / 5 for i in range(20)]
    frames = (f for part in (pictures(REAL["bunny"], 50), pictures(REAL["carphone"], 20)) for f in part)
    clips = split(write(tmp_path / "vfr.mkv", frames, times), "v", SplittingOptions(), 0)
    assert [round(c.t_start, 2) for c in clips] == [0.0, 2.0]
    assert 5.5 <= clips[-1].keyframes[-1].t <= 5.8
