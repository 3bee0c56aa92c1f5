"""TempCompass: perception of time in four tasks, read by rules first and by a judge where these fail.

The strings are kept word for word from `prompt_templates.py`, `eval_*.py` and `run_video_llava/inference_dataset.py` of
llyx97/TempCompass (CC BY-NC 4.0), as public scores depend on them. The official reading has faults that the strict one (the
default) lacks: "nothing" is read as no, "yesterday" as yes; a caption with a colon is cut off at it; a judge's
"Not Correct" is right; a reply that the judge never gets to mark is wrong without a word, and takes a point away in
captioning; the judge answers at temperature 1, ours at 0.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from model.replies import unwrap
from trainer.benchmarks.files import BenchmarkError, entries, field, videos
from trainer.benchmarks.items import UNREAD, Item, JudgePrompt, Media, Outcome, Scoring
from trainer.benchmarks.suite import Loaded, Suite

WHERE = (
    "Get questions/ and meta_info.json from github.com/llyx97/TempCompass (CC BY-NC 4.0) and the videos from"
    " huggingface.co/datasets/lmms-lab/TempCompass; put them into one folder."
)
TASKS = {"multi-choice": 1580, "yes_no": 2453, "caption_matching": 1503, "captioning": 2004}
ASPECTS = ("action", "direction", "speed", "order", "attribute_change")
_SUFFIX = {
    "multi-choice": "\nPlease directly give the best option:",
    "yes_no": "\nPlease answer yes or no:",
    "caption_matching": "\nPlease directly give the best option:",
    "captioning": "",
}
_JUDGE = "You are an AI assistant for question answering."
_MARK = (
    "\nYou will receive a {kind}, the ground-truth answer and the prediction from a question answering (QA) model. Your task"
    " is to determine whether QA model prediction is correct, based on the question and ground-truth answer. If the"
    ' prediction is correct, respond "Correct". If the prediction is incorrect, respond "Incorrect".\n'
)
_PAIR = "\n{kind}:\n{question}\nGround-Truth Answer: {answer}\nModel Prediction: {reply}"
_KINDS = {
    "multi-choice": ("multi-choice question", "Multi-Choice Question"),
    "yes_no": ("Yes/No question", "Yes/No Question"),
    "caption_matching": ("caption matching question", "Caption Matching Question"),
}
_CAPTION = """
You will receive a video description and a multi-choice question. Your task is to choose the correct answer and briefly \
explain the reason why you choose the answer. If none of the choice candidates are correct or the video description \
lacks enough information to answer the question, just answer "None of the choices are correct". Please organize your \
response in this format:
```
Reasoning: [Your reason to obtain the answer]
Answer: [Your answer]
```

Here are some examples of video description, multi-choice question and the expected answer:
```
Video Description: A person is palying football.
Multi-Choice Question:
What is the person doing in the video?
A. cooking
B. palying football
C. playing basketball
D. reading book
Reasoning: The video description mentions that the person is playing football.
Answer: B. palying football

Video Description: A bird is flying clockwise.
Multi-Choice Question:
In which direction is the bird flying?
A. backwark
B. counter-clockwise
C. clockwise
D. downward
Reasoning: The video description mentions that the bird is flying clockwise
Answer: C. clockwise

Video Description: An air balloon is inflating.
Multi-Choice Question:
What is happening to the air balloon?
A. exploding
B. getting smaller
C. flying
Reasoning: The video description mentions that the air balloon is inflating, while none of the coices can be explained as \
inflating.
Answer: None of the choices are correct
```

Video Description:{reply}
Multi-Choice Question:
{question}
"""
_WORD = re.compile(r"[a-z]+")


def read(task: str, folder: Path) -> Loaded:
    """The questions of one task; captions are judged by the first choice question of the same video and aspect.

    Raises:
        BenchmarkError: files are missing, damaged or of another version.
    """
    there, path = videos(folder), _file(folder, task)
    files, choices = [path], dict[str, Any]()
    if task == "captioning":
        files.append(_file(folder, "multi-choice"))
        choices = dict(entries(files[-1], WHERE))
    meta = dict[str, Any]()
    if (about := folder / "meta_info.json").is_file():
        files.append(about)
        meta = dict(entries(about, WHERE))
    items = list[Item]()
    for video, aspects in entries(path, WHERE):
        fine = meta.get(video, {}).get("eval_dim", {})
        media = Media(there[video]) if video in there else None
        items += _items(task, path, video, aspects, choices.get(video, {}), fine, media)
    notes = () if meta else ("meta_info.json is not there, so there are no finer aspects.",)
    return Loaded(tuple(items), tuple(files), notes)


def _file(folder: Path, task: str) -> Path:
    nested = folder / "questions" / f"{task}.json"
    return nested if nested.is_file() else folder / f"{task}.json"


def _items(
    task: str,
    path: Path,
    video: str,
    aspects: Mapping[str, Any],
    choices: Mapping[str, Any],
    fine: Mapping[str, Any],
    media: Media | None,
) -> Iterator[Item]:
    """The questions about one video."""
    if not isinstance(aspects, dict) or not set(aspects) <= set(ASPECTS):
        raise BenchmarkError(f"{path} has other aspects for {video} than TempCompass has.", WHERE)
    for aspect, asked in aspects.items():
        groups = {"aspect": (aspect,), "finer aspect": _finer(aspect, fine)}
        for number, record in enumerate(asked):
            question, answer = (str(field(record, name, path, WHERE)) for name in ("question", "answer"))
            about, options = "", tuple(question.split("\n")[1:]) if task in ("multi-choice", "caption_matching") else ()
            if task == "captioning":
                if not choices.get(aspect):
                    raise BenchmarkError(f"multi-choice.json has no question about {aspect} of {video}.", WHERE)
                about, answer = str(choices[aspect][0]["question"]), str(choices[aspect][0]["answer"])
            id, prompt = f"{video}/{aspect}/{number}", question + _SUFFIX[task]
            yield Item(id, video, question, answer, prompt, options, None, groups, about, media=media)


def _finer(aspect: str, fine: Mapping[str, Any]) -> tuple[str, ...]:
    if aspect == "order" and fine:
        return ("order",)
    return (str(fine[aspect]["type"]),) if fine.get(aspect) else ()


def scoring(task: str, official: bool = False) -> Scoring:
    """A task's rule."""
    if task == "captioning":
        lost = Outcome(right=False, read=False, points=-1) if official else UNREAD
        return Scoring(_no_rule, JudgePrompt(_JUDGE, _CAPTION), _captioned, lost, 128)
    kind, title = _KINDS[task]
    prompt = JudgePrompt(_JUDGE, _MARK.replace("{kind}", kind) + _PAIR.replace("{kind}", title))
    rules: Mapping[str, Callable[[Item, str], Outcome | None]] = {
        "multi-choice": partial(_multi_choice, official),
        "yes_no": partial(_yes_no, official),
        "caption_matching": partial(_matched, official),
    }
    return Scoring(rules[task], prompt, _marked_officially if official else _marked, max_new_tokens=128)


