"""VideoChat2 for transformers' Auto classes: a UMT vision encoder, a Q-Former that reads an instruction, and Mistral.

All parts are transformers' own: UMT is VideoMAE's encoder on every frame's patches, with other places.
Shape suffixes: N pictures or videos, T frames, P patches, Q queries, D width.
"""

from dataclasses import field
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from huggingface_hub.dataclasses import strict
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForImageTextToText,
    AutoProcessor,
    CLIPImageProcessor,
    GenerationMixin,
    InstructBlipQFormerConfig,
    InstructBlipQFormerModel,
    LlavaNextVideoVideoProcessor,
    PreTrainedConfig,
    PreTrainedModel,
    ProcessorMixin,
    VideoMAEConfig,
)
from transformers.configuration_utils import SubConfigSpec
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast
from transformers.models.videomae.modeling_videomae import (
    VideoMAEEncoder,
    VideoMAEPatchEmbeddings,
    VideoMAEPreTrainedModel,
)

# As BERT's uncased vocabulary has them, what the published inference tells the Q-Former.
_OBSERVE_IMAGE = (101, 11949, 1996, 3746, 1998, 3437, 1996, 3160, 1012, 102)
_WATCH_VIDEO = (101, 3422, 1996, 2678, 1998, 3437, 1996, 3160, 1012, 102)
_UMT_L16 = {
    "tubelet_size": 1,
    "num_frames": 4,  # that it was pretrained with; places of other numbers lie between theirs
    "hidden_size": 1024,
    "num_hidden_layers": 23,  # the 24th is not used
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "layer_norm_eps": 1e-6,
}

LAYOUT = (
    "{% for m in messages %}{% if m['role'] == 'user' %}[INST] {% if m['content'] is string %}{{ m['content'] }}"
    "{% else %}{% for c in m['content'] %}{% if c['type'] == 'image' %}<Image><image></Image> "
    "{% elif c['type'] == 'video' %}<Video><video></Video> {% endif %}{% endfor %}"
    "{% if m['content'] | rejectattr('type', 'equalto', 'text') | list %}[/INST] [INST] {% endif %}"
    "{% for c in m['content'] %}{% if c['type'] == 'text' %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %} [/INST]"
    "{% else %}{% if m['content'] is string %}{{ m['content'] }}{% else %}{{ m['content'][0]['text'] }}{% endif %} </s>"
    "{% endif %}{% endfor %}"
)


@strict
class VideoChat2Config(PreTrainedConfig):  # type: ignore[misc]
    """Sizes of the three networks, with those of the published checkpoints where nothing is told."""

    model_type = "videochat2"
    sub_configs_defaults = {  # noqa: RUF012 # transformers reads it from the class
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="mistral"),
        "vision_config": SubConfigSpec(config_class=VideoMAEConfig, init_kwargs=_UMT_L16),
        "qformer_config": SubConfigSpec(
            config_class=InstructBlipQFormerConfig, init_kwargs={"vocab_size": 30523, "encoder_hidden_size": 1024}
        ),
    }

    text_config: Any = None
    vision_config: Any = None
    qformer_config: Any = None
    queries: int = 96
    image_instruction: list[int] = field(default_factory=lambda: list(_OBSERVE_IMAGE))
    video_instruction: list[int] = field(default_factory=lambda: list(_WATCH_VIDEO))
    image_token_id: int = 32000
    video_token_id: int = 32001
    tie_word_embeddings: bool = False


class VideoChat2Processor(ProcessorMixin):  # type: ignore[misc]
    """Lays out text, pictures and videos; each picture, and each video, takes as many tokens as there are queries."""

    def __init__(
        self,
        image_processor: Any = None,
        video_processor: Any = None,
        tokenizer: Any = None,
        queries: int = 96,
        chat_template: str | None = None,
    ) -> None:
        self.queries = queries
        self.image_token, self.video_token = "<image>", "<video>"
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)
        super().__init__(image_processor, video_processor, tokenizer, chat_template=chat_template)

    def replace_image_token(self, image_inputs: Any, image_idx: int, **kwargs: Any) -> str:  # noqa: ARG002
        return self.image_token * self.queries

    def replace_video_token(self, video_inputs: Any, video_idx: int, **kwargs: Any) -> str:  # noqa: ARG002
        return self.video_token * self.queries


def videochat2_processor(tokenizer: Any, template: str = LAYOUT, side: int = 224, queries: int = 96) -> Any:
    """A processor that shows every frame whole, as a square of this many pixels a side."""
    whole = {"size": {"height": side, "width": side}, "do_center_crop": False}
    return VideoChat2Processor(
        CLIPImageProcessor(**whole),
        LlavaNextVideoVideoProcessor(**whole, do_sample_frames=False),
        tokenizer,
        queries,
        chat_template=template,
    )


