"""Proof that no monomial of a network's F and G is missing.

F is convex, and p, the maximum of the pieces found, is at most F. On a cell of p, the convex hull of the cell's vertices plus
the cone of its rays, p is affine. So F = p on the cell if F and p agree at the vertices and grow equally along the rays:
F(v + Σ s_i r_i) ≤ F(v) + Σ s_i · growth(r_i). The vertices and rays of all cells are those of p's hypersurface; where p is
affine along a line, both directions of the line count as rays. At each vertex and ray a piece of F is computed exactly: where F
and p differ, the piece is new and is added.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np

from tropica.polyhedra.nearly_degenerate import NearlyDegenerateWarning
from tropica.tropical.limits import ALTERNATIVES, TooManyMonomials
from tropica.tropical.piece_collection import PieceCollection
from tropica.tropical.polynomial import TropicalPolynomial

LOW_DIMENSION = 5
"""Variables up to which the number of monomials is limited by ``limit`` alone."""
MAX_PROVABLE = 64
"""Limit on the number of monomials in more variables, where the number of vertices can grow like n^⌈d/2⌉."""

Row = tuple[int, ...]


def complete(found: PieceCollection, limit: int) -> None:
    """Compute pieces at all vertices and along all rays, and add new pieces until none is found.

    Raises:
        TooManyMonomials: more than ``limit`` monomials in a polynomial, or more than 64 in more than 5 variables.
    """
    d = found.network.variables
    if d > LOW_DIMENSION and limit > MAX_PROVABLE:
        limit, instead = (
            MAX_PROVABLE,
            f"in {d} variables the proof that no monomial is missing is too long; use check=False, or",
        )
    else:
        instead = "raise limit=, or"
    done: set[tuple[int, int]] = set()
    while True:
        points: dict[Row, None] = {}
        directions: dict[Row, None] = {}
        for number, pieces in enumerate(found.functions):
            count = len(pieces.rows)
            if (number, count) in done:
                continue
            done.add((number, count))
            if count > limit:
                text = f"a polynomial has {count:,} monomials, and the limit is {limit:,}; {instead} {ALTERNATIVES}"
                raise TooManyMonomials(text, count)
            vertices, rays = vertices_and_directions(pieces.polynomial())
            points.update(dict.fromkeys(vertices))
            directions.update(dict.fromkeys(rays))
        if not points and not directions:
            return
        found.add_flags(_integers(points)[:, None])
        if directions:
            origin = np.zeros((len(directions), 1, d + 1), dtype=object)
            origin[..., -1] = 1
            found.add_flags(np.concatenate([_integers(directions)[:, None], origin], 1))


def vertices_and_directions(p: TropicalPolynomial) -> tuple[list[Row], list[Row]]:
    """A point of every minimal face of p's cells, (x, 1) · s, and vectors that span the recession cones, (r, 0).

    >>> vertices_and_directions(TropicalPolynomial({(0, 0): 0, (3, 0): 1}))  # a line: x₁ = −1/3
    ([(-1, 0, 3)], [(-1, 0, 0), (1, 0, 0), (0, 1, 0), (0, -1, 0)])
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NearlyDegenerateWarning)  # the network's weights are what they are
        surface = p.hypersurface()
    lines = surface.lineality.tolist()
    both = [*surface.rays.tolist(), *lines, *([-v for v in row] for row in lines)]
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
