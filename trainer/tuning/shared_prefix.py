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


def arranged(network: Any, batch: Mapping[str, Tensor], width: int = 0) -> dict[str, Tensor]:
    """A batch of shared rows with the mask and the positions that part them, several short rows in the place of a long one.

    A row of the result is as long as the longest of the batch, or `width`.
    """
    segments = batch["segments"]
    units = torch.arange(len(segments), device=segments.device)[:, None].expand_as(segments)
    every = {
        **batch,
        "position_ids": positions(network, batch),
        "units": units.masked_fill(segments == PADDING, PADDING),
    }
    taken = packed(segments, max(width, segments.shape[1]))
    inputs = {
        name: values.flatten(-2)[..., taken] if _is_of_tokens(values, segments) else values
        for name, values in every.items()
    }
    inputs["attention_mask"] = block_mask(inputs.pop("segments"), inputs.pop("units"), network)
    return inputs


def _is_of_tokens(values: Tensor, segments: Tensor) -> bool:
    return values.shape[-2:] == segments.shape and not values.is_floating_point()


def packed(segments: Tensor, width: int) -> Tensor:
    """Where the tokens of full rows stand in a batch, counted through its rows; their order stays, as media rely on it."""
    lengths = (segments != PADDING).sum(1).tolist()
    rows: list[list[int]] = []
    for at, length in enumerate(lengths):
        tokens = range(at * segments.shape[1], at * segments.shape[1] + length)
        if rows and len(rows[-1]) + length <= width:
            rows[-1].extend(tokens)
        else:
            rows.append(list(tokens))
    longest = max(len(row) for row in rows)
    nothing = next((at * segments.shape[1] + n for at, n in enumerate(lengths) if n < segments.shape[1]), 0)
    return torch.tensor([row + [nothing] * (longest - len(row)) for row in rows], device=segments.device)


def block_mask(segments: Tensor, units: Tensor, network: Any) -> Tensor:
    """Who sees whom, B x 1 x T x T: what is before it in its unit's prefix or in its own row of that."""
    own = segments[:, None, :] == segments[:, :, None]
    same = units[:, None, :] == units[:, :, None]
    seen = ((own | (segments == 0)[:, None, :]) & same).tril()[:, None]
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
