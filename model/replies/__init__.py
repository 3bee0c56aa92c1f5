"""What a model's replies say: `unwrap` takes off what stands around them, the readers turn the rest into values."""

from model.replies.readers import (
    MAX_ITEMS,
    MAX_NAME,
    UnreadableReply,
    field,
    read_action,
    read_attributes,
    read_instances,
    read_kind,
    read_objects,
    read_predicate_object,
    read_rewrite,
    read_sentence,
    read_triplets,
    read_yes_no,
)
from model.replies.tokens import without_tokens
from model.replies.wrappers import MAX_CHARS, Removed, Unwrapped, spoken, storable, unwrap

__all__ = [
    "MAX_CHARS",
    "MAX_ITEMS",
    "MAX_NAME",
    "Removed",
    "UnreadableReply",
    "Unwrapped",
    "field",
    "read_action",
    "read_attributes",
    "read_instances",
    "read_kind",
    "read_objects",
    "read_predicate_object",
    "read_rewrite",
    "read_sentence",
    "read_triplets",
    "read_yes_no",
    "spoken",
    "storable",
    "unwrap",
    "without_tokens",
]
