"""Good videos that are odd, and what their frames must be: the truth is what was encoded."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model.induction.splitting import SplittingOptions, split
from model.media import Frame, MediaError, MediaLimits, Tally, frames, probe
from model.probe import probe_apart
from model.timeline import Timeline
from tests.api import media, odd_media
from tests.api.odd_media import Part, cover_first, join, spoilt, two_tracks, write

TEN, TWENTY = Part(10), Part(20)


def resized(path: Path) -> Path:
    return join(path, write(path.with_name("a.ts"), TEN), write(path.with_name("b.ts"), Part(10, (64, 96), 1.0, 180)))


def restarted(path: Path) -> Path:
    return join(path, write(path.with_name("a.ts"), TWENTY), write(path.with_name("b.ts"), Part(20, shade=180)))


def repeated(path: Path) -> Path:
    return write(path, Part(20, stamps=[(i - (i in (5, 11))) / 10 for i in range(20)]))


ODD: dict[str, tuple[str, Callable[[Path], Path], float, int]] = {  # with seconds and frames
    "cover first": ("a.mp4", lambda p: cover_first(p, TWENTY), 2, 20),
    "small track first": (
        "b.mkv",
        lambda p: two_tracks(p, (Part(9, (32, 32)), False), (TWENTY, False)),
        2,
        20,
    ),
    "default track": (
        "c.mkv",
        lambda p: two_tracks(p, (Part(9, (128, 96)), False), (TWENTY, True)),
        2,
        20,
    ),
    "late Matroska": ("d.mkv", lambda p: write(p, Part(20, start=10800)), 2, 20),
    "late stream": ("e.ts", lambda p: write(p, Part(20, start=20000)), 2, 20),
    "jump in a stream": ("f.mkv", lambda p: write(p, TEN, Part(10, start=10001)), 2, 20),
    "jump in an MP4": ("g.mp4", lambda p: write(p, TEN, Part(10, start=10001)), 2, 20),
    "start again": ("h.ts", restarted, 4, 40),
    "two sizes": ("i.ts", resized, 2, 20),
    "two sizes of VP8": ("j.webm", lambda p: write(p, TEN, Part(10, (64, 96), 1.0), codec="libvpx"), 2, 20),
    "two stamps twice": ("k.mkv", repeated, 2, 20),
    "one stamp for all": ("l.mkv", lambda p: write(p, Part(20, stamps=[0.0] * 20)), 2, 20),
    "deep order": ("n.mkv", lambda p: odd_media.reordered(p, 60, 8), 6, 60),
    "deeper order": ("o.mkv", lambda p: odd_media.reordered(p, 60, 16), 6, 60),
    "slides": ("m.mkv", lambda p: write(p, Part(5, stamps=[0, 15, 30, 45, 60])), 60, 5),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_video_has_the_seconds_and_frames_that_were_encoded(tmp_path: Path, name: str) -> None:
    file, make, seconds, count = ODD[name]
    path = make(tmp_path / file)
    info, tally = probe(path), Tally()
    shown = list(frames(path, tally=tally))
    assert (info.width, info.height) == (96, 64)
    assert info.duration == pytest.approx(seconds, abs=0.15) and info.frames == count
    assert (len(shown), tally.expected, tally.decoded, tally.damaged) == (count, count, count, 0)
    times = [f.t for f in shown]
    assert times[0] == 0 and times == sorted(set(times)) and times[-1] < info.duration


def test_sizes_that_change_and_stamps_that_begin_again_are_cut_where_they_do(tmp_path: Path) -> None:
    for make, cut in ((resized, 10), (restarted, 20)):
        first, second = split(make(tmp_path / "x.ts"), "v", SplittingOptions(), 0)
        assert (first.t_end, second.t_start, second.t_end) == (cut / 10, cut / 10, cut / 5)
        assert (first.frame_end, second.frame_start, second.frame_end) == (cut, cut, cut * 2)


@pytest.mark.parametrize("still", ["marked", "unmarked"])
def test_sound_with_a_cover_is_no_video(tmp_path: Path, still: str) -> None:
    path = cover_first(tmp_path / "a.m4a", None, marked=still == "marked")
    with pytest.raises(MediaError) as error:
        probe(path)
    assert error.value.code == "no_video_stream"


@pytest.mark.parametrize(
    ("stamps", "times"),
    [
        ([7.0, 7.1, 7.1, 7.2, 0.0, 0.1], [0, 0.1, 0.15, 0.2, 0.3, 0.4]),
        ([None, None, None], [0, 0.1, 0.2]),
        ([5.0, None, 5.2], [0, 0.1, 0.2]),
        ([0.0, 0.1, 0.0, 0.1, 0.2], [0, 0.1, 0.2, 0.3, 0.4]),
        ([0.0, 0.1, 30.0, 30.1], [0, 0.1, 0.2, 0.3]),
        ([0.0, 0.1, 9.0, 9.1], [0, 0.1, 9.0, 9.1]),
        ([0.0, 0.1, 0.2, 0.2], [0, 0.1, 0.2, 0.3]),
    ],
)
def test_the_clock_goes_forwards(stamps: list[float | None], times: list[float]) -> None:
    assert [t for t, _ in Timeline(10).place((s, None) for s in stamps)] == pytest.approx(times)


def test_pixels_that_are_not_square_and_pictures_on_their_side_are_set_right(tmp_path: Path) -> None:
    wide = write(tmp_path / "wide.mkv", TEN, **{"x264-params": "sar=2/1"})
    assert {f.image.shape for f in frames(wide)} == {(64, 192, 3)} and probe(wide).pixel_aspect == 2
    tall = write(tmp_path / "tall.mp4", TEN, **{"x264-params": "sar=1/2"})
    assert {f.image.shape for f in frames(tall)} == {(128, 96, 3)}
    turned = odd_media.turn(tmp_path / "turned.mp4", write(tmp_path / "upright.mp4", TEN), 90)
    assert probe(turned).rotation == 270 and probe(wide).rotation == 0
    stored, shown = (next(frames(p)).image.astype(int) for p in (tmp_path / "upright.mp4", turned))
    assert np.abs(np.rot90(stored) - shown).max() <= 2


@pytest.mark.parametrize(
    ("matrix", "turns", "mirrored", "rotation"),
    [
        ((-1, 0, 0, 1), 0, True, 0),
        ((1, 0, 0, -1), 2, True, 180),
        ((-1, 0, 0, -1), 2, False, 180),
        ((0, 1, 1, 0), 1, True, 270),
        ((0, -1, -1, 0), 3, True, 90),
        ((0, 1, -1, 0), 3, False, 90),
    ],
)
def test_mirrored_pictures_are_set_right(
    tmp_path: Path, matrix: tuple[int, int, int, int], turns: int, mirrored: bool, rotation: int
) -> None:
    plain = write(tmp_path / "plain.mp4", TEN)
    odd = odd_media.with_matrix(tmp_path / "odd.mp4", plain, matrix)
    stored, shown = (next(frames(p)).image.astype(int) for p in (plain, odd))
    upright = np.rot90(stored[:, ::-1] if mirrored else stored, turns)
    assert shown.shape == upright.shape and np.abs(upright - shown).max() <= 2
    assert (probe(odd).rotation, probe(odd).mirrored) == (rotation, mirrored)


def test_what_a_video_is_made_for_is_declared(tmp_path: Path) -> None:
    plain = probe(write(tmp_path / "a.mp4", TEN))
    assert (plain.interlaced, plain.transfer, plain.bit_depth) == (False, "sdr", 8)
    for curve, name in (("smpte2084", "pq"), ("arib-std-b67", "hlg")):
        made = write(tmp_path / f"{name}.mkv", TEN, **{"x264-params": f"transfer={curve}"})
        assert probe(made).transfer == name
    assert probe(write(tmp_path / "i.ts", TEN, **{"x264-params": "tff=1"})).interlaced
    assert probe(write(tmp_path / "t.mkv", TEN, pix_fmt="yuv420p10le")).bit_depth == 10


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_pictures_decoded_with_damage_count_as_lost(tmp_path: Path, kind: str) -> None:
    good = write(tmp_path / f"good.{kind}", Part(100), crf="20", g="100")
    with pytest.raises(MediaError, match=r"100 frames expected, .* used") as error:
        list(frames(spoilt(tmp_path / f"bad.{kind}", good, 40)))
    assert error.value.code == "damaged"
    tally = Tally()
    shown = list(frames(spoilt(tmp_path / f"little.{kind}", good, 1), tally=tally))
    assert tally.expected == 100 and tally.decoded - tally.damaged == 99
    assert [f.index for f in shown if f.damaged] == [99] * tally.damaged


def test_damaged_pictures_are_no_keyframes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    pictures = [Frame(i, i / 10, rng.integers(0, 255, (32, 32, 3), np.uint8), i % 3 != 1) for i in range(40)]
    monkeypatch.setattr("model.induction.splitting.frames", lambda *_, **__: iter(pictures))
    [clip] = split(tmp_path, "v", SplittingOptions(cuts=False), 0)
    assert clip.keyframes and all(round(k.t * 10) % 3 == 1 for k in clip.keyframes)


_PROBED = """  # in a process of its own, whose children are those of the probe alone
import resource, sys
from pathlib import Path
from model.media import MediaError, MediaLimits
from model.probe import probe_apart
try:
    probe_apart(Path(sys.argv[1]), MediaLimits())
