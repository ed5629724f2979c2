"""Convex polyhedra in Python integers: cut by half-spaces, with volumes, facets and triangulations.

A vertex is (t_1, …, t_d, w), coprime integers with w ≥ 0: the point t/w, or the direction t of a ray where w = 0. A half-space
is a row of integers f: the vertices v with ⟨f, v⟩ ≥ 0.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

Row = tuple[int, ...]


@dataclass(frozen=True)
class Polyhedron:
    """Vertices of a full-dimensional polyhedron without lines, and half-spaces that bound it (some may be redundant)."""

    vertices: tuple[Row, ...]
    halfspaces: tuple[Row, ...]

    @property
    def d(self) -> int:
        return len(self.vertices[0]) - 1

    def tight(self) -> list[frozenset[int]]:
        """For each vertex the half-spaces with it on their border."""
        return [frozenset(i for i, f in enumerate(self.halfspaces) if dot(f, v) == 0) for v in self.vertices]

    def half(self, f: Row) -> Polyhedron | None:
        """The part with f ≥ 0, None where this has no interior."""
        value = [dot(f, v) for v in self.vertices]
        if max(value) <= 0:
            return None
        if min(value) >= 0:
            return self
        on = self.tight()
        kept = [v for v, x in zip(self.vertices, value, strict=True) if x >= 0]
        for i, j in itertools.product(range(len(value)), repeat=2):
            if value[i] > 0 > value[j]:
                common = on[i] & on[j]
                if sum(common <= other for other in on) == 2:  # the least face with both is an edge
                    pairs = zip(self.vertices[j], self.vertices[i], strict=True)
                    kept.append(primitive([value[i] * a - value[j] * b for a, b in pairs]))
        return Polyhedron(tuple(sorted(set(kept))), _touching((*self.halfspaces, primitive(f)), kept))

    def facets(self) -> dict[frozenset[Row], Row]:
        """The vertices of each facet, and its half-space."""
        found = {}
        for f in self.halfspaces:
            face = frozenset(v for v in self.vertices if dot(f, v) == 0)
            if rank(list(face)) == self.d:
                found[face] = f
        return found

    @property
    def bounded(self) -> bool:
        return all(v[-1] > 0 for v in self.vertices)

    def simplices(self) -> list[tuple[Row, ...]]:
        """A triangulation without new vertices."""
        return _triangulated(frozenset(self.vertices), list(self.facets()), self.d)

    def volume(self) -> Fraction | None:
        """The volume in t, None where it is infinite."""
        if not self.bounded:
            return None
        return sum((simplex_volume(s) for s in self.simplices()), Fraction(0))

    def center(self) -> tuple[Fraction, ...]:
        """The mean of the vertices, each ray added once to it: a point of the interior."""
        points = [v for v in self.vertices if v[-1] > 0]
        mean = [sum((Fraction(v[k], v[-1]) for v in points), Fraction(0)) / len(points) for k in range(self.d)]
        return tuple(m + sum(v[k] for v in self.vertices if v[-1] == 0) for k, m in enumerate(mean))


def simplex_volume(corners: Sequence[Row]) -> Fraction:
    """|det| / k! of k + 1 points."""
    k = len(corners) - 1
    return Fraction(abs(determinant(corners)), math.factorial(k) * math.prod(v[-1] for v in corners))


def mean_value(form: Sequence[Fraction], corners: Sequence[Row]) -> Fraction:
    """The mean over a simplex of an affine function."""
    values = [sum((a * Fraction(x, v[-1]) for a, x in zip(form, v, strict=True)), Fraction(0)) for v in corners]
    return sum(values, Fraction(0)) / len(values)


# ── domains ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def box(lo: Sequence[float], hi: Sequence[float]) -> Polyhedron:
    """lo ≤ t ≤ hi."""
    d = len(lo)
    rows = [_unit(i, d, sign, -sign * end) for i in range(d) for sign, end in ((1, Fraction(lo[i])), (-1, Fraction(hi[i])))]
    corners = itertools.product(*[(Fraction(a), Fraction(b)) for a, b in zip(lo, hi, strict=True)])
    return Polyhedron(tuple(sorted(integers([*c, Fraction(1)]) for c in corners)), tuple(rows))


def from_halfspaces(a: Sequence[Sequence[float]], b: Sequence[float]) -> Polyhedron:
    """The bounded polyhedron A t ≤ b: its vertices are the feasible solutions of d independent equations."""
    rows = [integers([*(-Fraction(x) for x in r), Fraction(c)]) for r, c in zip(a, b, strict=True)]
    d = len(rows[0]) - 1
    found = set()
    for chosen in itertools.combinations(rows, d):
        v = _kernel(chosen)
        if v is not None and v[-1] != 0:
            v = v if v[-1] > 0 else tuple(-x for x in v)
            if all(dot(f, v) >= 0 for f in rows):
                found.add(v)
    return Polyhedron(tuple(sorted(found)), tuple(rows))


def simplex(points: Sequence[Sequence[float]]) -> Polyhedron:
    """The convex hull of d + 1 points (rows may end in w = 0: rays)."""
    vertices = [integers([Fraction(x) for x in p]) for p in points]
    rows = []
    for i, v in enumerate(vertices):
        f = _kernel([u for j, u in enumerate(vertices) if j != i])
        assert f is not None
        rows.append(f if dot(f, v) > 0 else tuple(-x for x in f))
    return Polyhedron(tuple(sorted(vertices)), tuple(rows))


def orthants(d: int) -> list[Polyhedron]:
    """Cones that cover space."""
    rays = [[(-1) ** s * int(i == j) for j in range(d)] + [0] for i in range(d) for s in (0, 1)]
    apex = [[0] * d + [1]]
    return [simplex(apex + [rays[2 * i + s] for i, s in enumerate(signs)]) for signs in itertools.product((0, 1), repeat=d)]


# ── integers ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def dot(f: Row, v: Row) -> int:
    return sum(a * b for a, b in zip(f, v, strict=True))


def primitive(row: Iterable[int]) -> Row:
    """The shortest integer vector in a direction."""
    listed = list(row)
    common = math.gcd(*listed) or 1
    return tuple(x // common for x in listed)


def integers(row: Sequence[Fraction]) -> Row:
    """The shortest integer vector in the direction of a rational one."""
    common = math.lcm(*(x.denominator for x in row))
    return primitive(x.numerator * (common // x.denominator) for x in row)


def rank(rows: Sequence[Row]) -> int:
    """The rank of a matrix."""
    left = [list(r) for r in rows]
    found = 0
    for c in range(len(left[0]) if left else 0):
        p = next((r for r in range(found, len(left)) if left[r][c]), None)
        if p is None:
            continue
        left[found], left[p] = left[p], left[found]
        for r in range(found + 1, len(left)):
            if left[r][c]:
                a, b = left[found][c], left[r][c]
                left[r] = list(primitive(a * x - b * y for x, y in zip(left[r], left[found], strict=True)))
        found += 1
    return found


def determinant(rows: Sequence[Row]) -> int:
    """The determinant, expanded along the first row."""
    if len(rows) == 1:
        return rows[0][0]
    return sum((-1) ** c * x * determinant([r[:c] + r[c + 1 :] for r in rows[1:]]) for c, x in enumerate(rows[0]) if x)


def _kernel(rows: Sequence[Row]) -> Row | None:
    """The direction orthogonal to d rows of d + 1 numbers, None where they are dependent."""
    n = len(rows) + 1
    minors = [(-1) ** c * determinant([r[:c] + r[c + 1 :] for r in rows]) for c in range(n)]
    return primitive(minors) if any(minors) else None


def _unit(i: int, d: int, sign: int, offset: Fraction) -> Row:
    return integers([Fraction(sign if j == i else 0) for j in range(d)] + [offset])


def _touching(rows: tuple[Row, ...], vertices: Sequence[Row]) -> tuple[Row, ...]:
    """The half-spaces with at least d vertices on their border."""
    d = len(vertices[0]) - 1
    return tuple(dict.fromkeys(f for f in rows if sum(dot(f, v) == 0 for v in vertices) >= d))


def _triangulated(face: frozenset[Row], facets: list[frozenset[Row]], dimension: int) -> list[tuple[Row, ...]]:
    """Simplices of a face: each of a face of it away from its first vertex, with that vertex."""
    apex = min(face)
    if dimension == 0:
        return [(apex,)]
    below = {face & f for f in facets if face & f != face}
    return [
        (apex, *rest)
        for part in below
        if apex not in part and rank(list(part)) == dimension
        for rest in _triangulated(part, facets, dimension - 1)
    ]
