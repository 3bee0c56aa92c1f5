"""Any video model of transformers, from a folder or by its id, with greedy decoding.

Two ways to the same text. Plain: prompts about any frames in one left-padded batch. Shared: prompts about the same frames
run their visual prefix through the network once, copy its keys and values, and add only their own tokens; that pays where
the prefix is long. A class for which the shared way gives other logits is run the plain way.
"""

import copy
import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoProcessor

from model.backends import videochat2, vila  # noqa: F401 # registered with the Auto classes
from model.backends.devices import CROWDED, CROWDED_SECONDS, device, held_by_others, lacks_memory
from model.backends.exactly import in_32_bits
from model.backends.hf_prompts import Prompt, Prompter, Ways, joined
from model.video_llm import ClosedError, Reply, Request, VideoLLMError

log = logging.getLogger(__name__)
_FRAMES = {  # of classes that were trained on videos, of few tokens a frame
    "llava_next_video": "video",
    "video_llava": "video",
    "videochat2": "video",
}
_SAME = 1e-3  # of the largest logit: two ways to the same ones, in 32 bits, differ by no more
_WORTH_SHARING = 512  # tokens saved from which on a batch of its own is cheaper than repeating the prefix


@dataclass(slots=True)
class _State:
    """A batch on its way: logits of the next token, B x V, and what the network remembers."""

    logits: Tensor
    past: Any
    mask: Tensor  # B x T, 0 where padded
    position: Tensor  # B, of the next token


class _CannotShareError(Exception):
    """Why a network's memory of a prefix can't be gone on from by several texts."""


def trusts(source: str) -> bool:
    """Whether the operator lets code from a checkpoint run."""
    return source in map(str.strip, os.environ.get("STSG_TRUST_REMOTE_CODE", "").split(","))


def load_ways(source: str, model_type: str) -> Ways:
    """How a checkpoint wants to be asked: its `stsg.json`, else what is usual for its class."""
    file = Path(source) / "stsg.json"
    told = json.loads(file.read_text()) if file.is_file() else {}
    return Ways(**({"frames": _FRAMES.get(model_type, "images")} | told))


