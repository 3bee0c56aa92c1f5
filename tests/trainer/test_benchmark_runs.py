"""A benchmark run from questions to the table: kept whole, taken up again, replayed, and never scored in silence."""

import json
from dataclasses import replace

import pytest

from model.video_llm import NO_ADVICE, Reply, VideoLLMError
from tests.trainer.benchmark_files import STAR, everything, video, write
from trainer.benchmarks.bridge import benchmark
from trainer.benchmarks.catalogue import suite
from trainer.benchmarks.files import BenchmarkError
from trainer.benchmarks.judge import TRIES, Judge, JudgeDownError, local, pin
from trainer.benchmarks.judging import VIDEO_CHATGPT
from trainer.benchmarks.record import Record
from trainer.benchmarks.report import table
from trainer.benchmarks.run import ask, mark
from trainer.evaluation.benchmark import shown as seen
from trainer.evaluation.report import Report
from trainer.evaluation.run import evaluate

YES, NO = "{'pred': 'yes', 'score': 5}", "{'pred': 'no', 'score': 1}"


class Model:
    """Says what it is told to, and counts what it is asked."""

    name, prompt_set, advice = "test:model", "standard", NO_ADVICE

    def __init__(self, replies=("red",), down_after=10**9):
        self.replies, self.down_after, self.asked = replies, down_after, []

    def answer(self, requests):
        if len(self.asked) + len(requests) > self.down_after:
            raise VideoLLMError("out of memory")
        self.asked += requests
        return [Reply(self.replies[(len(self.asked) - 1 - at) % len(self.replies)]) for at in range(len(requests))]


def judge(*said, name="test:judge"):
    """A judge that says one thing after the other, over and over; None is a server that is down."""
    told = []

    def reply(system, user):
        told.append((system, user))
        word = said[(len(told) - 1) % len(said)]
        if word is None:
            raise VideoLLMError("connection refused")
        return word

    return Judge(name, reply, at_once=1), told


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    return everything(tmp_path_factory.mktemp("benchmarks"))


def begun(folder, path, name="activitynet-qa"):
    items = suite(name).items(folder, partial=True).items
    head = {"benchmark": name, "version": "1", "model": "test:model", "questions": len(items)}
    return Record.opened(path, head), items, suite(name).scoring(False)


def done(steps):
    return list(steps)


def test_a_record_alone_gives_the_same_table_without_model_and_judge(disk, tmp_path):
    record, items, scoring = begun(disk["activitynet-qa"], tmp_path / "r.jsonl")
    model, (by, told) = Model(("it is red", "no")), judge(YES, NO)
    done(ask(record, items, model, scoring))
    done(mark(record, by, scoring))
    assert len(model.asked) == 2 and all(len(r.frames) == 8 for r in model.asked)
    assert model.asked[0].text.startswith("Based on the video, respond")
    assert "Correct Answer: yes\nPredicted Answer: " in told[0][1]
    first = table(record, suite("activitynet-qa"))
    again = table(Record(tmp_path / "r.jsonl"), suite("activitynet-qa"))
    assert json.dumps(first.to_dict()) == json.dumps(again.to_dict())
    every = again.scores["all", "all"]
    assert (every.count, every.accuracy, every.unread, every.mark) == (2, 0.5, 0.0, 3.0)
    assert again.scores["type", "color"].accuracy == 0.0 and again.scores["type", "yes/no"].accuracy == 1.0
    assert again.judge == pin("test:judge", VIDEO_CHATGPT) and again.judge["temperature"] == 0


def test_a_run_that_is_cut_off_goes_on_and_asks_nothing_twice(disk, tmp_path):
    path = tmp_path / "r.jsonl"
    record, items, scoring = begun(disk["activitynet-qa"], path)
    many = [replace(item, id=f"{item.id}-{n}") for n in range(10) for item in items]
    head = dict(record.head) | {"questions": 20}
    path.unlink()
    record = Record.opened(path, head)
    with pytest.raises(VideoLLMError):
        done(ask(record, many, Model(down_after=16), scoring))
    with path.open("ab") as file:
        file.write(b'{"kind": "reply", "it')  # killed while it wrote
    record = Record.opened(path, head)
    with pytest.raises(BenchmarkError, match="lacks 4 of its questions"):
        table(record, suite("activitynet-qa"))
    model = Model()
    assert done(ask(record, many, model, scoring)) == [20] and len(model.asked) == 4
    with pytest.raises(BenchmarkError, match=r"20 replies .* wait for a judge"):
        table(record, suite("activitynet-qa"))
    by, told = judge(*[YES] * 17, None)
    with pytest.raises(JudgeDownError, match=r"test:judge can't be reached: connection refused"):
        done(mark(record, by, scoring))
    record = Record(path)
    kept = len(record.verdicts)
    assert 17 <= kept < 20  # all that it said, and no more
    by, told = judge(YES)
    done(mark(record, by, scoring))
    assert len(told) == 20 - kept and table(record, suite("activitynet-qa")).scores["all", "all"].accuracy == 1.0


