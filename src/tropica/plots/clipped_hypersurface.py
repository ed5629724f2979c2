"""The part of a tropical hypersurface in a box, as polygons and segments to draw (in floating point)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tropica.errors import InputError
from tropica.polyhedra.dual_complexes import PolyhedralComplex, hypersurface

Limits = Any
"""A pair (low, high) for each coordinate."""


def exponents_and_coefficients(p: Any) -> tuple[Any, Any]:
    """Exponents (n, d) and coefficients (n,) of a TropicalPolynomial, of an object with one as ``polynomial``, or of a pair.

    Raises:
        InputError: none of these.
    """
    p = getattr(p, "polynomial", p)
    if hasattr(p, "exponents") and hasattr(p, "coefficients"):
        return p.exponents, p.coefficients
    if isinstance(p, (tuple, list)) and len(p) == 2:
        return p[0], p[1]
    raise InputError(f"a TropicalPolynomial is needed, or a pair (exponents, coefficients); found {type(p).__name__}")


@dataclass(frozen=True, eq=False)
class ClippedHypersurface:
    """A tropical hypersurface, and the box in which it is drawn.

    Attributes:
        complex: the exact hypersurface.
        points, heights: exponents (n, d) and coefficients (n,) in float64, of distinct exponents.
        row: the row of each monomial in ``points``, by its index in the given monomials.
        vertices: (V, d) in float64.
        low, high: (d,) the corners of the box.
    """

    complex: PolyhedralComplex
    points: np.ndarray
    heights: np.ndarray
    row: dict[int, int]
    vertices: np.ndarray
    low: np.ndarray
    high: np.ndarray

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
        normal, offset = self.points[i] - self.points[j], self.heights[j] - self.heights[i]
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
            corners = clip(corners, self.points[j] - self.points[row], self.heights[row] - self.heights[j])
        return corners


def clipped_hypersurface(p: Any, dimensions: tuple[int, ...], limits: Limits | None = None) -> ClippedHypersurface:
    """The hypersurface of a polynomial and the box in which it is drawn.

    Args:
        p: a polynomial, as for :func:`exponents_and_coefficients`.
        dimensions: the values of d that can be drawn.
        limits: the limits of the box; by default all vertices with room around them.

    Raises:
        InputError: another d, limits that do not fit.
    """
    found = hypersurface(*exponents_and_coefficients(p))
    d = found.ambient_dimension
    if d not in dimensions:
        wanted = " or ".join(map(str, dimensions))
        raise InputError(f"this figure is drawn for {wanted} variables; the polynomial has {d}")
    c = found.subdivision.hull.configuration
    *scales, height_scale = map(float, c.scales)
    points = c.coordinates.astype(np.float64) / np.array(scales)
    vertices = found.vertices.astype(np.float64)
    low, high = _box(vertices, d, limits)
    row = {int(i): n for n, i in enumerate(c.index)}
    return ClippedHypersurface(found, points, c.heights.astype(np.float64) / height_scale, row, vertices, low, high)


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
    extent = max(float((high - low).max()), 1.0)
    middle, half = (low + high) / 2, np.maximum((high - low) / 2 + 0.35 * extent, 0.6 * extent)
    return middle - half, middle + half
