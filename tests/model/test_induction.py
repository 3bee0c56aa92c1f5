"""The induction on real videos with a perfect model, its switches, and what it makes of bad replies."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from model.backends.scripted import ScriptedVideoLLM
from model.induction.bridging import bridge_clips
from model.induction.merging import contradict, merge_clip
from model.induction.parsing import Parsed, linked, parse_clip
from model.induction.pipeline import InductionOptions, induce
from model.induction.splitting import split
from model.induction.whole_graph import parse_clip_at_once
from model.nouns import may_be_one, one_of
from model.stsg import Attribute, Clip, Keyframe, Motion, ObjectNode, SceneGraph
from model.video_llm import NO_ADVICE, Reply, Request
from trainer.world.files import Rendered, render_with_truth
from trainer.world.oracle import Oracle
from trainer.world.score import KINDS, score, total
from trainer.world.truth import truth

ALL = InductionOptions()


@pytest.fixture(scope="module")
def videos(world: Path) -> list[Rendered]:
    return [render_with_truth(seed, world) for seed in range(8)]


def clips_of(rendered: Rendered, options: InductionOptions = ALL) -> list[Clip]:
    return split(rendered.video, rendered.video_id, options.how_to_split(), seed=0)


@pytest.mark.parametrize("prompt_set", ["standard", "compact"])
def test_a_perfect_model_gives_the_true_graph(videos: list[Rendered], world: Path, prompt_set: str) -> None:
    llm = Oracle(world, prompt_set)
    graphs = [induce(clips_of(v), llm, ALL) for v in videos]
    summed = total(score(graph, truth(v.scene)) for (graph, _), v in zip(graphs, videos, strict=True))
    assert {kind: (s.precision, s.recall) for kind, s in summed.items()} == dict.fromkeys(KINDS, (1.0, 1.0))
    assert all(rejects.counts() == {} for _, rejects in graphs)


def test_the_same_video_gives_the_same_graph(videos: list[Rendered], world: Path) -> None:
    once, again = (induce(clips_of(videos[0]), Oracle(world), ALL)[0] for _ in range(2))
    assert once == again


def test_a_static_object_is_one_node_and_a_moving_one_two_states_with_a_motion(
    videos: list[Rendered], world: Path
) -> None:
    for v in videos:
        clips = clips_of(v)
        graph, _ = induce(clips, Oracle(world), ALL)
        for clip, scene in zip(clips, v.scene.clips, strict=True):
            part = graph.in_clip(clip.index)
            moving = sum(t.moves for t in scene.things)
            assert len(part.objects) == len(scene.things) + moving
            assert len(part.motions) == moving
            static = [o for o in part.objects if o.kind == "static"]
            assert all((o.t_start, o.t_end, len(o.keyframes)) == (clip.t_start, clip.t_end, 2) for o in static)


def test_each_switch_changes_the_graph_as_the_paper_says(videos: list[Rendered], world: Path) -> None:
    def moving(v: Rendered) -> list[bool]:
        return [thing.moves for clip in v.scene.clips for thing in clip.things]

    llm = Oracle(world)
    v = next(v for v in videos if any(moving(v)) and not all(moving(v)))

    def graph(**switches: bool) -> SceneGraph:
        options = InductionOptions(**switches)
        return induce(clips_of(v, options), llm, options)[0]

    whole = graph()
    assert len(clips_of(v, InductionOptions(splitting=False))) == 1 < len(clips_of(v))
    apart = graph(merging=False)
    assert apart.motions == () and len(apart.objects) > len(whole.objects)
    unbridged = graph(bridging=False)
    assert (unbridged.references, unbridged.events) == ((), ()) and unbridged.objects == whole.objects
    asked = ScriptedVideoLLM({s: lambda r: llm.answer([r])[0] for s in llm._answers})
    for options, step in (
        (InductionOptions(), "whole_graph"),
        (InductionOptions(parsing=False), "parsing_1_1_narrative"),
    ):
        induce(clips_of(v), asked, options)
        assert step not in {r.step for r in asked.asked}
        asked.asked.clear()
    unverified = InductionOptions(verification=False)
    induce(clips_of(v), asked, unverified)
    assert not any(r.step.startswith("verification") for r in asked.asked)
    assert score(graph(parsing=False), truth(v.scene))["attributes"].f1 == 1


def test_verification_drops_what_a_model_makes_up(videos: list[Rendered], world: Path) -> None:
    perfect = Oracle(world)

    def dreaming(request: Request) -> Reply:
        reply = perfect.answer([request])[0]
        if request.step == "parsing_1_1_narrative":
            return Reply(reply.text[:-1] + " and a pink unicorn.")
        if request.step == "parsing_1_2_objects":
            return Reply(reply.text.replace("]", ", unicorn ]"))
        if request.step == "parsing_1_3_instances" and request.values["category"] == "unicorn":
            return Reply("Quantity: 1\n1. pink")
        if request.step == "parsing_2_1_attributes" and "unicorn" in request.values["object"]:
            return Reply("The pink unicorn has the color pink and the size large.")
        return reply

    dreamer = ScriptedVideoLLM(dict.fromkeys(perfect._answers, dreaming))
    clips = clips_of(videos[0])
    fooled, _ = induce(clips, dreamer, InductionOptions(verification=False))
    checked, rejects = induce(clips, dreamer, ALL)
    assert "pink unicorn" in {o.name for o in fooled.objects}
    assert score(checked, truth(videos[0].scene))["objects"].f1 == 1
    assert any("there is a pink unicorn" in r.excerpt for r in rejects.items)


def picture(t: float) -> Keyframe:
    return Keyframe(f"v:{round(t * 1000):09d}", t, np.zeros((8, 8, 3), np.uint8))


def test_what_tells_an_instance_apart_need_not_stand_in_the_narrative() -> None:
    clip = Clip(0, 0.0, 4.0, 0, 100, (picture(0.0),))
    llm = ScriptedVideoLLM(
        {
            "parsing_1_1_narrative": lambda r: "A man sits at a table.",
            "parsing_1_2_objects": lambda r: "[man, table, dog]",
            "parsing_1_3_instances": lambda r: (
                "Quantity: 1\n1. man 1: The man is wearing a blue shirt, and looks down"
                if r.values["category"] == "man"
                else "Quantity: 1"
            ),
            "verification_1_text": lambda r: "No",
            "verification_2_visual": lambda r: "No" if " no " in r.text or "not" in r.values["statement"] else "Yes",
            "bridging_2_event": lambda r: "A man sits.",
        }
        | dict.fromkeys(("parsing_1_4_kind",), lambda r: "Static")
        | dict.fromkeys(
            ("parsing_2_1_attributes", "parsing_2_2_attribute_list", "parsing_3_1_relations", "parsing_3_2_triplets"),
            lambda r: "none",
        )
    )
    graph, rejects = induce([clip], llm, ALL)
    assert sorted(o.name for o in graph.objects) == ["man wearing a blue shirt", "table"]
    assert [r.excerpt for r in rejects.items if r.reason == "not_in_narrative"] == ["there is a dog"]


@pytest.mark.parametrize(
    ("one", "two", "alike"),
    [
        ("man", "person", True),
        ("people", "woman", True),
        ("red car", "car", True),
        ("boxes", "box", True),
        ("couch", "sofa", True),
        ("man", "woman", False),
        ("glass of water", "water", False),
        ("circle", "square", False),
    ],
)
def test_nouns_that_may_mean_one_thing(one: str, two: str, alike: bool) -> None:
    assert may_be_one(one, two) is may_be_one(two, one) is alike


def test_one_of_several_is_named_in_the_singular() -> None:
    several = ("hikers", "young women", "knives", "buses", "cross", "boxes of fruit", "glass")
    assert [*map(one_of, several)] == ["hiker", "young woman", "knife", "bus", "cross", "box of fruit", "glass"]


@pytest.mark.parametrize(
    ("first", "second", "differ"),
    [
        (("red", "color"), ("blue", "color"), True),
        (("gray", "color"), ("grey", "color"), False),
        (("red shirt", "clothing"), ("blue shirt", "clothing"), True),
        (("blue shirt", "clothing"), ("light blue shirt", "clothing"), False),
        (("red cap", "clothing"), ("blue jeans", "clothing"), False),
        (("standing by the door", "posture"), ("sitting at a desk", "posture"), False),
    ],
)
def test_marks_contradict_by_what_lasts(first: tuple[str, str], second: tuple[str, str], differ: bool) -> None:
    def person(mark: str, kind: str, *values: str) -> ObjectNode:
        attributes = tuple(Attribute(kind, value) for value in values or (mark,))
        return ObjectNode("c0/k0/man/1", "man", mark, "static", 0, 0.0, 1.0, ("v:0",), attributes)

    assert contradict(person(*first), person(*second)) is contradict(person(*second), person(*first)) is differ
    both = ("red", "grey")
    assert not contradict(person("red", "clothing", *both), person("grey", "clothing", *both)), "both wear both"
    assert not contradict(person("covered in mud", "color", "red"), person("blue", "color")), (
        "red is no part of covered"
    )


def test_what_moves_under_one_of_its_names_moves() -> None:
    clip = Clip(0, 0.0, 4.0, 0, 100, (picture(1.0), picture(3.0)))
    sightings = [
        ObjectNode(f"c0/k{k}/man/1", "man", mark, kind, 0, 2.0 * k, 2.0 * k + 2, (clip.keyframes[k].id,))
        for k, (mark, kind) in enumerate((("", "static"), ("in red", "dynamic")))
    ]
    said = {
        "merging_1_same_object": lambda r: "Yes",
        "merging_2_1_action": lambda r: "The man is walking.",
        "merging_2_2_action_phrase": lambda r: "The man is walking.",
        "merging_2_3_predicate": lambda r: "walking",
    }
    parsed = [Parsed(k, SceneGraph((o,))) for k, o in zip(clip.keyframes, sightings, strict=True)]
    graph, _ = merge_clip(clip, parsed, ScriptedVideoLLM(said))
    assert [m.predicate for m in graph.motions] == ["walking"]
    assert {o.kind for o in graph.objects} == {"dynamic"}


def test_two_of_one_clip_never_become_the_same_by_way_of_another_clip() -> None:
    clips = [Clip(n, 2.0 * n, 2.0 * n + 2, 0, 50, (picture(2.0 * n),)) for n in range(3)]
    marks = (("in red", "in blue"), ("running",), ("on a bike",))
    graphs = [
        SceneGraph(
            tuple(
                ObjectNode(
                    f"c{n}/k0/man/{i}", "man", mark, "static", n, 2.0 * n, 2.0 * n + 2, (clips[n].keyframes[0].id,)
                )
                for i, mark in enumerate(of, 1)
            )
        )
        for n, of in enumerate(marks)
    ]
    sure = {("in red", "running"): 0.9, ("running", "on a bike"): 0.8, ("in blue", "on a bike"): 0.7}

    class Links(ScriptedVideoLLM):
        def answer(self, requests: Sequence[Request]) -> list[Reply]:
            replies = super().answer(requests)
            for n, r in enumerate(requests):
                if r.choices:
                    pair = (r.values["first"].removeprefix("man "), r.values["second"].removeprefix("man "))
                    chance = sure.get(pair, 0.1)
                    replies[n] = Reply("Yes", scores=(math.log(chance), math.log(1 - chance)))
            return replies

    said = {"bridging_1_same_object": lambda r: "Yes", "bridging_2_event": lambda r: "Men are there."}
    graph, _ = bridge_clips(clips, graphs, Links(said))
    assert [(r.here, r.there) for r in graph.references] == [
        ("c0/k0/man/1", "c1/k0/man/1"),
        ("c1/k0/man/1", "c2/k0/man/1"),
    ]


def test_a_woman_who_falls_on_a_dock() -> None:
    """The appendix's example in our own words: one dock, two states of the woman, and the fall between them."""
    doing = {"v:000000000": "walking on the dock", "v:000002000": "kneeling on the dock"}
    clip = Clip(0, 0.0, 4.0, 0, 100, (picture(0.0), picture(2.0)))
    llm = ScriptedVideoLLM(
        {
            "parsing_1_1_narrative": lambda r: "A woman is on a wooden dock.",
            "parsing_1_2_objects": lambda r: "[woman, dock]",
            "parsing_1_3_instances": lambda r: (
                f"Quantity: 1\n1. {doing[r.frames[0].id]}"
                if r.values["category"] == "woman"
                else "Object: dock\nQuantity: 1\n1. dock 1: wooden"
            ),
            "parsing_1_4_kind": lambda r: "Dynamic" if "woman" in r.values["object"] else "Static",
            "parsing_2_1_attributes": lambda r: "It is plain to see.",
            "parsing_2_2_attribute_list": lambda r: (
                '[{"material": "wood"}]' if "woman" not in r.values["object"] else "[]"
            ),
            "parsing_3_1_relations": lambda r: "She is on it.",
            "parsing_3_2_triplets": lambda r: "<woman, on, the dock>" if "woman" in r.values["object"] else "none",
            "merging_1_same_object": lambda r: "Yes.",
            "merging_2_1_action": lambda r: "The woman fell down on the dock.",
            "merging_2_2_action_phrase": lambda r: '{"action": "falling down on the dock"}',
            "merging_2_3_predicate": lambda r: '{"predicate": "falling down on", "object": "dock"}',
            "bridging_2_event": lambda r: "A woman falls.",
        }
    )
    graph, rejects = induce([clip], llm, InductionOptions(verification=False))
    assert sorted(o.name for o in graph.objects) == [
        "woman kneeling on the dock",
        "woman walking on the dock",
        "wooden dock",
    ]
    first, second = (o for o in graph.objects if o.category == "woman")
    assert graph.motions == (
        Motion(first.id, second.id, "falling down on", "dock", 0, 0.0, 2.0, graph.motions[0].confidence),
    )
    [dock] = [o for o in graph.objects if o.category == "dock"]
    assert len(dock.keyframes) == 2 and [r.object for r in graph.relations] == [dock.id, dock.id]
    assert graph.events[0].description == "A woman falls"
    assert rejects.counts() == {
        "parsing_2_2_attribute_list: no_attributes": 2,
        "parsing_3_2_triplets: no_triplets": 2,
    }


