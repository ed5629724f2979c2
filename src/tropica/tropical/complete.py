"""Proof that the monomials found of a network's F and G are all of them.

F is convex, and p, the maximum of the pieces found, is at most F. On a cell of p, which is the convex hull of its corners and of
its directions to infinity, p is affine. So F = p on it if they agree at the corners and grow alike in the directions: F(v + Σ s_i
r_i) ≤ F(v) + Σ s_i · growth(r_i). The corners of all cells are the slopes of the upper faces of P(p), and the directions are the
normals of the facets of the Newton polytope, with those in which p is affine, both ways. At each of them a piece of F is read off
exactly: where F and p differ it is a new one, and is added.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np

from tropica.polyhedra import upper_hull
from tropica.polyhedra.facets import facets
from tropica.polyhedra.rational import echelon
from tropica.tropical.from_network import INSTEAD, Collection, TooManyMonomials
from tropica.tropical.polynomial import TropicalPolynomial


def complete(found: Collection, limit: int) -> None:
    """Look at all corners and directions, and add what is new, until nothing is.

    Raises:
        TooManyMonomials: a polynomial has more than ``limit``.
    """
    seen: set[tuple[int, int]] = set()
    while True:
        points: dict[tuple[int, ...], None] = {}
        directions: dict[tuple[int, ...], None] = {}
        for number, monomials in enumerate(found.functions):
            state = (number, len(monomials.rows))
            if state in seen:
                continue
            seen.add(state)
            if state[1] > limit:
                raise TooManyMonomials(
                    f"a polynomial has {state[1]:,} monomials, and the limit is {limit:,}; raise limit=, or {INSTEAD}", state[1]
                )
            p = monomials.polynomial()
            points.update((row, None) for row in corners(p))
            directions.update((row, None) for row in growth_directions(p))
        if not points and not directions:
            return
        if points:
            found.add_flags(_integers(points)[:, None])
        if directions:
            origin = np.zeros((len(directions), 1, found.network.inputs + 1), dtype=object)
            origin[..., -1] = 1
            found.add_flags(np.concatenate([_integers(directions)[:, None], origin], 1))


def corners(p: TropicalPolynomial) -> list[tuple[int, ...]]:
    """A point of every minimal face of p's cells, in homogeneous integers (x, 1) · s."""
    slopes = upper_hull(p.exponents, p.coefficients).slopes
    return [_homogeneous(row) for row in slopes.tolist()]


def _homogeneous(row: Sequence[int | Fraction]) -> tuple[int, ...]:
    bottom = math.lcm(*(v.denominator for v in row))
    return (*(v.numerator * (bottom // v.denominator) for v in row), bottom)


def growth_directions(p: TropicalPolynomial) -> list[tuple[int, ...]]:
    """The directions (r, 0) to look in: outer normals of the Newton polytope's facets, and ± those in which p is affine.

    >>> sorted(growth_directions(TropicalPolynomial({(0, 0): 0, (3, 0): 1})))  # a segment in the plane
    [(-1, 0, 0), (0, -1, 0), (0, 1, 0), (1, 0, 0)]
    """
    d = p.variables
    powers = p.table.top[:, :-1].astype(object)
    sides = powers[1:] - powers[:1]
    reduced, _, axes = echelon(sides) if len(sides) else (np.zeros((0, d), dtype=object), [], [])
    found: list[tuple[int, ...]] = []
    if axes:
        for facet in facets(powers[:, axes]):
            direction = [0] * (d + 1)
            for axis, entry in zip(axes, facet.normal.tolist(), strict=True):
                direction[axis] = entry
            found.append(tuple(direction))
    for free in (i for i in range(d) if i not in axes):
        flat = _kernel_vector(reduced, axes, free, d)
        found += [(*flat, 0), (*(-v for v in flat), 0)]
    return found


def _kernel_vector(reduced: np.ndarray, axes: Sequence[int], free: int, d: int) -> list[int]:
    """An integer vector orthogonal to the rows of a reduced echelon form, with one free entry."""
    entries = [Fraction(0)] * d
    entries[free] = Fraction(1)
    for row, axis in zip(reduced.tolist(), axes, strict=False):
        entries[axis] = -Fraction(row[free]) / Fraction(row[axis])
    bottom = math.lcm(*(v.denominator for v in entries))
    return [int(v * bottom) for v in entries]


def _integers(rows: Iterable[tuple[int, ...]]) -> np.ndarray:
    listed = list(rows)
    out = np.empty((len(listed), len(listed[0])), dtype=object)
    for i, row in enumerate(listed):
        out[i] = row
    return out


