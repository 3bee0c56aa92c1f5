"""An export with all it shows, in one tar: the rows, and the media at the very paths that the rows name."""

import json
from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from fastapi import Request, Response

from api import exports, tars
from api.columns import write_parquet
from api.files import Stream
from api.schemas import QraDataset
from api.tars import Member
from model.rationale.formats import FORMATS, Row, Visual, dataset_info, keyframe_path, media_of, video_path
from workers.runtime import Service
from workers.storage import keyframe_file, video_file


def respond(service: Service, request: Request, dataset: QraDataset, wanted: exports.Wanted) -> Response:
    """The archive as a stream; raises the 409 of media that are gone before the first byte is sent.

    Raises ClientDisconnect where the client has left before that.
    """
    exports.check(wanted)
    scratch = service.scratch()
    try:
        named: dict[str, None] = {}
        members = _rows(service, request, dataset, wanted, Path(scratch.name), named)
        members += _media(service, dataset.id, list(named))
    except BaseException:
        scratch.cleanup()
        raise
    headers = {
        "Content-Disposition": f'attachment; filename="{dataset.id}-{wanted.format}-{wanted.split}.tar"',
        "Content-Length": str(tars.length(members)),
    }
    return Stream(_sent(members, scratch), headers=headers, media_type="application/x-tar")


def _sent(members: list[Member], scratch: TemporaryDirectory[str]) -> Generator[bytes]:
    with scratch:  # gone with this generator, also where a client never takes the first block
        yield from tars.stream(members)


def _rows(
    service: Service,
    request: Request,
    dataset: QraDataset,
    wanted: exports.Wanted,
    folder: Path,
    named: dict[str, None],
) -> list[Member]:
    """The files of rows, as they will be in the archive; what they show goes to `named`."""
    if wanted.format == "hf":
        for row in exports.awaited(request, exports.stored_rows(service, dataset, wanted.split, wanted.validation)):
            named |= dict.fromkeys(_of_sample(row, wanted.shown))
        return exports.members_of(exports.hf_folder(folder, service, request, dataset, wanted))
    inside = folder / dataset.id
    inside.mkdir()
    if wanted.format == "parquet":
        samples = exports.stored_rows(service, dataset, wanted.split, wanted.validation)
        write_parquet(inside / "rows.parquet", _noted(exports.awaited(request, samples), wanted, named))
    else:
        rows = _noted(exports.awaited(request, exports.trainer_rows(service, dataset, wanted)), wanted, named)
        target = inside / f"rows.{'json' if exports.is_array(wanted) else 'jsonl'}"
        with target.open("wb") as file:
            file.writelines(exports.pieces(wanted, rows))
        if wanted.format == "sharegpt":
            entry = dataset_info(dataset.id, target.name, wanted.shown)
            (inside / "dataset_info.json").write_text(json.dumps(entry), encoding="utf-8")
    return exports.members_of(inside)


def _noted(rows: Iterator[Row], wanted: exports.Wanted, named: dict[str, None]) -> Iterator[Row]:
    for row in rows:
        named |= dict.fromkeys(media_of(row) if wanted.format in FORMATS else _of_sample(row, wanted.shown))
        yield row


def _of_sample(row: Row, visual: Visual) -> list[str]:
    if visual == "video":
        return [video_path(row["video_id"])]
    return [keyframe_path(row["run_id"], frame) for frame in row["keyframes"]]


def _media(service: Service, root: str, paths: list[str]) -> list[Member]:
    members, lost = [], []
    for path in sorted(paths):
        stored = _stored(path)
        try:
            size = service.storage.size(stored)
        except FileNotFoundError:
            lost.append(path)
            continue
        members.append(Member(f"{root}/{path}", size, partial(service.storage.open, stored)))  # type: ignore[arg-type]
    if lost:
        raise exports.gone(lost)
    return members


def _stored(path: str) -> str:
    """Where the storage keeps what a row names."""
    kind, owner, *frame = path.removesuffix(".mp4").removesuffix(".png").split("/")
    return keyframe_file(owner, f":{frame[0]}") if kind == "keyframes" else video_file(owner)
