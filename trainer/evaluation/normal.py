"""The one normalisation of answers, in this order.

Unicode NFKC and lower case; punctuation other than a stop or apostrophe inside a word parts words; the articles a, an and the
are dropped; the words zero to twenty become digits. Nothing else is forgiven: no synonyms, no plurals.
"""

import re
import unicodedata

MAX_CHARS = 16_384  # of a reply that are looked at
_ARTICLES = frozenset({"a", "an", "the"})
_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen twenty"
)
_DIGITS = {word: str(number) for number, word in enumerate(_NUMBERS.split())}
_WORD = re.compile(r"[^\W_]+(?:[.'][^\W_]+)*")


def normalised(text: str) -> str:
    """Write a text as it is compared; one of articles alone keeps them.

    "The Two red-circles!" -> "2 red circles"
    """
    found = _WORD.findall(unicodedata.normalize("NFKC", text[:MAX_CHARS]).replace("\u2019", "'").lower())
    kept = [word for word in found if word not in _ARTICLES] or found
    return " ".join(_DIGITS.get(word, word) for word in kept)
