"""VILA 1.5 for transformers' Auto classes: LLaVA with a projector that joins patches in squares of two by two.

Shape suffixes: N pictures, P patches, D width.
"""

from math import isqrt
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)

LAYOUT = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and "
    "polite answers to the user's questions. {% for m in messages %}{% if m['role'] == 'user' %}USER: "
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}{{ '<image>\n' }}{% else %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %} "
    "{% else %}ASSISTANT: {% if m['content'] is string %}{{ m['content'] }}{% else %}{{ m['content'][0]['text'] }}"
    "{% endif %}</s>{% endif %}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


class VilaConfig(LlavaConfig):  # type: ignore[misc]
    """LLaVA's, for a class of another projector."""

    model_type = "vila"


def image_tokens(side: int, patch: int) -> int:
    """How many tokens a square picture takes: a fourth of its patches, an odd row and column filled up."""
    return ((side // patch + 1) // 2) ** 2


class _Downsample(nn.Module):
    """Four patches to a token, and two layers."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        joined, text = 4 * config.vision_config.hidden_size, config.text_config.hidden_size
        self.layernorm = nn.LayerNorm(joined)
        self.linear_1, self.linear_2 = nn.Linear(joined, text), nn.Linear(text, text)

    def forward(self, patches: Tensor) -> Tensor:
        """From N x P x D to N x P/4 x D; VILA 1.5 learned its squares column by column."""
        count, side, width = len(patches), isqrt(patches.shape[1]), patches.shape[2]
        odd, half = side % 2, (side + 1) // 2
        square = F.pad(patches.view(count, side, side, width), (0, 0, 0, odd, 0, odd))
        squares = square.view(count, half, 2, half, 2, width).permute(0, 3, 1, 2, 4, 5)
        joined = squares.reshape(count, half * half, 4 * width)
        words: Tensor = self.linear_2(F.gelu(self.linear_1(self.layernorm(joined))))
        return words


class VilaForConditionalGeneration(LlavaForConditionalGeneration):  # type: ignore[misc]
    """VILA 1.5 as it is asked and trained."""

    config: VilaConfig

    def __init__(self, config: VilaConfig) -> None:
        super().__init__(config)
        self.model.multi_modal_projector = _Downsample(config)
        self.post_init()


class VilaProcessor(LlavaProcessor):  # type: ignore[misc]
    """Lays out text and pictures; each picture takes the same number of tokens."""

    def __init__(
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        image_tokens: int = 196,
        chat_template: str | None = None,
    ) -> None:
        self.image_tokens = image_tokens
        super().__init__(image_processor, tokenizer, chat_template=chat_template)

    def replace_image_token(self, image_inputs: Any, image_idx: int, **kwargs: Any) -> str:  # noqa: ARG002
        return str(self.image_token * self.image_tokens)


AutoConfig.register("vila", VilaConfig)
AutoModelForImageTextToText.register(VilaConfig, VilaForConditionalGeneration)
AutoProcessor.register(VilaConfig, VilaProcessor)
