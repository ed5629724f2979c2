"""The largest ball in a polyhedron."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.optimize import linprog


class Center(NamedTuple):
    """A ball in a polyhedron: its center (D,) and its radius, which is the true one of this center."""

    point: np.ndarray
    radius: float


def chebyshev_center(A: np.ndarray, b: np.ndarray, inside: np.ndarray, dual: float) -> Center:
    """The largest ball in {x : A x ≤ b}: max r with a·x + r ‖a‖ ≤ b, the norms of the rows being dual (HiGHS).

    Args:
        A, b: rows (N, D) and (N,).
        inside: a point inside, which is the center if balls are as large as one likes or HiGHS finds none.
        dual: the order of the dual norm.
    """
    size = np.linalg.norm(A, dual, axis=1)
    A, b, size = A[size > 0], b[size > 0], size[size > 0]
    if not len(A):
        return Center(inside, math.inf)
    scaled, slack = A / size[:, None], (b - A @ inside) / size
    reach = max(float(np.abs(slack).min()), 1e-300)  # coordinates in which the ball about the point has radius 1
    rows = np.column_stack([scaled, np.ones(len(A))])
    cost = np.append(np.zeros(len(inside)), -1.0)
    result = linprog(cost, A_ub=rows, b_ub=slack / reach, bounds=(None, None), method="highs")
    if result.status == 3:
        return Center(inside, math.inf)
    point = inside if result.x is None else inside + result.x[:-1] * reach
    radii = [float(((b - A @ p) / size).min()) for p in (point, inside)]
    return Center(point, radii[0]) if radii[0] > radii[1] else Center(inside, max(radii[1], 0.0))
