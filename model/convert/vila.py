"""VILA 1.5 from its published folder: llm, vision_tower and mm_projector, each with a config.json and weights."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoImageProcessor

from model.backends.vila import LAYOUT, VilaConfig, VilaProcessor, image_tokens
from model.convert.files import ConversionError, Converted, read_folder, tokenizer_with, write

_END_OF_LLAMA_2 = "</s>"
PARTS = ("llm", "vision_tower", "mm_projector")
_PROJECTOR = {"layers.1.": "layernorm.", "layers.2.": "linear_1.", "layers.4.": "linear_2."}


def is_vila(folder: Path) -> bool:
    """Whether a folder is laid out as VILA's are."""
    return all((folder / part / "config.json").is_file() for part in PARTS)


def convert_vila(folder: Path, target: Path) -> Converted:
    """Converts a published VILA 1.5 into a checkpoint at `target`.

    Raises:
        ConversionError: it is of another kind, or weights are missing, don't fit, or can't be read safely.
    """
    told, projector = (_json(f / "config.json") for f in (folder, folder / "mm_projector"))
    _check(told, projector.get("mm_projector_type"))
    tokenizer = tokenizer_with(folder / "llm", ("<image>",))
    if tokenizer.eos_token != _END_OF_LLAMA_2:
        raise ConversionError(
            "Its language network is no Llama 2, whose layout of a prompt is the one that is known here."
        )
    vision = AutoConfig.from_pretrained(folder / "vision_tower")
    vision.vision_use_head = False  # of what it makes of a whole picture, nothing is shown
    text, image = AutoConfig.from_pretrained(folder / "llm"), tokenizer.convert_tokens_to_ids("<image>")
    state = _state(folder, max(text.vocab_size, image + 1))
    text.vocab_size = max(text.vocab_size, image + 1)
    config = VilaConfig(
        text_config=text,
        vision_config=vision,
        image_token_index=image,
        vision_feature_layer=told.get("mm_vision_select_layer", -2),
        vision_feature_select_strategy="full",
    )
    processor = VilaProcessor(
        AutoImageProcessor.from_pretrained(folder / "vision_tower"),
        tokenizer,
        image_tokens(vision.image_size, vision.patch_size),
        chat_template=LAYOUT,
    )
    return write(target, config, state, processor, PARTS, ())


def _json(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text())) if file.is_file() else {}


def _check(told: dict[str, Any], projector: Any) -> None:
    """Refuse what would be computed otherwise than it was learned."""
    if projector != "mlp_downsample":
        raise ConversionError(f"Its projector is {projector}; only VILA 1.5's mlp_downsample can be converted.")
    if told.get("s2") or told.get("image_aspect_ratio", "resize") != "resize":
        raise ConversionError(
            "It sees a picture at several scales or padded; only VILA 1.5 at one scale can be converted."
        )
    if told.get("mm_vision_select_feature", "cls_patch") != "cls_patch":
        raise ConversionError("Its vision tower has a class token; only VILA 1.5 with SigLIP can be converted.")


def _state(folder: Path, vocabulary: int) -> dict[str, Tensor]:
    """All weights by our names. A token beyond the vocabulary gets the first one's rows, before which it is never said."""
    state = {}
    for name, value in read_folder(folder / "llm").items():
        if name.endswith(("embed_tokens.weight", "lm_head.weight")) and len(value) < vocabulary:
            value = torch.cat([value, value[:1].expand(vocabulary - len(value), -1)])
        state[f"model.language_model.{name[6:]}" if name.startswith("model.") else name] = value
    for name, value in read_folder(folder / "vision_tower").items():
        state[f"model.vision_tower.{name.removeprefix('vision_model.')}"] = value
    for name, value in read_folder(folder / "mm_projector").items():
        ours = next((ours + name[len(p) :] for p, ours in _PROJECTOR.items() if name.startswith(p)), name)
        state[f"model.multi_modal_projector.{ours}"] = value
    return state
