"""Facts of all test points, computed in chunks in the background, or at once for the points that are asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tropica.app.jobs import Report

FIRST, CHUNK = 64, 512
"""Points in the first chunk, which the first page shows, and in the others."""

Columns = dict[str, np.ndarray]
Compute = Callable[[np.ndarray], Columns]


class FeatureTable:
    """Columns with a row for each of ``size`` points; rows are computed when they are first needed.

    Attributes:
        known: (size,) whether each row is computed.
    """

    def __init__(self, size: int, compute: Compute, message: str) -> None:
        self.size, self._compute, self._message = size, compute, message
        self._columns: Columns = {}
        self._lock = threading.Lock()
        self.known = np.zeros(size, bool)

    @property
    def complete(self) -> bool:
        """Whether all rows are computed."""
        return bool(self.known.all())

    def rows(self, numbers: Sequence[int] | np.ndarray) -> Columns:
        """The columns at some points, computed where they are not known yet."""
        wanted = np.asarray(numbers, dtype=np.int64)
        missing = np.unique(wanted[~self.known[wanted]])
        for first in range(0, len(missing), CHUNK):
            self._fill(missing[first : first + CHUNK])
        return {name: column[wanted] for name, column in self._columns.items()}

    def column(self, name: str, otherwise: Any) -> np.ndarray:
        """A column as far as it is known, with another value where it is not."""
        with self._lock:
            found = self._columns.get(name)
            if found is None:
                return np.full(self.size, otherwise)
            return np.where(self.known.reshape(-1, *[1] * (found.ndim - 1)), found, otherwise)

    def fill(self, report: Report) -> None:
        """Compute all rows, the first ones first."""
        done = 0
        while done < self.size:
            report(done, self.size, self._message)
            step = min(FIRST if done == 0 else CHUNK, self.size - done)
            self.rows(np.arange(done, done + step))
            done += step
        report(self.size, self.size, self._message)

    def _fill(self, numbers: np.ndarray) -> None:
        found = self._compute(numbers)  # outside of the lock: a click does not wait for a chunk
        with self._lock:
            for name, values in found.items():
                if name not in self._columns:
                    self._columns[name] = np.zeros((self.size, *values.shape[1:]), values.dtype)
                self._columns[name][numbers] = values
            self.known[numbers] = True
