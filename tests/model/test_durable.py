"""Files that are on the disk before anything says that they are there."""

import os
import resource
import stat
from pathlib import Path

import pytest

from model import durable


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is flushed and renamed, in order; the real calls are made, too."""
    done: list[str] = []
    fsync, rename, replace = os.fsync, os.rename, os.replace

    def flushed(handle: int) -> None:
        done.append(f"flush {Path(f'/proc/self/fd/{handle}').readlink().name}")
        fsync(handle)

    def renamed(source: str, target: str) -> None:
        done.append(f"name {Path(target).name}")
        rename(source, target)

    def replaced(source: str, target: str) -> None:
        done.append(f"name {Path(target).name}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "rename", renamed)
    monkeypatch.setattr(os, "replace", replaced)
    return done


def test_a_file_is_flushed_before_it_gets_its_name_and_the_name_after(tmp_path: Path, steps: list[str]) -> None:
    durable.write_text(tmp_path / "note.json", "{}", 0o600)
    assert steps == ["flush .note.json.part", "name note.json", f"flush {tmp_path.name}"]
    assert (tmp_path / "note.json").read_text() == "{}"
    assert stat.S_IMODE((tmp_path / "note.json").stat().st_mode) == 0o600


def test_a_folder_is_flushed_with_all_that_it_holds(tmp_path: Path, steps: list[str]) -> None:
    durable.make_folder(tmp_path / "a" / "b")
    assert sorted(steps) == sorted([f"flush {tmp_path.name}", "flush a"])
    (tmp_path / "a" / "b" / "weights").write_text("w")
    steps.clear()
    durable.settle(tmp_path / "a" / "b", tmp_path / "a" / "c")
    assert set(steps[:2]) == {"flush weights", "flush b"} and steps[2:] == ["name c", "flush a"]


def test_a_write_without_room_leaves_the_old_file_whole(tmp_path: Path) -> None:
    """The limit on a file's size is the system's own refusal, as a full disk is one."""
    file = tmp_path / "note.json"
    durable.write_text(file, "old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="too large") as error:
            durable.write_text(file, "x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert error.value.errno in durable.FULL and file.read_text() == "old" and [*tmp_path.iterdir()] == [file]
