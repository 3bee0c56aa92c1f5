"""Stored videos: what is known of each file. The files themselves lie in the storage."""

from typing import Any

from neo4j import Driver

from graphdb.connection import CursorGone, read, write
from graphdb.cypher import cypher


def save_video(driver: Driver, id: str, properties: dict[str, Any]) -> dict[str, Any]:
    """Store a video and return it as stored; a known one stays as it is."""

    def work(tx: Any) -> dict[str, Any]:
        found: dict[str, Any] = tx.run(cypher("video_save"), id=id, properties=properties).single()["video"]
        return found

    return write(driver, work)


def get_video(driver: Driver, id: str) -> dict[str, Any] | None:
    """A video, None where there is none of this id."""
    rows = read(driver, cypher("video_get"), id=id)
    return rows[0]["video"] if rows else None


def list_videos(driver: Driver, *, limit: int, after: str | None = None) -> list[dict[str, Any]]:
    """Videos, newest first, after the one of id `after`.

    Raises:
        CursorGone: there is no video `after`.
    """
    if after is not None and get_video(driver, after) is None:
        raise CursorGone(after)
    return [row["video"] for row in read(driver, cypher("video_list"), after=after, limit=limit)]


def delete_video(driver: Driver, id: str) -> bool:
    """Delete a video that has no runs left; whether it was deleted."""

    def work(tx: Any) -> bool:
        return bool(tx.run(cypher("video_delete"), id=id).single()["deleted"])

    return write(driver, work)
