"""Opens the pickles of annotations without running what a pickle could run."""

import io
import pickle
from pathlib import Path
from typing import Any

from trainer.benchmarks.files import BenchmarkError

_ALLOWED = {
    *((module, name) for module in ("builtins", "__builtin__") for name in ("set", "frozenset")),
    ("collections", "OrderedDict"),
    ("_codecs", "encode"),  # how older pickles carry an array's bytes
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
}


class _Plain(pickle.Unpickler):
    """Knows plain containers and numpy arrays only."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no plain data")
        return super().find_class(module, name)


def load(path: Path, where: str) -> Any:
    """The value in a pickle of plain containers, numbers, text and numpy arrays.

    Raises:
        BenchmarkError: no such file, cut off, no pickle, or one that asks for anything else.
    """
    try:
        data = path.read_bytes()
        if not data:
            raise pickle.UnpicklingError("it is empty")
        return _Plain(io.BytesIO(data), encoding="latin1").load()
    except FileNotFoundError as e:
        raise BenchmarkError(f"There is no {path}.", where) from e
    except Exception as e:  # a damaged pickle can raise anything
        raise BenchmarkError(f"{path} can't be read: {e or type(e).__name__}.", f"Get it again: {where}") from e
