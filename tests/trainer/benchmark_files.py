"""Small benchmarks on disk, in the exact format of the official files."""

import json
from pathlib import Path
from shutil import copyfile
from typing import Any

from tests.real_videos import REAL


def write(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def video(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    copyfile(REAL["carphone"], path)
    return path


AGQA = {
    "question": "Were they touching a blanket while holding a pillow?",
    "answer": "no",
    "video_id": "V1",
    "global": ["exists", "obj-rel"],
    "local": "yes-no-o4-while-c076",
    "ans_type": "binary",
    "steps": 3,
    "semantic": "object",
    "structural": "verify",
    "novel_comp": 0,
    "more_steps": 0,
    "program": "Exists(blanket, Iterate(Localize(while, holding a pillow), Filter(frame, [objects])))",
    "sg_grounding": {"27-36": [], "43-59": ["c076/1"]},
    "nc_seq": 0,
    "nc_sup": 0,
    "nc_dur": 0,
    "nc_objrel": 0,
    "indirect": 1,
    "i_obj": 0,
    "i_rel": 0,
    "i_act": 0,
    "i_temp": 1,
    "direct_equiv": "V1-2",
}
DIRECT = AGQA | {"question": "Were they touching a blanket?", "answer": "yes", "steps": 1, "indirect": 0, "i_temp": 0}

STAR = {
    "question_id": "Interaction_T1_13",
    "question": "Which object was tidied up by the person?",
    "video_id": "V1",
    "start": 0.5,
    "end": 2.5,
    "answer": "The clothes.",
    "question_program": [{"function": "Situations", "value_input": []}],
    "choices": [
        {"choice_id": i, "choice": c, "choice_program": []}
        for i, c in enumerate(("The closet/cabinet.", "The blanket.", "The clothes.", "The table."))
    ],
    "situations": {
        "000001": {
            "actions": ["a004"],
            "bbox": [[0, 0, 9, 9]],
            "bbox_labels": ["o000"],
            "rel_labels": ["r009", "r002"],
            "rel_pairs": [["o000", "o019"], ["o019", "o000"]],
        },
        "000031": {
            "actions": ["a004", "a012"],
            "bbox": [],
            "bbox_labels": [],
            "rel_labels": ["r009"],
            "rel_pairs": [["o000", "o014"]],
        },
    },
}

MVBENCH = {"video": "a.mp4", "question": "What happens?", "candidates": ["red", "blue"], "answer": "blue"}

TEMPCOMPASS: dict[str, Any] = {
    "multi-choice": {"7": {"order": [{"question": "What happens?\nA. up\nB. down", "answer": "B. down"}]}},
    "yes_no": {"7": {"order": [{"question": "Is it up?", "answer": "no"}, {"question": "Down?", "answer": "yes"}]}},
    "caption_matching": {
        "7": {
            "order": [
                {
                    "question": "Which caption matches the video better?\nCaption A: It goes up.\nCaption B: Down.",
                    "answer": "Caption B: Down.",
                }
            ]
        }
    },
    "captioning": {"7": {"order": [{"question": "Generated Caption:", "answer": "B. down"}]}},
}
META = {"7": {"eval_dim": {"action": None, "speed": None, "direction": None, "order": {"type": "x"}}, "content": []}}


def everything(folder: Path) -> dict[str, Path]:
    """A folder for each benchmark."""
    at = {name: folder / name for name in ("agqa", "star", "msvd-qa", "msrvtt-qa", "activitynet-qa", "mvbench", "tc")}
    write(at["agqa"] / "test_balanced.txt", {"V1-1": AGQA, "V1-2": DIRECT | {"direct_equiv": "V1-2"}})
    write(at["star"] / "STAR_val.json", [STAR])
    msvd = [{"answer": "man", "id": 35000, "question": "who is it?", "video_id": 1301}]
    write(at["msvd-qa"] / "test_qa.json", msvd)
    write(at["msvd-qa"] / "youtube_mapping.txt", "-abc_5_15 vid1301\n")
    video(at["msvd-qa"] / "YouTubeClips" / "-abc_5_15.avi")
    asked = [{"video_name": "video7010", "question": "what is it?", "question_id": "v7010_0"}]
    write(at["msrvtt-qa"] / "test_q.json", asked)
    write(at["msrvtt-qa"] / "test_a.json", [{"answer": "tv", "question_id": "v7010_0"}])
    video(at["msrvtt-qa"] / "videos" / "video7010.mp4")
    activity = [{"video_name": "xyz", "question": f"q{n}?", "question_id": f"v_xyz_{n}"} for n in (1, 2)]
    write(at["activitynet-qa"] / "test_q.json", activity)
    answers = [{"answer": a, "type": t, "question_id": f"v_xyz_{n}"} for n, t, a in ((2, 4, "red"), (1, 3, "yes"))]
    write(at["activitynet-qa"] / "test_a.json", answers)
    video(at["activitynet-qa"] / "v_xyz.mp4")
    write(at["mvbench"] / "json" / "action_antonym.json", [MVBENCH])
    write(at["mvbench"] / "json" / "action_sequence.json", [MVBENCH | {"start": 1.0, "end": 2.0}])
    video(at["mvbench"] / "video" / "ssv2_video" / "a.mp4")
    video(at["mvbench"] / "video" / "star" / "Charades_v1_480" / "a.mp4")
    for task, questions in TEMPCOMPASS.items():
        write(at["tc"] / "questions" / f"{task}.json", questions)
    write(at["tc"] / "meta_info.json", META)
    for path in (at["agqa"] / "V1.mp4", at["star"] / "Charades_v1_480" / "V1.mp4", at["tc"] / "videos" / "7.mp4"):
        video(path)
    return at
