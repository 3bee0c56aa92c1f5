"""Requests as a transformers processor lays them out; media of the same frames are processed once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image as Pillow
from PIL import ImageOps
from torch import Tensor

from model.stsg import Keyframe
from model.video_llm import Request

_TEXT_KEYS = ("input_ids", "attention_mask", "mm_token_type_ids", "token_type_ids")
_OF_PATCHES = {"image_token_pooling": "pixel_values", "video_token_pooling": "pixel_values_videos"}  # Molmo2
_IN_A_ROW = {"pixel_values": "target_sizes", "pixel_values_videos": "target_sizes_videos"}  # MiniCPM-V


@dataclass(frozen=True, slots=True)
class Ways:
    """How a checkpoint wants to be asked, from its `stsg.json`; every field has a default."""

    prompts: str = "standard"
    frames: str = "images"  # several frames as "images", or as one "video" where the class takes any
    fps: float = 0.0  # that a video of frames is said to have; 0: each frame has its own time
    times: bool = True  # questions about several clips are preceded by where in the video the frames are
    side: int = 0  # every frame is shown as a square of this many pixels a side; 0 leaves it to the processor
    advice: Mapping[str, bool] = field(default_factory=dict)  # induction switches that suit the model


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request as tokens and media; the first `prefix` tokens hold all media and are the same for these frames."""

    index: int
    request: Request
    frames: tuple[str, ...]
    ids: list[int]
    types: list[int] | None  # 0 for a token of text, else the kind of its media
    types_name: str  # that the network has for them
    prefix: int
    media: dict[str, Tensor]

    @property
    def shape(self) -> tuple[Any, ...]:
        """What must be equal for two prompts to run in one batch."""
        return tuple((k, v.shape[1:]) for k, v in sorted(self.media.items()))


