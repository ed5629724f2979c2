"""Vertices of cells as solutions of their hyperplanes, in rational arithmetic, where floating point leaves large errors."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np

from tropica.regions.engine.cell_blocks import CellBlock, Problem
from tropica.regions.engine.exact_volume import exact_volume
from tropica.regions.engine.fan import SpaceProblem

SHARP = 1e-10
"""Bound of a vertex's displacement, as a share of the domain's extent, beyond which the vertex is solved for in integers where
that is cheap: bounds of wide networks are much larger than their errors."""
BLUNT = 1e-7
"""Such a bound beyond which the vertex is solved for in integers in any case."""
EXACT = 1e-13
"""Error of a vertex, as a share of the domain's extent, beyond which the volume of its cells is computed exactly."""


def corners(
    problem: Problem | SpaceProblem, block: CellBlock, cell: int, rows: np.ndarray | None = None
) -> list[list[Fraction]]:
    """The vertices (t, 1) and the rays (t, 0) of a cell, exactly: the solutions of its hyperplanes under its sign vector.

    Args:
        problem: the network on the domain.
        block: cells with their signs and vertices.
        cell: the number of the cell in the block.
        rows: the numbers of the vertices in the block; by default all of the cell's.

    Raises:
        ArithmeticError: the hyperplanes do not meet in such a point.
    """
    assert block.vertex_start is not None
    assert block.vertices is not None
    chosen = np.arange(block.vertex_start[cell], block.vertex_start[cell + 1]) if rows is None else rows
    scale = [Fraction(2) ** int(e) for e in problem.exponents]
    points = []
    for row in chosen.tolist():
        *top, bottom = problem.exact.vertex(*corner_planes(problem, block, cell, row))
        if bool(bottom) == (block.rays is not None and bool(block.rays[row])):
            raise ArithmeticError("the hyperplanes of a vertex do not meet in a point")
        size = bottom or towards(top, block.vertices[row]) * max(map(abs, top))
        points.append([*(Fraction(x, size) * f for x, f in zip(top, scale, strict=True)), Fraction(int(bottom != 0))])
    return points


def towards(direction: list[int], nearly: np.ndarray) -> int:
    """1 if an exact direction is that of a float vector, −1 if it is the opposite one."""
    largest = max(map(abs, direction))
    return 1 if float(nearly @ np.array([x / largest for x in direction])) > 0 else -1


def interior_point(points: list[list[Fraction]]) -> list[Fraction]:
    """A point in the relative interior of the hull of vertices (t, 1) and rays (t, 0)."""
    count = sum(p[-1] for p in points)
    if not count:
        raise ArithmeticError("a cell has no vertex")
    totals = [
        [sum((p[k] for p in points if bool(p[-1]) == finite), Fraction(0)) for k in range(len(p) - 1)]
        for finite, p in ((True, points[0]), (False, points[0]))
    ]
    return [a / count + b for a, b in zip(*totals, strict=True)]


def corner_planes(
    problem: Problem | SpaceProblem, block: CellBlock, cell: int, row: int
) -> tuple[list[tuple[int, int, int]], np.ndarray]:
    """The hyperplanes through a vertex (a row of the block's) of a cell, and the cell's sign vector, for exact signs."""
    assert block.signs is not None
    assert block.incidence is not None
    assert block.facets is not None
    assert block.facet_start is not None
    bits = np.unpackbits(block.incidence[row].astype("<u8").view(np.uint8), bitorder="little")
    planes = block.facets[block.facet_start[cell] + np.flatnonzero(bits)]
    return [(s, u, v) for s, u, v in planes.tolist()], spread_signs(problem, block.signs[cell])


def sharpened(problem: Problem, block: CellBlock, extent: float, work: int) -> CellBlock:
    """The block with vertices solved for in integers where the bounds of their displacement are large.

    Hyperplanes that are nearly parallel leave such vertices. The volume of a cell is computed again, exactly, where one of its
    vertices was in fact that far off; the bounds are often larger than the errors.

    Args:
        problem, block: as in :func:`corners`; the block has signs, volumes and vertices.
        extent: the largest side of the domain in t.
        work: products of integers that may be spent on vertices with bounds up to ``BLUNT``, the largest first.
    """
    assert block.displacement is not None
    assert block.vertices is not None
    assert block.vertex_start is not None
    assert block.volumes is not None
    blunt = block.displacement > SHARP * extent
    if not problem.exact.proves or not blunt.any():
        return block
    start = block.vertex_start
    worst = np.maximum.reduceat(block.displacement, start[:-1])
    order = np.argsort(-worst, kind="stable")
    most = max(work // problem.exact.products, int((worst > BLUNT * extent).sum()))
    vertices, displacement, volumes = block.vertices.copy(), block.displacement.copy(), block.volumes.copy()
    for cell in order[: min(most, int((worst > SHARP * extent).sum()))].tolist():
        rows = np.flatnonzero(blunt[start[cell] : start[cell + 1]]) + start[cell]
        solved = [[float(x) for x in point[:-1]] for point in corners(problem, block, cell, rows)]
        error = float(np.abs(vertices[rows] - solved).max())
        vertices[rows] = solved
        displacement[rows] = 2.0**-53 * np.abs(vertices[rows]).max(1)
        if error > EXACT * extent:
            volumes[cell] = exact_volume(block, cell, [_over_one(p[:-1]) for p in corners(problem, block, cell)])
    return replace(block, vertices=vertices, displacement=displacement, volumes=volumes)


def _over_one(point: list[Fraction]) -> tuple[list[int], int]:
    """A point as integers over their common denominator."""
    bottom = math.lcm(*(x.denominator for x in point))
    return [x.numerator * (bottom // x.denominator) for x in point], bottom


def along_line(problem: Problem | SpaceProblem, block: CellBlock) -> CellBlock:
    """The cells of a one-dimensional domain by increasing t.

    Where the bounds of their ends do not tell two neighbors apart, their exact centers do.
    """
    assert block.vertex_start is not None
    assert block.displacement is not None
    centers = block.centers()[:, 0]
    order = np.argsort(centers, kind="stable")
    error = np.maximum.reduceat(block.displacement, block.vertex_start[:-1])[order]
    doubtful = ~(np.diff(centers[order]) > error[:-1] + error[1:])
    if doubtful.any() and problem.exact.proves:
        for run in np.split(np.arange(len(order)), np.flatnonzero(~doubtful) + 1):
            if len(run) > 1:
                order[run] = sorted(order[run], key=lambda cell: interior_point(corners(problem, block, int(cell)))[0])
    return block.select(order)


def spread_signs(problem: Problem | SpaceProblem, signs: np.ndarray) -> np.ndarray:
    """The sign vector of a cell, a row a stage."""
    offsets = np.cumsum([0, *((problem.net.size[:-1] + 63) // 64)])
    rows = np.zeros((len(offsets) - 1, max([1, *np.diff(offsets).tolist()])), np.uint64)
    for s, (first, end) in enumerate(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)):
        rows[s, : end - first] = signs[first:end]
    return rows
