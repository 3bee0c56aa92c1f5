"""MVBench: twenty tasks of 200 questions with choices each, over videos of eleven sources."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.benchmarks.choices import LETTERS, choice_prompt, chosen
from trainer.benchmarks.files import BenchmarkError, field, records
from trainer.benchmarks.items import Item
from trainer.benchmarks.mvbench_files import find_media, looked_in
from trainer.benchmarks.suite import Loaded, Results, Suite

WHERE = (
    "Get MVBench from huggingface.co/datasets/OpenGVLab/MVBench: the folder json/ and, unpacked, the folder video/; the"
    " videos of Fine-grained Pose (nturgbd) have a licence of their own. Put both folders into one. Videos are found in"
    " the hub's layouts of any date (such as video/ssv2_video_mp4, video/data0613/star), and as lmms-eval has them (such"
    " as star/Charades_segment, cut already)."
)
# File of each task, where its videos lie below video/, and whether a part of them is asked about.
TASKS: Mapping[str, tuple[str, str, bool]] = {
    "Action Sequence": ("action_sequence", "star/Charades_v1_480", True),
    "Action Prediction": ("action_prediction", "star/Charades_v1_480", True),
    "Action Antonym": ("action_antonym", "ssv2_video", False),
    "Fine-grained Action": ("fine_grained_action", "Moments_in_Time_Raw/videos", False),
    "Unexpected Action": ("unexpected_action", "FunQA_test/test", False),
    "Object Existence": ("object_existence", "clevrer/video_validation", False),
    "Object Interaction": ("object_interaction", "star/Charades_v1_480", True),
    "Object Shuffle": ("object_shuffle", "perception/videos", False),
    "Moving Direction": ("moving_direction", "clevrer/video_validation", False),
    "Action Localization": ("action_localization", "sta/sta_video", True),
    "Scene Transition": ("scene_transition", "scene_qa/video", False),
    "Action Count": ("action_count", "perception/videos", False),
    "Moving Count": ("moving_count", "clevrer/video_validation", False),
    "Moving Attribute": ("moving_attribute", "clevrer/video_validation", False),
    "State Change": ("state_change", "perception/videos", False),
    "Fine-grained Pose": ("fine_grained_pose", "nturgbd", False),
    "Character Order": ("character_order", "perception/videos", False),
    "Egocentric Navigation": ("egocentric_navigation", "vlnqa", False),
    "Episodic Reasoning": ("episodic_reasoning", "tvqa/frames_fps3_hq", True),
    "Counterfactual Inference": ("counterfactual_inference", "clevrer/video_validation", False),
}


def read(folder: Path) -> Loaded:
    """The questions of all tasks whose file is there.

    Raises:
        BenchmarkError: no task is there, or a file is damaged.
    """
    files = {task: folder / "json" / f"{row[0]}.json" for task, row in TASKS.items()}
    here = {task: path for task, path in files.items() if path.is_file()}
    if not here:
        raise BenchmarkError(f"There is no task of MVBench in {folder / 'json'}.", WHERE)
    items = [
        _item(task, number, record, path, folder)
        for task, path in here.items()
        for number, record in enumerate(records(path, WHERE))
    ]
    absent = [path.name for task, path in files.items() if task not in here]
    notes = (f"Tasks that are not there: {', '.join(absent)}.",) if absent else ()
    return Loaded(tuple(items), tuple(here.values()), (*notes, *_unfound(items)))


def _unfound(items: Sequence[Item]) -> Iterator[str]:
    """Where videos that are not there were looked for: a note for each place, with one of its videos."""
    first: dict[str, str] = {}
    for item in items:
        if item.media is None:
            place = TASKS[item.groups["task"][0]][1]
            first.setdefault(place, item.video_id.removeprefix(f"{place}/"))
    for place, video in first.items():
        yield f"{video} was looked for in {', '.join(looked_in(place))}."


def _item(task: str, number: int, record: Mapping[str, Any], path: Path, folder: Path) -> Item:
    _, place, part = TASKS[task]
    video, question, answer = (str(field(record, name, path, WHERE)) for name in ("video", "question", "answer"))
    options = tuple(map(str, field(record, "candidates", path, WHERE)))
    if options.count(answer) != 1 or len(options) > len(LETTERS):
        raise BenchmarkError(f"Answer {number} of {path} is not one of its candidates, once.", f"Get it again: {WHERE}")
    start, end = (float(field(record, name, path, WHERE)) if part else None for name in ("start", "end"))
    media = find_media(folder, place, video, start, end)
    prompt = choice_prompt(question, options)
    id = f"{TASKS[task][0]}/{number}"
    return Item(id, f"{place}/{video}", question, answer, prompt, options, groups={"task": (task,)}, media=media)


def mean(results: Results) -> dict[str, float]:
    """The leaderboard's figure: right of all, which for whole tasks is the mean of the tasks."""
    rights = [outcome.right for _, outcome in results.values()]
    return {"Avg": sum(rights) / len(rights)} if rights else {}


SUITES = (Suite("mvbench", WHERE, 20 * 200, read, chosen, mean),)
