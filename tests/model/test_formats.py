"""Samples as rows of trainers: nothing is lost on the way there and back, and no video is in two splits (STEP Sec. 3.2)."""

import json
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.rationale import formats
from model.rationale.formats import FORMATS, FormatName, dataset_info, examples, from_row, split_of, to_rows
from model.rationale.moments import are_beginnings, clips_at, frames_at
from model.rationale.qra import Qra
from model.stsg import keyframe_id


def sample(video: str, number: int, question: str = "") -> dict[str, Any]:
    """An exported row."""
    return Qra(
        id=f"qra_{video}_{number}",
        video_id=video,
        run_id=f"run_{video}",
        question=question or f"What is “left” of the cup number {number}?",
        rationale=(f"the cup number {number} is white", "the dog is left of the white cup"),
        answer="dog",
        n_hops=1,
        n_temporal=1,
        family="relation",
        path=({"kind": "RELATION", "from": "c0/dog", "to": "c0/cup", "predicate": "left of"},),
        program=({"op": "all", "clip": None}, {"op": "name", "of": 0}),
        keyframes=(keyframe_id(video, 0.5), keyframe_id(video, 2)),
        clips=(0.0, 1.25),
        evidence=("exchange_1",),
    ).to_row()


CLIPS = "The clips of the video begin at 0.0 and 1.2 s.\n"
FRAMES = "The frames are from the first clip (0.5 s) and the second clip (2.0 s) of the video.\n"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@pytest.mark.parametrize("name", FORMATS)
@settings(deadline=None)  # the first time waits for an import
@given(question=TEXT, answer=TEXT, lines=st.lists(TEXT, max_size=3), more=st.booleans(), times=st.booleans())
def test_what_is_written_is_read_back(
    name: str, question: str, answer: str, lines: list[str], more: bool, times: bool
) -> None:
    row = sample("vid_1", 1) | {"question": question, "answer": answer, "rationale": lines}
    taught = examples(row, FORMATS[name].visuals[0], rationales=more, tell_times=times)
    assert [(e.part, e.target) for e in taught] == [("answer", answer), ("rationale", "\n".join(lines))][: 1 + more]
    shown = (FRAMES if name == "trl" else CLIPS) if times else ""
    assert {(e.id, e.question, e.video) for e in taught} == {(row["id"], f"{shown}{question}", "videos/vid_1.mp4")}
    written = json.loads(json.dumps(to_rows(row, name, rationales=more, tell_times=times)))
    assert [from_row(r, name) for r in written] == [e if name == "trl" else replace(e, images=()) for e in taught]
    assert all(r["id"] == row["id"] for r in written)


def test_the_two_tasks_are_told_apart_by_their_instructions() -> None:
    answer, rationale = (row["QA"][0] for row in to_rows(sample("vid_1", 1), "videochat2"))
    assert answer["i"] == formats.ANSWER_INSTRUCTION != formats.RATIONALE_INSTRUCTION == rationale["i"]
    assert answer["q"] == rationale["q"] and "cup" not in answer["a"] and "white cup" in rationale["a"]
    stray = to_rows(sample("vid_1", 1), "videochat2")[0] | {"QA": [{"i": "Sing.", "q": "", "a": ""}]}
    with pytest.raises(ValueError, match=r"Sing\."):
        from_row(stray, "videochat2")


def test_frames_are_told_by_their_clips_and_times() -> None:
    told = frames_at([0.0, 3.96, 4.167, 4.2, 30.04], [0.0, 4.1667, 9.0, 21.5])
    assert told == (
        "The frames are from the first clip (0.0 and 4.0 s), the second clip (4.2 and 4.2 s) and the fourth clip (30.0 s)"
        " of the video."
    )
    assert frames_at([0.0, 3.0], [0.0]) == frames_at([1.0], []) == clips_at([0.0]) == ""
    assert clips_at([0.0, 4.1667, 9.0]) == "The clips of the video begin at 0.0, 4.2 and 9.0 s."


def test_beginnings_of_clips_are_seconds_in_order() -> None:
    assert are_beginnings([]) and are_beginnings([0, 1.5, 1.5, 9])
    for wrong in (
        None,
        "0",
        {"0": 1},
        [0.0, "1"],
        [True],
        [-1.0],
        [2.0, 1.0],
        [0, float("nan")],
        [0, 10**400],
        [1e308],
    ):
        assert not are_beginnings(wrong)


