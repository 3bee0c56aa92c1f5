"""Control tokens of any family of models, which a server may leave in its replies: where a turn ends, media, padding."""

import re

# Names in plain angle brackets; other words between such brackets may be what a model says, as in a triplet.
_NAMES = (
    r"/?s|/?pad|/?unk|bos|eos|sep|cls|mask|sop|eop|eot|eod|eom|bot|eoc|boi|eoi"
    r"|(?:start|end|begin)_of_\w{1,24}|/?(?:im(?:age|g)?|vid(?:eo)?|audio|speech|vision|sound)"
    r"|im_(?:start|end|patch|content|col|row)\w{0,12}|(?:image|img|video|audio|vid)[_-](?:start|end|pad|token|soft|context)\w{0,16}"
    r"|ImageHere|IMG_CONTEXT|fake_token_around_image|global[-_]img|row_\d{1,3}_col_\d{1,3}"
    r"|unused_?\d{1,5}|extra_id_\d{1,5}|reserved\w{0,24}|0x[0-9a-f]{2}|(?:loc|seg|patch_index_)\d{1,5}"
    r"|/?(?:ref|quad|point|grounding|phrase|tool_call|tool_response|sys)"
)
_CONTROL = (
    r"<[|｜][^<>|｜\n]{1,48}[|｜]>"  # <|im_end|>, also with full-width bars
    r"|<[|｜][\w▁:/-]{1,32}>|<[\w▁:/-]{1,32}[|｜]>"  # <|turn>, <turn|>
    rf"|<(?:{_NAMES})>|<<\/?SYS>>"
    r"|(?-i:\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|IMG(?:_BREAK|_END)?|EOS|BOS|PAD|UNK|CLS|SEP|gMASK)\])"
    r"|\[end of text\]|(?<!\S)/(?:no_)?think\b"
)
_THINKING = r"</?(?:(?:seed|mm|longcat)[:_])?(?:think(?:ing)?|thoughts?)>|◁/?think▷|(?-i:\[/?THINK(?:ING)?\])"
CONTROL = re.compile(f"{_CONTROL}|{_THINKING}", re.IGNORECASE)
_PLACED = re.compile(  # where something is, in numbers
    r"<\|box_start\|>[^<>]{0,200}<\|box_end\|>|<box>[^<>]{0,200}</box>|<\|box_start\|>[^<>]{0,200}$|</?box>",
    re.IGNORECASE,
)
_ROLES = r"(?:assistant|model|user|system|human|developer|tool|observation)"
_BOUND = re.compile(  # where a turn ends, or another begins
    rf"(?:<\|(?:im_start|start|turn|start_header_id|role_start|header_start)\|?>|<start_of_turn>)\s{0, 4}(?:{_ROLES}\b)?"
    r"\s{0,4}(?:<\|(?:end_header_id|im_sep|im_middle|message|role_end|header_end)\|>)?"
    rf"|<[|｜]{_ROLES}[|｜]>"
    r"|<[|｜](?:im_end|eot|eot_id|eom|eom_id|end|end▁of▁sentence|endoftext|end_of_text|eos|return|call|end_of_turn|end_of_turn_token|"
    r"end_of_sentence|endofprompt|endofturn|END_RESPONSE|e_o_t)[|｜]>"
    r"|<turn\||</s>|<(?:eos|eot|eop|eod|eom|end_of_turn|end_of_utterance|end_of_text)>|\[end of text\]|(?-i:\[EOS\])",
    re.IGNORECASE,
)
_CUT_OFF = re.compile(  # a token of which only a part came
    r"(?:<[|｜][^<>|｜\n,]{0,48}[|｜]?|</\w{0,16}|<[\w|]{0,24}|\[/?INS?T?|◁/?\w{0,8})$"
)
_BEGUN = ("end_of_turn", "end_of_utterance", "start_of_turn", "eos", "bos", "pad", "image", "video", "think", "answer")
_TAIL = re.compile(r"(?<![\w|])\|?(?:im_end|im_start|eot_id|endoftext|end_of_text|end_of_turn|turn)\|>", re.IGNORECASE)


def without_tokens(text: str) -> str:
    """The text without control tokens; words that only a token parted stay apart.

    "the brown<|im_end|> dog" -> "the brown dog"
    """
    return CONTROL.sub(_gap, text)


def _gap(token: re.Match[str]) -> str:
    """What stands in the place of a token."""
    text = token.string
    before, after = text[token.start() - 1 : token.start()], text[token.end() : token.end() + 1]
    return " " if before.isalnum() and after.isalnum() else ""


def own_turn(text: str) -> tuple[str, list[str]]:
    """The model's own turn, without control tokens, and what was taken off: the tokens, and any turn that follows.

    "Yes<|im_end|>\n<|im_start|>user\nAnd now?" -> "Yes"
    """
    taken = [m[0] for m in _PLACED.finditer(text)]
    text = _PLACED.sub("", text)
    start, end = 0, len(text)
    for bound in _BOUND.finditer(text):
        if CONTROL.sub("", text[start : bound.start()]).strip():
            end = bound.start()
            break
        taken.append(text[start : bound.end()])
        start = bound.end()
    if text[end:].strip():
        taken.append(text[end:])
    turn = text[start:end]
    taken += [m[0] for m in CONTROL.finditer(turn)]
    turn, cut = _whole(_TAIL.sub(" ", without_tokens(turn)).replace("▁", " ").rstrip())
    return turn, [*taken, *cut]


def _whole(text: str) -> tuple[str, list[str]]:
    """The text without a token at its end that was cut off."""
    found = _CUT_OFF.search(text, max(0, len(text) - 64))
    if found is None:
        return text, []
    word = found[0].lstrip("<")
    if word and found[0][0] == "<" and word[0].isalnum() and not any(name.startswith(word.lower()) for name in _BEGUN):
        return text, []
    return text[: found.start()], [found[0]]
