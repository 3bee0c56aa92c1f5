"""The study's report: tables with intervals over seeds and over videos, paired tests and pictures, from kept answers alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from statistics import fmean, stdev
from typing import Any

from scipy.stats import t as student

from trainer.evaluation.benchmark import STRATA, Item, stratum
from trainer.evaluation.catalogue import BENCHMARKS
from trainer.evaluation.plot import svg
from trainer.evaluation.report import ALL, Report
from trainer.evaluation.run import Verdict
from trainer.evaluation.scoring import correct
from trainer.evaluation.statistics import Interval, bootstrap, holm, sign_flip
from trainer.study.cell import asked, kept
from trainer.study.plan import Ask, Cell, Plan

Result = Mapping[str, Any]
Results = Callable[[Cell], Result]
_COLUMNS = (*STRATA, ALL)
_DEEP = "3+"
_HEADS = ("1 step", "2 steps", "3 or more", "all", "skill", "blind", "F1 of its graphs", "true answers", "samples")
_TESTED = ("difference", "p", "p, Holm")


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
        "Graphs are induced without one operation; what the student sees of a video stays the same.",
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
    "size": Table(
        "Data size",
        "1",
        "share of the samples",
        "Fewer samples, as many steps of the optimiser; with rationales, and without them (lambda 0).",
    ),
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
    """One line of a table: its verdicts by seed, all of them together, and its graphs and samples."""

    report: Report
    seeds: Mapping[int, Sequence[Verdict]]
    data: Sequence[Result]
    models: int  # one where all seeds start from it
    wanted: int  # of seeds

    @property
    def lacks(self) -> str:
        """What a reader is to know of a row that is not whole yet."""
        return f" ({len(self.seeds)} of {self.wanted} seeds)" if len(self.seeds) < self.wanted else ""

    def accuracies(self, part: str) -> dict[int, float]:
        """The share that each seed has right of the questions of a column."""
        return {
            seed: fmean(v.correct for v in verdicts if part in (ALL, stratum(v.steps)))
            for seed, verdicts in self.seeds.items()
        }


@dataclass(frozen=True, slots=True)
class Test:
    """How much better one row is than another on deep questions, with the seeds that both were measured with."""

    before: float
    over_seeds: Sequence[float]
    interval: Interval  # videos drawn anew
    p: float  # signs of the videos' gains flipped, each video's gain the mean over seeds


@dataclass(slots=True)
class Section:
    """A table about a benchmark: its rows, each against the reference, and the second reference against each."""

    table: str
    benchmark: str
    rows: Mapping[str, Row]
    tests: Mapping[str, Test] = field(default_factory=dict)
    contrasts: Mapping[str, Test] = field(default_factory=dict)


def markdown(plan: Plan, results: Results, command: str) -> Iterator[str]:
    """The report, line by line; what was not measured yet is left out and counted."""
    scale = plan.scale
    cells = plan.cells()
    known = sum(bool(results(cell)) for cell in cells)
    yield from ("# The paper's tables in miniature", "", f"`{command}` writes this file.", "")
    yield (
        f"{scale.seeds} seeds; where a row says nothing else, a model learns from {scale.samples:,} samples about "
        f"{scale.worlds} rendered videos in {scale.steps} steps of 16. {known} of {len(cells)} models are measured. "
        "Accuracies are percentages of exact matches, averaged over seeds, with 95 % intervals over seeds (Student's t) in "
        "brackets; blind is the same model without frames. The two guesses at the head of each table are the floor: a guesser "
        "that names any thing of the kind in question, in the whole video or in the answer's clip, unless the question "
        "mentions it. "
        "Skill, on questions of 3 or more steps, is (accuracy - guess in the video) / (1 - guess in the video): below 0 an "
        "arm knows less than the guesser does, and a difference between two such arms shows no reasoning. Of what a model "
        "learns from, F1 is that of the graphs, and true "
        "answers are the share of samples whose answer the true graph gives, too. Each seed has videos and samples of its "
        "own; all start from one base. Differences are on questions of 3 or more steps, with 95 % intervals over videos and "
        "over seeds. p is of a permutation test on the videos' mean gains; Holm's is adjusted for all tests of this report."
    )
    sections = list(_sections(plan, results))
    tests = [test for s in sections for test in (*s.tests.values(), *s.contrasts.values())]
    adjusted = dict(zip(map(id, tests), holm([test.p for test in tests]), strict=True))
    for section in sections:
        told = TABLES[section.table]
        yield from ("", f"## {told.title}" + ("" if section.benchmark == "world" else f", on {section.benchmark}"), "")
        yield from (f"{told.rows} In the paper: {told.paper}", "")
        yield from _table(told, section, adjusted)
        yield from ("", f"![{told.title}](study/{_picture(section)})")


def pictures(plan: Plan, results: Results) -> Iterator[tuple[str, str]]:
    """Names of files and what is in them: a picture of each table that has been measured."""
    for section in _sections(plan, results):
        yield _picture(section), svg([row.report for row in section.rows.values()], TABLES[section.table].title)


def _picture(section: Section) -> str:
    return f"{section.table}-{section.benchmark}.svg"


def _sections(plan: Plan, results: Results) -> Iterator[Section]:
    """The tables of which two rows are known."""
    for table, cells in plan.rows.items():
        benchmarks = dict.fromkeys(ask.benchmark for of in cells.values() for c in of for ask in plan.asks[c])
        for told, benchmark in product((TABLES[table],), benchmarks if table == "arms" else ("world",)):
            ask = Ask(benchmark, "rationale" if table == "rationale" else "direct", plan.scale.questions)
            rows = {name: row for name, of in cells.items() if (row := _row(name, ask, of, results))}
            if len(rows) > 1:  # one row alone compares nothing
                yield Section(table, benchmark, rows, *_tests(told, rows))


def _row(name: str, ask: Ask, cells: Sequence[Cell], results: Results) -> Row | None:
    """A row, None where no seed of it was measured."""
    known = {seed: results(cell) for seed, cell in enumerate(cells)}
    seeds = {seed: list(_verdicts(ask, found)) for seed, found in known.items() if kept(found, ask)}
    if not seeds:
        return None
    pooled = Report.of_verdicts(name, [v for one in seeds.values() for v in one])
    return Row(pooled, seeds, [known[seed]["data"] for seed in seeds], len(set(cells)), len(cells))


def _verdicts(ask: Ask, result: Result) -> Iterator[Verdict]:
    told = kept(result, ask) or {}
    for (item, guessed), right, blind in zip(_questions(ask), told["right"], told["blind"], strict=True):
        yield Verdict(item.id, item.video_id, item.steps, "", right == "1", blind == "1", guessed, False, item.guess)


@cache
def _questions(ask: Ask) -> list[tuple[Item, bool]]:
    known = BENCHMARKS[ask.benchmark]()
    return [(item, correct(known.prior.guess(item.question), item.answer)) for item in asked(known, ask.samples)]


def _tests(table: Table, rows: Mapping[str, Row]) -> tuple[dict[str, Test], dict[str, Test]]:
    """Each row against the reference, and the second reference against each row but these two."""
    first, second = rows.get(table.reference), rows.get(table.also)
    others = {name: row for name, row in rows.items() if row is not first}
    tests = {name: _test(first, row) for name, row in others.items()} if first else {}
    contrasts = {name: _test(row, second) for name, row in others.items() if row is not second} if second else {}
    return {n: t for n, t in tests.items() if t}, {n: t for n, t in contrasts.items() if t}


def _test(one: Row, other: Row) -> Test | None:
    seeds = sorted(one.seeds.keys() & other.seeds.keys())
    if not seeds:
        return None
    gains: list[float] = []
    videos: list[str] = []
    for pairs in zip(*(zip(one.seeds[s], other.seeds[s], strict=True) for s in seeds), strict=True):
        if stratum(pairs[0][0].steps) == _DEEP:
            gains.append(fmean(b.correct - a.correct for a, b in pairs))
            videos.append(pairs[0][0].video_id)
    before, after = one.accuracies(_DEEP), other.accuracies(_DEEP)
    return Test(
        fmean(before[s] for s in seeds),
        [after[s] - before[s] for s in seeds],
        bootstrap(gains, videos, seed=0),
        sign_flip(gains, videos, seed=0),
    )


def _table(table: Table, section: Section, adjusted: Mapping[int, float]) -> Iterator[str]:
    heads = (table.about, *_HEADS, *_TESTED)
    yield f"| {' | '.join(heads)} |"
    yield f"| --- |{' ---: |' * (len(heads) - 1)}"
    yield from _floor(next(iter(section.rows.values())), len(heads))
    for name, row in section.rows.items():
        told = [name + row.lacks, *(_accuracy(row, c) for c in _COLUMNS), _skill(row)]
        told.append(_percent(row.report.scores[ALL].blind))
        f1 = [fmean(d["f1"].values()) for d in row.data]
        true = [d["holds"] for d in row.data if "holds" in d]
        told += [f"{fmean(f1):.3f}", f"{fmean(true):.3f}" if true else ""]
        told.append(f"{fmean(d['samples'] for d in row.data):.0f}")
        test = section.tests.get(name)
        told += _tested(test, adjusted) if test else [""] * len(_TESTED)
        yield f"| {' | '.join(told)} |"
    if section.contrasts:
        yield from ("", f"| {table.also} less | {' | '.join(_TESTED)} |", f"| --- |{' ---: |' * len(_TESTED)}")
        for name, test in section.contrasts.items():
            yield f"| {' | '.join((name, *_tested(test, adjusted)))} |"


def _floor(row: Row, columns: int) -> Iterator[str]:
    """The two guesses; they are the same for every row, as all answer the same questions."""
    floors = [score.floor for part in _COLUMNS if (score := row.report.scores.get(part))]
    for name, values in (
        ("guess in the video", [floor.in_video for floor in floors if floor]),
        ("guess in the clip", [floor.in_clip for floor in floors if floor]),
    ):
        cells = [name, *map(_percent, values)]
        yield f"| {' | '.join(cells + [''] * (columns - len(cells)))} |"


def _skill(row: Row) -> str:
    score = row.report.scores.get(_DEEP)
    return f"{score.floor.skill:+.3f}" if score and score.floor else ""


def _tested(test: Test, adjusted: Mapping[int, float]) -> list[str]:
    low, high = test.interval
    difference = fmean(test.over_seeds)
    relative = f" ({100 * difference / test.before:+.0f} % relative)" if test.before else ""
    over_seeds = f"; {_interval(test.over_seeds)} over seeds" if len(test.over_seeds) > 1 else ""
    told = f"{100 * difference:+.1f}{relative} [{100 * low:+.1f}, {100 * high:+.1f}]{over_seeds}"
    return [told, f"{test.p:.2g}", f"{adjusted[id(test)]:.2g}"]


def _accuracy(row: Row, part: str) -> str:
    shares = list(row.accuracies(part).values())
    return _percent(fmean(shares)) + (f" {_interval(shares)}" if len(shares) > 1 and row.models > 1 else "")


def _interval(shares: Sequence[float]) -> str:
    half = student.ppf(0.975, len(shares) - 1) * stdev(shares) / len(shares) ** 0.5
    return f"[{100 * (fmean(shares) - half):.1f}, {100 * (fmean(shares) + half):.1f}]"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
