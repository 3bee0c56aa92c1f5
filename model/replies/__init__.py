"""What a model's replies say: `unwrap` takes off what stands around them, the readers turn the rest into values."""

from model.replies.lists import read_instances, read_objects
from model.replies.readers import (
    read_action,
    read_attributes,
    read_kind,
    read_predicate_object,
    read_rewrite,
    read_triplets,
    read_yes_no,
)
from model.replies.sentences import read_event, read_sentence
from model.replies.text import MAX_ITEMS, MAX_NAME, UnreadableReply, fault, field, refusals
from model.replies.tokens import without_tokens
from model.replies.wrappers import MAX_CHARS, Removed, Unwrapped, spoken, storable, unwrap

__all__ = [
    "MAX_CHARS",
    "MAX_ITEMS",
    "MAX_NAME",
    "Removed",
    "UnreadableReply",
    "Unwrapped",
    "fault",
    "field",
    "read_action",
    "read_attributes",
    "read_event",
    "read_instances",
    "read_kind",
    "read_objects",
    "read_predicate_object",
    "read_rewrite",
    "read_sentence",
    "read_triplets",
    "read_yes_no",
    "refusals",
    "spoken",
    "storable",
    "unwrap",
    "without_tokens",
]
