"""The part of a tropical hypersurface in a box, as polygons and segments to draw (in floating point)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray, rationals
from tropica.polyhedra.conventions import Convention, sign_of
from tropica.polyhedra.dual_complexes import PolyhedralComplex, hypersurface
from tropica.polyhedra.thumbnails import extent_of
from tropica.tropical.boundary_superset import BoundarySuperset
from tropica.tropical.semiring_polynomial import SemiringPolynomial
from tropica.tropical.variable_names import Names, plain_name

Limits = Any
"""A pair (low, high) for each coordinate."""
LARGEST = 1e120
"""Numbers up to which products of two do not overflow where figures are clipped."""


@dataclass(frozen=True, eq=False)
class Lifted:
    """Exponents (n, d) and coefficients (n,), with the convention that gives them their meaning, and names of variables."""

    exponents: Any
    coefficients: Any
    convention: Convention
    names: Names


def lifted(p: Any) -> Lifted:
    """What a figure draws: a polynomial of either convention, that of a BoundarySuperset, or a pair of arrays, for max-plus.

    Raises:
        InputError: none of these.
    """
    p = p.polynomial if isinstance(p, BoundarySuperset) else p
    if isinstance(p, SemiringPolynomial):
        return Lifted(p.exponents, p.coefficients, p.convention, p.names)
    if isinstance(p, (tuple, list)) and len(p) == 2:
        return Lifted(p[0], p[1], "max", None)
    raise InputError(
        "a TropicalPolynomial or a MinPlusPolynomial is needed, or a pair (exponents, coefficients) for max-plus; found "
        f"{type(p).__name__}"
    )


@dataclass(frozen=True, eq=False)
class ClippedHypersurface:
    """A tropical hypersurface, and the box in which it is drawn.

    Attributes:
        complex: the exact hypersurface.
        points: exponents (n, d) in float64, distinct.
        slopes, heights: (n, d) and (n,): the functions whose maximum has the same ties: α_k and c_k, in min-plus −α_k and −c_k.
        row: the row of each monomial in ``points``, by its index in the given monomials.
        vertices: (V, d) in float64.
        low, high: (d,) the corners of the box.
        names: of the variables.
    """

    complex: PolyhedralComplex
    points: np.ndarray
    slopes: np.ndarray
    heights: np.ndarray
    row: dict[int, int]
    vertices: np.ndarray
    low: np.ndarray
    high: np.ndarray
    names: Names

    @property
    def axis_names(self) -> list[str]:
        """The names of the variables on axes."""
        return [plain_name(self.names, i) for i in range(self.points.shape[1])]

    @property
    def essential(self) -> list[int]:
        """The rows of the essential monomials."""
        return [self.row[i] for i in self.complex.subdivision.hull.vertices.tolist()]

    @property
    def inside(self) -> np.ndarray:
        """(V,) which vertices are in the box."""
        return np.all((self.vertices >= self.low) & (self.vertices <= self.high), axis=1)

    def region(self, row: int) -> np.ndarray:
        """The corners, in order, of the region of an essential monomial (d = 2); none where it lies outside of the box."""
        (x0, y0), (x1, y1) = self.low, self.high
        polygon = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
        return self._where_largest(polygon, row, [i for i in self.essential if i != row])

    def facet(self, edge: tuple[int, ...]) -> np.ndarray:
        """The facet dual to an edge: the ends of a segment (d = 2), the corners of a polygon in order (d = 3), or nothing."""
        i, j = (self.row[e] for e in edge[:2])
        normal, offset = self.slopes[i] - self.slopes[j], self.heights[j] - self.heights[i]
        middle, reach = (self.low + self.high) / 2, float(np.linalg.norm(self.high - self.low))
        start = middle - normal * (normal @ middle - offset) / (normal @ normal)
        along = np.linalg.svd(normal[None])[2][1:]  # an orthonormal basis of the directions in the facet
        square = [[-1], [1]] if len(along) == 1 else [[-1, -1], [1, -1], [1, 1], [-1, 1]]
        corners = start + reach * (np.array(square) @ along)
        for axis, unit in enumerate(np.eye(len(self.low))):
            corners = clip(clip(corners, unit, self.high[axis]), -unit, -self.low[axis])
        subdivision = self.complex.subdivision
        around = {self.row[m] for number in subdivision.cells_around(edge) for m in subdivision.cells[number]}
        return self._where_largest(corners, i, sorted(around - {i, j}))

    def _where_largest(self, corners: np.ndarray, row: int, others: Sequence[int]) -> np.ndarray:
        for j in others:
            corners = clip(corners, self.slopes[j] - self.slopes[row], self.heights[row] - self.heights[j])
        return corners


def clipped_hypersurface(p: Any, dimensions: tuple[int, ...], limits: Limits | None = None) -> ClippedHypersurface:
    """The hypersurface of a polynomial and the box in which it is drawn.

    Args:
        p: a polynomial, as for :func:`lifted`.
        dimensions: the values of d that can be drawn.
        limits: the limits of the box; by default all vertices with room around them.

    Raises:
        InputError: another d, limits that do not fit.
    """
    given = lifted(p)
    found = hypersurface(given.exponents, given.coefficients, convention=given.convention)
    d = found.ambient_dimension
    if d not in dimensions:
        wanted = " or ".join(map(str, dimensions))
        raise InputError(f"this figure is drawn for {wanted} variables; the polynomial has {d}")
    c = found.subdivision.hull.configuration
    points = np.stack([RationalArray(c.coordinates[:, i], c.scales[i]).floats() for i in range(d)], 1)
    heights = RationalArray(c.heights, c.scales[-1]).floats()
    vertices = rationals(found.vertices).floats()
    if not all((np.abs(numbers) < LARGEST).all() for numbers in (points, heights, vertices)):
        raise InputError(f"the polynomial or its vertices have numbers beyond {LARGEST:g}, which cannot be drawn")
    low, high = _box(vertices, d, limits)
    row = {int(i): n for n, i in enumerate(c.index)}
    slopes = sign_of(given.convention) * points
    return ClippedHypersurface(found, points, slopes, heights, row, vertices, low, high, given.names)


def clip(corners: np.ndarray, normal: np.ndarray, offset: float) -> np.ndarray:
    """The part of a convex polygon or segment in space with ⟨normal, x⟩ ≤ offset: its corners (V, d), in order.

    >>> clip(np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([1.0, 0.0]), 1.0).tolist()
    [[0.0, 0.0], [1.0, 0.0]]
    """
    if not len(corners):
        return corners
    over = corners @ normal - offset
    tolerance = 1e-9 * (abs(offset) + np.abs(corners).max() * np.abs(normal).max())
    out = []
    count = len(corners)
    for a in range(count):
        b = (a + 1) % count
        if over[a] <= tolerance:
            out.append(corners[a])
        if (over[a] > tolerance) != (over[b] > tolerance) and (count > 2 or a == 0):
            share = over[a] / (over[a] - over[b])
            out.append(corners[a] + share * (corners[b] - corners[a]))
    return np.array(out).reshape(-1, corners.shape[1])


def _box(vertices: np.ndarray, d: int, limits: Limits | None) -> tuple[np.ndarray, np.ndarray]:
    if limits is not None:
        try:
            box = np.asarray(limits, dtype=np.float64)
        except (TypeError, ValueError):
            box = np.zeros(0)
        if box.shape != (d, 2) or not np.isfinite(box).all() or (box[:, 0] >= box[:, 1]).any():
            raise InputError(f"limits must be {d} pairs (low, high) with low < high; found {limits!r}")
        return box[:, 0], box[:, 1]
    low, high = vertices.min(0), vertices.max(0)
    extent = extent_of(vertices)
    middle, half = (low + high) / 2, np.maximum((high - low) / 2 + 0.35 * extent, 0.6 * extent)
    return middle - half, middle + half
