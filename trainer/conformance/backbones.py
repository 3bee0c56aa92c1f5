"""The paper's two backbones (STEP Sec. 4.1), which transformers has no class of: ours, in the small."""

from collections.abc import Callable
from typing import Any

import transformers as hf

from model.backends import videochat2, vila
from trainer.conformance.family import PICTURE, SQUARE, TEXT, VISION, Family, ends

_QUERIES, _PATCH = 4, 11  # patches of 11 pixels make five rows: VILA fills an odd one up


def _videochat2_config(ids: Callable[[str], int], size: int) -> Any:
    asked = {**VISION, "vocab_size": 8, "encoder_hidden_size": VISION["hidden_size"]}
    frames = {"image_size": PICTURE, "patch_size": 14, "tubelet_size": 1, "num_frames": 4}
    return videochat2.VideoChat2Config(
        text_config={
            "model_type": "mistral",
            **TEXT,
            "sliding_window": None,
            "vocab_size": size - 2,
            **ends(ids, "</s>"),
        },
        vision_config={"model_type": "videomae", **VISION, **frames},
        qformer_config={"model_type": "instructblip_qformer", **asked},
        queries=_QUERIES,
        image_instruction=[1, 2],
        video_instruction=[3, 4, 2],
        image_token_id=ids("<image>"),
        video_token_id=ids("<video>"),
    )


def _videochat2_processor(tokenizer: Any, template: str) -> Any:
    return videochat2.videochat2_processor(tokenizer, template, PICTURE, _QUERIES)


def _vila_config(ids: Callable[[str], int], size: int) -> Any:
    return vila.VilaConfig(
        text_config={"model_type": "llama", **TEXT, "vocab_size": size, **ends(ids, "</s>")},
        vision_config={"model_type": "siglip_vision_model", **VISION, "image_size": PICTURE, "patch_size": _PATCH},
        image_token_index=ids("<image>"),
        vision_feature_layer=-2,
        vision_feature_select_strategy="full",
    )


def _vila_processor(tokenizer: Any, template: str) -> Any:
    tokens = vila.image_tokens(PICTURE, _PATCH)
    return vila.VilaProcessor(hf.SiglipImageProcessor(size=SQUARE), tokenizer, tokens, chat_template=template)


_IMAGE = {"image_token": "<image>"}
BACKBONES = (
    Family("VideoChat2", "VideoChat2ForConditionalGeneration", videochat2.LAYOUT, "</s>",
           {**_IMAGE, "video_token": "<video>"}, _videochat2_config, _videochat2_processor),
    Family("VILA 1.5", "VilaForConditionalGeneration", vila.LAYOUT, "</s>", _IMAGE, _vila_config, _vila_processor),
)  # fmt: skip
