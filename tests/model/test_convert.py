"""Published weights under their published names become a checkpoint that computes what the published equations say."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlamaTokenizer,
    MistralConfig,
    MistralForCausalLM,
    SiglipImageProcessor,
    SiglipVisionConfig,
    SiglipVisionModel,
)
from typer.testing import CliRunner

from api.cli.models import app as stsg
from model.backends.hf import HuggingFaceVideoLLM
from model.convert.files import ConversionError
from model.convert.videochat2 import convert_videochat2
from model.convert.vila import convert_vila
from model.stsg import Keyframe
from model.video_llm import Request
from tests.model.published import QUERIES, WIDTH, Reference, Weights, linear, norm, published_qformer, published_vision


def tokenizer_of_llama(folder: Path) -> int:
    """Writes a tokenizer of Llama's class, which Mistral's is too; the size of its vocabulary."""
    words = [
        "<unk>",
        "<s>",
        "</s>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "▁",
        *(chr(c) for c in range(33, 127)),
    ]
    LlamaTokenizer({word: n for n, word in enumerate(words)}, [], add_bos_token=True).save_pretrained(folder)
    return len(words)


SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
         "max_position_embeddings": 1024, "bos_token_id": 1, "eos_token_id": 2, "initializer_range": 0.2}  # fmt: skip


def mistral(folder: Path) -> MistralForCausalLM:
    network = MistralForCausalLM(MistralConfig(vocab_size=tokenizer_of_llama(folder), **SMALL)).eval()
    network.save_pretrained(folder)
    return network


def published(root: Path) -> tuple[Reference, MistralForCausalLM]:
    """All stages as files, Mistral in a folder of its own; and what they are together."""
    folder = root / "published"
    folder.mkdir()
    network = mistral(root / "mistral")
    one = published_vision() | published_qformer()
    two = linear("mistral_proj", 32, WIDTH) | {"extra_query_tokens": torch.randn(1, 1, WIDTH)}
    adapters = {}
    for layer, module in network.named_modules():
        if layer.endswith(("q_proj", "down_proj", "lm_head")):
            a, b = torch.randn(4, module.in_features) * 0.1, torch.randn(module.out_features, 4) * 0.1
            adapters |= {f"{layer}.lora_A.default.weight": a, f"{layer}.lora_B.default.weight": b}
            module.weight.data += 32 / 4 * b @ a
    three = norm("vision_layernorm") | {f"mistral_model.base_model.model.{name}": w for name, w in adapters.items()}
    torch.save(one | {"itm_head.weight": torch.ones(2, 2)}, folder / "umt_l16_qformer.pth")
    torch.save({"model": one | two, "epoch": 3}, folder / "videochat2_mistral_7b_stage2.pth")
    save = {"model": three, "optimizer": {"state": {}}}
    torch.save(save, folder / "videochat2_hd_mistral_7b_stage3.pth")
    return Reference(one | two | three), network


@torch.inference_mode()
def test_videochat2_says_what_its_published_weights_say(tmp_path: Path) -> None:
    torch.manual_seed(1)
    reference, network = published(tmp_path)
    done = convert_videochat2(tmp_path / "published", tmp_path / "ours", tmp_path / "mistral")
    assert done.left_over == ("itm_head.weight", "model.qformer.embeddings.position_ids")
    assert [name.rpartition("_")[2] for name in done.read] == ["qformer.pth", "stage2.pth", "stage3.pth"]
    llm = HuggingFaceVideoLLM(str(tmp_path / "ours"))
    rng = np.random.default_rng(2)
    frames = [Keyframe(f"vid_x:{n:09d}", float(n), rng.integers(0, 256, (224, 224, 3), np.uint8)) for n in range(6)]
    for shown, kind, instruction in (
        (frames[:1], "Image", "observe the image and answer the question ."),
        (frames, "Video", "watch the video and answer the question ."),
    ):
        [prompt] = llm._prompter.prompts([Request("s", "What is it?", tuple(shown))])
        ours = llm._plain([prompt]).logits[0]
        pixels = torch.stack([torch.from_numpy(f.image).permute(2, 0, 1) / 255 for f in shown])
        mean, std = (
            torch.tensor([0.48145466, 0.4578275, 0.40821073]),
            torch.tensor([0.26862954, 0.26130258, 0.27577711]),
        )
        words = reference.words(
            (pixels - mean[:, None, None]) / std[:, None, None],
            [BERT[w] for w in ["[CLS]", *instruction.split(), "[SEP]"]],
        )
        parts = (f"[INST] <{kind}>", f"</{kind}> [/INST] [INST] What is it? [/INST]")
        tokenizer = LlamaTokenizer.from_pretrained(tmp_path / "mistral")
        ids = [torch.tensor([tokenizer(p, add_special_tokens=not n)["input_ids"]]) for n, p in enumerate(parts)]
        embed: Any = network.get_input_embeddings()
        expected = network(inputs_embeds=torch.cat([embed(ids[0]), words, embed(ids[1])], 1)).logits[0, -1]
        assert len(prompt.ids) == ids[0].shape[1] + QUERIES + ids[1].shape[1]
        torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-3)


BERT = {"[CLS]": 101, "[SEP]": 102, ".": 1012, "the": 1996, "and": 1998, "video": 2678, "question": 3160, "watch": 3422,
        "answer": 3437, "image": 3746, "observe": 11949}  # fmt: skip


def test_what_cannot_be_converted_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "published"
    folder.mkdir()
    mistral(tmp_path / "mistral")

    def refusal() -> str:
        with pytest.raises(ConversionError) as e:
            convert_videochat2(folder, tmp_path / "ours", tmp_path / "mistral")
        return str(e.value)

    torch.save({"model": {"a": torch.ones(1)}, "hook": print}, folder / "stage3.pth")
    assert "could run code" in refusal()
    torch.save({"model": {"a": torch.ones(1)}}, folder / "stage3.pth")
    assert "stages are missing" in refusal()
    one = published_vision() | published_qformer()
    save_file({name: value for name, value in one.items() if "norm2" not in name}, folder / "all.safetensors")
    assert "encoder.layer.0.layernorm_after.weight is missing" in refusal() and not (tmp_path / "ours").exists()
    save_file(one | linear("mistral_proj", 32, WIDTH), folder / "all.safetensors")
    (tmp_path / "mistral" / "tokenizer.json").unlink()
    monkeypatch.setattr("model.convert.files.find_spec", lambda _: None)
    assert "pip install sentencepiece" in refusal()


def published_vila(folder: Path) -> tuple[LlamaForCausalLM, SiglipVisionModel, Weights]:
    """VILA 1.5's three folders, with SigLIP's names of the time."""
    for part in ("llm", "vision_tower", "mm_projector"):
        (folder / part).mkdir(parents=True)
    llm = LlamaForCausalLM(LlamaConfig(vocab_size=tokenizer_of_llama(folder / "llm"), **SMALL)).eval()
    llm.save_pretrained(folder / "llm")
    tower = SiglipVisionModel(
        SiglipVisionConfig(
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=3,
            num_attention_heads=2,
            image_size=70,
            patch_size=14,
        )
    ).eval()
    tower.config.save_pretrained(folder / "vision_tower")
    SiglipImageProcessor(size={"height": 70, "width": 70}).save_pretrained(folder / "vision_tower")
    named = {f"vision_model.{name.removeprefix('vision_model.')}": value for name, value in tower.state_dict().items()}
    save_file(named, folder / "vision_tower" / "model.safetensors")
    projector = norm("layers.1", 64) | linear("layers.2", 32, 64) | linear("layers.4", 32, 32)
    save_file(projector, folder / "mm_projector" / "model.safetensors")
    (folder / "mm_projector" / "config.json").write_text(json.dumps({"mm_projector_type": "mlp_downsample"}))
    (folder / "config.json").write_text(json.dumps({"mm_vision_select_layer": -2, "image_aspect_ratio": "resize"}))
    return llm, tower, projector


def squares(patches: Tensor) -> Tensor:
    """25 patches in rows, with a row and a column of nothing added, by twos in both directions; columns come first."""
    at = {(row, column): patches[row * 5 + column] for row in range(5) for column in range(5)}
    nothing = torch.zeros_like(patches[0])
    corners = ((0, 0), (0, 1), (1, 0), (1, 1))
    return torch.stack([
        torch.cat([at.get((2 * i + down, 2 * j + right), nothing) for down, right in corners])
        for j in range(3) for i in range(3)
    ])  # fmt: skip


@torch.inference_mode()
def test_vila_says_what_its_published_weights_say(tmp_path: Path) -> None:
    torch.manual_seed(3)
    llm, tower, w = published_vila(tmp_path / "published")
    told = CliRunner().invoke(stsg, ["convert", str(tmp_path / "published"), str(tmp_path / "ours"), "--json"])
    done = json.loads(told.stdout)
    assert done["network"] == "VilaForConditionalGeneration" and done["left_over"]
    assert all(".head." in name for name in done["left_over"])
    rng = np.random.default_rng(4)
    frames = tuple(Keyframe(f"vid_x:{n:09d}", float(n), rng.integers(0, 256, (70, 70, 3), np.uint8)) for n in range(2))
    ours = HuggingFaceVideoLLM(str(tmp_path / "ours"))
    [prompt] = ours._prompter.prompts([Request("s", "What is it?", frames)])
    system = ("A chat between a curious user and an artificial intelligence assistant. "
              "The assistant gives helpful, detailed, and polite answers to the user's questions. USER: ")  # fmt: skip
    tokenizer = LlamaTokenizer.from_pretrained(tmp_path / "published" / "llm")
    chunks = [
        tokenizer(text, add_special_tokens=not n)["input_ids"]
        for n, text in enumerate((system, "\n", "\nWhat is it? ASSISTANT:"))
    ]
    embed: Any = llm.get_input_embeddings()
    row = []
    for ids, frame in zip(chunks, (*frames, None), strict=True):
        row.append(embed(torch.tensor(ids)))
        if frame is not None:
            pixels = torch.from_numpy(frame.image).permute(2, 0, 1)[None] / 127.5 - 1
            seen = squares(tower(pixels, output_hidden_states=True).hidden_states[-2][0])
            inner = F.linear(
                F.layer_norm(seen, (64,), w["layers.1.weight"], w["layers.1.bias"]),
                w["layers.2.weight"],
                w["layers.2.bias"],
            )
            row.append(F.linear(F.gelu(inner), w["layers.4.weight"], w["layers.4.bias"]))
    expected = llm(inputs_embeds=torch.cat(row)[None]).logits[0, -1]
    logits = ours._plain([prompt]).logits[0]
    torch.testing.assert_close(logits[:-1], expected, rtol=1e-3, atol=1e-3)
    assert logits.argmax() < len(expected), "the picture's own token is never said"


def test_a_vila_of_another_kind_is_refused(tmp_path: Path) -> None:
    published_vila(tmp_path / "published")
    for file, told, why in (
        ("mm_projector/config.json", {"mm_projector_type": "mlp_downsample_3x3_fix"}, "mlp_downsample_3x3_fix"),
        ("config.json", {"s2": True}, "several scales"),
        ("llm/tokenizer_config.json", {"tokenizer_class": "LlamaTokenizer", "eos_token": "<|eot_id|>"}, "no Llama 2"),
    ):
        kept = (tmp_path / "published" / file).read_text()
        (tmp_path / "published" / file).write_text(json.dumps(told))
        with pytest.raises(ConversionError, match=why):
            convert_vila(tmp_path / "published", tmp_path / "ours")
        (tmp_path / "published" / file).write_text(kept)
    assert not (tmp_path / "ours").exists()
    told = CliRunner().invoke(stsg, ["convert", str(tmp_path), str(tmp_path / "ours")])
    assert told.exit_code == 1 and "--language" in told.stderr
