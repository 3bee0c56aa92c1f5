"""Files that anyone may send: refused with a reason, and never more than the file itself is read."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from model.media import MediaError, frames, probe
from tests.api import media


def refused(path: Path) -> MediaError:
    with pytest.raises(MediaError) as error:
        probe(path)
        for _ in frames(path):
            pass
    assert error.value.detail and error.value.remedy
    return error.value


def test_what_a_good_video_holds(tmp_path: Path) -> None:
    path = media.video(tmp_path / "good.mp4", seconds=2.0, fps=10, side=64)
    info = probe(path)
    assert (info.width, info.height, info.fps, info.frames, info.codec) == (64, 64, 10, 20, "h264")
    decoded = list(frames(path))
    assert [f.index for f in decoded] == list(range(20))
    assert [round(f.t, 1) for f in decoded] == [i / 10 for i in range(20)]
    assert max(next(frames(path, max_side=16)).image.shape) == 16


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda p: (p.write_bytes(b""), p)[1], "empty_file"),
        (lambda p: (p.write_text("hello, I am no video"), p)[1], "not_a_video"),
        (media.sound, "no_video_stream"),
        (lambda p: media.video(p, frames=1, side=14000), "too_large_frame"),
        (lambda p: media.video(p, seconds=36000, fps=1, side=16), "too_long"),
    ],
)
def test_what_is_no_video_is_refused_by_its_reason(tmp_path: Path, make: Callable[[Path], Path], code: str) -> None:
    assert refused(make(tmp_path / "bad.mp4")).code == code


@pytest.mark.parametrize("make", [media.truncated, media.no_frames])
def test_what_can_not_be_decoded_is_refused(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    assert refused(make(tmp_path / "bad.mp4")).code in ("not_a_video", "no_frames", "damaged")


@pytest.mark.parametrize(("make", "code", "decoded"), [(media.flipped, "no_frames", 0), (media.damaged, "damaged", 20)])
def test_damage_is_told_as_frames_expected_and_decoded(
    tmp_path: Path, make: Callable[[Path], Path], code: str, decoded: int
) -> None:
    path = make(tmp_path / "broken.mp4")
    with pytest.raises(MediaError, match=f"60 frames expected, {decoded} decoded") as error:
        list(frames(path))
    assert error.value.code == code


@pytest.mark.parametrize("make", [media.script, media.playlist])
def test_a_script_in_disguise_opens_no_other_file(tmp_path: Path, make: Callable[[Path, Path], Path]) -> None:
    good = media.video(tmp_path / "secret.mp4")
    assert refused(make(tmp_path / "evil.mp4", good)).code == "forbidden_format"


def test_a_video_that_was_cut_without_encoding_it_again_is_whole(tmp_path: Path) -> None:
    """Its container counts the frames since the last keyframe, too, and says that they are not shown."""
    whole, cut = tmp_path / "whole.mp4", tmp_path / "cut.mp4"
    with av.open(str(whole), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.options = {"bf": "0", "g": "250"}
        for shade in range(100):
            picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), shade, np.uint8), format="rgb24")
            out.mux(stream.encode(picture))
        out.mux(stream.encode())
    options = {"use_editlist": "1", "avoid_negative_ts": "disabled"}
    with av.open(str(whole)) as source, av.open(str(cut), "w", options=options) as out:
        [taken] = source.streams.video
        copied = out.add_stream_from_template(taken)
        for packet in source.demux(taken):
            if packet.dts is not None and packet.pts is not None and taken.time_base:
                packet.stream = copied
                packet.pts -= round(2 / taken.time_base)
                packet.dts -= round(2 / taken.time_base)
                out.mux(packet)
    assert probe(cut).frames == len(list(frames(cut))) == 50
