"""Volume of a cell from exact vertices: simplices that the incidence of vertices and facets gives, determinants in integers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from tropica.exact.determinants import bareiss
from tropica.exact.rational_arrays import nearest_float
from tropica.regions.engine.cell_blocks import CellBlock


def exact_volume(block: CellBlock, cell: int, places: Sequence[tuple[Sequence[int], int]], exponent: int = 0) -> float:
    """The volume of a bounded cell within a few units in the last place.

    Args:
        block: cells with the incidence of their vertices and facets.
        cell: the number of the cell in the block.
        places: its vertices in order, as integers T (d,) and s > 0: the point 2^exponent · T / s.
        exponent: of two.
    """
    points = [[*top, bottom] for top, bottom in places]
    d = len(points[0]) - 1
    simplices = list(_simplices((1 << len(points)) - 1, d, _facets(block, cell)))
    minors = bareiss(np.array([[points[i] for i in simplex] for simplex in simplices], dtype=object))
    sizes = []
    for minor, simplex in zip(minors.tolist(), simplices, strict=True):
        top, bottom = abs(minor), math.factorial(d) * math.prod(points[i][-1] for i in simplex)
        shift = exponent * d
        sizes.append(nearest_float(top << max(shift, 0), bottom << max(-shift, 0)))
    return math.fsum(sizes) if all(map(math.isfinite, sizes)) else math.inf


def _facets(block: CellBlock, cell: int) -> list[int]:
    """For each facet of a cell the set of its vertices, as the bits of an int."""
    assert block.incidence is not None
    assert block.vertex_start is not None
    assert block.facet_start is not None
    rows = block.incidence[block.vertex_start[cell] : block.vertex_start[cell + 1]]
    count = int(block.facet_start[cell + 1] - block.facet_start[cell])
    bits = np.unpackbits(np.ascontiguousarray(rows).astype("<u8").view(np.uint8), axis=1, bitorder="little")[:, :count]
    return [sum(1 << v for v in np.flatnonzero(column).tolist()) for column in bits.T]


def _simplices(face: int, dimension: int, facets: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """A triangulation of a face: its first vertex with the simplices of each of the face's own facets that does not hold it."""
    apex = (face & -face).bit_length() - 1
    if dimension == 0:
        yield (apex,)
        return
    sets = {face & facet for facet in facets} - {face}
    for own in sorted(s for s in sets if not s >> apex & 1 and s.bit_count() >= dimension):
        if not any(own & other == own for other in sets if other != own):
            yield from ((apex, *rest) for rest in _simplices(own, dimension - 1, facets))
