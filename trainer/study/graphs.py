"""`python -m trainer.study.graphs ORDER` makes graphs of training worlds: induced by a model, true, or true with noise.

ORDER is a JSON file: where pictures and graphs go, which worlds, which checkpoint and switches, how much noise. A world whose
graph is there is not done again.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from pydantic import TypeAdapter

from model.induction.pipeline import InductionOptions, induce
from model.induction.splitting import split
from model.stsg import Attribute, Clip, Keyframe, ObjectNode, SceneGraph
from model.video_llm import VideoLLM
from trainer.world.render import render_video
from trainer.world.scene import ACTIONS, COLORS, RELATIONS, SHAPES, SIZES, Scene
from trainer.world.truth import truth

_GRAPH = TypeAdapter(SceneGraph)


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
    options = InductionOptions.from_dict({**(llm.advice if llm else {}), **dict.fromkeys(order["without"], False)})
    for seed in worlds:
        scene = Scene.generate(seed, split="train")
        clips = _clips(scene, pictures / str(seed), options)
        if llm:
            graph, rejects = induce(clips, llm, options)
            told = rejects.counts()
        else:
            graph, told = noisy(truth(scene), order["noise"], Random(f"{seed}:noise")), {}
        target = graphs / f"{seed}.json"
        part = target.with_suffix(".part")
        kept = [[c.index, c.t_start, c.t_end, [[k.id, k.t] for k in c.keyframes]] for c in clips]
        part.write_text(json.dumps({"graph": _GRAPH.dump_python(graph, mode="json"), "clips": kept, "rejects": told}))
        part.replace(target)
    return 0


def _opened(model: str | None) -> VideoLLM | None:
    if model is None:
        return None
    from model.backends import open_video_llm  # torch, which true graphs do without

    return open_video_llm(f"hf:{model}")


def load(file: Path) -> tuple[SceneGraph, list[Clip]]:
    """A graph that was made, and its clips; their keyframes have no pictures."""
    told = json.loads(file.read_text())
    none = np.zeros((0, 0, 3), np.uint8)
    clips = [Clip(i, a, b, 0, 1, tuple(Keyframe(id, t, none) for id, t in shown)) for i, a, b, shown in told["clips"]]
    return _GRAPH.validate_python(told["graph"]), clips


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


def _clips(scene: Scene, folder: Path, options: InductionOptions) -> list[Clip]:
    """The world's clips, from its encoded video; their keyframes are written into the folder."""
    with TemporaryDirectory() as name:
        file = Path(name) / "world.mp4"
        render_video(scene, file)
        clips = split(file, world_id(scene.seed), options.how_to_split(), 0)
    folder.mkdir(parents=True, exist_ok=True)
    for frame in (k for clip in clips for k in clip.keyframes):
        picture = folder / picture_name(frame.id)
        if not picture.exists():
            cv2.imwrite(str(picture), frame.image[:, :, ::-1])
    return clips


def picture_name(keyframe: str) -> str:
    """The file of a keyframe within its world's folder."""
    return f"{keyframe.rpartition(':')[2]}.png"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
