"""A report as a picture: bars of accuracy by number of steps, a colour for each model, drawn as plain SVG."""

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from trainer.evaluation.benchmark import STRATA
from trainer.evaluation.report import ALL, Report, Score

_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999")  # told apart by all eyes
_BAR, _GAP, _TOP, _HEIGHT, _LEFT, _LINE = 30, 34, 40, 240, 56, 20
_TITLES = {"1": "1 step", "2": "2 steps", "3+": "3 or more", ALL: "all"}


def svg(reports: Sequence[Report], title: str) -> str:
    """One picture of several models; whiskers are 95 % intervals over videos, a dashed line is the score without frames.

    A red line is what a guess among the things of the video scores, where the benchmark knows it.
    """
    groups = [part for part in (*STRATA, ALL) if any(part in r.scores for r in reports)]
    group = len(reports) * _BAR + _GAP
    width = max(_LEFT + len(groups) * group + 20, 420)
    legend = _TOP + _HEIGHT + 44
    height = legend + (len(reports) + 3) * _LINE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        ' font-family="system-ui, sans-serif" font-size="12" fill="#222">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        _text(_LEFT, 22, title, size=14, weight="bold"),
        *_axis(width),
    ]
    for at, part in enumerate(groups):
        start = _LEFT + at * group + _GAP / 2
        count = next(r.scores[part].count for r in reports if part in r.scores)
        middle = start + len(reports) * _BAR / 2
        parts.append(_text(middle, _TOP + _HEIGHT + 18, _TITLES[part], anchor="middle"))
        parts.append(_text(middle, _TOP + _HEIGHT + 33, f"n = {count}", anchor="middle", size=10, fill="#777"))
        for number, report in enumerate(reports):
            if part in report.scores:
                parts += _bar(start + number * _BAR, report.scores[part], _COLOURS[number % len(_COLOURS)])
        floors = [r.scores[part].floor for r in reports if part in r.scores]
        if floors and (floor := floors[0]):
            parts.append(_guess_line(start, start + len(reports) * _BAR, floor.in_video))
    return "\n".join([*parts, *_legend([r.name for r in reports], legend), "</svg>", ""])


def _axis(width: int) -> Iterator[str]:
    for tenth in range(0, 11, 2):
        y = _y(tenth / 10)
        yield f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{width - 20}" y2="{y:.1f}" stroke="#e3e3e3"/>'
        yield _text(_LEFT - 8, y + 4, f"{tenth * 10} %", anchor="end", fill="#777")


def _bar(x: float, score: Score, colour: str) -> Iterator[str]:
    top, middle = _y(score.accuracy), x + _BAR / 2 - 2
    low, high = (_y(end) for end in score.interval)
    yield f'<rect x="{x:.1f}" y="{top:.1f}" width="{_BAR - 4}" height="{_y(0) - top:.1f}" fill="{colour}"/>'
    yield (
        f'<path d="M{middle - 4:.1f} {high:.1f}h8m-4 0V{low:.1f}m-4 0h8" stroke="#222" stroke-width="1.2" fill="none"/>'
    )
    blind = _y(score.blind)
    yield (
        f'<line x1="{x - 1:.1f}" y1="{blind:.1f}" x2="{x + _BAR - 3:.1f}" y2="{blind:.1f}" stroke="#222"'
        ' stroke-width="1.6" stroke-dasharray="3 2"/>'
    )


def _guess_line(left: float, right: float, share: float) -> str:
    y = _y(share)
    return f'<path d="M{left - 6:.1f} {y:.1f}H{right + 2:.1f}" stroke="#c00" stroke-width="1.6" fill="none"/>'


def _legend(names: Sequence[str], y: float) -> Iterator[str]:
    for number, name in enumerate(names):
        colour = _COLOURS[number % len(_COLOURS)]
        yield f'<rect x="{_LEFT}" y="{y + number * _LINE}" width="12" height="12" fill="{colour}"/>'
        yield _text(_LEFT + 20, y + number * _LINE + 10, name)
    y += len(names) * _LINE
    yield f'<path d="M{_LEFT} {y + 6}h14" stroke="#222" stroke-width="1.6" stroke-dasharray="3 2"/>'
    yield _text(_LEFT + 20, y + 10, "the same model without frames; whiskers: 95 % over videos", fill="#777")
    yield f'<path d="M{_LEFT} {y + 6 + _LINE}h14" stroke="#c00" stroke-width="1.6"/>'
    yield _text(_LEFT + 20, y + 10 + _LINE, "a guess among the things of the video", fill="#777")


def _y(share: float) -> float:
    return _TOP + _HEIGHT * (1 - share)


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", size: int = 12, weight: str = "normal", fill: str = "#222"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}"'
        f' fill="{fill}">{escape(text)}</text>'
    )
