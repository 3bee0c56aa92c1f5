"""Whether a Video-LLM fits this device, and what a video will cost, before a run is started.

The checkpoint's configuration is read without its weights, a frame is laid out by its own processor, and one rendered clip
goes through the induction (STEP Sec. 3.1): with right answers to count prompts and tokens, then with the model for the time.
"""

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

from model.backends import SpecError, open_video_llm
from model.backends.hf import load_ways
from model.backends.hf_prompts import Prompter
from model.induction.pipeline import InductionOptions, induce
from model.induction.splitting import split
from model.stsg import Clip, Keyframe
from model.video_llm import Reply, Request, VideoLLM
from trainer.world.files import render_with_truth
from trainer.world.oracle import Oracle

_SPARE = 0.9  # of a device's memory can be planned for
_FRAMES = 8  # of a long clip


@dataclass(frozen=True, slots=True)
class Fit:
    """What a model needs and takes; None is what can't be known of a model behind a server, or was not measured."""

    model: str
    network: str | None
    device: str | None
    parameters: int | None
    weight_bytes: int | None
    memory_bytes: int | None  # of the device
    context: int | None  # tokens that a prompt may have
    tokens_per_frame: int | None
    tokens_per_clip: int | None  # eight frames, as the checkpoint wants several frames
    batch: int | None  # prompts about such a clip that fit beside the weights
    prompts_per_clip: int
    tokens_in_per_clip: int | None
    seconds_per_clip: float | None

    @property
    def fits(self) -> bool:
        """Whether the weights and one long prompt fit into memory and context."""
        if self.batch is None:
            return True
        return self.batch > 0 and (self.tokens_per_clip or 0) < (self.context or 1)


class _Counted:
    """A Video-LLM whose requests are kept."""

    def __init__(self, llm: VideoLLM) -> None:
        self._llm, self.requests = llm, list[Request]()
        self.name, self.prompt_set = llm.name, llm.prompt_set

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        self.requests += requests
        return self._llm.answer(requests)


def fit(spec: str, side: tuple[int, int] = (1280, 720), *, measure: bool = True) -> Fit:
    """What the model of a spec needs for frames of some width and height in pixels.

    Raises:
        SpecError: the spec names no model that can be opened.
        VideoLLMError: the server of the spec does not answer.
    """
    with tempfile.TemporaryDirectory() as name:
        rendered = render_with_truth(0, Path(name), clips=1)
        [clip] = split(rendered.video, rendered.video_id, InductionOptions().splitting_options, seed=0)
        needs = _Needs(spec.removeprefix("hf:")) if spec.startswith("hf:") else None
        oracle = _Counted(Oracle(Path(name), needs.prompt_set if needs else "standard"))
        induce([clip], oracle, InductionOptions.from_dict(needs.advice if needs else {}))
        seconds = None
        if measure and (needs is None or needs.batch(side) > 0):
            seconds = _timed(open_video_llm(spec), clip)
    told = needs.told(side, oracle.requests) if needs else {}
    unknown = dict.fromkeys(("network", "device", "parameters", "weight_bytes", "memory_bytes", "context"))
    unknown |= dict.fromkeys(("tokens_per_frame", "tokens_per_clip", "batch", "tokens_in_per_clip"))
    return Fit(spec, prompts_per_clip=len(oracle.requests), seconds_per_clip=seconds, **(unknown | told))


def _timed(llm: VideoLLM, clip: Clip) -> float:
    """Seconds that the induction of a clip takes, once the model is warm."""
    advice = getattr(llm, "advice", {})
    llm.answer([Request("warm", "What is this?", clip.keyframes[:1], max_new_tokens=2)])
    since = time.monotonic()
    induce([clip], llm, InductionOptions.from_dict(advice))
    return round(time.monotonic() - since, 3)


