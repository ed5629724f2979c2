"""The facets between neighboring cells: the unit of each, so that the bent hyperplane of a unit can be drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tropica.regions.complex.cell_arrays import CellArrays, given
from tropica.regions.complex.clipping import Polytopes
from tropica.regions.complex.enumerated import Enumerated
from tropica.regions.complex.sizes import facet_sizes
from tropica.regions.lower.lowering import NO_INPUT
from tropica.runtime.html import HtmlRepr

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, eq=False)
class Facets(HtmlRepr):
    """The facets that two cells share, one for each pair of neighbors.

    Attributes:
        cells: (A, 2) the two cells, the lower number first.
        names: names of the network's nonlinearities, in the order of the engine's stages.
        depth: (A,) the stage of each facet's unit, by number: ``names[depth]``.
        unit: (A,) the number of the unit in its nonlinearity. Where several units vanish on a facet it is one of them.
        sizes: (A,) the (d − 1)-dimensional volume in the units of x; 1 for a point; ∞ where a facet is unbounded.
        pieces: A arrays (V, d) of corners in the coordinates t, rays left out; for d = 2 the ends of a segment.
    """

    cells: np.ndarray
    names: tuple[str, ...]
    depth: np.ndarray
    unit: np.ndarray
    sizes: np.ndarray
    pieces: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.cells)

    def to_dataframe(self) -> pandas.DataFrame:
        """A row a facet: its cells, nonlinearity, unit and size."""
        import pandas

        columns = {"cell": self.cells[:, 0], "neighbor": self.cells[:, 1], "nonlinearity": np.array(self.names)[self.depth]}
        return pandas.DataFrame(columns | {"unit": self.unit, "size": self.sizes})

    def __repr__(self) -> str:
        return f"Facets({len(self):,} between cells, of {len(self.names)} nonlinearities)"


def shared_facets(found: Enumerated) -> Facets:
    """The facets between the cells."""
    pairs, facet = found.shared
    stage, bit = found.facets[facet, 0], found.facets[facet, 1]
    unit = np.zeros_like(bit)
    for s, lowered in enumerate(found.lowered.stages):
        own = stage == s
        unit[own] = _members(found, s)[bit[own]]
        if lowered.kind == "window":
            window, _ = np.nonzero(lowered.inputs != NO_INPUT)
            unit[own] = window[unit[own]]
    names = tuple(" + ".join(name for name, _ in reversed(s.written)) for s in found.lowered.stages)
    cell, column = facet_places(found, facet)
    sizes = facet_sizes(found.polytopes, cell, column, found.domain.basis)
    return Facets(pairs, names, stage, unit, sizes, facet_corners(found.polytopes, cell, column))


def _members(found: Enumerated, s: int) -> np.ndarray:
    """For each bit of a stage the first row of a threshold, or input of a window, that it stands for."""
    if found.layout.kept is None:
        return np.arange(found.layout.sizes[s])
    kept = found.layout.kept[s]
    first = np.zeros(max(found.layout.sizes[s], int(kept.max(initial=0)) + 1), np.int64)
    member = np.flatnonzero(kept >= 0)[::-1]
    first[kept[member]] = member
    return first


def facet_corners(polytopes: Polytopes, part: np.ndarray, column: np.ndarray) -> list[np.ndarray]:
    """The vertices in t of facets, without rays; a facet by its polytope and its column there."""
    if not len(part):
        return []
    chosen = polytopes.select(part)
    kept = chosen.on[np.arange(len(chosen.at)), column[chosen.owner]] & (chosen.at[:, -1] > 0)
    counts = np.bincount(chosen.owner[kept], minlength=len(part))
    return np.split(chosen.at[kept, :-1], np.cumsum(counts)[:-1])


def facet_places(found: CellArrays, facet: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cell of each facet by number, and its place among the cell's facets."""
    cell = found.facet_cells[facet]
    return cell, facet - given(found.cells.facet_start)[cell]
