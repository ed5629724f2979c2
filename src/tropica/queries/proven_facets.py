"""The facets of a cell in many dimensions, each proven by a point, within a limit."""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray, rationals
from tropica.queries.facets import Facets
from tropica.queries.fixed_pieces import Pieces, exact_rows
from tropica.queries.halfspaces import Halfspaces, exact_signs
from tropica.queries.rational_vectors import difference, moved
from tropica.queries.shooting import FacetSearch, discard_in_box, dual_bound, settle, shoot
from tropica.queries.walls import Walls
from tropica.regions.lower.lowering import Lowered


def proven_facets(
    lowered: Lowered,
    pieces: Pieces,
    rows: Halfspaces,
    inside: RationalArray,
    walls: Walls | None,
    max_seconds: float,
    seed: int,
) -> Facets:
    """Send rays along the rows' normals and at random, then settle what is left by linear programs.

    Args:
        lowered, pieces, rows: the cell.
        inside: a point (1, D) inside.
        walls: the domain.
        max_seconds: a limit.
        seed: of the random rays.

    Raises:
        InputError: the cell is so thin that the point is outside of it in float64.
    """
    deadline = time.monotonic() + max_seconds
    center = inside.floats()[0]
    if not (exact_signs(lowered, pieces, rows, center[None]) <= 0).all():
        raise InputError("the cell is too thin for facets in floating point; use fewer dimensions: a slice of it")

    def signs(q: np.ndarray) -> np.ndarray:
        return exact_signs(lowered, pieces, rows, q)

    search = FacetSearch(rows.A, rows.b, rows.error, center, signs, None if walls is None else walls.box)
    discard_in_box(search)
    norm = np.linalg.norm(rows.A, axis=1)
    normals = (rows.A / np.where(norm > 0, norm, 1.0)[:, None])[search.left()]
    for start in range(0, len(normals), 256):
        if time.monotonic() < deadline:
            shoot(search, normals[start : start + 256])
    random = np.random.default_rng(seed)
    for _ in range(4):
        if time.monotonic() < deadline:
            shoot(search, random.standard_normal((256, len(center))))
    settle(search, deadline, lambda row, others, y: dual_bound(search, row, others, y))
    found = np.array(sorted(search.found), dtype=np.int64)
    c = rationals(center[None])

    def crossing(f: int) -> tuple[RationalArray, RationalArray]:
        q = rationals(search.found[int(found[f])][None])
        return segment_crossing(lowered, pieces, rows, c, q, int(found[f])), difference(q, c)

    units = tuple(rows.units[i] for i in found)
    left = np.array(search.left(), dtype=np.int64)
    # A row that is negative at the center and not positive beyond the facet is negative in between.
    zero = (exact_signs(lowered, pieces, rows, center[None])[0] == 0) & (rows.borders.stage >= 0)
    flat = (rows.error == 0) & (rows.A == 0).all(1)
    sure = not bool((zero & ~flat).any())
    alone = np.array([sure and rows.borders.alone(i, zero) for i in found.tolist()], bool)
    groups = tuple(np.array([i]) for i in found)
    return Facets(found, groups, units, left, alone, crossing, lambda f: (center, search.found[int(found[f])]))


def segment_crossing(
    lowered: Lowered, pieces: Pieces, rows: Halfspaces, c: RationalArray, q: RationalArray, row: int
) -> RationalArray:
    """Where the segment from c to q meets the hyperplane of a row: c + (q − c) · g(c) / (g(c) − g(q))."""
    at_c, at_q = (_value(lowered, pieces, rows, x, row) for x in (c, q))
    return moved(c, difference(q, c), at_c / (at_c - at_q))


def _value(lowered: Lowered, pieces: Pieces, rows: Halfspaces, x: RationalArray, row: int) -> Fraction:
    """g of a row at a point, exactly."""
    network = int((rows.borders.stage >= 0).sum())
    if row >= network:  # a wall of a box or another domain whose rows are float64 numbers
        wall = rationals(np.append(rows.A[row], -rows.b[row]))
        lifted = [*x.numerators[0].tolist(), x.denominator]
        top = sum(int(a) * int(e) for a, e in zip(wall.numerators.tolist(), lifted, strict=True))
        return Fraction(top, wall.denominator * x.denominator)
    *stages, _ = exact_rows(lowered, pieces, x)
    values = rows.borders.exact(stages)
    return Fraction(int(values.numerators[0, row]), values.denominator)
