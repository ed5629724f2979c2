"""What the arrays of cells say without the network: maps, volumes, corners, facets."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from tropica.regions.complex.clipping import Polytopes
from tropica.regions.domains.domain import Domain
from tropica.regions.engine.cell_blocks import CellBlock


class CellArrays:
    """A mixin for cells of a domain in one block.

    Attributes:
        domain, cells: the domain, and one block with all cells.
    """

    domain: Domain
    cells: CellBlock

    def __len__(self) -> int:
        return len(self.cells)

    # ── maps ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def maps(self) -> tuple[np.ndarray, np.ndarray]:
        """The maps (C, s, d + 1) in t, the constant last, and bounds (C, s) of the errors of their values over the domain; of
        all of space over |t| ≤ 1 in each coordinate."""
        return given(self.cells.maps), given(self.cells.map_error)

    @property
    def logits(self) -> tuple[np.ndarray, np.ndarray]:
        """The maps in t: (C, s, d) and (C, s)."""
        maps, _ = self.maps
        return np.ascontiguousarray(maps[:, :, :-1]), np.ascontiguousarray(maps[:, :, -1])

    # ── geometry ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def volumes(self) -> np.ndarray:
        """(C,) in units of t."""
        return given(self.cells.volumes)

    @property
    def vertices(self) -> np.ndarray:
        """The vertices (N, d) in t of all cells, one cell after the other; rays are directions."""
        return given(self.cells.vertices)

    @property
    def lifted(self) -> np.ndarray:
        """The vertices as (t, 1), the rays as (t, 0)."""
        last = np.ones(len(self.vertices)) if self.cells.rays is None else 1.0 - self.cells.rays
        return np.column_stack([self.vertices, last])

    @cached_property
    def centers(self) -> np.ndarray:
        """(C, d) a point inside each cell: the mean of its vertices, moved along the sum of its rays."""
        return self.cells.centers()

    @cached_property
    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        """Offsets (C + 1,), and vertices with a last entry 1, rays with 0; for d = 2 in order around each cell."""
        start, at = given(self.cells.vertex_start), self.lifted
        if self.domain.dimension == 2:
            cell = np.repeat(np.arange(len(self)), np.diff(start))
            away = at[:, :2] - at[:, 2:] * self.centers[cell]
            at = at[np.lexsort((np.arctan2(away[:, 1], away[:, 0]), cell))]
        return start, at

    @cached_property
    def polytopes(self) -> Polytopes:
        """The cells as polytopes."""
        start, facet_start = given(self.cells.vertex_start), given(self.cells.facet_start)
        counts = np.diff(facet_start)
        width = int(counts.max(initial=0))
        bits = np.ascontiguousarray(given(self.cells.incidence)).astype("<u8").view(np.uint8)
        on = np.unpackbits(bits, axis=1, bitorder="little")[:, :width].astype(bool)
        planes = np.zeros((len(self), width, 3), np.int64)
        planes[np.arange(width) < counts[:, None]] = self.facets
        return Polytopes(start, self.lifted, given(self.cells.displacement), on, planes)

    # ── facets ────────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def facets(self) -> np.ndarray:
        """(K, 3) stage, unit and other unit of each facet; stage −1 for the domain's own facets."""
        return given(self.cells.facets)

    @property
    def facet_cells(self) -> np.ndarray:
        """(K,) the cell of each facet."""
        return np.repeat(np.arange(len(self)), np.diff(given(self.cells.facet_start)))

    @property
    def facet_stages(self) -> np.ndarray:
        """(K,) the stage of each facet's unit, −1 for the domain's own facets."""
        return self.facets[:, 0]

    def facet_vertices(self, facet: int) -> tuple[int, np.ndarray]:
        """The cell of a facet, and the rows of its vertices among those of all cells."""
        start = given(self.cells.facet_start)
        cell = int(np.searchsorted(start, facet, side="right")) - 1
        local = facet - int(start[cell])
        low, high = given(self.cells.vertex_start)[cell : cell + 2].tolist()
        words = given(self.cells.incidence)[low:high, local // 64]
        return cell, low + np.flatnonzero(words >> np.uint64(local % 64) & np.uint64(1))


def given(array: np.ndarray | None) -> np.ndarray:
    """An array of a block that was asked for with everything."""
    assert array is not None
    return array
