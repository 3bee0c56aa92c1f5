"""VideoChat2 (Mistral) from its published state dicts: stage after stage over Mistral's own weights, adapters merged."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig

from model.backends.videochat2 import VideoChat2Config, videochat2_processor
from model.convert.files import (
    ConversionError,
    Converted,
    layers,
    read_folder,
    read_weights,
    tokenizer_with,
    weight_files,
    write,
)

_HEAD = 64  # numbers in a head of UMT-L and of BERT
_BLOCK, _LAYER = "vision_encoder.encoder.blocks.", "qformer.bert.encoder.layer."
_RENAMED = (
    (r"^vision_encoder\.encoder\.patch_embed\.proj\.", "model.vision_tower.patch_embeddings.projection."),
    (r"^vision_encoder\.encoder\.blocks\.", "model.vision_tower.encoder.layer."),
    (r"(?<=\d)\.norm1\.", ".layernorm_before."),
    (r"(?<=\d)\.norm2\.", ".layernorm_after."),
    (r"(?<=\d)\.attn\.q_bias$", ".attention.attention.query.bias"),
    (r"(?<=\d)\.attn\.v_bias$", ".attention.attention.value.bias"),
    (r"(?<=\d)\.attn\.proj\.", ".attention.output.dense."),
    (r"(?<=\d)\.mlp\.fc1\.", ".intermediate.dense."),
    (r"(?<=\d)\.mlp\.fc2\.", ".output.dense."),
    (r"^vision_layernorm\.", "model.vision_tower.layernorm."),
    (r"^qformer\.bert\.embeddings\.LayerNorm\.", "model.qformer.embeddings.layernorm."),
    (r"^qformer\.bert\.", "model.qformer."),
    (r"(?<=attention)\.self\.", ".attention."),
    (r"^mistral_proj\.", "model.multi_modal_projector."),
    (r"^mistral_model\.model\.", "model.language_model."),
    (r"^mistral_model\.lm_head\.", "lm_head."),
)


def convert_videochat2(folder: Path, target: Path, language: Path, lora_alpha: float = 32.0) -> Converted:
    """Converts a folder of published files, `umt_l16_qformer.pth` and `*stage2.pth` on, into a checkpoint at `target`.

    The stages hold only what they trained, so all up to the wanted one are needed, and Mistral-7B-Instruct-v0.2 in `language`.

    Raises:
        ConversionError: weights are missing, don't fit, or can't be read safely.
    """
    files = sorted(weight_files(folder), key=lambda f: (_stage(f), f.name))
    published = {f"mistral_model.{name}": value for name, value in read_folder(language).items()}
    for file in files:
        published |= {_unwrapped(name): value for name, value in read_weights(file).items()}
    published = merged(published, lora_alpha)
    tokenizer = tokenizer_with(language, ("<image>", "<video>"))
    state = dict(renamed(published))
    try:
        config = _config(published, AutoConfig.from_pretrained(language), tokenizer)
    except (KeyError, IndexError) as e:
        raise ConversionError(f"{folder} is no VideoChat2, or stages are missing: it holds no {e}.") from e
    processor = videochat2_processor(tokenizer, queries=config.queries)
    others = sorted(name for name in state if not name.startswith(("model.", "lm_head.")))
    known = {name: value for name, value in state.items() if name not in others}
    return write(target, config, known, processor, [f.name for f in files], others)


def _stage(file: Path) -> int:
    """The number after "stage" in a file's name; the one without comes first."""
    found = re.search(r"stage(\d+)", file.name)
    return int(found[1]) if found else 0


def _unwrapped(name: str) -> str:
    """A weight's name without the wrappers of peft, whose versions differ in them."""
    return name.replace("mistral_model.base_model.model.", "mistral_model.").replace(".base_layer.", ".")


def merged(published: Mapping[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """The weights with their adapters added: W + alpha / rank * B A."""
    state = {name: value for name, value in published.items() if ".lora_" not in name}
    for name, a in published.items():
        if ".lora_A." not in name:
            continue
        b, weight = published[name.replace(".lora_A.", ".lora_B.")], f"{name.partition('.lora_A.')[0]}.weight"
        added = alpha / len(a) * b.float() @ a.float()
        state[weight] = (state[weight].float() + added).to(state[weight].dtype)
    return state


def renamed(published: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Weights by our names; a name that stays as it was has no place here."""
    for name, value in published.items():
        if name == "query_tokens":
            extra = published.get("extra_query_tokens")
            yield "model.query_tokens", value if extra is None else torch.cat([value, extra], 1)
        elif name.endswith(".attn.qkv.weight"):
            block = name.removeprefix(_BLOCK).removesuffix(".attn.qkv.weight")
            for part, rows in zip(("query", "key", "value"), value.chunk(3), strict=True):
                yield f"model.vision_tower.encoder.layer.{block}.attention.attention.{part}.weight", rows.contiguous()
        elif name != "extra_query_tokens":
            for pattern, ours in _RENAMED:
                name = re.sub(pattern, ours, name)
            yield name, value


def _config(published: Mapping[str, Tensor], text: Any, tokenizer: Any) -> VideoChat2Config:
    """All sizes, from the weights' shapes."""
    names = list(published)
    patch = published["vision_encoder.encoder.patch_embed.proj.weight"]
    words = published["qformer.bert.embeddings.word_embeddings.weight"]
    looks = layers([n for n in names if ".crossattention." in n], _LAYER)
    read = published[f"{_LAYER}{looks[0]}.crossattention.self.key.weight"]
    vision = {
        "model_type": "videomae",
        "image_size": 224,
        "patch_size": patch.shape[-1],
        "tubelet_size": patch.shape[2],
        "num_frames": 4,
        "hidden_size": len(patch),
        "num_hidden_layers": len(layers(names, _BLOCK)),
        "num_attention_heads": len(patch) // _HEAD,
        "intermediate_size": len(published[f"{_BLOCK}0.mlp.fc1.weight"]),
        "layer_norm_eps": 1e-6,
    }
    asked = {
        "model_type": "instructblip_qformer",
        "vocab_size": len(words),
        "hidden_size": words.shape[1],
        "num_hidden_layers": len(layers(names, _LAYER)),
        "num_attention_heads": words.shape[1] // _HEAD,
        "intermediate_size": len(published[f"{_LAYER}0.intermediate_query.dense.weight"]),
        "max_position_embeddings": len(published["qformer.bert.embeddings.position_embeddings.weight"]),
        "cross_attention_frequency": looks[1] - looks[0] if len(looks) > 1 else 2,
        "encoder_hidden_size": read.shape[1],
    }
    queries = sum(published[n].shape[1] for n in ("query_tokens", "extra_query_tokens") if n in published)
    image, video = (tokenizer.convert_tokens_to_ids(t) for t in ("<image>", "<video>"))
    return VideoChat2Config(
        text_config=text,
        vision_config=vision,
        qformer_config=asked,
        queries=queries,
        image_token_id=image,
        video_token_id=video,
    )