except MediaError as e:
    print(e.code, e.detail, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024, sep="|")
"""


@pytest.mark.parametrize("declared", [None, 64])
def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path: Path, declared: int | None) -> None:
    path = odd_media.huge_picture(tmp_path / "huge.avi", 14000, declared=declared)
    done = subprocess.run([sys.executable, "-c", _PROBED, str(path)], capture_output=True, text=True, check=True)
    code, detail, mib = done.stdout.split("|")
    assert code == "too_large_frame" and "14000 x 14000" in detail and int(mib) < 600


def test_a_table_of_a_billion_pictures_is_refused(tmp_path: Path) -> None:
    path = odd_media.many_frames_claimed(tmp_path / "a.mp4", media.video(tmp_path / "b.mp4"), 10**9)
    with pytest.raises(MediaError) as error:
        probe_apart(path, MediaLimits())
    assert error.value.code in ("too_long", "too_costly")


def test_a_probe_that_comes_to_its_limits_is_a_plain_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = odd_media.huge_picture(tmp_path / "a.avi", 14000)  # 187 MiB as one picture
    probe_apart(large, MediaLimits(max_pixels=10**9))
    monkeypatch.setattr("model.probe.MEMORY_BYTES", 256 * 2**20)
    with pytest.raises(MediaError) as error:
        probe_apart(large, MediaLimits(max_pixels=10**9))
    assert error.value.code == "too_costly"
    monkeypatch.undo()
    monkeypatch.setattr("model.probe._WALL_SECONDS", 0.0)
    with pytest.raises(MediaError, match="longer than") as error:
        probe_apart(media.video(tmp_path / "a.mp4"), MediaLimits())
    assert error.value.code == "too_costly"
