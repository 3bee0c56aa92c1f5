"""A log whose disk may be full: what can't be written is counted, and never stops the work."""

import os
import threading


class Forgiving:
    """A text stream on a file's handle that drops what there is no room for, and says how many lines when there is.

    A write of "a\\n" to a full disk -> nothing; one of "b\\n" once there is room -> "1 lines of this log are lost\\nb\\n".
    """

    def __init__(self, handle: int) -> None:
        self._handle, self._lock = handle, threading.Lock()
        self.lost = 0

    def write(self, text: str) -> int:
        """Write it at once, or count its lines as lost."""
        with self._lock:
            whole = f"{self.lost} lines of this log are lost\n{text}" if self.lost else text
            try:
                os.write(self._handle, whole.encode(errors="replace"))
            except OSError:
                self.lost += text.count("\n")
            else:
                self.lost = 0
        return len(text)

    def flush(self) -> None:
        """Do nothing: each write goes out at once."""