def _no_rule(_item: Item, reply: str) -> Outcome | None:
    return None if reply.strip() else UNREAD


def _multi_choice(official: bool, item: Item, reply: str) -> Outcome | None:
    """The whole answer, or a letter of A to D by itself or before a stop or bracket."""
    said = _clean(reply, official)
    if said == item.answer:
        return Outcome(right=True)
    if said[:1] in ("A", "B", "C", "D") and said[1:2] in ("", ".", ")"):
        return Outcome(said[0] == item.answer[0])
    return None


def _yes_no(official: bool, item: Item, reply: str) -> Outcome | None:
    """What the reply begins with."""
    said = _clean(reply, official).lower()
    word = _WORD.match(said)
    for answer in ("yes", "no"):
        if said.startswith(answer) if official else word is not None and word[0] == answer:
            return Outcome(answer == item.answer)
    return None


def _matched(official: bool, item: Item, reply: str) -> Outcome | None:
    """One of the two captions whole, its sentence, or its label such as "Option 1", "Caption A" or "A"."""
    said, found = _clean(reply, official), None
    for form in range(3):
        for option in item.options:
            if _says(_forms(option, official)[form], said, form):
                found = (form, option)
    if found is None:
        return None
    form, option = found
    ours, right = _forms(option, official), _forms(item.answer, official)
    return Outcome(bool(set(ours[form]) & set(right[form])))


def _says(forms: tuple[str, ...], said: str, form: int) -> bool:
    after = said.split(") ")[1:2] if form == 1 else [said.replace(".", "")] if form == 2 else []
    return any(told in forms for told in (said, *after))


def _forms(option: str, official: bool) -> tuple[tuple[str, ...], ...]:
    """A caption whole, its sentence, and its labels; officially the sentence ends at a further colon."""
    label, *rest = option.split(": ")
    sentence = rest[0] if official and rest else ": ".join(rest)
    return (option,), (sentence,), (label, *label.split()[-1:])


def _marked(_item: Item, reply: str) -> Outcome | None:
    """One of the two words first, and the other one nowhere."""
    said = unwrap(reply).text[:4096]
    found = re.findall(r"\b(?:in)?correct\b", said, re.IGNORECASE)
    first = re.match(r"\W*((?:in)?correct)\b", said, re.IGNORECASE)
    if first is None or len({word.lower() for word in found}) != 1:
        return None
    return Outcome(first[1].lower() == "correct")


def _marked_officially(_item: Item, reply: str) -> Outcome | None:
    if reply.startswith("Correct"):
        return Outcome(right=True)
    if "Incorrect" in reply:
        return Outcome(right=False)
    return Outcome(right=True) if "Correct" in reply else None


def _captioned(item: Item, reply: str) -> Outcome | None:
    """The judge's last line of an answer must have one option's letter with its stop, that of the right one."""
    if not reply.strip():
        return None
    lines = [line.strip().replace("Answer:", "").strip() for line in reply.split("\n") if "Answer" in line]
    said = lines[-1] if lines else reply
    letters = sum(said.count(f"{letter}.") for letter in "ABCD")
    return Outcome(said.split(". ")[0] == item.answer.split(". ")[0] and letters == 1)


def _clean(reply: str, official: bool) -> str:
    """The reply without its end; but for the official rule, without all that stands around it."""
    return reply.replace("</s>", "").strip() if official else unwrap(reply).text


SUITES = tuple(
    Suite(f"tempcompass-{task}", WHERE, count, partial(read, task), partial(scoring, task))
    for task, count in TASKS.items()
)
