"""Zonotopes: sums of segments, whose vertices are the cells of an arrangement of hyperplanes."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cached_property
from itertools import combinations, product
from typing import Any

import numpy as np

from tropica.bounds.arrangements import binomial_sum
from tropica.errors import InputError
from tropica.exact.determinants import cofactors, determinants
from tropica.exact.linear_algebra import echelon
from tropica.exact.rational_arrays import exact_array, exact_numbers, ratio, rationals
from tropica.polyhedra.configuration import columns
from tropica.polyhedra.polytope import Polytope

MOST = 5_000_000
"""Subsets of generators that are gone through at most."""


class Zonotope:
    """offset + Σ_i [0, 1]·g_i.

    Args:
        generators: (m, d) ints, Fractions or floats (taken as the rationals they are). Zero, repeated, opposite and linearly
            dependent ones are ordinary.
        offset: (d,); zero by default.

    Raises:
        InputError: shapes that do not fit, numbers that are not finite.

    >>> z = Zonotope([[1, 0], [0, 1], [1, 1]])
    >>> z.vertices.tolist()
    [[0, 0], [0, 1], [1, 0], [1, 2], [2, 1], [2, 2]]
    >>> z.volume, len(z.upper_signs)
    (3, 3)
    """

    def __init__(self, generators: Any, offset: Any = None) -> None:
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
        read = [rationals(given[:, j]) for j in range(d)] if m else []
        self._scales = [c.denominator for c in read]
        self._whole = columns([c.numerators for c in read], m).astype(object)

    @property
    def ambient(self) -> int:
        """d."""
        return self.generators.shape[1]

    @cached_property
    def dimension(self) -> int:
        """The rank of the generators."""
        return len(echelon(self._whole)[1]) if self._whole.size else 0

    @cached_property
    def signs(self) -> np.ndarray:
        """(V, m) bool, a row a vertex: which generators it is the sum of. Those that are 0 count as in. Rows are sorted.

        Raises:
            InputError: more than five million subsets of generators would have to be gone through.
        """
        return _sorted(_regions(self._whole) > 0)

    @cached_property
    def upper_signs(self) -> np.ndarray:
        """(U, m) bool: ``signs`` of the vertices that are alone the highest (in the last coordinate) in some direction.

        With the last coordinate as the height: the essential monomials of a tropical product of m binomials.
        """
        up = np.zeros((1, self.ambient), dtype=object)
        up[0, -1] = 1
        both = _regions(np.concatenate([self._whole.reshape(-1, self.ambient), up]))
        return _sorted(both[both[:, -1] > 0, :-1] > 0)

    def at(self, signs: Any) -> np.ndarray:
        """offset + the sum of the chosen generators, for rows (n, m) of zeros and ones: (n, d) ints and Fractions."""
        rows = np.asarray(signs, dtype=object)
        if rows.ndim != 2 or rows.shape[1] != len(self.generators) or not np.isin(rows.ravel().tolist(), (0, 1)).all():
            raise InputError(f"signs must be rows of {len(self.generators)} zeros and ones; found shape {rows.shape}")
        return exact_numbers(rows.astype(int).astype(object) @ self.generators + self.offset)

    @cached_property
    def vertices(self) -> np.ndarray:
        """(V, d) ints and Fractions, in lexicographic order."""
        found = self.at(self.signs).tolist()
        return exact_numbers(np.array(sorted(found), dtype=object).reshape(len(found), self.ambient))

    @cached_property
    def volume(self) -> int | Fraction:
        """In d dimensions: the sum of |det| over all choices of d generators, exactly; 0 where they span less."""
        m, d = self.generators.shape
        if m < d or self.dimension < d:
            return 0
        _guard(math.comb(m, d))
        total = 0
        for chosen in _chunks(m, d):
            total += sum(abs(int(v)) for v in determinants(self._whole[chosen]))
        return ratio(total, math.prod(self._scales))

    def polytope(self) -> Polytope:
        """The same set with faces, inequalities, …"""
        return Polytope(self.vertices)

    @classmethod
    def from_vertices(cls, points: Any) -> Zonotope:
        """The zonotope with these vertices, from its edges: one generator for each direction, lexicographically positive.

        Raises:
            InputError: the convex hull of the points is no zonotope.

        >>> Zonotope.from_vertices([[0, 0], [2, 0], [0, 3], [2, 3]]).generators.tolist()
        [[0, 3], [2, 0]]
        """
        hull = points if isinstance(points, Polytope) else Polytope(points)
        edges = hull.faces(1) if hull.dimension else []
        found = set()
        for a, b in edges:
            g = (hull.vertices[b] - hull.vertices[a]).tolist()
            found.add(tuple(g) if g > [0] * len(g) else tuple(-e for e in g))
        d = hull.ambient
        zonotope = cls(np.array(sorted(found), dtype=object).reshape(-1, d), min(hull.vertices.tolist()))
        if len(found) * 2 > len(edges) + 1 or zonotope.vertices.tolist() != sorted(hull.vertices.tolist()):
            raise InputError("the convex hull of these points is no zonotope: its edges do not come in equal, parallel classes")
        return zonotope

    @staticmethod
    def most_vertices(m: int, d: int) -> int:
        """2·Σ_{j<d} C(m − 1, j): the vertices of m generic segments in ℝ^d, d ≥ 1; fewer for any others.

        >>> [Zonotope.most_vertices(m, d) for d, m in ((3, 10), (3, 14), (4, 12), (5, 12))]
        [92, 184, 464, 1124]
        """
        return 2 * binomial_sum(m - 1, d - 1) if m else 1

    @staticmethod
    def most_upper_vertices(m: int, d: int) -> int:
        """Σ_{j<d} C(m, j): the upper vertices of m generic segments in ℝ^d, d ≥ 1; fewer for any others.

        >>> Zonotope.most_upper_vertices(5, 3)  # the regions of five lines
        16
        """
        return binomial_sum(m, d - 1)

    def __repr__(self) -> str:
        return f"Zonotope({len(self.generators)} generators in dimension {self.ambient})"


def _regions(g: np.ndarray) -> np.ndarray:
    """The cells of the arrangement of the hyperplanes ⟨g_i, x⟩ = 0, as sign vectors (V, m) of 1 and −1 (1 where g_i = 0).

    A cell has an edge: a line on which r − 1 independent g_i vanish. Around it the other signs are fixed, and those that vanish
    there form an arrangement of lower rank.
    """
    m = len(g)
    _, _, axes = echelon(g) if m else (None, [], [])
    r = len(axes)
    g = g[:, axes]
    classes, member, turn = _parallel(g)
    if r == 0:
        return np.ones((1, m), np.int8)
    inner = np.array([[1], [-1]], np.int8) if r == 1 else _around_lines(g[classes], r)
    out = np.ones((len(inner), m), np.int8)
    used = member >= 0
    out[:, used] = inner[:, member[used]] * turn[used]
    return out


def _parallel(g: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One of each class of parallel vectors; the class of each vector (−1 for 0) and whether it points the same way (±1)."""
    names: dict[tuple[int, ...], int] = {}
    classes: list[int] = []
    member, turn = np.full(len(g), -1), np.ones(len(g), np.int8)
    for i, row in enumerate(g.tolist()):
        divisor = math.gcd(*row)
        if not divisor:
            continue
        way = 1 if next(e for e in row if e) > 0 else -1
        key = tuple(way * e // divisor for e in row)
        if key not in names:
            names[key] = len(classes)
            classes.append(i)
        member[i], turn[i] = names[key], way
    first = turn[classes]
    turn[member >= 0] *= first[member[member >= 0]]
    return np.array(classes, np.int64), member, turn


def _around_lines(g: np.ndarray, r: int) -> np.ndarray:
    """Cells around each line of an arrangement of rank r ≥ 2 without parallel vectors."""
    m = len(g)
    _guard(math.comb(m, r - 1))
    lines: set[tuple[int, ...]] = set()
    for chosen in _chunks(m, r - 1):
        normals = cofactors(g[chosen], signed=True)
        normals = normals[(normals != 0).any(1)]
        values = normals @ g.T
        signs = (values > 0).astype(np.int8) - (values < 0).astype(np.int8)
        first = signs[np.arange(len(signs)), (signs != 0).argmax(1)]
        lines.update(map(tuple, np.unique(signs * first[:, None], axis=0).tolist()))
    found = []
    patterns: dict[int, np.ndarray] = {}
    for line in sorted(lines):
        signs = np.array(line, np.int8)
        zero = np.flatnonzero(signs == 0)
        if len(zero) == r - 1:
            if r - 1 not in patterns:
                patterns[r - 1] = np.array(list(product((1, -1), repeat=r - 1)), np.int8)
            inner = patterns[r - 1]
        else:
            inner = _regions(g[zero])
        for way in (1, -1):
            rows = np.tile(signs * way, (len(inner), 1)).astype(np.int8)
            rows[:, zero] = inner
            found.append(rows)
    return np.unique(np.concatenate(found), axis=0)


def _chunks(m: int, size: int) -> list[np.ndarray]:
    """All subsets of a size as index arrays, some at a time."""
    every = np.array(list(combinations(range(m), size)), np.int64).reshape(-1, size)
    return np.array_split(every, max(1, len(every) // 20_000))


def _guard(count: int) -> None:
    if count > MOST:
        raise InputError(f"{count:,} subsets of generators are too many to go through (at most {MOST:,}): use fewer generators")


def _sorted(rows: np.ndarray) -> np.ndarray:
    return np.unique(rows, axis=0)
