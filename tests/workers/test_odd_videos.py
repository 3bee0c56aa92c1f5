"""Odd videos as runs split them: their records, clips and keyframes, by what was encoded."""

import time
from pathlib import Path

import pytest
from neo4j import Driver

from api.client import Client
from graphdb import graphs, jobs, videos
from model.media import probe
from tests.api.odd_media import Part, cover_first, join, spoilt, two_tracks, write
from tests.workers.test_flows import Desk
from workers import flows

TEN, TWENTY, LIGHT = Part(10), Part(20), Part(20, shade=180)
CLIP = tuple[float, float, int, int]  # seconds and frames


def made(folder: Path) -> dict[Path, tuple[float, int, list[CLIP]]]:
    """Files with their seconds, frames and clips."""
    one: list[CLIP] = [(0.0, 2.0, 0, 20)]
    two: list[CLIP] = [(0.0, 1.0, 0, 10), (1.0, 2.0, 10, 20)]
    again: list[CLIP] = [(0.0, 2.0, 0, 20), (2.0, 4.0, 20, 40)]
    small = write(folder / "s.ts", Part(10, (64, 96), 1.0, 180))
    light = Part(10, start=10001, shade=180)
    return {
        cover_first(folder / "cover.mp4", TWENTY): (2, 20, one),
        two_tracks(folder / "tracks.mkv", (Part(9, (32, 32)), False), (TWENTY, False)): (2, 20, one),
        write(folder / "late.mkv", Part(20, start=10800)): (2, 20, one),
        join(folder / "sizes.ts", write(folder / "t.ts", TEN), small): (2, 20, two),
        join(folder / "again.ts", write(folder / "a.ts", TWENTY), write(folder / "b.ts", LIGHT)): (4, 40, again),
        write(folder / "jump.mkv", TEN, light): (2, 20, two),
    }


@pytest.mark.timeout(400)
def test_the_running_service_gives_odd_videos_their_seconds_frames_and_clips(service: Client, tmp_path: Path) -> None:
    files = made(tmp_path)
    for path, (seconds, frames, clips) in files.items():
        video = service.upload(path, process="true", model="tiny")
        run = f"/v1/runs/{video['run']['id']}"
        while (job := service.get(run))["stage"] == "split" and job["state"] in ("queued", "running"):
            time.sleep(0.1)
        times = [k["t"] for k in service.get(f"/v1/videos/{video['id']}/keyframes")["data"]]
        service.post(f"{run}/cancel")  # what the model replies is no matter
        assert (video["width"], video["height"], video["frames"]) == (96, 64, frames), path.name
        assert video["duration"] == pytest.approx(seconds, abs=0.01), path.name
        assert job["stage"] == "induce" and job["total"] == len(clips), (path.name, job["error"])
        assert all(any(start <= t < end for t in times) for start, end, _, _ in clips), path.name


@pytest.fixture
def desk(driver: Driver, tmp_path: Path, world: Path) -> Desk:
    return Desk(driver, tmp_path, world)


def split(desk: Desk, path: Path) -> str:
    """The run of a video, after its clips are stored."""
    info = probe(path)
    flows.add_video(desk.service, f"vid_odd_{path.stem}", path, info, name=path.name, sha256="x")
    job, _ = flows.start_run(desk.service, f"vid_odd_{path.stem}", "perfect", {}, 0)
    flows.work(desk.service, job["id"], "test", ("split",))
    desk.messages.clear()
    return str(job["id"])


def test_odd_videos_have_the_seconds_frames_and_clips_that_were_encoded(desk: Desk, tmp_path: Path) -> None:
    for path, (seconds, frames, clips) in made(tmp_path).items():
        run = split(desk, path)
        stored = graphs.load_clips(desk.service.driver, run)
        assert [(c.t_start, c.t_end, c.frame_start, c.frame_end) for c in stored] == clips, path.name
        assert all(c.t_start <= k.t < c.t_end for c in stored for k in c.keyframes)
        video = videos.get_video(desk.service.driver, f"vid_odd_{path.stem}")
        assert video and (video["width"], video["height"], video["frames"]) == (96, 64, frames), path.name
        assert video["duration"] == pytest.approx(seconds, abs=0.01), path.name
        assert (video["rotation"], video["interlaced"], video["transfer"]) == (0, False, "sdr")
        assert "damage" not in [event["type"] for event in jobs.events(desk.service.driver, run)]


def test_a_little_damage_is_on_record(desk: Desk, tmp_path: Path) -> None:
    run = split(desk, spoilt(tmp_path / "spoilt.mkv", write(tmp_path / "whole.mkv", Part(100), crf="20", g="100"), 1))
    [damage] = [e["data"] for e in jobs.events(desk.service.driver, run) if e["type"] == "damage"]
    assert damage["expected"] == 100 and damage["decoded"] - damage["damaged"] == 99
