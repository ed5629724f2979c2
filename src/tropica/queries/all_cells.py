"""All cells of a box from the engine, where they are few: exact values at their vertices, exact Jacobians."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from tropica.errors import InputError
from tropica.exact.rational_arrays import from_fractions
from tropica.network.network import PiecewiseLinearNetwork
from tropica.regions.complex.enumerated import Enumerated, enumerate_cells
from tropica.regions.domains.constructors import Box
from tropica.regions.engine.exact_vertices import interior_point
from tropica.regions.engine.settings import EnumerationSettings
from tropica.regions.lower.exact_points import embedded

MOST_CELLS = 100_000
"""Cells up to which a box is enumerated instead of searched."""
MOST_SECONDS = 5.0
"""Seconds for it."""
MOST_POINTS = 4096
"""Vertices whose values are computed exactly."""

Point = tuple[Fraction, ...]


class AllCells:
    """All cells of a box of full dimension, enumerated when they are asked for first.

    Args:
        net, domain: of which.
    """

    def __init__(self, net: PiecewiseLinearNetwork, domain: Box) -> None:
        self.net, self.domain = net, domain
        self.found: Enumerated | None = None
        self._seconds = 0.0

    def within(self, seconds: float) -> Enumerated | None:
        """The cells, if they are all there within ``seconds`` and every sign is proven; None where they are too many."""
        seconds = min(seconds, MOST_SECONDS)
        if self.found is None and seconds > self._seconds:
            self._seconds = seconds
            self.found = self._enumerated(seconds)
        return self.found

    def _enumerated(self, seconds: float) -> Enumerated | None:
        settings = EnumerationSettings(max_cells=MOST_CELLS, max_seconds=seconds)
        try:
            found = enumerate_cells(self.net, self.domain, settings, sharpen=False)
        except InputError:  # too many dimensions, or too large a network
            return None
        return found if found.stopped is None and found.proven and len(found) else None

    def least(self, c: Sequence[Fraction]) -> tuple[Fraction, Point] | None:
        """The least value of ⟨c, N(x)⟩, exactly, with its point; None where it is out of reach.

        Bounds in float64 leave the vertices whose values may be the least; those are computed exactly.
        """
        found = self.found
        if found is None:
            return None
        low, high, cell = _vertex_bounds(found, np.array([float(v) for v in c]))
        if not np.isfinite(high).any():
            return None
        rows = np.flatnonzero(~(low > np.nanmin(high)))
        cells = np.unique(cell[rows])
        if len(rows) > MOST_POINTS and len(cells) > MOST_POINTS:
            return None
        forms = dict(zip(cells.tolist(), (_combined(c, f) for f in found.exact_maps(cells)), strict=True))
        best: tuple[Fraction, Point] | None = None
        flat: set[int] = set()
        for row, k in zip(rows.tolist(), cell[rows].tolist(), strict=True):
            if k in flat:
                continue
            if not any(forms[k][:-1]):  # the objective is constant on the cell: one vertex will do
                flat.add(k)
                if best is not None and forms[k][-1] >= best[0]:
                    continue
            corner = found.exact_corner(row)
            value = sum((f * x for f, x in zip(forms[k], corner, strict=True)), Fraction(0))
            if best is None or value < best[0]:
                best = value, self._embedded(corner)
        return best

    def jacobians(self) -> tuple[np.ndarray, np.ndarray]:
        """The Jacobians (C, s, D) of all cells in float64, and bounds of the errors of their entries.

        The error of an output is affine and at most e in absolute value over the box: along a side w its slope is at most 2e/w.
        """
        assert self.found is not None
        maps, bound = self.found.maps
        with np.errstate(all="ignore"):
            error = 2 * bound[:, :, None] / (self.domain.hi - self.domain.lo) * (1 + 2.0**-50)
        return maps[:, :, :-1], np.where(np.isfinite(error), error, np.inf)

    def exact_jacobians(self, cells: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
        """The Jacobians (s, D) of some cells as Fractions, each distinct map with a cell that has it."""
        assert self.found is not None
        if not self.found.undecided_maps:
            cells = cells[np.unique(self.found.map_of[cells], return_index=True)[1]]
        for cell, numbers in zip(cells.tolist(), self.found.exact_maps(cells), strict=True):
            yield np.array(numbers, dtype=object).reshape(self.net.num_outputs, -1)[:, :-1], cell

    def inside(self, cell: int) -> Point:
        """A point inside a cell."""
        assert self.found is not None
        return self._embedded([*interior_point(self.found.exact_corners(cell)), Fraction(1)])

    def _embedded(self, corner: Sequence[Fraction]) -> Point:
        d = len(corner) - 1
        x = embedded(self.domain, from_fractions(corner[:-1], (1, d)))
        return tuple(Fraction(int(n), x.denominator) for n in x.numerators[0])


def _vertex_bounds(found: Enumerated, c: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bounds below and above of ⟨c, N⟩ at the vertices of all cells, and the cell of each."""
    block = found.cells
    assert block.vertex_start is not None
    assert block.displacement is not None
    cell = np.repeat(np.arange(len(found)), np.diff(block.vertex_start))
    maps, bound = found.maps
    with np.errstate(all="ignore"):
        forms, sizes = np.einsum("o,nok->nk", c, maps), np.einsum("o,nok->nk", np.abs(c), np.abs(maps))
        error = (bound @ np.abs(c))[cell]
        at = np.concatenate([found.vertices, np.ones((len(cell), 1))], 1)
        value = (forms[cell] * at).sum(1)
        size = (sizes[cell] * np.abs(at)).sum(1)
        slack = error + sizes[cell, :-1].sum(1) * block.displacement + size * (maps.shape[1] + maps.shape[2] + 8) * 2.0**-51
        slack += 1e-300
        low, high = value - slack, value + slack
    known = np.isfinite(low) & np.isfinite(high)
    return np.where(known, low, -np.inf), np.where(known, high, np.inf), cell


def _combined(c: Sequence[Fraction], numbers: Sequence[Fraction]) -> list[Fraction]:
    """Σ_o c_o · (form of output o)."""
    width = len(numbers) // len(c)
    return [sum((v * numbers[o * width + i] for o, v in enumerate(c)), Fraction(0)) for i in range(width)]
