"""Where videos of MVBench are found, whichever layout one has."""

from pathlib import Path

import pytest

from trainer.benchmarks.items import Media
from trainer.benchmarks.mvbench_files import find_media, looked_in

STAR, SSV2, TVQA = "star/Charades_v1_480", "ssv2_video", "tvqa/frames_fps3_hq"


@pytest.mark.parametrize(
    ("place", "video", "path", "cut"),
    [
        (STAR, "EDXBD.mp4", "video/star/Charades_v1_480/EDXBD.mp4", False),
        (STAR, "EDXBD.mp4", "video/data0613/star/Charades_v1_480/EDXBD.mp4", False),
        (STAR, "EDXBD.mp4", "data0613/star/Charades_v1_480/EDXBD.mp4", False),
        (STAR, "EDXBD.mp4", "star/Charades_v1_480/EDXBD.mp4", False),
        (STAR, "EDXBD.mp4", "star/Charades_segment/EDXBD_1.2999999999999998_15.4.mp4", True),
        (STAR, "EDXBD_1.3_15.4.mp4", "video/star/Charades_segment/EDXBD_1.3_15.4.mp4", True),
        ("sta/sta_video", "x_y.mp4", "sta/sta_video_segment/x_y_1.3_15.4.mp4", True),
        (
            TVQA,
            "house_s02e16_seg02_clip_00",
            "tvqa/video_fps3_hq_segment/house_s02e16_seg02_clip_00_1.3_15.4.mp4",
            True,
        ),
        (SSV2, "117779.mp4", "video/ssv2_video_mp4/117779.mp4", False),
        (SSV2, "117779.webm", "video/ssv2_video_mp4/117779.mp4", False),
        (SSV2, "117779.mp4", "ssv2_video/117779.webm", False),
        ("nturgbd", "S001_rgb.avi", "nturgbd_convert/S001_rgb.mp4", False),
        (
            "clevrer/video_validation",
            "video_10009.mp4",
            "video/data0613/clevrer/video_validation/video_10009.mp4",
            False,
        ),
    ],
)
def test_a_video_is_found_in_every_layout(tmp_path: Path, place: str, video: str, path: str, cut: bool) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).touch()
    times = (1.3, 15.4) if place in (STAR, TVQA, "sta/sta_video") else (None, None)
    expected = Media(tmp_path / path) if cut else Media(tmp_path / path, *times)
    if video == "EDXBD_1.3_15.4.mp4":  # a record of lmms-eval's names the part
        assert find_media(tmp_path, place, video, None, None) == expected
    else:
        assert find_media(tmp_path, place, video, *times) == expected


def test_another_part_of_a_video_is_not_the_one_in_question(tmp_path: Path) -> None:
    folder = tmp_path / "star" / "Charades_segment"
    folder.mkdir(parents=True)
    (folder / "EDXBD_2.0_9.0.mp4").touch()
    assert find_media(tmp_path, STAR, "EDXBD.mp4", 1.3, 15.4) is None


def test_pictures_in_a_folder_have_their_rate(tmp_path: Path) -> None:
    folder = tmp_path / "video" / TVQA / "clip"
    folder.mkdir(parents=True)
    assert find_media(tmp_path, TVQA, "clip", 1.0, 2.0) == Media(folder, 1.0, 2.0, 3.0)


def test_a_part_that_is_put_there_later_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "star" / "Charades_segment"
    folder.mkdir(parents=True)
    assert find_media(tmp_path, STAR, "EDXBD.mp4", 1.3, 15.4) is None
    (folder / "EDXBD_1.3_15.4.mp4").touch()
    assert find_media(tmp_path, STAR, "EDXBD.mp4", 1.3, 15.4) == Media(folder / "EDXBD_1.3_15.4.mp4")


@pytest.mark.parametrize("place", [STAR, SSV2, TVQA, "nturgbd"])
def test_a_video_is_found_in_each_folder_that_is_named_as_looked_in(tmp_path: Path, place: str) -> None:
    for at, named in enumerate(looked_in(place)):
        path = tmp_path / str(at) / named / "a.mp4"
        path.parent.mkdir(parents=True)
        path.touch()
        media = find_media(tmp_path / str(at), place, "a.mp4", None, None)
        assert media is not None and media.path == path
