"""Whether a point is inside a cell: each row is negative there, or is 0 everywhere."""

from __future__ import annotations

import numpy as np

from tropica.exact.rational_arrays import RationalArray
from tropica.queries.fixed_pieces import Pieces, exact_rows
from tropica.queries.halfspaces import COLUMNS, Halfspaces, exact_signs, rational_signs
from tropica.regions.lower.lowering import Lowered


def first_border(lowered: Lowered, pieces: Pieces, rows: Halfspaces, x: RationalArray | np.ndarray) -> tuple[int, int] | None:
    """A row that a point (1, D) is beyond (sign 1) or on (sign 0), with that sign; None for a point inside. Exactly; points in
    float64 are quicker than rational ones."""
    signs = (exact_signs if isinstance(x, np.ndarray) else rational_signs)(lowered, pieces, rows, x)[0]  # type: ignore[arg-type]
    if len(beyond := np.flatnonzero(signs > 0)):
        return int(beyond[0]), 1
    for i in np.flatnonzero(signs == 0).tolist():
        if not constant(lowered, pieces, rows, i):
            return i, 0
    return None


def constant(lowered: Lowered, pieces: Pieces, rows: Halfspaces, i: int) -> bool:
    """Whether a row has no coefficients but 0, exactly."""
    if rows.exact is not None:
        return not rows.exact.numerators[i, :-1].any()
    if (np.abs(rows.A[i]) > rows.error[i]).any():
        return False
    if rows.error[i] == 0 or rows.borders.stage[i] < 0:
        return True
    dimension = rows.A.shape[1]
    for first in range(0, dimension, COLUMNS):
        directions = np.eye(dimension, dtype=np.int64)[first : first + COLUMNS]
        *stages, _ = exact_rows(lowered, pieces, RationalArray(directions), linear=True)
        if rows.borders.exact(stages).numerators[:, i].any():
            return False
    return True
