"""The tiny model's exam: a mark is what greedy decoding with the stock model would earn, and guessing sees nothing."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch
from transformers import AutoProcessor, AutoTokenizer, Qwen3VLForConditionalGeneration

from trainer.tiny.exam import Guesser, exam_rows, examine, graded
from trainer.tiny.lessons import Lesson
from trainer.tiny.rows import sample_row
from trainer.world.scene import Scene, Split

CHECKPOINT = Path("model/checkpoints/tiny")
WANTED = {  # exact match
    "parsing_1_1_narrative": 0.95,
    "parsing_1_2_objects": 0.95,
    "parsing_1_3_instances": 0.90,
    "parsing_1_4_kind": 0.95,
    "parsing_2_1_attributes": 0.95,
    "parsing_3_1_relations": 0.90,
    "merging_1_same_object": 0.90,
    "merging_2_1_action": 0.90,
    "bridging_1_same_object": 0.90,
    "bridging_2_event": 0.90,
}


@pytest.mark.parametrize("split", ["test", "composition"])
def test_the_committed_model_sees_new_worlds_and_new_combinations(split: Split) -> None:
    torch.set_num_threads(1)
    network = Qwen3VLForConditionalGeneration.from_pretrained(CHECKPOINT, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINT)
    rows = list(exam_rows(split, range(150), (0.5,)))
    marks = examine(network, tokenizer, rows, Guesser(()))
    assert {k: (m.right, m.asked) for k, m in marks.items() if m.right < WANTED.get(k, 0)} == {}
    assert WANTED.keys() <= marks.keys()


def test_a_mark_is_what_greedy_decoding_earns() -> None:
    torch.set_num_threads(1)
    network = Qwen3VLForConditionalGeneration.from_pretrained(CHECKPOINT, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(CHECKPOINT)
    marks = []
    for seed in range(3):
        row = sample_row(Scene.generate(seed, rivals=0.8), "text", Random(seed))
        row = replace(row, lessons=(*row.lessons, replace(row.lessons[0], answer="Maybe")))
        marked = graded(network, processor.tokenizer, row)
        for lesson, mark in zip(row.lessons, marked, strict=True):
            message = {"role": "user", "content": [{"type": "text", "text": lesson.prompt}]}
            text = processor.apply_chat_template([message], tokenize=False, add_generation_prompt=True)
            inputs = processor(text=[text], return_tensors="pt")
            told = network.generate(**inputs, max_new_tokens=40, do_sample=False)[0, inputs["input_ids"].shape[1] :]
            said = processor.tokenizer.decode(told, skip_special_tokens=True)
            assert (said.strip() == lesson.answer) == mark
            marks.append(mark)
    assert len(set(marks)) == 2
    rows = list(exam_rows("test", range(2), (0.0,)))
    found = examine(network, processor.tokenizer, rows, Guesser(()))
    assert sum(mark.asked for mark in found.values()) == sum(len(row.lessons) for row in rows)
    assert found["parsing_2_1_attributes"].right > found["parsing_2_1_attributes"].blind == 0


def test_a_guess_is_the_usual_answer_to_the_prompt_or_else_to_its_kind() -> None:
    read = [Lesson("size", "of red", "small")] * 2 + [
        Lesson("size", "of red", "large"),
        Lesson("size", "of blue", "large"),
    ]
    read += [Lesson("size", "of green", "large")] * 2
    guesser = Guesser(read)
    assert [guesser.guess(Lesson("size", prompt, "")) for prompt in ("of red", "of blue", "of white")] == [
        "small",
        "large",
        "large",
    ]
    assert guesser.guess(Lesson("other", "what", "")) == ""
