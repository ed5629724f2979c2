"""A best-first search over boxes for the least value of an objective, exact at vertices of cells."""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from tropica.errors import InputError
from tropica.exact.rational_arrays import nearest_float, rationals
from tropica.network.network import PiecewiseLinearNetwork
from tropica.queries.all_cells import AllCells
from tropica.queries.attack import points_of_box
from tropica.queries.cell import Cell, cell_at
from tropica.queries.enclosures import Enclosure
from tropica.queries.walk import visited
from tropica.queries.walls import walls_of
from tropica.queries.watch import Watch
from tropica.regions.domains.constructors import Box
from tropica.regions.lower.exact_points import exact_points
from tropica.regions.lower.lowering import Lowered

BATCH = 64
"""Boxes that are bounded at a time."""
FEW_UNITS = 6
"""The largest number of units that may bend in a box that is divided into its cells."""
FEW_CELLS = 64
"""Cells of a box that are visited before it is split instead."""
SOON = 64
"""Boxes after which all cells of the domain are enumerated instead, where they are not too many."""


@dataclass(frozen=True, eq=False)
class Extreme:
    """A minimum or maximum.

    Attributes:
        value: that of ``point``, exactly.
        bound: a bound of the function on the other side: equal to ``value`` if that is the extreme.
        point: (*input,) exact numbers as float64; ``rational`` has them as Fractions.
    """

    value: Fraction
    bound: Fraction
    point: np.ndarray
    rational: tuple[Fraction, ...]

    @property
    def exact(self) -> bool:
        """Whether the value is proven to be the extreme."""
        return self.value == self.bound

    def __float__(self) -> float:
        """The nearest float64, ±∞ beyond all of them."""
        return nearest_float(*self.value.as_integer_ratio())