def test_a_name_means_no_other_instance() -> None:
    def car(mark: str) -> ObjectNode:
        return ObjectNode(f"c0/k0/car/{mark}", "car", mark, "static", 0, 0.0, 1.0, ("v:0",))

    red, blue, plain = car("red"), car("blue"), car("")
    assert linked("blue car", [red, blue]) is blue and linked("blue car", [red]) is None
    assert linked("car", [red]) is red and linked("car", [red, blue]) is None
    assert linked("white car", [plain]) is plain and linked("dog", [plain]) is None
    one, two = car("in a red shirt"), car("wearing a blue shirt")
    assert linked("car in blue shirt", [one, two]) is two and linked("car in a white shirt", [one, two]) is None
    assert linked("car in a white shirt", [one]) is None and linked("car in the shirt", [one, two]) is None
    llm = ScriptedVideoLLM(
        {
            "parsing_1_1_narrative": lambda r: "A red car and a blue car.",
            "parsing_1_2_objects": lambda r: "[car]",
            "parsing_1_3_instances": lambda r: "Quantity: 2\n1. red\n2. blue",
            "parsing_1_4_kind": lambda r: "Static",
            "parsing_2_1_attributes": lambda r: "It is plain to see.",
            "parsing_2_2_attribute_list": lambda r: "[]",
            "parsing_3_1_relations": lambda r: "They stand about.",
            "parsing_3_2_triplets": lambda r: "<blue car, behind, red car>",
        }
    )
    [parsed], rejects = parse_clip(Clip(0, 0.0, 1.0, 0, 1, (picture(0.0),)), llm)
    assert [(r.subject, r.object) for r in parsed.graph.relations] == [("c0/k0/car/2", "c0/k0/car/1")]
    assert rejects.counts()["parsing_3_2_triplets: subject_is_another"] == 1


