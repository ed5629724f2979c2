"""Cells of space that hold lines, as their parts in the cones of the fan, which have vertices.

A cell that holds a line has no vertex, and incidences do not tell its faces. If one cell of space holds a line then all do: a
common facet holds the lines of both its cells. So all are clipped part by part, and what came of the parts of one cell is put
together.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from tropica.exact.linear_algebra import rank
from tropica.regions.complex.cell_arrays import given
from tropica.regions.complex.enumerated import Enumerated
from tropica.regions.complex.output_cells import Functions, OutputCells, clip
from tropica.regions.engine.cell_blocks import MAPS, SIGNS, VERTICES
from tropica.regions.engine.cell_stream import unjoined
from tropica.regions.engine.exact_vertices import spread_signs
from tropica.regions.engine.fan import INFINITY, SpaceProblem


@dataclass(frozen=True, eq=False)
class Clipped:
    """Parts of cells by functions of the outputs, where a part may come in several pieces, one for each cone of the fan.

    Attributes:
        cells: the cells.
        parts: the pieces.
        cell: (P,) the cell of each, by its number in the complex.
        whole: whether each part is one piece.
    """

    cells: Enumerated
    parts: OutputCells
    cell: np.ndarray
    whole: bool

    def corners(self, parts: np.ndarray, rows: Sequence[np.ndarray]) -> np.ndarray:
        """The corners (V, d) of what several pieces are put together to, from rows of vertices of each, without those that are
        only points on a wall of the fan: of rank d are the facets of the cell and the functions that vanish there."""
        found, exact, points = self.parts.found, self.parts.exact, dict[tuple[Fraction, ...], np.ndarray]()
        for part, own in zip(parts.tolist(), rows, strict=True):
            masks = spread_signs(found.problem, found.cells_signs[self.parts.parent[part]])
            facets = [exact.row((s, u, v), masks) for s, u, v in self._facets(int(self.cell[part])).tolist()]
            for row in own[self.parts.parts.at[own, -1] > 0].tolist():
                point = self.parts.corner(row)
                functions = [exact.row(p, masks) for p in self.parts.parts.through(row) if p[0] == self.parts.stage]
                forms = [f for f in facets if not sum(map(operator.mul, f, point))] + functions
                if forms and rank(np.array(forms, dtype=object)) == found.domain.dimension:
                    points.setdefault(tuple(point), self.parts.parts.at[row, :-1])
        return np.array(list(points.values())).reshape(-1, found.domain.dimension)

    def _facets(self, cell: int) -> np.ndarray:
        """The facets of a cell that are units, not walls of the fan."""
        start = given(self.cells.cells.facet_start)
        own = self.cells.facets[start[cell] : start[cell + 1]]
        return own[own[:, 0] >= 0]


def clipped(found: Enumerated, functions: Functions) -> Clipped:
    """Part all cells by functions of the outputs, those that hold lines as well."""
    if not _hold_lines(found):
        parts = clip(found, functions)
        return Clipped(found, parts, parts.parent, True)
    assert isinstance(found.problem, SpaceProblem)
    cone, block = unjoined(found.problem, frozenset((SIGNS, MAPS, VERTICES)))
    assert block.signs is not None
    sector = np.zeros((len(block), 1), np.uint64) + cone[:, None].astype(np.uint64)
    own = replace(found, cells=replace(block, signs=np.concatenate([block.signs, sector], axis=1)))
    number = found.index.find(own.signs & own.layout.bending)
    kept = np.flatnonzero(number >= 0)  # all but where a limit ended the enumeration
    maps = {name: getattr(found.cells, name)[number[kept]] for name in ("maps", "map_error")}
    own = replace(own, cells=replace(own.cells.select(number >= 0), **maps))
    parts = replace(clip(own, functions), sector=sector[kept])
    return Clipped(found, parts, number[kept][parts.parent], False)


def _hold_lines(found: Enumerated) -> bool:
    """Whether the cells hold lines: those that the engine puts together keep the walls of the fan."""
    facets = found.facets
    return isinstance(found.problem, SpaceProblem) and bool(((facets[:, 0] < 0) & (facets[:, 1] != INFINITY)).any())
