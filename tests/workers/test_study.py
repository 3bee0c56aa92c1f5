"""The study is carried out once: a small one from videos to tables, with real trainings and a real Neo4j."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trainer.study import plan as plans
from trainer.study.report import markdown
from workers.study import Study

ROOT = Path(__file__).parent.parent.parent
SCALE = replace(plans.QUICK, worlds=2, samples=12, steps=2, base=(2, 20, 3), questions=6, tables=())


@pytest.mark.timeout(600)
def test_a_study_goes_from_videos_to_a_table_and_is_not_done_twice(tmp_path: Path) -> None:
    plan, step = plans.study(SCALE), plans.step(SCALE, seed=0)
    assert step.base is not None
    for name, cell in (("base", step.base), ("STEP", step)):
        plan.add("arms", name, cell, plans.Ask(samples=SCALE.questions))
    study, told = Study(tmp_path / "work", tmp_path / "results"), list[str]()
    study.run(plan, told.append)
    assert told[0] == "2 models to measure"
    for cell, samples, steps in ((step.base, 20, 3), (step, 12, 2)):
        found = study.result(cell)
        assert len(found["answers"]["world direct 6"]["right"]) == 6
        assert found["data"]["samples"] == samples and found["training"]["steps"] == steps
    perfect, induced = (study.result(cell)["data"]["f1"] for cell in (step.base, step))
    assert set(perfect.values()) == {1.0} and 0 <= min(induced.values()) < 1
    for cell, rows in ((step.base, 20), (step, 12)):
        folder = tmp_path / "work" / "cells" / study.key(cell)
        asked, rehearsed = (read(folder / f"{name}.jsonl") for name in ("train", "mixture"))
        assert all((folder / name).is_file() for row in asked + rehearsed for name in row.get("frames", ()))
        assert len(asked) == rows and len(rehearsed) == round(plans.REHEARSAL * rows)
        assert all(row["answer"] and row["instruction"] == "" for row in rehearsed)
    lines = list(markdown(plan, study.result, "stsg study"))
    assert any(line.startswith("| STEP |") for line in lines)
    shutil.rmtree(tmp_path / "work")  # what is measured needs nothing but its results
    study.run(plan, told.append)
    assert told[-1] == "0 models to measure"
    assert list(markdown(plan, study.result, "stsg study")) == lines


def test_the_report_and_the_readme_say_what_the_kept_answers_do(tmp_path: Path) -> None:
    told = list(markdown(plans.study(plans.FULL), Study(tmp_path).result, "stsg study"))
    assert (ROOT / "trainer" / "STUDY.md").read_text().splitlines() == told
    readme = (ROOT / "README.md").read_text().splitlines()
    kept, shown = (
        rows(lines, lines.index(next(x for x in lines if x.startswith("| arm ")))) for lines in (told, readme)
    )
    assert [
        [row[at] for at in (0, 1, 2, 3, 5, 10)] for row in kept
    ] == shown  # the arm, accuracies by steps, the skill, the difference


def rows(lines: list[str], head: int) -> list[list[str]]:
    """The cells of a table's rows."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[head + 2 : lines.index("", head)]]


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]
