"""What stands around a reply is taken off, whoever reads it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import replies
from model.backends.scripted import ScriptedVideoLLM
from model.backends.trace import Traced
from model.induction.rejects import Reading
from model.replies import UnreadableReply, unwrap
from model.video_llm import Request

THOUGHTS = "<think>\nIt might be static, or no.\n1. First: a man\n2. Second: a dog\n</think>\n\n"

WRAPPED = [
    ("Yes", "Yes", set[str]()),
    (f"{THOUGHTS}Dynamic", "Dynamic", {"thoughts"}),
    ("It may be static, or no.</think>Dynamic", "Dynamic", {"thoughts"}),
    ("<thinking>A dog?</thinking>\n\nNo", "No", {"thoughts"}),
    ("◁think▷a dog?◁/think▷No", "No", {"thoughts"}),
    ("[THINK]a dog?[/THINK]No", "No", {"thoughts"}),
    ("<seed:think>a dog?</seed:think>No", "No", {"thoughts"}),
    ("<|channel|>analysis<|message|>a dog?<|end|><|start|>assistant<|channel|>final<|message|>No<|return|>", "No", {"thoughts"}),
    ("<think>a</think><answer>B</answer>", "B", {"thoughts", "tag"}),
    ("<think>Red, so <answer>B</answer>", "B", {"thoughts", "tag"}),
    ("<think>It might be", "", {"thoughts"}),
    ("Yes<|im_end|>", "Yes", {"control_token"}),
    ("Yes</s>", "Yes", {"control_token"}),
    ("Yes<end_of_utterance>", "Yes", {"control_token"}),
    ("Yes<turn|>", "Yes", {"control_token"}),
    ("Yes<｜end▁of▁sentence｜>", "Yes", {"control_token"}),
    ("Yes<|eot_id|>", "Yes", {"control_token"}),
    ("Yes<|im_end|>\n<|im_start|>user\nAnd now?", "Yes", {"control_token"}),
    ("the brown<|im_end|> dog", "the brown", {"control_token"}),
    ("Yes<|im_e", "Yes", {"control_token"}),
    ("ASSISTANT: Yes", "Yes", {"role"}),
    ("**Answer:** Yes", "Yes", {"role"}),
    ("### Answer\nYes", "Yes", {"role"}),
    ("Sure! Here is the list:\n[man, dog]", "[man, dog]", {"lead_in"}),
    ("Certainly, here are the objects: [man]", "[man]", {"lead_in"}),
    ("[man, dog]\n\nLet me know if you need anything else!", "[man, dog]", {"offer"}),
    ("A man walks. I hope this helps!", "A man walks.", {"offer"}),
    ('"A man walks."', "A man walks.", {"quotes"}),
    ("“A man walks.”", "A man walks.", {"quotes"}),
    ("**Yes**", "Yes", {"quotes"}),
    (r"\boxed{Yes}", "Yes", {"box"}),
    ("```json\n[1]\n```", "[1]", {"fence"}),
    ('{"answer": "Yes"}', "Yes", {"field"}),
    (r"<think>Hm.</think>Sure! Here is the answer: **\boxed{Yes}**<|im_end|>", "Yes", {"thoughts", "control_token", "lead_in", "box"}),
    ("<man, standing at, dock>", "<man, standing at, dock>", set()),
    ('{"action": "falling"}', '{"action": "falling"}', set()),
    ('A man says "hello" to a dog', 'A man says "hello" to a dog', set()),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "text", "wrappers"), WRAPPED)
def test_what_stands_around_a_reply_is_taken_off(reply: str, text: str, wrappers: set[str]) -> None:
    unwrapped = unwrap(reply)
    assert unwrapped.text == text
    assert wrappers <= {r.wrapper for r in unwrapped.removed}
    assert bool(unwrapped.removed) == (reply != text)


def test_readers_read_what_follows_the_thoughts() -> None:
    assert replies.read_kind(f"{THOUGHTS}Dynamic") == "dynamic"
    assert replies.read_yes_no(f"{THOUGHTS}Yes") is True
    assert replies.read_instances(f"{THOUGHTS}Object: man\nQuantity: 1\n1. man 1: red cap", "man") == ["red cap"]
    assert replies.read_sentence(f"{THOUGHTS}A man walks.<|im_end|>") == "A man walks."
    assert replies.read_objects("[man, dog]<|im_end|>") == ["man", "dog"]
    with pytest.raises(UnreadableReply, match="thoughts_only"):
        replies.read_yes_no("<think>Yes or no? It is static")


PIECES = [
    "<think>", "</think>", "<|", "<|im_end|>", "\\boxed{", "```", "**Answer:**", "Sure! ", '"', "Here is ", "{", "<answer>",
    "\n", " ", "I hope ", "<|channel|>", "analysis", "Note: ", "<box>", "\\text{", "\nNote", "the list ", "\\boxed{a} \\boxed{b} ",
]  # fmt: skip


@pytest.mark.parametrize("piece", PIECES)
def test_a_megabyte_of_wrappers_gives_a_bounded_text(piece: str) -> None:
    many = piece * (2**20 // len(piece))
    for reply in (many, f"a{many}b"):
        unwrapped = unwrap(reply)
        assert len(unwrapped.text) <= replies.MAX_CHARS
        assert len(unwrapped.removed) <= 32 and all(len(r.text) <= 200 for r in unwrapped.removed)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=12).map("".join))
def test_any_text_can_be_unwrapped(text: str) -> None:
    unwrapped = unwrap(text)
    assert len(unwrapped.text) <= len(text)
    unwrapped.text.encode()


def test_a_trace_keeps_what_was_taken_off() -> None:
    rows = list[dict[str, object]]()
    requests = [
        Request("s", "<think>Hm.</think>Yes<|im_end|>"),
        Request("s", "<think>Hm"),
        Request("s", "ok: a", choices=("ok: a",)),
    ]
    said = Traced(ScriptedVideoLLM({"s": lambda request: request.text}), rows.append).answer(requests)
    assert [r.text for r in said] == ["Yes", "", "ok: a"]
    assert [row["reply"] for row in rows] == [r.text for r in requests]
    assert rows[0]["removed"] == [
        {"wrapper": "thoughts", "text": "Hm."},
        {"wrapper": "control_token", "text": "<|im_end|>"},
    ]
    assert rows[2]["removed"] == []
    reading = Reading()
    assert reading.all(requests[:2], said[:2], replies.read_yes_no) == [True, None]
    assert reading.rejects.counts() == {"s: thoughts_only": 1}
