"""The perfect Video-LLM: answers every prompt about rendered videos from their truth."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from model.video_llm import NO_ADVICE, Reply, Request, VideoLLMError
from trainer.world import answers
from trainer.world.files import load_scene
from trainer.world.scene import Scene, SceneClip, Thing, relation

_IS = re.compile(r"the (?P<subject>\S+ \S+) is (?P<no>not )?(?P<predicate>.+?) the (?P<object>\S+ \S+)")
_HAS = re.compile(r"the (?P<type>\w+) of the (?P<name>\S+ \S+) is (?P<no>not )?(?P<value>\w+)")
_EXISTS = re.compile(r"there is (?P<article>an?|no) (?P<name>\S+ \S+)")


class Oracle:
    """Answers from the scenes that `trainer.world.files.render_with_truth` wrote into `folder`.

    It speaks the reply forms of the prompt set it is given. A frame of a video it has no scene of is a VideoLLMError.
    """

    def __init__(self, folder: Path, prompt_set: str = "standard") -> None:
        self.name = f"scripted:{folder}"
        self.prompt_set, self.advice = prompt_set, NO_ADVICE
        self._folder = folder
        self._scenes: dict[str, Scene] = {}

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        return [self._reply(request) for request in requests]

    def _reply(self, request: Request) -> Reply:
        text = self._answers[request.step](request)
        if not request.choices:
            return Reply(text)
        return Reply(text, scores=tuple(0.0 if choice == text else -20.0 for choice in request.choices))

    @cached_property
    def _answers(self) -> Mapping[str, Callable[[Request], str]]:
        return {
            "parsing_1_1_narrative": lambda r: answers.narrative(self._clips(r)[0]),
            "parsing_1_2_objects": lambda r: answers.objects(re.findall(r"a \w+ (\w+)", r.values["narrative"])),
            "parsing_1_3_instances": self._instances,
            "parsing_1_4_kind": lambda r: _about(r, "object", self._clips(r)[0], answers.kind, "Static"),
            "parsing_2_1_attributes": self._attributes,
            "parsing_2_2_attribute_list": _attribute_list,
            "parsing_3_1_relations": self._relations,
            "parsing_3_2_triplets": _triplets,
            "verification_1_text": _is_said,
            "verification_2_visual": lambda r: answers.yes_no(holds(r.values["statement"], self._clips(r)[0])),
            "merging_1_same_object": self._same,
            "merging_2_1_action": self._action,
            "merging_2_2_action_phrase": lambda r: (
                f'{{"action": "{r.values["sentence"].split(" is ")[-1].rstrip(".")}"}}'
            ),
            "merging_2_3_predicate": lambda r: f'{{"predicate": "{r.values["action"]}", "object": "None"}}',
            "bridging_1_same_object": self._same,
            "bridging_2_event": lambda r: self._clips(r)[0].event(),
            "whole_graph": self._whole_graph,
            "refinement_1_rewrite": _retold,
            **dict.fromkeys(("blind_1_answer", "blind_2_answer", "blind_3_answer"), lambda _: "yes"),
            "evaluation_answer": lambda r: _known(r)[1],
            "evaluation_answer_after": lambda r: _known(r)[1],
            "evaluation_rationale": lambda r: _known(r)[0],
        }

    def _clips(self, request: Request) -> list[SceneClip]:
        """The clips that the request's frames come from, in order."""
        found: list[SceneClip] = []
        for frame in request.frames:
            scene = self._scene(frame.video_id)
            clip = next(
                c for c, t in zip(reversed(scene.clips), reversed(scene.starts()), strict=True) if t <= frame.t + 1e-6
            )
            if clip not in found:
                found.append(clip)
        return found

    def _scene(self, video_id: str) -> Scene:
        if video_id not in self._scenes:
            file = self._folder / f"{video_id}.json"
            if not file.exists():
                raise VideoLLMError(f"No truth about {video_id} in {self._folder}: render it with 'stsg world render'.")
            self._scenes[video_id] = load_scene(file)
        return self._scenes[video_id]

    def _instances(self, request: Request) -> str:
        category = request.values["category"]
        marks = [t.color for t in self._clips(request)[0].things if t.shape == category]
        return f"Object: {category}\n{answers.instances(marks)}"

    def _attributes(self, request: Request) -> str:
        said = answers.attributes if self.prompt_set == "compact" else _attribute_sentence
        return _about(request, "object", self._clips(request)[0], said, "")

    def _relations(self, request: Request) -> str:
        clip = self._clips(request)[0]
        others = [t for name in request.values["others"].split(", ") for t in clip.things if t.name == name]
        said = answers.triplets if self.prompt_set == "compact" else _relation_sentences
        return _about(request, "object", clip, lambda t: said(t, others), "")

    def _same(self, request: Request) -> str:
        clips = self._clips(request)
        first = _named(clips[0], request.values["first"])
        second = _named(clips[-1], request.values["second"])
        return answers.yes_no(first is not None and second is not None and first.is_same_as(second))

    def _action(self, request: Request) -> str:
        phrase = _about(request, "first", self._clips(request)[0], lambda t: t.action, "still")
        return phrase if self.prompt_set == "compact" else f"The {request.values['first']} is {phrase}."

    def _whole_graph(self, request: Request) -> str:
        things = self._clips(request)[0].things
        lines = [f"object: {t.name} | {t.shape} | {t.color} | {answers.kind(t).lower()}" for t in things]
        lines += [f"attribute: {t.name} | {k} | {v}" for t in things for k, v in (("color", t.color), ("size", t.size))]
        lines += [f"relation: {a.name} | {relation(a, b)} | {b.name}" for a in things for b in things if a is not b]
        return "\n".join(lines)


