"""Sizes of polytopes that are given by their vertices and the constraints on which these lie."""

from __future__ import annotations

import math
from itertools import combinations, permutations

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from tropica.regions.cells import Incidence, blocks
from tropica.regions.state import State

PADDED = 8
"""A table with a row for each polygon may be so many times as large as all of them."""


def ordered(cell: np.ndarray, at: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """The order in which the vertices of polygons, sorted by cell, go round: by cell, then by angle around its center."""
    x, y = at.T
    middle = [column.take(cell) for column in np.ascontiguousarray(centers.T)]
    angle = np.arctan2(y - middle[1], x - middle[0])
    count = np.bincount(cell, minlength=len(centers))
    most = int(count.max(initial=0))
    if most * len(count) > PADDED * len(cell):  # one polygon has far more corners than the others
        return np.lexsort((angle, cell))
    first = np.cumsum(count) - count
    rows = np.full((len(count), most), np.inf)
    rows[cell, np.arange(len(cell)) - first.take(cell)] = angle
    return (rows.argsort(1) + first[:, None])[np.arange(most) < count[:, None]]


def areas(state: State, cells: Incidence) -> np.ndarray:
    """The volumes (C,) of cells, cut into simplices (the barycentric subdivision).

    A simplex for each flag vertex ⊂ edge ⊂ ... ⊂ cell: its corners are the middles of these faces, and its volume is |det|/d!.
    A face of a cell is the set of its vertices that lie on some constraints; d! flags meet at each vertex of a simple polytope.
    """
    return np.concatenate([_areas(state, block) for _, block in blocks(cells)])


def _areas(state: State, cells: Incidence) -> np.ndarray:
    """Of cells that are looked at together."""
    d = state.d
    cell, vertex = cells.faces, cells.members
    at = state.vertices["at"][vertex][:, :d]
    on = np.sort(state.vertices["on"][vertex], axis=1).astype(np.int64)
    middles: dict[tuple[int, ...], np.ndarray] = {(): _middles([cell[:, None]], at)[0]}
    for size in range(1, d):
        several = list(combinations(range(d), size))
        found = _middles([np.concatenate([cell[:, None], on[:, slots]], 1) for slots in several], at)
        middles.update(zip(several, found, strict=True))
    total = np.zeros(len(cells))
    for flag in permutations(range(d)):
        chain = [at] + [middles[tuple(sorted(flag[k:]))] for k in range(1, d + 1)]
        sides = [chain[k + 1] - chain[k] for k in range(d)]
        total += np.bincount(cell, np.abs(_determinants(sides)), minlength=len(cells))
    return total / math.factorial(d)


def _determinants(sides: list[np.ndarray]) -> np.ndarray:
    """Of matrices with these rows (m, d), d of them."""
    if len(sides) > 3:
        return np.linalg.det(np.stack(sides, 1))
    columns = [side.T for side in sides]
    if len(sides) == 1:
        return columns[0][0]
    if len(sides) == 2:
        (a, b), (c, e) = columns
        return a * e - b * c
    (a, b, c), (p, q, r), (x, y, z) = columns
    return a * (q * z - r * y) - b * (p * z - r * x) + c * (p * y - q * x)


def _middles(faces: list[np.ndarray], at: np.ndarray) -> list[np.ndarray]:
    """The middle of the face that each vertex lies on, for several choices of faces; equal rows are one face."""
    rows = np.concatenate(faces)
    code = rows[:, 0]
    for column in rows.T[1:]:  # one number for each row
        base = int(column.max(initial=0)) + 1
        if int(code.max(initial=0)) > 2**62 // base:
            code = np.unique(code, return_inverse=True)[1].ravel()
        code = code * base + column
    _, number = np.unique(code, return_inverse=True)
    number = number.ravel()
    count = np.bincount(number)
    every = np.tile(at, (len(faces), 1))
    found = np.stack([np.bincount(number, column) / count for column in every.T], 1)[number]
    return np.split(found, len(faces))


def hull_volume(points: np.ndarray, dimension: int) -> float:
    """The volume of the convex hull of points (V, n) that span a flat of this dimension, in that flat (by Qhull).

    Qhull sees the points along their principal axes with equal spread, so that a thin hull is as good as any other. Where
    their floats lie on a lower flat, or do to rounding, the volume is 0.
    """
    centered = points - points.mean(0)
    _, spread, axes = np.linalg.svd(centered, full_matrices=False)
    if not spread[dimension - 1 :].any():
        return 0.0
    even = centered @ (axes[:dimension] / spread[:dimension, None]).T
    try:
        size = np.ptp(even) if dimension == 1 else ConvexHull(even).volume
    except QhullError:
        return 0.0
    return float(size * spread[:dimension].prod())
