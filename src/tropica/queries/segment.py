"""The cells between two cells along a segment that meets no face of fewer dimensions."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from tropica.exact.linear_algebra import rank
from tropica.exact.rational_arrays import RationalArray, rationals
from tropica.queries.cell import Cell, cell_of
from tropica.queries.fixed_pieces import exact_rows, pieces_beyond
from tropica.queries.rational_vectors import difference, moved
from tropica.queries.seeds import Seed
from tropica.queries.strictness import first_border

TRIES = 20
"""Segments with random ends inside of the two cells that are tried."""


class _Degenerate(Exception):
    """The segment meets several hyperplanes at one point."""


def cells_between(first: Cell, last: Cell, seed: int = 0) -> Iterator[tuple[Cell, str]]:
    """The cells from one to another, each with the unit that was crossed to enter it ("" for the first).

    The segment goes between the cells' points; where it meets several hyperplanes at once, between other points of the cells.
    """
    random = np.random.default_rng(seed)
    start, end = first.inside, last.inside
    for _ in range(TRIES):
        try:
            yield from list(_followed(first, start, end))
            return
        except _Degenerate:
            start, end = (_another(c, random) for c in (first, last))
    raise AssertionError("a random segment meets one hyperplane at a time")


def _another(found: Cell, random: np.random.Generator) -> RationalArray:
    """A random point inside of a cell."""
    center = found.inside.floats()[0]
    reach = float(found.distance()) if len(found.borders) else 1.0
    reach = min(reach, 1.0)
    while True:
        x = rationals(center[None] + random.uniform(-1, 1, (1, len(center))) * reach / len(center) ** 0.5)
        if first_border(found.lowered, found.pieces, found.halfspaces, x) is None:
            return x
        reach /= 2
        if reach == 0:
            return found.inside


def _followed(first: Cell, start: RationalArray, end: RationalArray) -> Iterator[tuple[Cell, str]]:
    here, unit = first, ""
    direction = difference(end, start)
    while True:
        yield here, unit
        crossed = _leaves(here, start, end)
        if crossed is None:
            return
        t, row = crossed
        at = moved(start, direction, t)
        unit = here.halfspaces.units[row]
        pieces = pieces_beyond(here.lowered, at, direction)
        here = cell_of(here.lowered, Seed(pieces, at, direction), here.walls)


def _leaves(here: Cell, start: RationalArray, end: RationalArray) -> tuple[Fraction, int] | None:
    """Where the line from start to end leaves a cell, as a fraction of the way, and a row there; None if the end is inside."""
    values = []
    for x in (start, end):
        *stages, _ = exact_rows(here.lowered, here.pieces, x)
        values.append(here.borders.exact(stages))
    a, b = ([Fraction(int(e), v.denominator) for e in v.numerators[0]] for v in values)
    ahead = [(p / (p - q), i) for i, (p, q) in enumerate(zip(a, b, strict=True)) if q > 0 and q > p]
    if not ahead:
        return None
    t = min(ahead)[0]
    rows = [i for s, i in ahead if s == t]
    exact = here.halfspaces.exact
    if len(rows) > 1 and (exact is None or rank(exact.numerators[rows].astype(object)) > 1):
        raise _Degenerate
    return t, rows[0]
