"""Maps of cells in rational arithmetic, where floating point leaves few digits of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tropica.exact.rational_arrays import nearest_float
from tropica.regions.engine.cell_blocks import CellBlock, Problem
from tropica.regions.engine.exact_vertices import spread_signs
from tropica.regions.engine.fan import SpaceProblem

DIGITS = 1e-7
"""Bound of a map's error, as a share of its coefficients over the domain, beyond which the map is made in integers."""


def sharpened_maps(problem: Problem | SpaceProblem, block: CellBlock, reach: np.ndarray, work: int) -> CellBlock:
    """The block with exact maps, rounded, where the bounds of their errors are a large share of them.

    A unit of size 1e30 that was on in an earlier cell leaves an error of 1e14 in the map of a cell where it is off.

    Args:
        problem: the network on the domain.
        block: cells with their signs and maps.
        reach: (d,) the largest |t| of the domain in each coordinate; 1 for all of space, where bounds hold for |t| ≤ 1.
        work: products of integers that may be spent, on the maps with the largest bounds first.
    """
    assert block.signs is not None
    assert block.maps is not None
    assert block.map_error is not None
    if not problem.exact.proves:
        return block
    size = np.append(reach, 1.0)
    with np.errstate(over="ignore", invalid="ignore"):
        share = block.map_error / np.maximum(np.abs(block.maps) @ size, 1e-300)
    if (share <= DIGITS).all():
        return block
    worst = np.where(share <= DIGITS, 0.0, np.nan_to_num(share, nan=np.inf)).max(1)
    cells = np.argsort(-worst, kind="stable")[: min(int((worst > 0).sum()), work // problem.exact.products)]
    if not len(cells):
        return block
    maps, error = block.maps.copy(), block.map_error.copy()
    exponents = [*problem.exponents.tolist(), 0]
    for cell in cells.tolist():
        rows, denominator = problem.exact.outputs(spread_signs(problem, block.signs[cell]))
        maps[cell] = [
            [nearest_float(x << max(0, -e), denominator << max(0, e)) for x, e in zip(row, exponents, strict=True)]
            for row in rows.tolist()
        ]
    with np.errstate(over="ignore", invalid="ignore"):
        error[cells] = 2.0**-53 * 1.01 * (np.abs(maps[cells]) * size).sum(2) + len(size) * 2.0**-1073 * size.max()
    return replace(block, maps=maps, map_error=error)
