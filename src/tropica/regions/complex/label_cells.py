"""The facets between parts of cells that differ in label, or in the sign of one function of the outputs."""

from __future__ import annotations

import numpy as np

from tropica.regions.complex.facets import facet_corners
from tropica.regions.complex.output_cells import OutputCells
from tropica.regions.complex.sizes import facet_sizes


def differing_facets(parts: OutputCells) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (P, 2) of parts in different pieces that share a facet, and the facet (P,)."""
    pairs, facets = parts.shared
    differ = parts.piece[pairs[:, 0]] != parts.piece[pairs[:, 1]]
    return pairs[differ], facets[differ]


def places(parts: OutputCells, facets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The part of each facet, and its column there."""
    start, _, columns = parts.facets
    return np.searchsorted(start, facets, side="right") - 1, columns[facets]


def facet_geometry(parts: OutputCells, facets: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """The vertices of facets in t, without rays, and their sizes in the units of x."""
    part, column = places(parts, facets)
    sizes = facet_sizes(parts.parts, part, column, parts.found.domain.basis)
    return facet_corners(parts.parts, part, column), sizes
