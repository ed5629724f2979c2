"""``essential`` and ``upper_hull``: which points of a lifted configuration are on top, and on which faces."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from tropica.exact.determinants import cofactors
from tropica.exact.rational_arrays import as_objects, ratio
from tropica.polyhedra.configuration import Configuration, configuration
from tropica.polyhedra.upper import upper_faces, upper_vertices


def essential(points: Any, heights: Any) -> np.ndarray:
    """The points that matter to x ↦ max_i ⟨x, p_i⟩ + h_i: those that are its only maximum somewhere.

    Args:
        points: (n, d) ints, Fractions or floats (taken as the rationals they are); flat and repeated points are ordinary.
        heights: (n,) likewise.

    Returns:
        Sorted indices; of repeated points the first of largest height.

    Raises:
        InputError: shapes that do not fit, no point, numbers that are not finite.

    >>> essential([[0], [1], [2], [1]], [0, 0, 0, -1]).tolist()  # the middle only ties
    [0, 2]
    """
    found = configuration(points, heights)
    return found.index[upper_vertices(found.lifted)]


@dataclass(frozen=True, eq=False)
class UpperHull:
    """The upper faces of the convex hull of {(p_i, h_i)}: the graph of the least concave function above the points.

    Attributes:
        configuration: the points in exact integers.
        vertices: (V,) sorted indices of the points that are alone the maximum of ⟨x, p_i⟩ + h_i for some x.
        cells: the maximal upper faces: sorted indices of all points on each, vertices or not; of repeated points the highest
            only. Sorted.
        spanning: (C, k + 1) points of each cell that are affinely independent.
    """

    configuration: Configuration
    vertices: np.ndarray
    cells: list[tuple[int, ...]]
    spanning: np.ndarray

    @property
    def dimension(self) -> int:
        """k: of the points' affine hull."""
        return self.configuration.k

    @cached_property
    def slopes(self) -> np.ndarray:
        """(C, d) ints and Fractions: for each cell the x at which its points tie for the maximum.

        Where k < d that is a flat of dimension d − k, and this is its point in the span of the directions of the affine hull.
        """
        c = self.configuration
        place = np.searchsorted(c.index, self.spanning)
        corners = np.concatenate([c.flat, c.heights.astype(object)[:, None]], 1)[place]
        normals = cofactors(corners[:, 1:] - corners[:, :1], signed=True)
        slopes = as_objects(Fraction(a, n[-1] * c.scales[-1]) for n in normals.tolist() for a in n[:-1])
        return c.functional(slopes.reshape(len(normals), c.k))

    @cached_property
    def values(self) -> np.ndarray:
        """(C,) ints and Fractions: the maximum at each of the slopes."""
        c = self.configuration
        at = np.searchsorted(c.index, self.spanning[:, 0])
        value = [Fraction(int(c.heights[i]), c.scales[-1]) for i in at.tolist()]
        for j, scale in enumerate(c.scales[:-1]):
            p = c.coordinates[at, j].tolist()
            value = [v + Fraction(int(a), scale) * x for v, a, x in zip(value, p, self.slopes[:, j].tolist(), strict=True)]
        return as_objects(ratio(v.numerator, v.denominator) for v in value)


def upper_hull(points: Any, heights: Any) -> UpperHull:
    """The upper hull of lifted points, exactly.

    Args, Raises: as :func:`essential`.

    >>> hull = upper_hull([[0], [1], [2], [4]], [0, 1, 2, 2])  # max(0, x + 1, 2x + 2, 4x + 2)
    >>> hull.vertices.tolist(), hull.cells, hull.slopes.tolist()
    ([0, 2, 3], [(0, 1, 2), (2, 3)], [[-1], [0]])
    """
    found = configuration(points, heights)
    cells, vertices, spanning = upper_faces(found.lifted)
    named = [tuple(found.index[c].tolist()) for c in cells]
    order = sorted(range(len(named)), key=named.__getitem__)
    return UpperHull(found, found.index[vertices], [named[i] for i in order], found.index[spanning[order]])
