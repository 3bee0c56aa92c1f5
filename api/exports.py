"""Exports of a QRA data set: rows of trainers as a stream, Parquet and Hugging Face folders as files that are built once."""

import json
import threading
import zlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, BinaryIO

from anyio import from_thread
from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect

from api import tars
from api.card import Examples, card, models_of
from api.columns import Picture, write_parquet
from api.errors import Problem, conflict, invalid
from api.files import BLOCK, Stream, serve
from api.schemas import QraDataset
from api.tars import Member
from model.rationale.formats import FORMATS, ExportFormat, ExportSplit, MediaKind, Row, Split, Visual, split_of, to_rows
from workers.runtime import Service
from workers.storage import dataset_file, export_file, keyframe_file, manifest_file

_FILES = {"parquet": ("parquet", "application/vnd.apache.parquet"), "hf": ("tar", "application/x-tar")}
_SPLITS: tuple[Split, ...] = ("train", "validation")
_LOOK = 1000  # rows between two looks at whether the client is still there
_building: dict[str, threading.Lock] = {}  # whoever asks for what is being built waits for it, and builds nothing twice


class Wanted(BaseModel):
    """What an export is to hold, and for whom."""

    model_config = ConfigDict(extra="forbid")

    format: Annotated[
        ExportFormat,
        Field(description="jsonl: whole samples; parquet: the same; hf: a folder for datasets.load_dataset, as tar."),
    ] = "jsonl"
    split: Annotated[ExportSplit, Field(description="No video is in both train and validation.")] = "all"
    validation: Annotated[
        float, Field(ge=0, le=1, multiple_of=0.01, description="The share of videos for validation.")
    ] = 0.1
    rationales: Annotated[
        bool, Field(description="In trainers' formats: whether each sample's rationale is a row of its own.")
    ] = True
    tell_times: Annotated[
        bool,
        Field(description="In trainers' formats: whether questions begin with where clips or frames are in the video."),
    ] = True
    visual: Annotated[Visual | None, Field(description="What rows show, where their format leaves a choice.")] = None
    media: Annotated[
        MediaKind,
        Field(description="Media as relative paths, inside the rows (parquet, hf), or with the rows in one tar."),
    ] = "paths"

    @property
    def shown(self) -> Visual:
        """What the rows of this export show."""
        usual: tuple[Visual, ...] = FORMATS[self.format].visuals if self.format in FORMATS else ("video", "frames")
        return self.visual or ("frames" if self.media == "embedded" else usual[0])


def check(wanted: Wanted) -> None:
    """Raises the 422 of wishes that can't be had together."""
    known = FORMATS.get(wanted.format)
    if known is not None and wanted.shown not in known.visuals:
        able = [name for name, f in FORMATS.items() if wanted.shown in f.visuals]
        remedy = f"Leave it out, or ask for {', '.join(able)}."
        raise invalid("visual", f"rows of {wanted.format} can't show {wanted.shown}", remedy)
    if wanted.media == "embedded" and (wanted.format not in _FILES or wanted.shown != "frames"):
        detail = "only the frames of parquet and hf can lie inside the rows"
        raise invalid("media", detail, "Ask for format=parquet or hf without visual=video, or for media=tar.")


def respond(service: Service, request: Request, dataset: QraDataset, wanted: Wanted) -> Response:
    """The export of a finished data set; raises ClientDisconnect where the client has left before it was built."""
    check(wanted)
    if wanted.format == "jsonl" and wanted.split == "all":
        stored = dataset_file(dataset.id)
        return _serve(service, request, stored, dataset.id, f"{dataset.id}.jsonl", "application/jsonl")
    if wanted.format in _FILES:
        _, media_type = _FILES[wanted.format]
        name = _file_name(wanted)
        stored = _built(service, request, dataset, wanted, export_file(dataset.id, name))
        return _serve(service, request, stored, f"{dataset.id}-{name}", f"{dataset.id}-{name}", media_type)
    return _streamed(service, request, dataset, wanted)


def _serve(service: Service, request: Request, stored: str, etag: str, name: str, media_type: str) -> Response:
    return serve(
        request,
        lambda: service.storage.open(stored),  # type: ignore[arg-type,return-value]
        size=service.storage.size(stored),
        etag=etag,
        media_type=media_type,
        name=name,
    )


def stored_rows(service: Service, dataset: QraDataset, split: ExportSplit, share: float) -> Iterator[Row]:
    """The samples of one split, or of all."""
    for row in service.storage.rows(dataset_file(dataset.id)):
        if split in ("all", split_of(row["video_id"], dataset.seed, share)):
            yield row


def awaited(request: Request, rows: Iterable[Row]) -> Iterator[Row]:
    """Rows that are read for a reply to come, in a thread of the server's, as long as its client is there.

    Raises:
        ClientDisconnect: it has left.
    """
    for number, row in enumerate(rows):
        if number % _LOOK == 0:
            _check_there(request)
        yield row


def _check_there(request: Request) -> None:
    async def left() -> bool:
        await request.body()  # so that nothing but leaving is left to hear of
        return await request.is_disconnected()

    if from_thread.run(left):
        raise ClientDisconnect


# --- streams ---


def _streamed(service: Service, request: Request, dataset: QraDataset, wanted: Wanted) -> Response:
    array, blocks = is_array(wanted), _lumped(pieces(wanted, trainer_rows(service, dataset, wanted)))
    file = f"{dataset.id}-{wanted.format}-{wanted.split}.{'json' if array else 'jsonl'}"
    headers = {"Content-Disposition": f'attachment; filename="{file}"', "Vary": "Accept-Encoding"}
    if _takes_gzip(request.headers.get("accept-encoding", "")):
        blocks, headers = _gzipped(blocks), headers | {"Content-Encoding": "gzip"}
    return Stream(blocks, headers=headers, media_type="application/json" if array else "application/jsonl")


