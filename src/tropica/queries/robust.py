"""``tp.robust_radius``: the distance to the nearest point of another label, by a nearest-first walk."""

from __future__ import annotations

import heapq
import math
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray, rationals
from tropica.network.network import PiecewiseLinearNetwork
from tropica.queries.arguments import network_at, positive
from tropica.queries.cell import Cell, cell, cell_of
from tropica.queries.crossings import crossing
from tropica.queries.distances import dual_norm, length, nearest_point
from tropica.queries.fixed_pieces import pieces_beyond
from tropica.queries.seeds import Seed
from tropica.queries.walk import cell_key
from tropica.regions.domains.domain import Domain
from tropica.regions.lower.exact_points import exact_points
from tropica.regions.lower.lowering import Lowered
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.html import HtmlRepr

MET = 1e-6
"""Relative difference of the bounds up to which the radius counts as found: the tolerance of the programs' multipliers."""
_UP = 1 + 1e-14


@dataclass(frozen=True, eq=False, repr=False)
class RobustRadius(HtmlRepr):
    """The distance from a point to the nearest point at which another output is as large as its label's.

    Attributes:
        lower, upper: bounds: no such point is nearer than ``lower``; ``point`` is at ``upper``. ∞ if none was found.
        point: (*input,) float64, at which exact arithmetic finds that the label changes; or None.
        label, other: the label of x, and the label at ``point``.
        norm: of the distance.
        found: whether the bounds meet, up to 1e-6 relative.
        cells: how many cells were visited.
        seconds: time it took.

    >>> import tropica as tp
    >>> net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], None), ([[1.0, 0.0], [0.0, 1.0]], None)])  # (relu(x₁), relu(x₂))
    >>> found = tp.robust_radius(net, [3.0, 1.0], norm="linf")
    >>> found
    RobustRadius(1 in linf, label 0 → 1, 1 cells)
    >>> found.lower <= 1 <= found.upper, found.point.round(6).tolist(), found.other
    (True, [2.0, 2.0], 1)
    """

    lower: float
    upper: float
    point: np.ndarray | None
    label: int
    other: int | None
    norm: str
    cells: int
    seconds: float

    @property
    def found(self) -> bool:
        return self.lower == self.upper or (self.upper < math.inf and self.upper - self.lower <= MET * self.upper)

    def __float__(self) -> float:
        return self.upper

    def __repr__(self) -> str:
        size = f"{self.upper:.9g}" if self.found else f"{self.lower:.9g} … {self.upper:.9g}"
        return f"RobustRadius({size} in {self.norm}, label {self.label} → {self.other}, {self.cells:,} cells)"


@dataclass(eq=False)
class _Search:
    """The state of a walk: the best point so far, and the least lower bound of cells that were left undecided."""

    lowered: Lowered
    x: np.ndarray
    norm: str
    label: int
    upper: float = math.inf
    point: np.ndarray | None = None
    other: int | None = None
    lower: float = math.inf
    queue: list[tuple[float, int, int, Cell, int]] = field(default_factory=list)
    pushed: int = 0

    def push(self, distance: float, refined: int, at: Cell, row: int) -> None:
        if distance < self.upper:
            self.pushed += 1
            heapq.heappush(self.queue, (distance, self.pushed, refined, at, row))


@own_settings()
def robust_radius(
    net: PiecewiseLinearNetwork | torch.nn.Module,
    x: Any,
    *,
    norm: str = "l2",
    domain: Domain | None = None,
    max_cells: int | None = None,
    max_seconds: float | None = None,
) -> RobustRadius:
    """Find the distance from a point to the nearest point of another label.

    The distance is min ‖y − x‖ over all y at which another output is at least as large as that of x's label; for one output z
    the labels are those of z ≤ 0 and z > 0. Cells are visited in the order of the distance from x to the closed facet they
    are entered by; in each cell the nearest tie is a linear program (l1, linf) or a quadratic one (l2). Lower bounds are those
    of multipliers, rounded; the point at the upper bound was evaluated exactly.

    Args:
        net: a network or a module.
        x: a point (*input,) on no border of a cell.
        norm: "l1", "l2" or "linf".
        domain: a polytope of full dimension in which the nearest point is looked for.
        max_cells, max_seconds: limits; within them there is a lower and an upper bound.

    Raises:
        InputError: a point on a border, a limit that is not positive, another norm.

    Source: Jordan, Lewis and Dimakis, Provable Certificates for Adversarial Examples, NeurIPS 2019 (GeoCert).

    >>> import tropica as tp
    >>> net = tp.from_layers([([[1.0, 0.0], [0.0, 1.0]], None), ([[1.0, 0.0], [0.0, 1.0]], [0.0, 1.5])])
    >>> tp.robust_radius(net, [3.0, 0.5], norm="linf")
    RobustRadius(0.5 in linf, label 0 → 1, 1 cells)
    """
    dual_norm(norm)
    positive(max_cells, "max_cells")
    positive(max_seconds, "max_seconds")
    start = time.monotonic()
    net = network_at(net, x)
    first = cell(net, x, domain=domain)
    at = first.inside.floats()[0]
    if not _same(first.inside, at):
        raise InputError("x must be numbers of float64; distances are measured from there")
    label, tie = _label(first.lowered, first.inside)
    search = _Search(first.lowered, at, norm, label)
    if tie is not None:
        return RobustRadius(0.0, 0.0, first.point, label, tie, norm, 1, time.monotonic() - start)
    seen, count, least = {cell_key(first.lowered, first.pieces)}, 1, 0.0
    _visit(search, first, 0.0)
    while search.queue and search.queue[0][0] < min(search.upper, search.lower):
        if (max_cells is not None and count >= max_cells) or (
            max_seconds is not None and time.monotonic() - start > max_seconds
        ):
            break
        least, _, refined, here, row = heapq.heappop(search.queue)
        if not refined:
            search.push(max(least, _facet_distance(search, here, row)), 1, here, row)
            continue
        beyond = _beyond(here, row)
        if beyond is None:  # not proven to be a facet, and not proven to be none
            search.lower = min(search.lower, least)
            continue
        key = cell_key(beyond.lowered, beyond.pieces)
        if key not in seen:
            seen.add(key)
            count += 1
            _visit(search, beyond, least)
    left = search.queue[0][0] if search.queue else math.inf
    lower = min(search.lower, left, search.upper)
    point = None if search.point is None else search.point.reshape(first.lowered.input_shape)
    return RobustRadius(lower, search.upper, point, label, search.other, norm, count, time.monotonic() - start)


