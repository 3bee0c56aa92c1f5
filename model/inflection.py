"""Singular and plural of English nouns, for whatever noun phrase a model says. The engine is `inflect`; this knows its gaps."""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from model.stsg import words_of

if TYPE_CHECKING:
    import inflect

_PAIRS = words_of(  # of which there is no singular
    "glasses sunglasses eyeglasses spectacles goggles binoculars headphones earphones scissors pliers tongs tweezers shears"
    " clippers pants trousers jeans shorts leggings tights slacks sweatpants overalls pajamas pyjamas clothes boxers briefs"
    " knickers handcuffs suds outskirts surroundings belongings"
)
_SAME = words_of(  # one or many
    "series species aircraft spacecraft watercraft hovercraft sheep deer moose fish salmon trout tuna shrimp squid bison swine"
    " headquarters crossroads offspring means"
)
_ONE = words_of(  # in s, and no plural
    "lens canvas bus minibus gas atlas iris cactus octopus walrus tennis chess compass mattress waitress actress dress glass"
    " grass cross boss moss mess press bass brass hippopotamus platypus virus campus circus bonus status apparatus asparagus"
    " hibiscus eucalyptus crocus focus oasis basis trellis chassis pelvis clematis mantis tennis news physics gymnastics"
    " athletics christmas cosmos thermos rhinoceros abacus fungus stylus terminus bias alias pancreas swiss"
)
_MASS = words_of(  # of which there are no two
    "hair weather water grass sand snow ice rain smoke fog mud dirt dust soil gravel concrete asphalt furniture clothing"
    " luggage baggage traffic equipment machinery food bread rice pasta butter cheese milk coffee tea juice sugar salt flour"
    " honey meat beef pork bacon jewelry jewellery cutlery silverware tableware foliage vegetation greenery scenery graffiti"
    " garbage trash litter rubbish laundry hay straw wool cotton leather plastic wood lumber paint money cash mail music"
    " information advice makeup footwear shade sunlight daylight lightning thunder fur foam steam sky air popcorn lettuce"
    " spinach broccoli garlic"
    " seaweed driftwood firewood software hardware evidence"
)
_ING = words_of(  # nouns that one can count; other words in -ing are doings
    "building railing painting ring wing ceiling string king thing swing spring earring drawing opening crossing sling sibling"
    " awning evening morning wedding meeting stocking herring sapling duckling gosling dumpling pudding sting viking clearing"
    " landing carving fitting coupling dwelling covering marking wrapping topping filling serving bearing engraving moulding"
    " molding nothing something anything lightning-ring bling being human-being offering recording sewing-ring etching casing"
    " railing bowstring drawstring shoestring keyring nosering plaything underling starling yearling seedling"
)
_ONE_OF = {  # singulars that the engine does not know, or gets wrong
    "men": "man",
    "women": "woman",
    "people": "person",
    "persons": "person",
    "movies": "movie",
    "cookies": "cookie",
    "smoothies": "smoothie",
    "selfies": "selfie",
    "hoodies": "hoodie",
    "brownies": "brownie",
    "zombies": "zombie",
    "calories": "calorie",
    "birdies": "birdie",
    "ties": "tie",
    "pies": "pie",
    "shoes": "shoe",
    "toes": "toe",
    "canoes": "canoe",
    "hoes": "hoe",
    "oboes": "oboe",
    "axes": "axe",
    "leaves": "leaf",
    "loaves": "loaf",
    "scarves": "scarf",
    "wolves": "wolf",
    "hooves": "hoof",
    "caves": "cave",
    "gloves": "glove",
    "stoves": "stove",
    "sleeves": "sleeve",
    "valves": "valve",
    "waves": "wave",
    "buses": "bus",
    "lenses": "lens",
    "canvases": "canvas",
    "cheeses": "cheese",
    "horses": "horse",
    "houses": "house",
    "vases": "vase",
    "purses": "purse",
    "noses": "nose",
    "hoses": "hose",
    "roses": "rose",
    "nurses": "nurse",
    "cases": "case",
    "bases": "base",
    "blouses": "blouse",
    "cacti": "cactus",
    "dice": "die",
    "mustaches": "mustache",
    "moustaches": "moustache",
    "headaches": "headache",
    "avalanches": "avalanche",
    "caches": "cache",
    "niches": "niche",
    "quiches": "quiche",
    "passersby": "passerby",
    "passers-by": "passer-by",
    "skis": "ski",
    "taxis": "taxi",
}
_SEVERAL = {
    "person": "people",
    "bus": "buses",
    "cactus": "cacti",
    "scarf": "scarves",
    "hoof": "hooves",
    "axe": "axes",
    "roof": "roofs",
    "chef": "chefs",
    "giraffe": "giraffes",
    "human": "humans",
    "german": "germans",
    "octopus": "octopuses",
    "iris": "irises",
    "lens": "lenses",
    "canvas": "canvases",
    "staff": "staff",
    "die": "dice",
    "passerby": "passersby",
    "passer-by": "passers-by",
}
_IN_I_AND_U = words_of(  # whose plural looks like a singular in -is or -us
    "bikini kiwi safari zucchini sushi jacuzzi alibi sari rabbi martini corgi yeti wonton panini salami tsunami graffiti"
    " origami khaki taxi ski menu guru emu tutu gnu haiku tofu caribou bayou"
)
_AFTER_NOUN = words_of(
    "of in on with at for from by behind beside near next over under to that who whose wearing wears holding without"
)
_AFTER_DOING = _AFTER_NOUN | words_of("a an the his her its their some up down through along across around towards")
_STUFF = words_of("lighting bedding flooring packaging seating carpeting paneling plumbing wiring fencing clothing")


