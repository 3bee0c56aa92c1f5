"""How a path is told in English: names, verbs, questions."""

import pytest

from model.rationale import english


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (english.the("Red  circle."), "the Red circle"),
        (english.the("his left hand"), "his left hand"),
        (english.clip_name(20), "twenty-first clip"),
        (english.reduced("is left of"), "left of"),
        (english.reduced("holding"), "holding"),
        (english.reduced("hold"), "holding"),
        (english.reduced("wears"), "that wears"),
        (english.progressive("hold"), "holding"),
        (english.progressive("holds"), "holding"),
        (english.progressive("is holding"), "holding"),
        (english.progressive("sitting on"), "sitting on"),
        (english.progressive("sits on"), "sitting on"),
        (english.progressive("is left of"), "left of"),
        (english.progressive("has"), "has"),
        (english.progressive("listens to"), "listening to"),
        (english.progressive("controls"), "controlling"),
        (english.progressive("support"), "supporting"),
        (english.progressive("meters away from"), "meters away from"),
        (english.the("each other"), "each other"),
        (english.the("another man"), "another man"),
        (english.progressive("across from"), "across from"),
        (english.reduced("across from"), "across from"),
        (english.reduced("part of"), "that is part of"),
        (english.reduced("wears", plural=True), "that wear"),
        (english.acting("running"), "that is running"),
        (english.acting("moving up"), "moving up"),
        (english.finite("left of", False), "is left of"),
        (english.finite("are next to", True), "are next to"),
        (english.finite("holds", False), "holds"),
        (english.finite("carries", True), "carry"),
        (english.finite("lies on", True), "lie on"),
        (english.finite("has", True), "have"),
        (english.finite("open", False), "is opening"),
        (english.whether("the man", False, "holds", "the cup"), "does the man hold the cup"),
        (english.whether("the dogs", True, "left of", "the cup"), "are the dogs left of the cup"),
        (english.with_attribute("circle", "size", "large"), "large circle"),
        (english.with_attribute("man", "mood", "happy"), "man whose mood is happy"),
        (english.with_attribute("man", "clothes", "torn"), "man whose clothes are torn"),
        (english.with_attribute("shirt", "pattern", "with dots"), "shirt whose pattern is with dots"),
        (english.plural("size"), "sizes"),
        (english.plural(""), ""),
        (english.plural("-to-"), "-to-"),
        (english.plural("hair"), "hair"),
        (english.ask_attribute("color", "the shoes", True)[0], "what color are the shoes"),
        (english.ask_attribute("mood", "the man", False)[0], "what is the mood of the man"),
        (english.ask_attribute("age", "the men", True)[-1], "what age are the men"),
        (english.sentence("what is it", "?"), "What is it?"),
        (english.deed("jumping on", "bed"), "jumping on the bed"),
        (english.deed("moving left", ""), "moving left"),
        (english.content_words("left of the Table"), frozenset(("left", "table"))),
    ],
)
def test_english(said: object, expected: object) -> None:
    assert said == expected


@pytest.mark.parametrize(
    ("noun", "plural"),
    [("children", True), ("scissors", True), ("running shoes", True), ("glass", False), ("bus", False), ("", False),
     ("cactus", False), ("police", True), ("pair of shoes", False), ("man with glasses", False),
     ("women holding a cup", True), ("круг", False), ("👟", False)],
)  # fmt: skip
def test_grammatical_number(noun: str, plural: bool) -> None:
    assert english.is_plural(noun) is plural
