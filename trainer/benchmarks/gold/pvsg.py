"""PVSG: things and relations over time in videos of VidOR, EPIC-Kitchens and Ego4D.

Known limit of the data, kept as it is: a relation goes on while one of its things is out of the picture.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model.stsg import SceneGraph
from trainer.benchmarks.files import BenchmarkError, field, unique
from trainer.benchmarks.gold.build import Fact, Span, Thing, build

WHERE = "Get pvsg.json from the PVSG data set that github.com/Jingkang50/OpenPVSG links to."
_FPS = 5.0
_PARTS = ("objects", "relations", "split", "data")


def read(folder: Path) -> dict[str, Mapping[str, Any]]:
    """The annotations of every video by its id.

    Raises:
        BenchmarkError: no such file, damaged, or of another version.
    """
    path = folder / "pvsg.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise BenchmarkError(f"There is no {path}.", WHERE) from e
    except ValueError as e:
        raise BenchmarkError(f"{path} is no JSON, or is cut off: {e}.", f"Get it again: {WHERE}") from e
    if not isinstance(found, dict) or not set(_PARTS) <= set(found):
        raise BenchmarkError(f"{path} lacks one of {', '.join(_PARTS)}.", f"It is another file or version. {WHERE}")
    try:
        _check(found, path)
    except (AttributeError, LookupError, TypeError) as e:
        raise BenchmarkError(f"{path} has a record of another form ({e}).", f"Get it again: {WHERE}") from e
    return {str(video["video_id"]): video for video in found["data"]}


def _check(found: Mapping[str, Any], path: Path) -> None:
    """Raises BenchmarkError for a video that is there twice, or a relation of things or words that aren't."""
    unique((str(field(video, "video_id", path, WHERE)) for video in found["data"]), path, WHERE)
    known = set(found["relations"])
    for video in found["data"]:
        ids = {thing["object_id"] for thing in field(video, "objects", path, WHERE)}
        for relation in field(video, "relations", path, WHERE):
            if len(relation) != 4 or relation[0] not in ids or relation[1] not in ids or relation[2] not in known:
                told = str(relation)[:100]
                raise BenchmarkError(
                    f"{path} has the relation {told} in {video['video_id']}.", f"Get it again: {WHERE}"
                )


def graph(video: Mapping[str, Any], clips: Sequence[Span] = ()) -> SceneGraph:
    """One video's STSG; a relation's last frame is part of it, and a thing without relations is there throughout."""
    meta = video.get("meta") or {}
    fps = float(meta.get("fps") or _FPS)
    facts = [
        Fact(str(s), predicate, str(o), tuple((a / fps, (b + 1) / fps) for a, b in spans))
        for s, o, predicate, spans in video["relations"]
    ]
    ends = [b for fact in facts for _, b in fact.spans]
    whole = (0.0, meta["num_frames"] / fps if meta.get("num_frames") else max(ends, default=1 / fps))
    things = [Thing(str(thing["object_id"]), str(thing["category"]), (whole,)) for thing in video["objects"]]
    return build(things, facts, (), clips)
