"""``Domain``: a convex polytope in the input space, or all of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tropica.errors import InputError
from tropica.exact.linear_algebra import rank, solve
from tropica.exact.rational_arrays import RationalArray, exact_numbers, from_fractions, rational_array, rationals
from tropica.polyhedra.vertex_enumeration import extreme_rays, vertices_of_halfspaces
from tropica.runtime.html import HtmlRepr

Numbers = Tensor | np.ndarray | list | tuple | float | int


@dataclass(frozen=True, eq=False)
class Faces:
    """Vertices and facets of a polytope of dimension d in its own coordinates t.

    Attributes:
        vertices: (V, d) exact; for a cone (V, d + 1), the last entry 1 for a point and 0 for a ray.
        halfspaces: (F, d + 1) exact: row (a, b) is the half-space ⟨a, t⟩ ≤ b of a facet. No facet is listed twice.
        incidence: (V, F) whether a vertex lies on a facet; any number of facets meet in a vertex.
    """

    vertices: RationalArray
    halfspaces: RationalArray
    incidence: np.ndarray


class Domain(HtmlRepr):
    """A convex polytope of dimension d in the input space: x = origin + t · basis, with t in a polytope that has an interior.

    Its constructors are :class:`Box`, :class:`Polytope`, :class:`Triangle`, :class:`Polygon`, :class:`Simplex`,
    :class:`Segment`, :class:`Plane`, :class:`Slice` and :class:`Ball`; :class:`Space` is all of the input space.

    Attributes:
        origin: (D,) float64, for inputs of D numbers.
        basis: (d, D) float64, independent rows. x = origin + t · basis holds exactly for these numbers.

    >>> import tropica as tp
    >>> square = tp.Box(-1, 1, d=2)
    >>> isinstance(square, tp.Domain), square.dimension, square.contains([[0.5, 0.5], [2.0, 0.0]]).tolist()
    (True, 2, [True, False])
    """

    origin: np.ndarray
    basis: np.ndarray

    def __init__(self, origin: np.ndarray, basis: np.ndarray, faces: Callable[[], Faces]) -> None:
        self.origin, self.basis, self._make_faces = origin, basis, faces

    @property
    def dimension(self) -> int:
        """d."""
        return len(self.basis)

    @property
    def input_size(self) -> int:
        """D: how many numbers one input has."""
        return len(self.origin)

    # ── vertices and facets ───────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def _faces(self) -> Faces:
        return self._make_faces()

    @property
    def exact_vertices(self) -> RationalArray:
        """The vertices (V, d) in t, exactly.

        Raises:
            InputError: there are more than 65,536 of them.
        """
        return self._faces.vertices

    @cached_property
    def vertices(self) -> np.ndarray:
        """The vertices (V, d) in t, each number rounded to the nearest float64."""
        return np.ascontiguousarray(self.exact_vertices.floats())

    @property
    def halfspaces(self) -> RationalArray:
        """The facets (F, d + 1), exactly: row (a, b) is the half-space ⟨a, t⟩ ≤ b."""
        return self._faces.halfspaces

    @property
    def incidence(self) -> np.ndarray:
        """(V, F) whether each vertex lies on each facet."""
        return self._faces.incidence

    def limits(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The least and the largest t, (d,) each; None for all of space."""
        return self.vertices.min(0), self.vertices.max(0)

    @cached_property
    def volume_scale(self) -> float:
        """√det(basis · basisᵀ): the d-dimensional volume in the input space of a set of volume 1 in t."""
        return float(np.abs(np.prod(np.diag(np.linalg.qr(self.basis.T, mode="r")))))

    # ── points ────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def embed(self, t: Numbers) -> np.ndarray:
        """The inputs x = origin + t · basis (N, D) of coordinates t (N, d), in float64."""
        return np.atleast_2d(np.asarray(t, dtype=np.float64)) @ self.basis + self.origin

    def contains(self, t: Any) -> np.ndarray:
        """Whether each point t (N, d) is in the polytope, its border included: (N,) bool, exactly.

        Raises:
            InputError: a wrong number of coordinates, or numbers that are not finite.

        >>> from tropica.regions.domains.constructors import Box
        >>> Box(0, 1, d=2).contains([[0.5, 1.0], [0.5, 1.5]]).tolist()
        [True, False]
        """
        points = rational_array(t, "points", 2)
        if points.numerators.shape[1] != self.dimension:
            raise InputError(f"points of this domain have {self.dimension} coordinates; found {points.numerators.shape[1]}")
        rows = self.halfspaces.numerators.astype(object)
        left = points.numerators.astype(object) @ rows[:, :-1].T
        return np.array([all(row) for row in left <= points.denominator * rows[:, -1]], bool)

    def check_input(self, shape: tuple[int, ...]) -> None:
        """Raise InputError unless the domain lies in the space of inputs of this shape."""
        expected = torch.Size(shape).numel()
        if self.input_size != expected:
            found = f"the points of {self!r} have {self.input_size} coordinates"
            raise InputError(f"{found}, but an input of the network has {expected}: {tuple(shape)}")

    def embedding(self, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """``origin`` and ``basis``, for inputs of a shape with D numbers. Raises InputError for others."""
        self.check_input(shape)
        return self.origin, self.basis

    def slice(self, origin: Numbers, basis: Numbers) -> Domain:
        """The part of the domain on the plane x = origin + t · basis, as a domain in t.

        Args:
            origin: (D,).
            basis: (k, D), independent rows.

        Raises:
            InputError: the domain has no interior in the input space, the plane does not meet its interior, shapes do not fit.

        >>> from tropica.regions.domains.constructors import Ball
        >>> Ball([0, 0, 0], 1, norm="l1").slice([0, 0, 0], [[1, 1, 0], [0, 0, 1]]).vertices.tolist()
        [[-0.5, 0.0], [0.0, -1.0], [0.0, 1.0], [0.5, 0.0]]
        """
        if self.dimension < self.input_size:
            raise InputError(f"a plane cuts only domains of full dimension; found {self!r}")
        start, directions = vector(origin, "origin"), independent_rows(basis, "basis")
        if not start.size == directions.shape[1] == self.input_size:
            found = f"{start.size} and {directions.shape[1]}"
            raise InputError(f"origin and the rows of basis must have {self.input_size} numbers each; found {found}")
        rows = exact_numbers(self.halfspaces.numbers())
        own = rationals(self.basis)
        normals = solve(own.numerators.astype(object), rows[:, :-1].T)  # ⟨a, t⟩ = ⟨n, x − origin⟩ with basis · n = a
        assert normals is not None  # the rows of the basis are independent
        normals = normals.T * own.denominator
        offsets = rows[:, -1] + normals @ (exact_numbers(self.origin) - exact_numbers(start))
        return Domain(start, directions, _once(faces_of_halfspaces(normals @ exact_numbers(directions).T, offsets)))

    def __repr__(self) -> str:
        within = "" if self.dimension == self.input_size else f" in {self.input_size}"
        return f"{type(self).__name__}(dimension {self.dimension}{within})"


# ── faces ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def faces_of_halfspaces(normals: np.ndarray, offsets: np.ndarray) -> Faces:
    """The faces of {t : normals t ≤ offsets} (ints and Fractions).

    Raises:
        InputError: the set is empty, unbounded, or has no interior.
    """
    return faces_of_points(vertices_of_halfspaces(normals, offsets))


def faces_of_points(points: np.ndarray) -> Faces:
    """The faces of the convex hull of points (n, d) (ints and Fractions).

    Raises:
        InputError: the points do not span all d dimensions.
    """
    lifted = from_fractions(points.ravel().tolist(), points.shape)
    distinct = sorted({(*map(int, row), lifted.denominator) for row in lifted.numerators.tolist()})
    rows = np.array(distinct, dtype=object)
    d = points.shape[1]
    if (span := rank(rows) - 1) < d:
        raise InputError(f"the domain has no interior: it spans {span} of {d} dimensions")
    facets = extreme_rays(rows)
    incidence = (rows @ facets.T) == 0
    on = [tuple(np.flatnonzero(row)) for row in incidence]
    vertex = [rank(facets[list(f)][:, :-1]) == d if len(f) >= d else False for f in on]
    entries = (Fraction(x, lifted.denominator) for x in rows[vertex, :-1].ravel().tolist())
    corners = from_fractions(entries, (sum(vertex), d))
    return Faces(corners, _halfspaces(facets), np.asarray(incidence[vertex], bool))


def _halfspaces(facets: np.ndarray) -> RationalArray:
    """Rows (a, b) of the half-spaces ⟨f, (t, 1)⟩ ≥ 0, scaled by a power of two to |a| near 1."""
    scaled: list[Fraction] = []
    for f in facets.tolist():
        size = max(abs(x) for x in f[:-1]).bit_length() - 1
        scaled += [Fraction(x, 1 << size) for x in (*(-x for x in f[:-1]), f[-1])]
    return from_fractions(scaled, facets.shape)


def _once(faces: Faces) -> Callable[[], Faces]:
    return lambda: faces


# ── reading numbers ───────────────────────────────────────────────────────────────────────────────────────────────────────


def vector(numbers: Any, name: str) -> np.ndarray:
    """Finite numbers of any shape, flat in float64 (a copy).

    Raises:
        InputError: something else.
    """
    return _floats(numbers, name).ravel()


def points_in_rows(points: Any, name: str, least: int) -> np.ndarray:
    """Points, each of any one shape, as the rows of a float64 matrix.

    Raises:
        InputError: fewer than ``least`` points, or points of different sizes.
    """
    if not isinstance(points, Tensor | np.ndarray) and isinstance(points, Iterable):
        rows = [vector(p, name) for p in points]
        if len({row.size for row in rows}) > 1:
            raise InputError(f"{name} must have one number of coordinates; found {', '.join(str(r.size) for r in rows)}")
        points = np.stack(rows) if rows else np.zeros((0, 0))
    found = _floats(points, name) if len(points) else np.zeros((0, 1))
    if found.ndim < 2 or len(found) < least:
        raise InputError(f"{name} must be {least} or more points; found an array of shape {found.shape}")
    return found.reshape(len(found), -1)


def independent_rows(basis: Any, name: str) -> np.ndarray:
    """Directions as the rows of a float64 matrix (k, D), k ≥ 1, exactly independent.

    Raises:
        InputError: something else.
    """
    rows = points_in_rows(basis, name, 1)
    if rank(np.array([exact_direction(r) for r in rows], dtype=object)) < len(rows):
        raise InputError(f"the {len(rows)} rows of {name} must be independent: none zero, none a combination of the others")
    return rows


def exact_direction(row: np.ndarray) -> list[int]:
    """A float vector times a power of two, as ints."""
    return [int(x) for x in rationals(row).numerators]


def _floats(numbers: Any, name: str) -> np.ndarray:
    if isinstance(numbers, Tensor):
        numbers = numbers.detach().cpu().numpy()
    try:
        found = np.array(numbers, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name} must be numbers; {error}") from None
    if found.size == 0 or not bool(np.isfinite(found).all()):
        raise InputError(f"{name} must be finite numbers, at least one; found {np.array2string(found, threshold=6)}")
    return found


def power_of_ten(count: int) -> str:
    """A large power of two for people.

    >>> power_of_ten(784), power_of_ten(10)
    ('10^236', '1,024')
    """
    return f"10^{int(count * math.log10(2)) + 0}" if count > 40 else f"{1 << count:,}"
