"""What a QRA data set holds, counted in one pass over its rows and kept beside them."""

from collections import Counter
from collections.abc import Iterator

from pydantic import BaseModel

from api.schemas import QraDataset
from model.rationale import english
from model.rationale.formats import Row, split_of
from workers.runtime import Service
from workers.storage import dataset_file, export_file

_ANSWERS = 20


class Lengths(BaseModel):
    """How long texts are, in words."""

    least: int
    mean: float
    most: int


class Statistics(BaseModel):
    """The counts of a data set."""

    id: str
    count: int
    videos: int
    runs: int
    by_steps: dict[str, int]
    by_hops: dict[str, int]
    by_temporal: dict[str, int]
    by_family: dict[str, int]
    by_form: dict[str, int]
    by_split: dict[str, int]
    answers: dict[str, dict[str, int]]  # the most frequent ones of each form
    question_words: Lengths
    rationale_words: Lengths
    rewritten: int
    blind: int
    rejects: dict[str, int]


def statistics(service: Service, dataset: QraDataset, validation: float) -> Statistics:
    """The counts of a finished data set, which are made once for each share of validation."""
    stored = export_file(dataset.id, f"statistics-{validation:.2f}.json")
    if not service.storage.exists(stored):
        told = _counted(service.storage.rows(dataset_file(dataset.id)), dataset, validation)
        service.storage.write_json(stored, told.model_dump())
    return Statistics(**service.storage.read_json(stored))


def _counted(rows: Iterator[Row], dataset: QraDataset, validation: float) -> Statistics:
    counts: dict[str, Counter[str]] = {key: Counter() for key in ("steps", "n_hops", "n_temporal", "family", "form")}
    splits: Counter[str] = Counter()
    answers: dict[str, Counter[str]] = {}
    words: dict[str, Counter[int]] = {"question": Counter(), "rationale": Counter()}
    seen: dict[str, set[str]] = {"video_id": set(), "run_id": set()}
    marked: Counter[str] = Counter()
    for row in rows:
        for key, counter in counts.items():
            counter[str(row[key])] += 1
        for key, ids in seen.items():
            ids.add(row[key])
        splits[split_of(row["video_id"], dataset.seed, validation)] += 1
        answers.setdefault(row["form"], Counter())[row["answer"]] += 1
        words["question"][len(english.words(row["question"]))] += 1
        words["rationale"][sum(len(english.words(line)) for line in row["rationale"])] += 1
        marked.update(key for key in ("template", "blind") if row.get(key))
    return Statistics(
        id=dataset.id,
        count=splits.total(),
        videos=len(seen["video_id"]),
        runs=len(seen["run_id"]),
        by_steps=_sorted(counts["steps"]),
        by_hops=_sorted(counts["n_hops"]),
        by_temporal=_sorted(counts["n_temporal"]),
        by_family=_sorted(counts["family"]),
        by_form=_sorted(counts["form"]),
        by_split=_sorted(splits),
        answers={form: dict(counter.most_common(_ANSWERS)) for form, counter in sorted(answers.items())},
        question_words=_lengths(words["question"]),
        rationale_words=_lengths(words["rationale"]),
        rewritten=marked["template"],
        blind=marked["blind"],
        rejects=dataset.rejects,
    )


def _sorted(counter: Counter[str]) -> dict[str, int]:
    return dict(sorted(counter.items()))


def _lengths(counter: Counter[int]) -> Lengths:
    total = counter.total()
    mean = sum(length * count for length, count in counter.items()) / total if total else 0.0
    return Lengths(least=min(counter, default=0), mean=round(mean, 2), most=max(counter, default=0))
