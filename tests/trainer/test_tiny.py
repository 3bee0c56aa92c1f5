"""The tiny model's recipe: what it lays out is what the stock processor does, it learns, and it goes on where it was."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from trainer.tiny.network import build_network, predict, see
from trainer.tiny.rows import NOMINAL_FPS, Row, collate, crowded_row, sample_row
from trainer.tiny.train import Recipe, Training
from trainer.tiny.vocabulary import build_processor, build_tokenizer
from trainer.world.scene import COLORS, HELD_OUT, SHAPES, SIZES, Scene

TOKENIZER = build_tokenizer()
SHORT = replace(Recipe(), align_steps=4, name_steps=4, lesson_steps=4, examined=2)


@pytest.mark.parametrize("view", ["text", "image", "clip", "clips"])
def test_rows_and_passes_equal_the_stock_ones(view: str) -> None:
    torch.set_num_threads(1)
    network, processor = build_network(TOKENIZER, 0).eval(), build_processor(TOKENIZER)
    row = sample_row(Scene.generate(11), view, Random(3))  # type: ignore[arg-type]
    row = Row(row.view, row.frames, row.clips, row.lessons[:1])
    batch = collate(TOKENIZER, [row])
    shown = [{"type": "video" if view.startswith("clip") else "image"}] if row.frames else []
    message = {"role": "user", "content": [*shown, {"type": "text", "text": row.lessons[0].prompt}]}
    text = processor.apply_chat_template([message], tokenize=False, add_generation_prompt=True)
    inputs = {"text": [text], "return_tensors": "pt"}
    if view == "image":
        inputs["images"] = [Pillow.fromarray(row.frames[0])]
    elif row.frames:
        count = len(row.frames)
        inputs["videos"] = [np.stack(row.frames)]
        inputs["video_metadata"] = [
            {"fps": NOMINAL_FPS, "total_num_frames": count, "frames_indices": list(range(count))}
        ]
    stock = processor(**inputs)
    length = stock["input_ids"].shape[1]
    assert stock["input_ids"][0].tolist() == batch.ids[0, :length].tolist()
    visual = see(network, batch.pixels) if row.frames else torch.zeros(0, 192)
    with torch.no_grad():
        theirs, ours = network(**stock).logits[0, -1], predict(network, batch, visual)[0][0]
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("view", ["text", "image", "clip", "clips"])
def test_names_in_lessons_stand_for_the_things_in_the_frames(view: str) -> None:
    found = set()
    for seed in range(12):
        row = sample_row(Scene.generate(seed, split="train", rivals=0.8), view, Random(seed))  # type: ignore[arg-type]
        batch = collate(TOKENIZER, [row])
        for (_, at), words in zip(batch.named_at.tolist(), batch.named.tolist(), strict=True):
            name = TOKENIZER.decode(batch.ids[0, at - 1 : at + 1]).strip()
            after = TOKENIZER.decode(batch.ids[0, at + 1 : at + 4])
            clip = row.clips[-1 if after == " in the second" else 0]
            said = {(t.name, t.row, t.column, SIZES.index(t.size)) for t in clip.things}
            assert (words[0] == 1) == (name in {t.name for t in clip.things})
            assert words[0] == 0 or (name, words[5], words[6], words[3]) in said
            found.add(words[0])
    assert found == {"text": set(), "image": {0, 1}, "clip": {1}, "clips": {1}}[view]


def test_crowds_never_show_a_held_out_pair_nor_a_named_colour_unlabelled() -> None:
    clips = [crowded_row(Random(seed)).clips[0] for seed in range(60)]
    things = [t for c in clips for t in c.things]
    assert not {(t.color, t.shape) for t in things} & HELD_OUT
    assert 0.4 < sum(t.color in COLORS for t in things) / len(things) < 0.6
    assert {t.shape for t in things if t.color not in COLORS} == set(SHAPES)


def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    torch.set_num_threads(1)

    def train(folder: str, *stops: int) -> dict[str, torch.Tensor]:
        (tmp_path / folder).mkdir(exist_ok=True)
        for stop in stops:
            training = Training(SHORT, tmp_path / folder, 0, 1)
            training.run(until=stop)
        return training.network.state_dict()

    whole, parts = train("whole", 12), train("parts", 4, 9, 12)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_alignment_learns(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    training = Training(replace(SHORT, align_steps=60), tmp_path, 0, 1)
    assert _gain(training, training._align) < 0.7


def test_naming_learns_on_its_own(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    training = Training(replace(SHORT, align_steps=0, name_steps=60, align_weight=0.0), tmp_path, 0, 1)
    words = training.network.model.language_model.embed_tokens.weight.clone()
    assert _gain(training, training._name) < 0.8  # frames are not yet aligned: names can learn what they say themselves
    assert torch.equal(words, training.network.model.language_model.embed_tokens.weight)


def _gain(training: Training, learn: Callable[[], tuple[float, list[float]]]) -> float:
    losses = []
    for _ in range(30):
        losses.append(learn()[0])
        training.step += 1
    return float(np.mean(losses[-5:]) / np.mean(losses[:5]))
