"""The study's plan, its noise, and its report from kept answers."""

from dataclasses import replace
from random import Random

from trainer.evaluation.catalogue import BENCHMARKS
from trainer.study import plan as plans
from trainer.study.cell import asked
from trainer.study.graphs import noisy
from trainer.study.plan import Cell
from trainer.study.report import Result, markdown, pictures
from trainer.world.scene import Scene
from trainer.world.score import score
from trainer.world.truth import truth

SMALL = replace(plans.QUICK, seeds=3, questions=120, tables=("arms", "lambda"))


def test_arms_differ_in_one_thing_and_tables_share_their_cells() -> None:
    plan = plans.study(plans.FULL)
    step, base = plan.rows["arms"]["STEP"][0], plan.rows["arms"]["base"][0]
    assert step is not None and step.base == base and step.source.model == base and step.lambda_rationale == 1
    assert replace(plan.rows["arms"]["Distillation"][0], source=step.source) == step
    assert replace(plan.rows["arms"]["STEP, lambda 0"][0], lambda_rationale=1.0) == step
    assert plan.rows["lambda"]["1"][0] == plan.rows["mix"]["balanced"][0] == plan.rows["rounds"]["round 1"][0] == step
    tuned = [c for c in plan.cells() if c != base]
    assert {(c.worlds, c.rehearsal) for c in tuned} == {(plans.FULL.worlds, plans.REHEARSAL)}
    assert {c.samples for row in plan.rows["arms"].values() for c in row if c != base} == {plans.FULL.samples}


def test_cells_come_after_what_they_build_on_and_no_two_have_one_key() -> None:
    cells = plans.study(plans.FULL).cells()
    for at, cell in enumerate(cells):
        assert {c for c in (cell.base, cell.source.model) if c is not None} <= set(cells[:at])
    assert len({c.key("x") for c in cells}) == len(cells)
    assert cells[0].key("x") != cells[0].key("y")
    assert [c.key("x") for c in plans.study(plans.FULL).cells()] == [c.key("x") for c in cells]


def test_noise_makes_as_many_words_wrong_as_wanted() -> None:
    graphs = [truth(Scene.generate(seed, split="train")) for seed in range(60)]
    assert all(noisy(g, 0.0, Random(1)) == g for g in graphs)
    scores = [score(noisy(g, 0.2, Random(seed)), g) for seed, g in enumerate(graphs)]
    kept = {kind: sum(s[kind].hits for s in scores) / sum(s[kind].true for s in scores) for kind in scores[0]}
    assert 0.55 < kept["objects"] < 0.73  # two words each
    assert 0.2 < kept["relations"] < 0.45  # five words
    assert kept["events"] == 1


def test_a_report_tells_means_differences_and_what_is_not_measured() -> None:
    plan = plans.study(SMALL)
    items = asked(BENCHMARKS["world"](), SMALL.questions)
    deep = "".join("1" if item.steps >= 3 else "0" for item in items)

    def results(cell: Cell) -> Result:
        if cell in (*plan.rows["arms"]["Instruct"], *plan.rows["arms"]["Distillation"][1:]):
            return {}
        right = deep if cell == plan.rows["arms"]["STEP"][cell.seed] else "0" * SMALL.questions
        version = BENCHMARKS["world"]().version if cell.lambda_rationale < 4 else "another"
        answers = {
            f"world direct {SMALL.questions}": {"right": right, "blind": "0" * SMALL.questions, "version": version}
        }
        return {"answers": answers, "data": {"f1": {"objects": 0.9}, "samples": 600}}

    lines = list(markdown(plan, results, "stsg study"))
    step = next(line for line in lines if line.startswith("| STEP |"))
    assert "| 0.0 [0.0, 0.0] | 0.0 [0.0, 0.0] | 100.0 [100.0, 100.0] |" in step
    assert "+100.0 [+100.0, +100.0]; [100.0, 100.0] over seeds" in step
    against = lines.index("| STEP less | difference | p | p, Holm |")
    less = {name: line for line in lines[against + 2 :] if line for name in [line.split(" | ")[0]]}
    assert less["| Distillation"].startswith("| Distillation | +100.0 [+100.0, +100.0] | "), "one seed that both have"
    told = less["| STEP, lambda 0"].split(" | ")
    assert told[1] == "+100.0 [+100.0, +100.0]; [100.0, 100.0] over seeds"
    assert 0 < float(told[2]) < 0.05 and float(told[2]) < float(told[3].split()[0])
    assert next(line for line in lines if line.startswith("| base |")).startswith("| base | 0.0 | 0.0 |"), "one model"
    assert "![Fig. 5: lambda](study/lambda-world.svg)" in lines
    assert any(line.startswith("| Distillation (1 of 3 seeds) | ") for line in lines)
    assert any("models are measured" in line for line in lines)
    assert not any("world-shifted" in line or line.startswith(("| Instruct |", "| 4 |")) for line in lines)
    assert [name for name, _ in pictures(plan, results)] == ["arms-world.svg", "lambda-world.svg"]
