"""Forms in which models give lists, numbers, fields and sentences, and what is no name."""

from collections.abc import Callable
from typing import Any

import pytest

from model import replies
from model.induction.rejects import Reading
from model.replies import UnreadableReply
from model.stsg import Attribute
from model.video_llm import Reply, Request

THREE = ["man", "dog", "bench"]

OBJECTS: list[tuple[str, list[str]]] = [
    ("1. **Man**: walking on the left\n2. **Dog**: brown, on a leash\n3. **Bench**: green, in the background", THREE),
    ("- Man - a tall man\n- Dog - brown, small\n- Bench", THREE),
    ("* Man (on the left)\n* Dog (brown, on a leash)\n* Bench", THREE),
    ("1) Man \u2013 walking\n2) Dog \u2013 brown\n3) Bench", THREE),
    ("1. **Man**\n   - walking\n   - wears a red cap\n2. **Dog**\n   - brown\n3. **Bench**", THREE),
    ("Here are the objects:\n\n1. Man: walking\n2. Dog: brown\n3. Bench: green", THREE),
    ("### Objects\n- man\n- dog\n- bench", THREE),
    ("[man (on the left), dog]", ["man", "dog"]),
    ("[**man**, `dog`, _bench_]", THREE),
    ("| Object |\n|---|\n| man |\n| dog |", ["man", "dog"]),
    ("| # | Object | Description |\n|:--|:--|:--|\n| 1 | **Man** | on the left, tall |\n| 2 | Dog | brown |", ["man", "dog"]),
    ('[{"name": "man"}]', ["man"]),
    ('[{"bbox_2d": [10, 20, 30, 40], "label": "man"}, {"bbox_2d": [1, 2, 3, 4], "label": "dog"}]', ["man", "dog"]),
    ('{"Objects": ["man", "dog", "bench"]}', THREE),
    ('```json\n{"items": [{"Label": "man"}, {"Label": "dog"}]}\n```', ["man", "dog"]),
    ('{"man": "walking on the left", "dog": "brown"}', ["man", "dog"]),
    ('[{"object": "man", "descrip', ["man"]),
    ("The main objects are a man, a dog, and a bench.", THREE),
    ("The main objects in this image include a man, a dog and a bench.", THREE),
    ("There is a man, a dog, and a bench in the scene.", THREE),
    ("In the image, I can see a man and a dog.", ["man", "dog"]),
    ("The video shows a man, a dog, and a bench.", THREE),
    ("A man, a dog, and a bench.", THREE),
    ("**Objects:** man, dog, bench", THREE),
    ("Objects\uff1aman\uff0cdog\u3001bench\u3002", THREE),
    ("\uff11\uff0e man\n\uff12\uff0e dog", ["man", "dog"]),
    ("Object 1: man\nObject 2: dog", ["man", "dog"]),
    ("man, dog and bench", THREE),
    ("1. Man 2. Dog 3. Bench", THREE),
    ("- [x] man\n- [ ] dog", ["man", "dog"]),
    ("<objects>man, dog</objects>", ["man", "dog"]),
    ('{"object1": "man", "object2": "dog"}', ["man", "dog"]),
    ("man | dog | bench", THREE),
    ("People: man\nThere are also objects: dog", ["man", "dog"]),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "names"), OBJECTS)
def test_objects_are_read_in_any_form_of_a_list(reply: str, names: list[str]) -> None:
    assert replies.read_objects(reply) == names


@pytest.mark.parametrize(
    "reply",
    ["No objects.", "None.", "None", "[]", "[None]", "N/A", "There are no objects in this image.", "There are no meaningful objects, sorry.",
     "Nothing.", "The image contains no objects.", "[10, 20, 30, 40]", "| Object |\n|---|"],
)  # fmt: skip
def test_no_objects_are_no_items(reply: str) -> None:
    with pytest.raises(UnreadableReply, match="no_items"):
        replies.read_objects(reply)


