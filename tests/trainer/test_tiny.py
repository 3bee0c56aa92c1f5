"""The tiny model's recipe: what it lays out is what the stock processor does, it learns, and it goes on where it was."""

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from trainer.tiny.network import build_network, predict, see
from trainer.tiny.rows import NOMINAL_FPS, Row, collate, sample_row
from trainer.tiny.train import Recipe, Training
from trainer.tiny.vocabulary import build_processor, build_tokenizer
from trainer.world.scene import Scene

TOKENIZER = build_tokenizer()
SHORT = replace(Recipe(), align_steps=6, lesson_steps=6, examined=2)


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
        theirs, ours = network(**stock).logits[0, -1], predict(network, batch, visual)[0]
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


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
    losses = []
    for _ in range(30):
        losses.append(training._align()[0])
        training.step += 1
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
