"""Action Genome: what a person does with things in Charades videos, on frames that people annotated.

Known limits of the data, kept as they are: one person a video and one thing a class. Which way round a spatial relation is
meant is not written down; the common reading has the thing "in front of" the person, the other is a switch.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from model.stsg import SceneGraph
from trainer.benchmarks.files import BenchmarkError
from trainer.benchmarks.gold.build import Fact, Span, Thing, build, merged
from trainer.benchmarks.gold.pickles import load

WHERE = (
    "Get the annotations folder of Action Genome from github.com/JingweiJ/ActionGenome (object_bbox_and_relationship.pkl,"
    " person_bbox.pkl, frame_list.txt)."
)
_KINDS = ("attention_relationship", "spatial_relationship", "contacting_relationship")
_NOTHING = frozenset({"unsure", "not_looking_at", "not_contacting", "other_relationship"})  # say that none is known
PERSON = "person"
Annotations = Mapping[str, Mapping[int, Sequence[Mapping[str, Any]]]]  # of each video, the things on each frame


def read(folder: Path) -> Annotations:
    """The annotated frames of every video.

    Raises:
        BenchmarkError: no such file, damaged, or no annotations of Action Genome.
    """
    path = folder / "object_bbox_and_relationship.pkl"
    found = load(path, WHERE)
    if not isinstance(found, dict) or not found:
        raise BenchmarkError(f"{path} holds no annotations by frame.", f"Get it again: {WHERE}")
    videos = defaultdict[str, dict[int, Sequence[Mapping[str, Any]]]](dict)
    for name, things in found.items():
        video, _, frame = str(name).partition("/")
        number = frame.removesuffix(".png")
        if not number.isdecimal() or not isinstance(things, list) or not all(map(_is_thing, things)):
            raise BenchmarkError(f"{path} has the frame {str(name)[:80]!r}, which is of another form.", WHERE)
        videos[Path(video).stem][int(number)] = things
    return videos


def _is_thing(value: Any) -> bool:
    return isinstance(value, dict) and {"class", *_KINDS} <= set(value)


def graph(
    frames: Mapping[int, Sequence[Mapping[str, Any]]],
    fps: float,
    clips: Sequence[Span] = (),
    *,
    spatial_from: Literal["object", "person"] = "object",
) -> SceneGraph:
    """One video's STSG; frames are numbered from 1, and one stands for the time until the next annotated one."""
    moments = {number: (number - 1) / fps for number in sorted(frames)}
    annotated = list(moments.values())
    last = annotated[-1] + (annotated[-1] - annotated[-2] if len(annotated) > 1 else 1 / fps)
    seen, facts = defaultdict[str, list[float]](list), defaultdict[tuple[str, str, str], list[float]](list)
    for number, t in moments.items():
        for thing in frames[number]:
            if not thing.get("visible", True):
                continue
            name = str(thing["class"])
            seen[PERSON].append(t)
            seen[name].append(t)
            for triplet in _triplets(name, thing, spatial_from):
                facts[triplet].append(t)
    things = [Thing(name, name, merged(times, annotated, last)) for name, times in seen.items()]
    found = [Fact(s, p, o, merged(times, annotated, last)) for (s, p, o), times in facts.items()]
    return build(things, found, (), clips)


def _triplets(name: str, thing: Mapping[str, Any], spatial_from: str) -> list[tuple[str, str, str]]:
    told = list[tuple[str, str, str]]()
    for kind in _KINDS:
        turned = kind == "spatial_relationship" and spatial_from == "object"
        subject, object = (name, PERSON) if turned else (PERSON, name)
        told += [(subject, p.replace("_", " "), object) for p in thing[kind] or () if p not in _NOTHING]
    return told
