"""A point in the relative interior of one facet of a cell in many dimensions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from scipy.optimize import linprog

from tropica.exact.linear_algebra import rank
from tropica.exact.rational_arrays import RationalArray, rationals
from tropica.queries.cell import Cell
from tropica.queries.fixed_pieces import exact_rows
from tropica.queries.halfspaces import exact_signs
from tropica.queries.rational_vectors import difference, moved


def crossing(here: Cell, row: int) -> tuple[RationalArray, RationalArray] | None:
    """Where a segment from inside a cell leaves it through the facet of a row, and the segment's direction, exactly.

    HiGHS proposes the middle of the facet. A point a little beyond it proves the facet if it violates rows of this hyperplane
    alone.

    Returns:
        The point and the direction (1, D), or None if the row is not proven to be a facet.
    """
    rows = here.halfspaces
    c = here.inside.floats()[0]
    if not (exact_signs(here.lowered, here.pieces, rows, c[None]) <= 0).all():
        return None
    size = np.linalg.norm(rows.A, axis=1)
    used = size > 0
    A, slack = rows.A[used] / size[used, None], (rows.b - rows.A @ c)[used] / size[used]
    mine = A @ (rows.A[row] / size[row])
    others = np.abs(mine) < 1 - 1e-12
    own = rows.A[row] / size[row]
    target = float((rows.b[row] - rows.A[row] @ c) / size[row])
    cost = np.append(np.zeros(len(c)), -1.0)
    result = linprog(
        cost,
        A_ub=np.column_stack([A[others], np.ones(int(others.sum()))]),
        b_ub=slack[others],
        A_eq=np.append(own, 0.0)[None],
        b_eq=[target],
        bounds=[*[(None, None)] * len(c), (None, max(1.0, 10 * abs(target)))],
        method="highs",
    )
    if result.x is None or result.x[-1] <= 0:
        return None
    q = c + result.x[:-1] + own * result.x[-1] / 4
    violated = np.flatnonzero(exact_signs(here.lowered, here.pieces, rows, q[None])[0] > 0)
    if row not in violated or (rows.borders.stage[violated] < 0).any():
        return None
    start, end = rationals(c[None]), rationals(q[None])
    at_c, at_q = (_values(here, x, violated) for x in (start, end))
    shares = {p / (p - r) for p, r in zip(at_c, at_q, strict=True)}
    parallel = len(violated) == 1 or (rows.exact is not None and rank(rows.exact.numerators[violated].astype(object)) == 1)
    if len(shares) != 1 or not parallel:
        return None
    direction = difference(end, start)
    return moved(start, direction, shares.pop()), direction


def _values(here: Cell, x: RationalArray, chosen: np.ndarray) -> list[Fraction]:
    *stages, _ = exact_rows(here.lowered, here.pieces, x)
    found = here.borders.exact(stages)
    return [Fraction(int(found.numerators[0, i]), found.denominator) for i in chosen]