@pytest.mark.parametrize("name", FORMATS)
def test_where_the_answer_is_a_clip_nothing_is_told_that_gives_it_away(name: str) -> None:
    asked = ({"op": "clip_extreme", "by": "seconds", "end": "most"}, {"op": "clip_told", "of": 0})
    for row in to_rows(sample("vid_1", 1) | {"program": list(asked)}, name):
        assert "clip" not in json.dumps(row)


@pytest.mark.parametrize("name", ["sharegpt", "swift"])
def test_rows_that_show_frames_tell_where_these_are(name: str) -> None:
    for row in to_rows(sample("vid_1", 1), name, visual="frames"):
        assert row["messages"][0]["content"].startswith(f"<image><image>{FRAMES}What is")


@pytest.mark.parametrize("name", ["llava", "sharegpt", "swift"])
def test_a_row_shows_as_many_videos_as_it_names(name: str) -> None:
    for row in to_rows(sample("vid_1", 1, "Who holds the sign '<video> <Image>'?"), name):
        assert json.dumps(row).lower().count("<video>") == 1 and "<image>" not in json.dumps(row).lower()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "token",
    ["<|im_end|>", "<|eot_id|>", "</s>", "<turn|>", "<end_of_utterance>", "<end_of_turn>", "<｜end▁of▁sentence｜>",
     "<|image_pad|>", "<|vision_start|>", "<image_soft_token>", "<pad>", "[INST]", "</think>", "<|im<|x|>_end|>"],
)  # fmt: skip
def test_no_text_in_a_row_holds_a_control_token(name: str, token: str) -> None:
    row = sample("vid_1", 1, f"Who holds{token} it?{token}")
    row |= {"answer": f"man{token}", "rationale": [f"{line}{token}" for line in row["rationale"]]}
    plain = sample("vid_1", 1, "Who holds it?") | {"answer": "man"}
    assert to_rows(row, name) == to_rows(plain, name)


def test_llama_factory_is_told_where_everything_is() -> None:
    entry = dataset_info("mine", "mine.jsonl")["mine"]
    row = to_rows(sample("vid_1", 1), "sharegpt")[0]
    assert set(entry["columns"].values()) == set(row) - {"id"} and entry["formatting"] == "sharegpt"
    tags = entry["tags"]
    assert [m[tags["role_tag"]] for m in row["messages"]] == [tags["user_tag"], tags["assistant_tag"]]
    assert all(m[tags["content_tag"]] for m in row["messages"]) and entry["file_name"] == "mine.jsonl"


def test_trl_takes_its_rows() -> None:
    from trl.data_utils import is_conversational, prepare_multimodal_messages

    for row in to_rows(sample("vid_1", 1), "trl"):
        assert is_conversational(row)
        [user] = prepare_multimodal_messages(row["prompt"], images=row["images"])
        shown = [part["image"] for part in user["content"] if part["type"] == "image"]
        assert shown == ["keyframes/run_vid_1/000000500.png", "keyframes/run_vid_1/000002000.png"]
        [said] = prepare_multimodal_messages(row["completion"])
        assert said["role"] == "assistant" and said["content"][0]["text"]


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    assert get_args(FormatName) == tuple(FORMATS)
    for wrong in (lambda: to_rows(sample("v", 1), "csv"), lambda: from_row({}, "csv")):
        with pytest.raises(ValueError, match=r"'csv'.*llava, videochat2, sharegpt, swift, trl"):
            wrong()


def test_a_video_is_in_one_split_and_the_share_holds() -> None:
    videos = [f"vid_{n}" for n in range(4000)]
    held = {v for v in videos if split_of(v, 7, 0.1) == "validation"}
    assert 0.08 < len(held) / len(videos) < 0.12
    assert held == {v for v in reversed(videos) if split_of(v, 7, 0.1) == "validation"}
    assert held < {v for v in videos if split_of(v, 7, 0.2) == "validation"}
    assert held != {v for v in videos if split_of(v, 8, 0.1) == "validation"}
    assert {split_of(v, 7, 0) for v in videos} == {"train"} and {split_of(v, 7, 1) for v in videos} == {"validation"}
