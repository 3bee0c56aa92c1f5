"""Which nouns may mean one thing: a model says "man" of one keyframe, and "person" or "guy" of the next."""

import re

from model.stsg import words_of

_IRREGULAR = {
    "men": "man",
    "women": "woman",
    "people": "person",
    "children": "child",
    "feet": "foot",
    "mice": "mouse",
    "buses": "bus",
    "knives": "knife",
    "shelves": "shelf",
    "leaves": "leaf",
    "loaves": "loaf",
    "scarves": "scarf",
    "wolves": "wolf",
    "shoes": "shoe",
    "toes": "toe",
    "canoes": "canoe",
}
_AFTER_NOUN = re.compile(r"\s(?:of|in|on|with|at|for|from|by)\s")
_ANYBODY = words_of("person individual human figure adult pedestrian someone")
_ALIKE = (
    words_of("man guy gentleman boy"),
    words_of("woman lady girl"),
    words_of("child kid toddler baby boy girl"),
    words_of("car vehicle automobile"),
    words_of("truck vehicle lorry"),
    words_of("bus vehicle"),
    words_of("bicycle bike"),
    words_of("motorcycle motorbike bike"),
    words_of("dog puppy animal"),
    words_of("cat kitten animal"),
    words_of("sofa couch settee"),
    words_of("tv television screen monitor"),
    words_of("cup mug"),
    words_of("phone cellphone smartphone"),
    words_of("road street"),
    words_of("picture painting photo"),
)
_PEOPLE = _ANYBODY.union(*_ALIKE[:3])


def may_be_one(category: str, other: str) -> bool:
    """Whether two categories may be told of one object: by one noun, or by two that people use for the same."""
    one, two = head(category), head(other)
    if one == two or ({one, two} <= _PEOPLE and {one, two} & _ANYBODY):
        return True
    return any({one, two} <= nouns for nouns in _ALIKE)


def head(category: str) -> str:
    """The noun of a phrase, in the singular: "man" of "men in red shirts"."""
    words = _AFTER_NOUN.split(category, maxsplit=1)[0].split()
    return singular(words[-1]) if words else category


def one_of(category: str) -> str:
    """What one of several is called: "tall hiker" of "tall hikers"."""
    words = _AFTER_NOUN.split(category, maxsplit=1)[0].split()
    return " ".join([*words[:-1], singular(words[-1]), *category.split()[len(words) :]]) if words else category


def singular(noun: str) -> str:
    """A noun's singular, well enough to compare two."""
    if noun in _IRREGULAR:
        return _IRREGULAR[noun]
    if noun.endswith("ies") and len(noun) > 4:
        return f"{noun[:-3]}y"
    if noun.endswith(("ches", "shes", "xes", "sses", "oes")):
        return noun[:-2]
    return noun[:-1] if len(noun) > 1 and noun.endswith("s") and not noun.endswith(("ss", "us", "is")) else noun
