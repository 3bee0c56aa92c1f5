"""STAR's situations as STSGs: what the person did, and how things lay, on the annotated frames of a stretch of video.

Read with the codes of STAR_val.json (a000, o000, r000 with the class files of its annotations) and in plain words, as the
authors' teaser has them. Relations go from the first of a pair to the second, as STAR has them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from model.stsg import SceneGraph
from trainer.benchmarks.files import BenchmarkError
from trainer.benchmarks.gold.build import Act, Fact, Span, Thing, build, merged
from trainer.benchmarks.gold.pickles import load

WHERE = "Get STAR_classes (classes.zip) from github.com/csbobby/STAR_Benchmark; put its text files into one folder."
PERSON = "person"
_FILES = (
    "action_classes.txt",
    "object_classes.txt",
    "relationship_classes.txt",
    "verb_classes.txt",
    "action_mapping.txt",
)
Situations = Mapping[str, Mapping[str, Any]]  # by number of the frame


class Words:
    """What STAR's codes stand for; what is no code is its own word."""

    def __init__(self, folder: Path | None = None) -> None:
        self._names = dict[str, str]()
        self._acts = dict[str, tuple[str, str]]()
        for name in _FILES if folder else ():
            assert folder is not None
            try:
                lines = (folder / name).read_text(encoding="utf-8").splitlines()
            except FileNotFoundError as e:
                raise BenchmarkError(f"There is no {folder / name}.", WHERE) from e
            for line in filter(None, map(str.strip, lines)):
                code, *words = line.split(" ")
                if name == "action_mapping.txt":
                    verb, thing = words
                    self._acts[code] = (self._names[verb], self._names[thing])
                else:
                    self._names[code] = " ".join(words).replace("_", " ")

    def name(self, code: str) -> str:
        return self._names.get(code, code.strip().lower())

    def act(self, code: str) -> tuple[str, str]:
        """A verb and what it is done to."""
        return self._acts.get(code, (self.name(code), ""))


def rates(path: Path) -> dict[str, float]:
    """Frames a second of each Charades video, from `video_fps` of STAR's classes; Action Genome has the same videos.

    Raises:
        BenchmarkError: no such file, damaged, or something else.
    """
    found = load(path, WHERE)
    if not isinstance(found, dict) or not all(isinstance(rate, float) and rate > 0 for rate in found.values()):
        raise BenchmarkError(f"{path} holds no frame rates by video.", WHERE)
    return {Path(str(name)).stem: rate for name, rate in found.items()}


def situations(questions: Iterable[Mapping[str, Any]]) -> dict[str, Situations]:
    """All annotated frames of each video, put together from the questions about it.

    Raises:
        BenchmarkError: a question has none (the test split has none).
    """
    found = defaultdict[str, dict[str, Any]](dict)
    for question in questions:
        if not question.get("situations"):
            raise BenchmarkError(
                f"Question {question.get('question_id')!r} has no situations.", "Give STAR_train.json or STAR_val.json."
            )
        found[str(question["video_id"])].update(question["situations"])
    return dict(found.items())


def graph(frames: Situations, fps: float, words: Words, clips: Sequence[Span] = ()) -> SceneGraph:
    """One video's STSG; frames are numbered from 1, and one stands for the time until the next annotated one."""
    moments = {number: (int(number) - 1) / fps for number in sorted(frames, key=int)}
    annotated = list(moments.values())
    last = annotated[-1] + (annotated[-1] - annotated[-2] if len(annotated) > 1 else 1 / fps)
    seen, facts, acts = (defaultdict[Any, list[float]](list) for _ in range(3))
    for number, t in moments.items():
        frame = frames[number]
        if len(frame["rel_pairs"]) != len(frame["rel_labels"]):
            raise BenchmarkError(f"Frame {number} has other numbers of pairs and labels.", "Get the file again.")
        for (one, other), label in zip(frame["rel_pairs"], frame["rel_labels"], strict=True):
            facts[words.name(one), words.name(label), words.name(other)].append(t)
        named = {words.name(code) for pair in frame["rel_pairs"] for code in pair}
        for name in sorted({PERSON, *named, *map(words.name, frame["bbox_labels"])}):
            seen[name].append(t)
        for code in frame["actions"]:
            acts[words.act(code)].append(t)
    things = [Thing(name, name, merged(times, annotated, last)) for name, times in seen.items()]
    found = [Fact(s, p, o, merged(times, annotated, last)) for (s, p, o), times in facts.items()]
    done = [
        Act(PERSON, verb, target, span)
        for (verb, target), times in acts.items()
        for span in merged(times, annotated, last)
    ]
    return build(things, found, done, clips)