class HuggingFaceVideoLLM:
    """A checkpoint of any AutoModelForImageTextToText class."""

    def __init__(
        self,
        source: str,
        *,
        batch: int = 64,
        share: bool | None = None,
        worth_sharing: int = _WORTH_SHARING,
        exact: bool = False,
    ) -> None:
        """Load the checkpoint: on a GPU in bfloat16, unless it has to be `exact`, and in 32 bits elsewhere."""
        where = device()
        dtype = torch.bfloat16 if where == "cuda" and not exact else torch.float32
        trusted = trusts(source)
        network = AutoModelForImageTextToText.from_pretrained(
            source, dtype=dtype, device_map=where, use_safetensors=True, trust_remote_code=trusted
        )
        network.eval()
        processor = AutoProcessor.from_pretrained(source, trust_remote_code=trusted)
        self._hold(f"hf:{source}", network, processor, load_ways(source, network.config.model_type))
        self._batch = batch
        self._share = share  # None until it is known whether sharing gives the same
        self._worth_sharing = worth_sharing

    @classmethod
    def holding(cls, network: Any, processor: Any, ways: Ways) -> Self:
        """A network that is loaded already, such as one in training."""
        made = cls.__new__(cls)
        made._hold("hf:", network, processor, ways)
        made._batch, made._share, made._worth_sharing = 64, None, _WORTH_SHARING
        return made

    def _hold(self, name: str, network: Any, processor: Any, ways: Ways) -> None:
        self.name = name
        self._network, self._device = network, network.device.type
        self.prompt_set, self.advice = ways.prompts, ways.advice
        self._prompter = Prompter(processor, ways, self._network.dtype)
        self._tokenizer = processor.tokenizer
        self.plain_because = ""  # why prompts don't share their prefix, once that is known
        self._mrope = hasattr(self._network.model, "get_rope_index")
        ends = self._network.generation_config.eos_token_id
        self._ends = torch.tensor(ends if isinstance(ends, list) else [ends], device=self._device)

    @property
    def shares(self) -> bool:
        """Whether prompts about the same frames are known to share their visual prefix."""
        return bool(self._share)

    @torch.inference_mode()
    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        replies: list[Reply] = [Reply("")] * len(requests)
        prompts = self._prompter.prompts(requests)
        for group, shared in self._groups(prompts):
            for part in (group[i : i + self._batch] for i in range(0, len(group), self._batch)):
                for prompt, reply in self._with_less(part, shared=shared):
                    replies[prompt.index] = reply
        return replies

    def _groups(self, prompts: Sequence[Prompt]) -> Iterator[tuple[list[Prompt], bool]]:
        """Prompts to run together: those that share a long prefix by themselves, all others by kind of media."""
        by_frames: dict[tuple[str, ...], list[Prompt]] = {}
        for p in prompts:
            by_frames.setdefault(p.frames, []).append(p)
        plain: dict[tuple[Any, ...], list[Prompt]] = {}
        for group in by_frames.values():
            saved = group[0].prefix * (len(group) - 1)
            if saved >= self._worth_sharing and self._may_share(group):
                yield group, True
                continue
            for p in group:
                plain.setdefault(p.shape, []).append(p)
        for group in plain.values():
            yield sorted(group, key=lambda p: (bool(p.request.choices), len(p.ids))), False

    def _may_share(self, group: Sequence[Prompt]) -> bool:
        """Whether the shared way gives this class's own logits, also behind padding; found out once."""
        if self._share is None:
            pair = [min(group, key=lambda p: len(p.ids)), max(group, key=lambda p: len(p.ids))]
            try:
                with in_32_bits(self._network):  # rounding to 16 bits can be as large as what a mistake does
                    one, two = self._shared(pair).logits, self._plain(pair).logits
                self._share = bool((one - two).abs().max() <= _SAME * two.abs().max())
                why = "other logits"
            except _CannotShareError as e:
                self._share, why = False, str(e)
            except Exception as e:  # noqa: BLE001 # whatever the class can't do, the plain way can
                if lacks_memory(e):
                    return False
                self._share, why = False, f"{type(e).__name__}: {e}"
            if not self._share:
                self.plain_because = why
                log.warning("%s is run without shared prefixes: %s", self.name, why)
        return self._share

    def _with_less(self, part: list[Prompt], *, shared: bool) -> list[tuple[Prompt, Reply]]:
        """Replies to a batch; where memory runs out, in halves."""
        try:
            return self._run(part, shared=shared)
        except RuntimeError as e:
            if not lacks_memory(e):
                raise
            torch.cuda.empty_cache()
            if len(part) == 1:
                detail = f"{self.name}: one request does not fit into the device's memory"
                if held_by_others() > CROWDED:
                    raise ClosedError(f"{detail} beside what others hold there.", CROWDED_SECONDS) from e
                raise VideoLLMError(f"{detail}.") from e
        half = len(part) // 2
        return self._with_less(part[:half], shared=shared) + self._with_less(part[half:], shared=shared)

    def _run(self, part: list[Prompt], *, shared: bool) -> list[tuple[Prompt, Reply]]:
        since = time.monotonic()
        state = self._shared(part) if shared else self._plain(part)
        scores = [self._scores(p, state.logits[b]) or self._followed(p) for b, p in enumerate(part)]
        most = max((p.request.max_new_tokens for p, s in zip(part, scores, strict=True) if not s), default=0)
        said = self._decode(state, most, [bool(s) for s in scores]) if most else [[] for _ in part]
        milliseconds = (time.monotonic() - since) * 1000 / len(part)
        replies = []
        for p, found, ids in zip(part, scores, said, strict=True):
            kept = ids[: p.request.max_new_tokens]
            text = self._tokenizer.decode(kept, skip_special_tokens=True).strip()
            if found:
                text = p.request.choices[max(range(len(found)), key=found.__getitem__)]
            replies.append((p, Reply(text, found, "", len(p.ids), 0 if found else len(kept), milliseconds)))
        return replies

    def _plain(self, part: Sequence[Prompt]) -> _State:
        inputs = self._inputs(part)
        out = self._network(**inputs, use_cache=True, logits_to_keep=1)
        # without media the lag of an earlier batch would be left over
        lag = self._deltas(len(part)) if part[0].media else 0
        mask = inputs["attention_mask"]
        return _State(out.logits[:, -1], out.past_key_values, mask, mask.sum(1) + lag)

    def _inputs(self, part: Sequence[Prompt]) -> dict[str, Tensor]:
        ids, mask = self._padded([p.ids for p in part])
        inputs: dict[str, Tensor] = {"input_ids": ids, "attention_mask": mask}
        if part[0].types is not None:
            inputs[part[0].types_name] = self._padded([p.types or [] for p in part], 0)[0]
        inputs |= {k: v.to(self._device) for k, v in joined([p.media for p in part]).items()}
        if not (self._mrope and part[0].media):  # such networks count positions from 0, across the padding
            inputs["position_ids"] = self._dims((mask.cumsum(1) - 1).clamp(min=0))
        return inputs

    def _shared(self, part: Sequence[Prompt]) -> _State:
        """The prefix once, then each prompt's own tokens, padded on the left between the two."""
        first, cut = part[0], min(p.prefix for p in part)
        inputs = {"input_ids": torch.tensor([first.ids[:cut]], device=self._device)}
        if first.types is not None:
            inputs[first.types_name] = torch.tensor([first.types[:cut]], device=self._device)
        inputs |= {k: v.to(self._device) for k, v in first.media.items()}
        seen = self._network(**inputs, use_cache=True, logits_to_keep=1)
        start = cut + (int(self._deltas(1)[0]) if first.media else 0)
        past = copy.deepcopy(seen.past_key_values)
        if any(past.is_sliding):
            raise _CannotShareError("its attention slides, and would count the padding behind the prefix")
        if any(past.is_linear):
            raise _CannotShareError("its linear attention or convolutions would read the padding behind the prefix")
        past.batch_repeat_interleave(len(part))
        ids, own = self._padded([p.ids[cut:] for p in part])
        mask = torch.cat([own.new_ones(len(part), cut), own], 1)
        positions = (own.cumsum(1) - 1).clamp(min=0) + start
        out = self._network(
            input_ids=ids,
            attention_mask=mask,
            position_ids=self._dims(positions),
            past_key_values=past,
            use_cache=True,
            logits_to_keep=1,
        )
        return _State(out.logits[:, -1], out.past_key_values, mask, positions[:, -1] + 1)

    def _decode(self, state: _State, most: int, ended: list[bool]) -> list[list[int]]:
        """Greedy tokens of each row, without the end token; rows in `ended` are left out."""
        said: list[list[int]] = [[] for _ in ended]
        done = torch.tensor(ended, device=self._device)
        logits, past, mask, position = state.logits, state.past, state.mask, state.position
        for _ in range(most):
            tokens = logits.argmax(-1)
            done = done | torch.isin(tokens, self._ends)
            for b in torch.nonzero(~done).flatten().tolist():
                said[b].append(int(tokens[b]))
            if bool(done.all()):
                break
            mask = torch.cat([mask, mask.new_ones(len(ended), 1)], 1)
            out = self._network(
                input_ids=tokens[:, None],
                attention_mask=mask,
                position_ids=self._dims(position[:, None]),
                past_key_values=past,
                use_cache=True,
                logits_to_keep=1,
            )
            logits, past, position = out.logits[:, -1], out.past_key_values, position + 1
        return said

    def _scores(self, prompt: Prompt, logits: Tensor) -> tuple[float, ...]:
        """Log-probabilities of the choices by their first tokens; none where two begin alike."""
        firsts = [self._tokenizer.encode(c, add_special_tokens=False)[0] for c in prompt.request.choices]
        if not firsts or len(set(firsts)) < len(firsts):
            return ()
        return tuple(logits.float().log_softmax(-1)[firsts].tolist())

    def _followed(self, prompt: Prompt) -> tuple[float, ...]:
        """Log-probabilities of the choices as whole replies, up to and with the end token."""
        encoded = [self._tokenizer.encode(c, add_special_tokens=False) for c in prompt.request.choices]
        choices = [[*ids, int(self._ends[0])] for ids in encoded]
        if not choices:
            return ()
        types = prompt.types
        rows = [
            replace(prompt, ids=[*prompt.ids, *c], types=None if types is None else [*types, *[0] * len(c)])
            for c in choices
        ]
        kept = max(map(len, choices)) + 1
        logits = self._network(**self._inputs(rows), use_cache=False, logits_to_keep=kept).logits
        steps = logits[:, :-1].float().log_softmax(-1)  # what stands before each of the last tokens
        return tuple(
            float(steps[b, -len(c) :].gather(1, torch.tensor(c, device=self._device)[:, None]).sum())
            for b, c in enumerate(choices)
        )

    def _padded(self, rows: Sequence[list[int]], pad: int | None = None) -> tuple[Tensor, Tensor]:
        pad = self._tokenizer.pad_token_id if pad is None else pad
        length = max(map(len, rows))
        ids = torch.tensor([[pad] * (length - len(r)) + r for r in rows], device=self._device)
        mask = torch.tensor([[0] * (length - len(r)) + [1] * len(r) for r in rows], device=self._device)
        return ids, mask

    def _deltas(self, rows: int) -> Tensor:
        """How far positions lag behind token counts after the last prefill: visual tokens share positions."""
        found = getattr(self._network.model, "rope_deltas", None) if self._mrope else None
        zero = torch.zeros(rows, dtype=torch.long, device=self._device)
        return zero if found is None else zero + found.flatten()

    def _dims(self, positions: Tensor) -> Tensor:
        return positions[None].expand(3, -1, -1) if self._mrope else positions
