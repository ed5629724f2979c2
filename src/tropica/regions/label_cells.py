"""The facets between parts of cells that differ in label, or in the sign of one function of the outputs."""

from __future__ import annotations

import numpy as np

from tropica.regions.enumerated import Enumerated
from tropica.regions.integral import facet_sizes
from tropica.regions.output_cells import Functions, OutputCells, clip


def differing_facets(
    found: Enumerated, functions: Functions
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray], np.ndarray]:
    """The facets between parts of cells in different pieces.

    Returns:
        Pieces (P, 2) on both sides, the lower first; the number (P,) of a cell that each facet lies in; its vertices in t; and
        sizes (P,) in the units of x.
    """
    parts = clip(found, functions)
    pairs, facets = parts.shared
    differ = parts.piece[pairs[:, 0]] != parts.piece[pairs[:, 1]]
    pairs, facets = pairs[differ], facets[differ]
    start, _, columns = parts.facets
    part = np.searchsorted(start, facets, side="right") - 1
    sizes = facet_sizes(parts.parts, part, columns[facets], found.domain.basis)
    corners = _corners(parts, part, columns[facets])
    return np.sort(parts.piece[pairs], axis=1), parts.parent[pairs[:, 0]], corners, sizes


def _corners(parts: OutputCells, part: np.ndarray, column: np.ndarray) -> list[np.ndarray]:
    """The vertices of facets in t, without rays."""
    if not len(part):
        return []
    chosen = parts.parts.select(part)
    kept = chosen.on[np.arange(len(chosen.at)), column[chosen.owner]] & (chosen.at[:, -1] > 0)
    counts = np.bincount(chosen.owner[kept], minlength=len(part))
    return np.split(chosen.at[kept, :-1], np.cumsum(counts)[:-1])
