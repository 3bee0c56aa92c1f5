"""QRA samples as Parquet, for pyarrow and for `datasets`, with their pictures in it where that is wanted."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from model.rationale.formats import Row, keyframe_path, video_path

Picture = Callable[[str, str], bytes]  # PNG, by run and frame
_GROUP, _GROUP_BYTES = 2000, 64 * 2**20  # of a row group, which is held in memory at once
_NUMBERS = {"steps", "n_hops", "n_temporal"}
_LISTS = {"rationale", "options", "keyframes", "evidence"}
_TIMES = {"clips"}
_JSON = {"path", "program", "template"}  # their objects differ in their keys, which a column's type can't tell
_COLUMNS = (
    *("id", "video_id", "run_id", "video", "question", "rationale", "answer"),
    *("steps", "n_hops", "n_temporal", "family", "form", "options"),
    *("path", "program", "keyframes", "clips", "evidence", "template", "blind"),
)


def write_parquet(target: Path, rows: Iterator[Row], picture: Picture | None = None) -> int:
    """Write samples as Parquet, a row group at a time; returns how many there were.

    With `picture` there is a column `images` too, the sample's keyframes in time order, as `datasets` keeps images.
    """
    import pyarrow as pa  # only here: commands and the API are to start fast
    import pyarrow.parquet as pq

    count, schema = 0, _schema(pictures=picture is not None)
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for group in _groups(_columns(row, picture) for row in rows):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
            count += len(group)
    return count


def _schema(*, pictures: bool) -> Any:
    """The columns, and for `datasets` which of them are pictures."""
    import pyarrow as pa

    kinds = {"blind": pa.bool_()} | dict.fromkeys(_NUMBERS, pa.int32())
    kinds |= dict.fromkeys(_LISTS, pa.list_(pa.string())) | dict.fromkeys(_TIMES, pa.list_(pa.float64()))
    fields = [(name, kinds.get(name, pa.string())) for name in _COLUMNS]
    if not pictures:
        return pa.schema(fields)
    features: dict[str, Any] = {name: _feature(str(kind)) for name, kind in fields}
    features["images"] = {"feature": {"_type": "Image"}, "_type": "List"}
    fields.append(("images", pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))))
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})


def _feature(kind: str) -> dict[str, Any]:
    if kind.startswith("list"):
        return {"feature": _feature("float64" if "double" in kind else "string"), "_type": "List"}
    return {"dtype": kind, "_type": "Value"}


def _columns(row: Row, picture: Picture | None) -> Row:
    packed = {name: json.dumps(row[name], ensure_ascii=False) for name in _JSON if name in row}
    made = row | packed | {"video": video_path(row["video_id"])}
    if picture is not None:
        run, frames = row["run_id"], row["keyframes"]
        made["images"] = [{"bytes": picture(run, frame), "path": keyframe_path(run, frame)} for frame in frames]
    return made


def _groups(rows: Iterator[Row]) -> Iterator[list[Row]]:
    group: list[Row] = []
    size = 0
    for row in rows:
        group.append(row)
        size += sum(len(image["bytes"]) for image in row.get("images", ()))
        if len(group) == _GROUP or size >= _GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
