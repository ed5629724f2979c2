"""Sparse exact matrices, row by row: the columns where a row is not 0, with integers over one common denominator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from tropica.exact.rational_arrays import RationalArray, compact, largest
from tropica.regions.lower.mantissas import mantissas


@dataclass(frozen=True, eq=False)
class ExactRows:
    """A rational matrix (n, width) by rows; in each, columns ascend.

    Attributes:
        starts: (n + 1,) where each row begins in ``columns`` and ``numerators``.
        columns: (nnz,).
        numerators: (nnz,) int64 or Python ints.
        denominator: of all numerators.
        width: the number of columns.

    >>> rows = ExactRows.of(RationalArray(np.array([[1, 0], [0, 3]]), 2))
    >>> rows.columns.tolist(), rows.numerators.tolist(), rows.denominator
    ([0, 1], [1, 3], 2)
    """

    starts: np.ndarray
    columns: np.ndarray
    numerators: np.ndarray
    denominator: int
    width: int

    @staticmethod
    def of(matrix: RationalArray) -> ExactRows:
        """The rows of a matrix."""
        top = matrix.numerators
        row, column = np.nonzero(top)
        starts = np.zeros(len(top) + 1, np.int64)
        np.cumsum(np.bincount(row, minlength=len(top)), out=starts[1:])
        return ExactRows(starts, column, top[row, column], matrix.denominator, top.shape[1])

    @property
    def zero_rows(self) -> np.ndarray:
        """(n,) which rows are 0."""
        return np.diff(self.starts) == 0

    @property
    def unit_rows(self) -> np.ndarray:
        """(n,) the column that a row is, with the factor 1; −1 for other rows."""
        single = np.flatnonzero(np.diff(self.starts) == 1)
        at = self.starts[single]
        found = np.full(len(self), -1)
        found[single] = np.where(self.numerators[at] == self.denominator, self.columns[at], -1)
        return found

    @property
    def matrix(self) -> RationalArray:
        """All entries (n, width)."""
        top = np.zeros((len(self), self.width), self.numerators.dtype)
        top[self.row_of, self.columns] = self.numerators
        return RationalArray(top, self.denominator)

    @staticmethod
    def identity(n: int) -> ExactRows:
        """The identity."""
        return ExactRows(np.arange(n + 1), np.arange(n), np.ones(n, np.int64), 1, n)

    @staticmethod
    def from_entries(
        row: np.ndarray, column: np.ndarray, numerators: np.ndarray, denominator: int, shape: tuple[int, int]
    ) -> ExactRows:
        """The matrix with these entries; those at one place are added."""
        order = np.lexsort((column, row))
        row, column, numerators = row[order], column[order], numerators[order]
        first = np.ones(len(row), bool)
        first[1:] = (row[1:] != row[:-1]) | (column[1:] != column[:-1])
        if not first.all():
            if numerators.dtype != object and largest(numerators) * len(row) >= 1 << 62:
                numerators = numerators.astype(object)
            numerators = np.add.reduceat(numerators, np.flatnonzero(first))
            row, column = row[first], column[first]
            kept = numerators != 0
            row, column, numerators = row[kept], column[kept], compact(numerators[kept])
        starts = np.zeros(shape[0] + 1, np.int64)
        np.cumsum(np.bincount(row, minlength=shape[0]), out=starts[1:])
        return ExactRows(starts, column, numerators, denominator, shape[1])

    def __len__(self) -> int:
        return len(self.starts) - 1

    @cached_property
    def row_of(self) -> np.ndarray:
        """(nnz,) the row of each entry."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    def take(self, rows: np.ndarray) -> ExactRows:
        """Some rows, in this order."""
        if len(rows) == len(self) and np.array_equal(rows, np.arange(len(rows))):
            return self
        counts = np.diff(self.starts)[rows]
        starts = np.concatenate([[0], np.cumsum(counts)])
        entry = np.arange(int(starts[-1])) + np.repeat(self.starts[rows] - starts[:-1], counts)
        return ExactRows(starts, self.columns[entry], self.numerators[entry], self.denominator, self.width)

    def renamed(self, column: np.ndarray, width: int) -> ExactRows:
        """With new numbers of the columns; entries of columns that become one are added, of columns −1 dropped."""
        new = column[self.columns]
        kept = new >= 0
        return ExactRows.from_entries(self.row_of[kept], new[kept], self.numerators[kept], self.denominator, (len(self), width))

    def numerators_over(self, denominator: int) -> np.ndarray:
        """The numerators over a multiple of the denominator."""
        return RationalArray(self.numerators, self.denominator).numerators_over(denominator)

    def times(self, inputs: np.ndarray) -> np.ndarray:
        """The numerators (n, k) of the product with integers (width, k), as Python ints."""
        out = np.zeros((len(self), inputs.shape[1]), object)
        filled = np.flatnonzero(np.diff(self.starts) > 0)
        if len(filled):
            products = self.numerators.astype(object)[:, None] * inputs[self.columns]
            out[filled] = np.add.reduceat(products, self.starts[filled], axis=0)
        return out

    @cached_property
    def mantissas(self) -> tuple[np.ndarray, np.ndarray]:
        """The entries as m · 2^e, rounded to nearest."""
        return mantissas(RationalArray(self.numerators, self.denominator))

    def scaled(self, exponent: np.ndarray) -> csr_array:
        """Rows and columns in float64: entry (i, j) times 2^``exponent`` of the entry, rounded to nearest."""
        m, e = self.mantissas
        values = np.ldexp(m, np.clip(e + exponent, -1200, 1000).astype(np.int32))
        return csr_array((values, self.columns, self.starts), shape=(len(self), self.width))


def stacked(parts: Sequence[ExactRows]) -> ExactRows:
    """Matrices of one width below each other."""
    if len(parts) == 1:
        return parts[0]
    denominator, tops = _common(parts)
    starts = np.concatenate([[0], np.cumsum(np.concatenate([np.diff(p.starts) for p in parts]))])
    columns = np.concatenate([p.columns for p in parts])
    return ExactRows(starts, columns, compact(np.concatenate(tops)), denominator, parts[0].width)


def added(parts: Sequence[ExactRows]) -> ExactRows:
    """The sum of matrices of one shape."""
    if len(parts) == 1:
        return parts[0]
    denominator, tops = _common(parts)
    return ExactRows.from_entries(
        np.concatenate([p.row_of for p in parts]),
        np.concatenate([p.columns for p in parts]),
        compact(np.concatenate(tops)),
        denominator,
        (len(parts[0]), parts[0].width),
    )


def row_keys(rows: ExactRows, bias: np.ndarray) -> list[object]:
    """What two rows with equal constants have in common; ``bias`` (n,) are integers over one denominator."""
    starts = rows.starts.tolist()
    columns, constants = rows.columns.astype(np.int64), bias.tolist()
    if rows.numerators.dtype == object:
        listed = rows.numerators.tolist()
        return [
            (columns[a:b].tobytes(), tuple(listed[a:b]), c) for a, b, c in zip(starts[:-1], starts[1:], constants, strict=True)
        ]
    whole = np.ascontiguousarray(rows.numerators)
    return [
        (columns[a:b].tobytes(), whole[a:b].tobytes(), c) for a, b, c in zip(starts[:-1], starts[1:], constants, strict=True)
    ]


def _common(parts: Sequence[ExactRows]) -> tuple[int, list[np.ndarray]]:
    denominator = math.lcm(*(p.denominator for p in parts))
    return denominator, [p.numerators_over(denominator) for p in parts]
