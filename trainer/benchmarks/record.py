"""An evaluation as a file: a head, then a line for each reply and each talk with the judge, written as they come.

The file alone gives the table. A run that was cut off goes on where it stopped; a half-written last line is dropped.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trainer.benchmarks.files import BenchmarkError
from trainer.benchmarks.items import Item

Head = Mapping[str, Any]


class Record:
    """The replies and verdicts of one run over one benchmark, by id of the item."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.head: Head = {}
        self.items: dict[str, Item] = {}
        self.replies: dict[str, str | None] = {}  # None where the video could not be shown
        self.faults: dict[str, str] = {}  # why not
        self.verdicts: dict[str, list[str]] = {}
        self.judge: Head | None = None
        for line in self._lines():
            self._take(line)

    @classmethod
    def opened(cls, path: Path, head: Head) -> "Record":
        """A new record, or the one that was begun under the same head.

        Raises:
            BenchmarkError: it was begun with another model, benchmark, version or choice of questions.
        """
        if path.is_file() and path.stat().st_size:
            record = cls(path)
            other = [name for name in head if record.head.get(name) != head[name]]
            if other:
                raise BenchmarkError(
                    f"{path} was begun with another {', '.join(other)}.", "Name another file, or remove it."
                )
            return record
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        record = cls(path)
        record._write({"kind": "head", **head})
        return record

    def reply(self, item: Item, text: str | None, fault: str = "") -> None:
        self._write({"kind": "reply", "item": item.to_dict(), "reply": text, "fault": fault})

    def judged_by(self, pinned: Head) -> None:
        """Note who judges, before the first verdict.

        Raises:
            BenchmarkError: another judge, or another prompt, has marked some of it.
        """
        if self.judge is None:
            self._write({"kind": "judge", **pinned})
        elif self.judge != pinned:
            raise BenchmarkError(
                f"{self.path} was marked by the judge {dict(self.judge)}, not {dict(pinned)}.", "Name another file."
            )

    def verdict(self, id: str, said: list[str]) -> None:
        self._write({"kind": "verdict", "id": id, "said": said})

    def _write(self, line: Mapping[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._take(line)

    def _take(self, line: Mapping[str, Any]) -> None:
        told = {name: value for name, value in line.items() if name != "kind"}
        match line["kind"]:
            case "head":
                self.head = told
            case "judge":
                self.judge = told
            case "verdict":
                self.verdicts[told["id"]] = told["said"]
            case _:
                item = Item.from_dict(told["item"])
                self.items[item.id], self.replies[item.id] = item, told["reply"]
                self.faults.pop(item.id, None)
                if told["fault"]:
                    self.faults[item.id] = told["fault"]

    def _lines(self) -> Iterator[Mapping[str, Any]]:
        if not self.path.is_file():
            raise BenchmarkError(f"There is no record {self.path}.", "Name the file that an evaluation wrote.")
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):  # the process was killed while it wrote
            self.path.write_bytes(whole)
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                told = json.loads(line)
                assert isinstance(told, dict) and "kind" in told
            except (AssertionError, ValueError) as e:
                raise BenchmarkError(f"Line {number} of {self.path} is no part of a record.", "Begin it anew.") from e
            yield told
