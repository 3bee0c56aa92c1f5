"""The tiny model's network: a stock Qwen3-VL with a small configuration, and training passes that give what it gives.

Shape suffixes: B rows, T tokens, P visual tokens, D width, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast, Qwen3VLConfig, Qwen3VLForConditionalGeneration

from trainer.tiny.vocabulary import PATCH, WORD_GROUPS

VISUAL_TOKENS = 16  # for each pair of frames
_WIDTH, _LAYERS, _HEADS, _KEY_HEADS, _INNER = 192, 5, 6, 3, 448
_QK_GAIN = 1.6  # with Qwen3's normed queries and keys and gain 1, heads this small can't look names up sharply
_OUT_GAIN = 0.1  # of the blocks' outputs: with 1 they drown what embeddings and visual tokens say
_COPY_GAIN = 0.5
_LOGIT_SCALE = 8.0
_NAMED_AFTER = 2  # blocks, after which a name's end must know the thing: one block to join the name, one to look it up


def build_network(tokenizer: PreTrainedTokenizerFast, seed: int) -> Qwen3VLForConditionalGeneration:
    """A freshly initialised network: weights of std 1/sqrt(fan in), as a small model wants them."""
    torch.manual_seed(seed)
    network = Qwen3VLForConditionalGeneration(_config(tokenizer))
    for name, weight in network.named_parameters():
        if weight.ndim >= 2:
            nn.init.normal_(weight, std=_std(name, weight))
        elif name.endswith("bias"):
            nn.init.zeros_(weight)
        elif "q_norm" in name or "k_norm" in name:
            nn.init.constant_(weight, _QK_GAIN)
    _let_alike_meet(network)
    network.tie_weights()
    generation = network.generation_config
    generation.eos_token_id = tokenizer.convert_tokens_to_ids("<|im_end|>")
    generation.pad_token_id = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    generation.bos_token_id = None
    return network


def _std(name: str, weight: Tensor) -> float:
    if "embed_tokens" in name:
        return float(_WIDTH**-0.5)
    if "pos_embed" in name:
        return 0.3
    std = float(weight[0].numel() ** -0.5)
    return _OUT_GAIN * std if name.endswith(("o_proj.weight", "down_proj.weight")) else std


def _let_alike_meet(network: Qwen3VLForConditionalGeneration) -> None:
    """From the second block on, let a token attend to what is like it and take over what that says.

    Half of the heads start with queries that equal their keys, all with an output that is the transpose of their values.
    """
    head = _WIDTH // _HEADS
    for block in network.model.language_model.layers[1:]:
        attention = block.self_attn
        q, k = attention.q_proj.weight.data, attention.k_proj.weight.data
        v, out = attention.v_proj.weight.data, attention.o_proj.weight.data
        for h in range(_HEADS):
            of_head = slice(h * head, (h + 1) * head)
            shared = slice(h // 2 * head, (h // 2 + 1) * head)
            if h % 2 == 0:
                q[of_head] = k[shared]
            out[:, of_head] = _COPY_GAIN * v[shared].T


def _config(tokenizer: PreTrainedTokenizerFast) -> Qwen3VLConfig:
    def token(text: str) -> int:
        return int(tokenizer.convert_tokens_to_ids(text))

    head = _WIDTH // _HEADS
    rope = {
        "rope_type": "default",
        "rope_theta": 10_000.0,
        "mrope_section": [head // 4, head // 8, head // 8],
        "mrope_interleaved": True,
    }
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": _WIDTH,
        "intermediate_size": _INNER,
        "num_hidden_layers": _LAYERS,
        "num_attention_heads": _HEADS,
        "num_key_value_heads": _KEY_HEADS,
        "head_dim": head,
        "max_position_embeddings": 1024,
        "bos_token_id": token("<|endoftext|>"),
        "eos_token_id": token("<|im_end|>"),
        "pad_token_id": token("<|endoftext|>"),
        "tie_word_embeddings": True,
        "rope_parameters": rope,
    }
    vision = {
        "depth": 2,
        "hidden_size": 192,
        "intermediate_size": 640,
        "num_heads": 6,
        "in_channels": 3,
        "patch_size": PATCH,
        "spatial_merge_size": 1,
        "temporal_patch_size": 2,
        "out_hidden_size": _WIDTH,
        "num_position_embeddings": VISUAL_TOKENS,  # learned and absolute: a visual token must contain where it is
        "deepstack_visual_indexes": [],
        "rope_parameters": {"rope_type": "axial", "rope_theta": 100.0},
    }
    return Qwen3VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
        eos_token_id=token("<|im_end|>"),
        pad_token_id=token("<|endoftext|>"),
    )


def see(network: Qwen3VLForConditionalGeneration, pixels: Tensor) -> Tensor:
    """Visual tokens of 4 x 4 grids, P x D: what the stock vision tower gives, without its loop over pictures."""
    tower = network.model.visual
    count = pixels.shape[0] // VISUAL_TOKENS
    places = torch.arange(VISUAL_TOKENS)
    cos, sin = tower.rotary_pos_emb(pixels, torch.stack([places // 4, places % 4], 1))
    cos, sin = cos[None, :, None], sin[None, :, None]
    kernel = tower.patch_embed.proj
    x = F.linear(pixels, kernel.weight.reshape(kernel.weight.shape[0], -1), kernel.bias)
    x = x.view(count, VISUAL_TOKENS, -1) + tower.pos_embed.weight
    for block in tower.blocks:
        heads = block.attn.qkv(block.norm1(x)).view(count, VISUAL_TOKENS, 3, block.attn.num_heads, -1)
        q, k, v = heads.unbind(2)
        q, k = q * cos + _turned(q) * sin, k * cos + _turned(k) * sin
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        mixed = F.scaled_dot_product_attention(q, k, v, scale=block.attn.scaling)
        x = x + block.attn.proj(mixed.transpose(1, 2).reshape(count, VISUAL_TOKENS, -1))
        x = x + block.mlp(block.norm2(x))
    return tower.merger(x.reshape(count * VISUAL_TOKENS, -1))  # type: ignore[no-any-return]


def _turned(x: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    return torch.cat((-x[..., half:], x[..., :half]), -1)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of lessons that share one visual prefix each; `segments` is 0 for the prefix, -1 for padding."""

    ids: Tensor  # B x T
    labels: Tensor  # B x T, -100 where nothing is learned
    segments: Tensor  # B x T
    positions: Tensor  # 3 x B x T
    pixels: Tensor  # P x pixels of a patch
    named: Tensor  # N x groups: what each thing is like that a name in a lesson names, -100 where it can't be told
    named_at: Tensor  # N x 2: the row and the token where such a name ends