@cache
def engine() -> "inflect.engine":
    """Load the engine when it is first needed: its import takes seconds, which a service that only starts should not pay."""
    import inflect

    return inflect.engine()


@cache
def singular(noun: str) -> str:
    """Give the singular of one word; one that has none, or is one, stays.

    "buildings" -> "building"; "lens" -> "lens"; "scissors" -> "scissors"
    """
    word = noun.lower()
    if word in _ONE_OF:
        return _ONE_OF[word]
    if word in _PAIRS or word in _SAME or word in _ONE or word in _MASS or not word.isascii():
        return noun
    if word[:-1] in _IN_I_AND_U and word.endswith("s"):
        return noun[:-1]
    if word.endswith(("ss", "us", "is")) or len(word) < 3:
        return noun
    found = _of_the_engine(word, plural=False)
    return noun[: len(found)] if found and word.startswith(found) else found or noun


@cache
def plural(noun: str) -> str:
    """Give the plural of one word; a plural, and what can't be counted, stays.

    "building" -> "buildings"; "furniture" -> "furniture"; "glasses" -> "glasses"
    """
    word = noun.lower()
    if word in _SEVERAL:
        return _SEVERAL[word]
    if word in _PAIRS or word in _SAME or _is_mass(word) or not word[-1:].isalpha() or singular(noun) != noun:
        return noun
    if noun.isupper() and len(noun) > 1:  # "TV"
        return f"{noun}s"
    return _of_the_engine(noun, plural=True) or noun


def one_of(phrase: str) -> str:
    """Name one of several, in a noun phrase.

    "tall hikers in the snow" -> "tall hiker in the snow"
    """
    return _with_head(phrase, singular)


def several(phrase: str) -> str:
    """Name several of one, in a noun phrase.

    "man in a red jacket" -> "men in a red jacket"
    """
    return _with_head(phrase, plural)


def noun_of(phrase: str) -> str:
    """Give the part of a noun phrase that ends in its noun: "tall man" of "tall man in a red jacket"."""
    words = phrase.split()
    for at, word in enumerate(words[1:-1], 1):
        if word in _AFTER_NOUN or (_is_deed(word) and words[at + 1] in _AFTER_DOING):
            return " ".join(words[:at])
    return phrase


def is_countable_ing(word: str) -> bool:
    """Tell a noun in -ing, such as "ceiling", from a doing, such as "running"."""
    return word.lower() in _ING


def has_no_singular(word: str) -> bool:
    """Tell whether a word names one thing in the plural, as "scissors" does."""
    return word.lower() in _PAIRS


def _is_deed(word: str) -> bool:
    """Whether a word in -ing says what the noun before it does, as "riding" does in "man riding a horse"."""
    return word.endswith("ing") and word not in _ING and word not in _STUFF


def _is_mass(word: str) -> bool:
    if word in _MASS or word.endswith("wear"):
        return True
    return (word.endswith("ing") and word not in _ING) or (word.endswith("ness") and not word.endswith("harness"))


def _with_head(phrase: str, inflected: Callable[[str], str]) -> str:
    """The phrase with its noun, the last word before "of", "in" and the like, in another number."""
    words, everything = noun_of(phrase).split(), phrase.split()
    if not words:
        return phrase
    rest = everything[len(words) :]
    is_vessel = words[-1] == "glasses" and rest[:1] == ["of"]  # "glasses of water", of which one is a glass
    head = "glass" if is_vessel and inflected is singular else inflected(words[-1])
    return " ".join([*words[:-1], head, *rest])


def _of_the_engine(word: str, *, plural: bool) -> str:
    try:
        found = engine().plural_noun(word) if plural else engine().singular_noun(word)
    except Exception:  # noqa: BLE001 # of what is no noun, which a model may say
        return ""
    return str(found) if found else ""
