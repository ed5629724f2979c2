"""``essential`` and ``upper_hull``: the vertices and the cells of the upper hull of a lifted point configuration."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from tropica.exact.determinants import cofactors
from tropica.exact.rational_arrays import as_objects, ratio
from tropica.polyhedra.configurations import LiftedConfiguration, lifted_configuration
from tropica.polyhedra.integer_hulls import upper_faces, upper_vertices
from tropica.runtime.html import HtmlRepr


def essential(points: Any, heights: Any) -> np.ndarray:
    """The points that attain max_i ⟨x, p_i⟩ + h_i alone at some x: the vertices of the upper hull.

    Args:
        points: (n, d) ints, Fractions or floats (read as exact rationals). Points may repeat, and may lie in an affine
            subspace.
        heights: (n,) ints, Fractions or floats.

    Returns:
        Sorted indices; of a repeated point the first of largest height.

    Raises:
        InputError: shapes that do not fit, no point, numbers that are not finite.

    >>> essential([[0], [1], [2], [1]], [0, 0, 0, -1]).tolist()  # the middle only ties
    [0, 2]
    """
    found = lifted_configuration(points, heights)
    return found.index[upper_vertices(found.lifted)]


@dataclass(frozen=True, eq=False)
class UpperHull(HtmlRepr):
    """The upper faces of the convex hull of the points (p_i, h_i): the graph of the least concave function above them.

    Attributes:
        configuration: the points in exact integers.
        vertices: (V,) sorted indices of the points that attain the maximum of ⟨x, p_i⟩ + h_i alone at some x.
        cells: the maximal upper faces, sorted: the sorted indices of all points on each, vertices or not; of repeated points
            the highest one only.
        spanning: (C, k + 1) affinely independent points of each cell.

    >>> from tropica.polyhedra import upper_hull
    >>> hull = upper_hull([[0], [1], [2], [4]], [0, 1, 2, 2])
    >>> hull, hull.vertices.tolist(), hull.slopes.tolist()
    (UpperHull(2 cells, 3 vertices, dimension 1), [0, 2, 3], [[-1], [0]])
    """

    configuration: LiftedConfiguration
    vertices: np.ndarray
    cells: list[tuple[int, ...]]
    spanning: np.ndarray

    @property
    def dimension(self) -> int:
        """k: the dimension of the points' affine hull."""
        return self.configuration.dimension

    @cached_property
    def slopes(self) -> np.ndarray:
        """(C, d) ints and Fractions: for each cell an x at which its points tie for the maximum.

        Where k < d such x form an affine subspace of dimension d − k; the one given is in the span of the directions of the
        affine hull.
        """
        c = self.configuration
        corners = np.concatenate([c.projected, c.heights.astype(object)[:, None]], 1)[c.places(self.spanning)]
        normals = cofactors(corners[:, 1:] - corners[:, :1], signed=True)
        slopes = as_objects(Fraction(a, n[-1] * c.scales[-1]) for n in normals.tolist() for a in n[:-1])
        return c.functional(slopes.reshape(len(normals), c.dimension))

    @cached_property
    def values(self) -> np.ndarray:
        """(C,) ints and Fractions: the maximum at the slopes of each cell."""
        c = self.configuration
        first = c.places(self.spanning[:, 0])
        scaled = self.slopes * np.array([Fraction(1, s) for s in c.scales[:-1]], dtype=object)
        values = (c.coordinates[first].astype(object) * scaled).sum(1)
        return as_objects(ratio(v + Fraction(int(h), c.scales[-1])) for v, h in zip(values, c.heights[first], strict=True))

    def __repr__(self) -> str:
        return f"UpperHull({len(self.cells)} cells, {len(self.vertices)} vertices, dimension {self.dimension})"


def upper_hull(points: Any, heights: Any) -> UpperHull:
    """The upper hull of lifted points, exactly.

    Args, Raises: as :func:`essential`.

    >>> hull = upper_hull([[0], [1], [2], [4]], [0, 1, 2, 2])  # max(0, x + 1, 2x + 2, 4x + 2)
    >>> hull.vertices.tolist(), hull.cells, hull.slopes.tolist()
    ([0, 2, 3], [(0, 1, 2), (2, 3)], [[-1], [0]])
    """
    found = lifted_configuration(points, heights)
    faces = upper_faces(found.lifted)
    cells = [tuple(found.index[c].tolist()) for c in faces.cells]
    order = sorted(range(len(cells)), key=cells.__getitem__)
    return UpperHull(found, found.index[faces.vertices], [cells[i] for i in order], found.index[faces.spanning[order]])
