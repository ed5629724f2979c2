"""Linear regions: cells of one affine map, connected through facets or through points."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tropica.regions.complex.cell_arrays import given
from tropica.regions.complex.enumerated import Enumerated


def components(count: int, pairs: np.ndarray) -> np.ndarray:
    """The number (C,) of each cell's component in a graph with edges (A, 2)."""
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def touching_pairs(found: Enumerated, map_of: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Pairs (A, 2) of cells of one map in different regions that have a vertex in common, exactly.

    Cells meet face to face, so that cells with a common point have a common vertex. Floats propose: vertices within the bounds
    of their displacement; the solutions of their hyperplanes decide.

    Args:
        found: the cells.
        map_of, region: (C,) the map of each cell, and its region through facets.
    """
    parted = np.zeros(map_of.max(initial=-1) + 1, bool)  # maps with several regions
    first = np.full(len(parted), -1)
    first[map_of[::-1]] = region[::-1]
    np.logical_or.at(parted, map_of, region != first[map_of])
    start, bound = given(found.cells.vertex_start), given(found.cells.displacement)
    cell = np.repeat(np.arange(len(found)), np.diff(start))
    rows = np.flatnonzero(parted[map_of[cell]] & (found.lifted[:, -1] > 0))
    pairs = [np.zeros((0, 2), np.int64)]
    for group in _close(found.vertices[rows], bound[rows]):
        own = rows[group]
        if len(np.unique(region[cell[own]])) == 1:
            continue
        place: dict[tuple[int, tuple[Fraction, ...]], int] = {}
        for row in own.tolist():
            point = tuple(found.exact_corner(row))
            other = place.setdefault((int(map_of[cell[row]]), point), int(cell[row]))
            if region[other] != region[cell[row]]:
                pairs.append(np.array([[other, cell[row]]]))
    return np.concatenate(pairs)


def _close(points: np.ndarray, bound: np.ndarray) -> list[np.ndarray]:
    """Sets of points that may coincide: parted at gaps, one coordinate after the other."""
    groups = [np.arange(len(points))] if len(points) else []
    for column in points.T:
        parted = []
        for group in groups:
            order = group[np.argsort(column[group] - bound[group], kind="stable")]
            reach = np.maximum.accumulate(column[order] + bound[order])
            gaps = np.flatnonzero((column[order] - bound[order])[1:] > reach[:-1] + 1e-300) + 1
            parted += [part for part in np.split(order, gaps) if len(part) > 1]
        groups = parted
    return groups
