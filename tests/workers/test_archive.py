"""Backups that are damaged, of another's making, or of a newer release: refused before anything is touched."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from workers import archive
from workers.archive import EDGES, FORMAT, HEAD, MANIFEST, NODES, SEAL, BackupError, Head
from workers.restore import restore
from workers.settings import Settings

Members = list[tuple[str, bytes]]
HEAD_NOW = Head(FORMAT, 0, "0.1.0", "2026-01-01T00:00:00+00:00", 0, 0, 0)
VIDEO = "files/videos/vid_1/source"


def good(head: Head = HEAD_NOW) -> Members:
    return [(HEAD, json.dumps(asdict(head)).encode()), (NODES, b"n"), (EDGES, b"e"), (VIDEO, b"v" * 100_000)]


def sealed(members: Members) -> Members:
    """Members with a manifest that fits them."""
    lines = [{"name": n, "size": len(c), "sha256": hashlib.sha256(c).hexdigest()} for n, c in members]
    manifest = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    return [*members, (MANIFEST, manifest), (SEAL, hashlib.sha256(manifest).hexdigest().encode())]


def tar(file: Path, members: Members, change: Callable[[tarfile.TarInfo], None] = lambda _: None) -> Path:
    with tarfile.open(file, "w") as out:
        for name, content in members:
            told = tarfile.TarInfo(name)
            told.size = len(content)
            change(told)
            out.addfile(told, io.BytesIO(content))
    return file


def code_of(file: Path) -> str:
    with pytest.raises(BackupError) as refused:
        restore(Settings(home=file.parent / "home"), file, lambda *_: None)
    assert not (file.parent / "home" / "neo4j").exists() and not (file.parent / "home" / "files").exists()
    assert refused.value.detail and refused.value.remedy
    return refused.value.code


def test_what_the_writer_makes_is_found_good(tmp_path: Path) -> None:
    file, counted = tmp_path / "good.tar", [0]
    with file.open("wb") as out:
        writer = archive.Writer(out, tmp_path, lambda _: None)
        writer.add_head(HEAD_NOW)
        for name, content in good()[1:]:
            writer.add(name, io.BytesIO(content), len(content))
        writer.end()

    def told(count: int) -> None:
        counted[0] += count

    assert archive.verify(file, tmp_path, told) == HEAD_NOW and counted == [file.stat().st_size]
    assert [(name, content.read()) for name, content in archive.read(file, lambda _: None)] == good()
    assert archive.verify(tar(tmp_path / "same.tar", sealed(good())), tmp_path, lambda _: None) == HEAD_NOW


def test_every_byte_that_is_changed_or_lost_is_noticed(tmp_path: Path) -> None:
    whole = tar(tmp_path / "good.tar", sealed(good())).read_bytes()
    end = whole.rindex(sealed(good())[-1][1]) + 64
    head = range(512, 512 + len(good()[0][1]), 7)
    for at in [*head, whole.index(b"vvvv") + 5_000, whole.index(b'{"name": "files') + 20, end - 3]:
        changed = tmp_path / "changed.tar"
        changed.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert code_of(changed) in ("backup_damaged", "not_a_backup", "backup_unsafe"), at
    for length in (0, 1, 511, 512, 1024, 5_000, end // 2, end - 600, end - 1100):
        cut = tmp_path / "cut.tar"
        cut.write_bytes(whole[:length])
        assert code_of(cut) in ("backup_damaged", "not_a_backup"), length


@pytest.mark.parametrize(
    ("members", "code"),
    [
        (sealed(good()[:-1])[:-1], "backup_damaged"),
        ([*good()[:-1], *sealed(good())[-2:]], "backup_damaged"),
        ([*good(), ("files/videos/vid_2/source", b"x"), *sealed(good())[-2:]], "backup_damaged"),
        (sealed([good()[0], good()[2], good()[1]]), "backup_damaged"),
        (sealed(good()[:1]), "backup_damaged"),
        (sealed(good()[1:]), "not_a_backup"),
        (sealed([(HEAD, b"{}"), *good()[1:]]), "not_a_backup"),
        (sealed([(HEAD, b"x" * 100_000), *good()[1:]]), "not_a_backup"),
        ([("README", b"hello")], "not_a_backup"),
        *(
            (sealed([*good(), (name, b"x")]), "backup_unsafe")
            for name in ("files/videos/../../../x", "/etc/passwd", "files//etc/passwd", "files/videos/v/..", "files/storage.json")
        ),
        (sealed([*good(), ("files/other/v/x", b"")]), "backup_unsafe"),
        (sealed([*good(), ("files/videos/v\\..\\x", b"")]), "backup_unsafe"),
        (sealed(good(Head(**(asdict(HEAD_NOW) | {"format": FORMAT + 1})))), "backup_too_new"),
        (sealed(good(Head(**(asdict(HEAD_NOW) | {"schema": 999})))), "schema_too_new"),
    ],
)  # fmt: skip
def test_what_is_no_whole_backup_is_refused_by_its_code(members: Members, code: str, tmp_path: Path) -> None:
    assert code_of(tar(tmp_path / "x.tar", members)) == code


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_only_plain_files_are_taken(kind: bytes, tmp_path: Path) -> None:
    def change(told: tarfile.TarInfo) -> None:
        if told.name == VIDEO:
            told.type, told.linkname = kind, "/etc/passwd"

    members: Any = [(n, b"" if n == VIDEO else c) for n, c in good()]
    assert code_of(tar(tmp_path / "x.tar", sealed(members), change)) == "backup_unsafe"


def test_a_file_that_is_not_there_or_no_tar_is_named(tmp_path: Path) -> None:
    assert code_of(tmp_path / "none.tar") == "no_such_file"
    (tmp_path / "video.mp4").write_bytes(b"\x00\x00\x00\x20ftypisom" + bytes(10_000))
    assert code_of(tmp_path / "video.mp4") == "not_a_backup"
