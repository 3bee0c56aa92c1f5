"""What models put around their replies: each function takes one kind of it off, and gives the text and what it took.

All look at a bounded text; none takes off so much that nothing is left of a text that said something (`unwrap` sees to it).
"""

import json
import re
from collections.abc import Iterator
from itertools import pairwise

Taken = tuple[str, list[str]]

_TAGS = r"(?:final[_ ])?(?:answer|response|reply|output|result|conclusion|solution|sentence|caption|description)"
_TAG = re.compile(rf"<(/?)(?:{_TAGS})\s?>", re.IGNORECASE)
_BOX = re.compile(r"\\f?boxed\s*\{|\\fbox\s*\{")
_MATH = re.compile(r"\\(?:text(?:bf|it|rm|tt|sf)?|math(?:rm|bf|it|sf|tt)|operatorname|emph)\s*\{([^{}]*)\}")
_MATH_PAIRS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"))
_LANGUAGE = re.compile(
    r"[ \t]*[\w+-]{0,16}[ \t]*\n|(?:json|python|text|txt|md|markdown|plaintext)(?=[\s\[{])", re.IGNORECASE
)
_MARKS = r"[*_#>\s]{0,8}"  # emphasis, headings, quotations
_LABEL = (
    r"(?:assistant|ai|bot|gpt|chatgpt|(?:the |my |your |final )?(?:final |correct |short )?(?:answer|response|reply)"
    r"|final output|output|result|solution)"
)
_ROLE = re.compile(
    rf"{_MARKS}[\[<(]?{_LABEL}[\])>]?[*_\s]{{0,4}}(?::|\uff1a|(?<=\*)\s*\n|(?<=_)\s*\n){_MARKS}|#{{1,6}}\s*{_LABEL}\s*\n",
    re.IGNORECASE,
)
_NEXT_TURN = re.compile(
    r"\n[ \t]{0,8}(?:#{1,4} ?)?(?:USER|Human|User|Instruction|HUMAN)\s?:|\n#{2,4} ?(?:User|Human|Instruction)\b"
)
_GREETING = re.compile(
    r"(?:(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok|all ?right|great(?: question)?|got it|understood|no problem"
    r"|happy to help|my pleasure|thank(?: you|s)[^.!\n]{0,80}|hello|hi(?: there)?|well|gladly"
    r"|i(?:['\u2019]d| would) be (?:happy|glad) to[^.!\n:]{0,60})\s*[!,.:\u2014\u2013\uff0c\uff01-]+\s*){1,3}",
    re.IGNORECASE,
)
_WHAT = r"[^\n:\uff1a{}\[\]<>]"
_HERE = re.compile(
    rf"{_MARKS}(?:(?:so|now|and|based on|according to|from|given|looking at|after) ?{_WHAT}{{0,120}}?, ?)?"
    r"(?:here(?:['\u2019]s| is| are| you go| it is)|below (?:is|are)|(?:the )?following (?:is|are)|(?:this is|these are) the"
    rf"|i {_WHAT}{{0,60}}\bthe following|the (?:list|json|output|result|sentence|phrase|description|caption|summary)\b"
    rf"{_WHAT}{{0,60}}\b(?:is|are)){_WHAT}{{0,160}}[:\uff1a]{_MARKS}",
    re.IGNORECASE,
)
_ANSWER_IS = re.compile(
    r"(?:(?:so|thus|therefore|hence),? )?(?:the|my) (?:(?:final|correct|right|best|most \w{1,12}) ){0,2}"
    rf"(?:answer|option|choice)(?: (?:to|for) {_WHAT}{{0,80}}?)? (?:is|would be|should be)(?:\s*[:\uff1a])?\s+{_MARKS}",
    re.IGNORECASE,
)
_OFFER = re.compile(
    r"(?:^|[\n.!?\]})>\"\u201d*`\u3002])\s*((?:please |and |also |but )?(?:let me know|feel free"
    r"|don['\u2019]t hesitate|do not hesitate"
    r"|i(?:['\u2019]m| am|['\u2019]d be)? (?:always )?(?:happy|glad|here) to|i hope|hope (?:this|that|it)"
    r"|if you(?:['\u2019]d| would|['\u2019]re| are)? (?:like|have|need|want|looking)|if there(?:['\u2019]s| is) anything"
    r"|is there anything|would you like|do you (?:want|need|have)|(?:how )?(?:else )?can i (?:help|assist)|thank you|thanks"
    r"|have a (?:great|nice|good|wonderful)|good luck|\(?please note|[*_(]{0,3}note\b)[^\n]{0,400})\s*$",
    re.IGNORECASE,
)
_REMARK = re.compile(
    r"\n[ \t]{0,8}[*_#(]{0,6}(?:explanation|reasoning|justification|rationale|notes?|disclaimer)\b[*_]{0,3}\s{0,3}[:\uff1a]",
    re.IGNORECASE,
)
_QUOTES = (
    *('""', "''", "``", "\u201c\u201d", "\u2018\u2019", "\u201e\u201c", "\u201e\u201d", "\u201a\u2018"),
    *("\u00ab\u00bb", "\u00bb\u00ab", "\u2039\u203a", "\u300c\u300d", "\u300e\u300f", "\u300a\u300b", "\uff02\uff02"),
)
_EMPHASIS = ("***", "**", "__", "*", "_", "~~")
_FIELD = re.compile(r'\{\s*"(?:final_)?(?:answer|response|reply|output|result|text|sentence|description|caption|summary|event'
                    r'|content|narrative|label|choice)"\s*:', re.IGNORECASE)  # fmt: skip