def predict(network: Qwen3VLForConditionalGeneration, batch: Batch, visual: Tensor) -> tuple[Tensor, Tensor]:
    """Logits at the positions that predict a label, N x V, and on the way there what `look_up` gives."""
    model = network.model.language_model
    halfway = _pass(network, batch, _embed(network, batch, visual), 0, _NAMED_AFTER)
    hidden = model.norm(_pass(network, batch, halfway, _NAMED_AFTER, _LAYERS))
    return network.lm_head(hidden[:, :-1][batch.labels[:, 1:] != -100]), _meanings(network, batch, halfway)


def look_up(network: Qwen3VLForConditionalGeneration, batch: Batch, visual: Tensor) -> Tensor:
    """What the end of each name means after the first blocks, N x D, for `words_loss`; only these blocks run."""
    halfway = _pass(network, batch, _embed(network, batch, visual), 0, _NAMED_AFTER)
    return _meanings(network, batch, halfway)


def before_meaning(name: str) -> bool:
    """Whether a weight of the text model takes part in `look_up`."""
    blocks = tuple(f"language_model.layers.{i}." for i in range(_NAMED_AFTER))
    return any(block in name for block in blocks) or "language_model.norm" in name


def _embed(network: Qwen3VLForConditionalGeneration, batch: Batch, visual: Tensor) -> Tensor:
    embedded = network.model.language_model.embed_tokens(batch.ids)
    shown = (batch.ids == network.config.image_token_id) | (batch.ids == network.config.video_token_id)
    return embedded.masked_scatter(shown[..., None], visual)  # type: ignore[no-any-return]


