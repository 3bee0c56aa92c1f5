"""Video classes that came after those that the paper's time knew: each in the small."""

from collections.abc import Callable
from typing import Any

import transformers as hf

from trainer.conformance.family import (
    AREA,
    CHATML,
    LINEAR,
    NORM,
    PATCHES,
    PICTURE,
    SQUARE,
    TEXT,
    VISION,
    Family,
    ends,
    layout,
)

_IMAGE, _VIDEO, _START, _END = "<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"
_SLIDING = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 64}
_GLM_AREA = {name: 4 * pixels for name, pixels in AREA.items()}  # its processors take no fewer pixels


def _glm(name: str, kind: str) -> Family:
    """GLM-4.1V and 4.6V have the same networks and processors of their own."""
    tokens = {"image_token": "<|image|>", "video_token": "<|video|>"}
    tokens |= {
        f"{media}_{end}_token": f"<|{end}_of_{media}|>" for media in ("image", "video") for end in ("begin", "end")
    }

    def configure(ids: Callable[[str], int], size: int) -> Any:
        rope = {
            "rope_type": "default",
            "rope_theta": 10_000.0,
            "mrope_section": [2, 1, 1],
            "partial_rotary_factor": 0.5,
        }
        vision = {
            "model_type": "glm4v_vision",
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 2,
            "out_hidden_size": 64,
            "image_size": PICTURE,
            "patch_size": 14,
        }
        text = {
            "model_type": "glm4v_text",
            **TEXT,
            "vocab_size": size,
            "rope_parameters": rope,
            **ends(ids, "<|user|>"),
        }
        return getattr(hf, f"{kind}Config")(
            text_config=text,
            vision_config=vision,
            image_token_id=ids("<|image|>"),
            video_token_id=ids("<|video|>"),
            image_start_token_id=ids("<|begin_of_image|>"),
            image_end_token_id=ids("<|end_of_image|>"),
            video_start_token_id=ids("<|begin_of_video|>"),
            video_end_token_id=ids("<|end_of_video|>"),
        )

    def process(tokenizer: Any, template: str) -> Any:
        settings = {**PATCHES, **NORM, "size": _GLM_AREA}
        return getattr(hf, f"{kind}Processor")(
            image_processor=getattr(hf, f"{kind}ImageProcessor")(**settings),
            tokenizer=tokenizer,
            video_processor=getattr(hf, f"{kind}VideoProcessor")(**settings, do_sample_frames=False),
            chat_template=template,
        )

    image, video = (f"<|begin_of_{media}|><|{media}|><|end_of_{media}|>" for media in ("image", "video"))
    return Family(
        name, f"{kind}ForConditionalGeneration", layout(CHATML, image, video), "<|user|>", tokens, configure, process
    )


def _exaone_config(ids: Callable[[str], int], size: int) -> Any:
    return hf.Exaone4_5_Config(
        text_config={"model_type": "exaone4", **TEXT, **_SLIDING, "vocab_size": size, **ends(ids, "<|im_end|>")},
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 2,
            "num_key_value_heads": 1,
            "out_hidden_size": 64,
            "window_size": 56,
            "fullatt_block_indexes": [1],
        },
        image_token_id=ids(_IMAGE),
        video_token_id=ids(_VIDEO),
    )


def _exaone_processor(tokenizer: Any, template: str) -> Any:
    return hf.Exaone4_5_Processor(
        image_processor=hf.Qwen2VLImageProcessor(**PATCHES, **NORM, size=AREA),
        tokenizer=tokenizer,
        video_processor=hf.Qwen2VLVideoProcessor(**PATCHES, **NORM, size=AREA, do_sample_frames=False),
        chat_template=template,
    )


def _lfm3_config(ids: Callable[[str], int], size: int) -> Any:
    layers = {"layer_types": ["conv", "full_attention"]}
    return hf.Lfm3VlConfig(
        text_config={"model_type": "lfm3", **TEXT, **layers, "vocab_size": size, **ends(ids, "<|im_end|>")},
        vision_config={**VISION, **layers, "num_key_value_heads": 1, "patch_size": 14},
        projector_hidden_size=64,
        image_token_id=ids(_IMAGE),
        video_token_id=ids(_VIDEO),
        vision_start_token_id=ids(_START),
        vision_end_token_id=ids(_END),
    )


def _lfm3_processor(tokenizer: Any, template: str) -> Any:
    return hf.Lfm3VlProcessor(
        image_processor=hf.Qwen2VLImageProcessor(**PATCHES, **NORM, size=AREA),
        tokenizer=tokenizer,
        video_processor=hf.Qwen3VLVideoProcessor(**PATCHES, **NORM, size=AREA, do_sample_frames=False),
        chat_template=template,
    )


def _gemma4_config(ids: Callable[[str], int], size: int) -> Any:
    text = {**TEXT, **_SLIDING, "vocab_size": size, "vocab_size_per_layer_input": size, **ends(ids, "<turn|>")}
    text |= {"hidden_size_per_layer_input": 8, "num_global_key_value_heads": 2, "global_head_dim": 16}
    vision = {**VISION, "head_dim": 16, "num_key_value_heads": 2, "patch_size": 14}
    return hf.Gemma4Config(
        text_config=text | {"tie_word_embeddings": False},
        vision_config=vision | {"pooling_kernel_size": 2, "position_embedding_size": 64},
        audio_config=None,
        boi_token_id=ids("<|image>"),
        eoi_token_id=ids("<image|>"),
        image_token_id=ids("<|image|>"),
        video_token_id=ids("<|video|>"),
        audio_token_id=ids("<|audio|>"),
        tie_word_embeddings=False,  # tied ones of random weights only say the last word again
    )


