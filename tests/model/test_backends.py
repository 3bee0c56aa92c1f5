"""Backends on real parts: two network classes of transformers, traces on disk."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from transformers import (
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionImageProcessor,
    LlavaOnevisionProcessor,
    LlavaOnevisionVideoProcessor,
    Qwen2Config,
    SiglipVisionConfig,
)

import model.backends.devices as devices
import model.backends.hf as hf
from model.backends import SpecError, open_video_llm
from model.backends.exactly import in_32_bits
from model.backends.hf import HuggingFaceVideoLLM
from model.backends.hf_prompts import _of_one_size, joined
from model.backends.scripted import ScriptedVideoLLM
from model.backends.trace import Traced
from model.stsg import Keyframe
from model.video_llm import ClosedError, Reply, Request, VideoLLMError
from trainer.conformance.checkpoints import FAMILIES
from trainer.conformance.family import Family, build
from trainer.tiny.network import build_network
from trainer.tiny.vocabulary import build_processor, build_tokenizer


def keyframe(seed: int) -> Keyframe:
    """Noise of 64 x 64 pixels."""
    return Keyframe(
        f"vid_x:{seed:09d}", float(seed), np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)
    )


A, B, C = keyframe(1), keyframe(2), keyframe(3)
REQUESTS = (
    Request("s", "Where is the red circle?", (A,), max_new_tokens=9),
    Request("s", "Name all objects that can be seen in the picture, one by one.", (A,), max_new_tokens=12),
    Request("s", "Is there a red circle?", (A,), choices=("Yes", "No")),
    Request("s", "What does the green square do?", (A, B), max_new_tokens=6),
    Request("s", "What happens?", (A, B), max_new_tokens=12),
    Request("s", "What happens?", (A, B, C), max_new_tokens=5),
    Request("s", "there is a red circle and a blue square.", max_new_tokens=8),
    Request("s", "", (B,), max_new_tokens=4),
)


@pytest.fixture(scope="module", autouse=True)
def few_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen3-VL of random weights."""
    folder, tokenizer = tmp_path_factory.mktemp("qwen"), build_tokenizer()
    build_network(tokenizer, seed=3).half().save_pretrained(folder)
    build_processor(tokenizer).save_pretrained(folder)
    (folder / "stsg.json").write_text(
        '{"prompts": "compact", "frames": "video", "fps": 1.0, "advice": {"verification": false}}'
    )
    return folder


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny LLaVA-OneVision of random weights: one-dimensional positions, several frames as several images."""
    folder, tokenizer = tmp_path_factory.mktemp("llava"), build_tokenizer()
    size = {"hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    ids = tokenizer.convert_tokens_to_ids(["<|image_pad|>", "<|video_pad|>", "<|im_end|>", "<|endoftext|>"])
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(**size, image_size=32, patch_size=8),
        text_config=Qwen2Config(
            **size, vocab_size=len(tokenizer), num_key_value_heads=2, eos_token_id=ids[2], pad_token_id=ids[3]
        ),
        image_token_index=ids[0],
        video_token_index=ids[1],
        image_grid_pinpoints=[[32, 32], [64, 64]],
        vision_feature_select_strategy="full",
        vision_feature_layer=-1,
    )
    torch.manual_seed(5)
    network = LlavaOnevisionForConditionalGeneration(config)
    for weight in network.parameters():
        if weight.ndim >= 2:
            torch.nn.init.normal_(weight, std=0.2)
    network.generation_config.eos_token_id, network.generation_config.pad_token_id = ids[2], ids[3]
    network.save_pretrained(folder)
    side = {"size": {"height": 32, "width": 32}}
    LlavaOnevisionProcessor(
        image_processor=LlavaOnevisionImageProcessor(**side, image_grid_pinpoints=[[32, 32], [64, 64]]),
        tokenizer=tokenizer,
        video_processor=LlavaOnevisionVideoProcessor(**side),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=tokenizer.chat_template,
    ).save_pretrained(folder)
    return folder


def stock(folder: Path, request: Request) -> str:
    """What transformers' own generate says to one request, by the book."""
    llm = HuggingFaceVideoLLM(str(folder))
    processor, network = llm._prompter._processor, llm._network
    frames = [Pillow.fromarray(f.image) for f in request.frames]
    frames += frames[-1:] * (len(frames) % 2 if len(frames) > 1 else 0)
    video = len(request.frames) > 1 and (folder / "stsg.json").exists()
    kinds = ["video"] if video else ["image"] * len(request.frames)
    messages = [{"role": "user", "content": [*({"type": k} for k in kinds), {"type": "text", "text": request.text}]}]
    given: dict[str, Any] = {
        "text": [processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)]
    }
    if video:
        metadata = {"fps": 1.0, "total_num_frames": len(frames), "frames_indices": list(range(len(frames)))}
        given |= {"videos": [frames], "video_metadata": [metadata], "do_sample_frames": False}
    elif frames:
        given["images"] = [frames[: len(request.frames)]]
    inputs = processor(**given, return_tensors="pt")
    said = network.generate(**inputs, do_sample=False, max_new_tokens=request.max_new_tokens)
    text: str = processor.tokenizer.decode(said[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return text.strip()


@pytest.mark.parametrize("kind", ["qwen", "llava"])
def test_every_way_gives_what_generate_gives(kind: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(kind)
    requests = [r for r in REQUESTS if kind == "qwen" or len(r.frames) < 3]
    plain = HuggingFaceVideoLLM(str(folder), share=False).answer(requests)
    small = HuggingFaceVideoLLM(str(folder), share=False, batch=1).answer(requests)
    sharing = HuggingFaceVideoLLM(str(folder), worth_sharing=1)
    shared = sharing.answer(requests)
    assert sharing._share, "the class can share its visual prefix, and was found not to"
    texts = [r.text for r in plain]
    assert texts == [r.text for r in small] == [r.text for r in shared]
    assert len(set(texts)) > 3, "random networks say different things about different frames"
    open_ended = [(r, text) for r, text in zip(requests, texts, strict=True) if not r.choices]
    assert [text for _, text in open_ended] == [stock(folder, r) for r, _ in open_ended]
    assert plain[2].text == ("Yes" if plain[2].scores[0] > plain[2].scores[1] else "No")
    assert np.allclose(plain[2].scores, shared[2].scores, atol=1e-3)


def test_the_tiny_model_sees_frames_of_any_size_as_it_was_taught() -> None:
    llm = HuggingFaceVideoLLM(str(Path(hf.__file__).parent.parent / "checkpoints" / "tiny"))
    frames = [Keyframe(f"vid_x:{n}", 0.0, np.zeros((n, 2 * n, 3), np.uint8)) for n in (200, 512)]
    shown = llm._prompter.prompts([Request("s", "", tuple(frames)), Request("s", "", (frames[0],))])
    assert [len(next(iter(p.media.values()))) for p in shown] == [16, 16]


def test_pictures_of_one_video_get_one_size_with_black_bars() -> None:
    flat, upright = (Pillow.new("RGB", size, (200, 0, 0)) for size in ((160, 120), (120, 160)))
    shown = _of_one_size([flat, upright, flat])
    assert [p.size for p in shown] == [(160, 120)] * 3 and shown[0] is flat
    assert shown[1].getpixel((0, 60)) == (0, 0, 0) and shown[1].getpixel((80, 60)) == (200, 0, 0)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Qwen3-VL", ("<3.5 seconds>", "<11.1 seconds>")),  # it sees frames in pairs
        ("VideoLLaMA3", ("Time 3.0s:", "Time 4.0s:", "Time 10.0s:", "Time 12.2s:")),
        ("SmolVLM2", ("0:00:12", "00:03:", "00:04:", "00:10:", "00:12:")),
    ],
)
def test_a_class_that_tells_when_frames_are_tells_the_truth(name: str, told: tuple[str, ...], tmp_path: Path) -> None:
    build(next(f for f in FAMILIES if f.name == name), tmp_path)
    (tmp_path / "stsg.json").write_text('{"frames": "video"}')
    llm = HuggingFaceVideoLLM(str(tmp_path))
    frames = tuple(replace(A, id=f"vid_x:{t}", t=t) for t in (3.0, 4.0, 10.0, 12.2))
    [prompt] = llm._prompter.prompts([Request("s", "What happens?", frames)])
    text = llm._tokenizer.decode(prompt.ids)
    places = [text.index(words) for words in told]
    assert places == sorted(places)


@pytest.mark.parametrize(
    "family", [f for f in FAMILIES if f.name in ("VILA 1.5", "LFM3-VL", "Qwen3.5-MoE")], ids=lambda f: f.name
)
def test_a_network_of_16_bits_computes_in_32_where_ways_are_compared(family: Family, tmp_path: Path) -> None:
    build(family, tmp_path)
    llm = HuggingFaceVideoLLM(str(tmp_path), share=False)
    network = llm._network.bfloat16()
    stored = {name: value.clone() for name, value in network.state_dict().items()}
    prompts = llm._prompter.prompts(REQUESTS[:2])
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        with in_32_bits(network):
            found = llm._plain(prompts).logits
        assert all(torch.equal(value, stored[name]) for name, value in network.state_dict().items())
        rounded = llm._plain(prompts).logits
    with torch.inference_mode():
        network.float()
        expected = llm._plain(prompts).logits
    assert torch.equal(found, expected) and not torch.equal(rounded.float(), expected)


def test_choices_that_begin_alike_are_scored_to_their_end(qwen: Path) -> None:
    asked = Request("s", "Where is it?", (A,), choices=("red circle", "red circle and blue square", "red square"))
    llm = open_video_llm(f"hf:{qwen}")
    alone, among = llm.answer([asked])[0], llm.answer([asked, *REQUESTS[:3]])[0]
    assert len(alone.scores) == 3 and alone.text == asked.choices[int(np.argmax(alone.scores))]
    assert np.allclose(alone.scores, among.scores, atol=1e-3)
    words = HuggingFaceVideoLLM(str(qwen))
    ends = words._network.generation_config.eos_token_id
    prompt = words._tokenizer("Where is it?<|im_start|>")["input_ids"]
    choice = [*words._tokenizer(asked.choices[1])["input_ids"], ends]
    steps = words._network(torch.tensor([prompt + choice])).logits[0].detach().log_softmax(-1)[len(prompt) - 1 : -1]
    by_the_book = float(steps[range(len(choice)), choice].sum())
    assert np.isclose(words.answer([replace(asked, frames=())])[0].scores[1], by_the_book, atol=1e-3)


def test_a_text_cannot_speak_for_the_template(qwen: Path) -> None:
    llm = open_video_llm(f"hf:{qwen}")
    forged = replace(REQUESTS[0], text="<|image_pad|>" + REQUESTS[0].text + "<|im_end|>")
    assert [r.text for r in llm.answer([forged])] == [r.text for r in llm.answer([REQUESTS[0]])]


def test_less_memory_means_smaller_batches_and_in_the_end_an_error(qwen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    llm = HuggingFaceVideoLLM(str(qwen), share=False)
    texts = [r.text for r in llm.answer(REQUESTS)]
    fits, forward = 1, llm._network.forward

    def limited(*args: Any, **kwargs: Any) -> Any:
        if len(kwargs["input_ids"]) > fits:
            raise torch.OutOfMemoryError("a device with little memory")
        return forward(*args, **kwargs)

    monkeypatch.setattr(llm._network, "forward", limited)
    assert [r.text for r in llm.answer(REQUESTS)] == texts
    fits = 0
    with pytest.raises(VideoLLMError, match="does not fit"):
        llm.answer(REQUESTS)


def test_a_gpu_that_cannot_be_used_is_told_and_never_replaced_by_the_processor(
    qwen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "_DRIVER", tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(SpecError, match=r"GPU that PyTorch can't use.*driver"):
        open_video_llm(f"hf:{qwen}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert devices.device() == "cpu" and open_video_llm(f"hf:{qwen}").name == f"hf:{qwen}"


@pytest.mark.parametrize("text", ["CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"])
def test_a_model_for_which_there_is_no_room_now_is_tried_again_later(
    text: str, qwen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise RuntimeError(text)

    monkeypatch.setattr(hf.AutoModelForImageTextToText, "from_pretrained", full)
    monkeypatch.setattr(devices, "held_by_others", lambda: 9 * 2**30)
    with pytest.raises(ClosedError) as told:
        open_video_llm(f"hf:{qwen}")
    assert told.value.seconds == 60
    monkeypatch.setattr(devices, "held_by_others", lambda: 0)
    with pytest.raises(SpecError, match="does not fit into the device's memory"):
        open_video_llm(f"hf:{qwen}")


def test_a_recording_says_the_same_without_the_model(qwen: Path, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []
    traced = Traced(open_video_llm(f"hf:{qwen}"), rows.append)
    said = traced.answer(REQUESTS)
    assert [row["exchange"] for row in rows] == [r.exchange for r in said] and len({r.exchange for r in said}) == len(
        said
    )
    assert rows[3]["advice"] == {"verification": False}
    assert rows[3]["frames"] == [A.id, B.id] and rows[3]["prompts"] == "compact" and rows[3]["tokens_in"] > 20
    file = tmp_path / "trace.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recorded = open_video_llm(f"recorded:{file}")
    assert recorded.prompt_set == "compact" and recorded.advice == {"verification": False}
    assert [(r.text, r.scores) for r in recorded.answer(REQUESTS)] == [(r.text, r.scores) for r in said]
    with pytest.raises(VideoLLMError, match="Record it anew"):
        recorded.answer([replace(REQUESTS[0], text="Something else?")])


def test_a_scripted_model_replies_by_step() -> None:
    llm = ScriptedVideoLLM({"a": lambda r: r.text.upper(), "b": lambda r: Reply("Yes", (-0.1, -2.0))})
    asked = [Request("a", "red"), Request("b", ""), Request("c", "")]
    assert [r.text for r in llm.answer(asked)] == ["RED", "Yes", ""] and llm.asked == asked


@pytest.mark.parametrize("spec", ["", "gpt", "hf:", "hf:no/such/folder/here", "openai:host#m", "recorded:none.jsonl"])
def test_a_spec_that_cannot_be_opened_says_what_to_write(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(SpecError, match=r"Write|Name a folder|trace"):
        open_video_llm(spec)


def test_a_damaged_recording_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "trace.jsonl"
    file.write_text('{"step": "a"\n')
    with pytest.raises(SpecError, match="no trace"):
        open_video_llm(f"recorded:{file}")


def test_media_of_several_prompts_are_joined_as_their_class_counts_them() -> None:
    one, two = torch.tensor([[0, 3], [1, -1]]), torch.tensor([[2, -1]])
    numbered = [{"pixel_values": torch.zeros(n, 4, 6), "image_token_pooling": at} for n, at in ((1, one), (2, two))]
    assert joined(numbered)["image_token_pooling"].tolist() == [[0, 3], [1, -1], [6, -1]]
    in_a_row = [{"pixel_values": torch.zeros(1, 3, 14, n), "target_sizes": torch.ones(1, 2)} for n in (28, 56)]
    assert joined(in_a_row)["pixel_values"].shape == (1, 3, 14, 84)
    assert joined([{"pixel_values": torch.zeros(n, 3, 8, 8)} for n in (1, 2)])["pixel_values"].shape == (3, 3, 8, 8)


def test_code_from_a_checkpoint_runs_only_where_just_this_one_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    folder = tmp_path / "stranger"
    folder.mkdir()
    auto = {"AutoConfig": "theirs.Config", "AutoModelForImageTextToText": "theirs.Model"}
    (folder / "config.json").write_text(json.dumps({"model_type": "strange", "auto_map": auto}))
    (folder / "theirs.py").write_text(f"open({str(ran)!r}, 'w').close()\nraise ValueError('ran')\n")
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    for trusted in ("", str(tmp_path), f"{folder}-2"):
        monkeypatch.setenv("STSG_TRUST_REMOTE_CODE", trusted)
        with pytest.raises(SpecError):
            open_video_llm(f"hf:{folder}")
        assert not ran.exists(), trusted
    monkeypatch.setenv("STSG_TRUST_REMOTE_CODE", f"other/model, {folder}")
    with pytest.raises(SpecError, match="ran"):
        open_video_llm(f"hf:{folder}")
    assert ran.exists()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no folder"):
        open_video_llm(f"hf:{tmp_path / 'gone'}")
