"""Tropical hypersurfaces as polyhedral complexes, and the dual subdivisions of their Newton polytopes.

A face σ of the dual subdivision and the set σ* = {x : all monomials of σ are maximal at x} are dual: they are orthogonal,
dim σ + dim σ* = d, and σ ⊂ τ exactly if σ* ⊃ τ*. Vertices σ are dual to the closed regions of the complement of
the hypersurface, edges to its facets (of dimension d − 1), maximal cells to its minimal faces.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tropica.exact.linear_algebra import kernel
from tropica.exact.rational_arrays import exact_array, exact_numbers
from tropica.polyhedra.complexes import Face, PolyhedralComplex
from tropica.polyhedra.conventions import Convention, sign_of
from tropica.polyhedra.subdivision import Subdivision
from tropica.polyhedra.upper_hull import upper_hull

__all__ = ["Face", "PolyhedralComplex", "Subdivision", "dual_subdivision", "hypersurface"]


def dual_subdivision(points: Any, heights: Any, *, convention: Convention = "max") -> Subdivision:
    """The regular subdivision of the convex hull of points (n, d) by heights (n,): the projection of the upper faces.

    Args:
        points, heights: as for :func:`essential`.
        convention: "max"; or "min" for the projection of the lower faces.

    Raises:
        InputError: as :func:`essential`; another convention.

    >>> s = dual_subdivision([[0, 0], [1, 0], [0, 1], [1, 1]], [0, 0, 0, -1])
    >>> s.cells, len(s.faces(1))
    ([(0, 1, 2), (1, 2, 3)], 5)
    """
    if sign_of(convention) < 0:
        heights = -exact_numbers(exact_array(heights, "heights", 1))
    return Subdivision(upper_hull(points, heights), convention=convention)


def hypersurface(points: Any, heights: Any, *, convention: Convention = "max") -> PolyhedralComplex:
    """The set where the maximum of ⟨x, p_i⟩ + h_i is attained at least twice, as a polyhedral complex with weights.

    Args:
        points, heights: as for :func:`essential`.
        convention: "max"; or "min" for the set where the minimum is attained at least twice.

    Raises:
        InputError: as :func:`essential`; another convention.

    >>> line = hypersurface([[0, 0], [1, 0], [0, 1]], [0, 0, 0])
    >>> line.vertices.tolist(), line.rays.tolist(), [f.weight for f in line.faces(1)]
    ([[0, 0]], [[-1, 0], [0, -1], [1, 1]], [1, 1, 1])
    >>> hypersurface([[0, 0], [1, 0], [0, 1]], [0, 0, 0], convention="min").rays.tolist()
    [[1, 0], [0, 1], [-1, -1]]
    """
    s = dual_subdivision(points, heights, convention=convention)
    sign = sign_of(convention)
    c = s.hull.configuration
    d = c.coordinates.shape[1]
    rays = np.array([sign * normal for normal, _ in s.border], dtype=object).reshape(len(s.border), d)
    return PolyhedralComplex(s, sign * s.hull.slopes, rays, kernel(c.spans))
