"""The answer row and the rationale row of a sample, or of several about the same frames, behind one visual prefix.

One pass instead of several, and the same loss: a block mask lets every row see the prefix and itself, and each row counts
its positions on from the prefix.
Shape suffixes: B samples, T tokens.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from trainer.tuning.collate import PADDING

_WINDOWS = ("sliding_attention", "chunked_attention")


def arranged(network: Any, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A batch of shared rows with the mask and the positions that part them."""
    inputs = dict(batch)
    segments = inputs.pop("segments")
    inputs["attention_mask"] = block_mask(segments, network)
    inputs["position_ids"] = positions(network, batch)
    return inputs


def block_mask(segments: Tensor, network: Any) -> Tensor:
    """Who sees whom, B x 1 x T x T: what is before it in the prefix or in its own row."""
    own = segments[:, None, :] == segments[:, :, None]
    seen = (own | (segments == 0)[:, None, :]).tril()[:, None]
    if network.config.get_text_config()._attn_implementation != "eager":
        return seen
    hidden = torch.finfo(network.dtype).min
    return torch.zeros(seen.shape, dtype=network.dtype, device=seen.device).masked_fill(~seen, hidden)


def positions(network: Any, batch: Mapping[str, Tensor]) -> Tensor:
    """Positions of all tokens: the class's own in the prefix and the first row, then each row on from the prefix."""
    segments = batch["segments"]
    first = (segments == 0) | (segments == 1)
    index = getattr(network.model, "get_rope_index", None)
    if index is None:
        found = (torch.arange(segments.shape[1], device=segments.device)).expand_as(segments)[None]
    else:
        wanted = inspect.signature(index).parameters
        given = {k: v for k, v in batch.items() if k in wanted and k != "attention_mask"}
        found = index(**given, attention_mask=first.long())[0]
    prefix = (segments == 0)[None]
    start = found.masked_fill(~prefix, -1).amax((0, 2)) + 1  # B: the position after the prefix
    rows = segments[:, :, None] == segments[:, None, :]
    inside = rows.tril().sum(-1) - 1  # how many of its own row are before it
    counted = start[:, None] + inside
    later = (segments > 1)[None]
    placed = torch.where(later, counted[None], found)
    placed = placed.masked_fill((segments == PADDING)[None], 0)
    return placed if index is not None else placed[0]


def why_not(network: Any) -> str | None:
    """Why a class can't take a block mask, as far as its settings tell."""
    config = network.config.get_text_config()
    kind = config._attn_implementation
    if "flash" in kind or "flex" in kind:
        return f"attention {kind} takes no mask of its own"
    layers = getattr(config, "layer_types", None)
    slides = any(layer in _WINDOWS for layer in layers) if layers else getattr(config, "sliding_window", None)
    return "its attention slides" if slides else None
