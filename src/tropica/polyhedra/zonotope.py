"""Zonotopes: sums of segments, whose vertices are the cells of an arrangement of hyperplanes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import combinations, product
from typing import Any

import numpy as np

from tropica.errors import InputError
from tropica.exact.binomials import binomial_sum
from tropica.exact.determinants import cofactors, determinants
from tropica.exact.linear_algebra import echelon, rank
from tropica.exact.rational_arrays import exact_array, exact_numbers, ratio, rationals
from tropica.polyhedra.integer_rows import stack_columns
from tropica.polyhedra.nearly_degenerate import CLOSE, looks_rounded, warn
from tropica.polyhedra.polytope import Polytope
from tropica.runtime.html import HtmlRepr

MAX_SUBSETS = 5_000_000
"""Largest number of subsets of generators to enumerate."""


class Zonotope(HtmlRepr):
    """The zonotope offset + Σ_i [0, 1]·g_i.

    Args:
        generators: (m, d) ints, Fractions or floats (read as exact rationals). Generators may be zero, repeated,
            opposite and linearly dependent.
        offset: (d,); zero by default.
        tolerance: a generator counts as orthogonal to the normal of others where their cosine is at most this number; 0, exact,
            by default. For generators that are irrational, and would be degenerate but for rounding.

    Warns:
        NearlyDegenerateWarning: floats that are almost degenerate, with tolerance 0.

    Raises:
        InputError: shapes that do not fit, numbers that are not finite.

    >>> z = Zonotope([[1, 0], [0, 1], [1, 1]])
    >>> z.vertices.tolist()
    [[0, 0], [0, 1], [1, 0], [1, 2], [2, 1], [2, 2]]
    >>> z.volume, len(z.upper_signs)
    (3, 3)
    """

    def __init__(self, generators: Any, offset: Any = None, *, tolerance: float = 0.0) -> None:
        if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 <= tolerance < 1:
            raise InputError(f"tolerance must be a number from 0 to 1; found {tolerance!r}")
        self.tolerance = float(tolerance)
        given = exact_array(generators, "generators", 2)
        self.generators = exact_numbers(given)
        """(m, d) ints and Fractions."""
        m, d = given.shape
        self.offset = np.zeros(d, dtype=object) if offset is None else exact_numbers(exact_array(offset, "offset", 1))
        """(d,) ints and Fractions."""
        if m == 0 and offset is not None:
            self.generators = np.zeros((0, len(self.offset)), dtype=object)
        elif len(self.offset) != d:
            raise InputError(f"the offset must have {d} coordinates, as the generators do; found {len(self.offset)}")
        columns = [rationals(column) for column in given.T] if m else []
        self._scales = [c.denominator for c in columns]
        self._integers = stack_columns([c.numerators for c in columns], m).astype(object)

    @property
    def ambient_dimension(self) -> int:
        """d: the number of coordinates."""
        return self.generators.shape[1]

    @cached_property
    def dimension(self) -> int:
        """The rank of the generators."""
        return rank(self._integers) if self._integers.size else 0

    @cached_property
    def signs(self) -> np.ndarray:
        """(V, m) bool: the generators that sum to each vertex, in sorted rows. Zero generators are included.

        Raises:
            InputError: more than five million subsets of generators would have to be enumerated.
        """
        return np.unique(self._sign_vectors(self._integers) > 0, axis=0)

    def _sign_vectors(self, integers: np.ndarray) -> np.ndarray:
        near = Nearness(self.tolerance, tuple(self._scales) if any(map(looks_rounded, self._scales)) else ())
        found = _sign_vectors(integers, near)
        if near.count:
            warn(f"{near.count:,} generators are orthogonal to normals of others up to rounding", 3)
        return found

    @cached_property
    def upper_signs(self) -> np.ndarray:
        """(U, m) bool: the ``signs`` of the upper vertices, with the last coordinate as the height.

        Upper vertices are the essential monomials of a tropical product of m binomials.
        """
        up = np.zeros((1, self.ambient_dimension), dtype=object)
        up[0, -1] = 1
        both = self._sign_vectors(np.concatenate([self._integers.reshape(-1, self.ambient_dimension), up]))
        return np.unique(both[both[:, -1] > 0, :-1] > 0, axis=0)

    def points(self, signs: Any) -> np.ndarray:
        """offset + the sum of the chosen generators, for rows (n, m) of zeros and ones: (n, d) ints and Fractions.

        Raises:
            InputError: rows of another length, or other entries.
        """
        rows = np.asarray(signs, dtype=object)
        if rows.ndim != 2 or rows.shape[1] != len(self.generators) or not np.isin(rows.ravel().tolist(), (0, 1)).all():
            raise InputError(f"signs must be rows of {len(self.generators)} zeros and ones; found shape {rows.shape}")
        return exact_numbers(rows.astype(int).astype(object) @ self.generators + self.offset)

    @cached_property
    def vertices(self) -> np.ndarray:
        """(V, d) ints and Fractions, in lexicographic order."""
        found = sorted(self.points(self.signs).tolist())
        return exact_numbers(np.array(found, dtype=object).reshape(len(found), self.ambient_dimension))

    @cached_property
    def volume(self) -> int | Fraction:
        """The d-dimensional volume, exactly: the sum of |det| over all choices of d generators.

        Raises:
            InputError: more than five million choices.
        """
        m, d = self.generators.shape
        if m < d or self.dimension < d:
            return 0
        total = sum(abs(int(v)) for chosen in _subsets(m, d) for v in determinants(self._integers[chosen]))
        return ratio(total, math.prod(self._scales))

    def polytope(self) -> Polytope:
        """The same set as a Polytope, which lists its faces and inequalities."""
        return Polytope(self.vertices)

    @classmethod
    def from_vertices(cls, points: Any) -> Zonotope:
        """The zonotope with these vertices, from its edges: one lexicographically positive generator for each direction.

        Raises:
            InputError: the convex hull of the points is not a zonotope.

        >>> Zonotope.from_vertices([[0, 0], [2, 0], [0, 3], [2, 3]]).generators.tolist()
        [[0, 3], [2, 0]]
        """
        hull = points if isinstance(points, Polytope) else Polytope(points)
        edges = hull.faces(1) if hull.dimension else []
        found = set()
        for a, b in edges:
            g = (hull.vertices[b] - hull.vertices[a]).tolist()
            found.add(tuple(g) if g > [0] * len(g) else tuple(-e for e in g))
        generators = np.array(sorted(found), dtype=object).reshape(-1, hull.ambient_dimension)
        zonotope = cls(generators, min(hull.vertices.tolist()))
        if len(found) * 2 > len(edges) + 1 or zonotope.vertices.tolist() != sorted(hull.vertices.tolist()):
            raise InputError(
                "the convex hull of these points is not a zonotope: its edges do not come in equal, parallel classes"
            )
        return zonotope

    @staticmethod
    def most_vertices(m: int, d: int) -> int:
        """2·Σ_{j<d} C(m − 1, j): the number of vertices for m generic generators in ℝ^d, d ≥ 1, and the maximum over all.

        >>> [Zonotope.most_vertices(m, d) for d, m in ((3, 10), (3, 14), (4, 12), (5, 12))]
        [92, 184, 464, 1124]
        """
        return 2 * binomial_sum(m - 1, d - 1) if m else 1

    @staticmethod
    def most_upper_vertices(m: int, d: int) -> int:
        """Σ_{j<d} C(m, j): the number of upper vertices for m generic generators in ℝ^d, d ≥ 1, and the maximum over all.

        >>> Zonotope.most_upper_vertices(5, 3)  # the regions of five lines
        16
        """
        return binomial_sum(m, d - 1)

    def __repr__(self) -> str:
        return f"Zonotope({len(self.generators)} generators in dimension {self.ambient_dimension})"


@dataclass
class Nearness:
    """How values near 0 are taken, and how many were found.

    Attributes:
        tolerance: cosines up to it are 0.
        scales: the denominators of the coordinates, where values near 0 are counted.
        count: values that are 0 up to rounding, but not exactly.
    """

    tolerance: float
    scales: tuple[int, ...]
    count: int = 0

    def settled(self, values: np.ndarray, normals: np.ndarray, g: np.ndarray) -> np.ndarray:
        """Values ⟨n, g⟩ (N, m) with those that the tolerance makes 0."""
        if not self.tolerance and not self.scales:
            return values
        lengths = [np.maximum(np.abs(part).max(1), 1) for part in (normals, g)]
        small = (np.abs(values) / (lengths[0][:, None] * lengths[1][None])).astype(np.float64)
        nonzero = (values != 0).astype(bool)
        if self.tolerance:
            return np.where(nonzero & (small <= self.tolerance), 0, values)
        self.count += int((nonzero & (small < CLOSE)).sum())
        return values


def _sign_vectors(g: np.ndarray, near: Nearness) -> np.ndarray:
    """The cells of the arrangement of the hyperplanes ⟨g_i, x⟩ = 0, as rows (V, m) of 1 and −1 (1 where g_i = 0).

    Each cell has an edge: a line on which r − 1 independent g_i vanish. Along the line the other signs are fixed, and the
    vanishing g_i form an arrangement of lower rank.
    """
    m = len(g)
    g = g[:, echelon(g)[2]] if m else g[:, :0]
    r = g.shape[1]
    if r == 0:
        return np.ones((1, m), np.int8)
    first, class_of, direction = _parallel_classes(g)
    inner = np.array([[1], [-1]], np.int8) if r == 1 else _cells_around_lines(g[first], r, near)
    out = np.ones((len(inner), m), np.int8)
    nonzero = class_of >= 0
    out[:, nonzero] = inner[:, class_of[nonzero]] * direction[nonzero]
    return out


def _parallel_classes(g: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first vector of each class of parallel vectors, the class of each vector (−1 for 0), and its direction.

    The direction is 1 for the direction of the first vector of the class, −1 for the opposite one.
    """
    names: dict[tuple[int, ...], int] = {}
    first: list[int] = []
    class_of, direction = np.full(len(g), -1), np.ones(len(g), np.int8)
    for i, row in enumerate(g.tolist()):
        divisor = math.gcd(*row)
        if not divisor:
            continue
        sign = 1 if next(e for e in row if e) > 0 else -1
        key = tuple(sign * e // divisor for e in row)
        if key not in names:
            names[key] = len(first)
            first.append(i)
        class_of[i], direction[i] = names[key], sign
    nonzero = class_of >= 0
    direction[nonzero] *= direction[first][class_of[nonzero]]
    return np.array(first, np.int64), class_of, direction


def _cells_around_lines(g: np.ndarray, r: int, near: Nearness) -> np.ndarray:
    """The cells around all lines of an arrangement of rank r ≥ 2 without parallel vectors."""
    lines: dict[tuple[int, ...], np.ndarray] = {}
    for chosen in _subsets(len(g), r - 1):
        normals = cofactors(g[chosen], signed=True)
        normals = normals[(normals != 0).any(1)]
        values = near.settled(normals @ g.T, normals, g)
        signs = (values > 0).astype(np.int8) - (values < 0).astype(np.int8)
        first = signs[np.arange(len(signs)), (signs != 0).argmax(1)]
        rows, at = np.unique(signs * first[:, None], axis=0, return_index=True)
        lines.update(zip(map(tuple, rows.tolist()), normals[at], strict=True))
    generic = np.array(list(product((1, -1), repeat=r - 1)), np.int8)
    found = []
    for line, normal in sorted(lines.items(), key=lambda item: item[0]):
        signs = np.array(line, np.int8)
        zero = np.flatnonzero(signs == 0)
        inner = generic if len(zero) == r - 1 else _sign_vectors(_orthogonal(g[zero], normal, near), near)
        for ray in (signs, -signs):
            rows = np.tile(ray, (len(inner), 1))
            rows[:, zero] = inner
            found.append(rows)
    return np.unique(np.concatenate(found), axis=0)


def _orthogonal(g: np.ndarray, normal: np.ndarray, near: Nearness) -> np.ndarray:
    """Generators that vanish on a line, exactly orthogonal to it; with a tolerance they are so only nearly."""
    return g * (normal @ normal) - (g @ normal)[:, None] * normal if near.tolerance else g


def _subsets(m: int, size: int) -> list[np.ndarray]:
    """All subsets of a size, as blocks of rows of indices.

    Raises:
        InputError: more than five million.
    """
    count = math.comb(m, size)
    if count > MAX_SUBSETS:
        raise InputError(f"{count:,} subsets of generators are too many (at most {MAX_SUBSETS:,}): use fewer generators")
    every = np.array(list(combinations(range(m), size)), np.int64).reshape(-1, size)
    return np.array_split(every, max(1, len(every) // 20_000))
