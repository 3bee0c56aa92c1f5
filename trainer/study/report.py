"""The study's report: tables with intervals over seeds and over videos, paired tests and pictures, from kept answers alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from statistics import fmean, stdev
from typing import Any

from scipy.stats import t as student

from trainer.evaluation.benchmark import STRATA, Item
from trainer.evaluation.catalogue import BENCHMARKS
from trainer.evaluation.plot import svg
from trainer.evaluation.report import ALL, Comparison, Report, compare
from trainer.evaluation.run import Verdict
from trainer.evaluation.scoring import correct
from trainer.study.cell import asked
from trainer.study.plan import Cell, Plan

Result = Mapping[str, Any]
Results = Callable[[Cell], Result]
_COLUMNS = (*STRATA, ALL)
_DEEP = "3+"


@dataclass(frozen=True, slots=True)
class Table:
    """How a table is headed, what its rows are, what the paper found, and which rows are compared with the others."""

    title: str
    reference: str
    about: str
    rows: str
    paper: str = "no such table."
    also: str = ""  # a second row that the others are compared with


TABLES: Mapping[str, Table] = {
    "arms": Table(
        "Table 2: who makes the data, and what is learned of it",
        "base",
        "arm",
        "STEP learns from the base's own graphs with rationales; Instruct from annotated (true) questions of one and two steps "
        "without them; Distillation from true graphs, as a perfect teacher would make them, with rationales.",
        "Questions of 3 or more steps in STAR: base 27.7, Instruct 28.0, Distillation 31.8, STEP 33.6 (+21.3 % relative).",
        also="STEP",
    ),
    "ablation": Table(
        "Table 4: what each operation of the induction is worth",
        "STEP",
        "graphs",
        "Graphs are induced without one operation.",
        "All questions of STAR: STEP 39.8, without splitting 39.2, bridging 38.3, merging 37.3, parsing 36.5; verification is "
        "not left out alone.",
    ),
    "lambda": Table(
        "Fig. 5: lambda", "0", "lambda", "The weight of the loss on rationales.", "1 is best, less and more are worse."
    ),
    "mix": Table(
        "Fig. 6: reasoning steps of the samples",
        "balanced",
        "steps",
        "Shares of samples by their number of steps.",
        "A balanced mix is best; many samples of one step, and those of three alone, are worse.",
    ),
    "rounds": Table(
        "More rounds of self-training",
        "round 1",
        "round",
        "Each round's graphs are made by the model of the round before; each training starts from the base.",
    ),
    "noise": Table(
        "Graph quality: wrong words in true graphs", "0", "share of wrong words", "Words of true graphs drawn anew."
    ),
    "size": Table("Data size", "1", "share of the samples", "Fewer samples, as many steps of the optimiser."),
    "rationale": Table(
        "Answers through the rationale",
        "base",
        "arm",
        "The model tells its rationale first, and answers with it before its eyes.",
        also="STEP",
    ),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: the verdicts of all seeds together, each seed's accuracies, and its graphs and samples."""

    report: Report
    by_seed: Mapping[str, Sequence[float]]
    data: Sequence[Result]


def markdown(plan: Plan, results: Results, command: str) -> Iterator[str]:
    """The report, line by line; what was not measured yet is left out and counted."""
    scale = plan.scale
    cells = plan.cells()
    known = sum(bool(results(cell)) for cell in cells)
    yield from ("# The paper's tables in miniature", "", f"`{command}` writes this file.", "")
    yield (
        f"{scale.seeds} seeds; each model learns from {scale.samples:,} samples about {scale.worlds} rendered videos in "
        f"{scale.steps} steps of 16. {known} of {len(cells)} models are measured. Accuracies are percentages of exact "
        "matches, averaged over seeds, with 95 % intervals over seeds (Student's t) in brackets; blind is the same model "
        "without frames. Differences are on questions of 3 or more steps, with 95 % intervals over videos and over seeds, and "
        "exact McNemar tests."
    )
    for table, benchmark in _shown(plan):
        rows = _rows(plan, results, table, benchmark)
        if rows:
            told = TABLES[table]
            yield from ("", f"## {told.title}" + ("" if benchmark == "world" else f", on {benchmark}"), "")
            yield from (f"{told.rows} In the paper: {told.paper}", "")
            yield from _table(told, rows)
            if told.also in rows:
                yield from _contrasts(told, rows)
            yield from ("", f"![{told.title}](study/{_picture(table, benchmark)})")


def pictures(plan: Plan, results: Results) -> Iterator[tuple[str, str]]:
    """Names of files and what is in them: a picture of each table that has been measured."""
    for table, benchmark in _shown(plan):
        rows = _rows(plan, results, table, benchmark)
        if rows:
            yield _picture(table, benchmark), svg([row.report for row in rows.values()], TABLES[table].title)


def _picture(table: str, benchmark: str) -> str:
    return f"{table}-{benchmark}.svg"


