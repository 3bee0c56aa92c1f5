"""Small, sure pieces of English for questions and rationales (STEP Sec. 3.2): every mention goes through here.

Names, predicates and values are a model's own words, so each function takes any string and never fails.
"""

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import inflect


@cache
def _engine() -> "inflect.engine":
    """Loaded when first needed: its import takes seconds, which a service that only starts should not pay."""
    import inflect

    return inflect.engine()


def _set(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_DETERMINERS = _set("a an the this that these those his her its their my your our some someone something")
_ENDS_IN_S = _set("bus tennis canvas gas lens iris atlas christmas plus chess compass swiss")
_ADJECTIVAL = _set("color colour size shape material texture pattern age length height")
_ASKED_DIRECTLY = _set("color colour size shape")
_COPULA = _set("is are was were")
_NOT_VERBS = _set("across towards besides afterwards upwards downwards backwards forwards sideways less")
_BARE_VERBS = _set(
    "carry chase cover drink eat enter face follow grab have hit hold hug jump kick kneel lean lie lift open play pull"
    " push reach read ride run sit stand swim take throw touch use walk watch wear write"
)
_EMPTY_WORDS = _set("a an the of to in on at is are and or with it its that which")


def words(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation."""
    return re.findall(r"[^\W_]+(?:[.'][^\W_]+)*", text.lower())


def content_words(text: str) -> frozenset[str]:
    """The words that carry meaning: all of them where every word is a small one, such as in "on"."""
    found = words(text)
    return frozenset(w for w in found if w not in _EMPTY_WORDS) or frozenset(found)


def tidy(text: str) -> str:
    """A model's phrase on one line, without the stop at its end."""
    return " ".join(text.split()).rstrip(" .;,")


def quoted(text: str) -> str:
    """A model's sentence within one of ours."""
    told = tidy(text).replace('"', "'")
    return f'"{told}"'


@cache
def ordinal(index: int) -> str:
    """The place of a clip counted from zero: 0 is "first", 20 is "twenty-first"."""
    return str(_engine().number_to_words(_engine().ordinal(str(index + 1))))


def clip_name(index: int) -> str:
    """How a clip is called in questions and answers: "third clip"."""
    return f"{ordinal(index)} clip"


def the(noun: str) -> str:
    """A definite noun phrase; one that brings its own determiner keeps it."""
    noun = tidy(noun)
    first = noun.split(" ", 1)[0].lower()
    return noun if first in _DETERMINERS else f"the {noun}"


@cache
def is_plural(noun: str) -> bool:
    """Whether a category takes a plural verb: "children" and "scissors" do, "glass" and "bus" don't."""
    last = (words(noun) or [""])[-1]
    if not last or last in _ENDS_IN_S or last.endswith("ss"):
        return False
    return bool(_engine().singular_noun(last))


def plural(noun: str) -> str:
    """Several of what a noun names: "sizes"."""
    return noun if is_plural(noun) else str(_engine().plural(noun))


def number_of(count: int, noun: str) -> str:
    """So many of something: "1 object", "2 objects"."""
    return f"{count} {noun if count == 1 else plural(noun)}"


def seconds(length: float) -> str:
    """A length of time: "1 second", "2.5 seconds"."""
    told = f"{length:.1f}".removesuffix(".0")
    return f"{told} second{'' if told == '1' else 's'}"


def be(plural: bool) -> str:
    """The form of "to be" that fits."""
    return "are" if plural else "is"


def reduced(predicate: str) -> str:
    """A predicate right after a noun: "left of", "holding", "that wears" for "is left of", "hold", "wears"."""
    found = tidy(predicate).split(" ")
    first = found[0].lower()
    if first in _COPULA and len(found) > 1:
        return " ".join(found[1:])
    if first in _BARE_VERBS:
        return " ".join([str(_engine().present_participle(first)), *found[1:]])
    return " ".join(["that", *found]) if _is_finite(first) else " ".join(found)


def finite(predicate: str, plural: bool) -> str:
    """A predicate as a full verb phrase: "is left of", "are holding", "wears"."""
    phrase = reduced(predicate)
    return phrase.removeprefix("that ") if phrase.startswith("that ") else f"{be(plural)} {phrase}"


def _is_finite(verb: str) -> bool:
    looks = verb.endswith("s") and not verb.endswith(("ss", "us", "is")) and len(verb) > 2 and verb not in _NOT_VERBS
    return verb == "has" or looks


def with_attribute(noun: str, type: str, value: str) -> str:
    """A noun narrowed by one attribute: "large circle", or "man whose mood is happy"."""
    value = tidy(value)
    if type.lower() in _ADJECTIVAL and len(value.split()) <= 2:
        return f"{value} {noun}"
    return f"{noun} whose {tidy(type)} is {value}"


def has_attribute(type: str, value: str, plural: bool) -> str:
    """One attribute as a verb phrase for "which object ...": "is large", or "has the mood happy"."""
    value = tidy(value)
    if type.lower() in _ADJECTIVAL:
        return f"{be(plural)} {value}"
    return f"{'have' if plural else 'has'} the {tidy(type)} {value}"


def ask_attribute(type: str, mention: str, plural: bool) -> tuple[str, ...]:
    """The question for one attribute in several words, the last of which have a verb behind the mention.

    "What size is the circle", "what is the mood of the man", "what mood does the man have".
    """
    of, direct = f"what is the {tidy(type)} of {mention}", f"what {tidy(type)} {be(plural)} {mention}"
    having = f"what {tidy(type)} {'do' if plural else 'does'} {mention} have"
    return (direct, of, having) if type.lower() in _ASKED_DIRECTLY else (of, having)


def deed(predicate: str, target: str) -> str:
    """A motion with what it acts upon, if anything: "jumping on the bed"."""
    return f"{tidy(predicate)} {the(target)}" if tidy(target) else tidy(predicate)


def whether(subject: str, plural: bool, phrase: str, rest: str = "", *, long: bool = False) -> str:
    """A yes/no question for a verb phrase: "is the cup left of the bed", "is it true that the man holds the cup".

    A long subject comes before its verb, since "is the cup left of the bed left of the man" has to be read twice.
    """
    verb = finite(phrase, plural)
    copula = be(plural)
    if verb.startswith(f"{copula} ") and not long:
        return f"{copula} {subject} {verb.removeprefix(f'{copula} ')} {rest}".rstrip()
    return f"is it true that {subject} {verb} {rest}".rstrip()


def same_as(plural: bool) -> str:
    """The verb phrase of identity across clips."""
    return "are the same objects as" if plural else "is the same object as"


def sentence(text: str, stop: str = ".") -> str:
    """A text with a capital at its start and one stop at its end."""
    text = tidy(text)
    return f"{text[:1].upper()}{text[1:]}{stop}"
