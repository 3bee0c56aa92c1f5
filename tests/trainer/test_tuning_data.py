"""What a training is given: specs, rows, mixtures and recipes, and a clear refusal of what can't be used."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.trainer.tuning_folders import TINY, build, losses, make_folder, read_lines, write_rows
from trainer.tuning import checkpoints, recipes
from trainer.tuning.data import Sample, drawn, order, order_by_frames, training_samples
from trainer.tuning.spec import TuningError, TuningSpec


def test_a_spec_is_read_without_torch_and_written_back() -> None:
    code = "import sys, trainer.tuning.recipes, trainer.tuning.data; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    given = {"base": TINY, "lora": {"rank": 4, "targets": ["q_proj"]}, "mixture": {"ratio": 2}, "size": 224}
    spec = TuningSpec.from_dict(given)
    assert TuningSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    assert spec.learning_rate == 1e-4 and TuningSpec.from_dict({"base": TINY}).learning_rate == 1e-5
    assert spec.lambda_rationale == 1 and (spec.frames, spec.shared_prefix) == (8, True)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"lambda_rationale": -1}, "lambda_rationale"),
        ({"lambda_rationale": float("nan")}, "lambda_rationale"),
        ({"lambda_rationale": 1, "recipe": "instruct"}, "lambda_rationale"),
        ({"recipe": "dpo"}, "recipe"),
        ({"base": " "}, "base"),
        ({"instruction_rationale": TuningSpec("x").instruction_answer}, "instruction_rationale"),
        ({"frames": 0}, "frames"),
        ({"shown_as": "film"}, "shown_as"),
        ({"tell_times": "yes"}, "tell_times"),
        ({"batch": 6, "accumulation": 4}, "batch"),
        ({"lora": {"rank": 0}}, "lora.rank"),
        ({"lora": {"rang": 4}}, "lora.rang"),
        ({"mixture": {"ratio": -1}}, "mixture"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"epochen": 3}, "epochen"),
    ],
)
def test_a_wrong_value_is_refused_by_its_field(given: dict[str, Any], field: str) -> None:
    with pytest.raises(TuningError) as refused:
        TuningSpec.from_dict({"base": TINY} | given)
    assert refused.value.field == field and refused.value.detail and refused.value.remedy


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"frames": []}, "no_frames"),
        ({"instruction": ["Say it."]}, "bad_row"),
        ({"frames": ["pictures/gone.png"], "times": [0]}, "frames_gone"),
        ({"frames": ["../spec.json"], "times": [0]}, "bad_row"),
        ({"frames": ["/etc/passwd"], "times": [0]}, "bad_row"),
        ({"times": [0.0]}, "bad_row"),
        ({"clips": [0.0, "one"]}, "bad_row"),
        ({"clips": [0.0, float("nan")]}, "bad_row"),
        ({"clips": [4.0, 2.0]}, "bad_row"),
        ({"answer": ""}, "bad_row"),
    ],
)
def test_a_row_that_can_not_be_used_is_refused_by_its_line(tmp_path: Path, change: dict[str, Any], code: str) -> None:
    folder = make_folder(tmp_path / "f", 2)
    rows = read_lines(folder / "train.jsonl")
    write_rows(folder / "train.jsonl", [rows[0], rows[1] | change])
    with pytest.raises(TuningError, match=r"train\.jsonl line 2") as refused:
        training_samples(TuningSpec(TINY), folder)
    assert refused.value.code == code
    write_rows(folder / "train.jsonl", [])
    with pytest.raises(TuningError, match="nothing to learn from"):
        training_samples(TuningSpec(TINY), folder)


def test_a_base_that_is_not_there_or_not_safe_is_refused(tmp_path: Path) -> None:
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    (pickled / "config.json").write_text((Path(TINY) / "config.json").read_text())
    torch.save(load_file(Path(TINY) / "model.safetensors"), pickled / "pytorch_model.bin")
    for n, (base, code) in enumerate(((str(pickled), "unsafe_base"), (str(tmp_path / "none"), "unknown_base"))):
        with pytest.raises(TuningError) as refused:
            build(make_folder(tmp_path / str(n), 2, base=base))
        assert (refused.value.code, refused.value.field) == (code, "base")
    broken = make_folder(tmp_path / "broken", 1, batch=1)
    for picture in (broken / "pictures").iterdir():
        picture.write_bytes(b"no picture")
    trainer = build(make_folder(tmp_path / "deep", 1, batch=1, lambda_rationale=0))
    with pytest.raises(TuningError, match="can't be read"):
        trainer.encoder.encode(training_samples(TuningSpec(TINY), broken)[0])


def test_what_does_not_fit_is_refused_and_never_cut_off(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "f", 1, batch=1, lambda_rationale=0)
    [row] = read_lines(folder / "train.jsonl")
    write_rows(folder / "train.jsonl", [row | {"question": "Is it red? " * 400}])
    trainer = build(folder)
    with pytest.raises(TuningError, match=r"the model \d+") as refused:
        trainer.train()
    assert refused.value.code == "too_long" and "frames" in refused.value.remedy


def test_earlier_instruction_data_is_mixed_in_by_its_answers_alone(tmp_path: Path) -> None:
    folder, other = make_folder(tmp_path / "f", 4), make_folder(tmp_path / "g", 3)
    for picture in (other / "pictures").iterdir():
        picture.rename(folder / "pictures" / f"m{picture.name}")
    rows = read_lines(other / "train.jsonl")
    for row in rows:
        row |= {"id": f"m{row['id']}", "frames": [name.replace("pictures/", "pictures/m") for name in row["frames"]]}
    write_rows(folder / "mixture.jsonl", rows)
    samples = training_samples(TuningSpec.from_dict({"base": TINY, "mixture": {"ratio": 1.5}}), folder)
    assert [bool(s.rationale) for s in samples] == [True] * 4 + [False] * 6
    assert set(Counter(s.id for s in samples[4:]).values()) == {2}  # every row as often as any other
    assert [len(training_samples(TuningSpec(TINY), folder))] == [4]


def test_earlier_rows_may_have_an_instruction_of_their_own_and_show_one_frame_or_none(tmp_path: Path) -> None:
    """A batch of a video, a picture and a text has the loss of the three one by one, also behind shared prefixes."""

    def trained(name: str, **spec: Any) -> list[dict[str, Any]]:
        folder = make_folder(tmp_path / name, 4, batch=6, mixture={"ratio": 0.5}, max_steps=2, **spec)
        [row, _, other, _] = read_lines(folder / "train.jsonl")
        one = row | {"frames": row["frames"][:1], "times": [0.0], "question": "Is it red?", "instruction": ""}
        text = other | {"frames": [], "times": [], "instruction": "Say it in a word."}
        write_rows(folder / "mixture.jsonl", [one, text])
        trainer = build(folder)
        samples = training_samples(trainer.spec, folder)
        assert [(len(s.frames), s.instruction) for s in samples[4:]] == [(1, ""), (0, "Say it in a word.")]
        asked = [trainer.encoder.encode(s).prompts[0].request.text for s in samples[4:]]
        assert asked == ["Is it red?", f"{text['question']}\nSay it in a word."]
        trainer.train()
        return losses(folder)

    together, alone, twice = trained("1"), trained("2", accumulation=6), trained("3", shared_prefix=False)
    for other in (alone, twice):
        assert [row["loss"] for row in other] == pytest.approx([row["loss"] for row in together], rel=1e-5)


def test_the_order_is_the_seeds_and_shows_everything_equally_often() -> None:
    shown = order(5, 12, 3)
    assert sorted(shown[:5]) == sorted(shown[5:10]) == list(range(5)) and shown == order(5, 12, 3)
    assert shown[:5] != shown[5:10] and shown != order(5, 12, 4)
    assert TuningSpec(TINY, epochs=2, batch=4).steps(5) == 3 and TuningSpec(TINY, epochs=2, max_steps=1).steps(99) == 1


def test_samples_about_the_same_frames_follow_each_other() -> None:
    samples = [
        Sample(str(n), "", "", "", "", 1, (Path(str(n % 4)),), (0.0,)) for n in range(22)
    ]  # 6, 6, 5 and 5 of each
    shown = order_by_frames(samples, 44, 3, 3)
    assert sorted(shown[:22]) == sorted(shown[22:]) == list(range(22)) and shown[:22] != shown[22:]
    assert shown == order_by_frames(samples, 44, 3, 3) != order_by_frames(samples, 44, 4, 3)
    runs = [{samples[i].frames for i in shown[at : at + 3]} for at in range(0, 21, 3)]
    assert sum(len(frames) == 1 for frames in runs) >= 6  # two of two of them, one of the others, and what is left
    assert order_by_frames(samples, 44, 3, 1) == order(22, 44, 3)


def test_recipes_are_the_papers() -> None:
    lambdas = {make(TINY).recipe: make(TINY).lambda_rationale for make in (recipes.step, recipes.distillation)}
    assert lambdas == {"step": 1, "distillation": 1}
    assert {make(TINY, batch=4).lambda_rationale for make in (recipes.instruct, recipes.rationale_free)} == {0}
    swept = recipes.lambda_sweep(recipes.step(TINY, seed=3))
    assert swept["lambda 0.5"].lambda_rationale == 0.5 and {s.seed for s in swept.values()} == {3} and len(swept) == 6
    rows = [{"id": n, "steps": 1 + n % 4} for n in range(240)]
    mixes = recipes.step_mix_sweep(recipes.step(TINY), rows)
    assert {len(chosen) for _, chosen in mixes.values()} == {60}
    assert Counter(r["steps"] for r in mixes["one step"][1]) == {1: 60}
    balanced = Counter(min(r["steps"], 3) for r in mixes["balanced"][1])
    assert balanced == {1: 20, 2: 20, 3: 20}
    assert len(recipes.instruct_rows(rows, 100, 0)) == 200 and len(recipes.instruct_rows(rows, 100, 0, "same")) == 100
    for wrong in (lambda: recipes.instruct_rows(rows, 200, 0), lambda: recipes.step_mix(rows, {2: 1.0}, 61, 0)):
        with pytest.raises(TuningError, match=r"and there are"):
            wrong()
    with pytest.raises(TuningError, match=r"rows of 3 steps, and there are none"):
        recipes.step_mix_sweep(recipes.step(TINY), [row for row in rows if row["steps"] < 3])


def test_a_validation_asks_some_of_the_held_out_rows() -> None:
    held = [Sample(str(n), "v", "q", "a", "", 1, (), ()) for n in range(20)]
    some = drawn(held, 5, 3)
    assert len(some) == 5 and some == sorted(some, key=held.index) == drawn(held, 5, 3) != drawn(held, 5, 4)
    assert drawn(held, 0, 3) == drawn(held, 20, 3) == held


def test_old_checkpoints_go_and_the_best_one_stays(tmp_path: Path) -> None:
    for step in range(1, 8):
        part = checkpoints.aside(checkpoints.path_of(tmp_path, step))
        (part / "model.safetensors").write_text("x")
        (part / checkpoints.STATE).mkdir()
        checkpoints.settle(part, checkpoints.path_of(tmp_path, step))
    rows = [
        {"step": n, "validation": {"1": {"count": 4, "correct": right}}}
        for n, right in ((0, 5), (2, 1), (3, 4), (4, 4))
    ]
    (tmp_path / "metrics.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in [{"step": 1, "loss": 2.0}, *rows])
    )

    def left() -> list[int]:
        return sorted(checkpoints.step_of(c) for c in (tmp_path / "checkpoints").iterdir())

    checkpoints.thin(tmp_path)
    assert left() == [*range(1, 8)]
    checkpoints.thin(tmp_path, keep=2)
    assert left() == [3, 6, 7] and checkpoints.newest(tmp_path) == checkpoints.path_of(tmp_path, 7)
    assert not (checkpoints.path_of(tmp_path, 3) / checkpoints.STATE).exists()
