"""Questions to models and what the reports say: with scripted models, so that every score is known beforehand."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.backends.recorded import RecordedVideoLLM
from model.backends.scripted import ScriptedVideoLLM
from model.rationale.formats import ANSWER_INSTRUCTION, RATIONALE_INSTRUCTION
from model.stsg import Keyframe
from model.video_llm import Request
from trainer.evaluation.benchmark import Item, chosen, shown
from trainer.evaluation.plot import svg
from trainer.evaluation.prior import Prior, phrasing
from trainer.evaluation.report import OtherQuestions, Report, compare, told
from trainer.evaluation.run import Row, evaluate, verdict

FRAME = Keyframe("v:000000000", 0.0, np.zeros((4, 4, 3), np.uint8))
ITEMS = [
    Item(
        f"i{n}",
        f"v{n // 6}",
        f"Which object is above the {color} circle of shot {n}?",
        f"{color} cross",
        1 + n % 5,
        (FRAME,),
    )
    for n, color in enumerate(["red", "green", "blue", "white"] * 6)
]
PRIOR = Prior.of([("Which object is above the red circle?", "red cross"), ("How many objects?", "2")] * 2)
RIGHT = {item.id: item.answer for item in ITEMS}


def _model(wrong: frozenset[str] = frozenset(), rationale: str = "So it is the {}.") -> ScriptedVideoLLM:
    def answer(request: Request) -> str:
        id = request.values["item"]
        return "nothing" if id in wrong or not request.frames else f"The {RIGHT[id]}."

    return ScriptedVideoLLM(
        {
            "evaluation_answer": answer,
            "evaluation_answer_after": answer,
            "evaluation_rationale": lambda r: rationale.format(answer(r).removeprefix("The ").rstrip(".")),
        }
    )


def _rows(model: ScriptedVideoLLM, mode: str = "direct") -> list[Row]:
    return list(evaluate(ITEMS, model, mode, PRIOR))  # type: ignore[arg-type]


def test_a_perfect_model_is_always_right_and_never_without_frames() -> None:
    for mode in ("direct", "rationale"):
        report = Report.of("perfect", _rows(_model(), mode))
        assert [(part, s.accuracy, s.blind) for part, s in report.scores.items()] == [
            (part, 1.0, 0.0) for part in ("1", "2", "3+", "all")
        ]
        assert report.scores["3+"].count == sum(item.steps >= 3 for item in ITEMS)
        assert report.scores["all"].guessed == sum(item.answer == "red cross" for item in ITEMS) / len(ITEMS)


def test_instructions_are_those_of_the_training_rows() -> None:
    direct, through = _model(), _model()
    _rows(direct), _rows(through, "rationale")
    assert {r.text for r in direct.asked} == {f"{i.question}\n{ANSWER_INSTRUCTION}" for i in ITEMS}
    assert {r.text for r in through.asked} == {f"{i.question}\n{RATIONALE_INSTRUCTION}" for i in ITEMS}
    assert sorted(bool(r.frames) for r in direct.asked) == [False] * len(ITEMS) + [True] * len(ITEMS)


def test_a_rationale_that_ends_in_no_answer_is_followed_by_the_question_for_it() -> None:
    long = "It has been said that one should look for what stands far above the rest of all things {}"
    model = _model(rationale=long)
    rows = _rows(model, "rationale")
    after = [r for r in model.asked if r.step == "evaluation_answer_after"]
    assert len(after) == 2 * len(ITEMS)
    assert after[0].text.splitlines() == [ITEMS[0].question, long.format("red cross"), ANSWER_INSTRUCTION]
    report = Report.of("m", rows)
    assert report.scores["all"].accuracy == 1.0 and report.scores["all"].asked_after == len(ITEMS)


def test_kept_rows_give_the_same_report_and_a_recording_gives_the_same_rows(tmp_path: Path) -> None:
    for mode in ("direct", "rationale"):
        rows = _rows(_model(frozenset({"i3"}), "So it is the {} in the picture that we all saw"), mode)
        kept = [json.loads(json.dumps(row)) for row in rows]
        assert told([Report.of("m", kept)]) == told([Report.of("m", rows)])
        trace = tmp_path / f"{mode}.jsonl"
        trace.write_text("".join(json.dumps(e) + "\n" for row in rows for e in row["seen"] + row["blind"]))
        again = list(evaluate(ITEMS, RecordedVideoLLM(trace), mode, PRIOR))  # type: ignore[arg-type]
        assert [verdict(row) for row in again] == [verdict(row) for row in rows]


def test_two_models_are_compared_on_the_same_questions() -> None:
    wrong = frozenset(i.id for i in ITEMS if i.steps >= 3)
    good, bad = Report.of("good", _rows(_model())), Report.of("bad", _rows(_model(wrong)))
    found = {c.steps: c for c in compare([bad, good])}
    assert (found["3+"].difference, found["3+"].only_first, found["3+"].only_second) == (1.0, 0, len(wrong))
    assert found["3+"].p == 2 / 2 ** len(wrong) and found["3+"].p_holm == pytest.approx(4 * found["3+"].p)
    assert (found["1"].difference, found["1"].p, found["1"].interval) == (0.0, 1.0, (0.0, 0.0))
    fewer = Report.of("fewer", _rows(_model())[1:])
    with pytest.raises(OtherQuestions, match="fewer"):
        compare([good, fewer])


def test_the_plot_shows_every_model_and_stratum() -> None:
    picture = svg([Report.of("a <b>", _rows(_model())), Report.of("b", _rows(_model(frozenset(RIGHT))))], "title")
    assert picture.count('width="26"') == 8 and "a &lt;b&gt;" in picture and "3 or more" in picture
    heights = {part.split('"')[0] for part in picture.split('width="26" height="')[1:]}
    assert heights == {"240.0", "0.0"}


def test_a_sample_is_of_all_strata_alike_and_of_few_videos_and_grows() -> None:
    nine, six = chosen(ITEMS, 9, 3), chosen(ITEMS, 6, 3)
    assert [i.id for i in nine] == [i.id for i in chosen(ITEMS, 9, 3)] != [i.id for i in chosen(ITEMS, 9, 4)]
    assert [sum(min(i.steps, 3) == n for i in nine) for n in (1, 2, 3)] == [3, 3, 3]
    assert {i.id for i in six} <= {i.id for i in nine}
    assert chosen(ITEMS, len(ITEMS), 0) == ITEMS
    few = chosen([replace(i, steps=1) for i in ITEMS[:4]] + ITEMS[8:9], 5, 0)
    assert len(few) == 5, "what one stratum lacks, the others give"


def test_frames_are_fetched_once_a_video() -> None:
    fetched: list[str] = []

    def frames(video: str) -> tuple[Keyframe, ...]:
        fetched.append(video)
        return (FRAME,)

    assert all(item.frames for item in shown(ITEMS, frames))
    assert fetched == ["v0", "v1", "v2", "v3"]


def test_a_phrasing_has_gaps_for_answers_numbers_and_quotations() -> None:
    words = frozenset({"red", "circle", "2"})
    assert (
        phrasing('During the event "in the lab, a red circle", how many red circle?', words)
        == "during event _ how many _"
    )
    assert phrasing("Between 0.2 and 1.8 seconds, is it red?", words) == "between _ and _ seconds is it _"
    assert PRIOR.guess("Which object is above the red circle?") == "red cross"
    assert PRIOR.guess("How many objects, at last?") == "2", "the first words of a new phrasing"
    assert PRIOR.guess("Why?") in ("2", "red cross") and Prior.from_dict(PRIOR.to_dict()) == PRIOR
