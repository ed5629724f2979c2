"""The facets between parts of cells that differ in label, or in the sign of one function of the outputs."""

from __future__ import annotations

import numpy as np

from tropica.regions.enumerated import Enumerated
from tropica.regions.facets import facet_corners
from tropica.regions.output_cells import Functions, clip
from tropica.regions.sizes import facet_sizes


def differing_facets(
    found: Enumerated, functions: Functions
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray], np.ndarray, int]:
    """The facets between parts of cells in different pieces.

    Returns:
        Pieces (P, 2) on both sides, the lower first; the number (P,) of a cell that each facet lies in; its vertices in t; and
        sizes (P,) in the units of x; how many signs rest on floating point.
    """
    parts = clip(found, functions)
    pairs, facets = parts.shared
    differ = parts.piece[pairs[:, 0]] != parts.piece[pairs[:, 1]]
    pairs, facets = pairs[differ], facets[differ]
    start, _, columns = parts.facets
    part = np.searchsorted(start, facets, side="right") - 1
    sizes = facet_sizes(parts.parts, part, columns[facets], found.domain.basis)
    corners = facet_corners(parts.parts, part, columns[facets])
    undecided = found.undecided + parts.undecided
    return np.sort(parts.piece[pairs], axis=1), parts.parent[pairs[:, 0]], corners, sizes, undecided
