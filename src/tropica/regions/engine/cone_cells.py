"""From cells on a cone of the fan, in coordinates of its simplex, to cells in t: points and directions, maps, volumes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from tropica.exact.rational_arrays import nearest_float
from tropica.exact.roundoff import UNIT_ROUNDOFF
from tropica.regions.engine.cell_blocks import SIGNS, VERTICES, VOLUMES, CellBlock
from tropica.regions.engine.exact_vertices import corner_planes
from tropica.regions.engine.exact_volume import exact_volume
from tropica.regions.engine.fan import INFINITY, SpaceProblem, wall_number
from tropica.regions.kernels.volume import volumes

_SHARP = 1e-6
"""Bound of the error of a vertex t, as a share of max(1, |t|), or of a direction, beyond which it is solved for in integers."""
_DIGITS = 1e-7
"""Error of a volume, as a share of it or of a cube of the fan's scale, beyond which it is computed exactly."""


def in_space(problem: SpaceProblem, i: int, block: CellBlock, want: frozenset[str]) -> CellBlock:
    """The cells of cone i with what is wanted of them in t. The block has signs, and vertices on the cone.

    Facets of stage −1 are the hyperplane at infinity and the walls that a cell touches.
    """
    found = block
    if not want.isdisjoint({VERTICES, VOLUMES}):
        found = _moved(problem, i, found)
    if block.maps is not None:
        found = _maps_in_t(problem.cone_rays(i), found)
    if VOLUMES in want:
        found = replace(found, volumes=_exact_where_needed(problem, i, block, found, _volumes(found)))
    return found.only(want | {SIGNS})


def touches_wall(block: CellBlock, d: int) -> np.ndarray:
    """(n,) whether each cell of a cone, on its simplex, has a facet on a wall of the fan."""
    assert block.facets is not None
    assert block.facet_start is not None
    wall = (block.facets[:, 0] < 0) & (block.facets[:, 1] < d)
    total = np.concatenate([[0], np.cumsum(wall)])
    return np.diff(total[block.facet_start]) > 0


# ── vertices ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Points:
    """Points t and directions: (N, d), a bound of the error of each, and which are directions."""

    at: np.ndarray
    error: np.ndarray
    rays: np.ndarray


