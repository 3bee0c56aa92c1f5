"""Whether a Video-LLM fits this device, and what a video will take and cost, before a run is started.

The checkpoint's configuration is read without its weights, and a frame is laid out by its own processor. The induction
(STEP Sec. 3.1) of a rendered video is gone through with right answers, which gives its prompts; the model is then asked
these same prompts, in the same calls, for the time and the tokens. So a weak model isn't cheap for seeing nothing.
"""

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

from model.backends import SpecError, open_video_llm
from model.backends.devices import device
from model.backends.hf import load_ways, trusts
from model.backends.hf_prompts import Prompter
from model.induction.pipeline import InductionOptions, bridge, induce_clip
from model.induction.splitting import SplittingOptions, split
from model.stsg import Clip, Keyframe, keyframe_id
from model.video_llm import NO_ADVICE, Reply, Request, VideoLLM
from trainer.conformance.cost import Rates, Share, Work
from trainer.world.files import render_with_truth
from trainer.world.oracle import Oracle

_SPARE = 0.9  # of a device's memory can be planned for
_FRAMES = 2 * SplittingOptions().max_keyframes  # of the longest prompt: two long clips are compared
_SEED = 0  # of a video whose first clip has three things, its second two


@dataclass(frozen=True, slots=True)
class Fit:
    """What a model needs and takes; None is what can't be known of a model behind a server."""

    model: str
    network: str | None
    device: str | None
    settings: str | None  # number type, attention and quantisation that it will be run with
    parameters: int | None
    weight_bytes: int | None
    memory_bytes: int | None  # of the device
    context: int | None  # tokens that a prompt may have
    tokens_per_frame: int | None
    tokens_at_most: int | None  # of the frames of the longest prompt, as the checkpoint wants several frames
    batch: int | None  # such prompts that fit beside the weights
    work: Work

    @property
    def fits(self) -> bool:
        """Whether the weights and one long prompt fit into memory and context."""
        if self.batch is None:
            return True
        return self.batch > 0 and (self.context is None or (self.tokens_at_most or 0) < self.context)


class _Counted:
    """A Video-LLM whose requests are kept, a list a call."""

    def __init__(self, llm: VideoLLM) -> None:
        self._llm, self.calls = llm, list[list[Request]]()
        self.name, self.prompt_set, self.advice = llm.name, llm.prompt_set, llm.advice

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        if requests:
            self.calls.append(list(requests))
        return self._llm.answer(requests)


def fit(spec: str, side: tuple[int, int] = (1280, 720), *, seconds: float = 10.0, measure: bool = True) -> Fit:
    """What the model of a spec needs for videos of some width and height in pixels, whose clips last so many seconds.

    Raises:
        SpecError: the spec names no model that can be opened.
        VideoLLMError: the server of the spec does not answer.
    """
    side = _shown(side)
    needs = _Needs(spec.removeprefix("hf:")) if spec.startswith("hf:") else None
    llm = open_video_llm(spec) if measure and (needs is None or needs.batch(side) > 0) else None
    known = needs or llm
    prompt_set, advice = (known.prompt_set, known.advice) if known else ("standard", NO_ADVICE)
    with tempfile.TemporaryDirectory() as name:
        parts = _calls(Path(name), prompt_set, InductionOptions.from_dict(advice), side, seconds)
    if llm is not None:
        first = next(request for calls in parts for call in calls for request in call if request.frames)
        llm.answer([replace(first, max_new_tokens=2)])  # what a device does but once is left out
    work = Work(*(_share(calls, llm, needs.prompter if needs else None) for calls in parts))
    unknown = dict.fromkeys(("network", "device", "settings", "parameters", "weight_bytes", "memory_bytes", "context"))
    unknown |= dict.fromkeys(("tokens_per_frame", "tokens_at_most", "batch"))
    return Fit(spec, work=work, **(unknown | (needs.told(side) if needs else {})))


def _shown(side: tuple[int, int]) -> tuple[int, int]:
    """The width and height in which frames are shown: large ones are made smaller."""
    scale = min(1.0, SplittingOptions().max_side / max(side))
    return max(1, round(side[0] * scale)), max(1, round(side[1] * scale))


def _calls(
    folder: Path, prompt_set: str, options: InductionOptions, side: tuple[int, int], seconds: float
) -> tuple[list[list[Request]], list[list[Request]]]:
    """The calls for a clip with three things and its event, and those for the references between two clips."""
    rendered, how = render_with_truth(_SEED, folder, clips=2), options.splitting_options
    count = min(max(ceil(seconds / how.keyframe_every), how.min_keyframes), how.max_keyframes)
    one, two = (_filmed(c, side, count) for c in split(rendered.video, rendered.video_id, how, seed=0))
    oracle = Oracle(folder, prompt_set)
    alone = _Counted(oracle)
    graph, _ = induce_clip(one, alone, options)
    bridge([one], [graph], alone, options)
    between = _Counted(oracle)
    other, _ = induce_clip(two, oracle, options)
    bridge([one, two], [graph, other], between, options)
    return alone.calls, [call for call in between.calls if call[0].step != "bridging_2_event"]


def _filmed(clip: Clip, side: tuple[int, int], count: int) -> Clip:
    """A clip as one of so many keyframes of such a size."""
    image = cv2.resize(clip.keyframes[0].image, side)
    times = [clip.t_start + (at + 0.5) / count * (clip.t_end - clip.t_start) for at in range(count)]
    video = clip.keyframes[0].video_id
    return replace(clip, keyframes=tuple(Keyframe(keyframe_id(video, t), t, image) for t in times))