def _same(exact: RationalArray, floats: np.ndarray) -> bool:
    own = rationals(floats[None])
    return bool((own.numerators.astype(object) * exact.denominator == exact.numerators.astype(object) * own.denominator).all())


def _label(lowered: Lowered, x: RationalArray) -> tuple[int, int | None]:
    """The label at a point, and another output that is as large, if any; exactly."""
    out = [int(v) for v in exact_points(lowered, x).outputs.numerators[0]]
    scores = [-out[0], out[0]] if len(out) == 1 else out
    label = max(range(len(scores)), key=lambda i: (scores[i], -i))
    return label, next((i for i, s in enumerate(scores) if i != label and s == scores[label]), None)


def _visit(search: _Search, here: Cell, key: float) -> None:
    """The nearest ties in a cell, and its rows into the queue."""
    rows, outputs = here.halfspaces, here.outputs
    margins, offsets, error = outputs.margins(search.label)
    possible = _possible(here, search.label)
    for other in range(outputs.labels):
        if (
            other == search.label
            or other not in possible
            or max(_hyperplane_distance(margins[other], offsets[other], search), key) >= search.upper
        ):
            continue
        A, b = np.concatenate([margins[[other]], rows.A]), np.append(offsets[other], rows.b)
        low, y = nearest_point(A, b, search.x, search.norm, np.append(error[other], rows.error))
        if low >= search.upper:
            continue
        if y is not None:
            _improve(search, y)
        search.lower = min(search.lower, max(low, key))
    network = rows.borders.stage >= 0
    size = np.linalg.norm(rows.A, dual_norm(search.norm), axis=1)
    chosen = here.facets.rows if here.small else np.flatnonzero(network & (size > 0))
    for row in chosen[network[chosen]].tolist():
        away = max(0.0, float(rows.b[row] - rows.A[row] @ search.x)) / size[row] * (1 - 1e-9)
        search.push(max(key, away if not here.small else 0.0, 0.0), 0, here, row)


def _possible(here: Cell, label: int) -> set[int]:
    """The other labels that may be attained in a cell: where its vertices and rays are at hand, by their exact scores."""
    exact = here.outputs.exact
    if not here.small or exact is None or len(here.exact_faces().lines):
        return set(range(here.outputs.labels))
    rows = exact.numerators.astype(object)
    scores = (rows if len(rows) > 1 else np.concatenate([-rows, rows])) @ here.exact_faces().ends.T
    return set(np.flatnonzero((scores >= scores[[label]]).any(1)).tolist())


def _hyperplane_distance(a: np.ndarray, b: float, search: _Search) -> float:
    """A lower bound of the distance to {y : a·y ≤ b}, up to rounding of 1e-9."""
    size = float(np.linalg.norm(a, dual_norm(search.norm)))
    return max(0.0, float(a @ search.x - b)) / size * (1 - 1e-9) if size else 0.0


def _improve(search: _Search, y: np.ndarray) -> None:
    """Take a point if the label really changes there; if need be a little farther out."""
    for stretch in (0.0, *(1e-15 * 8.0**k for k in range(9))):
        point = search.x + (y - search.x) * (1 + stretch)
        reach = length(point - search.x, search.norm) * _UP
        if reach >= search.upper:
            return
        other = _changed(search, point)
        if other is not None:
            search.upper, search.point, search.other = reach, point, other
            return


def _changed(search: _Search, point: np.ndarray) -> int | None:
    """Another output that is at least as large as the label's at a point, exactly."""
    out = [int(v) for v in exact_points(search.lowered, rationals(point[None])).outputs.numerators[0]]
    scores = [-out[0], out[0]] if len(out) == 1 else out
    larger = [i for i, s in enumerate(scores) if i != search.label and s >= scores[search.label]]
    return max(larger, key=lambda i: scores[i]) if larger else None


def _facet_distance(search: _Search, here: Cell, row: int) -> float:
    """A safe lower bound of the distance to a closed facet."""
    rows = here.halfspaces
    A, b = np.concatenate([-rows.A[[row]], rows.A]), np.append(-rows.b[row], rows.b)
    return nearest_point(A, b, search.x, search.norm, np.append(rows.error[row], rows.error))[0]


def _beyond(here: Cell, row: int) -> Cell | None:
    """The cell beyond the facet of a row; None if that is not proven."""
    if here.small:
        return here.neighbor(int(np.flatnonzero(here.facets.rows == row)[0]))
    found = crossing(here, row)
    if found is None:
        return None
    at, out = found
    return cell_of(here.lowered, Seed(pieces_beyond(here.lowered, at, out), at, out), here.walls)
