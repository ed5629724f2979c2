"""``Polytope``: the convex hull of rational points, exactly; Minkowski sums and hulls of unions."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from tropica.errors import InputError
from tropica.exact.determinants import determinants
from tropica.exact.rational_arrays import as_objects, compact, exact_array, exact_numbers, primitive, ratio
from tropica.polyhedra import lattice
from tropica.polyhedra.configuration import configuration
from tropica.polyhedra.facets import Facet, extreme, facets
from tropica.polyhedra.overlay import overlay_pairs
from tropica.polyhedra.predicates import Points
from tropica.polyhedra.upper import propose, upper_faces


class Polytope:
    """The convex hull of points.

    Args:
        points: (n, d) ints, Fractions or floats (taken as the rationals they are), n ≥ 1. Repeated points, points inside and
            points in a flat are ordinary.

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
        self._points = configuration(given, np.zeros(len(given), np.int64))
        chosen = extreme(self._points.flat)
        self._flat = self._points.flat[chosen]
        self.numbers = self._points.index[chosen]
        """(V,) which of the points given the vertices are, sorted; of repeated ones the first."""
        self.vertices = exact_numbers(given[self.numbers])
        """(V, d) ints and Fractions."""

    @property
    def dimension(self) -> int:
        """Of the polytope: k ≤ d."""
        return self._points.k

    @property
    def ambient(self) -> int:
        """d."""
        return self.vertices.shape[1]

    @cached_property
    def _facets(self) -> list[Facet]:
        return sorted(facets(self._flat), key=lambda f: f.points.tolist()) if self.dimension else []

    @cached_property
    def facets(self) -> list[tuple[int, ...]]:
        """The vertices (places in ``vertices``) of each face of dimension k − 1."""
        return [tuple(f.points.tolist()) for f in self._facets]

    @cached_property
    def inequalities(self) -> tuple[np.ndarray, np.ndarray]:
        """Outward normals (F, d) and offsets (F,): in its affine hull it is {x : ⟨normal, x⟩ ≤ offset}; a row a facet.

        Normals are primitive integer vectors, in the span of the polytope's own directions.
        """
        normals = np.stack([f.normal for f in self._facets]) if self._facets else np.zeros((0, self.dimension), dtype=object)
        rows = [primitive(n) for n in self._points.functional(normals)]
        normals = np.stack(rows) if rows else np.zeros((0, self.ambient), dtype=object)
        offsets = as_objects(n @ self.vertices[f[0]] for n, f in zip(normals, self.facets, strict=True))
        return normals, offsets

    @cached_property
    def _lattice(self) -> dict[frozenset[int], int]:
        return lattice.faces(frozenset(range(len(self.vertices))), map(frozenset, self.facets))

    def faces(self, dimension: int) -> list[tuple[int, ...]]:
        """The faces of a dimension from 0 to k: the vertices (places in ``vertices``) of each, sorted.

        Raises:
            InputError: another dimension; more than a million faces in all.
        """
        if dimension not in range(self.dimension + 1):
            raise InputError(f"faces have dimensions 0 to {self.dimension}; found {dimension!r}")
        if dimension == self.dimension:
            return [tuple(range(len(self.vertices)))]
        if dimension == self.dimension - 1:
            return list(self.facets)
        return sorted(tuple(sorted(f)) for f, size in self._lattice.items() if size == dimension)

    @cached_property
    def f_vector(self) -> tuple[int, ...]:
        """The number of faces of dimension 0, 1, …, k."""
        return tuple(len(self.faces(j)) for j in range(self.dimension + 1))

    @cached_property
    def volume(self) -> int | Fraction:
        """In d dimensions, exactly; 0 where k < d, and 1 for the point of ℝ⁰."""
        if self.dimension < self.ambient:
            return 0
        k = self.dimension
        corners = self._flat[_simplices(self._flat)]
        total = sum(abs(int(v)) for v in determinants(corners[:, 1:] - corners[:, :1])) if k else 1
        return ratio(total, math.factorial(k) * math.prod(self._points.scales[:-1]))

    def contains(self, points: Any) -> np.ndarray:
        """Which of the points (n, d) are in the polytope, its border included: (n,) bool, exactly.

        Raises:
            InputError: another number of coordinates, numbers that are not finite.
        """
        x = exact_array(points, "points", 2)
        if x.shape[1] != self.ambient:
            raise InputError(f"points must have {self.ambient} coordinates; found {x.shape[1]}")
        x = exact_numbers(x)
        normals, offsets = self.inequalities
        inside = (x @ normals.T <= offsets).all(1) if len(normals) else np.ones(len(x), bool)
        if self.dimension < self.ambient:
            inside = inside.astype(bool) & self._in_hull(x - self.vertices[0])
        return inside.astype(bool)

    def _in_hull(self, directions: np.ndarray) -> np.ndarray:
        """Is each vector (n, d) in the span of the polytope's directions? Those are (I | M) on their axes, up to factors."""
        spans, axes = self._points.spans, list(self._points.axes)
        rebuilt = np.zeros(directions.shape, dtype=object)
        for i, a in enumerate(axes):
            rebuilt = rebuilt + (directions[:, a] * Fraction(1, int(spans[i, a])))[:, None] * spans[i][None, :]
        return (rebuilt == directions).all(1)

    def __add__(self, other: Polytope) -> Polytope:
        return minkowski_sum(self, other)

    def __eq__(self, other: object) -> bool:
        """The same set."""
        if not isinstance(other, Polytope):
            return NotImplemented
        return {tuple(v) for v in self.vertices.tolist()} == {tuple(v) for v in other.vertices.tolist()}

    def __hash__(self) -> int:
        return hash(frozenset(tuple(v) for v in self.vertices.tolist()))

    def __repr__(self) -> str:
        return f"Polytope({len(self.vertices)} vertices, dimension {self.dimension} in {self.ambient})"


