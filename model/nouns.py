"""Which nouns may mean one thing: a model says "man" of one keyframe, and "person" or "guy" of the next."""

from model.inflection import noun_of, singular
from model.inflection import one_of as one_of
from model.stsg import words_of

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
    words = noun_of(category).split()
    return singular(words[-1]) if words else category
