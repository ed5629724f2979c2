"""How much memory there is, how much work may take of it, and what to do when a piece does not fit."""

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
FALLBACK = 2**32
"""Bytes taken for free where the system does not say."""
SHARE = 4
"""A quarter of what is free is for the work, by default."""
MARKS = ("not enough memory", "can't allocate memory", "out of memory", "bad allocation", "std::bad_alloc")
"""What torch says where memory runs out; not all of it has a type of its own."""


def free_memory(device: torch.device | str = "cpu") -> int:
    """Bytes that a new piece of work could take, on the processor (what the control group allows, too) or on a GPU.

    >>> free_memory() > 0
    True
    """
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min(_available(), _allowed())


def budget(memory: int | None, device: torch.device | str = "cpu", together: bool = False) -> int:
    """Bytes that a piece of work may take: what the user says, or a quarter of what is free, shared with this machine's
    other processes of the same run (``together``: what all of them may take).

    Raises:
        InputError: not a whole number of bytes, 1 or more.

    >>> budget(10**9)
    1000000000
    """
    if memory is None:
        here = (
            max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1"))) if torch.device(device).type == "cpu" and not together else 1
        )
        return max(1, free_memory(device) // (SHARE * here))
    if isinstance(memory, bool) or not isinstance(memory, int) or memory < 1:
        raise InputError(f"memory must be a whole number of bytes, 1 or more, or None; found {memory!r}")
    return memory


def peak_memory() -> int:
    """The most bytes that this process has had in memory so far (on GPUs: those that torch has allocated); 0 if unknown."""
    try:
        import resource
    except ImportError:  # not on Windows
        host = 0
    else:
        unit = 1 if sys.platform == "darwin" else 1024
        host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return host + sum(torch.cuda.max_memory_allocated(i) for i in range(torch.cuda.device_count()))


def in_bytes(text: str) -> int:
    """A size as people write it.

    Raises:
        InputError: not a size.

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
        raise InputError(f"a size is a number with B, KB, MB, GB or TB behind it, such as 2GB; found {text!r}")
    return size


def size_text(size: int) -> str:
    """Bytes as people read them.

    >>> size_text(1_234_567_890), size_text(512)
    ('1.23 GB', '512 B')
    """
    for unit, name in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size} B"


def out_of_memory(error: BaseException) -> bool:
    """Did memory run out, on the processor or on a GPU?"""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(mark in str(error).lower() for mark in MARKS)


def release_freed_memory() -> None:
    """Let the system have memory that is free but still this process's: glibc keeps what was freed in pieces."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


class BatchHalving:
    """Does work on batches; one that does not fit the memory is halved and tried again, and so are those after it."""

    def __init__(self) -> None:
        self.most: int | None = None
        """Points that fitted, once some did not."""

    def __call__(self, work: Callable[[Tensor], T], x: Tensor) -> list[T]:
        """Results of the parts of ``x``, in order; one part where all goes well.

        Raises whatever ``work`` raises, and what says that memory ran out where not even one point fits.

        >>> BatchHalving()(len, torch.zeros(5, 1))
        [5]
        """
        done: list[T] = []
        parts = [x] if self.most is None else list(x.split(self.most))
        while parts:
            part = parts.pop(0)
            try:
                done.append(work(part))
                continue
            except (MemoryError, RuntimeError) as error:
                if not out_of_memory(error) or len(part) == 1:
                    raise
            self.most = (len(part) + 1) // 2
            warnings.warn(f"a batch of {len(part)} points does not fit the memory; going on with {self.most}", stacklevel=3)
            gc.collect()
            release_freed_memory()
            if part.is_cuda:
                torch.cuda.empty_cache()
            parts = [small for whole in (part, *parts) for small in whole.split(self.most)]  # what is left would not fit either
        return done


def _available() -> int:
    """Bytes that the system says are available."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return FALLBACK


def _allowed() -> int:
    """Bytes that this process's control group still allows (containers, batch systems)."""
    for limit, usage in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        try:
            return max(1, int(Path(limit).read_text()) - int(Path(usage).read_text()))
        except (OSError, ValueError):  # no such control group, or "max": no limit
            continue
    return sys.maxsize