def test_what_nothing_tells_apart_is_one_node_of_several() -> None:
    said = {
        "chair": "Quantity: 3\n1. chair 1: brown\n2. chair 2: brown\n3. chair 3: white",
        "chairs": "Quantity: 4",
        "hikers": "Quantity: 2",
        "lamp": "Quantity: 1",
    }
    llm = ScriptedVideoLLM(
        {
            "parsing_1_1_narrative": lambda r: "Hikers sit on chairs under a lamp.",
            "parsing_1_2_objects": lambda r: "[chair, chairs, hikers, lamp]",
            "parsing_1_3_instances": lambda r: said[r.values["category"]],
            "parsing_1_4_kind": lambda r: "Static",
            "parsing_2_1_attributes": lambda r: "It is plain to see.",
            "parsing_2_2_attribute_list": lambda r: "[]",
            "parsing_3_1_relations": lambda r: "They sit.",
            "parsing_3_2_triplets": lambda r: (
                "<hikers, on, brown chairs>" if r.values["object"] == "hikers" else "none"
            ),
        }
    )
    [parsed], _ = parse_clip(Clip(0, 0.0, 1.0, 0, 1, (picture(0.0),)), llm)
    assert [o.name for o in parsed.graph.objects] == ["brown chairs", "white chair", "chairs", "hikers", "lamp"]
    names = {o.id: o.name for o in parsed.graph.objects}
    [sitting] = parsed.graph.relations
    assert (names[sitting.subject], names[sitting.object]) == ("hikers", "brown chairs")


