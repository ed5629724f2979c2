"""Free memory, the budget of a computation, and batches that are halved if they do not fit."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from tropica.errors import InputError

T = TypeVar("T")
ASSUMED_FREE = 2**32
"""Bytes that count as free if the system does not report free memory."""
DEFAULT_SHARE = 1 / 4
"""The share of the free memory that is the default budget."""
MESSAGES = ("not enough memory", "can't allocate memory", "out of memory", "bad allocation", "std::bad_alloc")
"""Parts of torch's messages about exhausted memory; some come as plain RuntimeErrors."""


def free_memory(device: torch.device | str = "cpu") -> int:
    """Bytes that are free in main memory, within the limit of the control group, or on a GPU.

    >>> free_memory() > 0
    True
    """
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min(_available(), _allowed())


def budget(memory: int | None, device: torch.device | str = "cpu", *, all_processes: bool = False) -> int:
    """Bytes that a computation may take: ``memory``, or by default a quarter of the free memory.

    The processes of one distributed run on one machine share that quarter. With ``all_processes`` the budget is that of all
    these processes together.

    Raises:
        InputError: ``memory`` is not a whole number of bytes, 1 or more.

    >>> budget(10**9)
    1000000000
    """
    if memory is None:
        shared = torch.device(device).type == "cpu" and not all_processes
        sharing = max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1"))) if shared else 1
        return max(1, int(free_memory(device) * DEFAULT_SHARE) // sharing)
    if isinstance(memory, bool) or not isinstance(memory, int) or memory < 1:
        raise InputError(f"memory must be a whole number of bytes, 1 or more, or None; found {memory!r}")
    return memory


def peak_memory() -> int:
    """The peak memory of this process in bytes, including the memory that torch has allocated on GPUs; 0 if unknown."""
    try:
        import resource
    except ImportError:  # not on Windows
        host = 0
    else:
        unit = 1 if sys.platform == "darwin" else 1024
        host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return host + sum(torch.cuda.max_memory_allocated(i) for i in range(torch.cuda.device_count()))


def in_bytes(text: str) -> int:
    """Convert a size such as "1.5 GB" to a number of bytes.

    Raises:
        InputError: ``text`` is not a size.

    >>> in_bytes("512MB"), in_bytes("1.5 GB"), in_bytes("1000")
    (512000000, 1500000000, 1000)
    """
    units = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
    number = text.strip().upper().replace("I", "").rstrip("BKMGT ")
    unit = text.strip().upper().replace("I", "")[len(number) :].strip()
    try:
        size = int(float(number) * units[unit if not unit or unit.endswith("B") else f"{unit}B"])
    except (ValueError, KeyError, OverflowError):
        size = 0
    if size < 1:
        raise InputError(f"a size is a number followed by B, KB, MB, GB or TB, such as 2GB; found {text!r}")
    return size


def size_text(size: int) -> str:
    """A number of bytes as text.

    >>> size_text(1_234_567_890), size_text(512)
    ('1.23 GB', '512 B')
    """
    for unit, name in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size} B"


def is_out_of_memory(error: BaseException) -> bool:
    """Does the error report that memory ran out, on the host or on a GPU?"""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(message in str(error).lower() for message in MESSAGES)


def release_freed_memory() -> None:
    """Return freed memory to the system. glibc keeps it for the process otherwise."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


class BatchHalving:
    """A function applied to batches. A batch that does not fit in memory is halved, and later batches are
    split into parts of the same size.

    Attributes:
        unit: the rows of a point, which stay together.
        limit: the largest number of rows in a part, a multiple of ``unit``; None as long as all batches fit.
    """

    def __init__(self, unit: int = 1) -> None:
        self.unit = unit
        self.limit: int | None = None

    def __call__(self, work: Callable[[Tensor], T], x: Tensor) -> list[T]:
        """The results of the parts of ``x``, in order; a single part if the batch fits.

        Raises the errors of ``work``; an out-of-memory error only if a single point does not fit.

        >>> BatchHalving()(len, torch.zeros(5, 1))
        [5]
        """
        done: list[T] = []
        parts = [x] if self.limit is None else list(x.split(self.limit))
        while parts:
            part = parts.pop(0)
            try:
                done.append(work(part))
                continue
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) or len(part) <= self.unit:
                    raise
            self.limit = self.unit * -(-len(part) // (2 * self.unit))
            warnings.warn(f"a batch of {len(part)} points does not fit in memory; continuing with {self.limit}", stacklevel=3)
            gc.collect()
            release_freed_memory()
            if part.is_cuda:
                torch.cuda.empty_cache()
            parts = [small for whole in (part, *parts) for small in whole.split(self.limit)]
        return done


def _available() -> int:
    """The free bytes that the system reports."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return ASSUMED_FREE


def _allowed() -> int:
    """The bytes that the control group of this process still allows (containers, batch systems)."""
    for limit, usage in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        try:
            return max(1, int(Path(limit).read_text()) - int(Path(usage).read_text()))
        except (OSError, ValueError):  # no such control group, or "max": no limit
            continue
    return sys.maxsize
