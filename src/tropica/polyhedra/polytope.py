"""``Polytope``: the convex hull of rational points, exactly; Minkowski sums and hulls of unions."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from tropica.errors import InputError
from tropica.exact.determinants import determinants
from tropica.exact.linear_algebra import kernel
from tropica.exact.rational_arrays import as_objects, compact, exact_array, exact_numbers, primitive, ratio
from tropica.polyhedra.configurations import lifted_configuration
from tropica.polyhedra.face_lattice import faces_from_facets
from tropica.polyhedra.integer_hulls import Facet, facets, hull_vertices, upper_faces
from tropica.polyhedra.overlay import overlay_pairs
from tropica.polyhedra.predicates import IntegerPoints
from tropica.polyhedra.triangulation import propose
from tropica.polyhedra.vertex_enumeration import vertices_of_halfspaces
from tropica.runtime.html import HtmlRepr

MAX_LATTICE_POINTS = 2_000_000
"""Integer points of a bounding box that are tested."""


class Polytope(HtmlRepr):
    """The convex hull of points.

    Args:
        points: (n, d) ints, Fractions or floats (read as exact rationals), n ≥ 1. Points may repeat, need not be vertices, and
            may lie in an affine subspace.

    Raises:
        InputError: no point, rows of different lengths, numbers that are not finite.

    >>> square = Polytope([[0, 0], [2, 0], [2, 2], [0, 2], [1, 1]])
    >>> len(square.vertices), square.dimension, square.volume, square.faces(1)
    (4, 2, 4, [(0, 1), (0, 3), (1, 2), (2, 3)])
    >>> square.contains([[1, 1], [2, 1], [3, 1]]).tolist()
    [True, True, False]
    """

    def __init__(self, points: Any) -> None:
        given = exact_array(points, "points", 2)
        self._configuration = lifted_configuration(given, np.zeros(len(given), np.int64))
        chosen = hull_vertices(self._configuration.projected)
        self._projected = self._configuration.projected[chosen]
        self.vertex_indices = self._configuration.index[chosen]
        """(V,) sorted indices of the points that are vertices; for repeated points the first index."""
        self.vertices = exact_numbers(given[self.vertex_indices])
        """(V, d) ints and Fractions: the coordinates of the vertices."""

    @classmethod
    def from_inequalities(cls, a: Any, b: Any) -> Polytope:
        """The polytope {x : A x ≤ b}, for A (m, d) and b (m,).

        Raises:
            InputError: shapes that do not fit; an empty or an unbounded set.

        >>> Polytope.from_inequalities([[1, 0], [-1, 0], [0, 1], [0, -1]], [1, 0, 1, 0]).volume
        1
        """
        normals, offsets = exact_numbers(exact_array(a, "A", 2)), exact_numbers(exact_array(b, "b", 1))
        if len(normals) != len(offsets):
            raise InputError(
                f"there must be one bound per row of A; found A with {len(normals)} rows and {len(offsets)} bounds"
            )
        return cls(vertices_of_halfspaces(normals, offsets))

    def lattice_points(self, *, interior: bool = False, max_points: int = MAX_LATTICE_POINTS) -> np.ndarray:
        """The integer points (N, d) in the polytope, in lexicographic order.

        Args:
            interior: only those in the relative interior.
            max_points: the largest number of integer points of the bounding box to test.

        Raises:
            InputError: a larger bounding box.

        >>> triangle = Polytope([[0, 0], [3, 0], [0, 3]])
        >>> len(triangle.lattice_points()), triangle.lattice_points(interior=True).tolist()
        (10, [[1, 1]])
        """
        low = [math.ceil(min(c)) for c in self.vertices.T.tolist()]
        high = [math.floor(max(c)) for c in self.vertices.T.tolist()]
        sizes = [max(0, b - a + 1) for a, b in zip(low, high, strict=True)]
        if math.prod(sizes) > max_points:
            raise InputError(
                f"the bounding box holds {math.prod(sizes):,} integer points; the limit is {max_points:,}; raise max_points="
            )
        grid = np.indices(sizes).reshape(len(sizes), -1).T.astype(object) + as_objects(low)
        grid = grid[self.contains(grid)] if len(grid) else grid
        if interior and len(grid):
            a, b = self.inequalities
            grid = grid[(grid @ a.T < b).astype(bool).all(1)]
        return grid

    @property
    def dimension(self) -> int:
        """k ≤ d: the dimension of the affine hull."""
        return self._configuration.dimension

    @property
    def ambient_dimension(self) -> int:
        """d: the number of coordinates."""
        return self.vertices.shape[1]

    @cached_property
    def _facets(self) -> list[Facet]:
        return sorted(facets(self._projected), key=lambda f: f.points.tolist()) if self.dimension else []

    @cached_property
    def facets(self) -> list[tuple[int, ...]]:
        """The faces of dimension k − 1: the rows of ``vertices`` on each, sorted."""
        return [tuple(f.points.tolist()) for f in self._facets]

    @cached_property
    def inequalities(self) -> tuple[np.ndarray, np.ndarray]:
        """A (F, d) and b (F,): within its affine hull the polytope is {x : A x ≤ b}, with one row for each facet.

        The rows of A are primitive integer vectors, in the span of the directions of the affine hull.
        """
        normals = np.array([f.normal for f in self._facets], dtype=object).reshape(len(self._facets), self.dimension)
        rows = [primitive(n) for n in self._configuration.functional(normals)]
        a = np.array(rows, dtype=object).reshape(len(rows), self.ambient_dimension)
        return a, as_objects(row @ self.vertices[f[0]] for row, f in zip(a, self.facets, strict=True))

    @cached_property
    def _faces(self) -> dict[tuple[int, ...], int]:
        return faces_from_facets(len(self.vertices), self.facets)

    def faces(self, dimension: int) -> list[tuple[int, ...]]:
        """The faces of a dimension: the rows of ``vertices`` on each, sorted.

        Raises:
            InputError: a dimension outside 0, …, k; more than a million faces in all.
        """
        if dimension not in range(self.dimension + 1):
            raise InputError(f"faces have dimensions 0 to {self.dimension}; found {dimension!r}")
        if dimension == self.dimension:
            return [tuple(range(len(self.vertices)))]
        if dimension == self.dimension - 1:
            return list(self.facets)
        return [face for face, size in self._faces.items() if size == dimension]

    @cached_property
    def f_vector(self) -> tuple[int, ...]:
        """The numbers of faces of dimension 0, 1, …, k."""
        return tuple(len(self.faces(j)) for j in range(self.dimension + 1))

    @cached_property
    def volume(self) -> int | Fraction:
        """The d-dimensional volume, exactly: 0 where k < d, and 1 for the point of ℝ⁰."""
        if self.dimension < self.ambient_dimension:
            return 0
        k = self.dimension
        corners = self._projected[_triangulated(self._projected)]
        total = sum(abs(int(v)) for v in determinants(corners[:, 1:] - corners[:, :1])) if k else 1
        return ratio(total, math.factorial(k) * math.prod(self._configuration.scales[:-1]))

    def contains(self, points: Any) -> np.ndarray:
        """Whether each of the points (n, d) is in the polytope, boundary included: (n,) bool, exactly.

        Raises:
            InputError: a wrong number of coordinates, numbers that are not finite.
        """
        x = exact_array(points, "points", 2)
        if x.shape[1] != self.ambient_dimension:
            raise InputError(f"points must have {self.ambient_dimension} coordinates; found {x.shape[1]}")
        x = exact_numbers(x)
        a, b = self.inequalities
        normals = kernel(self._configuration.spans)  # normals of the affine hull
        inside = np.ones(len(x), bool)
        for satisfied in (x @ a.T <= b, (x - self.vertices[0]) @ normals.T == 0):
            inside &= satisfied.astype(bool).all(1)
        return inside

    def __add__(self, other: Polytope) -> Polytope:
        return minkowski_sum(self, other)

    def __eq__(self, other: object) -> bool:
        """Equality as sets."""
        if not isinstance(other, Polytope):
            return NotImplemented
        return {tuple(v) for v in self.vertices.tolist()} == {tuple(v) for v in other.vertices.tolist()}

    def __hash__(self) -> int:
        return hash(frozenset(tuple(v) for v in self.vertices.tolist()))

    def __repr__(self) -> str:
        return f"Polytope({len(self.vertices)} vertices, dimension {self.dimension} in {self.ambient_dimension})"


def minkowski_sum(first: Polytope, second: Polytope) -> Polytope:
    """The Minkowski sum {x + y : x in the first, y in the second}. Only sums that are vertices are formed.

    >>> minkowski_sum(Polytope([[0, 0], [1, 0]]), Polytope([[0, 0], [0, 1]])).volume
    1

    Raises:
        InputError: polytopes of different d, or an argument that is not a Polytope.
    """
    _check_both(first, second)
    if not first.ambient_dimension:
        return Polytope(first.vertices)
    pairs = []
    for sign in (1, -1):
        low, high = (p.vertices * np.array([1] * (p.ambient_dimension - 1) + [sign], dtype=object) for p in (first, second))
        pairs.append(overlay_pairs(low[:, :-1], low[:, -1], high[:, :-1], high[:, -1]))
    i, j = np.unique(np.concatenate(pairs), axis=0).T
    return Polytope(first.vertices[i] + second.vertices[j])


def hull_of_union(first: Polytope, second: Polytope) -> Polytope:
    """The convex hull of the union of two polytopes.

    >>> hull_of_union(Polytope([[0, 0], [1, 0]]), Polytope([[0, 1]])).volume
    Fraction(1, 2)

    Raises:
        InputError: polytopes of different d, or an argument that is not a Polytope.
    """
    _check_both(first, second)
    return Polytope(np.concatenate([first.vertices, second.vertices]))


def _check_both(first: Polytope, second: Polytope) -> None:
    for p in (first, second):
        if not isinstance(p, Polytope):
            raise InputError(f"two Polytopes are needed; found {type(p).__name__}")
    if first.ambient_dimension != second.ambient_dimension:
        found = f"{first.ambient_dimension} and {second.ambient_dimension}"
        raise InputError(f"both polytopes must have the same ambient dimension; found {found}")


def _triangulated(x: np.ndarray) -> np.ndarray:
    """A triangulation (F, k + 1) of the convex hull of integer points (n, k) that span k dimensions."""
    if x.shape[1] == 0:
        return np.zeros((1, 1), np.int64)
    axes = [compact(c) for c in x.T]
    found = propose(IntegerPoints([*axes, compact(-(x * x).sum(1))]))
    if found is not None:
        return found.simplices
    random = np.random.default_rng(0)
    while True:  # random heights are in general position, almost surely
        faces = upper_faces(IntegerPoints([*axes, random.integers(0, 1 << 60, len(x))]))
        if all(len(c) == x.shape[1] + 1 for c in faces.cells):
            return faces.spanning
