"""`python -m trainer.study.graphs ORDER` makes graphs of training worlds: induced by a model, true, or true with noise.

ORDER is a JSON file: where pictures and graphs go, which worlds, which checkpoint and switches, how much noise, whether clips
and pictures come from the encoded video, and of which worlds (`rehearsed`) every exchange of an induction with the perfect
Video-LLM, in a set of `prompts`, is kept beside the graph. A world whose graph is there is not done again.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import cv2
import numpy as np
from pydantic import TypeAdapter

from model import durable
from model.backends.trace import Traced
from model.induction.pipeline import InductionOptions, induce
from model.induction.splitting import split
from model.rationale.mix import apportion
from model.stsg import Attribute, Clip, Keyframe, ObjectNode, SceneGraph
from model.video_llm import VideoLLM
from trainer.tiny.lessons import clip_lessons, image_lessons, text_lessons
from trainer.tuning.stop import end_with_the_parent
from trainer.world.oracle import Oracle
from trainer.world.render import frame, render_video
from trainer.world.scene import ACTIONS, COLORS, RELATIONS, SHAPES, SIZES, Scene
from trainer.world.truth import truth

_GRAPH = TypeAdapter(SceneGraph)
_SHOWN = (0.1, 0.9)  # of a clip's time
_CHECKS = ("verification_1_text", "verification_2_visual", "merging_1_same_object")


def world_id(seed: int) -> str:
    """The id of a training world's video."""
    return f"world-train-{seed}"


def main(file: Path) -> int:
    """Make what the order asks for."""
    order = json.loads(file.read_text())
    pictures, graphs = Path(order["pictures"]), Path(order["graphs"])
    graphs.mkdir(parents=True, exist_ok=True)
    worlds = [seed for seed in order["worlds"] if not (graphs / f"{seed}.json").exists()]
    if not worlds:
        return 0
    llm = _opened(order["model"])
    options = InductionOptions.from_dict(dict.fromkeys(order["without"], False))
    for seed in worlds:
        scene = Scene.generate(seed, split="train")
        clips = (_clips if order["encoded"] else _rendered)(scene, options)
        shown = (
            clips if options.splitting else _clips(scene, InductionOptions())
        )  # what a student sees hangs on no switch
        _show(shown, pictures / str(seed))
        if llm:
            graph, rejects = induce(clips, llm, options)
            told = rejects.counts()
        else:
            graph, told = noisy(truth(scene), order["noise"], Random(f"{seed}:noise")), {}
        if seed in order["rehearsed"]:
            (graphs / f"{world_id(seed)}.json").write_text(json.dumps(scene.to_dict()))
            _write(graphs / f"{seed}.exchanges.json", _exchanges(seed, clips, Oracle(graphs, order["prompts"]), scene))
        kept = [[c.index, c.t_start, c.t_end, [[k.id, k.t] for k in c.keyframes]] for c in clips]
        seen = [[k.id, k.t] for c in shown for k in c.keyframes]
        found = {"graph": _GRAPH.dump_python(graph, mode="json"), "clips": kept, "shown": seen, "rejects": told}
        _write(graphs / f"{seed}.json", found)  # last, as it says that the world is done
    return 0


def _exchanges(seed: int, clips: Sequence[Clip], oracle: Oracle, scene: Scene) -> list[dict[str, Any]]:
    """What a video's induction asks and the perfect answers, as rows of instruction data: each question once.

    An induction whose every word is right asks about no mistake, so its checks could be answered without looking. They are
    taken from the lessons of the starting checkpoint instead, of which half are about what is not so.
    """
    told: list[dict[str, Any]] = []
    for parsing in (True, False):
        induce(clips, Traced(oracle, told.append), InductionOptions(parsing=parsing))
    rows = {
        row["exchange"]: (row["step"], row["text"], row["reply"], row["frames"])
        for row in told
        if row["reply"].strip() and row["step"] not in _CHECKS
    }
    rows |= {f"{seed}-check-{at}": row for at, row in enumerate(_checks(clips, scene))}
    at = {frame.id: frame.t for clip in clips for frame in clip.keyframes}
    return [
        {
            "id": id,
            "kind": kind,
            "question": text,
            "instruction": "",
            "answer": reply,
            "frames": [f"{seed}/{picture_name(frame)}" for frame in frames],
            "times": [at[frame] for frame in frames],
        }
        for id, (kind, text, reply, frames) in rows.items()
    ]


