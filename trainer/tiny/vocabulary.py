"""The tiny model's tokenizer, chat template and processor: standard classes, a small vocabulary from the world's words."""

from collections.abc import Iterator
from functools import cache
from random import Random

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2VLImageProcessor,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from trainer.tiny.lessons import COLUMNS, ROWS, all_lessons
from trainer.world.scene import ACTIONS, COLORS, PLACES, SHAPES, SIZES, Scene

PATCH = 16  # pixels a side; a picture of 64 pixels has 4 x 4 visual tokens, one for each cell of the world
SIDE = 64


SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
# Word groups that a visual token must tell apart; a cell without a thing says "nothing".
WORD_GROUPS: tuple[tuple[str, ...], ...] = (
    ("nothing", "object"),
    COLORS,
    SHAPES,
    SIZES,
    tuple(action.removeprefix("moving ") for action in ACTIONS),
    ROWS,
    COLUMNS,
    PLACES,
)
# Words of questions and rationales that no prompt of the induction has: what is trained on them later is not spelt out.
_QUESTION_WORDS = (
    "Which which What what How how many Does does Do do Are are Is Was was In During during Between between The the That that "
    "third fourth same only other time times event action lies takes makes doing shown shows seen comes happens before after "
    "earlier later earliest latest number relation whose answer rationale question video yes no Tell by one line leads so but "
    "where has have true not as it well either or than more most fewer fewest least long longer shorter step explain few words "
    "think reason then Answer Explain"
)
_TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'assistant' %}<|im_start|>{% endif %}"
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif c['type'] == 'video' %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %}"
    "{% if m['role'] == 'assistant' %}<|im_end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>{% endif %}"
)


@cache
def build_tokenizer(size: int = 1024) -> PreTrainedTokenizerFast:
    """A byte-level BPE in which every word of the world is one token; always the same."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens={"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"},
        padding_side="left",
    )
    fast.chat_template = _TEMPLATE
    return fast


def _corpus() -> Iterator[str]:
    words = [*(word for group in WORD_GROUPS for word in group), *_QUESTION_WORDS.split(), *"0123456789"]
    yield from (f" {word} {word}" for word in words for _ in range(3000))
    yield from ("<0.5 seconds> <2.5 seconds> <4.5 seconds> <6.5 seconds>" for _ in range(500))
    rng = Random(7)
    for seed in range(1500):
        for lesson in all_lessons(Scene.generate(seed, split="train"), rng):
            yield lesson.prompt
            yield lesson.answer


def build_processor(tokenizer: PreTrainedTokenizerFast) -> Qwen3VLProcessor:
    """The stock processor: any picture becomes 64 x 64 pixels, any pair of frames 16 visual tokens."""
    patches = {"patch_size": PATCH, "merge_size": 1, "temporal_patch_size": 2}
    norm = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    pixels = SIDE * SIDE
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(
            **patches, **norm, size={"shortest_edge": pixels, "longest_edge": pixels}
        ),
        video_processor=Qwen3VLVideoProcessor(
            **patches,
            **norm,
            size={"shortest_edge": pixels, "longest_edge": pixels * 64},
            do_sample_frames=False,
            cap_pixels_per_frame=False,
        ),
        tokenizer=tokenizer,
        chat_template=_TEMPLATE,
    )