def _gemma4_processor(tokenizer: Any, template: str) -> Any:
    patches = {"patch_size": 14, "pooling_kernel_size": 2, "max_soft_tokens": 70}
    return hf.Gemma4Processor(
        hf.Gemma4AudioFeatureExtractor(),
        hf.Gemma4ImageProcessor(**patches),
        tokenizer,
        hf.Gemma4VideoProcessor(**patches, do_sample_frames=False),
        chat_template=template,
    )


_MOLMO_TOKENS = ("im_patch", "im_col", "im_start", "low_res_im_start", "frame_start", "im_end", "frame_end", "im_low")


def _molmo2_config(ids: Callable[[str], int], size: int) -> Any:
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16}
    more = len(_MOLMO_TOKENS)
    return hf.Molmo2Config(
        text_config={**TEXT, "vocab_size": size - more, "additional_vocab_size": more, **ends(ids, "<|im_end|>")},
        vision_config={**VISION, **heads, "image_size": [PICTURE, PICTURE], "patch_size": 14},
        adapter_config={
            **heads,
            "hidden_size": 32,
            "intermediate_size": 48,
            "text_hidden_size": 64,
            "vision_feature_layer": [1, 0],
        },
        image_start_token_id=ids("<im_start>"),
        low_res_image_start_token_id=ids("<low_res_im_start>"),
        image_end_token_id=ids("<im_end>"),
        image_low_res_id=ids("<im_low>"),
        image_patch_id=ids("<im_patch>"),
        image_col_id=ids("<im_col>"),
        frame_start_token_id=ids("<frame_start>"),
        frame_end_token_id=ids("<frame_end>"),
    )


def _molmo2_processor(tokenizer: Any, template: str) -> Any:
    patches = {"size": SQUARE, "patch_size": 14, "pooling_size": [2, 2]}
    return hf.Molmo2Processor(
        hf.Molmo2ImageProcessor(**patches, max_crops=2, overlap_margins=[1, 1]),
        hf.Molmo2VideoProcessor(**patches, do_sample_frames=False),
        tokenizer,
        chat_template=template,
    )


def _minicpm_config(ids: Callable[[str], int], size: int) -> Any:
    rope = {"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 0.5}
    text = {"model_type": "qwen3_5_text", **TEXT, **LINEAR, "rope_parameters": rope, "vocab_size": size}
    return hf.MiniCPMV4_6Config(
        text_config=text | ends(ids, "<|im_end|>"),
        vision_config={**VISION, "image_size": PICTURE, "patch_size": 14},
        insert_layer_id=1,
        image_size=PICTURE,
        image_token_id=ids(_IMAGE),
        video_token_id=ids(_VIDEO),
    )


def _minicpm_processor(tokenizer: Any, template: str) -> Any:
    whole = {"patch_size": 14, "scale_resolution": 2 * PICTURE, "slice_mode": False, "max_slice_nums": 1}
    return hf.MiniCPMV4_6Processor(
        hf.MiniCPMV4_6ImageProcessor(**whole),
        hf.MiniCPMV4_6VideoProcessor(**whole, do_sample_frames=False),
        tokenizer,
        chat_template=template,
    )


_PADS = {"image_token": _IMAGE, "video_token": _VIDEO}
_SEEN = {**_PADS, "vision_start_token": _START, "vision_end_token": _END}
_AROUND = layout(CHATML, f"{_START}{_IMAGE}{_END}", f"{_START}{_VIDEO}{_END}")
_MARKED = {"image_token": "<|image|>", "video_token": "<|video|>"}
_GEMMA_TOKENS = {
    **_MARKED,
    "boi_token": "<|image>",
    "eoi_token": "<image|>",
    "audio_token": "<|audio|>",
    "boa_token": "<|audio>",
    "eoa_token": "<audio|>",
}
_MINICPM_TOKENS = {
    **_PADS,
    "image_start_token": "<image>",
    "image_end_token": "</image>",
    "slice_start_token": "<slice>",
    "slice_end_token": "</slice>",
    "image_id_start_token": "<image_id>",
    "image_id_end_token": "</image_id>",
}

VIDEO_FAMILIES = (
    _glm("GLM-4.1V", "Glm4v"),
    _glm("GLM-4.6V", "Glm46V"),
    Family("EXAONE 4.5", "Exaone4_5_ForConditionalGeneration", _AROUND, "<|im_end|>", _SEEN,
           _exaone_config, _exaone_processor),
    Family("LFM3-VL", "Lfm3VlForConditionalGeneration", _AROUND, "<|im_end|>", _SEEN, _lfm3_config, _lfm3_processor),
    Family("Gemma 4", "Gemma4ForConditionalGeneration", layout(CHATML, "<|image|>", "<|video|>"), "<turn|>",
           _GEMMA_TOKENS, _gemma4_config, _gemma4_processor),
    Family("Molmo2", "Molmo2ForConditionalGeneration", layout(CHATML, "<|image|>", "<|video|>"), "<|im_end|>",
           {**_MARKED, **{name: f"<{name}>" for name in _MOLMO_TOKENS}}, _molmo2_config, _molmo2_processor),
    Family("MiniCPM-V 4.6", "MiniCPMV4_6ForConditionalGeneration", layout(CHATML, _IMAGE, _VIDEO), "<|im_end|>",
           _MINICPM_TOKENS, _minicpm_config, _minicpm_processor),
)  # fmt: skip
