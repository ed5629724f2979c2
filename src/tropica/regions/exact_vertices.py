"""Vertices of cells as solutions of their hyperplanes, in rational arithmetic, where floating point leaves large errors."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from tropica.polyhedra.polytope import Polytope as Hull
from tropica.regions.cell_blocks import CellBlock, Problem

SHARP = 1e-10
"""Bound of a vertex's displacement, as a share of the domain's extent, beyond which the vertex is solved for in integers."""
EXACT = 1e-13
"""Error of a vertex, as a share of the domain's extent, beyond which the volume of its cells is computed exactly."""


def corners(problem: Problem, block: CellBlock, cell: int, rows: np.ndarray | None = None) -> list[list[Fraction]]:
    """The vertices of a cell in t, exactly: the solutions of its hyperplanes under its sign vector.

    Args:
        problem: the network on the domain.
        block: cells with their signs and vertices.
        cell: the number of the cell in the block.
        rows: the numbers of the vertices in the block; by default all of the cell's.
    """
    assert block.signs is not None
    assert block.incidence is not None
    assert block.facets is not None
    assert block.vertex_start is not None
    assert block.facet_start is not None
    if rows is None:
        rows = np.arange(block.vertex_start[cell], block.vertex_start[cell + 1])
    planes = block.facets[block.facet_start[cell] : block.facet_start[cell + 1]].tolist()
    masks = spread_signs(problem, block.signs[cell])
    scale = [Fraction(2) ** int(e) for e in problem.exponents]
    points = []
    for row in block.incidence[rows]:
        bits = np.unpackbits(row.astype("<u8").view(np.uint8), bitorder="little")
        through = [tuple(planes[j]) for j in np.flatnonzero(bits).tolist()]
        *top, bottom = problem.exact.vertex(through, masks)
        points.append([Fraction(x, bottom) * f for x, f in zip(top, scale, strict=True)])
    return points


def sharpened(problem: Problem, block: CellBlock, extent: float) -> CellBlock:
    """The block with vertices solved for in integers where the bounds of their displacement are large.

    Hyperplanes that are nearly parallel leave such vertices. The volume of a cell is computed again, exactly, where one of its
    vertices was in fact that far off; the bounds are often larger than the errors.

    Args:
        problem, block: as in :func:`corners`; the block has signs, volumes and vertices.
        extent: the largest side of the domain in t.
    """
    assert block.displacement is not None
    assert block.vertices is not None
    assert block.vertex_start is not None
    assert block.volumes is not None
    blunt = block.displacement > SHARP * extent
    if not blunt.any():
        return block
    start = block.vertex_start
    vertices, displacement, volumes = block.vertices.copy(), block.displacement.copy(), block.volumes.copy()
    for cell in np.flatnonzero(np.logical_or.reduceat(blunt, start[:-1])).tolist():
        rows = np.flatnonzero(blunt[start[cell] : start[cell + 1]]) + start[cell]
        solved = [[float(x) for x in point] for point in corners(problem, block, cell, rows)]
        error = float(np.abs(vertices[rows] - solved).max())
        vertices[rows] = solved
        displacement[rows] = 2.0**-53 * np.abs(vertices[rows]).max(1)
        if error > EXACT * extent:
            volumes[cell] = float(Hull(corners(problem, block, cell)).volume)
    return replace(block, vertices=vertices, displacement=displacement, volumes=volumes)


def spread_signs(problem: Problem, signs: np.ndarray) -> np.ndarray:
    """The sign vector of a cell, a row a stage."""
    offsets = np.cumsum([0, *((problem.net.size[:-1] + 63) // 64)])
    rows = np.zeros((len(offsets) - 1, max([1, *np.diff(offsets).tolist()])), np.uint64)
    for s, (first, end) in enumerate(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)):
        rows[s, : end - first] = signs[first:end]
    return rows
