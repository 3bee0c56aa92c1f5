"""Readers of replies: what models really say, and what they must survive."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import replies
from model.replies import UnreadableReply
from model.stsg import Attribute

READERS: list[Callable[[str], Any]] = [
    replies.read_sentence,
    replies.read_objects,
    lambda text: replies.read_instances(text, "dog"),
    replies.read_kind,
    replies.read_yes_no,
    replies.read_attributes,
    replies.read_triplets,
    replies.read_action,
    replies.read_predicate_object,
]


@pytest.mark.parametrize(
    ("reader", "reply", "value"),
    [
        (replies.read_objects, "[man, woman, dock]", ["man", "woman", "dock"]),
        (replies.read_objects, "Meaningful objects are [the man, a red box].", ["man", "red box"]),
        (replies.read_objects, "Objects: man, woman, man", ["man", "woman"]),
        (replies.read_objects, "Objects:\n- man\n- a red box", ["man", "red box"]),
        (replies.read_objects, "1. man\n2. dog\n3. ball", ["man", "dog", "ball"]),
        (replies.read_objects, "[man], [1. dog, 2. box]", ["man", "dog", "box"]),
        (replies.read_objects, "[man, none]", ["man"]),
        (lambda r: replies.read_instances(r, "man"), "1. man 1: has a beard\n2. man 2: is standing", ["with a beard", "standing"]),
        (lambda r: replies.read_instances(r, "dog"), "Object: dog\nQuantity: 2\n1. dog 1: brown\n2. dog 2: white", ["brown", "white"]),
        (lambda r: replies.read_instances(r, "man"), "Quantity: 1\n1. man1: wearing a hat", ["wearing a hat"]),
        (lambda r: replies.read_instances(r, "dog"), "Quantity: 1", [""]),
        (lambda r: replies.read_instances(r, "man"), "1. man 1: The man is wearing a red shirt and sitting on the couch", ["wearing a red shirt"]),
        (lambda r: replies.read_instances(r, "man"), "1. man 1: wearing a blue shirt and black pants, standing in the centre", ["wearing a blue shirt and black pants"]),
        (lambda r: replies.read_instances(r, "man"), "1. He is the tall person who is standing right beside the very old wooden table", ["the tall person"]),
        (lambda r: replies.read_instances(r, "table"), "1. table 1: no distinct feature", [""]),
        (lambda r: replies.read_instances(r, "man"), "1. man 1\n2. man 2", ["", ""]),
        (lambda r: replies.read_instances(r, "man"), "Quantity: 3", ["", "", ""]),
        (lambda r: replies.read_instances(r, "man"), "Quantity: 2\n1. man 1: none\n2. man 2: none\n3. man 3: none", ["", ""]),
        (lambda r: replies.read_instances(r, "man"), "Quantity: 2\n1. man 1: tall\n2. man 2: tall", ["tall", "tall"]),
        (lambda r: replies.read_instances(r, "man"), "Quantity: 1\n1. man 1: tall\n2. man 2: tall\n3. man 3: tall", ["tall"]),
        (lambda r: replies.read_instances(r, "man"), "Quantity: 2\n1. man 1: a red cap\n2. man #2", ["with a red cap", ""]),
        (lambda r: replies.read_instances(r, "circle"), "1. a red circle\n2. The blue circle", ["red circle", "blue circle"]),
        (lambda r: replies.read_instances(r, "人"), "1. 人 1: 红", ["红"]),
        (lambda r: replies.read_instances(r, "table"), "1. table 1: Not applicable.", [""]),
        (lambda r: replies.read_instances(r, "hikers"), "Quantity: 2\n1. hiker 1: with a backpack\n2. hiker 2: in red", ["with a backpack", "in red"]),
        (lambda r: replies.read_instances(r, "man"), "Quantity: 1\n1. man 1: wearing a hat\n2. man 2: N/A", ["wearing a hat"]),
        (lambda r: replies.read_instances(r, "man"), "Quantity: 2\n1. man 1: wearing a hat\n2. man 2: none", ["wearing a hat", ""]),
        (lambda r: replies.read_instances(r, "man"), "Quantity: 0\n1. man 1: None", []),
        (replies.read_triplets, "<man, not touching, dog> <man, appears to be holding, cup> <cup, can be seen behind, dog>",
         [("man", "holding", "cup"), ("cup", "behind", "dog")]),
        (replies.read_attributes, "color: not visible, size: large", [Attribute("size", "large")]),
        (replies.read_action, '{"action": "appears to be falling"}', "falling"),
        (lambda r: replies.read_instances(r, "hikers"), "1. **Hikers 1**: The hiker on the left\n2. **Hikers 2**: in red", ["on the left", "in red"]),
        (lambda r: replies.read_instances(r, "man"), "Quantity: 2\n- Men 1: red shirt\n- Men 2: blue shirt", ["red shirt", "blue shirt"]),
        (replies.read_action, "The man is walking across the street.", "walking across the street"),
        (replies.read_action, "He appears to be waving", "waving"),
        (replies.read_action, "{'action': 'petting the man's dog'}", "petting the man's dog"),
        (replies.read_attributes, "[{'type': 'color', 'value': 'red'}]", [Attribute("color", "red")]),
        (replies.read_kind, "**Static** object", "static"),
        (replies.read_kind, "The object is not static; it is dynamic.", "dynamic"),
        (replies.read_kind, "It isn't moving, so it is static, not dynamic.", "static"),
        (replies.read_yes_no, "The statement is not true.", False),
        (replies.read_yes_no, "That isn't entirely true.", False),
        (replies.read_yes_no, "This is not false.", True),
        (replies.read_yes_no, "Yes, they are.", True),
        (replies.read_yes_no, "Answer: no", False),
        (
            replies.read_attributes,
            '[{"object": "man", "attributes": [{"clothing": "white shirt", "clothing": "grey shorts"}]}]',
            [Attribute("clothing", "grey shorts"), Attribute("clothing", "white shirt")],
        ),
        (replies.read_attributes, '```json\n[{"type": "color", "value": "Red"}]\n```', [Attribute("color", "red")]),
        (replies.read_attributes, '{"object": "man", "attributes": {"clothing": "white shirt"}}', [Attribute("clothing", "white shirt")]),
        (replies.read_attributes, '[{"type": "color", "value": ["red", "blue"]}]', [Attribute("color", "blue"), Attribute("color", "red")]),
        (replies.read_attributes, '[{"object": "man", "attributes": [{"clothing": "white shirt', [Attribute("clothing", "white shirt")]),
        (replies.read_attributes, "color: red, size: large", [Attribute("color", "red"), Attribute("size", "large")]),
        (replies.read_attributes, "Attributes:\n- **Color**: red\n2. Size: large", [Attribute("color", "red"), Attribute("size", "large")]),
        (replies.read_triplets, "Triplets: <man, standing at, the end of the dock>", [("man", "standing at", "end of the dock")]),
        (replies.read_action, '{"action": "falling down"}', "falling down"),
        (replies.read_action, "Moving left.", "moving left"),
        (replies.read_predicate_object, '[[“predicate”:“jumping on”, “object”: “bed”]]', ("jumping on", "bed")),
        (replies.read_predicate_object, '{"predicate": "walking", "object": "None"}', ("walking", "")),
    ],
)  # fmt: skip
def test_what_models_say_is_read(reader: Callable[[str], Any], reply: str, value: Any) -> None:
    assert reader(reply) == value


def test_what_is_only_denied_is_no_relation() -> None:
    with pytest.raises(replies.UnreadableReply, match="only_denials"):
        replies.read_triplets("<man, doesn't touch, dog>")


def test_an_object_without_attributes_has_none() -> None:
    with pytest.raises(replies.UnreadableReply, match="no_attributes"):
        replies.read_attributes('[{"object": "man", "attributes": []}]')


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("reply", "reason"), [("", "empty"), ("   \n", "empty"), ("I'm sorry, I cannot.", "refusal")])
def test_nothing_and_refusals_are_told_apart(reader: Callable[[str], Any], reply: str, reason: str) -> None:
    with pytest.raises(UnreadableReply) as refused:
        reader(reply)
    assert refused.value.reason == reason


@pytest.mark.parametrize("piece", ['[{"', "{", "[", "<a, b, ", "1. x\n", '"object":', "yes ", "x", "a: b, ", "\ud800"])
def test_a_megabyte_of_anything_takes_no_time(piece: str) -> None:
    reply = piece * (2**20 // len(piece))
    started = time.process_time()
    for reader in READERS:
        try:
            reader(reply)
        except UnreadableReply:
            continue
    assert time.process_time() - started < 5


LONG = "".join(map(str, range(500)))  # of no words that come again


def test_names_are_short_enough_for_an_index() -> None:
    assert replies.read_objects(f"[{LONG}, dog]") == ["dog"]
    assert replies.read_attributes(f"color: {LONG}, size: big") == [Attribute("size", "big")]
    assert replies.read_triplets(f"<man, on, dock>, <{LONG}, on, dock>") == [("man", "on", "dock")]
    [mark] = replies.read_instances(f"Quantity: 1\n1. dog 1: {LONG}", "dog")
    assert 0 < len(mark) <= replies.MAX_NAME and LONG.startswith(mark)
    for reader, reply in ((replies.read_action, LONG), (replies.read_predicate_object, f'{{"predicate": "{LONG}"}}')):
        with pytest.raises(UnreadableReply):
            reader(reply)


@settings(max_examples=300, deadline=None)
@given(
    st.text(alphabet=st.sampled_from('[]{}<>:,"“” \nabcdog0123Quantityyesno.\\'), max_size=200) | st.text(max_size=200)
)
def test_no_text_breaks_a_reader(text: str) -> None:
    for reader in READERS:
        try:
            value = reader(text)
        except UnreadableReply as e:
            assert e.reason
        else:
            assert value is not None