def _shown(plan: Plan) -> Iterator[tuple[str, str]]:
    for table, rows in plan.rows.items():
        benchmarks = dict.fromkeys(ask.benchmark for cells in rows.values() for c in cells for ask in plan.asks[c])
        yield from product((table,), benchmarks if table == "arms" else ("world",))


def _rows(plan: Plan, results: Results, table: str, benchmark: str) -> dict[str, Row]:
    """The rows of a table of which anything is known."""
    mode = "rationale" if table == "rationale" else "direct"
    key = f"{benchmark} {mode} {plan.scale.questions}"
    rows = {}
    for name, cells in plan.rows[table].items():
        found = [r for r in map(results, cells) if key in r.get("answers", {})]
        if found:
            rows[name] = _row(name, benchmark, plan.scale.questions, [r["answers"][key] for r in found], found)
    return rows


def _row(name: str, benchmark: str, samples: int, answers: Sequence[Result], found: Sequence[Result]) -> Row:
    seeds = [list(_verdicts(benchmark, samples, one, str(seed))) for seed, one in enumerate(answers)]
    reports = [Report.of_verdicts(name, verdicts) for verdicts in seeds]
    by_seed = {c: [r.scores[c].accuracy for r in reports if c in r.scores] for c in _COLUMNS}
    return Row(Report.of_verdicts(name, [v for one in seeds for v in one]), by_seed, [r["data"] for r in found])


def _verdicts(benchmark: str, samples: int, answers: Result, seed: str) -> Iterator[Verdict]:
    for (item, guessed), right, blind in zip(
        _questions(benchmark, samples), answers["right"], answers["blind"], strict=True
    ):
        yield Verdict(f"{seed}:{item.id}", item.video_id, item.steps, "", right == "1", blind == "1", guessed, False)


@cache
def _questions(benchmark: str, samples: int) -> list[tuple[Item, bool]]:
    known = BENCHMARKS[benchmark]()
    return [(item, correct(known.prior.guess(item.question), item.answer)) for item in asked(known, samples)]


def _table(table: Table, rows: Mapping[str, Row]) -> Iterator[str]:
    heads = (
        table.about,
        "1 step",
        "2 steps",
        "3 or more",
        "all",
        "blind",
        "F1 of graphs",
        "samples",
        "difference",
        "p",
    )
    yield f"| {' | '.join(heads)} |"
    yield f"| --- |{' ---: |' * (len(heads) - 1)}"
    reference = rows.get(table.reference)
    tests = _tests(reference, rows) if reference else {}
    for name, row in rows.items():
        told = [name, *(_accuracy(row.by_seed[c]) for c in _COLUMNS), _percent(row.report.scores[ALL].blind)]
        f1 = [fmean(d["f1"].values()) for d in row.data]
        told += [f"{fmean(f1):.3f}", f"{fmean(d['samples'] for d in row.data):.0f}"]
        told += _difference(reference, row, tests[name]) if reference and name in tests else ["", ""]
        yield f"| {' | '.join(told)} |"


def _contrasts(table: Table, rows: Mapping[str, Row]) -> Iterator[str]:
    """How much better the second reference is than each row."""
    better = rows[table.also]
    others = {n: row for n, row in rows.items() if n not in (table.also, table.reference)}
    lines = [
        [n, *_difference(row, better, test)] for n, row in others.items() for test in _tests(row, {"": better}).values()
    ]
    if lines:
        yield from ("", f"| {table.also} less | difference | p |", "| --- | ---: | ---: |")
        yield from (f"| {' | '.join(line)} |" for line in lines)


def _tests(reference: Row, rows: Mapping[str, Row]) -> dict[str, Comparison]:
    """Each other row against the reference, on deep questions, where both were measured with the same seeds."""
    like = {
        name: row
        for name, row in rows.items()
        if row is not reference and len(row.report.verdicts) == len(reference.report.verdicts)
    }
    found = [c for row in like.values() for c in compare([reference.report, row.report]) if c.steps == _DEEP]
    return dict(zip(like, found, strict=True))


def _difference(reference: Row, row: Row, test: Comparison) -> list[str]:
    gains = [b - a for a, b in zip(reference.by_seed[_DEEP], row.by_seed[_DEEP], strict=True)]
    low, high = test.interval
    over_seeds = f"; {_interval(gains)} over seeds" if len(gains) > 1 else ""
    relative = (
        f" ({100 * test.difference / before:+.0f} % relative)" if (before := fmean(reference.by_seed[_DEEP])) else ""
    )
    return [
        f"{100 * test.difference:+.1f}{relative} [{100 * low:+.1f}, {100 * high:+.1f}]{over_seeds}",
        f"{test.p:.2g}",
    ]


def _accuracy(shares: Sequence[float]) -> str:
    return _percent(fmean(shares)) + (f" {_interval(shares)}" if len(shares) > 1 else "")


def _interval(shares: Sequence[float]) -> str:
    half = student.ppf(0.975, len(shares) - 1) * stdev(shares) / len(shares) ** 0.5
    return f"[{100 * (fmean(shares) - half):.1f}, {100 * (fmean(shares) + half):.1f}]"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
