"""QRA samples as rows in the formats that trainers read, the way back, and which samples are for validation.

A sample gives up to two rows: answers and rationales are two tasks with an instruction each, f(x, q, i^a) -> a and
f(x, q, i^r) -> r (STEP Sec. 3.2, Explicit Rationales Supervision).
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from model.rationale.moments import clips_at, clips_to_tell, frames_at
from model.replies import without_tokens
from model.stsg import seconds_of

Part = Literal["answer", "rationale"]
Split = Literal["train", "validation"]
FormatName = Literal["llava", "videochat2", "sharegpt", "swift", "trl"]
ExportFormat = Literal["jsonl", FormatName, "parquet", "hf"]  # beside the trainers' rows, the samples themselves
ExportSplit = Literal["all", Split]
Visual = Literal["video", "frames"]
MediaKind = Literal["paths", "embedded", "tar"]
Row = dict[str, Any]

ANSWER_INSTRUCTION = "Answer the question about the video in as few words as it takes."
RATIONALE_INSTRUCTION = "Tell step by step, one step a line, what in the video leads to the answer to the question."
INSTRUCTIONS: Mapping[Part, str] = {"answer": ANSWER_INSTRUCTION, "rationale": RATIONALE_INSTRUCTION}

_VIDEO, _IMAGE = "<video>", "<image>"
_PLACEHOLDER = re.compile(r"<(video|image|audio)>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Example:
    """One thing to learn from a sample: the question, under the instruction of `part`, and the text to be said.

    Where the video has several clips, the question may begin with a line on when they, or the frames that are shown, are.
    `images` is empty where it was read from a format that shows the video.
    """

    id: str
    part: Part
    question: str
    target: str
    video: str
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Format:
    """How a trainer wants its rows; `array` where its file is one JSON array, else it holds a row a line."""

    write: Callable[[Example], Row]
    read: Callable[[Mapping[str, Any]], Example]
    array: bool = False
    visuals: tuple[Visual, ...] = ("video",)  # what its rows can show; the first unless something else is asked for
    write_frames: Callable[[Example], Row] | None = None  # where that differs


def examples(
    row: Mapping[str, Any], visual: Visual = "video", *, rationales: bool = True, tell_times: bool = True
) -> list[Example]:
    """What is learned from an exported row: its answer, and its rationale if wanted (STEP Sec. 3.2)."""
    targets: dict[Part, str] = {"answer": row["answer"]}
    if rationales:
        targets["rationale"] = "\n".join(row["rationale"])
    video, clips = video_path(row["video_id"]), clips_to_tell(row) if tell_times else ()
    images = tuple(keyframe_path(row["run_id"], frame) for frame in row["keyframes"])
    shown = clips_at(clips) if visual == "video" else frames_at(list(map(seconds_of, row["keyframes"])), clips)
    question = preceded(_plain(row["question"]), shown)
    return [Example(row["id"], part, question, _plain(said), video, images) for part, said in targets.items()]


def _plain(text: str) -> str:
    """The text without control tokens and what trainers would count as one more video or image."""
    text = _PLACEHOLDER.sub(r"(\1)", text)
    while (without := without_tokens(text)) != text:  # what is left may be one again
        text = without
    return text


def video_path(video_id: str) -> str:
    """Where a trainer finds a video, from the folder of its media."""
    return f"videos/{video_id}.mp4"


def keyframe_path(run_id: str, frame_id: str) -> str:
    """Where a trainer finds a keyframe, from the folder of its media."""
    return f"keyframes/{run_id}/{frame_id.rpartition(':')[2]}.png"


def to_rows(
    row: Mapping[str, Any],
    name: str,
    *,
    rationales: bool = True,
    visual: Visual | None = None,
    tell_times: bool = True,
) -> list[Row]:
    """An exported row in a trainer's format; raises ValueError where the format is unknown or can't show `visual`."""
    known = format_of(name)
    visual = visual or known.visuals[0]
    if visual not in known.visuals:
        raise ValueError(f"{name} shows {' or '.join(known.visuals)}, not {visual}.")
    write = (known.write_frames if visual == "frames" else None) or known.write
    return [write(example) for example in examples(row, visual, rationales=rationales, tell_times=tell_times)]


def media_of(row: Mapping[str, Any]) -> list[str]:
    """The relative paths of all media that a trainer's row shows."""
    return [*(row.get("images") or row.get("videos") or [row["video"]])]


def from_row(row: Mapping[str, Any], name: str) -> Example:
    """What a trainer's row teaches; raises ValueError where the format is unknown or the row is none of ours."""
    return format_of(name).read(row)


def format_of(name: str) -> Format:
    """The format of a name; raises ValueError that lists the known ones."""
    if name not in FORMATS:
        raise ValueError(f"There is no format {name!r}; known are {', '.join(FORMATS)}.")
    return FORMATS[name]