def tags(text: str) -> Taken:
    """`<answer>...</answer>` and its like: what the last of them holds, closed or not."""
    found = list(_TAG.finditer(text))
    opens = [n for n, tag in enumerate(found) if not tag[1]]
    for n in reversed(opens):
        start = found[n].end()
        end = found[n + 1].start() if n + 1 < len(found) else len(text)
        if text[start:end].strip():
            return text[start:end], [text[: found[n].end()], *([text[end:]] if end < len(text) else [])]
    if found and not opens and text[: found[0].start()].strip():
        return text[: found[0].start()], [text[found[0].start() :]]
    return text, []


def boxes(text: str) -> Taken:
    r"""`\boxed{...}`: what it holds; several that differ stay in their places. `\text{...}` and `$...$` around all."""
    spans = list[tuple[int, int, int]]()
    for box in _take(_BOX.finditer(text)):
        if not spans or box.start() > spans[-1][2]:  # not within another
            spans.append((box.start(), box.end(), _end_of_braces(text, box.end())))
    held = list(dict.fromkeys(text[start:end].strip() for _, start, end in spans))
    taken = [text[at:start] for at, start, _ in spans]
    if len(held) == 1:
        text = held[0]
    elif held:
        edges = [0, *(edge for at, start, end in spans for edge in (at, start, end, end + 1)), len(text)]
        text = "".join(text[a:b] for n, (a, b) in enumerate(pairwise(edges)) if n % 2 == 0)
    for _ in range(3):
        taken += [m[0].partition("{")[0] for m in _take(_MATH.finditer(text))]
        text = _MATH.sub(r"\1", text)
    for opening, closing in _MATH_PAIRS:
        inner = text[len(opening) : len(text) - len(closing)]
        if len(text) > 2 and text.startswith(opening) and text.endswith(closing) and opening not in inner:
            return inner, [*taken, opening]
    return text, taken


def _take(found: Iterator[re.Match[str]]) -> list[re.Match[str]]:
    return [match for match, _ in zip(found, range(64), strict=False)]


def _end_of_braces(text: str, start: int) -> int:
    """Where braces that are open at `start` are closed; the end of the text where they are not."""
    depth = 1
    for brace in re.finditer(r"[{}]", text[start:]):
        depth += 1 if brace[0] == "{" else -1
        if not depth:
            return start + brace.start()
    return len(text)


