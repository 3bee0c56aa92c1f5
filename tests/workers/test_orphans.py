"""Stored files without a record, in a real database and a real folder."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from neo4j import Driver

from graphdb import jobs, records, videos
from workers import orphans
from workers.runtime import Service
from workers.settings import Settings
from workers.storage import Storage, keyframe_file, model_folder, upload_file, video_file

STALE = time.time() - 2 * orphans.OLD


@pytest.fixture
def service(driver: Driver, tmp_path: Path) -> Iterator[Service]:
    """The service of a database that has no storage yet."""
    driver.execute_query("MATCH (s:Storage) DELETE s")
    settings = Settings(home=tmp_path)
    yield Service(settings, driver, Storage(settings.storage_url), lambda *_: None, lambda _: 0)
    driver.execute_query("MATCH (s:Storage) DELETE s")
    kept = ["vid_kept", "file-kept", "ft:tiny:kept"]  # half records, which others would list
    driver.execute_query("MATCH (n) WHERE n.id IN $kept DETACH DELETE n", kept=kept)


def put(service: Service, name: str, *, at: float = STALE) -> str:
    """Store a file that was last written at a time."""
    service.storage.write(name, b"content")
    os.utime(service.storage.path(name), (at, at))
    return name


def test_only_old_files_without_a_record_are_swept(service: Service, driver: Driver, run_id: str) -> None:
    jobs.create(driver, "Run", run_id, video_id="vid_kept", model="m", seed=0, params={}, stage="split")
    videos.save_video(driver, "vid_kept", {"id": "vid_kept", "created_at": 0.0})
    records.save(driver, "File", "file-kept", {"created_at": 0.0})
    records.save(driver, "Model", "ft:tiny:kept", {"created_at": 0.0})
    kept = [video_file("vid_kept"), keyframe_file(run_id, "k"), upload_file("file-kept")]
    kept.append(f"{model_folder('ft:tiny:kept')}/config.json")
    for name in kept:
        put(service, name)
    kept.append(put(service, video_file("vid_fresh"), at=time.time()))  # its record may just be on its way
    kept.append(put(service, keyframe_file("run_fresh", "old")))
    kept.append(put(service, keyframe_file("run_fresh", "new"), at=time.time()))
    kept.append(put(service, "benchmarks/v1/video/frame.png"))  # a cache, which needs no record
    half = put(service, f"{video_file('vid_kept')}.0a1b2c3d.part")
    put(service, f"{video_file('vid_kept')}.4e5f6071.part", at=time.time())
    lost = {"videos/vid_lost": "source", "runs/run_lost": "trace/split.jsonl", "qra/qra_lost": "rows.jsonl"}
    lost |= {"files/file-lost": "content", "models/ft_tiny_lost": "config.json", "tuning/ftjob-lost": "metrics.jsonl"}
    for folder, file in lost.items():
        put(service, f"{folder}/{file}")
    assert set(orphans.sweep(service)) == {half, *lost}
    assert all(map(service.storage.exists, kept))
    assert not any(map(service.storage.exists, (half, *lost))) and orphans.sweep(service) == []


def test_another_database_costs_no_file(service: Service, driver: Driver) -> None:
    """A database that was emptied, or is another than the storage's, knows of no file, and all of them stay."""
    file = put(service, video_file("vid_anothers"))
    assert orphans.sweep(service) == [], "nobody has said whose they are"
    service.storage.delete("videos")
    assert orphans.sweep(service) == [] and service.storage.exists("storage.json")
    put(service, file)
    driver.execute_query("MATCH (s:Storage) DELETE s")
    assert orphans.sweep(service) == []
    driver.execute_query("CREATE (:Storage {id: 'files', mark: 'of another'})")
    assert orphans.sweep(service) == [] and service.storage.exists(file)
