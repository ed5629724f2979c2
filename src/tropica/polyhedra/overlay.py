"""The common refinement (overlay) of two tropical hypersurfaces, by the Cayley trick.

The *Cayley configuration* of (p_i) and (q_j) consists of the points (p_i, 0) and (q_j, 1) in dimension d + 1. The cells of
the overlay are the upper vertices p_i + q_j of the Minkowski sum of the two lifted configurations: the edges of the Cayley
configuration's upper hull between a point of the first and one of the second. The vertices of the overlay are dual to its
cells: no sum is ever formed.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np

from tropica.errors import InputError
from tropica.exact.linear_algebra import rank
from tropica.exact.rational_arrays import exact_array, exact_numbers, ratio, rationals
from tropica.polyhedra.configurations import LiftedConfiguration, lifted_configuration
from tropica.polyhedra.coplanar_cells import CoplanarCells
from tropica.polyhedra.integer_hulls import cell_ridges, gift_wrap, hull_ring
from tropica.polyhedra.triangulation import propose
from tropica.polyhedra.upper_hull import essential, upper_hull
from tropica.runtime.html import HtmlRepr


def overlay_pairs(p1: Any, h1: Any, p2: Any, h2: Any) -> np.ndarray:
    """The essential monomials of f ⊙ g, as pairs of a monomial of f and one of g.

    Args:
        p1, h1: exponents (n, d) and coefficients (n,) of f, as for :func:`essential`.
        p2, h2: exponents and coefficients of g.

    Returns:
        (M, 2) indices, sorted: pairs (i, j) such that at some point i alone attains the maximum of f and j that of g. One row
        for each cell of the common refinement.

    Raises:
        InputError: as :func:`essential`; different d.

    >>> overlay_pairs([[0], [1]], [0, 0], [[0], [2]], [0, -2]).tolist()  # breakpoints 0 and 1
    [[0, 0], [1, 0], [1, 1]]
    """
    points, heights, first = _cayley(p1, h1, p2, h2)
    chosen = np.concatenate(
        [essential(points[:first, :-1], heights[:first]), first + essential(points[first:, :-1], heights[first:])]
    )
    edges = _edges_between(lifted_configuration(points[chosen], heights[chosen]), chosen >= first)
    pairs = np.sort(chosen[edges], axis=1) - [0, first]
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def overlay_cells(p1: Any, h1: Any, p2: Any, h2: Any) -> int:
    """The number of full-dimensional cells of the common refinement: the sets on which both f and g are affine.

    For a tropical rational function f ⊘ g it is an upper bound on the number of linear regions, and generically that number.
    Args, Raises: as :func:`overlay_pairs`.

    >>> overlay_cells([[0], [1]], [0, 0], [[0], [2]], [0, -2])
    3
    """
    return len(overlay_pairs(p1, h1, p2, h2))


@dataclass(frozen=True)
class MixedCell(HtmlRepr):
    """A vertex of the common refinement of two hypersurfaces, and the dual cell σ + τ of the mixed subdivision.

    Attributes:
        point: the vertex (d,), ints and Fractions; where both Newton polytopes are orthogonal to a common direction, a point of
            the affine subspace that replaces the vertex.
        first, second: the monomials of f and of g that are maximal at the vertex.
        dimensions: the dimensions of σ and τ.
        multiplicity: in the plane, the mixed volume of σ and τ, vol(σ + τ) − vol(σ) − vol(τ), with which the vertex counts in
            the stable intersection of both curves; None in other dimensions.

    >>> from tropica.polyhedra import mixed_cells
    >>> (crossing,) = mixed_cells([[0, 0], [1, 0]], [0, 0], [[0, 0], [0, 1]], [0, 5])  # two lines
    >>> crossing.point.tolist(), crossing.mixed, crossing.multiplicity
    ([0, -5], True, 1)
    """

    point: np.ndarray
    first: tuple[int, ...]
    second: tuple[int, ...]
    dimensions: tuple[int, int]
    multiplicity: int | Fraction | None = None

    @property
    def mixed(self) -> bool:
        """Whether both hypersurfaces go through the vertex."""
        return min(self.dimensions) > 0


def mixed_cells(p1: Any, h1: Any, p2: Any, h2: Any) -> list[MixedCell]:
    """The vertices of the overlay of two hypersurfaces, as cells of the mixed subdivision.

    Args, Raises: as :func:`overlay_pairs`.

    >>> cells = mixed_cells([[0, 0], [1, 0]], [0, 0], [[0, 0], [0, 1]], [0, 5])  # two lines that cross
    >>> [(c.point.tolist(), c.first, c.second, c.mixed) for c in cells]
    [([0, -5], (0, 1), (0, 1), True)]
    """
    points, heights, first = _cayley(p1, h1, p2, h2)
    hull = upper_hull(points, heights)
    c = hull.configuration
    out = []
    for cell, slope in zip(hull.cells, hull.slopes[:, :-1], strict=True):
        parts = [i for i in cell if i < first], [i for i in cell if i >= first]
        rows = [c.coordinates[c.places(part)].astype(object) for part in parts]
        sizes = (rank(rows[0] - rows[0][:1]), rank(rows[1] - rows[1][:1]))
        one, other = tuple(parts[0]), tuple(i - first for i in parts[1])
        number = _multiplicity(exact_numbers(points[list(parts[0]), :-1]), exact_numbers(points[list(parts[1]), :-1]))
        out.append(MixedCell(slope, one, other, sizes, number))
    return out


def _multiplicity(sigma: np.ndarray, tau: np.ndarray) -> int | Fraction | None:
    """The mixed area of two polygons; None in other dimensions."""
    if sigma.shape[1] != 2:
        return None
    total = [_area((sigma[:, None] + tau[None]).reshape(-1, 2)), _area(sigma), _area(tau)]
    return ratio(total[0] - total[1] - total[2])


def _area(points: np.ndarray) -> Fraction:
    """The area of the convex hull of points in the plane."""
    rational = rationals(points)
    ring = hull_ring(rational.numerators)
    twice = sum(a[0] * b[1] - a[1] * b[0] for a, b in zip(ring, ring[1:] + ring[:1], strict=True))
    return Fraction(twice, 2 * rational.denominator**2)


def _cayley(p1: Any, h1: Any, p2: Any, h2: Any) -> tuple[np.ndarray, np.ndarray, int]:
    """The Cayley configuration: points (n, d + 1), heights (n,), and the number of points of the first configuration."""
    points = [exact_array(p1, "points of the first", 2), exact_array(p2, "points of the second", 2)]
    heights = [exact_array(h1, "heights of the first", 1), exact_array(h2, "heights of the second", 1)]
    if points[0].shape[1] != points[1].shape[1]:
        found = f"{points[0].shape[1]} and {points[1].shape[1]}"
        raise InputError(f"both configurations must have points of the same dimension; found {found}")
    for name, p, h in zip(("first", "second"), points, heights, strict=True):
        if len(p) != len(h):
            raise InputError(f"there must be one height per point; the {name} has {len(p)} points and {len(h)} heights")
        if not len(p):
            raise InputError(f"at least one point is needed; the {name} has none")
    both = _concatenated(points)
    last = np.arange(len(both)) >= len(points[0])
    return np.concatenate([both, last[:, None].astype(both.dtype)], 1), _concatenated(heights), len(points[0])


def _concatenated(arrays: list[np.ndarray]) -> np.ndarray:
    """Arrays one after the other, exactly: ints beside floats stay ints."""
    if arrays[0].dtype != arrays[1].dtype:
        arrays = [exact_array(a.astype(object), "numbers", a.ndim) for a in arrays]
    return np.concatenate(arrays)


def _edges_between(cayley: LiftedConfiguration, second: np.ndarray) -> np.ndarray:
    """The edges (M, 2) of the upper hull between the two configurations, whose points must all be vertices."""
    found = propose(cayley.lifted)
    if found is not None:
        return CoplanarCells(cayley.lifted, found).edges(second.astype(np.int64))
    x = cayley.lifted.integers.astype(object)[:, :-1]
    edges: set[tuple[int, int]] = set()
    for cell in gift_wrap(cayley.lifted):
        ridges = cell_ridges(x, cell)
        for i, j in product(cell[~second[cell]].tolist(), cell[second[cell]].tolist()):
            through = [normal for points, normal in ridges if i in points and j in points]
            if cayley.dimension == 1 or (through and rank(np.stack(through)) == cayley.dimension - 1):
                edges.add((i, j))
    return np.array(sorted(edges), np.int64).reshape(-1, 2)
