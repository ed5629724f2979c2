"""Cells before anything is computed of them, and the step into them: their half-spaces, and a point inside."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tropica.exact.rational_arrays import RationalArray, rationals
from tropica.queries.borders import borders_of
from tropica.queries.fixed_pieces import Pieces
from tropica.queries.halfspaces import Halfspaces, network_rows
from tropica.queries.proven_facets import segment_crossing
from tropica.queries.rational_vectors import difference, moved, stacked
from tropica.queries.steps import half_way
from tropica.queries.strictness import first_border
from tropica.queries.walls import Walls
from tropica.regions.lower.lowering import Lowered


@dataclass(frozen=True, eq=False)
class Across:
    """A facet between two points: the pieces of its cell, its row, a point (D,) inside of the cell, a point beyond it alone."""

    pieces: Pieces
    row: int
    inside: np.ndarray
    beyond: np.ndarray


@dataclass(frozen=True, eq=False)
class Seed:
    """A cell before anything is computed of it: its pieces and a point (1, D) inside; or a point of its border and a direction
    into it; or two points with one of its facets in between."""

    pieces: Pieces
    at: RationalArray | None = None
    out: RationalArray | None = None
    across: Across | None = None


def halfspaces_of(lowered: Lowered, pieces: Pieces, walls: Walls | None) -> Halfspaces:
    """The inequalities of the cell with these pieces: those of the network, then those of the domain."""
    borders = borders_of(lowered, pieces, 0 if walls is None else len(walls))
    exact, floats, error = network_rows(lowered, pieces, borders, math.prod(lowered.input_shape))
    if walls is not None:
        if exact is not None:
            exact = stacked(exact, walls.exact)
        floats = np.concatenate([floats, walls.floats])
        error = np.concatenate([error, walls.error])
    names = tuple(borders.name(lowered, i) for i in range(len(borders)))
    return Halfspaces(np.ascontiguousarray(floats[:, :-1]), -floats[:, -1] + 0.0, error, exact, borders, names)


def inside_of(lowered: Lowered, seed: Seed, walls: Walls | None) -> tuple[RationalArray, Halfspaces]:
    """A point (1, D) inside of the cell of a seed, and the cell's inequalities."""
    rows = halfspaces_of(lowered, seed.pieces, walls)
    if seed.across is None:
        assert seed.at is not None
        at, out = seed.at, seed.out
    else:
        for x in _between(rows, seed.across):
            if first_border(lowered, seed.pieces, rows, x) is None:
                return rationals(x), rows
        at, out = _exactly(lowered, seed.across, walls)
    return (at if out is None else _stepped(lowered, seed.pieces, rows, at, out)), rows


def _stepped(lowered: Lowered, pieces: Pieces, rows: Halfspaces, at: RationalArray, out: RationalArray) -> RationalArray:
    """A point inside that a point of the border and a direction lead to: short steps end there."""
    step = half_way(rows, at, out)
    while True:
        x = moved(at, out, step)
        floats = x.floats()
        if first_border(lowered, pieces, rows, floats) is None:
            return rationals(floats)
        if first_border(lowered, pieces, rows, x) is None:
            return x
        step /= 16


def _between(rows: Halfspaces, across: Across) -> Iterator[np.ndarray]:
    """Points (1, D) where the line through two points is inside, as far as floats tell."""
    direction = across.beyond - across.inside
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        value, speed = rows.A @ across.inside - rows.b, rows.A @ direction
        at = -value / speed
        low = at[speed < 0].max(initial=0.0)
        high = at[speed > 0].min(initial=low + 2.0)
        for share in (0.5, 0.25, 0.125) if np.isfinite([low, high]).all() and low < high else ():
            yield (across.inside + (low + (high - low) * share) * direction)[None]


def _exactly(lowered: Lowered, across: Across, walls: Walls | None) -> tuple[RationalArray, RationalArray]:
    """A point (1, D) of a facet and the direction out."""
    c, q = (rationals(point[None]) for point in (across.inside, across.beyond))
    rows = halfspaces_of(lowered, across.pieces, walls)
    return segment_crossing(lowered, across.pieces, rows, c, q, across.row), difference(q, c)
