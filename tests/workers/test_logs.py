"""A log on a disk without room: the kernel's own /dev/full refuses every write as such a disk does."""

import os
from pathlib import Path

from workers.logs import Forgiving


def test_lines_without_room_are_counted_and_the_next_say_how_many(tmp_path: Path) -> None:
    file = tmp_path / "log"
    handle, full = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), os.open("/dev/full", os.O_WRONLY)
    log = Forgiving(handle)
    log.write("before\n")
    room = os.dup(handle)
    os.dup2(full, handle)
    log.write("one\n")
    log.write("two\nthree\n")
    assert log.lost == 3
    os.dup2(room, handle)
    log.write("after\n")
    log.write("and on\n")
    assert file.read_text() == "before\n3 lines of this log are lost\nafter\nand on\n"
    for opened in (handle, full, room):
        os.close(opened)
