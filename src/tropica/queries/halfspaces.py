"""``Halfspaces``: the inequalities A x ≤ b of a cell, each with its unit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tropica.exact.rational_arrays import RationalArray, rationals
from tropica.queries.borders import Borders
from tropica.queries.fixed_pieces import EnclosedRows, Pieces, exact_coefficients, exact_rows
from tropica.regions.lower.lowering import Lowered
from tropica.runtime.html import HtmlRepr

MOST_EXACT = 1 << 18
"""Coefficients of a cell up to which they are computed exactly at once."""
COLUMNS = 64
"""Inputs whose coefficients are computed at a time in float64."""
BLOCK_NUMBERS = 1 << 22
"""Numbers of a block of points."""


@dataclass(frozen=True, eq=False, repr=False)
class Halfspaces(HtmlRepr):
    """The inequalities A x ≤ b of a cell, one row for each threshold and each other input of a window.

    Attributes:
        A: (N, D) float64.
        b: (N,) float64.
        error: (N,) a bound on the error of every number of a row; that of the nearest float64 where ``exact`` is there.
        exact: (N, D + 1) rows [a | c] of a·x + c ≤ 0 as exact numbers, or None for large cells.
        borders: the unit of each row.
        units: (N,) their names.
    """

    A: np.ndarray
    b: np.ndarray
    error: np.ndarray
    exact: RationalArray | None
    borders: Borders
    units: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.b)

    def __iter__(self) -> Iterator[np.ndarray]:
        """A and b: ``A, b = cell.halfspaces``."""
        return iter((self.A, self.b))

    def to_dataframe(self) -> Any:
        """A row for each inequality: unit, b, the norm of a."""
        import pandas as pd

        return pd.DataFrame({"unit": self.units, "b": self.b, "norm": np.linalg.norm(self.A, axis=1)})

    def __repr__(self) -> str:
        return f"Halfspaces({len(self):,} inequalities in {self.A.shape[1]:,} dimensions)"


def small(lowered: Lowered, dimension: int, rows: int) -> bool:
    """Whether a cell's inequalities are computed exactly at once."""
    widest = max([stage.size for stage in lowered.stages], default=1)
    return max(rows, widest) * (dimension + 1) <= MOST_EXACT


def network_rows(
    lowered: Lowered, pieces: Pieces, borders: Borders, dimension: int
) -> tuple[RationalArray | None, np.ndarray, np.ndarray]:
    """The network's inequalities of a cell: exact coefficients (N, D + 1) or None, the same in float64, and errors (N,)."""
    count = int((borders.stage >= 0).sum())
    if small(lowered, dimension, len(borders)):
        *stages, _ = exact_coefficients(lowered, pieces, dimension)
        turned = [RationalArray(np.ascontiguousarray(z.numerators.T), z.denominator) for z in stages]
        found = borders.exact(turned) if stages else RationalArray(np.zeros((dimension + 1, 0), np.int64))
        exact = RationalArray(np.ascontiguousarray(found.numerators.T), found.denominator)
        floats = exact.floats()
        return exact, floats, np.abs(floats).max(1, initial=0.0) * 2.0**-53 + 2.0**-1074
    enclosed = EnclosedRows(lowered)
    out, error = np.empty((count, dimension + 1)), np.zeros(count)
    for first in range(0, dimension, COLUMNS):
        last = min(first + COLUMNS, dimension)
        directions = np.zeros((last - first, dimension))
        directions[np.arange(last - first), np.arange(first, last)] = 1
        g = borders.bounded(enclosed(pieces, directions, linear=True))
        out[:, first:last] = g.value.T
        np.maximum(error, g.error.max(0), out=error)
    g = borders.bounded(enclosed(pieces, np.zeros((1, dimension))))
    out[:, dimension] = g.value[0]
    return None, out, np.maximum(error, g.error[0])


def exact_signs(lowered: Lowered, pieces: Pieces, rows: Halfspaces, points: np.ndarray) -> np.ndarray:
    """The signs (M, N) int8 of a·x − b at float64 points (M, D): by a filter in float64, exactly where it is in doubt."""
    signs = np.empty((len(points), len(rows)), np.int8)
    for first in range(0, len(points), max(1, BLOCK_NUMBERS // max(len(rows), 1))):
        block = slice(first, first + max(1, BLOCK_NUMBERS // max(len(rows), 1)))
        signs[block] = _block_signs(lowered, pieces, rows, points[block])
    return signs


def _block_signs(lowered: Lowered, pieces: Pieces, rows: Halfspaces, x: np.ndarray) -> np.ndarray:
    reach = np.abs(x).sum(1)[:, None] + 1
    with np.errstate(over="ignore", invalid="ignore"):
        value = x @ rows.A.T - rows.b
        size = np.abs(x) @ np.abs(rows.A).T + np.abs(rows.b)
        bound = (rows.error * reach + (x.shape[1] + 4) * 2.0**-53 * size) * (1 + 1e-9) + 1e-300
        signs = np.sign(value).astype(np.int8)
        doubtful = ~((np.abs(value) > bound) & np.isfinite(value) & np.isfinite(bound))
    flat = (rows.error == 0) & (rows.A == 0).all(1)
    signs[:, flat], doubtful[:, flat] = np.sign(-rows.b[flat]), False
    some = np.flatnonzero(doubtful.any(1))
    if len(some):
        signs[some] = rational_signs(lowered, pieces, rows, rationals(x[some]))
    return signs


def rational_signs(lowered: Lowered, pieces: Pieces, rows: Halfspaces, x: RationalArray) -> np.ndarray:
    """The signs (M, N) int8 of a·x − b at rational points (M, D)."""
    network = int((rows.borders.stage >= 0).sum())
    if rows.exact is not None:
        return np.sign(_values(rows.exact.numerators, x)).astype(np.int8)
    *stages, _ = exact_rows(lowered, pieces, x)
    found = rows.borders.signs(stages)
    walls = np.zeros((len(x.numerators), 0), np.int8)
    if network < len(rows):
        exact = rationals(np.column_stack([rows.A[network:], -rows.b[network:]]))
        walls = np.sign(_values(exact.numerators, x)).astype(np.int8)
    return np.concatenate([found, walls], 1)


def _values(rows: np.ndarray, x: RationalArray) -> np.ndarray:
    lifted = np.concatenate([x.numerators.astype(object), np.full((len(x.numerators), 1), x.denominator, dtype=object)], 1)
    return lifted @ rows.astype(object).T
