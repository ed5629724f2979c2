"""Steps from a facet into the cell beyond it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from tropica.exact.rational_arrays import RationalArray, compact
from tropica.queries.halfspaces import Halfspaces


def half_way(rows: Halfspaces, at: RationalArray, out: RationalArray) -> Fraction:
    """Half the way along a direction to the first hyperplane, exactly for small cells; 1 if there is none."""
    if rows.exact is not None:
        normals = rows.exact.numerators.astype(object)
        value = normals[:, :-1] @ at.numerators[0].astype(object) + normals[:, -1] * at.denominator
        speed = normals[:, :-1] @ out.numerators[0].astype(object)
        ahead = [Fraction(-v * out.denominator, u * at.denominator) for v, u in zip(value, speed, strict=True) if u > 0]
        return min(ahead, default=Fraction(2)) / 2
    p, v = at.floats()[0], out.floats()[0]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        speeds, slack = rows.A @ v, rows.b - rows.A @ p
        size = np.abs(rows.A) @ np.abs(p) + np.abs(rows.b)
        hits = np.where((speeds > 0) & (slack > 1e-12 * size), slack / speeds, np.inf)
    return Fraction(float(hits.min()) / 2) if np.isfinite(hits).any() else Fraction(1)


def near_one(direction: np.ndarray) -> RationalArray:
    """An integer vector (1, D) times a power of two, of size about 1."""
    bits = max(abs(int(e)) for e in direction[0]).bit_length()
    return RationalArray(compact(direction), 1 << bits).reduced()
