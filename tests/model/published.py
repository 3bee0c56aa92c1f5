"""VideoChat2's vision by its published names, random and small, and the same in plain torch."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

WIDTH, INNER, HEADS, QUERIES = 128, 96, 2, 3  # UMT's and BERT's heads are 64 wide
Weights = dict[str, Tensor]


def linear(name: str, out: int, into: int, bias: bool = True) -> Weights:
    return {f"{name}.weight": torch.randn(out, into) * into**-0.5} | (
        {f"{name}.bias": torch.randn(out) * 0.1} if bias else {}
    )


def norm(name: str, width: int = WIDTH) -> Weights:
    return {f"{name}.weight": 1 + torch.randn(width) * 0.1, f"{name}.bias": torch.randn(width) * 0.1}


def published_vision() -> Weights:
    w = {"vision_encoder.encoder.patch_embed.proj.weight": torch.randn(WIDTH, 3, 1, 16, 16) / 28}
    w["vision_encoder.encoder.patch_embed.proj.bias"] = torch.randn(WIDTH)
    for n in range(2):
        at = f"vision_encoder.encoder.blocks.{n}"
        w |= norm(f"{at}.norm1") | norm(f"{at}.norm2") | linear(f"{at}.attn.qkv", 3 * WIDTH, WIDTH, bias=False)
        w |= {f"{at}.attn.q_bias": torch.randn(WIDTH), f"{at}.attn.v_bias": torch.randn(WIDTH)}
        w |= linear(f"{at}.attn.proj", WIDTH, WIDTH)
        w |= linear(f"{at}.mlp.fc1", INNER, WIDTH) | linear(f"{at}.mlp.fc2", WIDTH, INNER)
    return w | norm("vision_layernorm")


def published_qformer() -> Weights:
    at = "qformer.bert.embeddings"
    w = {
        f"{at}.word_embeddings.weight": torch.randn(12000, WIDTH),
        f"{at}.position_embeddings.weight": torch.randn(32, WIDTH),
    }
    w |= norm(f"{at}.LayerNorm") | {f"{at}.position_ids": torch.arange(32)[None]}
    for n in range(3):
        at = f"qformer.bert.encoder.layer.{n}"
        for kind in ("attention", "crossattention")[: 2 - n % 2]:
            for part in ("query", "key", "value"):
                w |= linear(f"{at}.{kind}.self.{part}", WIDTH, WIDTH)
            w |= linear(f"{at}.{kind}.output.dense", WIDTH, WIDTH) | norm(f"{at}.{kind}.output.LayerNorm")
        for kind in ("", "_query"):
            w |= linear(f"{at}.intermediate{kind}.dense", INNER, WIDTH) | linear(
                f"{at}.output{kind}.dense", WIDTH, INNER
            )
            w |= norm(f"{at}.output{kind}.LayerNorm")
    return w | {"query_tokens": torch.randn(1, QUERIES - 1, WIDTH)}


def heads(x: Tensor) -> Tensor:
    return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = heads(q) @ heads(k).mT * (WIDTH // HEADS) ** -0.5
    return (scores.softmax(-1) @ heads(v)).transpose(1, 2).flatten(2)


class Reference:
    """UMT and the Q-Former in plain torch, from the weights by their published names."""

    def __init__(self, weights: Weights) -> None:
        self.w = weights

    def lin(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.w[f"{name}.weight"], self.w.get(f"{name}.bias"))

    def norm(self, name: str, x: Tensor, eps: float) -> Tensor:
        return F.layer_norm(x, (WIDTH,), self.w[f"{name}.weight"], self.w[f"{name}.bias"], eps)

    def places(self, frames: int) -> Tensor:
        """Of 4 frames, read off between them where there are others; a picture is the first frame."""
        known = 1 if frames == 1 else 4
        table = np.array([[p / 10000 ** (2 * (j // 2) / WIDTH) for j in range(WIDTH)] for p in range(known * 196)])
        table[:, 0::2], table[:, 1::2] = np.sin(table[:, 0::2]), np.cos(table[:, 1::2])
        by_frame = table.reshape(known, 196, WIDTH)
        at = np.clip((np.arange(frames) + 0.5) * known / frames - 0.5, 0, known - 1)
        low = np.minimum(at.astype(int), max(known - 2, 0))
        part = (at - low)[:, None, None]
        mixed = by_frame[low] * (1 - part) + by_frame[np.minimum(low + 1, known - 1)] * part
        return torch.from_numpy(mixed.reshape(1, -1, WIDTH)).float()

    def umt(self, video: Tensor) -> Tensor:
        """A video, T x 3 x 224 x 224, as its patches."""
        at = "vision_encoder.encoder"
        filters = self.w[f"{at}.patch_embed.proj.weight"][:, :, 0]
        x = (
            F.conv2d(video, filters, self.w[f"{at}.patch_embed.proj.bias"], stride=16)
            .flatten(2)
            .mT.reshape(1, -1, WIDTH)
        )
        x = x + self.places(len(video))
        for n in range(2):
            block = f"{at}.blocks.{n}"
            q, k, v = self.lin(f"{block}.attn.qkv", self.norm(f"{block}.norm1", x, 1e-6)).chunk(3, -1)
            seen = attend(q + self.w[f"{block}.attn.q_bias"], k, v + self.w[f"{block}.attn.v_bias"])
            x = x + self.lin(f"{block}.attn.proj", seen)
            x = x + self.lin(
                f"{block}.mlp.fc2", F.gelu(self.lin(f"{block}.mlp.fc1", self.norm(f"{block}.norm2", x, 1e-6)))
            )
        return self.norm("vision_layernorm", x, 1e-12)

    def attention(self, name: str, x: Tensor, seen: Tensor) -> Tensor:
        told = attend(
            self.lin(f"{name}.self.query", x), self.lin(f"{name}.self.key", seen), self.lin(f"{name}.self.value", seen)
        )
        return self.norm(f"{name}.output.LayerNorm", self.lin(f"{name}.output.dense", told) + x, 1e-12)

    def fed(self, at: str, kind: str, x: Tensor) -> Tensor:
        inner = F.gelu(self.lin(f"{at}.intermediate{kind}.dense", x))
        return self.norm(f"{at}.output{kind}.LayerNorm", self.lin(f"{at}.output{kind}.dense", inner) + x, 1e-12)

    def words(self, video: Tensor, instruction: list[int]) -> Tensor:
        """What Mistral is shown of a video."""
        at, patches = "qformer.bert.embeddings", self.umt(video)
        told = (
            self.w[f"{at}.word_embeddings.weight"][instruction]
            + self.w[f"{at}.position_embeddings.weight"][: len(instruction)]
        )
        asked = torch.cat([self.w["query_tokens"], self.w["extra_query_tokens"], told[None]], 1)
        x = self.norm(f"{at}.LayerNorm", asked, 1e-12)
        for n in range(3):
            at = f"qformer.bert.encoder.layer.{n}"
            x = self.attention(f"{at}.attention", x, x)
            queries, text = x[:, :QUERIES], x[:, QUERIES:]
            if n % 2 == 0:
                queries = self.attention(f"{at}.crossattention", queries, patches)
            x = torch.cat([self.fed(at, "_query", queries), self.fed(at, "", text)], 1)
        return self.lin("mistral_proj", x[:, :QUERIES])
