"""The settings of an enumeration, checked: the same for counts, streams and complexes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tropica.errors import InputError
from tropica.runtime.memory import budget
from tropica.runtime.progress import ProgressCallback

Prune = Callable[[np.ndarray, np.ndarray], bool]
"""A function of lower and upper bounds (outputs,) over a set of inputs: True where nothing in the set is wanted."""


@dataclass(frozen=True)
class EnumerationSettings:
    """What is enumerated, and the limits.

    Attributes:
        upto: the module path or node name whose output takes the place of the network's.
        simplify: merge nonlinearities where linear regions stay the same (a relu with its max-pool); otherwise cells are the
            activation patterns of the network as written.
        max_cells, max_seconds: stop after about this number of cells, or seconds; the result is then not complete.
        memory: bytes for cells that wait for their turn, or that are kept; by default a quarter of what is free.
        threads: how many; all cores by default.
        progress: a bar, or a function of (cells, estimated total, message): cells / total is the share of the volume done.
        distributed: share the tasks among the processes of torch.distributed; without limits and progress.

    Raises:
        InputError: a limit that is none, or one together with ``distributed``.
    """

    upto: str | None = None
    simplify: bool = True
    max_cells: int | None = None
    max_seconds: float | None = None
    memory: int | None = None
    threads: int | None = None
    progress: bool | ProgressCallback = False
    distributed: bool = False

    def __post_init__(self) -> None:
        for name, limit, whole in (("max_cells", self.max_cells, True), ("max_seconds", self.max_seconds, False)):
            number = isinstance(limit, int) or (isinstance(limit, float) and not whole)
            if limit is not None and (isinstance(limit, bool) or not number or not limit > 0):
                raise InputError(f"{name} must be a positive {'whole ' if whole else ''}number or None; found {limit!r}")
        threads = self.threads
        if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
            raise InputError(f"threads must be a whole number, 1 or more, or None; found {threads!r}")
        if not isinstance(self.simplify, bool):
            raise InputError(f"simplify must be True or False; found {self.simplify!r}")
        if self.upto is not None and not isinstance(self.upto, str):
            raise InputError(f"upto must be a module path or the name of a node; found {self.upto!r}")
        if not callable(self.progress) and not isinstance(self.progress, bool):
            raise InputError(f"progress must be True, False or a function of (done, total, message); found {self.progress!r}")
        if not isinstance(self.distributed, bool):
            raise InputError(f"distributed must be True or False; found {self.distributed!r}")
        if self.distributed and (self.max_cells or self.max_seconds or self.progress):
            raise InputError("distributed=True is for all cells: without max_cells=, max_seconds= and progress=")
        if self.memory is not None:
            budget(self.memory)

    @property
    def bytes(self) -> int:
        """The budget of memory."""
        return budget(self.memory)

    @property
    def number_of_threads(self) -> int:
        """The threads to run."""
        if self.threads is not None:
            return self.threads
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
