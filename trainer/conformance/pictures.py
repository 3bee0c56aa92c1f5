"""Classes that take several pictures and no video, which the frames of a clip then are: each in the small."""

from collections.abc import Callable
from typing import Any

import transformers as hf

from trainer.conformance.family import (
    CHATML,
    PICTURE,
    PINPOINTS,
    SMOL,
    SQUARE,
    TEXT,
    VICUNA,
    VISION,
    Family,
    ends,
    layout,
    llava_parts,
)

_CROPPED = {"size": {"shortest_edge": PICTURE}, "crop_size": SQUARE}
_LLAVA = {"patch_size": 14, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}


def _llava_config(ids: Callable[[str], int], size: int) -> Any:
    return hf.LlavaConfig(**llava_parts(ids, size))


def _llava_processor(tokenizer: Any, template: str) -> Any:
    return hf.LlavaProcessor(hf.CLIPImageProcessor(**_CROPPED), tokenizer, chat_template=template, **_LLAVA)


def _llava_next_config(ids: Callable[[str], int], size: int) -> Any:
    return hf.LlavaNextConfig(**llava_parts(ids, size), image_grid_pinpoints=PINPOINTS)


def _llava_next_processor(tokenizer: Any, template: str) -> Any:
    pictures = hf.LlavaNextImageProcessor(**_CROPPED, image_grid_pinpoints=PINPOINTS)
    return hf.LlavaNextProcessor(pictures, tokenizer, chat_template=template, **_LLAVA)


def _idefics3_config(ids: Callable[[str], int], size: int) -> Any:
    return hf.Idefics3Config(
        text_config={"model_type": "llama", **TEXT, "vocab_size": size, **ends(ids, "<end_of_utterance>")},
        vision_config={**VISION, "image_size": PICTURE, "patch_size": 14},
        image_token_id=ids("<image>"),
        scale_factor=2,
    )


def _idefics3_processor(tokenizer: Any, template: str) -> Any:
    edge = {"size": {"longest_edge": PICTURE}, "max_image_size": {"longest_edge": PICTURE}}
    pictures = hf.Idefics3ImageProcessor(**edge, do_image_splitting=False)
    return hf.Idefics3Processor(pictures, tokenizer, image_seq_len=4, chat_template=template)


def _mistral3_config(ids: Callable[[str], int], size: int) -> Any:
    text = {"model_type": "mistral", **TEXT, "sliding_window": None, "vocab_size": size, **ends(ids, "</s>")}
    return hf.Mistral3Config(
        text_config=text,
        vision_config={"model_type": "pixtral", **VISION, "head_dim": 16, "image_size": PICTURE, "patch_size": 14},
        image_token_index=ids("[IMG]"),
        spatial_merge_size=2,
    )


def _mistral3_processor(tokenizer: Any, template: str) -> Any:
    pictures = hf.PixtralImageProcessor(size={"longest_edge": PICTURE}, patch_size={"height": 28, "width": 28})
    return hf.PixtralProcessor(
        pictures, tokenizer, patch_size=14, spatial_merge_size=2, chat_template=template, **_MISTRAL_TOKENS
    )


def _gemma3_config(ids: Callable[[str], int], size: int) -> Any:
    layers = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 64}
    return hf.Gemma3Config(
        text_config={**TEXT, **layers, "vocab_size": size, **ends(ids, "<end_of_turn>"), "tie_word_embeddings": False},
        vision_config={
            "model_type": "siglip_vision_model",
            **VISION,
            "image_size": PICTURE,
            "patch_size": 14,
            "vision_use_head": False,
        },
        mm_tokens_per_image=4,
        boi_token_index=ids("<start_of_image>"),
        eoi_token_index=ids("<end_of_image>"),
        image_token_index=ids("<image_soft_token>"),
        tie_word_embeddings=False,  # tied ones of random weights only say the last word again
    )


def _gemma3_processor(tokenizer: Any, template: str) -> Any:
    return hf.Gemma3Processor(
        hf.Gemma3ImageProcessor(size=SQUARE), tokenizer, chat_template=template, image_seq_length=4
    )


_IDEFICS_TOKENS = {
    "image_token": "<image>",
    "fake_image_token": "<fake_token_around_image>",
    "global_image_token": "<global-img>",
    "end_of_utterance_token": "<end_of_utterance>",
}
_MISTRAL_TOKENS = {"image_token": "[IMG]", "image_break_token": "[IMG_BREAK]", "image_end_token": "[IMG_END]"}
_GEMMA_TOKENS = {"image_token": "<image_soft_token>", "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>"}
_IMAGE = {"image_token": "<image>"}

PICTURE_FAMILIES = (
    Family("LLaVA 1.5", "LlavaForConditionalGeneration", layout(VICUNA, "<image>", ""), "</s>", _IMAGE,
           _llava_config, _llava_processor),
    Family("LLaVA-NeXT", "LlavaNextForConditionalGeneration", layout(VICUNA, "<image>", ""), "</s>", _IMAGE,
           _llava_next_config, _llava_next_processor),
    Family("Idefics3", "Idefics3ForConditionalGeneration", layout(SMOL, "<image>", ""), "<end_of_utterance>",
           _IDEFICS_TOKENS, _idefics3_config, _idefics3_processor),
    Family("Mistral 3", "Mistral3ForConditionalGeneration", layout(VICUNA, "[IMG]", ""), "</s>",
           _MISTRAL_TOKENS, _mistral3_config, _mistral3_processor),
    Family("Gemma 3", "Gemma3ForConditionalGeneration", layout(CHATML, "<start_of_image>", ""), "<end_of_turn>",
           _GEMMA_TOKENS, _gemma3_config, _gemma3_processor),
)  # fmt: skip
