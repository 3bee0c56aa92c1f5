"""MSVD-QA, MSRVTT-QA and ActivityNet-QA: short open answers, marked by the judge (STEP Sec. 4.1).

Each is read in its authors' files, or in the `test_q.json` and `test_a.json` that Video-LLaVA hands out. Answers are joined to
questions by id, never by position: where questions are cut into parts and answers are not, positions pair wrong ones.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from trainer.benchmarks.files import BenchmarkError, field, records, unique, videos
from trainer.benchmarks.items import PROMPT, Item, Media
from trainer.benchmarks.judging import judged
from trainer.benchmarks.suite import Loaded, Suite

_COPIES = " or the GPT_Zero_Shot_QA copies that Video-LLaVA's TRAIN_AND_VALIDATE.md links to (test_q.json, test_a.json)"
WHERE = {
    "msvd-qa": f"Get MSVD-QA from github.com/xudejing/video-question-answering{_COPIES}; put test_qa.json,"
    " youtube_mapping.txt and the YouTubeClips into one folder.",
    "msrvtt-qa": f"Get MSRVTT-QA from github.com/xudejing/video-question-answering{_COPIES}; put test_qa.json and the"
    " test videos into one folder.",
    "activitynet-qa": "Get test_q.json and test_a.json from github.com/MILVLG/activitynet-qa (non-commercial use) and the"
    " videos of ActivityNet 200 v1.3 from activity-net.org; put them into one folder.",
}
# Of ActivityNet-QA, by their numbers in its files.
TYPES = ("motion", "spatial", "temporal", "yes/no", "color", "object", "location", "number", "other")
_FREE = TYPES[3:]
_Row = tuple[str, Mapping[str, Any], Mapping[str, Any]]  # id, question and answer as they are in the files


def read(name: str, folder: Path) -> Loaded:
    """The test questions of one of the three.

    Raises:
        BenchmarkError: files are missing, damaged, don't belong together, or are of another version.
    """
    where = WHERE[name]
    if (folder / "test_q.json").is_file() or name == "activitynet-qa":
        files = [folder / "test_q.json", folder / "test_a.json"]
        rows = _joined(files[0], files[1], where)
    else:
        files = [folder / "test_qa.json"]
        rows = [(f"{field(r, 'id', files[0], where)}", r, r) for r in records(files[0], where)]
    names = {}
    if name == "msvd-qa" and (mapping := folder / "youtube_mapping.txt").is_file():
        files.append(mapping)
        names = dict(_mapping(mapping, where))
    unique((id for id, _, _ in rows), files[0], where)
    there = videos(folder)
    return Loaded(tuple(_item(name, row, files[0], there, names) for row in rows), tuple(files))


def _joined(asked: Path, answered: Path, where: str) -> list[_Row]:
    """Each question with the answer of the same id."""
    answers = records(answered, where)
    unique((str(field(a, "question_id", answered, where)) for a in answers), answered, where)
    by_id = {str(a["question_id"]): a for a in answers}
    rows = list[_Row]()
    for question in records(asked, where):
        id = str(field(question, "question_id", asked, where))
        if id not in by_id:
            raise BenchmarkError(
                f"{answered} has no answer to question {id!r} of {asked.name}.", f"Get both again: {where}"
            )
        rows.append((id, question, by_id[id]))
    if len(rows) != len(by_id):
        raise BenchmarkError(
            f"{answered} has {len(by_id):,} answers, {asked.name} {len(rows):,} questions.", f"Get both again: {where}"
        )
    return rows


def _mapping(path: Path, where: str) -> Iterator[tuple[str, str]]:
    """The names of MSVD's clips by number, from lines such as "-4wsuPCjDBc_5_15 vid1"."""
    for line in path.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if len(words) != 2 or not words[1].startswith("vid"):
            raise BenchmarkError(f"{path} has the line {line[:80]!r}.", f"Get it again: {where}")
        yield words[1], words[0]


def _item(
    name: str,
    row: _Row,
    path: Path,
    there: Mapping[str, Path],
    names: Mapping[str, str],
) -> Item:
    id, asked, told = row
    where = WHERE[name]
    question, answer = str(field(asked, "question", path, where)), str(field(told, "answer", path, where))
    if "video_name" in asked:
        video = Path(str(asked["video_name"])).stem if name != "activitynet-qa" else str(asked["video_name"])
        stems = (video, f"v_{video}")
    else:
        number = field(asked, "video_id", path, where)
        video = f"vid{number}" if name == "msvd-qa" else f"video{number}"
        stems = (video, names.get(video, video))
    at = next((there[stem] for stem in stems if stem in there), None)
    groups = _groups(name, told, path)
    prompt = PROMPT.format(question=question)
    return Item(id, video, question, answer, prompt, groups=groups, media=None if at is None else Media(at))


def _groups(name: str, told: Mapping[str, Any], path: Path) -> dict[str, tuple[str, ...]]:
    """ActivityNet-QA by its types, where types 3 to 8 are also "free"; the others have none."""
    if name != "activitynet-qa":
        return {}
    number = field(told, "type", path, WHERE[name])
    if number not in range(len(TYPES)):
        raise BenchmarkError(f"{path.parent} has an answer of type {number!r}; 0 to 8 are known.", WHERE[name])
    kind = TYPES[number]
    return {"type": (kind, "free") if kind in _FREE else (kind,)}


def _suite(name: str, expected: int) -> Suite:
    return Suite(name, WHERE[name], expected, partial(read, name), judged)


SUITES = (_suite("msvd-qa", 13_157), _suite("msrvtt-qa", 72_821), _suite("activitynet-qa", 8000))