def _moved(problem: SpaceProblem, i: int, block: CellBlock) -> CellBlock:
    assert block.vertices is not None
    assert block.displacement is not None
    assert block.facets is not None
    d, rays = problem.dimension, problem.cone_rays(i)
    high = block.vertices @ rays
    s = 1.0 - block.vertices.sum(1)
    reach = np.abs(rays).sum(0).max()
    error_high = block.displacement * reach + (d + 2) * 2 * UNIT_ROUNDOFF * (np.abs(block.vertices) @ np.abs(rays)).max(1)
    error_s = d * block.displacement + 2 * (d + 2) * UNIT_ROUNDOFF
    endless = _on_infinity(block, d)
    length = np.abs(high).max(1)
    length = np.where(length > 0, length, 1.0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        t = high / s[:, None]
        error_t = (error_high + np.abs(t).max(1) * error_s) / (s - error_s) + 2 * UNIT_ROUNDOFF * np.abs(t).max(1)
        error_ray = 2 * error_high / length + UNIT_ROUNDOFF
    points = _Points(np.where(endless[:, None], high / length[:, None], t), np.where(endless, error_ray, error_t), endless)
    near = (s > 2 * error_s) & (error_t <= _SHARP * np.maximum(1.0, np.abs(t).max(1)))
    sure = np.where(endless, error_ray <= _SHARP, near)
    points = _solved(problem, i, block, points, np.flatnonzero(~sure))
    facets = block.facets.copy()
    own = facets[:, 0] < 0
    numbers = [wall_number(i, k + (k >= i), d) for k in range(d)]
    facets[own, 1] = np.array([*numbers, INFINITY])[facets[own, 1]]
    return replace(block, vertices=points.at, displacement=points.error, rays=points.rays, facets=facets)


def _on_infinity(block: CellBlock, d: int) -> np.ndarray:
    """Which vertices lie on the facet at infinity of their cell, if it has one."""
    assert block.facets is not None
    assert block.facet_start is not None
    assert block.incidence is not None
    assert block.vertex_start is not None
    at = np.flatnonzero((block.facets[:, 0] < 0) & (block.facets[:, 1] == d))
    cell = np.searchsorted(block.facet_start, at, side="right") - 1
    local = np.full(len(block), -1)
    local[cell] = at - block.facet_start[cell]
    bit = np.repeat(local, np.diff(block.vertex_start))
    word = block.incidence[np.arange(len(bit)), np.maximum(bit, 0) // 64]
    return (bit >= 0) & (word >> (np.maximum(bit, 0) % 64).astype(np.uint64) & np.uint64(1) == 1)


def _solved(problem: SpaceProblem, i: int, block: CellBlock, points: _Points, rows: np.ndarray) -> _Points:
    """The points with these rows solved for in integers."""
    if not len(rows):
        return points
    assert block.vertex_start is not None
    at, error, endless = points.at.copy(), points.error.copy(), points.rays.copy()
    cells = np.searchsorted(block.vertex_start, rows, side="right") - 1
    for row, cell in zip(rows.tolist(), cells.tolist(), strict=True):
        high, s = _exactly(problem, i, block, cell, row)
        unit = Fraction(2) ** problem.exponent if s else 1
        at[row] = [nearest_float(*(Fraction(x, s or max(map(abs, high))) * unit).as_integer_ratio()) for x in high]
        error[row] = UNIT_ROUNDOFF * float(np.abs(at[row]).max())
        endless[row] = s == 0
    return _Points(at, error, endless)


def _exactly(problem: SpaceProblem, i: int, block: CellBlock, cell: int, row: int) -> tuple[list[int], int]:
    """A vertex of a cell on the simplex of cone i as T / s, over 2^exponent, where s is 0 or positive."""
    cone = problem.cones[i]
    *shares, bottom = cone.exact.vertex(*corner_planes(cone, block, cell, row))
    rays = np.delete(problem.directions, i, axis=0).T.tolist()
    return [sum(map(int.__mul__, shares, column)) for column in rays], bottom - sum(shares)


# ── maps and volumes ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _maps_in_t(rays: np.ndarray, block: CellBlock) -> CellBlock:
    """Maps w t + c from forms over λ, which are ⟨w, r_i⟩ at ray i and c at the apex; bounds hold for |t| ≤ 1."""
    assert block.maps is not None
    assert block.map_error is not None
    inverse = np.linalg.inv(rays)
    constant, error = block.maps[:, :, -1:], block.map_error
    at_rays = block.maps[:, :, :-1] + constant
    slopes = at_rays @ inverse.T
    size = (np.abs(block.maps[:, :, :-1]) + np.abs(constant)) @ np.abs(inverse).T
    spread = np.abs(inverse).sum()
    bound = error * (1 + spread) + (len(rays) + 16) * 8 * UNIT_ROUNDOFF * size.sum(2)
    return replace(block, maps=np.concatenate([slopes, constant], axis=2), map_error=bound)


def _volumes(block: CellBlock) -> np.ndarray:
    """Volumes in t, ∞ where a cell has a ray."""
    assert block.vertices is not None
    assert block.vertex_start is not None
    assert block.incidence is not None
    assert block.rays is not None
    d, N = block.vertices.shape[1], len(block.vertices)
    endless = _endless(block)
    bounded = block.select(~endless)
    out = np.full(len(block), np.inf)
    assert bounded.vertices is not None
    assert bounded.vertex_start is not None
    assert bounded.incidence is not None
    sizes = np.zeros(len(bounded))
    most = int(np.diff(bounded.vertex_start).max(initial=0))
    scratch = np.zeros(d + 1, np.int64), np.zeros((d, 2 * d)), np.zeros((d + 2, most + 1), np.int64)
    volumes(d, bounded.vertices, np.arange(N), bounded.incidence, bounded.vertex_start, *scratch, sizes)
    out[~endless] = sizes
    return out


def _endless(block: CellBlock) -> np.ndarray:
    """(n,) whether each cell has a ray."""
    assert block.rays is not None
    assert block.vertex_start is not None
    return np.maximum.reduceat(block.rays, block.vertex_start[:-1]) if len(block) else np.zeros(0, bool)


def _exact_where_needed(problem: SpaceProblem, i: int, block: CellBlock, moved: CellBlock, sizes: np.ndarray) -> np.ndarray:
    """The volumes with those of far and of thin cells computed from exact vertices, where floats leave few digits of them."""
    assert moved.vertices is not None
    assert moved.vertex_start is not None
    d, start = problem.dimension, moved.vertex_start
    far = np.maximum.reduceat(np.abs(moved.vertices).max(1), start[:-1])
    low, high = (f.reduceat(moved.vertices, start[:-1]) for f in (np.minimum, np.maximum))
    with np.errstate(over="ignore", invalid="ignore"):
        error = 2.0**-48 * np.maximum(far, 2.0**-1000) * np.max(high - low, axis=1) ** (d - 1)
        few = ~(error <= _DIGITS * np.maximum(sizes, np.ldexp(1.0, problem.exponent * d)))
    doubtful = ~_endless(moved) & (few | ~np.isfinite(sizes))  # far enough, the floats of a bounded cell are ∞ or NaN
    for cell in np.flatnonzero(doubtful).tolist():
        rows = range(int(start[cell]), int(start[cell + 1]))
        places = [_exactly(problem, i, block, cell, row) for row in rows]
        sizes[cell] = exact_volume(moved, cell, places, problem.exponent)
    return sizes
