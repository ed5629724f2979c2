"""What of a tropical hypersurface lies in a box, as polygons and segments to draw (in floating point)."""

from __future__ import annotations

from typing import Any

import numpy as np

from tropica.errors import InputError
from tropica.polyhedra.complexes import PolyhedralComplex, hypersurface

Limits = Any
"""((low, high) for each coordinate)."""


def monomials(p: Any) -> tuple[Any, Any]:
    """Exponents (n, d) and coefficients (n,) of a TropicalPolynomial, of what has one as its ``polynomial``, or of a pair.

    Raises:
        InputError: neither.
    """
    p = getattr(p, "polynomial", p)
    if hasattr(p, "exponents") and hasattr(p, "coefficients"):
        return p.exponents, p.coefficients
    if isinstance(p, (tuple, list)) and len(p) == 2:
        return p[0], p[1]
    raise InputError(f"a TropicalPolynomial is needed, or a pair (exponents, coefficients); found {type(p).__name__}")


class Drawn:
    """A tropical hypersurface in a box.

    Args:
        p: as :func:`monomials` takes it.
        dimensions: which d can be drawn.
        limits: of the box; by default somewhat more than the vertices take.

    Raises:
        InputError: another d, limits that do not fit.
    """

    def __init__(self, p: Any, dimensions: tuple[int, ...], limits: Limits | None = None) -> None:
        points, heights = monomials(p)
        self.complex: PolyhedralComplex = hypersurface(points, heights)
        d = self.complex.ambient_dimension
        if d not in dimensions:
            wanted = " or ".join(map(str, dimensions))
            raise InputError(f"this figure is drawn for {wanted} variables; the polynomial has {d}")
        subdivision = self.complex.subdivision
        self.hull = subdivision.hull
        c = self.hull.configuration
        self.place = {int(i): n for n, i in enumerate(c.index)}
        # All monomials kept, as floats: exponents and coefficients.
        scales = [float(s) for s in c.scales]
        self.points = np.array([[float(e) / s for e, s in zip(r, scales, strict=False)] for r in c.coordinates.tolist()])
        self.points = self.points.reshape(-1, d)
        self.heights = np.array([float(e) / scales[-1] for e in c.heights.tolist()])
        self.vertices = self.complex.vertices.astype(np.float64)
        self.low, self.high = _box(self.vertices, d, limits)

    def cells_inside(self) -> np.ndarray:
        """Which vertices (V,) are in the box."""
        return np.all((self.vertices >= self.low) & (self.vertices <= self.high), axis=1)

    def region(self, monomial: int) -> np.ndarray:
        """The corners, in order, of the region of a monomial (d = 2); none where it lies outside of the box."""
        polygon = np.array([[self.low[0], self.low[1]], [self.high[0], self.low[1]], self.high, [self.low[0], self.high[1]]])
        i = self.place[monomial]
        others = [self.place[int(j)] for j in self.hull.vertices if j != monomial]
        return self._clipped(polygon, i, others)

    def piece(self, edge: tuple[int, ...]) -> np.ndarray:
        """The corners, in order, of the piece dual to an edge: the ends of a segment (d = 2), a polygon (d = 3), or nothing."""
        i, j = (self.place[e] for e in edge[:2])
        normal, offset = self.points[i] - self.points[j], self.heights[j] - self.heights[i]
        middle, reach = (self.low + self.high) / 2, float(np.linalg.norm(self.high - self.low))
        start = middle - normal * (normal @ middle - offset) / (normal @ normal)
        along = np.linalg.svd(normal[None])[2][1:]  # an orthonormal basis of the directions in the piece
        if len(along) == 1:
            corners = start + np.array([[-reach], [reach]]) * along
        else:
            corners = start + reach * (np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) @ along)
        for axis in range(len(self.low)):
            unit = np.eye(len(self.low))[axis]
            corners = clip(clip(corners, unit, self.high[axis]), -unit, -self.low[axis])
        around = self.complex.subdivision.cells_around(edge)
        others = {self.place[m] for number in around for m in self.complex.subdivision.cells[number]} - {i, j}
        return self._clipped(corners, i, sorted(others))

    def _clipped(self, corners: np.ndarray, i: int, others: list[int]) -> np.ndarray:
        for j in others:
            corners = clip(corners, self.points[j] - self.points[i], self.heights[i] - self.heights[j])
        return corners


def clip(corners: np.ndarray, normal: np.ndarray, offset: float) -> np.ndarray:
    """The part of a convex polygon, or of a segment, in {x : ⟨normal, x⟩ ≤ offset}: its corners (V, d), in order.

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
