"""The device that models run on, and whether its memory is used up."""

import os
from pathlib import Path

import torch

_DRIVER = Path("/dev/nvidiactl")  # there where a driver of NVIDIA's is
CROWDED = 2 * 2**30  # bytes that others hold, beyond what a process's own context may
CROWDED_SECONDS = 60.0  # after which there may be room again
_NO_MEMORY = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED")  # what is allocated beside torch's own allocator


class DeviceError(RuntimeError):
    """There is a GPU that can't be used; the text says why and what helps."""


def device() -> str:
    """`cuda` where this process has a GPU, else `cpu`.

    Raises:
        DeviceError: it has one that PyTorch can't use; computing on the processor instead would take weeks.
    """
    if torch.cuda.is_available():
        return "cuda"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1")
    if _DRIVER.exists() and not hidden:
        try:
            torch.cuda.init()  # type: ignore[no-untyped-call]
        except (AssertionError, RuntimeError) as e:
            remedy = "Update NVIDIA's driver, or set CUDA_VISIBLE_DEVICES to -1 to compute on the processor."
            raise DeviceError(f"There is a GPU that PyTorch can't use: {e} {remedy}") from e
    return "cpu"


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that the device's memory is used up."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _NO_MEMORY)


def held_by_others() -> int:
    """Bytes of the GPU's memory that other processes hold, and this one beside torch's allocator; 0 without a GPU."""
    if not torch.cuda.is_available():
        return 0
    free, total = torch.cuda.mem_get_info()
    return total - free - torch.cuda.memory_reserved()