def test_a_judge_that_talks_nonsense_is_asked_a_finite_number_of_times_and_all_it_said_is_kept(disk, tmp_path):
    record, items, scoring = begun(disk["activitynet-qa"], tmp_path / "r.jsonl")
    done(ask(record, items, Model(), scoring))
    by, told = judge("As an AI", "{'pred': 'maybe'}", "42", "hm", YES)
    done(mark(record, by, scoring))
    assert len(told) == TRIES + 2
    assert list(record.verdicts.values()) == [["As an AI", "{'pred': 'maybe'}", "42"], ["hm", YES]]
    every = table(record, suite("activitynet-qa")).scores["all", "all"]
    assert (every.count, every.accuracy, every.unread) == (2, 0.5, 0.5)


def test_another_judge_prompt_model_or_benchmark_is_refused(disk, tmp_path):
    path = tmp_path / "r.jsonl"
    record, items, scoring = begun(disk["activitynet-qa"], path)
    done(ask(record, items[:1], Model(), scoring))
    done(mark(record, judge(YES)[0], scoring))
    done(ask(record, items, Model(), scoring))
    with pytest.raises(BenchmarkError, match="was marked by the judge"):
        done(mark(record, judge(YES, name="other")[0], scoring))
    with pytest.raises(BenchmarkError, match="can only be marked by a judge"):
        done(mark(record, None, scoring))
    with pytest.raises(BenchmarkError, match="begun with another version, model"):
        Record.opened(path, dict(record.head) | {"model": "x", "version": "2"})
    with pytest.raises(BenchmarkError, match="is a record of 'activitynet-qa'"):
        table(record, suite("star"))
    with pytest.raises(BenchmarkError, match="There is no record"):
        Record(tmp_path / "none.jsonl")
    bad = write(tmp_path / "bad.jsonl", '{"kind": "head"}\nnonsense\n')
    with pytest.raises(BenchmarkError, match="Line 2"):
        Record(bad)


def test_what_cannot_be_shown_is_told_and_counts_as_wrong(tmp_path):
    folder = tmp_path / "star"
    asked = [STAR | {"question_id": f"Interaction_T1_{n}", "video_id": f"V{n}"} for n in (1, 2, 3)]
    write(folder / "STAR_val.json", asked)
    video(folder / "V1.mp4")
    (folder / "V2.mp4").write_bytes(b"no video")
    record, items, scoring = begun(folder, tmp_path / "r.jsonl", "star-choice")
    done(ask(record, items, Model(("C",)), scoring))
    done(mark(record, None, scoring))  # a choice needs no judge
    found = table(record, suite("star-choice"))
    assert dict(found.not_shown) == {"not_a_video": 1, "missing": 1}
    every = found.scores["all", "all"]
    assert (every.count, round(every.accuracy, 3), round(every.unread, 3)) == (3, 0.333, 0.667)
    assert found.scores["steps", "1"].count == 3
    video(folder / "V3.mp4")  # it came later
    record, items, scoring = begun(folder, tmp_path / "r.jsonl", "star-choice")
    model = Model(("C",))
    done(ask(record, items, model, scoring))
    assert len(model.asked) == 1
    assert dict(table(Record(record.path), suite("star-choice")).not_shown) == {"not_a_video": 1}


def test_a_video_llm_can_be_the_judge_and_is_shown_nothing(disk, tmp_path):
    record, items, scoring = begun(disk["msrvtt-qa"], tmp_path / "r.jsonl", "msrvtt-qa")
    done(ask(record, items, Model(), scoring))
    model = Model((YES,))
    done(mark(record, local(model), scoring))
    assert model.asked[0].frames == () and model.asked[0].text.startswith("You are an intelligent chatbot")
    assert table(record, suite("msrvtt-qa")).scores["all", "all"].mark == 5.0


def test_the_evaluation_by_steps_can_ask_a_public_benchmark(tmp_path):
    asked = [
        STAR | {"question_id": f"{kind}_{n}", "start": n / 2}
        for n, kind in enumerate(("Interaction_T1", "Sequence_T3"))
    ]
    write(tmp_path / "STAR_val.json", asked)
    video(tmp_path / "V1.mp4")
    found = benchmark("star", suite("star").items(tmp_path, partial=True), train=())
    assert [(i.video_id, i.steps) for i in found.items] == [("V1@0-2.5", 1), ("V1@0.5-2.5", 2)]
    assert [len(i.frames) for i in seen(found.items, found.frames)] == [8, 8]
    rows = list(evaluate(seen(found.items, found.frames), Model(("the clothes",)), "direct", found.prior))
    assert Report.of("m", rows).scores["2"].accuracy == 1.0
    assert found.items[0].question == STAR["question"] and found.items[0].options == ()
    choices = benchmark("star-choice", suite("star-choice").items(tmp_path, partial=True))
    assert "(C) The clothes." in choices.items[0].question and len(choices.items[0].options) == 4
