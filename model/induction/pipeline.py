"""The four operations of STEP Sec. 3.1 in a row, with a switch for each row of its Table 4."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, Self

from model.induction.bridging import bridge_clips
from model.induction.merging import merge_clip
from model.induction.parsing import Parsed, parse_clip
from model.induction.rejects import Rejects
from model.induction.splitting import SplittingOptions
from model.induction.together import together
from model.induction.verification import verify_clip
from model.induction.whole_graph import parse_clip_at_once
from model.stsg import Clip, SceneGraph
from model.video_llm import VideoLLM


@dataclass(frozen=True, slots=True)
class InductionOptions:
    """Which operations run (STEP Table 4), and how videos are split.

    Without splitting a video is one clip; without parsing one prompt gives a keyframe's whole graph; without merging
    every sighting stays a node and there are no motions; without bridging there are no references and no events.
    """

    splitting: bool = True
    parsing: bool = True
    verification: bool = True
    merging: bool = True
    bridging: bool = True
    splitting_options: SplittingOptions = field(default_factory=SplittingOptions)

    def how_to_split(self) -> SplittingOptions:
        """The splitting options; without splitting there are no cuts."""
        return self.splitting_options if self.splitting else replace(self.splitting_options, cuts=False)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The options that `to_dict` gave; left-out ones have their defaults."""
        switches = {k: v for k, v in data.items() if k != "splitting_options"}
        return cls(**switches, splitting_options=SplittingOptions(**data.get("splitting_options", {})))


def induce_clip(clip: Clip, llm: VideoLLM, options: InductionOptions) -> tuple[SceneGraph, Rejects]:
    """The temporal scene graph of one clip: parsing, verification, merging."""
    parsed, rejects = (parse_clip if options.parsing else parse_clip_at_once)(clip, llm)
    if options.verification:
        parsed, refused = verify_clip(parsed, llm)
        rejects += refused
    if not options.merging:
        return _side_by_side(parsed), rejects
    graph, refused = merge_clip(clip, parsed, llm)
    return graph, rejects + refused


def bridge(
    clips: Sequence[Clip], graphs: Sequence[SceneGraph], llm: VideoLLM, options: InductionOptions
) -> tuple[SceneGraph, Rejects]:
    """References between the clips' graphs and an event for each clip; nothing else."""
    if not options.bridging:
        return SceneGraph(), Rejects()
    return bridge_clips(clips, graphs, llm)


def induce(clips: Sequence[Clip], llm: VideoLLM, options: InductionOptions) -> tuple[SceneGraph, Rejects]:
    """The STSG of a video from its clips."""
    results = together(llm, [partial(induce_clip, clip, options=options) for clip in clips])
    graphs = [graph for graph, _ in results]
    edges, rejects = bridge(clips, graphs, llm, options)
    whole = SceneGraph()
    for graph in graphs:
        whole |= graph
    for _, refused in reversed(results):
        rejects = refused + rejects
    return whole | edges, rejects


def _side_by_side(parsed: Sequence[Parsed]) -> SceneGraph:
    graph = SceneGraph()
    for p in parsed:
        graph |= p.graph
    return graph
