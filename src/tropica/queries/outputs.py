"""The affine map of a cell, and how far other labels are behind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tropica.exact.rational_arrays import RationalArray
from tropica.queries.fixed_pieces import EnclosedRows, Pieces, exact_coefficients
from tropica.queries.halfspaces import COLUMNS
from tropica.regions.lower.lowering import Lowered


@dataclass(frozen=True, eq=False)
class Outputs:
    """The affine map of a cell.

    Attributes:
        weight: (s, D) float64.
        bias: (s,) float64.
        error: (s,) a bound on the error of every number of a row.
        exact: (s, D + 1) the same exactly, constants last; None for large cells.
    """

    weight: np.ndarray
    bias: np.ndarray
    error: np.ndarray
    exact: RationalArray | None = None

    @property
    def labels(self) -> int:
        """How many labels there are: 2 for one output z, whose scores are −z and z."""
        return max(len(self.bias), 2)

    def label(self, x: np.ndarray) -> int:
        """The label at a point, in float64."""
        z = self.weight @ x + self.bias
        return int(z.argmax()) if len(z) > 1 else int(z[0] > 0)

    def margins(self, label: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows A, b and errors, one for each label: A x ≤ b where its score is at least as large as that of ``label``."""
        if self.exact is not None:
            rows = self.exact.numerators.astype(object)
            scores = rows if len(rows) > 1 else np.concatenate([-rows, rows])
            floats = RationalArray(scores[[label]] - scores, self.exact.denominator).reduced().floats()
            error = np.where((floats[:, :-1] == 0).all(1), 0.0, np.abs(floats).max(1) * 2.0**-53)
            return floats[:, :-1], -floats[:, -1], error
        w, c, e = self.weight, self.bias, self.error
        if len(c) == 1:
            w, c, e = np.concatenate([-w, w]), np.concatenate([-c, c]), np.concatenate([e, e])
        size = np.abs(w).max(1) + np.abs(c)
        return w[[label]] - w, c - c[label], e[label] + e + (size[label] + size) * 2.0**-52


def output_map(lowered: Lowered, pieces: Pieces, dimension: int, exact: bool) -> Outputs:
    """The outputs with these pieces as an affine map: the nearest float64 if ``exact``, else in blocks of inputs."""
    if exact:
        found = exact_coefficients(lowered, pieces, dimension)[-1]
        floats = found.floats()
        return Outputs(floats[:, :-1], floats[:, -1], np.abs(floats).max(1) * 2.0**-53, found)
    rows, error = EnclosedRows(lowered), np.zeros(lowered.output.size)
    columns: list[np.ndarray] = []
    for first in range(0, dimension, COLUMNS):
        count = min(COLUMNS, dimension - first)
        directions = np.zeros((count, dimension))
        directions[np.arange(count), np.arange(first, first + count)] = 1
        out = rows(pieces, directions, linear=True)[-1]
        columns.append(out.value)
        np.maximum(error, out.error.max(0), out=error)
    constant = rows(pieces, np.zeros((1, dimension)))[-1]
    return Outputs(np.concatenate(columns).T.copy(), constant.value[0], np.maximum(error, constant.error[0]))
