"""The tiny model's exam: a mark is what greedy decoding with the stock model would earn, and guessing sees nothing."""

from pathlib import Path
from random import Random

import torch
from transformers import AutoProcessor, Qwen3VLForConditionalGeneration

from trainer.tiny.exam import Guesser, exam_rows, examine, graded
from trainer.tiny.lessons import Lesson
from trainer.tiny.rows import sample_row
from trainer.world.scene import Scene

CHECKPOINT = Path("model/checkpoints/tiny")


def test_a_mark_is_what_greedy_decoding_earns() -> None:
    torch.set_num_threads(1)
    network = Qwen3VLForConditionalGeneration.from_pretrained(CHECKPOINT, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(CHECKPOINT)
    marks = []
    for seed in range(3):
        row = sample_row(Scene.generate(seed, rivals=0.8), "text", Random(seed))
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