def test_a_graph_in_one_reply_is_read_as_all_others() -> None:
    told = (
        "object: man 1 | the man | none | dynamic\nobject: cup 1 | cup | - | static\n"
        "relation: man 1 | holds | cup 1\nattribute: cup 1 | color | none"
    )
    llm = ScriptedVideoLLM({"whole_graph": lambda r: told})
    [parsed], rejects = parse_clip_at_once(Clip(0, 0.0, 1.0, 0, 1, (picture(0.0),)), llm)
    assert [o.name for o in parsed.graph.objects] == ["man", "cup"]
    assert [r.predicate for r in parsed.graph.relations] == ["holding"]
    assert rejects.counts() == {"whole_graph: empty_field": 1}


BAD_REPLIES = {
    "empty": "",
    "refusal": "I'm sorry, but I can't help with that.",
    "loop": "the the the " * 5000,
    "megabyte": "x" * 2**20,
    "broken json": '[{"' * 3000,
    "deep": "[" * 50_000,
    "echo": "Say in one sentence what this frame of a video shows.",
    "nan": '{"action": NaN, "predicate": Infinity}',
    "surrogate": "\ud800 yes",
    "duplicates": "[dog, dog, dog]\nQuantity: 3\n1. dog\n2. dog\n3. dog",
    "no language": "\u0000\u0001 ☃☃☃ \u202e",
}


