"""The outputs at the vertices of cells, exactly where floating point leaves few digits of them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from tropica.exact.rational_arrays import nearest_float
from tropica.regions.complex.cell_arrays import given
from tropica.regions.complex.enumerated import SHARPENING, Enumerated
from tropica.regions.engine.exact_vertices import spread_signs

DIGITS = 1e-7
"""Error of a value, as a share of it or of the typical one, beyond which it is computed in integers."""


def vertex_values(found: Enumerated) -> np.ndarray:
    """The outputs (N, s) at the vertices of all cells of a bounded domain.

    A map of slope 1e165 on a cell of width 1e-165 has ordinary values, of which nothing is left at a rounded vertex.
    """
    start, (maps, bound) = given(found.cells.vertex_start), found.maps
    cell = np.repeat(np.arange(len(found)), np.diff(start))
    slopes, constants, at = maps[cell, :, :-1], maps[cell, :, -1], found.vertices
    with np.errstate(over="ignore", invalid="ignore"):
        value = np.einsum("nok,nk->no", slopes, at) + constants
        size = np.einsum("nok,nk->no", np.abs(slopes), np.abs(at)) + np.abs(constants)
        moved = np.abs(slopes).sum(2) * given(found.cells.displacement)[:, None]
        error = bound[cell] + moved + 2.0**-50 * size
        typical = np.median(np.nan_to_num(np.abs(value)), axis=0) if len(value) else np.zeros(maps.shape[1])
        doubtful = ~(error <= DIGITS * np.maximum(np.abs(value), typical))
    if not found.problem.exact.proves or not doubtful.any():
        return value
    rows = np.flatnonzero(doubtful.any(1))
    cells = np.unique(cell[rows])[: SHARPENING // found.problem.exact.products]
    chosen = doubtful & np.isin(cell, cells)[:, None]
    for c in cells.tolist():
        forms, below = found.problem.exact.outputs(spread_signs(found.problem, found.cells_signs[c]))
        units = [Fraction(2) ** -int(e) for e in found.problem.exponents] + [Fraction(1)]
        for row in (start[c] + np.flatnonzero(chosen[start[c] : start[c + 1]].any(1))).tolist():
            point = [x * u for x, u in zip(found.exact_corner(row), units, strict=True)]
            exact = (sum((f * x for f, x in zip(form, point, strict=True)), Fraction(0)) / below for form in forms.tolist())
            value[row] = [nearest_float(*x.as_integer_ratio()) for x in exact]
    return value
