"""Files behind any fsspec URL: a folder of this machine, and one that is no folder at all."""

import secrets
from pathlib import Path

import numpy as np
import pytest

from workers import storage
from workers.storage import Storage


@pytest.fixture(params=["folder", "memory"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return Storage(str(tmp_path / "files") if request.param == "folder" else f"memory://{secrets.token_hex(4)}")


def test_a_file_that_is_taken_is_whole_there_and_gone_here(files: Storage, tmp_path: Path) -> None:
    for content in (b"first", b"again"):
        upload = tmp_path / "upload"
        upload.write_bytes(content)
        files.take("videos/v/source", upload)
        assert files.read("videos/v/source") == content and not upload.exists()
    with files.local("videos/v/source") as copy:
        assert copy.read_bytes() == b"again"
    assert files.names("videos") == ["videos/v/source"] and files.size("videos/v/source") == 5


def test_a_file_from_another_disk_appears_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_linked", lambda file, target: False)
    (tmp_path / "upload").write_bytes(b"x" * 3_000_000)
    files = Storage(str(tmp_path / "files"))
    files.take("videos/v/source", tmp_path / "upload")
    assert files.size("videos/v/source") == 3_000_000 and not (tmp_path / "upload").exists()


def test_a_file_is_put_elsewhere_and_stays_as_it_was(files: Storage, tmp_path: Path) -> None:
    files.write("runs/r/1.png", b"picture")
    for _ in range(2):
        files.fetch("runs/r/1.png", tmp_path / "here" / "1.png")
    assert (tmp_path / "here" / "1.png").read_bytes() == files.read("runs/r/1.png") == b"picture"
    files.delete("runs/r/1.png")
    assert (tmp_path / "here" / "1.png").read_bytes() == b"picture"
    with pytest.raises(FileNotFoundError):
        files.fetch("runs/r/1.png", tmp_path / "here" / "2.png")


def test_a_write_that_breaks_leaves_nothing(files: Storage) -> None:
    def rows():
        yield {"n": 1}
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        files.write_rows("qra/d/rows.jsonl", rows())
    assert not files.exists("qra/d/rows.jsonl") and files.names("qra") == []


def test_a_folder_comes_back_as_it_was(files: Storage, tmp_path: Path) -> None:
    model = tmp_path / "model"
    (model / "inner").mkdir(parents=True)
    (model / "weights").write_bytes(b"w")
    (model / "inner" / "config.json").write_text("{}")
    files.put_folder("models/m", model)
    files.put_folder("models/m", model)
    files.get_folder("models/m", tmp_path / "copy")
    copied = {f.relative_to(tmp_path / "copy"): f.read_bytes() for f in (tmp_path / "copy").rglob("*") if f.is_file()}
    assert copied == {f.relative_to(model): f.read_bytes() for f in model.rglob("*") if f.is_file()}
    files.delete("models/m")
    with pytest.raises(FileNotFoundError):
        files.get_folder("models/m", tmp_path / "other")


def test_a_picture_comes_back_as_the_same_pixels(files: Storage) -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    files.write_image("runs/r/keyframes/1.png", image)
    assert np.array_equal(files.read_image("runs/r/keyframes/1.png"), image)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a//b", "a/../b", ""])
def test_a_name_stays_below_the_root(files: Storage, name: str) -> None:
    with pytest.raises(ValueError, match="no name of a file"):
        files.exists(name)
