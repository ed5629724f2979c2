"""A certified linear program: HiGHS proposes, integers verify.

The program decides whether a point lies above the upper hull of others, a question of lifted point configurations and of linear
classifiers. Yes is certified by a separating hyperplane, no by a convex combination on or above the point. Where neither
certificate passes, the simplex method in Fractions decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from scipy.optimize import linprog

from tropica.exact.linear_algebra import solve


def exceeds_upper_hull(points: np.ndarray, floats: np.ndarray, scales: Sequence[Fraction]) -> bool:
    """Whether the origin lies strictly above the upper hull of lifted points (p_j, h_j).

    Equivalently, some y has ⟨y, p_j⟩ + h_j < 0 for all j; otherwise some convex weights λ have Σ λ_j p_j = 0, Σ λ_j h_j ≥ 0.

    Args:
        points: (n, k + 1) integers, h in the last column.
        floats: (n, k + 1) float64, the points divided by the scales, approximately.
        scales: k + 1 positive numbers.

    >>> exceeds_upper_hull(np.array([[-1, -1], [1, 0]]), np.array([[-1.0, -1.0], [1.0, 0.0]]), [Fraction(1)] * 2)
    True
    """
    if not len(points):
        return True
    k = points.shape[1] - 1
    # max t: ⟨y, p_j⟩ + h_j + t ≤ 0, t ≤ 1
    rows = np.concatenate([floats[:, :-1], np.ones((len(floats), 1))], 1)
    bounds = [(None, None)] * k + [(None, 1.0)]
    result = linprog(np.append(np.zeros(k), -1.0), A_ub=rows, b_ub=-floats[:, -1], bounds=bounds, method="highs")
    if result.x is not None and np.isfinite(result.x).all():
        if result.x[-1] > 0 and _separates(result.x[:-1], points, scales):
            return True
        if _combines(np.flatnonzero(result.ineqlin.marginals < -1e-9), points):
            return False
    return not _reaches_origin(points)


def _separates(y: np.ndarray, points: np.ndarray, scales: Sequence[Fraction]) -> bool:
    """Whether ⟨y, p_j⟩ + h_j < 0 for all j, for y in the scaled units, read as exact rationals."""
    slopes = [Fraction(e) * scales[-1] / s for e, s in zip(y.tolist(), scales[:-1], strict=True)]
    return bool((points @ np.array([*slopes, Fraction(1)], dtype=object) < 0).all())


def _combines(support: np.ndarray, points: np.ndarray) -> bool:
    """Whether the origin is a convex combination of these p_j, with heights of at least 0."""
    k = points.shape[1] - 1
    if not 0 < len(support) <= k + 1:
        return False
    rows = points[support].astype(object)
    system = np.concatenate([rows[:, :k].T, np.ones((1, len(support)), dtype=object)])
    weights = solve(system, np.array([[0]] * k + [[1]], dtype=object))
    return weights is not None and bool(min(weights[:, 0]) >= 0 and weights[:, 0] @ rows[:, k] >= 0)


def _reaches_origin(points: np.ndarray) -> bool:
    """The negation of :func:`exceeds_upper_hull`, by the simplex method in Fractions with Bland's rule."""
    n, width = points.shape
    k = width - 1
    # Σ λ_j p_j = 0, Σ λ_j = 1, λ ≥ 0. Phase 1 drives one artificial variable per row to 0; phase 2 maximizes Σ λ_j h_j.
    table = [[Fraction(e) for e in row] for row in points[:, :k].T.tolist()] + [[Fraction(1)] * n]
    right = [Fraction(0)] * k + [Fraction(1)]
    basis = list(range(n, n + width))
    table = [row + [Fraction(int(i == r)) for i in range(width)] for r, row in enumerate(table)]
    heights = [Fraction(h) for h in points[:, k].tolist()]
    value = _maximize(table, right, basis, [Fraction(0)] * n + [Fraction(-1)] * width, n + width)
    if value < 0:
        return False
    # Artificial variables left in the basis are 0: they leave it where their row has another nonzero entry.
    for r in range(width):
        if basis[r] >= n:
            column = next((c for c in range(n) if table[r][c] != 0), None)
            if column is not None:
                _pivot(table, right, basis, r, column)
    return _maximize(table, right, basis, heights + [Fraction(0)] * width, n) >= 0


def _maximize(
    table: list[list[Fraction]], right: list[Fraction], basis: list[int], gain: list[Fraction], columns: int
) -> Fraction:
    """Pivot until the objective is largest (the feasible set is bounded), and return its value."""
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
    """Bring column c into the basis in row r, in place."""
    p = table[r][c]
    table[r], right[r] = [e / p for e in table[r]], right[r] / p
    for i, row in enumerate(table):
        if i != r and row[c] != 0:
            factor = row[c]
            table[i] = [a - factor * b for a, b in zip(row, table[r], strict=True)]
            right[i] -= factor * right[r]
    basis[r] = c