@pytest.mark.parametrize(
    ("reply", "marks"),
    [
        ("**Object:** man\n**Quantity:** 1", [""]),
        ("Object: man\nQuantity: One", [""]),
        ("Object: man\nQuantity: **1**", [""]),
        ("Object: man, Quantity: 1", [""]),
        ("### Object: man\n### Quantity: 1", [""]),
        ("- **Object**: man\n- **Quantity**: Two", ["", ""]),
        ("Object: man\nQuantity: ~3", [""] * 3),
        ("Object: man\nQuantity: about three", [""] * 3),
        ("Object: man\nQuantity: approximately 2 (two)", [""] * 2),
        ("Object\uff1aman\nQuantity\uff1a\uff11", [""]),
        ("Object = man\nQuantity = 2", ["", ""]),
        ("There are two men.", ["", ""]),
        ("2", ["", ""]),
        ("Number of men: 2", ["", ""]),
        ("There are no men.", []),
        ("**Quantity:** 2\n1. **man 1:** a red cap\n2. **man 2:** a blue cap", ["with a red cap", "with a blue cap"]),
        ("Object: man, Quantity: 2\n1. man 1: wearing a red cap\n2. man 2: wearing a blue cap", ["wearing a red cap", "wearing a blue cap"]),
        ('{"Object": "man", "Quantity": 2}', ["", ""]),
        ('{"object": "man", "count": "One"}', [""]),
    ],
)  # fmt: skip
def test_quantities_are_read_in_any_form(reply: str, marks: list[str]) -> None:
    assert replies.read_instances(reply, "man") == marks


RED = [Attribute("color", "red")]


@pytest.mark.parametrize(
    ("reader", "reply", "value"),
    [
        (replies.read_attributes, '[{"Type": "Color", "Value": "Red"}]', RED),
        (replies.read_attributes, '[{"attribute": "color", "value": "red"}]', RED),
        (replies.read_attributes, '[{"name": "color", "value": "red"}]', RED),
        (replies.read_attributes, '[{"Attribute Type": "color", "Attribute Value": "red"}]', RED),
        (replies.read_attributes, '{"Object": "man", "Attributes": [{"TYPE": "color", "VALUE": "**red**"}]}', RED),
        (replies.read_attributes, '{"Color": "Red"}', RED),
        (replies.read_attributes, "**Color:** red", RED),
        (replies.read_attributes, "### Color: red", RED),
        (replies.read_attributes, "Type: color, Value: red", RED),
        (replies.read_attributes, "- **Type**: Color\n- **Value**: Red", RED),
        (replies.read_attributes, "| Type | Value |\n|---|---|\n| Color | Red |", RED),
        (replies.read_attributes, "Color\uff1ared", RED),
        (replies.read_attributes, '[{"attributeType": "color", "attributeValue": "red"}]', RED),
        (replies.read_attributes, '[{"name": "man", "type": "color", "value": "red"}]', RED),
        (replies.read_attributes, '[["color", "red"]]', RED),
        (replies.read_action, '{"Action": "walking"}', "walking"),
        (replies.read_action, '{"verb phrase": "walking"}', "walking"),
        (replies.read_action, "- walking", "walking"),
        (replies.read_predicate_object, "Predicate: on\nObject: bed", ("on", "bed")),
        (replies.read_rewrite, "**Q:** Q?\n**R:** 1. a. 2. b.\n**A:** c", ("Q?", ("a.", "b."), "c")),
        (replies.read_rewrite, '[{"Q": "Q?", "R": ["a."], "A": "c"}]', ("Q?", ("a.",), "c")),
        (replies.read_triplets, "1. man - on - dock", [("man", "on", "dock")]),
        (replies.read_triplets, "<man; on; dock>", [("man", "on", "dock")]),
        (replies.read_triplets, "<subject: man, predicate: on, object: dock>", [("man", "on", "dock")]),
        (replies.read_action, '{"actions": ["walking"]}', "walking"),
        (replies.read_action, "**Action:** walking", "walking"),
        (replies.read_action, '```json\n{"ACTION": "walking"}\n```', "walking"),
        (replies.read_predicate_object, '{"Predicate": "jumping on", "Object": "bed"}', ("jumping on", "bed")),
        (replies.read_predicate_object, "**Predicate:** jumping on, **Object:** bed", ("jumping on", "bed")),
        (replies.read_rewrite, '{"q": "Q?", "r": "1. a. 2. b.", "a": "c"}', ("Q?", ("a.", "b."), "c")),
        (
            replies.read_rewrite,
            '{"Question": "Q?", "Rationale": ["a.", "b."], "Answer": "c"}',
            ("Q?", ("a.", "b."), "c"),
        ),
        (replies.read_triplets, "1. **<man, on, dock>**", [("man", "on", "dock")]),
        (replies.read_triplets, "<**man**, *on*, `dock`>", [("man", "on", "dock")]),
        (replies.read_triplets, '[{"Subject": "man", "Predicate": "on", "Object": "dock"}]', [("man", "on", "dock")]),
        (replies.read_triplets, '[["man", "on", "dock"]]', [("man", "on", "dock")]),
        (replies.read_triplets, "(man, on, dock)", [("man", "on", "dock")]),
        (replies.read_triplets, "<man\uff0con\uff0cdock>", [("man", "on", "dock")]),
        (replies.read_kind, "**Dynamic**", "dynamic"),
        (replies.read_yes_no, "**Answer:** Yes.", True),
    ],
)
def test_fields_are_read_whatever_their_keys_case_and_marks(
    reader: Callable[[str], Any], reply: str, value: Any
) -> None:
    assert reader(reply) == value