def is_array(wanted: Wanted) -> bool:
    """Whether a format's file is one JSON array, else it has a row a line."""
    return wanted.format in FORMATS and FORMATS[wanted.format].array


def trainer_rows(service: Service, dataset: QraDataset, wanted: Wanted) -> Iterator[Row]:
    """The rows of a format that is text."""
    rows = stored_rows(service, dataset, wanted.split, wanted.validation)
    if wanted.format not in FORMATS:
        return rows
    told = {"rationales": wanted.rationales, "visual": wanted.shown, "tell_times": wanted.tell_times}
    return (made for row in rows for made in to_rows(row, wanted.format, **told))  # type: ignore[arg-type]


def pieces(wanted: Wanted, rows: Iterable[Row]) -> Iterator[bytes]:
    """The bytes of rows, as one JSON array or a row a line."""
    items = (json.dumps(row, ensure_ascii=False).encode() for row in rows)
    return _array(items) if is_array(wanted) else (item + b"\n" for item in items)


def _array(items: Iterator[bytes]) -> Iterator[bytes]:
    """The items as one JSON array, an item a line."""
    yield b"["
    between = b"\n"
    for item in items:
        yield between + item
        between = b",\n"
    yield b"\n]\n"


def _lumped(pieces: Iterable[bytes]) -> Generator[bytes]:
    """The same bytes in blocks: each that is sent costs a change of threads."""
    block = bytearray()
    for piece in pieces:
        block += piece
        if len(block) >= BLOCK:
            yield bytes(block)
            block.clear()
    yield bytes(block)


def _takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding names gzip with a weight above zero."""
    named = (item.partition(";q=") for item in accepted.lower().replace(" ", "").split(","))
    return any(coding == "gzip" and (weight or "1").strip("0.") for coding, _, weight in named)


def _gzipped(blocks: Iterator[bytes]) -> Generator[bytes]:
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)  # 16: with the header of gzip
    for block in blocks:
        yield packer.compress(block)
    yield packer.flush()


# --- files ---


def _file_name(wanted: Wanted) -> str:
    """A name that tells one file of a data set from the others; a whole Parquet file knows of no shares."""
    ending, _ = _FILES[wanted.format]
    whole = wanted.format == "parquet" and wanted.split == "all"
    pictures = "-pictures" if wanted.media == "embedded" else ""
    share = "" if whole else f"-{wanted.validation:.2f}"
    return f"{wanted.split}{share}{pictures}.{ending}"


def _built(service: Service, request: Request, dataset: QraDataset, wanted: Wanted, stored: str) -> str:
    """The name of the stored file, which is built where it is not there yet."""
    with _alone(request, stored):
        if not service.storage.exists(stored):
            with service.scratch() as name:
                folder = Path(name)
                if wanted.format == "hf":
                    made = _write_tar(folder / "folder.tar", hf_folder(folder, service, request, dataset, wanted))
                else:
                    made = folder / "rows.parquet"
                    rows = stored_rows(service, dataset, wanted.split, wanted.validation)
                    write_parquet(made, awaited(request, rows), _pictures(service, wanted))
                with made.open("rb") as file:
                    service.storage.write(stored, iter(lambda: file.read(BLOCK), b""))
    return stored


@contextmanager
def _alone(request: Request, stored: str) -> Iterator[None]:
    lock = _building.setdefault(stored, threading.Lock())
    while not lock.acquire(timeout=1):
        _check_there(request)
    try:
        yield
    finally:
        lock.release()


def _pictures(service: Service, wanted: Wanted) -> Picture | None:
    """What reads a sample's pictures, where they are wanted inside the rows."""
    if wanted.media != "embedded":
        return None

    @lru_cache(maxsize=256)
    def read(run_id: str, frame: str) -> bytes:
        try:
            return service.storage.read(keyframe_file(run_id, frame))
        except FileNotFoundError:
            raise gone([f"{run_id}: {frame}"]) from None

    return read


def gone(names: Sequence[str]) -> Problem:
    """The 409 of media that are no longer there."""
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
    remedy = "Ask for media=paths, or make the data set anew from runs that still have theirs."
    return conflict("media_gone", f"The storage no longer has {shown}.", remedy)


def hf_folder(parent: Path, service: Service, request: Request, dataset: QraDataset, wanted: Wanted) -> Path:
    """A folder that `datasets.load_dataset` opens."""
    (inside := parent / dataset.id).mkdir()
    counts: dict[Split, int] = {}
    examples = Examples()
    for split in _SPLITS if wanted.split == "all" else (wanted.split,):
        file = inside / f"{split}.parquet"
        rows = awaited(request, stored_rows(service, dataset, split, wanted.validation))
        counts[split] = write_parquet(file, examples.of(rows), _pictures(service, wanted))
        if not counts[split]:
            file.unlink()  # `datasets` refuses a split without rows
    models = models_of(service.storage.read_json(manifest_file(dataset.id)))
    text = card(dataset, counts, wanted.validation, models, examples.chosen())
    (inside / "README.md").write_text(text, encoding="utf-8")
    return inside


def members_of(folder: Path) -> list[Member]:
    """The files of a folder under its own name."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    root = folder.parent
    return [Member(str(f.relative_to(root)), f.stat().st_size, partial(_opened, f)) for f in files]


def _opened(file: Path) -> BinaryIO:
    return file.open("rb")


def _write_tar(target: Path, folder: Path) -> Path:
    with target.open("wb") as file:
        file.writelines(tars.stream(members_of(folder)))
    return target
