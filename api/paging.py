"""Cursor pages: `limit` and `after` in, {object: "list", data, first_id, last_id, has_more} out."""

from collections.abc import Sequence
from typing import Annotated, Generic, Literal, TypeVar

from fastapi import Query
from pydantic import BaseModel

T = TypeVar("T", bound=BaseModel)

Limit = Annotated[int, Query(ge=1, le=100, description="How many at most.")]
After = Annotated[str | None, Query(max_length=1000, description="`last_id` of the page before.")]


class Page(BaseModel, Generic[T]):
    """One page of a list; ask for the next with `after=last_id` while `has_more`."""

    object: Literal["list"] = "list"
    data: list[T]
    first_id: str | None
    last_id: str | None
    has_more: bool


def page(items: Sequence[T], limit: int, key: str = "id") -> Page[T]:
    """The page of up to `limit` items, made from `limit + 1` that were asked for."""
    data = list(items[:limit])
    ids = [str(getattr(item, key)) for item in data]
    return Page(
        data=data, first_id=ids[0] if ids else None, last_id=ids[-1] if ids else None, has_more=len(items) > limit
    )
