"""Files whose record was never written, or that outlived it: removed once they are old.

A process that is killed between storing a file and writing its record, or while it deletes, leaves them. Only a storage
that bears the mark of this database is swept, so that another or an empty database never costs a file.
"""

import logging
import uuid

from graphdb import storage as records
from workers.runtime import Service
from workers.storage import MARK, PARENTS

log = logging.getLogger(__name__)
OLD = 3600.0  # seconds for which a file may lie without a record: an upload's is written within minutes


def sweep(service: Service, old: float = OLD) -> list[str]:
    """Delete what no record is about and nobody wrote to for `old` seconds, and half-written files as old.

    Returns:
        The names that were deleted: ["videos/vid_1", "runs/run_2/trace/induce.jsonl.ab12cd34.part"].
    """
    files = service.storage
    folders = {name: parent for parent in PARENTS for name in files.folders(parent)}
    known = records.known(service.driver, list(folders))
    if not _is_ours(service, folders=bool(folders), known=bool(known)):
        return []
    gone = []
    for name, parent in folders.items():
        path = f"{parent}/{name}"
        # looked at again at the last moment: it may have been sent just now
        if name not in known and files.age(path) > old and not records.known(service.driver, [name]):
            files.delete(path)
            gone.append(path)
    gone += files.delete_parts(old)
    if gone:
        log.warning("%d stored files and folders without a record were deleted: %s", len(gone), ", ".join(gone[:20]))
    return gone


def _is_ours(service: Service, *, folders: bool, known: bool) -> bool:
    """Whether the storage has this database's mark; one without a mark gets it if a record knows some of its files."""
    files = service.storage
    here = files.read_json(MARK)["mark"] if files.exists(MARK) else None
    there = records.mark(service.driver)
    if here is None and there is None and (known or not folders):
        here = there = records.adopt(service.driver, uuid.uuid4().hex)
        files.write_json(MARK, {"mark": here})
    if here != there:
        log.warning("the storage belongs to another database: nothing in it is swept")
    return here is not None and here == there