@pytest.mark.parametrize(
    ("reply", "event"),
    [
        ("The clip shows a person walking past an old bicycle.", "A person walking past an old bicycle."),
        ("The video depicts a person walking.", "A person walking."),
        ("This image captures a person walking.", "A person walking."),
        ("In this video, a person is walking.", "A person is walking."),
        ("In the video clip, we can see a person walking.", "A person walking."),
        ("We see a person walking.", "A person walking."),
        ("The video clip begins with a dog.", "The video clip begins with a dog."),
        ("Sure! Here is the sentence: The scene features a person walking.", "A person walking."),
        ('"The footage shows a person walking."', "A person walking."),
        ("**Event:** A person walks.\n\nLet me know if you need anything else!", "A person walks."),
        ("Video shows a person walking.", "A person walking."),
        ("The event shown is a person walking.", "A person walking."),
        ("The clip captures the moment a person walks.", "A person walks."),
        ("As shown in the video, a person walks.", "A person walks."),
        ("1. A person walks.", "A person walks."),
        ("A man in a video shop walks.", "A man in a video shop walks."),
    ],
)
def test_an_event_tells_what_takes_place_not_what_a_video_shows(reply: str, event: str) -> None:
    assert replies.read_event(reply) == event


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("dog", ""),
        ("man with a red cap", ""),
        ("人", ""),
        ("man's hat", ""),
        ("dog**: brown", "markup"),
        ("man | dog", "markup"),
        ('{"name": "man"', "markup"),
        ("man (on the left", "half_of_a_pair"),
        ('name": man', "half_of_a_pair"),
        ("10", "no_word"),
        ("objects", "heading"),
        ("people:", "heading"),
        ("there are a man and a dog", "sentence"),
        ("one two three four five six seven eight nine", "too_long"),
    ],
)
def test_names_and_values_pass_one_test(text: str, reason: str) -> None:
    assert replies.fault(text) == reason


def test_what_is_no_name_is_a_reject_by_its_reason() -> None:
    reading, request = Reading(), Request("s", "?")
    assert reading.one(request, Reply("[man, dog {x, 12, there is a dog]"), replies.read_objects) == ["man"]
    assert reading.rejects.counts() == {"s: name_markup": 1, "s: name_no_word": 1, "s: name_sentence": 1}
    assert not any(r.unread for r in reading.rejects.items)
    assert reading.one(request, Reply("<man, on, [dock|>, <man, on, dock>"), replies.read_triplets) == [
        ("man", "on", "dock")
    ]
