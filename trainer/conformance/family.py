"""How a small checkpoint of a Video-LLM class is made: its network with random weights, its processor and its layout."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import nn

PICTURE = 56  # pixels a side that every processor here is told to make of a frame
TEXT = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 4096,
}
VISION = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
AREA = {"shortest_edge": PICTURE * PICTURE, "longest_edge": PICTURE * PICTURE * 16}
PINPOINTS = [[PICTURE, PICTURE], [2 * PICTURE, 2 * PICTURE]]
PATCHES = {"patch_size": 14, "merge_size": 2, "temporal_patch_size": 2}
LINEAR: dict[str, Any] = {  # layers of Qwen3.5: one of linear attention, one of the usual
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "layer_types": ["linear_attention", "full_attention"],
}
NORM = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
SQUARE = {"height": PICTURE, "width": PICTURE}

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% if m['content'] is string %}{{ m['content'] }}{% else %}"
    "{% for c in m['content'] %}{% if c['type'] == 'text' %}{{ c['text'] }}{% else %}MEDIA{% endif %}{% endfor %}"
    "{% endif %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
VICUNA = (
    "{% for m in messages %}{% if m['role'] == 'user' %}USER: {% else %}ASSISTANT: {% endif %}"
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for c in m['content'] %}"
    "{% if c['type'] == 'text' %}{{ c['text'] }}{% else %}MEDIA\n{% endif %}{% endfor %}{% endif %}"
    "{% if m['role'] == 'assistant' %}</s>{% else %} {% endif %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
SMOL = (
    "<|im_start|>{% for m in messages %}{{ m['role'] | capitalize }}: {% if m['content'] is string %}{{ m['content'] }}"
    "{% else %}{% for c in m['content'] %}{% if c['type'] == 'text' %}{{ c['text'] }}{% else %}MEDIA{% endif %}"
    "{% endfor %}{% endif %}<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)


def layout(template: str, image: str, video: str) -> str:
    """A chat template with a class's own words for its media."""
    return template.replace("MEDIA", "{% if c['type'] == 'image' %}" + image + "{% else %}" + video + "{% endif %}")


@dataclass(frozen=True, slots=True)
class Family:
    """One class, and how to make a small checkpoint of it."""

    name: str  # as its users know it
    network: str  # the class
    template: str
    end: str  # the token that ends a reply
    specials: Mapping[str, str]  # the tokenizer's attributes for tokens that are not words
    config: Callable[[Callable[[str], int], int], Any]  # from token ids and the size of the vocabulary
    processor: Callable[[Any, str], Any]  # from the tokenizer and the chat template


def build(family: Family, folder: Path, seed: int = 0) -> None:
    """Writes a checkpoint with random weights, large enough that its logits differ clearly."""
    tokenizer = _tokenizer(family)
    ids = tokenizer.convert_tokens_to_ids
    torch.manual_seed(seed)
    network = hf.AutoModelForImageTextToText.from_config(family.config(ids, len(tokenizer)))
    for name, weight in network.named_parameters():
        if weight.ndim >= 2:
            nn.init.normal_(weight, std=0.3 if "embed" in name else float(1.6 * weight[0].numel() ** -0.5))
    network.generation_config.eos_token_id, network.generation_config.pad_token_id = ids(family.end), ids("<pad>")
    network.generation_config.bos_token_id = None
    network.save_pretrained(folder)
    family.processor(tokenizer, family.template).save_pretrained(folder)


def _tokenizer(family: Family) -> hf.PreTrainedTokenizerFast:
    """Bytes for words, and the family's special tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    words = ["<pad>", "<|im_start|>", family.end]
    tokenizer.add_special_tokens(list(dict.fromkeys([*words, *family.specials.values()])))
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=family.end,
        pad_token="<pad>",
        extra_special_tokens=dict(family.specials),
    )


def ends(ids: Callable[[str], int], end: str) -> dict[str, int | None]:
    """What a text network is told of the tokens around a reply."""
    return {"eos_token_id": ids(end), "pad_token_id": ids("<pad>"), "bos_token_id": None}


def llava_parts(ids: Callable[[str], int], size: int) -> dict[str, Any]:
    """The settings of LLaVA's classes: Llama behind CLIP."""
    return {
        "text_config": {"model_type": "llama", **TEXT, "vocab_size": size, **ends(ids, "</s>")},
        "vision_config": {"model_type": "clip_vision_model", **VISION, "image_size": PICTURE, "patch_size": 14},
        "image_token_index": ids("<image>"),
    }
