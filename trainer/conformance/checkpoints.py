"""The Video-LLM classes that users bring, each with a small configuration: stock network, processor and layout.

A class that works here works with its published weights: what a checkpoint's size decides is speed and memory alone.
"""

from collections.abc import Callable, Mapping
from typing import Any

import transformers as hf

from trainer.conformance.backbones import BACKBONES
from trainer.conformance.family import (
    AREA,
    CHATML,
    LINEAR,
    NORM,
    PATCHES,
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
from trainer.conformance.pictures import PICTURE_FAMILIES
from trainer.conformance.videos import VIDEO_FAMILIES


def _qwen(
    name: str, network: str, config: type, vision: Mapping[str, Any], text: Mapping[str, Any] | None = None
) -> Family:
    image, video = "<|image_pad|>", "<|video_pad|>"
    around = {"vision_start": "<|vision_start|>", "vision_end": "<|vision_end|>"}

    def configure(ids: Callable[[str], int], size: int) -> Any:
        rope = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 3, 3]}
        rope |= {"mrope_interleaved": True} if "Qwen3" in network else {}
        return config(
            text_config={
                **TEXT,
                "vocab_size": size,
                "rope_parameters": rope,
                **ends(ids, "<|im_end|>"),
                **(text or {}),
            },
            vision_config=dict(vision),
            image_token_id=ids(image),
            video_token_id=ids(video),
            vision_start_token_id=ids(around["vision_start"]),
            vision_end_token_id=ids(around["vision_end"]),
        )

    def process(tokenizer: Any, template: str) -> Any:
        three = "Qwen3" in network
        kind = "Qwen3VL" if three else ("Qwen2_5_VL" if "2_5" in network else "Qwen2VL")
        videos = hf.Qwen3VLVideoProcessor if three else hf.Qwen2VLVideoProcessor
        return getattr(hf, f"{kind}Processor")(
            image_processor=hf.Qwen2VLImageProcessor(**PATCHES, **NORM, size=AREA),
            video_processor=videos(**PATCHES, **NORM, size=AREA, do_sample_frames=False),
            tokenizer=tokenizer,
            chat_template=template,
        )

    start, end = around.values()
    return Family(
        name,
        network,
        layout(CHATML, f"{start}{image}{end}", f"{start}{video}{end}"),
        "<|im_end|>",
        {"image_token": image, "video_token": video, **around},
        configure,
        process,
    )


_QWEN2_VISION = {"depth": 2, "embed_dim": 32, "hidden_size": 64, "num_heads": 2, "mlp_ratio": 2}
_QWEN25_VISION = {
    "depth": 2,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_heads": 2,
    "out_hidden_size": 64,
    "window_size": 56,
    "fullatt_block_indexes": [1],
}
_QWEN3_VISION = {
    "depth": 2,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_heads": 2,
    "out_hidden_size": 64,
    "patch_size": 14,
    "num_position_embeddings": 16,
    "deepstack_visual_indexes": [0],
}
_EXPERTS = {"moe_intermediate_size": 32, "num_experts": 4, "num_experts_per_tok": 2}
_LINEAR = {
    **LINEAR,
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 10_000.0,
        "mrope_section": [2, 1, 1],
        "mrope_interleaved": True,
        "partial_rotary_factor": 0.5,
    },
}
_QWEN35_VISION = {name: value for name, value in _QWEN3_VISION.items() if name != "deepstack_visual_indexes"}


def _smol_config(ids: Callable[[str], int], size: int) -> Any:
    return hf.SmolVLMConfig(
        text_config={"model_type": "llama", **TEXT, "vocab_size": size, **ends(ids, "<end_of_utterance>")},
        vision_config={**VISION, "image_size": PICTURE, "patch_size": 14},
        image_token_id=ids("<image>"),
        scale_factor=2,
    )


def _smol_processor(tokenizer: Any, template: str) -> Any:
    edge = {"size": {"longest_edge": PICTURE}, "max_image_size": {"longest_edge": PICTURE}}
    return hf.SmolVLMProcessor(
        hf.SmolVLMImageProcessor(**edge, do_image_splitting=False),
        tokenizer,
        hf.SmolVLMVideoProcessor(**edge, do_sample_frames=False),
        image_seq_len=4,
        chat_template=template,
    )


def _intern_config(ids: Callable[[str], int], size: int) -> Any:
    return hf.InternVLConfig(
        text_config={"model_type": "qwen2", **TEXT, "vocab_size": size, **ends(ids, "<|im_end|>")},
        vision_config={**VISION, "image_size": [PICTURE, PICTURE], "patch_size": [14, 14]},
        image_token_id=ids("<IMG_CONTEXT>"),
        image_seq_length=4,
    )


def _intern_processor(tokenizer: Any, template: str) -> Any:
    return hf.InternVLProcessor(
        hf.GotOcr2ImageProcessor(size=SQUARE, crop_to_patches=False),
        tokenizer,
        hf.InternVLVideoProcessor(size=SQUARE, do_sample_frames=False),
        image_seq_length=4,
        chat_template=template,
    )


def _onevision_config(ids: Callable[[str], int], size: int) -> Any:
    return hf.LlavaOnevisionConfig(
        text_config={"model_type": "qwen2", **TEXT, "vocab_size": size, **ends(ids, "<|im_end|>")},
        vision_config={"model_type": "siglip_vision_model", **VISION, "image_size": PICTURE, "patch_size": 14},
        image_token_index=ids("<image>"),
        video_token_index=ids("<video>"),
        image_grid_pinpoints=PINPOINTS,
        vision_feature_select_strategy="full",
        vision_feature_layer=-1,
    )