def minkowski_sum(first: Polytope, second: Polytope) -> Polytope:
    """{x + y : x in one, y in the other}. Only sums that are vertices are formed.

    >>> minkowski_sum(Polytope([[0, 0], [1, 0]]), Polytope([[0, 0], [0, 1]])).volume
    1

    Raises:
        InputError: polytopes of different d, something else than a Polytope.
    """
    _check_both(first, second)
    if not first.ambient:
        return Polytope(first.vertices)
    pairs = []
    for sign in (1, -1):
        low, high = (p.vertices * np.array([1] * (p.ambient - 1) + [sign], dtype=object) for p in (first, second))
        pairs.append(overlay_pairs(low[:, :-1], low[:, -1], high[:, :-1], high[:, -1]))
    i, j = np.unique(np.concatenate(pairs), axis=0).T
    return Polytope(first.vertices[i] + second.vertices[j])


def hull_of_union(first: Polytope, second: Polytope) -> Polytope:
    """The convex hull of both.

    >>> hull_of_union(Polytope([[0, 0], [1, 0]]), Polytope([[0, 1]])).volume
    Fraction(1, 2)

    Raises:
        InputError: polytopes of different d, something else than a Polytope.
    """
    _check_both(first, second)
    return Polytope(np.concatenate([first.vertices, second.vertices]))


def _check_both(first: object, second: object) -> None:
    for p in (first, second):
        if not isinstance(p, Polytope):
            raise InputError(f"two Polytopes are needed; found {type(p).__name__}")
    if first.ambient != second.ambient:  # type: ignore[attr-defined]
        raise InputError(f"both must be in one space; found dimensions {first.ambient} and {second.ambient}")  # type: ignore[attr-defined]


def _simplices(flat: np.ndarray) -> np.ndarray:
    """A triangulation (F, k + 1) of the convex hull of integer points (n, k) that span k dimensions."""
    k = flat.shape[1]
    if k == 0:
        return np.zeros((1, 1), np.int64)
    axes = [compact(c) for c in flat.T]
    found = propose(Points([*axes, compact(-(flat * flat).sum(1))]))
    if found is not None:
        return found.simplices
    random = np.random.default_rng(0)
    while True:  # heights at random are in general position, all but surely
        cells, _, corners = upper_faces(Points([*axes, random.integers(0, 1 << 60, len(flat))]))
        if all(len(c) == k + 1 for c in cells):
            return corners
