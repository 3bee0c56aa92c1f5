"""Small, sure pieces of English for questions and rationales (STEP Sec. 3.2): every mention goes through here.

Names, predicates and values are a model's own words, so each function takes any string and never fails.
"""

import re
from functools import cache
from typing import Literal

from model import inflection
from model.inflection import engine
from model.stsg import words_of

_DETERMINERS = words_of(
    "a an the this that these those his her its their my your our some someone something each another everyone everybody"
    " everything nobody nothing him them it himself herself itself themselves oneself"
)
_SINGULAR = words_of(
    "canvas gas lens atlas christmas compass cosmos thermos rhinoceros news physics gymnastics series species"
    " fish sheep deer furniture luggage data media"
)
_PLURAL = words_of("police cattle")
_ADJECTIVAL = words_of("color colour size shape material texture pattern age length height")
_ASKED_DIRECTLY = words_of("color colour size shape")
_COPULA = words_of("is are was were")
_NOT_VERBS = words_of(
    "across towards besides afterwards upwards downwards backwards forwards sideways less always sometimes perhaps"
    " upstairs downstairs indoors outdoors meters metres feet inches yards miles"
)
_STATES = words_of("has belongs contains consists lacks owns resembles")  # what nothing is said to be doing
_PLAIN_VERBS = words_of(
    "brush carry chase clean climb cook cover crouch cut dance drink drive eat enter face follow get give go grab hang have"
    " hit hold hug jump kick kneel lean lie lift look move open pass pick play point pour pull push put reach read ride run"
    " shake show sit smile speak squat stand swim take talk throw touch turn use wait walk wash watch wave wear write"
    " aim applaud approach bend bounce bow build chat cheer chop clap crawl cross dive draw enjoy examine exit extend fall feed"
    " fight fill fix float fold greet grip grasp inspect kiss lead listen mix nod overlap paint perform pet practice prepare"
    " raise remove repair rinse roll rub sail scrub serve sew shoot sing ski skip sleep slide spin spread stare stir stretch"
    " support surround swing tackle tie visit wipe wrap wrestle"
)
_PARTICIPLES = {"dye": "dyeing", "squat": "squatting"}  # in which the engine is wrong
_DOUBLED = words_of(
    "admit begin commit control equip forget occur patrol permit prefer refer regret submit transfer upset"
)
_PLAIN = {"lies": "lie", "ties": "tie", "dies": "die", "focuses": "focus"}  # likewise
_NOUNS = words_of("part member half side") | _DETERMINERS  # at the head of a predicate, such as "part of"
_AFTER_HEAD = words_of("at behind beside by for from in near next of on over that to under wears who whose with")
_EMPTY_WORDS = words_of("a an the of to in on at is are and or with it its that which")


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
    return str(engine().number_to_words(engine().ordinal(str(index + 1))))


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
    """Whether a noun phrase takes a plural verb: "children" and "scissors" do, "glass" and "pair of shoes" don't."""
    head = _head(noun)
    if not head or head in _SINGULAR or head.endswith(("ss", "us", "is")):
        return False
    return head in _PLURAL or inflection.has_no_singular(head) or inflection.singular(head) != head


def _head(noun: str) -> str:
    """The word that decides about the verb: "pair" of "pair of shoes", "man" of "man with glasses"."""
    found = words(noun)
    ends = (i for i, word in enumerate(found) if i and (word in _AFTER_HEAD or _is_doing(word, i + 1 == len(found))))
    return found[next(ends, len(found)) - 1] if found else ""


def _is_doing(word: str, is_last: bool) -> bool:
    """Whether a word says what the noun before it does, as "wearing" does; "brick building" ends in a noun."""
    return word.endswith("ing") and not (is_last and inflection.is_countable_ing(word))


def plural(noun: str) -> str:
    """Several of what a noun names: "sizes", but "hair"."""
    return noun if is_plural(noun) else inflection.several(noun)


def with_be(noun: str) -> str:
    """A noun and its form of "to be": "mood is", "clothes are"."""
    return f"{tidy(noun)} {be(is_plural(noun))}"


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


def reduced(predicate: str, plural: bool = False) -> str:
    """A predicate right after a noun: "left of", "holding", "that wears" for "is left of", "hold", "wears"."""
    full, copula = finite(predicate, plural), f"{be(plural)} "
    after = full.removeprefix(copula)
    return f"that {full}" if after == full or after.split(" ")[0].lower() in _NOUNS else after


def acting(deed: str, plural: bool = False) -> str:
    """A motion right after a noun: "moving left", but "that is running", as more words may follow."""
    after = reduced(deed, plural)
    return after if " " in after else f"that {finite(deed, plural)}"


