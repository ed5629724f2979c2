"""The constructors of domains: boxes, balls, polytopes, simplices, segments, planes, slices, and all of space."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from tropica.errors import InputError
from tropica.exact.linear_algebra import echelon
from tropica.exact.rational_arrays import exact_array, exact_numbers, from_fractions
from tropica.polyhedra.vertex_enumeration import vertices_of_halfspaces
from tropica.regions.domains.closed_forms import box_faces, cone_faces, cross_faces
from tropica.regions.domains.domain import (
    Domain,
    Faces,
    Numbers,
    faces_of_points,
    independent_rows,
    points_in_rows,
    vector,
)


class Box(Domain):
    """The points lo ≤ x ≤ hi, coordinate by coordinate.

    Coordinates with lo = hi are fixed, and the dimension is the number of the others.

    Args:
        lo, hi: vectors with one number for each input, or one number for all: ``Box(-1, 1)`` with ``d=``.
        d: how many inputs, if lo and hi are numbers.

    Raises:
        InputError: numbers that are not finite or do not fit, lo > hi at a coordinate, or lo = hi at all of them.

    >>> Box([-1, -1], [1, 1]).dimension, Box(-1, 1, d=3).dimension, Box([0, 5, 0], [1, 5, 1])
    (2, 3, Box(dimension 2 in 3))
    """

    lo: np.ndarray
    hi: np.ndarray

    def __init__(self, lo: Numbers, hi: Numbers, d: int | None = None) -> None:
        low, high = vector(lo, "lo"), vector(hi, "hi")
        size = d if d is not None else max(low.size, high.size)
        if size < 1 or low.size not in (1, size) or high.size not in (1, size):
            raise InputError(f"lo and hi must have {size} numbers each, or one for all; found {low.size} and {high.size}")
        self.lo, self.hi = np.broadcast_to(low, size).copy(), np.broadcast_to(high, size).copy()
        if bad := np.flatnonzero(self.lo > self.hi).tolist():
            at = bad[0]
            raise InputError(f"lo must be at most hi; at coordinate {at} they are {self.lo[at]} and {self.hi[at]}")
        free = np.flatnonzero(self.lo < self.hi)
        if not len(free):
            raise InputError("lo and hi are equal at all coordinates: the box is a point")
        ends = [(Fraction(self.lo[i]), Fraction(self.hi[i])) for i in free.tolist()]
        fixed = np.where(self.lo < self.hi, 0.0, self.lo)
        super().__init__(fixed, np.eye(size)[free], lambda: box_faces(ends))


class Ball(Domain):
    """The ball ‖x − center‖ ≤ radius in the norm ``"linf"`` (a box) or ``"l1"`` (a cross-polytope). Its ends are exact sums.

    An l2 ball is no polytope.

    Args:
        center: D numbers of any shape.
        radius: a positive number.

    Raises:
        InputError: another norm, a radius that is not positive, numbers that are not finite.

    >>> len(Ball([0, 0, 0], 1, norm="l1").vertices), len(Ball([0, 0, 0], 1, norm="linf").vertices)
    (6, 8)
    """

    def __init__(self, center: Numbers, radius: float, norm: str = "linf") -> None:
        middle, size = vector(center, "center"), vector(radius, "radius")
        if size.size != 1 or not size[0] > 0:
            raise InputError(f"radius must be a positive number; found {radius!r}")
        if norm not in ("linf", "l1"):
            raise InputError(f'norm must be "linf" or "l1"; found {norm!r} (an l2 ball is no polytope)')
        at, reach = [Fraction(c) for c in middle.tolist()], Fraction(float(size[0]))
        if norm == "linf":
            make: Callable[[], Faces] = lambda: box_faces([(c - reach, c + reach) for c in at])  # noqa: E731
        else:
            make = lambda: cross_faces(at, reach)  # noqa: E731
        super().__init__(np.zeros(middle.size), np.eye(middle.size), make)


class Polytope(Domain):
    """The polytope {x : A x ≤ b}, its vertices found exactly. It may have no interior, and any number of facets at a vertex.

    Args:
        a: (F, D) numbers: floats are read exactly, Fractions and ints as they are.
        b: (F,).

    Raises:
        InputError: the set is empty, unbounded or a point, shapes do not fit, or its affine hull has no basis in float64 (give
            such a polytope as a :class:`Slice`).

    >>> square = Polytope([[1, 0], [-1, 0], [0, 1], [0, -1]], [1, 1, 1, 1])
    >>> square.vertices.tolist()
    [[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]
    >>> Polytope.from_vertices([[0, 0], [1, 0], [0, 1], [1, 1]]).dimension
    2
    """

    def __init__(self, a: Any, b: Any) -> None:
        normals, offsets = exact_numbers(exact_array(a, "A", 2)), exact_numbers(exact_array(b, "b", 1))
        if len(normals) != len(offsets) or not normals.shape[1]:
            raise InputError(f"A must be (F, D) and b (F,); found {normals.shape} and {offsets.shape}")
        self._span(vertices_of_halfspaces(normals, offsets))

    @classmethod
    def from_vertices(cls, vertices: Any) -> Polytope:
        """The convex hull of points (n, D), which may repeat and need not be vertices.

        Raises:
            InputError: as of the constructor.
        """
        points = exact_numbers(exact_array(vertices, "vertices", 2))
        if not points.size:
            raise InputError("vertices must be (n, D), n ≥ 1; found none")
        found = cls.__new__(cls)
        found._span(points)
        return found

    def _span(self, points: np.ndarray) -> None:
        """Become the convex hull of exact points."""
        origin, basis, t = _affine_coordinates(points)
        faces = faces_of_points(t)
        super().__init__(origin, basis, lambda: faces)


class Simplex(Domain):
    """The convex hull of k + 1 points in general position: t = x in k dimensions.

    In more dimensions x = p₀ + Σ tᵢ (pᵢ − p₀) with Σ tᵢ ≤ 1, where the differences are rounded to float64.

    Args:
        points: k + 1 inputs of one shape, k ≥ 1.

    Raises:
        InputError: points that are not in general position, or more than D + 1 of them.

    >>> Simplex([[0, 0], [1, 0], [0, 1]]), Simplex([[0, 0, 0], [1, 1, 1]])
    (Simplex(dimension 2), Simplex(dimension 1 in 3))
    """

    def __init__(self, points: Any) -> None:
        rows = points_in_rows(points, "points", 2)
        k = len(rows) - 1
        if k > rows.shape[1]:
            raise InputError(f"a simplex of {k + 1} points needs {k} dimensions; the points have {rows.shape[1]}")
        if k == rows.shape[1]:
            origin, basis, corners = np.zeros(k), np.eye(k), exact_numbers(rows)
        else:
            origin, basis = rows[0], independent_rows(_difference(rows[1:], rows[0]), "points, minus the first,")
            corners = np.concatenate([np.zeros((1, k), dtype=object), np.eye(k, dtype=object)])
        try:
            faces = faces_of_points(corners)
        except InputError:
            raise InputError(f"the {k + 1} points of a simplex must not lie in a flat of less than {k} dimensions") from None
        super().__init__(origin, basis, lambda: faces)


class Triangle(Simplex):
    """The triangle of three inputs of one shape.

    Raises:
        InputError: the points lie on a line, or have different sizes.

    >>> Triangle([0, 0], [1, 0], [0, 1]).vertices.tolist()
    [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    """

    def __init__(self, p: Numbers, q: Numbers, r: Numbers) -> None:
        super().__init__([p, q, r])


class Polygon(Domain):
    """The convex hull of points in the plane (n, 2).

    Raises:
        InputError: points with another number of coordinates (use ``Slice(origin, basis, Polygon(…))``), or all on one line.

    >>> Polygon([[0, 0], [2, 0], [2, 2], [0, 2], [1, 1]]).vertices.tolist()
    [[0.0, 0.0], [0.0, 2.0], [2.0, 0.0], [2.0, 2.0]]
    """

    def __init__(self, points: Any) -> None:
        rows = points_in_rows(points, "points", 3)
        if rows.shape[1] != 2:
            found = f"found {rows.shape[1]} (a polygon in a plane of inputs is Slice(origin, basis, Polygon(points)))"
            raise InputError(f"the points of a polygon have 2 coordinates; {found}")
        faces = faces_of_points(exact_numbers(rows))
        super().__init__(np.zeros(2), np.eye(2), lambda: faces)


class Segment(Domain):
    """The points a + t (b − a), 0 ≤ t ≤ 1, between two inputs of any shape. The difference is rounded to float64.

    >>> Segment([0.0, 0.0], [1.0, 1.0]).dimension
    1
    """

    a: np.ndarray
    b: np.ndarray

    def __init__(self, a: Numbers, b: Numbers) -> None:
        first, last = self.a, self.b = vector(a, "a"), vector(b, "b")
        if first.size != last.size:
            raise InputError(f"both ends must have as many numbers; found {first.size} and {last.size}")
        direction = _difference(last, first)
        if not direction.any():
            raise InputError("the ends of a segment must differ")
        super().__init__(first, direction[None], lambda: box_faces([(Fraction(0), Fraction(1))]))


class Plane(Domain):
    """The points origin + t₁ u + t₂ v, −extent ≤ t ≤ extent, of a plane through inputs of any shape.

    Args:
        origin: the center.
        u, v: two directions, not parallel.
        extent: one number, or one for each direction.

    >>> Plane.through([0, 0, 0], [1, 0, 0], [0, 1, 0])
    Plane(dimension 2 in 3)
    """

    def __init__(self, origin: Numbers, u: Numbers, v: Numbers, extent: Numbers = 1.0) -> None:
        half = vector(extent, "extent")
        if half.size not in (1, 2) or not bool((half > 0).all()):
            raise InputError(f"extent must be one or two positive numbers; found {half.tolist()}")
        ends = np.broadcast_to(half, 2).tolist()
        self._rectangle(origin, u, v, [(-Fraction(e), Fraction(e)) for e in ends])

    @classmethod
    def through(cls, a: Numbers, b: Numbers, c: Numbers, margin: float = 0.25) -> Plane:
        """The plane a + t₁ (b − a) + t₂ (c − a) with a at (0, 0), b at (1, 0), c at (0, 1), and a margin around them."""
        if not (np.isfinite(margin) and margin >= 0):
            raise InputError(f"margin must be a number ≥ 0; found {margin}")
        rows = points_in_rows([a, b, c], "a, b and c", 3)
        plane = cls.__new__(cls)
        ends = -Fraction(margin), 1 + Fraction(margin)
        plane._rectangle(rows[0], _difference(rows[1], rows[0]), _difference(rows[2], rows[0]), [ends, ends])
        return plane

    def _rectangle(self, origin: Numbers, u: Numbers, v: Numbers, ends: list[tuple[Fraction, Fraction]]) -> None:
        """Become the rectangle of t between these ends."""
        rows = points_in_rows([origin, u, v], "origin, u and v", 3)
        try:
            basis = independent_rows(rows[1:], "u and v")
        except InputError:
            raise InputError("u and v must span a plane: neither zero nor parallel") from None
        super().__init__(rows[0], basis, lambda: box_faces(ends))


class Slice(Domain):
    """The points x = origin + t · basis with t in a domain of k dimensions. (``polytope.slice`` cuts a polytope given in x.)

    Args:
        origin: an input.
        basis: k independent inputs.
        inner: a domain in the coordinates t, of full dimension k.

    >>> Slice([0, 0, 0], [[1, 0, 0], [0, 1, 1]], Ball([0, 0], 1, norm="l1"))
    Slice(dimension 2 in 3)
    """

    def __init__(self, origin: Numbers, basis: Any, inner: Domain) -> None:
        start, rows = vector(origin, "origin"), independent_rows(basis, "basis")
        if start.size != rows.shape[1]:
            raise InputError(f"origin and the rows of basis must have as many numbers; found {start.size} and {rows.shape[1]}")
        if not isinstance(inner, Domain) or inner.input_size != len(rows) or inner.dimension != len(rows):
            raise InputError(f"inner must be a domain of {len(rows)} dimensions, one for each row of basis; found {inner!r}")
        own = exact_numbers(inner.basis)
        start = _as_floats(exact_numbers(start) + exact_numbers(inner.origin) @ exact_numbers(rows))
        rows = _as_floats(own @ exact_numbers(rows))
        if start is None or rows is None:
            raise InputError(
                "origin and basis, put together with those of inner, are no float64 numbers; use a domain with t = x"
            )
        super().__init__(start, rows, lambda: inner._faces)


class Space(Domain):
    """All of R^d, d the number of inputs: unbounded cells as they are, cut by no box.

    >>> Space(2).dimension
    2
    """

    def __init__(self, d: int) -> None:
        if isinstance(d, bool) or not isinstance(d, int) or d < 1:
            raise InputError(f"a space has a whole number of dimensions, 1 or more; found {d!r}")
        super().__init__(np.zeros(d), np.eye(d), self._no_faces)

    def limits(self) -> None:
        """None."""
        return

    def _no_faces(self) -> Faces:
        raise InputError("all of space has no vertices; it is taken apart into cones: Space.cones")

    @property
    def cones(self) -> list[Faces]:
        """d + 1 cones with apex 0 that fill space: their apex and d rays, in homogeneous coordinates."""
        d = self.dimension
        rays = np.concatenate([np.eye(d, dtype=np.int64), -np.ones((1, d), np.int64)])
        return [cone_faces(np.delete(rays, i, axis=0)) for i in range(d + 1)]


# ── coordinates of flats ──────────────────────────────────────────────────────────────────────────────────────────────────


def _affine_coordinates(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Origin and basis of the affine hull of exact points (n, D) in float64, and the points in these coordinates, exactly."""
    size = points.shape[1]
    differences = from_fractions((points - points[:1]).ravel().tolist(), points.shape)
    rows, _, pivots = echelon(differences.numerators)
    if len(pivots) == size:
        return np.zeros(size), np.eye(size), points
    if not pivots:
        raise InputError("the polytope is a single point; a domain has 1 dimension or more")
    scale = np.array([Fraction(int(row[p])) for row, p in zip(rows, pivots, strict=True)], dtype=object)
    origin, basis = None, None
    for first, factor in ((points[0] - (points[0, pivots] / scale) @ rows, scale), (points[0], scale)):
        origin, basis = _as_floats(first), _as_floats(rows * Fraction(1))
        if origin is not None and basis is not None:
            return origin, basis, (points[:, pivots] - first[pivots]) / factor
    raise InputError(
        f"the polytope spans {len(pivots)} of {size} dimensions, and its flat has no origin and basis in float64; "
        "use Simplex(points), or Slice(origin, basis, inner)"
    )


def _as_floats(numbers: np.ndarray) -> np.ndarray | None:
    """The same numbers in float64, None where they are none."""
    found = np.array([float(x) if abs(x) < 1 << 1000 else np.inf for x in numbers.ravel().tolist()])
    same = all(np.isfinite(f) and Fraction(f) == x for f, x in zip(found.tolist(), numbers.ravel().tolist(), strict=True))
    return found.reshape(numbers.shape) if same else None


def _difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        found = a - b
    if not np.isfinite(found).all():
        raise InputError("the difference of two points overflows float64")
    return found
