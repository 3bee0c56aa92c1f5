"""An induced graph against a gold one, in the gold set's words.

People annotate few kinds of things, by category and without marks, so facts are compared by clip and category, and only
facts all of whose words the gold set has can be wrong: the others are counted apart, as outside. "cup/glass/bottle" is met by
any of its words, underscores are spaces, and case is nothing. What a gold set leaves out (attributes, events) has no score.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from model.stsg import SceneGraph
from trainer.world.score import Score

KINDS = ("objects", "relations", "motions", "references")
Fact = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a gold set by the forms that models use for them."""

    things: Mapping[str, str]
    predicates: frozenset[str]

    @classmethod
    def of(cls, graphs: Iterable[SceneGraph]) -> "Words":
        """All words that some gold graphs use."""
        kept = list(graphs)
        categories = {o.category for graph in kept for o in graph.objects}
        forms = {form: category for category in sorted(categories) for form in (_plain(category), *_parts(category))}
        predicates = {_plain(r.predicate) for graph in kept for r in graph.relations}
        return cls(forms, frozenset(predicates | {_plain(m.predicate) for graph in kept for m in graph.motions}))


def score(induced: SceneGraph, gold: SceneGraph, words: Words) -> tuple[dict[str, Score], dict[str, int]]:
    """A score for each of `KINDS` that the gold graph has, and how many induced facts lie outside its words."""
    ours, theirs = _facts(induced, words), _facts(gold, words)
    scores, outside = {}, {}
    for kind in KINDS:
        if theirs[kind]:
            known = {fact for fact in ours[kind] if None not in fact}
            scores[kind] = Score(len(known & theirs[kind]), len(known), len(theirs[kind]))
            outside[kind] = len(ours[kind]) - len(known)
    return scores, outside


def _facts(graph: SceneGraph, words: Words) -> dict[str, set[Fact]]:
    """What a graph says, None for a word that the gold set lacks and the word itself beside it."""
    category = {o.id: words.things.get(_plain(o.category)) for o in graph.objects}
    clip = {o.id: o.clip for o in graph.objects}

    def predicate(text: str) -> str | None:
        return _plain(text) if _plain(text) in words.predicates else None

    return {
        "objects": {_known(o.clip, category[o.id], raw=(o.category,)) for o in graph.objects},
        "relations": {
            _known(r.clip, category[r.subject], predicate(r.predicate), category[r.object], raw=(r,))
            for r in graph.relations
        },
        "motions": {_known(m.clip, category[m.start], predicate(m.predicate), raw=(m,)) for m in graph.motions},
        "references": {
            _known(clip[r.here], category[r.here], clip[r.there], category[r.there], raw=(r,)) for r in graph.references
        },
    }


def _known(*fact: Any, raw: Fact) -> Fact:
    """The fact; with what it was made of where a word is unknown, so that unknown ones stay different."""
    return fact + raw if None in fact else fact


def _plain(text: str) -> str:
    return " ".join(text.replace("_", " ").lower().split())


def _parts(category: str) -> list[str]:
    return [_plain(part) for part in category.split("/")]
