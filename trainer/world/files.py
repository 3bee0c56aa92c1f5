"""Scenes on disk: the video, and beside it the scene, from which the truth follows."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from model.stsg import video_id
from trainer.world.render import render_video
from trainer.world.scene import Scene, Split


@dataclass(frozen=True, slots=True)
class Rendered:
    """A rendered scene: where its video and its truth are, and the id that the service gives the video."""

    scene: Scene
    video: Path
    truth: Path
    video_id: str


def render_with_truth(
    seed: int, folder: Path, *, split: Split = "test", clips: int | None = None, uneven: bool = False
) -> Rendered:
    """Render the scene of a seed into `folder` and write its truth there as `<video_id>.json`.

    `uneven` gives its clips different lengths, which questions on durations need.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scene = Scene.generate(seed, split=split, clips=clips)
    scene = scene.uneven() if uneven else scene
    video = folder / f"world-{split}-{seed}.mp4"
    render_video(scene, video)
    id = video_id(hashlib.sha256(video.read_bytes()).hexdigest())
    truth = folder / f"{id}.json"
    truth.write_text(json.dumps(scene.to_dict()) + "\n")
    return Rendered(scene, video, truth, id)


def load_scene(file: Path) -> Scene:
    """The scene that `render_with_truth` wrote."""
    return Scene.from_dict(json.loads(file.read_text()))