def fences(text: str) -> Taken:
    """Code fences: what they hold, closed or not."""
    parts = text.replace("~~~", "```").split("```")
    inside = [part[m.end() :] if (m := _LANGUAGE.match(part)) else part for part in parts[1::2]]
    held = "\n".join(part.strip("\n") for part in inside if part.strip())
    if not held:
        return ("\n".join(parts[::2]), ["```"]) if len(parts) > 1 else (text, [])
    return held, ["```", *(part for part in parts[::2] if part.strip())]


def roles(text: str) -> Taken:
    """ "ASSISTANT:", "Answer:" and "### Response" in front, and a turn of the user's that the model goes on with."""
    taken = []
    if follows := _NEXT_TURN.search(text):
        taken.append(text[follows.start() :])
        text = text[: follows.start()]
    if found := _ROLE.match(text):
        taken.append(found[0])
        text = _rest(text, found)
    return text, taken


def lead_ins(text: str) -> Taken:
    """ "Sure! Here is the list:", "The answer is"."""
    taken = []
    for pattern in (_GREETING, _HERE, _ANSWER_IS):
        found = pattern.match(text)
        if found and text[found.end() :].strip(" .!*"):
            taken.append(found[0])
            text = _rest(text, found)
    return text, taken


def _rest(text: str, found: re.Match[str]) -> str:
    """What follows a beginning; emphasis that began there ends where the rest's first such mark is."""
    rest = text[found.end() :]
    return rest.replace("**", "", 1) if found[0].count("**") % 2 else rest


def offers(text: str) -> Taken:
    """ "Let me know if ...", "I hope this helps!", notes and explanations at the end."""
    taken = []
    remark = _REMARK.search(text)
    if remark and text[: remark.start()].strip():
        taken.append(text[remark.start() :])
        text = text[: remark.start()]
    for _ in range(4):
        start = max(0, len(text) - 600)
        found = _OFFER.search(text, start)
        if found is None or not text[: found.start(1)].strip():
            break
        taken.append(found[1])
        text = text[: found.start(1)].rstrip()
    return text, taken


def quotes(text: str) -> Taken:
    """Quotes or emphasis around the whole, of any kind; and a quote that has no other half."""
    bare = text.rstrip(" .,") if text[-1:] in ".," else text
    for pair in _QUOTES:
        inner = bare[1:-1]
        if len(bare) > 2 and bare[0] == pair[0] and bare[-1] == pair[1] and not _holds(inner, pair):
            return inner, [pair]
    for mark in _EMPHASIS:
        inner = bare[len(mark) : -len(mark)]
        if len(bare) > 2 * len(mark) and bare.startswith(mark) and bare.endswith(mark) and _within(inner, mark):
            return inner, [mark]
    for quote in ('"', "\u201c", "\u201d"):
        if (
            text.count(quote) == 1
            and quote in (text[0], text[-1])
            and not {'"', "\u201c", "\u201d"} & set(text.replace(quote, ""))
        ):
            return text.replace(quote, ""), [quote]
    return text, []


def _within(inner: str, mark: str) -> bool:
    """Whether a text can be what stands between two of such marks."""
    return mark not in inner and not inner[:1].isspace() and mark[0] not in (inner[:1], inner[-1:])


def _holds(inner: str, pair: str) -> bool:
    """Whether a text has such quotes of its own; an apostrophe within a word is none."""
    if pair[0] in "'\u2018":
        inner = re.sub(r"(?<=\w)['\u2019](?=\w)", "", inner)
    return pair[0] in inner or pair[1] in inner


def fields(text: str) -> Taken:
    """A JSON object with one field alone, which holds the reply: `{"answer": "Yes"}`."""
    if not _FIELD.match(text) or text.count("{") > 1 or text.count("[") > 40:
        return text, []
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return text, []
    [value] = told.values() if len(told) == 1 else [None]
    return (value, ["{"]) if isinstance(value, str) else (text, [])