def _pass(network: Qwen3VLForConditionalGeneration, batch: Batch, hidden: Tensor, first: int, last: int) -> Tensor:
    """Some of the text model's blocks. A lesson sees the prefix and itself only."""
    segments = batch.segments
    mask = (segments[:, None, :] == 0) | (segments[:, None, :] == segments[:, :, None])
    mask &= torch.ones(segments.shape[1], segments.shape[1], dtype=torch.bool).tril()
    model = network.model.language_model
    rotary = model.rotary_emb(hidden, batch.positions)
    for block in model.layers[first:last]:
        hidden = block(hidden, attention_mask=mask[:, None], position_embeddings=rotary)
    return hidden


def _meanings(network: Qwen3VLForConditionalGeneration, batch: Batch, halfway: Tensor) -> Tensor:
    row, column = batch.named_at.unbind(1)
    return network.model.language_model.norm(halfway[row, column]) / _LOGIT_SCALE  # type: ignore[no-any-return]


def lesson_loss(told: Sequence[tuple[Tensor, Batch]]) -> Tensor:
    """Mean token loss over batches and their logits in which an answer weighs the square root of its length.

    Lists would else drown yes and no.
    """
    losses, weights = zip(*(_token_losses(logits, batch) for logits, batch in told), strict=True)
    weight = torch.cat(weights)
    return (torch.cat(losses) * weight).sum() / weight.sum()


def _token_losses(logits: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """The loss of each token that is learned, and what it weighs."""
    labels = batch.labels[:, 1:]
    chosen = labels != -100
    rows = torch.arange(labels.shape[0])[:, None].expand_as(labels)[chosen]
    answers = rows * 10_000 + batch.segments[:, 1:][chosen]
    _, which, lengths = torch.unique(answers, return_inverse=True, return_counts=True)
    return F.cross_entropy(logits, labels[chosen], reduction="none"), lengths[which].float().rsqrt()


def word_ids(tokenizer: PreTrainedTokenizerFast) -> list[Tensor]:
    """For each word group the ids of its words, each of which is one token."""
    encoded = [[tokenizer.encode(f" {w}", add_special_tokens=False) for w in group] for group in WORD_GROUPS]
    assert all(len(ids) == 1 for group in encoded for ids in group), "a word of the world is not one token"
    return [torch.tensor([ids[0] for ids in group]) for group in encoded]


def words_loss(
    network: Qwen3VLForConditionalGeneration, visual: Tensor, words: Tensor, groups: list[Tensor]
) -> tuple[Tensor, list[float]]:
    """Every visual token must point at the text embeddings of the words it shows: the loss, and accuracy by group.

    The language model's own embeddings are the classifier, one soft-max a group; a cell without a thing must say
    "nothing" in the groups of a thing's properties, else it would answer look-ups by name.
    """
    embeddings = network.model.language_model.embed_tokens.weight
    loss = visual.new_zeros(())
    accuracy = []
    for k, group in enumerate(groups):
        of_thing = 1 <= k <= 4
        classes = torch.cat([group, groups[0][:1]]) if of_thing else group
        target = torch.where(words[:, 0] == 0, len(group), words[:, k]) if of_thing else words[:, k]
        weight = torch.ones(len(classes))
        if of_thing:
            weight[-1] = 0.3
        elif k == 0:
            weight[1] = 3.0
        known = target >= 0
        if not known.any():
            continue
        logits = _LOGIT_SCALE * visual[known] @ embeddings[classes].T
        loss = loss + F.cross_entropy(logits, target[known], weight=weight)
        thing = words[known, 0] == 1
        if of_thing and thing.any():  # what it is among its rivals alone: shapes are told apart late otherwise
            loss = loss + 2 * F.cross_entropy(logits[thing, :-1], target[known][thing])
        accuracy.append((logits.argmax(1) == target[known]).float().mean().item())
    return loss, accuracy