@lru_cache(maxsize=32)
def _places(frames: int, trained: int, patches: int, width: int) -> Tensor:
    """Sines and cosines of every patch's place, 1 x (frames * patches) x width; a picture's are the first frame's."""
    known = 1 if frames == 1 else trained
    with torch.inference_mode(False):  # they are kept, and a training may come next
        place = torch.arange(known * patches, dtype=torch.float64)[:, None]
        angle = place / 10000 ** (2 * (torch.arange(width) // 2) / width)
        even = torch.arange(width) % 2 == 0
        table = torch.where(even, angle.sin(), angle.cos()).float()
        if frames != known:
            by_frame = table.view(known, patches * width).T[None]
            table = F.interpolate(by_frame, size=frames, mode="linear")[0].T.reshape(frames * patches, width)
        return table[None]


class _Umt(VideoMAEPreTrainedModel):  # type: ignore[misc]
    """Every patch of every frame among all others, and the norm that follows."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.trained_frames = config.num_frames
        self.patch_embeddings = VideoMAEPatchEmbeddings(config)
        self.encoder = VideoMAEEncoder(config)
        self.layernorm = nn.LayerNorm(config.hidden_size, eps=1e-12)
        self.post_init()

    def forward(self, pixels: Tensor) -> Tensor:
        """From N x T x 3 x height x width to N x P x D."""
        patches = self.patch_embeddings(pixels)
        frames = pixels.shape[1]
        _, count, width = patches.shape
        places = _places(frames, self.trained_frames, count // frames, width).to(patches)
        seen: Tensor = self.layernorm(self.encoder(patches + places).last_hidden_state)
        return seen


class VideoChat2PreTrainedModel(PreTrainedModel):  # type: ignore[misc]
    """What transformers wants to know of the class."""

    config: VideoChat2Config
    base_model_prefix = "model"
    input_modalities = ("image", "video", "text")
    supports_gradient_checkpointing = True
    _skip_keys_device_placement = ("past_key_values",)
    _supports_flash_attn = True
    _supports_sdpa = True
    _supports_attention_backend = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, VideoChat2Model):
            nn.init.normal_(module.query_tokens, std=0.02)


class VideoChat2Model(VideoChat2PreTrainedModel):
    """The network without its language head."""

    def __init__(self, config: VideoChat2Config) -> None:
        super().__init__(config)
        text, asked = config.text_config, config.qformer_config
        self.vision_tower = _Umt(config.vision_config)
        self.query_tokens = nn.Parameter(torch.zeros(1, config.queries, asked.hidden_size))
        self.qformer = InstructBlipQFormerModel(asked)
        self.multi_modal_projector = nn.Linear(asked.hidden_size, text.hidden_size)
        self.language_model = AutoModel.from_config(text)
        self.post_init()

    def _seen(self, pixels: Tensor, instruction: list[int]) -> Tensor:
        """What the Q-Former reads out of pictures or videos, in Mistral's words: N x Q x D."""
        encoded = self.vision_tower(pixels.to(self.query_tokens.dtype))
        count = len(encoded)
        told = torch.tensor([instruction], device=encoded.device).expand(count, -1)
        read = self.qformer(
            input_ids=told, query_embeds=self.query_tokens.expand(count, -1, -1), encoder_hidden_states=encoded
        ).last_hidden_state
        words: Tensor = self.multi_modal_projector(read[:, : self.config.queries])
        return words

    def get_image_features(self, pixel_values: Tensor) -> Tensor:
        return self._seen(pixel_values[:, None], self.config.image_instruction)

    def get_video_features(self, pixel_values_videos: Tensor) -> Tensor:
        return self._seen(pixel_values_videos, self.config.video_instruction)

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        pixel_values_videos: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        if inputs_embeds is None:
            assert input_ids is not None
            image, video = input_ids == self.config.image_token_id, input_ids == self.config.video_token_id
            # the two tokens stand beyond Mistral's vocabulary, which has no row for them
            inputs_embeds = self.get_input_embeddings()(input_ids.masked_fill(image | video, 0))
            if pixel_values is not None:
                inputs_embeds = _filled(inputs_embeds, image, self.get_image_features(pixel_values))
            if pixel_values_videos is not None:
                inputs_embeds = _filled(inputs_embeds, video, self.get_video_features(pixel_values_videos))
        out: BaseModelOutputWithPast = self.language_model(inputs_embeds=inputs_embeds, **kwargs)
        return out


def _filled(embedded: Tensor, where: Tensor, words: Tensor) -> Tensor:
    if int(where.sum()) != words.shape[0] * words.shape[1]:
        raise ValueError(f"{int(where.sum())} tokens stand for what takes {words.shape[0] * words.shape[1]}")
    return embedded.masked_scatter(where[..., None], words.to(embedded.dtype))


class VideoChat2ForConditionalGeneration(VideoChat2PreTrainedModel, GenerationMixin):  # type: ignore[misc]
    """VideoChat2 as it is asked and trained."""

    def __init__(self, config: VideoChat2Config) -> None:
        super().__init__(config)
        self.model = VideoChat2Model(config)
        self.lm_head = nn.Linear(config.text_config.hidden_size, config.text_config.vocab_size, bias=False)
        self.post_init()

    def get_output_embeddings(self) -> nn.Module:
        return self.lm_head

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        pixel_values_videos: Tensor | None = None,
        labels: Tensor | None = None,
        logits_to_keep: int = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        out = self.model(
            input_ids=input_ids, pixel_values=pixel_values, pixel_values_videos=pixel_values_videos, **kwargs
        )
        logits = self.lm_head(out.last_hidden_state[:, -logits_to_keep:])
        size = self.config.text_config.vocab_size
        loss = None if labels is None else self.loss_function(logits=logits, labels=labels, vocab_size=size)
        return CausalLMOutputWithPast(loss=loss, logits=logits, past_key_values=out.past_key_values)


AutoConfig.register("videochat2", VideoChat2Config)
AutoModelForImageTextToText.register(VideoChat2Config, VideoChat2ForConditionalGeneration)
AutoProcessor.register(VideoChat2Config, VideoChat2Processor)