def holds(statement: str, clip: SceneClip) -> bool:
    """Whether a statement in one of the three forms is true of a clip; any other is not."""
    statement = statement.strip().rstrip(".")
    if found := _EXISTS.fullmatch(statement):
        return (_named(clip, found["name"]) is not None) != (found["article"] == "no")
    if found := _HAS.fullmatch(statement):
        thing = _named(clip, found["name"])
        true = thing is not None and {"color": thing.color, "size": thing.size}.get(found["type"]) == found["value"]
        return true != bool(found["no"])
    if found := _IS.fullmatch(statement):
        subject, object = _named(clip, found["subject"]), _named(clip, found["object"])
        if subject is None or object is None:
            return bool(found["no"])
        true = relation(subject, object) == found["predicate"]
        return true != bool(found["no"])
    return False


def _known(request: Request) -> tuple[str, str]:
    """The rationale and the answer to a question of the world benchmark; nothing without frames, which it has to see."""
    from trainer.evaluation.world import perfect

    return perfect(request.values["item"]) if request.frames else ("", "")


def _named(clip: SceneClip, name: str) -> Thing | None:
    return next((t for t in clip.things if t.name == name), None)


def _about(request: Request, key: str, clip: SceneClip, say: Callable[[Thing], str], otherwise: str) -> str:
    thing = _named(clip, request.values[key])
    return say(thing) if thing else otherwise


def _attribute_sentence(thing: Thing) -> str:
    return f"The {thing.name} has the color {thing.color} and the size {thing.size}."


def _attribute_list(request: Request) -> str:
    pairs = re.findall(r"the (color|size) (\w+)", request.values["narrative"])
    listed = ", ".join(f'{{"type": "{type}", "value": "{value}"}}' for type, value in pairs)
    return f"[{listed}]"


def _relation_sentences(thing: Thing, others: Sequence[Thing]) -> str:
    return " ".join(f"The {answers.related(thing.name, relation(thing, o), o.name)[4:]}." for o in others)


def _triplets(request: Request) -> str:
    sentences = request.values["narrative"].lower().split(". ")
    found = [_IS.fullmatch(s.strip().rstrip(".")) for s in sentences]
    return ", ".join(f"<{f['subject']}, {f['predicate']}, {f['object']}>" for f in found if f)


def _is_said(request: Request) -> str:
    said = set(re.findall(r"\w+", request.values["narrative"].lower()))
    asked = set(re.findall(r"\w+", request.values["fact"].lower()))
    return answers.yes_no(asked - {"a", "an", "the", "is", "there", "of", "it"} <= said)


def _retold(request: Request) -> str:
    """The same in other words: a question as it was, and every step with a word before it."""
    values = request.values
    steps = re.sub(r"(?<!\d)(\d{1,2}\. )(?=[A-Z])", r"\1Clearly, ", values["rationale"])
    return json.dumps({"Q": values["question"], "R": steps, "A": values["answer"]})