def _share(calls: Sequence[Sequence[Request]], llm: VideoLLM | None, prompter: Prompter | None) -> Share:
    """What these calls take of a model, as far as it is there or its processor is."""
    prompts = sum(map(len, calls))
    if llm is None:
        laid = [len(p.ids) for call in calls for p in prompter.prompts(call)] if prompter else None
        return Share(prompts, None if laid is None else sum(laid))
    since = time.monotonic()
    replies = [reply for call in calls for reply in llm.answer(call)]
    seconds = time.monotonic() - since
    tokens_in, tokens_out = sum(r.tokens_in for r in replies), sum(r.tokens_out for r in replies)
    return Share(prompts, tokens_in or None, tokens_out if tokens_in else None, round(seconds, 3))


class _Needs:
    """What a checkpoint's configuration and processor tell without its weights."""

    def __init__(self, source: str) -> None:
        trusted = trusts(source)
        try:
            self.config = AutoConfig.from_pretrained(source, trust_remote_code=trusted)
        except (OSError, ValueError) as e:
            raise SpecError(f"{source} can't be read: {e} Name a folder with config.json and safetensors.") from e
        ways = load_ways(source, self.config.model_type)
        self.prompt_set, self.advice = ways.prompts, ways.advice
        self.device = device()
        self.bytes = 2 if self.device == "cuda" else 4
        try:
            processor = AutoProcessor.from_pretrained(source, trust_remote_code=trusted)
            self.prompter = Prompter(processor, ways, torch.float32)
            with torch.device("meta"):
                network: Any = AutoModelForImageTextToText.from_config(self.config, trust_remote_code=trusted)
        except (AttributeError, ImportError, KeyError, OSError, ValueError) as e:
            detail = f"{source} can't be used as a Video-LLM: {e}"
            raise SpecError(
                f"{detail} Name a checkpoint that takes pictures, and install what its processor needs."
            ) from e
        self.network = type(network).__name__
        self.attention = network.config.get_text_config()._attn_implementation
        self.parameters = sum(p.numel() for p in network.parameters())
        self.weights = self.parameters * self.bytes
        self.quantised = getattr(self.config, "quantization_config", None)
        if self.quantised:  # its weights stay as small as they are stored
            self.weights = sum(f.stat().st_size for f in Path(source).glob("*.safetensors")) or self.weights

    def told(self, side: tuple[int, int]) -> dict[str, Any]:
        return {
            "network": self.network,
            "device": torch.cuda.get_device_name() if self.device == "cuda" else "cpu",
            "settings": self.settings,
            "parameters": self.parameters,
            "weight_bytes": self.weights,
            "memory_bytes": self.memory,
            "context": getattr(self.config.get_text_config(), "max_position_embeddings", None),
            "tokens_per_frame": self._tokens(side, 1),
            "tokens_at_most": self._tokens(side, _FRAMES),
            "batch": self.batch(side),
        }

    @property
    def settings(self) -> str:
        """The number type, attention and quantisation that `hf:` loads this checkpoint with."""
        told = self.quantised if isinstance(self.quantised, dict) else getattr(self.quantised, "__dict__", {})
        quantised = f"quantised ({told.get('quant_method', 'as stored')})" if self.quantised else "not quantised"
        return f"{'bfloat16' if self.bytes == 2 else 'float32'}, {self.attention} attention, {quantised}"

    @property
    def memory(self) -> int:
        if self.device == "cuda":
            return int(torch.cuda.mem_get_info()[1])
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

    def batch(self, side: tuple[int, int]) -> int:
        """How many of the longest prompts the memory beside the weights can hold: keys and values of every token."""
        text = self.config.get_text_config()
        heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
        width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        each = 2 * text.num_hidden_layers * heads * width * self.bytes * (self._tokens(side, _FRAMES) + 512)
        return max(0, int((self.memory * _SPARE - self.weights) // each))

    def _tokens(self, side: tuple[int, int], count: int) -> int:
        blank = np.zeros((side[1], side[0], 3), np.uint8)
        frames = tuple(Keyframe(f"vid_x:{n:09d}", float(n), blank) for n in range(count))
        return self.prompter.prompts([Request("s", "", frames)])[0].prefix


def told(found: Fit, clips: int, rates: Rates) -> str:
    """The findings and the estimate of a video of so many clips, a line each."""
    lines = [f"{found.model}: {found.network or 'behind a server'}"]
    if found.parameters is not None and found.weight_bytes is not None and found.memory_bytes is not None:
        weights, memory = found.weight_bytes / 2**30, found.memory_bytes / 2**30
        lines += [
            f"  {found.parameters / 1e6:,.1f} M parameters, {weights:,.2f} of {memory:,.0f} GiB on {found.device}",
            f"  {found.settings}",
            f"  {found.tokens_per_frame} tokens for a frame, {found.tokens_at_most} for {_FRAMES}; context {found.context}",
            f"  {found.batch:,} prompts of that length fit at once" if found.fits else "  does not fit this device",
        ]
    video = found.work.video(clips)
    parts = [f"{video.prompts:,} prompts"]
    parts += [] if video.tokens_in is None else [f"{video.tokens_in:,} tokens in"]
    parts += [] if video.tokens_out is None else [f"{video.tokens_out:,} out"]
    parts += [] if video.seconds is None else [f"{video.seconds / 60:,.1f} min"]
    parts += [] if (cost := rates.cost(video)) is None else [f"costs {cost:,.4g}"]
    lines.append(f"  a video of {clips} clips with three things each, about: {', '.join(parts)}")
    return "\n".join(lines)
