"""What a QRA data set is made of: so many samples of each number of steps, family and form (STEP Sec. 3.2, Fig. 6).

A family takes its share through the forms that exist for it: who asks for choices loses no question on sameness, which has
none, but gets it in another form. So a family's weight says how much of the data it is, and a form's how much of each family.
"""

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any, TypeVar

from model.rationale.qra import FAMILIES, FORMS, Family, Form
from model.rationale.walk import EDGE_KINDS, EdgeKind

Cell = tuple[int, Family, Form]
_T = TypeVar("_T")
_GOLDEN = (5**0.5 - 1) / 2  # whose multiples spread evenly over what lies between whole numbers


@dataclass(frozen=True, slots=True)
class Mix:
    """What a data set is made of: samples by number of steps, and the weights of families and forms.

    `temporal` is the share of samples of two or more steps whose clip is told by its event, a time range or what lies before
    and after it, where the family names a clip (STEP Sec. 3.2, Temporal Contextualization). `edges` weighs the kinds of edge
    by which a question is expanded; without it each expansion is equally likely.
    """

    steps: Mapping[int, int]
    families: Mapping[Family, float] = field(default_factory=lambda: dict.fromkeys(FAMILIES, 1.0))
    forms: Mapping[Form, float] = field(
        default_factory=lambda: {"open": 0.6, "yes_no": 0.15, "choice": 0.15, "count": 0.1}
    )
    temporal: float = 0.4
    edges: Mapping[EdgeKind, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if any(n < 1 or count < 0 for n, count in self.steps.items()):
            raise ValueError("Ask for steps of 1 or more and counts of 0 or more, such as {1: 100, 2: 100}.")
        wanted = (
            ("families", self.families, FAMILIES),
            ("forms", self.forms, FORMS),
            ("edges", self.edges, EDGE_KINDS),
        )
        for name, weights, known in wanted:
            if name == "edges" and not weights:
                continue
            if not set(weights) <= set(known) or min(weights.values(), default=0) < 0 or not sum(weights.values()):
                raise ValueError(
                    f"Give {name} weights of 0 or more, not all of them 0, for some of {', '.join(known)}."
                )

    def cells(self, n: int) -> list[Cell]:
        """The cells of samples of `n` steps that can be asked for."""
        return [
            (n, family, form)
            for family, weight in self.families.items()
            for form, share in self.forms.items()
            if weight * share > 0 and askable(n, family, form)
        ]

    def left(self, n: int, living: Set[Cell], made: Mapping[Cell, int]) -> dict[Cell, int]:
        """How many samples of `n` steps are still wanted of each living cell, where `made` are there.

        What the others lack goes to the living ones: first to those of the same family, else to the other families.
        """
        of = {f: {form: made.get((n, f, form), 0) for form in FORMS} for f in FAMILIES}
        weights = {f: w for f, w in self.families.items() if any(cell[1] == f for cell in living)}
        more = _further(self.steps[n], weights, {f: sum(counts.values()) for f, counts in of.items()}, turn=n)
        left: dict[Cell, int] = {}
        for family in weights:
            shares = {form: share for form, share in self.forms.items() if (n, family, form) in living}
            wanted = _further(sum(of[family].values()) + more[family], shares, of[family], _turn(n, family))
            left |= {(n, family, form): count for form, count in wanted.items()}
        return left

    def wanted(self) -> dict[tuple[int, Family], int]:
        """How many samples of each number of steps and family are asked for."""
        dealt = {n: _dealt(count, self.families, turn=n) for n, count in self.steps.items()}
        return {(n, family): count for n, shares in dealt.items() for family, count in shares.items() if count}

    def missing(self, made: Mapping[Cell, int]) -> dict[str, Any]:
        """How much less was made than was asked for, as JSON values: by steps, by family and steps, and by form."""
        steps, families, forms = Counter(self.steps), Counter(self.wanted()), self.wanted_forms()
        for (n, family, form), count in made.items():
            steps[n] -= count
            families[n, family] -= count
            forms[form] -= count
        by_family: dict[str, dict[str, int]] = {}
        for n, family in sorted(+families):
            by_family.setdefault(family, {})[str(n)] = families[n, family]
        return {
            "steps": {str(n): steps[n] for n in sorted(+steps)},
            "families": dict(sorted(by_family.items())),
            "forms": dict(sorted((+forms).items())),
        }

    def wanted_forms(self) -> Counter[Form]:
        """How many samples of each form are asked for: each family's share, dealt to the forms that exist for it."""
        wanted = Counter[Form]()
        for (n, family), count in self.wanted().items():
            weights = {f: w for f, w in self.forms.items() if askable(n, family, f)}
            wanted.update(_dealt(count, weights, _turn(n, family)))
        return wanted


def from_json(told: Mapping[str, Any]) -> Mix:
    """The mix that a stored request asks for; its other keys are passed over."""
    weights = {key: told[key] for key in ("families", "forms", "edges", "temporal") if key in told}
    return Mix({int(n): count for n, count in told["steps"].items()}, **weights)


def askable(n: int, family: Family, form: Form) -> bool:
    """Whether such questions exist: who has a value is asked about a whole clip, which leaves nothing to expand."""
    if form == "choice" and family == "sameness":
        return False
    return form != "count" or family == "relation" or (family in ("attribute", "motion") and n <= 2)


def apportion(count: int, weights: Mapping[_T, float]) -> dict[_T, int]:
    """`count` things dealt out in proportion to the weights, to the last one; nothing where there is no weight."""
    total = sum(weights.values())
    if total <= 0 or count <= 0:
        return dict.fromkeys(weights, 0)
    exact = {key: count * weight / total for key, weight in weights.items()}
    dealt = {key: int(share) for key, share in exact.items()}
    rest = sorted(exact, key=lambda key: dealt[key] - exact[key])  # the largest remainder first, else in order
    for key in rest[: count - sum(dealt.values())]:
        dealt[key] += 1
    return dealt


def _dealt(count: int, weights: Mapping[_T, float], turn: int) -> dict[_T, int]:
    """Like `apportion`, but who gets what is left over is another one each turn.

    A form that is a tenth of every family would else get none of families with four samples each.
    """
    total = sum(weights.values())
    if total <= 0 or count <= 0:
        return dict.fromkeys(weights, 0)
    start, so_far = turn * _GOLDEN % 1, 0.0
    ends = [0]
    for weight in weights.values():
        so_far += weight
        ends.append(int(start + count * so_far / total + 1e-9))
    return {key: after - before for key, before, after in zip(weights, ends, ends[1:], strict=False)}


def _turn(n: int, family: Family) -> int:
    return n * len(FAMILIES) + FAMILIES.index(family)


def _further(count: int, weights: Mapping[_T, float], made: Mapping[_T, int], turn: int) -> dict[_T, int]:
    """How many more of those with a weight, so that all there is comes to `count` and they are in proportion."""
    wanted = _dealt(count - sum(number for key, number in made.items() if key not in weights), weights, turn)
    gaps = {key: float(max(0, number - made.get(key, 0))) for key, number in wanted.items()}
    return apportion(count - sum(made.values()), gaps)
