"""Upper vertices in many dimensions, where hulls have too many faces: a linear program a point, each answer proved exactly.

A point is alone the maximum somewhere, or it is below a convex combination of others. HiGHS proposes the place, or the
combination; both are checked in integers. Where neither passes, the simplex method in Fractions decides.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from scipy.optimize import linprog

from tropica.exact.linear_algebra import echelon
from tropica.polyhedra.configuration import solve
from tropica.polyhedra.predicates import Points


def vertices_by_programs(points: Points) -> np.ndarray:
    """As :func:`tropica.polyhedra.upper.upper_vertices`; time: a program with k + 1 variables and n rows for each point."""
    z = points.whole.astype(object)
    x = points.floats[:, :-1] / np.maximum(np.abs(points.floats[:, :-1]).max(0), 1e-300)
    tops = points.floats[:, -1] / max(np.abs(points.floats[:, -1]).max(), 1e-300)
    scales = _scales(points)
    return np.flatnonzero([_is_vertex(i, z, x, tops, scales) for i in range(points.n)])


def _scales(points: Points) -> list[Fraction]:
    """What each coordinate, and the height, was divided by for the programs, exactly."""
    whole, found = points.whole, []
    for column, floats in zip(whole.T, points.floats.T, strict=True):
        at = int(np.abs(floats).argmax())
        found.append(Fraction(abs(int(column[at]))) or Fraction(1))
    return found


def _is_vertex(i: int, z: np.ndarray, x: np.ndarray, tops: np.ndarray, scales: list[Fraction]) -> bool:
    others = np.delete(np.arange(len(z)), i)
    if not len(others):
        return True
    k = x.shape[1]
    # max t: ⟨y, p_j − p_i⟩ + h_j − h_i + t ≤ 0, t ≤ 1
    rows = np.concatenate([x[others] - x[i], np.ones((len(others), 1))], 1)
    bounds = [(None, None)] * k + [(None, 1.0)]
    result = linprog(np.append(np.zeros(k), -1.0), A_ub=rows, b_ub=tops[i] - tops[others], bounds=bounds, method="highs")
    differences = z[others] - z[i]
    if result.x is not None and result.x[-1] > 0 and _alone(result.x[:-1], differences, scales):
        return True
    if result.x is not None and _covered(np.flatnonzero(result.ineqlin.marginals < -1e-9), differences):
        return False
    return not shadowed(differences)


def _alone(y: np.ndarray, differences: np.ndarray, scales: list[Fraction]) -> bool:
    """Is the point alone the maximum at slopes y? Exactly, y being the rationals that they are."""
    slopes = [Fraction(e) * scales[-1] / s for e, s in zip(y.tolist(), scales[:-1], strict=True)]
    return bool((differences @ np.array([*slopes, Fraction(1)], dtype=object) < 0).all())


def _covered(support: np.ndarray, differences: np.ndarray) -> bool:
    """Is the origin on or below the simplex of these points?"""
    k = differences.shape[1] - 1
    if not 0 < len(support) <= k + 1:
        return False
    rows = differences[support]
    system = np.concatenate([rows[:, :k].T, np.ones((1, len(support)), dtype=object)])
    right = np.array([[0]] * k + [[1]], dtype=object)
    reduced, _, pivots = echelon(np.concatenate([system, right], 1))
    if pivots != list(range(len(support))):
        return False  # dependent, or without a solution
    weights = solve(reduced[:, :-1], reduced[:, -1:])[:, 0].tolist()
    return min(weights) >= 0 and sum(w * h for w, h in zip(weights, rows[:, k].tolist(), strict=True)) >= 0


def shadowed(differences: np.ndarray) -> bool:
    """Is the origin on or below the upper hull of these points (n, k + 1)? By the simplex method, exactly, with Bland's rule.

    >>> shadowed(np.array([[-1, 0], [1, 0]], dtype=object)), shadowed(np.array([[-1, -1], [1, 0]], dtype=object))
    (True, False)
    """
    n, width = differences.shape
    k = width - 1
    # Σ λ_j p_j = 0, Σ λ_j = 1, λ ≥ 0, with an artificial variable a row; first these to 0, then Σ λ_j h_j to its maximum.
    table = [[Fraction(e) for e in row] for row in differences[:, :k].T.tolist()] + [[Fraction(1)] * n]
    right = [Fraction(0)] * k + [Fraction(1)]
    basis = list(range(n, n + width))
    table = [row + [Fraction(int(i == r)) for i in range(width)] for r, row in enumerate(table)]
    heights = [Fraction(h) for h in differences[:, k].tolist()]
    value = _climb(table, right, basis, [Fraction(0)] * n + [Fraction(-1)] * width, n + width)
    if value < 0:
        return False
    # Artificial variables that are left in the basis are 0: out, where their row has anything else.
    for r in range(width):
        if basis[r] >= n:
            column = next((c for c in range(n) if table[r][c] != 0), None)
            if column is not None:
                _pivot(table, right, basis, r, column)
    return _climb(table, right, basis, heights + [Fraction(0)] * width, n) >= 0


def _climb(
    table: list[list[Fraction]], right: list[Fraction], basis: list[int], gain: list[Fraction], columns: int
) -> Fraction:
    """Pivot until the objective is at its maximum (the feasible set is bounded): its value."""
    while True:
        prices = [gain[b] for b in basis]
        entering = next(
            (c for c in range(columns) if gain[c] > sum(p * row[c] for p, row in zip(prices, table, strict=True))), None
        )
        if entering is None:
            return sum((p * r for p, r in zip(prices, right, strict=True)), Fraction(0))
        ratios = [(right[r] / row[entering], basis[r], r) for r, row in enumerate(table) if row[entering] > 0]
        _pivot(table, right, basis, min(ratios)[2], entering)


def _pivot(table: list[list[Fraction]], right: list[Fraction], basis: list[int], r: int, c: int) -> None:
    p = table[r][c]
    table[r], right[r] = [e / p for e in table[r]], right[r] / p
    for i, row in enumerate(table):
        if i != r and row[c] != 0:
            factor = row[c]
            table[i] = [a - factor * b for a, b in zip(row, table[r], strict=True)]
            right[i] -= factor * right[r]
    basis[r] = c
