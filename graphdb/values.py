"""Properties of nodes and edges as JSON and back, exactly: what JSON lacks becomes an object {"type", "value"}.

Neo4j stores no maps, so that an object can't be anything else.
"""

import base64
import math
from collections.abc import Callable
from typing import Any

import pytz
from neo4j.spatial import CartesianPoint, Point, WGS84Point
from neo4j.time import Date, DateTime, Duration, Time

Json = Any  # a JSON value
_DURATION = ("months", "days", "seconds", "nanoseconds")
_POINTS = {7203: CartesianPoint, 9157: CartesianPoint, 4326: WGS84Point, 4979: WGS84Point}  # by SRID


def to_json(value: object) -> Json:
    """A property as JSON; b"ab" -> {"type": "bytes", "value": "YWI="}.

    Raises:
        TypeError: no property of Neo4j Community has this type.
    """
    if isinstance(value, list):
        return [to_json(one) for one in value]
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    for name, (kind, write, _) in _KINDS.items():
        if isinstance(value, kind):
            return {"type": name, "value": write(value)}
    raise TypeError(f"a property of the type {type(value).__name__} can't be kept")


def from_json(value: Json) -> object:
    """A property of what `to_json` made of it."""
    if isinstance(value, list):
        return [from_json(one) for one in value]
    if isinstance(value, dict):
        return _KINDS[value["type"]][2](value["value"])
    return value


def _write_point(point: Point) -> list[Any]:
    return [point.srid, *point]


def _read_point(told: list[Any]) -> Point:
    return _POINTS[told[0]](told[1:])


def _write_datetime(value: DateTime) -> list[str | None]:
    zone = getattr(value.tzinfo, "zone", None)
    return [value.iso_format(), None if zone == "UTC" else zone]  # the driver reads Z and a zone called UTC alike


def _read_datetime(told: list[Any]) -> DateTime:
    """The moment is told with its offset; a zone with a name of its own is put on it."""
    value = DateTime.from_iso_format(told[0])
    return value.as_timezone(pytz.timezone(told[1])) if told[1] else value


_KINDS: dict[str, tuple[type, Callable[[Any], Json], Callable[[Any], object]]] = {
    "float": (float, str, float),
    "bytes": (bytes, lambda value: base64.b64encode(value).decode(), base64.b64decode),
    "datetime": (DateTime, _write_datetime, _read_datetime),
    "date": (Date, lambda value: value.iso_format(), Date.from_iso_format),
    "time": (Time, lambda value: value.iso_format(), Time.from_iso_format),
    "duration": (Duration, list, lambda told: Duration(**dict(zip(_DURATION, told, strict=True)))),
    "point": (Point, _write_point, _read_point),
}