class _Needs:
    """What a checkpoint's configuration and processor tell without its weights."""

    def __init__(self, source: str) -> None:
        trusted = source in os.environ.get("STSG_TRUST_REMOTE_CODE", "").split(",")
        try:
            self.config = AutoConfig.from_pretrained(source, trust_remote_code=trusted)
        except (OSError, ValueError) as e:
            raise SpecError(f"{source} can't be read: {e} Name a folder with config.json and safetensors.") from e
        ways = load_ways(source, self.config.model_type)
        self.prompt_set, self.advice = ways.prompts, dict(ways.advice)
        processor = AutoProcessor.from_pretrained(source, trust_remote_code=trusted)
        self.prompter = Prompter(processor, ways, torch.float32)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.bytes = 2 if self.device == "cuda" else 4
        with torch.device("meta"):
            network: Any = AutoModelForImageTextToText.from_config(self.config, trust_remote_code=trusted)
        self.network = type(network).__name__
        self.parameters = sum(p.numel() for p in network.parameters())
        self.weights = self.parameters * self.bytes
        if getattr(self.config, "quantization_config", None):  # its weights stay as small as they are stored
            self.weights = sum(f.stat().st_size for f in Path(source).glob("*.safetensors")) or self.weights

    def told(self, side: tuple[int, int], requests: Sequence[Request]) -> dict[str, Any]:
        prompts = self.prompter.prompts(requests)
        return {
            "network": self.network,
            "device": torch.cuda.get_device_name() if self.device == "cuda" else "cpu",
            "parameters": self.parameters,
            "weight_bytes": self.weights,
            "memory_bytes": self.memory,
            "context": getattr(self.config.get_text_config(), "max_position_embeddings", None),
            "tokens_per_frame": self._tokens(side, 1),
            "tokens_per_clip": self._tokens(side, _FRAMES),
            "batch": self.batch(side),
            "tokens_in_per_clip": sum(len(p.ids) for p in prompts),
        }

    @property
    def memory(self) -> int:
        if self.device == "cuda":
            return int(torch.cuda.mem_get_info()[1])
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

    def batch(self, side: tuple[int, int]) -> int:
        """How many prompts about a long clip the memory beside the weights can hold: keys and values of every token."""
        text = self.config.get_text_config()
        heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
        width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        each = 2 * text.num_hidden_layers * heads * width * self.bytes * (self._tokens(side, _FRAMES) + 512)
        return max(0, int((self.memory * _SPARE - self.weights) // each))

    def _tokens(self, side: tuple[int, int], count: int) -> int:
        blank = np.zeros((side[1], side[0], 3), np.uint8)
        frames = tuple(Keyframe(f"vid_x:{n:09d}", float(n), blank) for n in range(count))
        return self.prompter.prompts([Request("s", "", frames)])[0].prefix


def told(found: Fit) -> str:
    """The findings, a line each."""
    lines = [f"{found.model}: {found.network or 'behind a server'}"]
    if found.parameters is not None and found.weight_bytes is not None and found.memory_bytes is not None:
        weights, memory = found.weight_bytes / 2**30, found.memory_bytes / 2**30
        lines.append(
            f"  {found.parameters / 1e6:,.1f} M parameters, {weights:,.2f} of {memory:,.0f} GiB on {found.device}"
        )
        lines.append(
            f"  {found.tokens_per_frame} tokens for a frame, {found.tokens_per_clip} for {_FRAMES}; context {found.context}"
        )
        lines.append(
            f"  {found.batch:,} prompts of that length fit at once" if found.fits else "  does not fit this device"
        )
    tokens = "" if found.tokens_in_per_clip is None else f" and {found.tokens_in_per_clip:,} tokens"
    lines.append(f"  a clip of three objects takes {found.prompts_per_clip} prompts{tokens}")
    if found.seconds_per_clip is not None:
        lines.append(
            f"  and {found.seconds_per_clip:,.1f} s; a video of 10 clips about {found.seconds_per_clip / 6:,.1f} min"
        )
    return "\n".join(lines)
