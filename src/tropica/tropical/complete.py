"""Proof that the monomials found of a network's F and G are all of them.

F is convex, and p, the maximum of the pieces found, is at most F. On a cell of p, which is the convex hull of its corners and
of its directions to infinity, p is affine. So F = p on it if they agree at the corners and grow alike in the directions:
F(v + Σ s_i r_i) ≤ F(v) + Σ s_i · growth(r_i). The corners and the directions of all cells are the vertices and rays of p's
hypersurface, and where p is affine along a line both its directions. At each of them a piece of F is read off exactly: where F
and p differ it is a new one, and is added.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np

from tropica.tropical.from_network import INSTEAD, Collection, TooManyMonomials
from tropica.tropical.polynomial import TropicalPolynomial

FLAT = 5
"""Variables up to which hypersurfaces may be of any size."""
PROVABLE = 64
"""Monomials that they may have in more: their number of vertices can grow like the power ⌈d/2⌉ of that of the monomials."""

Row = tuple[int, ...]


def complete(found: Collection, limit: int) -> None:
    """Look at all corners and directions, and add what is new, until nothing is.

    Raises:
        TooManyMonomials: a polynomial has more than ``limit``, or more than 64 in more than 5 variables.
    """
    d = found.network.inputs
    if d > FLAT and limit > PROVABLE:
        limit, instead = PROVABLE, f"in {d} variables the proof that none is missing is too long; check=False does without, or"
    else:
        instead = "raise limit=, or"
    seen: set[tuple[int, int]] = set()
    while True:
        points: dict[Row, None] = {}
        directions: dict[Row, None] = {}
        for number, monomials in enumerate(found.functions):
            state = (number, len(monomials.rows))
            if state in seen:
                continue
            seen.add(state)
            if state[1] > limit:
                raise TooManyMonomials(
                    f"a polynomial has {state[1]:,} monomials, and the limit is {limit:,}; {instead} {INSTEAD}", state[1]
                )
            corners, outwards = corners_and_directions(monomials.polynomial())
            points.update(dict.fromkeys(corners))
            directions.update(dict.fromkeys(outwards))
        if not points and not directions:
            return
        found.add_flags(_integers(points)[:, None])
        if directions:
            origin = np.zeros((len(directions), 1, found.network.inputs + 1), dtype=object)
            origin[..., -1] = 1
            found.add_flags(np.concatenate([_integers(directions)[:, None], origin], 1))


def corners_and_directions(p: TropicalPolynomial) -> tuple[list[Row], list[Row]]:
    """A point of every smallest face of p's cells, (x, 1) · s, and what spans their directions to infinity, (r, 0).

    >>> corners_and_directions(TropicalPolynomial({(0, 0): 0, (3, 0): 1}))  # a line: x₁ = −1/3
    ([(-1, 0, 3)], [(-1, 0, 0), (1, 0, 0), (0, 1, 0), (0, -1, 0)])
    """
    surface = p.hypersurface()
    flat = surface.lineality.tolist()
    both = [*surface.rays.tolist(), *flat, *([-v for v in row] for row in flat)]
    return [_homogeneous(row) for row in surface.vertices.tolist()], [(*map(int, row), 0) for row in both]


def _homogeneous(row: Sequence[int | Fraction]) -> Row:
    bottom = math.lcm(*(v.denominator for v in row))
    return (*(v.numerator * (bottom // v.denominator) for v in row), bottom)


def _integers(rows: Iterable[Row]) -> np.ndarray:
    listed = list(rows)
    out = np.empty((len(listed), len(listed[0])), dtype=object)
    for i, row in enumerate(listed):
        out[i] = row
    return out
