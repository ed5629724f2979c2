"""Arrangements of hyperplanes: regions, characteristic polynomial and f-vector, exactly (Zaslavsky 1975).

A *flat* is a nonempty intersection of hyperplanes. Restricted to a flat F, the others form an arrangement with the
characteristic polynomial χ_F, and Σ_{G ⊆ F} χ_G(t) = t^{dim F} over all flats G in F. So all χ_F follow from the smallest flats
upward. F is cut into |χ_F(−1)| regions, which are the faces of dimension dim F inside F.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from itertools import combinations, product
from typing import Any

import numpy as np

from tropica.errors import InputError
from tropica.exact.rational_arrays import common_denominator, compact, largest, rational_array
from tropica.polyhedra.integer_rows import row_classes
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.html import HtmlRepr

MAX_FLATS = 100_000
"""Largest number of flats."""
BLOCK = 1 << 24
"""Pairs of flats compared at once."""


class Arrangement(HtmlRepr):
    """The hyperplanes {x : ⟨a_i, x⟩ = b_i} in ℝ^d; made by :func:`arrangement`.

    Attributes:
        rows: (n, d + 1) integers (a_i, b_i), primitive; equal hyperplanes are listed once.
        max_flats: the largest number of flats to list.

    >>> import tropica as tp
    >>> lines = tp.arrangement([[1, 0], [0, 1], [1, 1]], [0, 0, 1])
    >>> lines
    Arrangement(3 hyperplanes in ℝ^2)
    >>> lines.regions, lines.bounded_regions, lines.f_vector
    (7, 1, (3, 9, 7))
    """

    def __init__(self, rows: np.ndarray, max_flats: int = MAX_FLATS) -> None:
        self.rows, self.max_flats = rows, max_flats

    @property
    def dimension(self) -> int:
        """d."""
        return self.rows.shape[1] - 1

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def _flats(self) -> list[np.ndarray]:
        """For each rank r, the hyperplanes through each flat of dimension d − r: (F, n) bool."""
        d = self.dimension
        level: dict[bytes, tuple[np.ndarray, np.ndarray]] = {b"": (np.zeros(len(self), bool), self.rows)}
        found, total = [np.zeros((1, len(self)), bool)], 1
        for _ in range(d):
            following: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
            for on, left in level.values():
                cuts = np.flatnonzero((left[:, :-1] != 0).any(1))
                classes = row_classes(left[cuts])
                for first in np.unique(classes, return_index=True)[1].tolist():
                    more = on.copy()
                    more[cuts[classes == classes[first]]] = True
                    key = np.packbits(more).tobytes()
                    if key not in following:
                        total += 1
                        if total > self.max_flats:
                            raise InputError(
                                f"the arrangement has more than {self.max_flats:,} flats; raise max_flats=. In general "
                                "position the counts are sums of binomials: tropica.bounds.zaslavsky"
                            )
                        following[key] = more, _restricted(left, int(cuts[first]))
            if not following:
                break
            found.append(np.array([on for on, _ in following.values()]))
            level = following
        return found

    @property
    def rank(self) -> int:
        """The dimension that the normals a_i span."""
        return len(self._flats) - 1

    @cached_property
    def _restrictions(self) -> list[np.ndarray]:
        """For each rank r, the coefficients (F, d + 1) of χ_F, of t⁰ first."""
        d = self.dimension
        exact = math.comb(max(len(self), d), min(d, len(self) // 2)) * self.max_flats < 1 << 62
        found: list[np.ndarray] = [np.zeros(0)] * len(self._flats)
        for r in reversed(range(len(self._flats))):
            on = self._flats[r]
            chi = np.zeros((len(on), d + 1), np.int64 if exact else object)
            chi[:, d - r] = 1
            for s in range(r + 1, len(self._flats)):
                inside = self._flats[s].astype(np.float32)
                step = max(1, BLOCK // len(inside))
                for i in range(0, len(on), step):
                    block = on[i : i + step]
                    within = (block.astype(np.float32) @ inside.T) == block.sum(1)[:, None]  # all hyperplanes of F contain G
                    chi[i : i + step] -= within.astype(chi.dtype) @ found[s]
            found[r] = chi
        return found

    @property
    def characteristic_polynomial(self) -> tuple[int, ...]:
        """The coefficients of χ(t), of t^d first.

        >>> arrangement([[1, 0], [0, 1], [1, 1]]).characteristic_polynomial
        (1, -3, 2)
        """
        return tuple(int(c) for c in self._restrictions[0][0][::-1])

    @property
    def regions(self) -> int:
        """The number of regions, |χ(−1)|."""
        return abs(sum(c * (-1) ** i for i, c in enumerate(self.characteristic_polynomial)))

    @property
    def bounded_regions(self) -> int:
        """The number of bounded regions: |χ(1)|; 0 where the normals do not span ℝ^d."""
        return self.relatively_bounded_regions if self.rank == self.dimension else 0

    @property
    def relatively_bounded_regions(self) -> int:
        """The number of regions that are bounded up to the directions that all hyperplanes share: |χ(1)|."""
        return abs(sum(self.characteristic_polynomial))

    @property
    def f_vector(self) -> tuple[int, ...]:
        """The numbers of faces of dimension 0, 1, …, d.

        >>> arrangement([[1, 0], [0, 1], [1, 1]], [0, 0, 1]).f_vector
        (3, 9, 7)
        """
        counts = [0] * (self.dimension + 1)
        signs = np.array([(-1) ** i for i in range(self.dimension + 1)], dtype=object)
        for r, chi in enumerate(self._restrictions):
            counts[self.dimension - r] = sum(abs(v) for v in (chi.astype(object) @ signs).tolist())
        return tuple(int(c) for c in counts)

    @classmethod
    def braid(cls, n: int) -> Arrangement:
        """x_i = x_j for i < j ≤ n: n! regions.

        >>> Arrangement.braid(4).regions
        24
        """
        return _differences(n, (0,))

    @classmethod
    def catalan(cls, n: int) -> Arrangement:
        """x_i − x_j = −1, 0, 1 for i < j ≤ n: n! times the n-th Catalan number of regions."""
        return _differences(n, (-1, 0, 1))

    @classmethod
    def shi(cls, n: int) -> Arrangement:
        """x_i − x_j = 0, 1 for i < j ≤ n: (n + 1)ⁿ⁻¹ regions.

        >>> Arrangement.shi(4).regions
        125
        """
        return _differences(n, (0, 1))

    @classmethod
    def linial(cls, n: int) -> Arrangement:
        """x_i − x_j = 1 for i < j ≤ n: 2, 7, 36, 246, 2104 … regions for n = 2, 3 …

        >>> Arrangement.linial(5).regions
        246
        """
        return _differences(n, (1,))

    @classmethod
    def semiorder(cls, n: int) -> Arrangement:
        """x_i − x_j = −1, 1 for i < j ≤ n: as many regions as there are semiorders of n labeled elements: 3, 19, 183 …"""
        return _differences(n, (-1, 1))

    @classmethod
    def threshold(cls, n: int) -> Arrangement:
        """x_i + x_j = 0 for i < j ≤ n: as many regions as there are threshold graphs on n labeled vertices: 2, 8, 46, 332 …"""
        return arrangement([[int(k in pair) for k in range(n)] for pair in _pairs(n)])

    @classmethod
    def coordinate(cls, n: int) -> Arrangement:
        """x_i = 0 for i ≤ n: 2ⁿ regions."""
        return arrangement(np.eye(_size(n), dtype=np.int64))

    @classmethod
    def coxeter_b(cls, n: int) -> Arrangement:
        """The mirrors of type B: x_i = 0, x_i = x_j and x_i = −x_j for i < j ≤ n: 2ⁿ n! regions."""
        return arrangement([*np.eye(_size(n), dtype=np.int64).tolist(), *(_mirrors(n) if n > 1 else ())])

    @classmethod
    def coxeter_d(cls, n: int) -> Arrangement:
        """The mirrors of type D: x_i = x_j and x_i = −x_j for i < j ≤ n: 2ⁿ⁻¹ n! regions."""
        return arrangement(_mirrors(n))

    @classmethod
    def graphical(cls, edges: Sequence[tuple[int, int]], n: int | None = None) -> Arrangement:
        """x_i = x_j for the edges (i, j) of a graph on 0, …, n − 1: as many regions as acyclic orientations.

        The characteristic polynomial is the chromatic polynomial of the graph.

        >>> Arrangement.graphical([(0, 1), (1, 2), (2, 3), (3, 0)]).characteristic_polynomial
        (1, -4, 6, -3, 0)
        """
        ends = np.asarray(list(edges) or np.zeros((0, 2), np.int64))
        if ends.dtype.kind not in "iu" or ends.ndim != 2 or ends.shape[1] != 2:
            raise InputError(f"edges are pairs of vertices (i, j), whole numbers; found {list(edges)[:3]!r}")
        most = int(ends.max(initial=-1)) + 1
        size = _size(most if n is None else n)
        for i, j in ends.tolist():
            if i == j or not 0 <= min(i, j) <= max(i, j) < size:
                raise InputError(f"an edge joins two different vertices of 0, …, {size - 1}; found ({i}, {j})")
        return arrangement([_difference(i, j, size) for i, j in ends.tolist()])

    @classmethod
    def resonance(cls, n: int) -> Arrangement:
        """Σ_{i ∈ S} x_i = 0 for all nonempty sets S of n coordinates: 2, 6, 32, 370, 11292 … regions for n = 1, 2 …"""
        return arrangement([row for row in product((0, 1), repeat=_size(n)) if any(row)])

    def __repr__(self) -> str:
        return f"Arrangement({len(self)} hyperplanes in ℝ^{self.dimension})"


@own_settings()
def arrangement(rows: Any, offsets: Any = None, *, max_flats: int = MAX_FLATS) -> Arrangement:
    """Make the arrangement of the hyperplanes ⟨a_i, x⟩ = b_i.

    Args:
        rows: a_i (n, d), ints, Fractions or floats (read as exact rationals), none of them 0. Equal hyperplanes count once.
        offsets: b_i (n,); 0 by default.
        max_flats: the largest number of intersections of hyperplanes to list.

    Raises:
        InputError: shapes that do not fit, no hyperplane, a normal 0, numbers that are not finite.

    >>> three = arrangement([[1, 0], [0, 1], [1, 1]], [0, 0, 1])  # a triangle
    >>> three.regions, three.bounded_regions
    (7, 1)
    """
    normals = rational_array(rows, "rows", 2)
    n = len(normals.numerators)
    levels = rational_array([0] * n if offsets is None else offsets, "offsets", 1)
    if not n or not normals.numerators.shape[1]:
        raise InputError("an arrangement has at least one hyperplane; found none")
    if len(levels.numerators) != n:
        raise InputError(f"there must be one offset per row; found {n} rows and {len(levels.numerators)} offsets")
    zero = np.flatnonzero(~(normals.numerators != 0).any(1))
    if len(zero):
        raise InputError(f"a hyperplane needs a normal other than 0; row {zero[0]} is 0")
    (a, b), _ = common_denominator(normals, levels)
    whole = _primitive(np.concatenate([a.astype(object), b.astype(object)[:, None]], 1))
    return Arrangement(whole[np.unique(row_classes(whole), return_index=True)[1]], max_flats)


def _restricted(left: np.ndarray, pivot: int) -> np.ndarray:
    """The hyperplanes (n, d + 1) inside hyperplane ``pivot``, with one coordinate eliminated."""
    row = left[pivot]
    c = int(np.flatnonzero(row[:-1] != 0)[0])
    if left.dtype != object and 2 * largest(left) ** 2 >= 1 << 62:
        left, row = left.astype(object), row.astype(object)
    return _primitive(left * row[c] - left[:, c, None] * row[None, :])


def _primitive(rows: np.ndarray) -> np.ndarray:
    """Rows over their greatest common divisor, the first entry that is not 0 positive."""
    divisor = np.gcd.reduce(rows, axis=1)
    first = rows[np.arange(len(rows)), (rows != 0).argmax(1)]
    divisor = np.where(divisor == 0, 1, divisor) * np.where(first < 0, -1, 1)
    return compact(rows // divisor[:, None])


def _differences(n: int, offsets: Sequence[int]) -> Arrangement:
    """x_i − x_j = b for i < j ≤ n and each b."""
    rows = [(_difference(i, j, n), b) for i, j in _pairs(n) for b in offsets]
    return arrangement([row for row, _ in rows], [b for _, b in rows])


def _mirrors(n: int) -> list[list[int]]:
    return [row for i, j in _pairs(n) for row in (_difference(i, j, n), [int(k in (i, j)) for k in range(n)])]


def _difference(i: int, j: int, n: int) -> list[int]:
    return [int(k == i) - int(k == j) for k in range(n)]


def _pairs(n: int) -> list[tuple[int, int]]:
    if _size(n) < 2:
        raise InputError(f"this arrangement has a hyperplane for each pair of coordinates, 2 or more; found {n}")
    return list(combinations(range(n), 2))


def _size(n: Any) -> int:
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise InputError(f"the number of coordinates is a whole number, 1 or more; found {n!r}")
    return int(n)