FIRST_REJECTS = {  # each bad reply's, in a graph that is made with several prompts
    **dict.fromkeys(("loop", "megabyte", "broken json", "deep"), "parsing_1_1_narrative: loop"),
    **dict.fromkeys(("nan", "surrogate", "no language"), "parsing_1_3_instances: no_quantity"),
    "empty": "parsing_1_1_narrative: empty",
    "refusal": "parsing_1_1_narrative: refusal",
    "echo": "parsing_1_2_objects: no_list",
    "duplicates": "parsing_1_4_kind: neither_static_nor_dynamic",
}


@pytest.mark.parametrize("name", BAD_REPLIES)
def test_a_model_that_replies_badly_is_counted_and_never_a_crash(videos: list[Rendered], name: str) -> None:
    class Bad:
        name, prompt_set, advice = "bad", "standard", NO_ADVICE

        def answer(self, requests: Sequence[Request]) -> list[Reply]:
            return [Reply(BAD_REPLIES[name])] * len(requests)

    clips = clips_of(videos[0])
    keyframes = sum(len(clip.keyframes) for clip in clips)
    graph, rejects = induce(clips, Bad(), ALL)
    assert graph.objects == () and rejects.counts()[FIRST_REJECTS[name]] > 0
    graph, rejects = induce(clips, Bad(), InductionOptions(parsing=False))
    reason = "empty" if name == "empty" else "no_graph"
    assert graph.objects == () and rejects.counts()[f"whole_graph: {reason}"] == keyframes
    graph, _ = induce(clips, Bad(), InductionOptions(verification=False))
    assert [o.name for o in graph.objects] == ["dogs"] * (keyframes if name == "duplicates" else 0)
    if name in ("empty", "refusal", "loop"):
        assert graph == SceneGraph()
