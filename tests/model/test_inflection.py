"""Singular and plural of the nouns that models use of videos."""

import pytest

from model.inflection import one_of, plural, several, singular
from model.rationale import english
from model.stsg import words_of

EVERYDAY = words_of(
    "actress airplane ambulance anchor apple atlas audience awning axe baby backpack bag ball balloon bamboo"
    " banana barrel base basket bat beach bear bed belt bench berry bicycle bin binoculars bird blanket blind"
    " block blouse board boat body book bottle boulder bowl box boy bracelet branch brick bridge broom brownie"
    " brush bucket building bus bush businesswoman buzz cabinet cactus cake calf camera can candle canoe canvas"
    " car card carpet carrot case cat cave ceiling chain chair cheese chef cherry chicken chief child chimney"
    " church city claw cliff clock closet clothes club coat comb compass cookie couch court cow crate cross cup"
    " curb curtain cyclist dancer dart deer desk die dish doctor dog doll dolphin domino donkey donut door"
    " doorknob doorway drawer drawing dress drier drill driver drum duck duckling dumpling dwarf earring echo egg"
    " elephant elevator elf escalator essay fax feather fence fez field fin fireman fish fisherman floor flower"
    " flute foot fork fox frisbee gas gate giraffe girl glasses glove goal goose guitar guy half hammer handbag"
    " handkerchief handlebar harp hat headlight headphones helicopter helmet hero hill hoe hoodie hoof hoop horn"
    " horse hose house iris island jacket jar jeans jet kangaroo kayak kettle key keyboard kid king kite kitten"
    " knife ladder lady lake lamp lantern laptop leaf lens lid light loaf lorry man mango mask mat match mattress"
    " medicine microphone microwave mirror monitor monkey moose mop motorcycle mountain mouse movie nail napkin"
    " necklace nest net nose nurse octopus orange oven ox painting pan pants paper passenger path paw peach pebble"
    " pedal pedestrian penguin person phone photo piano pie pillow pizza plant plate player playground pliers pole"
    " policeman pond pony pot potato proof puck puppet puppy purse puzzle queen quiz racket radio raft railing"
    " rake razor referee refrigerator remote ring river road robot rock rocket roof rope rose rug saddle sandbox"
    " sandwich satellite saucer saw scale scarf scissors screen screw seal seat seesaw selfie series shark sheaf"
    " sheep shelf ship shirt shoe shorts shovel sidewalk sign sink skateboard ski skirt slide snowboard sock sofa"
    " speaker species sponge spoon spring stadium stair step stick stone stool story strawberry stream street"
    " string suitcase sunglasses surfboard swan sweater swimmer swing table tablecloth tail taxi team teddy tee"
    " television thief tie tire toaster toe toilet tomato tooth toothbrush torch towel tower toy tractor trail"
    " trailer train tray tree tripod trolley trombone truck trumpet tunnel turkey umbrella valley van vase vest"
    " video violin waiter waitress wall wallet watch waterfall wave whale wheel window windshield wing wolf woman"
    " wrench zebra zoo"
)


def test_nouns_come_back_from_their_plurals_and_are_their_own_singulars() -> None:
    assert len(EVERYDAY) > 400
    assert [(singular(plural(n)), singular(n)) for n in EVERYDAY] == [(n, n) for n in EVERYDAY]
    assert [plural(plural(n)) for n in EVERYDAY] == [plural(n) for n in EVERYDAY]


@pytest.mark.parametrize(
    ("noun", "expected"),
    [
        ("building", "buildings"),
        ("railing", "railings"),
        ("painting", "paintings"),
        ("ring", "rings"),
        ("wing", "wings"),
        ("ceiling", "ceilings"),
        ("string", "strings"),
        ("person", "people"),
        ("fireman", "firemen"),
        ("shelf", "shelves"),
        ("roof", "roofs"),
        ("mouse", "mice"),
        ("piano", "pianos"),
        ("tomato", "tomatoes"),
        ("furniture", "furniture"),
        ("clothing", "clothing"),
        ("sheep", "sheep"),
        ("scissors", "scissors"),
    ],
)
def test_plurals(noun: str, expected: str) -> None:
    assert plural(noun) == english.plural(noun) == expected


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("man in a red jacket", "men in a red jacket"),
        ("traffic light", "traffic lights"),
        ("piece of paper", "pieces of paper"),
        ("brick facade building", "brick facade buildings"),
        ("man wearing glasses", "men wearing glasses"),
        ("", ""),
        ("\U0001f600", "\U0001f600"),
    ],
)
def test_the_noun_of_a_phrase_is_put_into_the_plural(phrase: str, expected: str) -> None:
    assert several(phrase) == expected or not phrase.isascii()
    if phrase.isascii():
        assert one_of(expected) == phrase


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (w, w)
        for w in [
            "glasses",
            "pants",
            "clothes",
            "series",
            "scissors",
            "headphones",
            "lens",
            "canvas",
            "bus",
            "water",
            "jeans",
        ]
    ]
    + [("movies", "movie"), ("cookies", "cookie"), ("lenses", "lens"), ("people", "person"), ("shoes", "shoe")],
)
def test_a_noun_without_a_singular_stays(word: str, expected: str) -> None:
    assert one_of(word) == expected


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("mustache", "mustaches"),
        ("bikini", "bikinis"),
        ("menu", "menus"),
        ("TV", "TVs"),
        ("Traffic Light", "Traffic Lights"),
        ("passerby", "passersby"),
        ("glass of water", "glasses of water"),
        ("man sitting on a bench", "men sitting on a bench"),
        ("man riding a horse", "men riding a horse"),
        ("painting on the wall", "paintings on the wall"),
        ("street lighting on the wall", "street lighting on the wall"),
    ],
)
def test_phrases_come_back_from_their_plurals(phrase: str, expected: str) -> None:
    assert (english.plural(phrase), one_of(expected), one_of(phrase)) == (expected, phrase, phrase)


@pytest.mark.parametrize("text", ["3", "no. 5", "-", ""])
def test_what_is_no_noun_stays(text: str) -> None:
    assert (english.plural(text), one_of(text)) == (text, text)
