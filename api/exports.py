"""Exports of a QRA data set: rows of trainers as a stream, Parquet and Hugging Face folders as files that are built once."""

import json
import tarfile
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from api.card import card, examples_of, models_of
from api.files import BLOCK, serve
from api.schemas import QraDataset
from model.rationale.formats import FORMATS, ExportFormat, ExportSplit, Row, Split, split_of, to_rows, video_path
from workers.runtime import Service
from workers.storage import dataset_file, export_file, manifest_file

_FILES = {"parquet": ("parquet", "application/vnd.apache.parquet"), "hf": ("tar", "application/x-tar")}
_GROUP = 2000  # rows of a row group, which are held in memory at once
_SPLITS: tuple[Split, ...] = ("train", "validation")
_NUMBERS = {"steps", "n_hops", "n_temporal"}
_LISTS = {"rationale", "options", "keyframes", "evidence"}
_JSON = {"path", "program", "template"}  # their objects differ in their keys, which a column's type can't tell
_COLUMNS = (
    *("id", "video_id", "run_id", "video", "question", "rationale", "answer"),
    *("steps", "n_hops", "n_temporal", "family", "form", "options"),
    *("path", "program", "keyframes", "evidence", "template", "blind"),
)
_building = threading.Lock()  # whoever asks for what is being built waits for it, and builds nothing a second time


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


def respond(service: Service, request: Request, dataset: QraDataset, wanted: Wanted) -> Response:
    """The export of a finished data set."""
    if wanted.format == "jsonl" and wanted.split == "all":
        stored = dataset_file(dataset.id)
        return _serve(service, request, stored, dataset.id, f"{dataset.id}.jsonl", "application/jsonl")
    if wanted.format in _FILES:
        _, media_type = _FILES[wanted.format]
        name = _file_name(wanted)
        stored = _built(service, dataset, wanted, export_file(dataset.id, name))
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


def _rows(service: Service, dataset: QraDataset, split: ExportSplit, share: float) -> Iterator[Row]:
    for row in service.storage.rows(dataset_file(dataset.id)):
        if split in ("all", split_of(row["video_id"], dataset.seed, share)):
            yield row


# --- streams ---


def _streamed(service: Service, request: Request, dataset: QraDataset, wanted: Wanted) -> Response:
    rows = _rows(service, dataset, wanted.split, wanted.validation)
    known = FORMATS.get(wanted.format)
    if known:
        rows = (made for row in rows for made in to_rows(row, wanted.format, rationales=wanted.rationales))
    items = (json.dumps(row, ensure_ascii=False).encode() for row in rows)
    array = known is not None and known.array
    blocks = _lumped(_array(items) if array else (item + b"\n" for item in items))
    file = f"{dataset.id}-{wanted.format}-{wanted.split}.{'json' if array else 'jsonl'}"
    headers = {"Content-Disposition": f'attachment; filename="{file}"', "Vary": "Accept-Encoding"}
    if _takes_gzip(request.headers.get("accept-encoding", "")):
        blocks, headers = _gzipped(blocks), headers | {"Content-Encoding": "gzip"}
    return StreamingResponse(blocks, headers=headers, media_type="application/json" if array else "application/jsonl")


def _array(items: Iterator[bytes]) -> Iterator[bytes]:
    """The items as one JSON array, an item a line."""
    yield b"["
    between = b"\n"
    for item in items:
        yield between + item
        between = b",\n"
    yield b"\n]\n"


def _lumped(pieces: Iterable[bytes]) -> Iterator[bytes]:
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


def _gzipped(blocks: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)  # 16: with the header of gzip
    for block in blocks:
        yield packer.compress(block)
    yield packer.flush()


# --- files ---


def _file_name(wanted: Wanted) -> str:
    """A name that tells one file of a data set from the others; a whole Parquet file knows of no shares."""
    ending, _ = _FILES[wanted.format]
    whole = wanted.format == "parquet" and wanted.split == "all"
    return f"{wanted.split}.{ending}" if whole else f"{wanted.split}-{wanted.validation:.2f}.{ending}"


def _built(service: Service, dataset: QraDataset, wanted: Wanted, stored: str) -> str:
    """The name of the stored file, which is built where it is not there yet."""
    with _building:
        if not service.storage.exists(stored):
            with _scratch(service) as folder:
                if wanted.format == "hf":
                    made = _hf_tar(folder, service, dataset, wanted)
                else:
                    made = folder / "rows.parquet"
                    _write_parquet(made, _rows(service, dataset, wanted.split, wanted.validation))
                with made.open("rb") as file:
                    service.storage.write(stored, iter(lambda: file.read(BLOCK), b""))
    return stored


@contextmanager
def _scratch(service: Service) -> Iterator[Path]:
    parent = service.settings.home / "scratch"  # not /tmp, which may be memory
    parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=parent) as folder:
        yield Path(folder)


def _write_parquet(target: Path, rows: Iterator[Row]) -> int:
    """Write samples as Parquet, a row group at a time; returns how many there were."""
    import pyarrow as pa  # only here: commands and the API are to start fast
    import pyarrow.parquet as pq

    kinds = {"blind": pa.bool_()} | dict.fromkeys(_NUMBERS, pa.int32()) | dict.fromkeys(_LISTS, pa.list_(pa.string()))
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in _COLUMNS])
    count = 0
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        while group := [_columns(row) for row in islice(rows, _GROUP)]:
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
            count += len(group)
    return count


def _columns(row: Row) -> Row:
    packed = {name: json.dumps(row[name], ensure_ascii=False) for name in _JSON if name in row}
    return row | packed | {"video": video_path(row["video_id"])}


def _hf_tar(folder: Path, service: Service, dataset: QraDataset, wanted: Wanted) -> Path:
    """A tar of a folder that `datasets.load_dataset` opens; all that is large lies in files."""
    (inside := folder / dataset.id).mkdir()
    counts: dict[Split, int] = {}
    for split in _SPLITS if wanted.split == "all" else (wanted.split,):
        file = inside / f"{split}.parquet"
        counts[split] = _write_parquet(file, _rows(service, dataset, split, wanted.validation))
        if not counts[split]:
            file.unlink()  # `datasets` refuses a split without rows
    models = models_of(service.storage.read_json(manifest_file(dataset.id)))
    examples = examples_of(service.storage.rows(dataset_file(dataset.id)), dataset.by_steps)
    text = card(dataset, counts, wanted.validation, models, examples)
    (inside / "README.md").write_text(text, encoding="utf-8")
    with tarfile.open(target := folder / "folder.tar", "w") as tar:
        tar.add(inside, dataset.id, filter=_of_nobody)
    return target


def _of_nobody(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """The member without owner and time, so that the same samples give the same bytes."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member