def _checks(clips: Sequence[Clip], scene: Scene) -> Iterator[tuple[str, str, str, list[str]]]:
    """Checks of facts by sight and by text, and of two names for one thing: kind, prompt, answer and frames."""
    rng = Random(f"{scene.seed}:checks")
    for clip, of in zip(clips, scene.clips, strict=True):
        frames = [frame.id for frame in clip.keyframes]
        for lessons, shown in (
            (image_lessons(of, rng), [rng.choice(frames)]),
            (text_lessons(of, rng), []),
            (clip_lessons(of, rng), frames),
        ):
            yield from ((one.kind, one.prompt, one.answer, shown) for one in lessons if one.kind in _CHECKS)


def _opened(model: str | None) -> VideoLLM | None:
    if model is None:
        return None
    from model.backends import open_video_llm  # torch, which true graphs do without

    return open_video_llm(f"hf:{model}", exact=True)


def rehearsed(files: Sequence[Path], count: int, seed: int) -> list[dict[str, Any]]:
    """`count` kept exchanges from the worlds' files, as many of each kind as the others; those of a kind are drawn."""
    of_kind: dict[str, list[dict[str, Any]]] = {}
    for file in files:
        for row in json.loads(file.read_text()):
            of_kind.setdefault(row["kind"], []).append(row)
    rng = Random(f"{seed}:rehearsed")
    chosen: list[dict[str, Any]] = []
    for kind, wanted in apportion(count, dict.fromkeys(sorted(of_kind), 1.0)).items():
        rows = of_kind[kind]
        chosen += rng.sample(rows, wanted) if wanted <= len(rows) else rng.choices(rows, k=wanted)
    return chosen


class Made(NamedTuple):
    """A graph that was made, its clips (keyframes without pictures), and the keyframes that a student is shown: id, seconds."""

    graph: SceneGraph
    clips: list[Clip]
    shown: list[tuple[str, float]]


def load(file: Path) -> Made:
    """What was made of a world."""
    told = json.loads(file.read_text())
    none = np.zeros((0, 0, 3), np.uint8)
    clips = [Clip(i, a, b, 0, 1, tuple(Keyframe(id, t, none) for id, t in shown)) for i, a, b, shown in told["clips"]]
    return Made(_GRAPH.validate_python(told["graph"]), clips, [(id, t) for id, t in told["shown"]])


def noisy(graph: SceneGraph, share: float, rng: Random) -> SceneGraph:
    """A graph in which each word of a fact is, with the probability `share`, another one of its kind.

    Words are an object's shape, colour and size, a relation's predicate and a motion's; a reference is left out. Events stay.
    """

    def told(word: str, words: Sequence[str]) -> str:
        return rng.choice([w for w in words if w != word]) if rng.random() < share else word

    objects: list[ObjectNode] = []
    for chain in graph.entities():
        category, mark = told(chain[0].category, SHAPES), told(chain[0].mark, COLORS)
        size = told(next(a.value for a in chain[0].attributes if a.type == "size"), SIZES)
        attributes = (Attribute("color", mark), Attribute("size", size))
        objects += [replace(o, category=category, mark=mark, attributes=attributes) for o in chain]
    return SceneGraph(
        tuple(objects),
        tuple(replace(r, predicate=told(r.predicate, RELATIONS)) for r in graph.relations),
        tuple(replace(m, predicate=told(m.predicate, ACTIONS[1:])) for m in graph.motions),
        tuple(r for r in graph.references if rng.random() >= share),
        graph.events,
    )


def _clips(scene: Scene, options: InductionOptions) -> list[Clip]:
    """The world's clips, from its encoded video."""
    with TemporaryDirectory() as name:
        file = Path(name) / "world.mp4"
        render_video(scene, file)
        return split(file, world_id(scene.seed), options.how_to_split(), 0)


def _rendered(scene: Scene, _: InductionOptions) -> list[Clip]:
    """The world's clips as it was made, with keyframes at the same times as those of its video: much faster."""
    clips = []
    for index, (clip, start) in enumerate(zip(scene.clips, scene.starts(), strict=True)):
        at = ((start + share * clip.seconds, frame(clip, share)) for share in _SHOWN)
        shown = tuple(Keyframe(f"{world_id(scene.seed)}:{round(1000 * t):09d}", t, image) for t, image in at)
        clips.append(Clip(index, start, start + clip.seconds, 0, 1, shown))
    return clips


def _show(clips: Sequence[Clip], folder: Path) -> None:
    """Write the keyframes into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for keyframe in (k for clip in clips for k in clip.keyframes):
        picture = folder / picture_name(keyframe.id)
        if not picture.exists():
            cv2.imwrite(str(picture), keyframe.image[:, :, ::-1])


def _write(file: Path, value: Any) -> None:
    durable.write_text(file, json.dumps(value))


def picture_name(keyframe: str) -> str:
    """The file of a keyframe within its world's folder."""
    return f"{keyframe.rpartition(':')[2]}.png"


if __name__ == "__main__":
    end_with_the_parent()
    sys.exit(main(Path(sys.argv[1])))
