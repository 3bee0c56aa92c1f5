"""The paper's two backbones (STEP Sec. 4.1), which transformers has no class of: ours, in the small."""

from collections.abc import Callable
from typing import Any

from model.backends.videochat2 import LAYOUT, VideoChat2Config, videochat2_processor
from trainer.conformance.family import PICTURE, TEXT, VISION, Family, ends

_QUERIES = 4


def _videochat2_config(ids: Callable[[str], int], size: int) -> Any:
    asked = {**VISION, "vocab_size": 8, "encoder_hidden_size": VISION["hidden_size"]}
    frames = {"image_size": PICTURE, "patch_size": 14, "tubelet_size": 1, "num_frames": 4}
    return VideoChat2Config(
        text_config={"model_type": "mistral", **TEXT, "vocab_size": size - 2, **ends(ids, "</s>")},
        vision_config={"model_type": "videomae", **VISION, **frames},
        qformer_config={"model_type": "instructblip_qformer", **asked},
        queries=_QUERIES,
        image_instruction=[1, 2],
        video_instruction=[3, 4, 2],
        image_token_id=ids("<image>"),
        video_token_id=ids("<video>"),
    )


def _videochat2_processor(tokenizer: Any, template: str) -> Any:
    return videochat2_processor(tokenizer, template, PICTURE, _QUERIES)


BACKBONES = (
    Family("VideoChat2", "VideoChat2ForConditionalGeneration", LAYOUT, "</s>",
           {"image_token": "<image>", "video_token": "<video>"}, _videochat2_config, _videochat2_processor),
)  # fmt: skip