def finite(predicate: str, plural: bool) -> str:
    """A predicate as a full verb phrase: "is left of", "are holding", "wears", "wear"."""
    first, *rest = tidy(predicate).split(" ")
    if first.lower() in _COPULA and rest:
        return " ".join([be(plural), *rest])
    form = form_of(first)
    if form == "plain":
        return " ".join([be(plural), _participle(first.lower()), *rest])
    if form == "finite":
        return " ".join([_plain(first.lower()) if plural else first, *rest])
    return " ".join([be(plural), first, *rest])


def progressive(predicate: str) -> str:
    """A predicate in the one form that graphs have it in: "holding" for "hold", "holds" and "is holding"; "left of" as it is.

    Two that are told in the same words must not be two, or a question about one has the other's answer, too.
    """
    first, *rest = tidy(predicate).split(" ")
    if first.lower() in _COPULA and rest:
        first, *rest = rest
    form = form_of(first)
    if form and first.lower() not in _STATES:
        first = _participle(first.lower() if form == "plain" else _plain(first.lower()))
    return " ".join([first, *rest])


def form_of(phrase: str) -> Literal["plain", "finite", ""]:
    """How a predicate or an action starts: with a plain verb ("hold"), one in the third person ("holds"), or otherwise."""
    verb = phrase.split(" ")[0].lower()
    if verb in _PLAIN_VERBS:
        return "plain"
    looks = verb.endswith("s") and not verb.endswith(("ss", "us", "is")) and len(verb) > 2 and verb not in _NOT_VERBS
    return "finite" if looks else ""


@cache
def _participle(verb: str) -> str:
    """The form in -ing; of several syllables only those with the stress on the last double its consonant."""
    if verb in _DOUBLED:
        return f"{verb}{verb[-1]}ing"
    made = _PARTICIPLES.get(verb) or str(engine().present_participle(verb))
    several = len(re.findall(r"[aeiouy]+", verb)) > 1
    return f"{verb}ing" if several and made == f"{verb}{verb[-1]}ing" and verb not in _PARTICIPLES else made


@cache
def _plain(verb: str) -> str:
    """A verb in the third person as it is in the plural: "hold", "have"."""
    return _PLAIN.get(verb) or str(engine().plural_verb(verb))


def with_attribute(noun: str, type: str, value: str) -> str:
    """A noun narrowed by one attribute: "large circle", or "man whose mood is happy"."""
    told = tidy(value).split(" ")
    if is_said_of_owner(type) and len(told) <= 2 and told[0].lower() not in _DETERMINERS | _AFTER_HEAD:
        return f"{' '.join(told)} {noun}"
    return f"{noun} whose {with_be(type)} {tidy(value)}"


def is_said_of_owner(type: str) -> bool:
    """Whether the object itself is what such a value says: a circle is large, but a man isn't a blue shirt."""
    return type.lower() in _ADJECTIVAL


def type_said(type: str) -> str:
    """The type of an attribute where its words tell it, "" where they don't: "old" may be said of an age and of a condition."""
    return "" if is_said_of_owner(type) else type


def ask_attribute(type: str, mention: str, plural: bool) -> tuple[str, ...]:
    """The question for one attribute in several words, the last of which have a verb behind the mention.

    "What size is the circle", "what is the mood of the man", "what mood does the man have".
    """
    of, direct = (
        f"what {be(is_plural(type))} the {tidy(type)} of {mention}",
        f"what {tidy(type)} {be(plural)} {mention}",
    )
    having = f"what {tidy(type)} {'do' if plural else 'does'} {mention} have"
    if type.lower() == "age":
        return (of, direct)
    return (direct, of, having) if type.lower() in _ASKED_DIRECTLY else (of, having)


def deed(predicate: str, target: str) -> str:
    """A motion with what it acts upon, if anything: "jumping on the bed"."""
    return f"{tidy(predicate)} {the(target)}" if tidy(target) else tidy(predicate)


def whether(subject: str, plural: bool, phrase: str, rest: str = "", *, long: bool = False) -> str:
    """A yes/no question for a verb phrase: "is the cup left of the bed", "does the man hold the cup".

    A long subject comes before its verb, since "is the cup left of the bed left of the man" has to be read twice.
    """
    verb = finite(phrase, plural)
    if long:
        return f"is it true that {subject} {verb} {rest}".rstrip()
    copula = be(plural)
    if verb.startswith(f"{copula} "):
        return f"{copula} {subject} {verb.removeprefix(f'{copula} ')} {rest}".rstrip()
    return f"{'do' if plural else 'does'} {subject} {finite(phrase, plural=True)} {rest}".rstrip()


def same_as(plural: bool) -> str:
    """The verb phrase of identity across clips."""
    return "are the same ones as" if plural else "is the same object as"


def sentence(text: str, stop: str = ".") -> str:
    """A text with a capital at its start and one stop at its end."""
    text = tidy(text)
    return f"{text[:1].upper()}{text[1:]}{stop}"
