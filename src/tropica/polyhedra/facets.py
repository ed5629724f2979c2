"""The facets of a convex hull, exactly: upper ones, lower ones, and those between, dimension by dimension."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tropica.polyhedra.configuration import row_numbers
from tropica.polyhedra.predicates import Points
from tropica.polyhedra.rational import compact, echelon, rank
from tropica.polyhedra.upper import upper_cells
from tropica.polyhedra.wrapping import plane_through


@dataclass(frozen=True, eq=False)
class Facet:
    """{x : ⟨normal, x⟩ ≤ offset} holds the hull, with equality at ``points`` (sorted indices); integers, normal primitive."""

    normal: np.ndarray
    offset: int
    points: np.ndarray


def facets(x: np.ndarray) -> list[Facet]:
    """Of integer points (n, k) that span k ≥ 1 dimensions; points may repeat."""
    x = x.astype(object)
    k = x.shape[1]
    if k == 1:
        low, high = min(x[:, 0]), max(x[:, 0])
        one = np.array([1], dtype=object)
        return [Facet(one, high, np.flatnonzero(x[:, 0] == high)), Facet(-one, -low, np.flatnonzero(x[:, 0] == low))]
    found: list[Facet] = []
    number, count = row_numbers(x[:, :-1])
    for sign in (1, -1):
        best = _best(number, count, sign * x[:, -1])
        lifted = Points([compact(x[best, j]) for j in range(k - 1)] + [compact(sign * x[best, -1])])
        found += [_facet(x, best[cell], sign) for cell in upper_cells(lifted)]
    if found[0].normal.tolist() == (-found[-1].normal).tolist() and found[0].offset == -found[-1].offset:
        raise AssertionError("the points do not span their space")
    for wall in facets(x[:, :-1]):
        if rank(x[wall.points] - x[wall.points[:1]]) == k - 1:
            found.append(Facet(np.append(wall.normal, 0), wall.offset, wall.points))
    return found


def _best(number: np.ndarray, count: int, heights: np.ndarray) -> np.ndarray:
    """The highest point over each place."""
    best = np.full(count, -1)
    for i, c in enumerate(number.tolist()):
        if best[c] < 0 or heights[i] > heights[best[c]]:
            best[c] = i
    return best


def _facet(x: np.ndarray, cell: np.ndarray, sign: int) -> Facet:
    _, rows, _ = echelon(x[cell, :-1] - x[cell[:1], :-1])
    normal = plane_through(x[np.concatenate([cell[:1], cell[rows]])])
    if normal[-1] * sign < 0:
        normal = -normal
    offset = normal @ x[cell[0]]
    return Facet(normal, offset, np.flatnonzero(x @ normal == offset))