def split_of(video_id: str, seed: int, validation_share: float) -> Split:
    """Which split a video is in, with all its samples: what is validated on was never seen in training."""
    digest = hashlib.sha256(f"{seed}:{video_id}".encode()).digest()
    return "validation" if int.from_bytes(digest[:8]) < validation_share * 2**64 else "train"


def dataset_info(name: str, file_name: str, visual: Visual = "video") -> dict[str, Any]:
    """The entry in LLaMA-Factory's dataset_info.json for a file in the format `sharegpt`."""
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    media = "images" if visual == "frames" else "videos"
    columns = {"messages": "messages", media: media}
    return {name: {"file_name": file_name, "formatting": "sharegpt", "columns": columns, "tags": tags}}


def preceded(question: str, shown: str) -> str:
    """A question under what is told of the frames, where something is."""
    return f"{shown}\n{question}" if shown else question


def instructed(question: str, instruction: str) -> str:
    """What a model is asked: the question q under the instruction i of what to give for it, where there is one."""
    return f"{question}\n{instruction}" if instruction else question


def asked(part: Part, question: str) -> str:
    """A question under the instruction of a part, as trainers' rows have it and as an evaluation asks it."""
    return instructed(question, INSTRUCTIONS[part])


def _asked(example: Example) -> str:
    return asked(example.part, example.question)


def _understood(asked: str) -> tuple[Part, str]:
    """The part and the question of what was asked."""
    question, _, instruction = asked.rpartition("\n")
    return _part_of(instruction), question


def _part_of(instruction: str) -> Part:
    for part, known in INSTRUCTIONS.items():
        if instruction == known:
            return part
    raise ValueError(f"{instruction!r} is neither of our instructions.")


def _write_llava(e: Example) -> Row:
    turns = [{"from": "human", "value": f"{_VIDEO}\n{_asked(e)}"}, {"from": "gpt", "value": e.target}]
    return {"id": e.id, "video": e.video, "conversations": turns}


def _read_llava(row: Mapping[str, Any]) -> Example:
    human, gpt = row["conversations"]
    part, question = _understood(human["value"].removeprefix(f"{_VIDEO}\n"))
    return Example(row["id"], part, question, gpt["value"], row["video"])


def _write_videochat2(e: Example) -> Row:
    # a row has one question: of several, shuffled, only the first one's instruction would be used
    return {"id": e.id, "video": e.video, "QA": [{"i": INSTRUCTIONS[e.part], "q": e.question, "a": e.target}]}


def _read_videochat2(row: Mapping[str, Any]) -> Example:
    [qa] = row["QA"]
    return Example(row["id"], _part_of(qa["i"]), qa["q"], qa["a"], row["video"])


def _write_messages(e: Example) -> Row:
    messages = [{"role": "user", "content": _VIDEO + _asked(e)}, {"role": "assistant", "content": e.target}]
    return {"id": e.id, "messages": messages, "videos": [e.video]}


def _write_frames(e: Example) -> Row:
    shown = _IMAGE * len(e.images) + _asked(e)
    messages = [{"role": "user", "content": shown}, {"role": "assistant", "content": e.target}]
    return {"id": e.id, "messages": messages, "images": list(e.images)}


def _read_messages(row: Mapping[str, Any]) -> Example:
    user, assistant = row["messages"]
    if "images" in row:
        part, question = _understood(user["content"].removeprefix(_IMAGE * len(row["images"])))
        return Example(row["id"], part, question, assistant["content"], "", tuple(row["images"]))
    part, question = _understood(user["content"].removeprefix(_VIDEO))
    return Example(row["id"], part, question, assistant["content"], *row["videos"])


def _write_trl(e: Example) -> Row:
    # TRL has no videos: it puts a placeholder for each of the images before the prompt's text
    return {
        "id": e.id,
        "prompt": [{"role": "user", "content": _asked(e)}],
        "completion": [{"role": "assistant", "content": e.target}],
        "images": list(e.images),
        "video": e.video,
    }


def _read_trl(row: Mapping[str, Any]) -> Example:
    [user], [assistant] = row["prompt"], row["completion"]
    part, question = _understood(user["content"])
    return Example(row["id"], part, question, assistant["content"], row["video"], tuple(row["images"]))


FORMATS: Mapping[str, Format] = {
    "llava": Format(_write_llava, _read_llava, array=True),
    "videochat2": Format(_write_videochat2, _read_videochat2, array=True),
    "sharegpt": Format(_write_messages, _read_messages, visuals=("video", "frames"), write_frames=_write_frames),
    "swift": Format(_write_messages, _read_messages, visuals=("video", "frames"), write_frames=_write_frames),
    "trl": Format(_write_trl, _read_trl, visuals=("frames",)),
}
