"""What is known of uploaded files and of models. The files themselves lie in the storage."""

import json
from typing import Any, Literal

from neo4j import Driver, ManagedTransaction

from graphdb.connection import CursorGone, read, write
from graphdb.cypher import cypher

Kind = Literal["File", "Model"]
_JSON = ("spec", "metrics", "lineage")  # stored as text: Neo4j has no nested values
Record = dict[str, Any]


def save(driver: Driver, kind: Kind, id: str, properties: Record) -> Record:
    """Store a record and return it as stored; a known one stays as it is."""
    told = {"id": id} | _packed(properties)

    def work(tx: ManagedTransaction) -> Record:
        row = tx.run(cypher("record_save"), id=id, label=kind, properties=told).single(strict=True)
        return _unpacked(row["record"])

    return write(driver, work)


def revise(driver: Driver, kind: Kind, id: str, properties: Record) -> None:
    """Change some of what is known of a record; nothing where it isn't there."""
    told = {"id": id, "label": kind, "properties": _packed(properties)}
    write(driver, lambda tx: tx.run(cypher("record_revise"), told).consume())


def link(driver: Driver, model: str, *, job_id: str, base: str, dataset: str) -> None:
    """Draw where a model comes from as edges, to those of these ids that are stored."""
    told = {"id": model, "job_id": job_id, "base": base, "dataset": dataset}
    write(driver, lambda tx: tx.run(cypher("model_lineage"), told).consume())


def get(driver: Driver, kind: Kind, id: str) -> Record | None:
    """A record, None where there is none of this id."""
    rows = read(driver, cypher("record_get"), id=id, label=kind)
    return _unpacked(rows[0]["record"]) if rows else None


def find(
    driver: Driver,
    kind: Kind,
    *,
    limit: int,
    after: str | None = None,
    job_id: str | None = None,
    only: str | None = None,
) -> list[Record]:
    """Records, newest first, after the one of id `after`; those of one job, or of one `kind` of model, where told.

    Raises:
        CursorGone: there is no record `after`.
    """
    if after is not None and get(driver, kind, after) is None:
        raise CursorGone(after)
    rows = read(driver, cypher("record_list"), label=kind, limit=limit, after=after, job_id=job_id, kind=only)
    return [_unpacked(row["record"]) for row in rows]


def delete(driver: Driver, kind: Kind, id: str) -> bool:
    """Delete a record that no unfinished job uses; whether it was deleted."""

    def work(tx: ManagedTransaction) -> bool:
        return bool(tx.run(cypher("record_delete"), id=id, label=kind).single(strict=True)["deleted"])

    return write(driver, work)


def _packed(properties: Record) -> Record:
    return {k: json.dumps(v, ensure_ascii=False) if k in _JSON else v for k, v in properties.items()}


def _unpacked(record: Record) -> Record:
    return {k: json.loads(v) if k in _JSON else v for k, v in record.items()}