def _onevision_processor(tokenizer: Any, template: str) -> Any:
    return hf.LlavaOnevisionProcessor(
        image_processor=hf.LlavaOnevisionImageProcessor(size=SQUARE, image_grid_pinpoints=PINPOINTS),
        tokenizer=tokenizer,
        video_processor=hf.LlavaOnevisionVideoProcessor(size=SQUARE, do_sample_frames=False),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=template,
    )


def _next_video_config(ids: Callable[[str], int], size: int) -> Any:
    return hf.LlavaNextVideoConfig(
        **llava_parts(ids, size), video_token_index=ids("<video>"), image_grid_pinpoints=PINPOINTS
    )


def _next_video_processor(tokenizer: Any, template: str) -> Any:
    sides = {"size": {"shortest_edge": PICTURE}, "crop_size": SQUARE}
    return hf.LlavaNextVideoProcessor(
        video_processor=hf.LlavaNextVideoVideoProcessor(**sides, do_sample_frames=False),
        image_processor=hf.LlavaNextImageProcessor(**sides, image_grid_pinpoints=PINPOINTS),
        tokenizer=tokenizer,
        chat_template=template,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )


def _video_llava_config(ids: Callable[[str], int], size: int) -> Any:
    return hf.VideoLlavaConfig(**llava_parts(ids, size), video_token_index=ids("<video>"))


def _video_llava_processor(tokenizer: Any, template: str) -> Any:
    sides = {"size": {"shortest_edge": PICTURE}, "crop_size": SQUARE}
    return hf.VideoLlavaProcessor(
        image_processor=hf.VideoLlavaImageProcessor(**sides),
        video_processor=hf.VideoLlavaVideoProcessor(**sides, do_sample_frames=False),
        tokenizer=tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        chat_template=template,
        num_additional_image_tokens=1,
    )


def _llama3_config(ids: Callable[[str], int], size: int) -> Any:
    return hf.VideoLlama3Config(
        text_config={"model_type": "qwen2", **TEXT, "vocab_size": size, **ends(ids, "<|im_end|>")},
        vision_config={**VISION, "patch_size": 14},
        image_token_id=ids("<image>"),
        video_token_id=ids("<video>"),
    )


def _llama3_processor(tokenizer: Any, template: str) -> Any:
    pixels = {"patch_size": 14, "min_pixels": PICTURE**2, "max_pixels": 16 * PICTURE**2}
    return hf.VideoLlama3Processor(
        image_processor=hf.VideoLlama3ImageProcessor(**pixels, merge_size=1),
        tokenizer=tokenizer,
        video_processor=hf.VideoLlama3VideoProcessor(**pixels, merge_size=2, do_sample_frames=False),
        chat_template=template,
    )


_MEDIA = {"image_token": "<image>", "video_token": "<video>"}
_SMOL_TOKENS = {
    "image_token": "<image>",
    "fake_image_token": "<fake_token_around_image>",
    "global_image_token": "<global-img>",
    "end_of_utterance_token": "<end_of_utterance>",
    "video_token": "<video>",
}
_INTERN_TOKENS = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<video>",
}

FAMILIES: tuple[Family, ...] = (
    Family("SmolVLM2", "SmolVLMForConditionalGeneration", layout(SMOL, "<image>", "<video>"),
           "<end_of_utterance>", _SMOL_TOKENS, _smol_config, _smol_processor),
    _qwen("Qwen2-VL", "Qwen2VLForConditionalGeneration", hf.Qwen2VLConfig, _QWEN2_VISION),
    _qwen("Qwen2.5-VL", "Qwen2_5_VLForConditionalGeneration", hf.Qwen2_5_VLConfig, _QWEN25_VISION),
    _qwen("Qwen3-VL", "Qwen3VLForConditionalGeneration", hf.Qwen3VLConfig, _QWEN3_VISION),
    _qwen("Qwen3-VL-MoE", "Qwen3VLMoeForConditionalGeneration", hf.Qwen3VLMoeConfig, _QWEN3_VISION, _EXPERTS),
    _qwen("Qwen3.5", "Qwen3_5ForConditionalGeneration", hf.Qwen3_5Config, _QWEN35_VISION, _LINEAR),
    _qwen("Qwen3.5-MoE", "Qwen3_5MoeForConditionalGeneration", hf.Qwen3_5MoeConfig, _QWEN35_VISION,
          {**_LINEAR, **_EXPERTS, "shared_expert_intermediate_size": 32}),
    Family("InternVL3", "InternVLForConditionalGeneration", layout(CHATML, "<IMG_CONTEXT>\n", "<video>\n"),
           "<|im_end|>", _INTERN_TOKENS, _intern_config, _intern_processor),
    Family("LLaVA-OneVision", "LlavaOnevisionForConditionalGeneration", layout(CHATML, "<image>", "<video>"),
           "<|im_end|>", _MEDIA, _onevision_config, _onevision_processor),
    Family("LLaVA-NeXT-Video", "LlavaNextVideoForConditionalGeneration", layout(VICUNA, "<image>", "<video>"),
           "</s>", _MEDIA, _next_video_config, _next_video_processor),
    Family("Video-LLaVA", "VideoLlavaForConditionalGeneration", layout(VICUNA, "<image>", "<video>"),
           "</s>", _MEDIA, _video_llava_config, _video_llava_processor),
    Family("VideoLLaMA3", "VideoLlama3ForConditionalGeneration", layout(CHATML, "<image>", "<video>"),
           "<|im_end|>", _MEDIA, _llama3_config, _llama3_processor),
    *BACKBONES,
    *VIDEO_FAMILIES,
    *PICTURE_FAMILIES,
)  # fmt: skip