def joined(shown: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Media of several prompts as those of one batch; they need not have the same kinds.

    Raises:
        RuntimeError: they are of sizes that don't go together.
    """
    batch = {}
    for key in {key: None for media in shown for key in media}:
        having = [media for media in shown if key in media]
        parts = [media[key] for media in having]
        if patches := _OF_PATCHES.get(key):
            parts = _counted_on(parts, [len(media[patches].flatten(0, -2)) for media in having])
        in_a_row = _IN_A_ROW.get(key) in having[0]
        batch[key] = torch.cat(parts, -1 if in_a_row else 0)
    return batch


def _counted_on(parts: Sequence[Tensor], patches: Sequence[int]) -> list[Tensor]:
    """Numbers of patches that are counted from 0 in each part, counted through all; -1 is none."""
    before, moved = 0, []
    for part, count in zip(parts, patches, strict=True):
        moved.append(torch.where(part < 0, part, part + before))
        before += count
    return moved


def _of_one_size(pictures: list[Pillow.Image]) -> list[Pillow.Image]:
    """Pictures with the size of the first, as a video has them; another shape gets black bars."""
    size = pictures[0].size
    return [p if p.size == size else ImageOps.pad(p, size) for p in pictures]


def _metadata(times: Sequence[float], count: int, fps: float) -> dict[str, Any]:
    """What processors are told of a video of `count` frames, the last of which repeat the last time.

    Its frames count as milliseconds, and it as long as gives the mean distance of the frames to classes that ask for no more.
    """
    gap = (times[-1] - times[0]) / (len(times) - 1)
    if fps or gap <= 0:
        return {"fps": fps or 1.0, "total_num_frames": count, "frames_indices": list(range(count))}
    at = [round(t * 1000) for t in times]
    return {
        "fps": 1000.0,
        "total_num_frames": round(gap * 1000 * count),
        "frames_indices": at + at[-1:] * (count - len(at)),
    }


class Prompter:
    """Lays requests out with a checkpoint's own processor and chat template."""

    def __init__(self, processor: Any, ways: Ways, dtype: torch.dtype) -> None:
        self._processor, self._ways, self._dtype = processor, ways, dtype
        processor.tokenizer.padding_side = "left"
        if processor.tokenizer.pad_token_id is None:
            processor.tokenizer.pad_token = processor.tokenizer.eos_token
        self._takes_videos = getattr(processor, "video_processor", None) is not None
        self._types = bool(getattr(processor, "return_mm_token_type_ids", False))
        own = (getattr(processor, "image_token", None), getattr(processor, "video_token", None))
        self._control = tuple(t for t in (*processor.tokenizer.all_special_tokens, *own) if t)

    def prompts(self, requests: Sequence[Request]) -> list[Prompt]:
        """A prompt for each request, in order."""
        seen: dict[tuple[str, ...], tuple[dict[str, Tensor], str]] = {}
        made = []
        for index, request in enumerate(requests):
            frames = tuple(f.id for f in request.frames)
            if frames not in seen:
                empty = self._text(request.frames, "")
                seen[frames] = self._process(empty, request.frames), empty
            made.append(self._prompt(index, request, frames, *seen[frames]))
        return made

    def _prompt(
        self, index: int, request: Request, frames: tuple[str, ...], empty: dict[str, Tensor], empty_text: str
    ) -> Prompt:
        """The layout of the empty prompt up to where the texts part, then this text's own tokens."""
        blank = self._tokens(empty_text)
        own = self._tokens(self._text(request.frames, request.text))
        most = min(len(blank), len(own)) - 1  # an empty text keeps one token of its own
        same = next((i for i in range(most) if blank[i] != own[i]), most)
        laid: list[int] = empty["input_ids"][0].tolist()
        prefix = len(laid) - (len(blank) - same)
        ids = laid[:prefix] + own[same:]
        types, name = None, "mm_token_type_ids"
        if self._types and name not in empty:
            name = "token_type_ids"  # Gemma 3's name for them; elsewhere it is the tokenizer's, and all 0
        if name in empty:
            types = empty[name][0].tolist()[:prefix] + [0] * (len(ids) - prefix)
        media = {k: v for k, v in empty.items() if k not in _TEXT_KEYS}
        return Prompt(index, request, frames, ids, types, name, prefix, media)

    def _tokens(self, text: str) -> list[int]:
        tokens: list[int] = self._processor.tokenizer(text, add_special_tokens=self._adds_special(text))["input_ids"]
        return tokens

    def _adds_special(self, text: str) -> bool:
        bos = self._processor.tokenizer.bos_token
        return not (bos and text.startswith(bos))

    def without_control(self, text: str) -> str:
        """The text without the template's own tokens: it may quote an earlier reply, and must not speak for the template."""
        for token in self._control:
            text = text.replace(token, "")
        return text

    def _text(self, frames: Sequence[Keyframe], text: str) -> str:
        text = self.without_control(text)
        if self._as_video(frames):
            content: list[dict[str, str]] = [{"type": "video"}]
        else:
            content = [{"type": "image"} for _ in frames]
        messages = [{"role": "user", "content": [*content, {"type": "text", "text": text}]}]
        laid: str = self._processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return laid

    def _as_video(self, frames: Sequence[Keyframe]) -> bool:
        return self._ways.frames == "video" and len(frames) > 1 and self._takes_videos

    def _process(self, text: str, frames: Sequence[Keyframe]) -> dict[str, Tensor]:
        given: dict[str, Any] = {"text": [text], "return_tensors": "pt", "add_special_tokens": self._adds_special(text)}
        if self._as_video(frames):
            pictures = _of_one_size(self._pictures(frames))
            pictures += pictures[-1:] * (len(pictures) % 2)  # models that see frames in pairs want an even number
            given["videos"] = [pictures]
            given["video_metadata"] = [_metadata([f.t for f in frames], len(pictures), self._ways.fps)]
            given["do_sample_frames"] = False
        elif frames:
            given["images"] = [self._pictures(frames)]
        laid = dict(self._processor(**given))
        return {k: v.to(self._dtype) if v.is_floating_point() else v for k, v in laid.items()}

    def _pictures(self, frames: Sequence[Keyframe]) -> list[Pillow.Image]:
        pictures = [Pillow.fromarray(f.image) for f in frames]
        side = self._ways.side
        return [p.resize((side, side), Pillow.Resampling.BOX) for p in pictures] if side else pictures
