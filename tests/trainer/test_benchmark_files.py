"""Readers of official files: what they find, and that wrong files are refused with a reason and a remedy."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from model.media import MediaError
from tests.trainer.benchmark_files import AGQA, DIRECT, MVBENCH, STAR, everything, video, write
from trainer.benchmarks.catalogue import SUITES, suite
from trainer.benchmarks.files import BenchmarkError
from trainer.benchmarks.frames import shown
from trainer.benchmarks.suite import listed, subset, version

FOLDERS = {
    name: "tc" if name.startswith("temp") else name.removesuffix("-exact").removesuffix("-choice") for name in SUITES
}


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    return everything(tmp_path_factory.mktemp("benchmarks"))


@pytest.mark.parametrize("name", SUITES)
def test_every_benchmark_is_read_from_its_official_files_and_a_part_is_told_apart_from_the_whole(name, disk):
    folder = disk[FOLDERS[name]]
    check = suite(name).check(folder)
    assert check.questions and check.videos and not check.missing and len(check.files) >= 1
    assert not check.ready and "as published" in check.problems[0] and check.where
    assert json.loads(json.dumps(check.to_dict()))["questions"] == check.questions
    with pytest.raises(BenchmarkError, match="as published"):
        suite(name).items(folder)
    items = suite(name).items(folder, partial=True).items
    assert all(item.question in item.prompt and item.answer and item.media.path.exists() for item in items)


@pytest.mark.parametrize("name", SUITES)
def test_an_empty_folder_says_where_to_get_the_benchmark(name, tmp_path):
    check = suite(name).check(tmp_path)
    assert not check.ready and "There is no" in check.problems[0] and SUITES[name].where in check.problems[0]


def test_items_carry_the_papers_prompt_and_the_official_groups(disk):
    of = {name: suite(name).items(disk[FOLDERS[name]], partial=True).items for name in SUITES}
    first = of["agqa"][0]
    assert first.prompt == (
        "Based on the video, respond to this question with a short answer: "
        "Were they touching a blanket while holding a pillow?"
    )
    assert first.groups["steps"] == ("3+",) and first.groups["reasoning"] == ("exists", "obj-rel")
    assert first.groups["indirect"] == ("time", "any") and first.direct == "V1-2"
    star = of["star"][0]
    assert (star.answer, star.steps, star.media.start, star.media.end) == ("The clothes.", 1, 0.5, 2.5)
    assert of["star-choice"][0].prompt.endswith(
        "Question: Which object was tidied up by the person?\nOptions:\n(A) The closet/cabinet.\n(B) The blanket.\n"
        "(C) The clothes.\n(D) The table.\nOnly give the best option."
    )
    by_id = {item.id: (item.answer, item.groups["type"]) for item in of["activitynet-qa"]}
    assert by_id == {"v_xyz_1": ("yes", ("yes/no", "free")), "v_xyz_2": ("red", ("color", "free"))}  # never by position
    caption = of["tempcompass-captioning"][0]
    assert caption.about == "What happens?\nA. up\nB. down" and caption.groups["finer aspect"] == ("order",)
    assert of["tempcompass-yes_no"][0].prompt == "Is it up?\nPlease answer yes or no:"
    assert [item.media.start for item in of["mvbench"]] == [1.0, None]


def test_eight_pictures_of_224_are_taken_from_the_part_that_is_asked_about(disk):
    item = suite("star").items(disk["star"], partial=True).items[0]
    seen = shown(item)
    assert [f.image.shape for f in seen] == [(224, 224, 3)] * 8
    assert [round(f.t, 3) for f in seen] == [0.625 + 0.25 * n for n in range(8)]
    assert len({f.image.tobytes() for f in seen}) == 8


def test_a_part_after_the_videos_end_is_refused(disk, tmp_path):
    write(tmp_path / "STAR_val.json", [STAR | {"start": 1000.0, "end": 1001.0}])
    video(tmp_path / "V1.mp4")
    with pytest.raises(MediaError, match="ends before 1000"):
        shown(suite("star").items(tmp_path, partial=True).items[0])


def test_missing_videos_are_named(tmp_path):
    write(tmp_path / "STAR_val.json", [STAR, STAR | {"question_id": "Sequence_T3_1", "video_id": "V2"}])
    video(tmp_path / "V1.mp4")
    check = suite("star").check(tmp_path)
    assert check.missing == ("V2",) and "1 videos are missing: V2." in check.problems
    with pytest.raises(BenchmarkError, match="V2"):
        suite("star").items(tmp_path)


def test_two_videos_of_one_name_are_not_chosen_between(tmp_path):
    write(tmp_path / "STAR_val.json", [STAR])
    video(tmp_path / "Charades_v1_480" / "V1.mp4")
    video(tmp_path / "copy" / "V1.mp4")
    assert suite("star").check(tmp_path).videos == 1  # they are the same
    (tmp_path / "Charades_v1" / "V1.mp4").parent.mkdir()
    (tmp_path / "Charades_v1" / "V1.mp4").write_bytes(b"another one")
    check = suite("star").check(tmp_path)
    assert not check.ready and "are two videos of one name" in check.problems[0]


def test_the_teaser_of_stars_home_page_is_read(tmp_path):
    right = [
        choice | {"answer": "Correct" if choice["choice"] == "The clothes." else "Wrong"} for choice in STAR["choices"]
    ]
    asked = {k: v for k, v in STAR.items() if k != "answer"} | {"choices": right}
    file = write(tmp_path / "selected_teaser_chain_dict.json", {STAR["question_id"]: asked})
    [item] = suite("star").items(tmp_path, partial=True).items
    assert (item.id, item.answer, item.steps) == ("Interaction_T1_13", "The clothes.", 1) and len(item.options) == 4
    write(file, {STAR["question_id"]: asked | {"choices": [choice | {"answer": "Correct"} for choice in right]}})
    assert "no 'answer'" in suite("star").check(tmp_path).problems[0]


def test_a_draw_needs_only_its_own_videos_and_the_whole_list_of_questions(tmp_path):
    write(tmp_path / "STAR_val.json", [STAR, STAR | {"question_id": "Sequence_T3_1", "video_id": "V2"}])
    video(tmp_path / "V1.mp4")

    def draw(items):
        return listed(items, ["Interaction_T1_13"])

    with pytest.raises(BenchmarkError, match="7,098 questions as published; 2 are here"):
        suite("star").items(tmp_path, draw=draw)
    whole = replace(suite("star"), expected=2)
    assert [item.video_id for item in whole.items(tmp_path, draw=draw).items] == ["V1"]
    with pytest.raises(BenchmarkError, match="1 videos are missing: V2"):
        whole.items(tmp_path)


def _agqa(**changes):
    return json.dumps({"V1-1": {k: v for k, v in (AGQA | changes).items() if v != "gone"}})


def _star(**changes):
    return [{k: v for k, v in (STAR | changes).items() if v != "gone"}]


@pytest.mark.parametrize(
    ("name", "file", "content", "says"),
    [
        ("agqa", "test_balanced.json", _agqa(direct_equiv="gone"), "no 'direct_equiv'"),  # the training split
        ("agqa", "test_balanced.json", _agqa(structural="other"), "unknown type"),
        ("agqa", "test_balanced.json", _agqa(steps="3"), "unknown type"),
        ("agqa", "test_balanced.json", _agqa()[:-40], "cut off or damaged after 0 members"),
        ("agqa", "test_balanced.json", f'{{"a": {json.dumps(AGQA)}, "a": {json.dumps(AGQA)}}}', "'a' twice"),
        ("agqa", "test_balanced.json", _agqa() + " more", "goes on after"),
        ("agqa", "test_balanced.json", "[]", "no JSON object"),
        ("agqa", "test_balanced.json", '{"a": 3}', "is no record"),
        ("star", "STAR_val.json", _star(answer="gone"), "no 'answer'"),  # the test split
        ("star", "STAR_val.json", _star(answer="The dog."), "not one of its choices"),
        ("star", "STAR_val.json", _star(question_id="Other_T1_1"), "unknown template"),
        ("star", "STAR_val.json", _star(end=0.1), "0.5 to 0.1 s"),
        ("star", "STAR_val.json", _star() * 2, "twice"),
        ("star", "STAR_val.json", json.dumps(_star())[:-9], "is cut off"),
        ("star", "STAR_val.json", {"a": 1}, "no list of records"),
        ("star", "STAR_val.json", _star(choices=["The clothes."]), "of another form than star has"),
        ("agqa", "test_balanced.json", _agqa(**{"global": None}), "of another form than agqa has"),
        ("msvd-qa", "youtube_mapping.txt", "a b c\n", "has the line 'a b c'"),
        ("activitynet-qa", "test_a.json", [{"answer": "a", "type": 3, "question_id": "v_xyz_1"}], "no answer to"),
        (
            "activitynet-qa",
            "test_a.json",
            [{"answer": "a", "type": 3, "question_id": f"v_xyz_{n}"} for n in (1, 2, 3)],
            "3 answers",
        ),
        (
            "activitynet-qa",
            "test_a.json",
            [{"answer": "a", "type": 9, "question_id": f"v_xyz_{n}"} for n in (1, 2)],
            "type 9",
        ),
        ("mvbench", "json/action_antonym.json", [MVBENCH | {"answer": "x"}], "not one of its candidates"),
        ("mvbench", "json/action_sequence.json", [MVBENCH], "no 'start'"),
        ("tempcompass-captioning", "questions/multi-choice.json", {"8": {}}, "no question about order of 7"),
        ("tempcompass-yes_no", "questions/yes_no.json", {"7": {"colour": []}}, "other aspects"),
    ],
)
def test_files_that_are_wrong_are_refused_with_what_is_wrong_and_where_to_get_them(name, file, content, says, tmp_path):
    folder = everything(tmp_path)[FOLDERS[name]]
    write(folder / file, content)
    if name == "agqa":
        (folder / "test_balanced.txt").unlink()
    check = suite(name).check(folder)
    assert not check.ready and says in check.problems[0] and "Get " in check.problems[0]
    with pytest.raises(BenchmarkError, match="Get "):
        suite(name).items(folder, partial=True)


def test_a_surplus_closing_brace_is_passed_over_and_wrong_labels_are_counted(tmp_path):
    write(tmp_path / "test_balanced.json", json.dumps({"a": DIRECT | {"ans_type": "open"}}) + "\n}")
    check = suite("agqa").check(tmp_path)
    assert check.questions == 1 and check.notes == ("ans_type is wrong for 1 questions: an older release of the file.",)


def test_subsets_are_drawn_by_seed_hold_smaller_ones_and_can_be_listed(disk):
    items = suite("activitynet-qa").items(disk["activitynet-qa"], partial=True).items
    many = [items[0].__class__(f"q{n}", "v", "?", "a", "?") for n in range(50)]
    ten, twenty = subset(many, 10, seed=1), subset(many, 20, seed=1)
    assert len(ten) == 10 and {i.id for i in ten} < {i.id for i in twenty}
    assert subset(many, 10, seed=1) == ten != subset(many, 10, seed=2)
    assert [i.id for i in listed(many, ["q7", "q3"])] == ["q7", "q3"]
    for wrong in (["q7", "q7"], ["other"]):
        with pytest.raises(BenchmarkError, match="unknown or there twice"):
            listed(many, wrong)


def test_a_changed_file_is_another_version(disk, tmp_path):
    one = write(tmp_path / "a" / "STAR_val.json", [STAR])
    other = write(tmp_path / "b" / "STAR_val.json", [STAR | {"end": 2.6}])
    assert version([one]) == version([Path(disk["star"] / "STAR_val.json")]) != version([other])