class RangeSearch:
    """A best-first search for the minimum of one objective."""

    def __init__(self, net: PiecewiseLinearNetwork, lowered: Lowered, domain: Box, c: list[Fraction], seed: int) -> None:
        self.net, self.lowered, self.domain, self.c = net, lowered, domain, c
        self.random = np.random.default_rng(seed)
        self.enclosure = Enclosure(lowered, np.array([[float(v) for v in c]]))
        self.boxes = self.cells = 0
        self.all_cells = AllCells(net, domain)
        self.value: Fraction | None = None
        self.rational: tuple[Fraction, ...] = ()

    def run(self, max_boxes: int | None, max_seconds: float | None, watch: Watch) -> tuple[Extreme, RangeSearch]:
        until = math.inf if max_seconds is None else time.monotonic() + max_seconds
        lo, hi = self.domain.lo, self.domain.hi
        self.tried(np.concatenate([[lo, hi, lo / 2 + hi / 2], points_of_box(lo, hi, self.random.random((512, len(lo))))]))
        assert self.value is not None
        queue: list[tuple[float, int, np.ndarray, np.ndarray]] = [(-math.inf, 0, lo, hi)]
        made, enumerated = 1, False
        while queue and self._better(queue[0][0]):
            if (max_boxes is not None and self.boxes >= max_boxes) or time.monotonic() > until or watch.ended:
                break
            if not enumerated and self.boxes >= SOON:
                enumerated = True
                if self.enumerated(until - time.monotonic()):
                    queue = []
                    break
            batch = [heapq.heappop(queue) for _ in range(min(BATCH, len(queue)))]
            low, high = np.stack([b[2] for b in batch]), np.stack([b[3] for b in batch])
            lower, influence, bent = self.bounded(low, high)
            self.boxes += len(batch)
            watch.add(len(batch))
            self.tried(low / 2 + high / 2)
            for k, (parent, _, a, b) in enumerate(batch):
                bound = max(parent, float(lower[k])) if np.isfinite(lower[k]) else parent
                if not self._better(bound):
                    continue
                axis = _axis(influence[k], a, b)
                middle = a[axis] / 2 + b[axis] / 2
                splits = a[axis] < middle < b[axis]
                few = bent[k] <= FEW_UNITS or not splits
                if few and self._taken_apart(a, b, FEW_CELLS if splits else math.inf, until, watch):
                    continue
                left, right = b.copy(), a.copy()
                left[axis] = right[axis] = middle
                for ends in ((a, left), (right, b)) if splits else ((a, b),):
                    heapq.heappush(queue, (bound, made, *ends))
                    made += 1
        left_over = [b[0] for b in queue if self._better(b[0])]
        least = min(left_over, default=math.inf)
        bound = self.value if least == math.inf else Fraction(least) if math.isfinite(least) else self._root_bound()
        point = np.array([float(v) for v in self.rational]).reshape(self.net.input_shape)
        return Extreme(self.value, bound, point, self.rational), self

    def bounded(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For boxes (B, D): lower bounds (B,), how much each input moves the objective (B, D), how many units may bend (B,)."""
        forms, bent = self.enclosure(low, high)
        return forms.low[:, 0], np.abs(forms.lower_slopes[:, 0]) + np.abs(forms.upper_slopes[:, 0]), bent

    def candidates(self, here: Cell) -> Iterator[tuple[Fraction, tuple[Fraction, ...]]]:
        """The values of the objective on a cell that may be the least, each with its point: those at the vertices."""
        exact = here.outputs.exact
        assert exact is not None
        row = [sum((v * int(n) for v, n in zip(self.c, column, strict=True)), Fraction(0)) for column in exact.numerators.T]
        for end in here.exact_faces().ends.tolist():
            value = sum((r * e for r, e in zip(row, end, strict=True)), Fraction(0)) / (exact.denominator * end[-1])
            yield value, tuple(Fraction(e, end[-1]) for e in end[:-1])

    def _better(self, bound: float) -> bool:
        """Whether a box with this lower bound may hold a smaller value than the best one, exactly."""
        return self.value is None or not math.isfinite(bound) or Fraction(bound) < self.value

    def _root_bound(self) -> Fraction:
        """A bound over the whole box, for a search that was stopped at its start."""
        low = float(self.bounded(self.domain.lo[None], self.domain.hi[None])[0][0])
        if not math.isfinite(low):
            raise InputError("the outputs are too large for bounds in float64")
        return Fraction(low)

    def tried(self, x: np.ndarray) -> None:
        """Take the best of some points in floating point, if it is the best one so far."""
        double = self.net.to(torch.float64).to("cpu")
        with torch.no_grad():
            values = double(torch.from_numpy(x).reshape(-1, *self.net.input_shape)).reshape(len(x), -1).numpy()
        best = x[int((values @ np.array([float(v) for v in self.c])).argmin())]
        out = exact_points(self.lowered, rationals(best[None])).outputs
        value = sum((v * int(n) for v, n in zip(self.c, out.numerators[0], strict=True)), Fraction(0)) / out.denominator
        self.keep(value, tuple(Fraction(float(v)) for v in best))

    def keep(self, value: Fraction, point: tuple[Fraction, ...]) -> None:
        if self.value is None or value < self.value:
            self.value, self.rational = value, point

    def enumerated(self, seconds: float) -> bool:
        """Find the extreme among all cells of the domain; False where they are too many."""
        found = self.all_cells.within(seconds)
        best = None if found is None else self.least_of(self.all_cells)
        if found is None or best is None:
            return False
        self.cells += len(found)
        self.keep(*best)
        return True

    def least_of(self, cells: AllCells) -> tuple[Fraction, tuple[Fraction, ...]] | None:
        """The least value of the objective among all cells, with its point; None where it is out of reach."""
        return cells.least(self.c)

    def _taken_apart(self, lo: np.ndarray, hi: np.ndarray, most: float, until: float, watch: Watch) -> bool:
        """Visit all cells of a box and take their vertices; False if there are more cells than ``most``, or no time."""
        walls = walls_of(Box(lo, hi), self.net.input_shape)
        cells = []
        for here in visited(cell_at(self.lowered, self.inside(lo, hi, walls), walls)):
            cells.append(here)
            if len(cells) > most or time.monotonic() > until or watch.ended:
                self.cells += len(cells)
                return False
        self.cells += len(cells)
        for here in cells:
            for value, point in self.candidates(here):
                self.keep(value, point)
        return True

    def inside(self, lo: np.ndarray, hi: np.ndarray, walls: Any) -> Any:
        """A point of a box on no border of a cell, exactly."""
        while True:
            share = [Fraction(int(v), 1 << 20) for v in self.random.integers(1, 1 << 20, len(lo))]
            exact = [
                Fraction(a) + (Fraction(b) - Fraction(a)) * s for a, b, s in zip(lo.tolist(), hi.tolist(), share, strict=True)
            ]
            x = rationals(np.array([exact], dtype=object))
            try:
                cell_at(self.lowered, x, walls)
            except InputError:
                continue
            return x


def _axis(influence: np.ndarray, a: np.ndarray, b: np.ndarray) -> int:
    """The input to split: that of the largest influence, else the widest one."""
    score = influence if np.isfinite(influence).all() and influence.max() > 0 else b - a
    return int(np.where(b > a, score, -1.0).argmax())
