"""``tp.output_range``: the exact minimum and maximum of a linear function of the outputs on a box."""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from tropica.errors import InputError
from tropica.exact.rational_arrays import exact_array, rationals
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import as_network
from tropica.queries.arguments import positive
from tropica.queries.cell import MOST_DIMENSIONS, cell_at
from tropica.queries.enclosures import Enclosure
from tropica.queries.walk import visited
from tropica.queries.walls import walls_of
from tropica.regions.domains.constructors import Box
from tropica.regions.domains.domain import Domain
from tropica.regions.lower.exact_points import exact_points
from tropica.regions.lower.lowering import Lowered, lower
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.html import HtmlRepr

BATCH = 64
"""Boxes that are bounded at a time."""
FEW_UNITS = 6
"""A box in which at most so many units may bend is taken apart into its cells."""
FEW_CELLS = 64
"""Cells of a box that are visited before it is split instead."""


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
        return float(self.value)


@dataclass(frozen=True, eq=False, repr=False)
class OutputRange(HtmlRepr):
    """The range of a linear function of the outputs on a box.

    Attributes:
        minimum, maximum: an :class:`Extreme` each, with the point that attains it.
        boxes: how many boxes were bounded.
        cells: how many cells were visited.
        seconds: time it took.

    >>> import tropica as tp
    >>> net = tp.from_layers([([[1.0], [-1.0]], None), ([[1.0, 1.0]], None)])  # |x|
    >>> found = tp.output_range(net, tp.Box(-1, 2, d=1))
    >>> found
    OutputRange(0 … 2, exact, 2 boxes, 4 cells)
    >>> found.maximum.value, found.maximum.point, found.exact
    (Fraction(2, 1), array([2.]), True)
    """

    minimum: Extreme
    maximum: Extreme
    boxes: int
    cells: int
    seconds: float

    @property
    def exact(self) -> bool:
        """Whether both extremes are proven."""
        return self.minimum.exact and self.maximum.exact

    def __repr__(self) -> str:
        low, high = float(self.minimum), float(self.maximum)
        state = "exact" if self.exact else f"within {float(self.minimum.bound):.9g} … {float(self.maximum.bound):.9g}"
        return f"OutputRange({low:.9g} … {high:.9g}, {state}, {self.boxes:,} boxes, {self.cells:,} cells)"


@own_settings()
def output_range(
    net: PiecewiseLinearNetwork | torch.nn.Module,
    domain: Box,
    objective: int | Sequence[float] | Any = 0,
    *,
    max_boxes: int | None = None,
    max_seconds: float | None = None,
    seed: int = 0,
) -> OutputRange:
    """Find the minimum and the maximum of ⟨c, N(x)⟩ on a box.

    Boxes are taken in the order of their bounds, which are rounded outwards; a box whose bound is no better than the best value
    found is never looked into. A box in which few units may bend is taken apart into its cells, whose vertices are
    exact; so values are rational numbers, and the extreme is exact once no box is left. Within limits there is the best value
    found, and a bound.

    Args:
        net: a network or a module.
        domain: a box of full dimension, in up to 8 dimensions.
        objective: an output, or the vector c (s,).
        max_boxes, max_seconds: limits for each of the two searches.
        seed: of the points that are tried first.

    Raises:
        InputError: no such box, an objective that is none, a limit that is not positive, a large network.

    >>> import tropica as tp
    >>> net = tp.from_layers([([[1.0, 0], [-1, 0], [0, 1], [0, -1]], None), ([[1.0, 1, 1, 1]], None)])  # |x| + |y|
    >>> found = tp.output_range(net, tp.Box([-1, -0.5], [0.25, 2]))
    >>> found.minimum.value, found.maximum.value, found.exact
    (Fraction(0, 1), Fraction(3, 1), True)
    """
    net = as_network(net, inputs=domain.input_size if isinstance(domain, Domain) else None)
    if not isinstance(domain, Box):
        raise InputError(f"output_range needs a box, as tp.Box(lo, hi); found {type(domain).__name__}")
    walls_of(domain, net.input_shape)
    if domain.dimension > MOST_DIMENSIONS:
        raise InputError(f"output_range is for up to {MOST_DIMENSIONS} dimensions; the box has {domain.dimension}")
    positive(max_boxes, "max_boxes")
    positive(max_seconds, "max_seconds")
    c = _objective(objective, net.num_outputs)
    lowered = lower(net)
    start = time.monotonic()
    found = [_Search(net, lowered, domain, [sign * v for v in c], seed).run(max_boxes, max_seconds) for sign in (1, -1)]
    (low, one), (high, two) = found
    top = Extreme(-high.value, -high.bound, high.point, high.rational)
    return OutputRange(low, top, one.boxes + two.boxes, one.cells + two.cells, time.monotonic() - start)


def _objective(objective: Any, outputs: int) -> list[Fraction]:
    if isinstance(objective, int) and not isinstance(objective, bool):
        if not 0 <= objective < outputs:
            raise InputError(f"objective must be an output 0 … {outputs - 1}, or {outputs} numbers; found {objective}")
        return [Fraction(int(k == objective)) for k in range(outputs)]
    try:
        array = exact_array(objective, "objective", 1)
    except (InputError, TypeError):
        raise InputError(f"objective must be an output 0 … {outputs - 1}, or {outputs} numbers; found {objective!r}") from None
    if len(array) != outputs:
        raise InputError(f"objective must have {outputs} numbers, one an output; found {len(array)}")
    return [Fraction(v) for v in array.tolist()]


class _Search:
    """A best-first search for the minimum of one objective."""

    def __init__(self, net: PiecewiseLinearNetwork, lowered: Lowered, domain: Box, c: list[Fraction], seed: int) -> None:
        self.net, self.lowered, self.domain, self.c = net, lowered, domain, c
        self.random = np.random.default_rng(seed)
        self.enclosure = Enclosure(lowered, np.array([[float(v) for v in c]]))
        self.boxes = self.cells = 0
        self.value: Fraction | None = None
        self.rational: tuple[Fraction, ...] = ()

    def run(self, max_boxes: int | None, max_seconds: float | None) -> tuple[Extreme, _Search]:
        start = time.monotonic()
        lo, hi = self.domain.lo, self.domain.hi
        self._try(np.concatenate([[lo, hi, (lo + hi) / 2], self.random.uniform(lo, hi, (512, len(lo)))]))
        assert self.value is not None
        queue: list[tuple[float, int, np.ndarray, np.ndarray]] = [(-math.inf, 0, lo, hi)]
        made = 1
        while queue and self._better(queue[0][0]):
            if (max_boxes is not None and self.boxes >= max_boxes) or (
                max_seconds is not None and time.monotonic() - start > max_seconds
            ):
                break
            batch = [heapq.heappop(queue) for _ in range(min(BATCH, len(queue)))]
            low, high = np.stack([b[2] for b in batch]), np.stack([b[3] for b in batch])
            forms, bent = self.enclosure(low, high)
            self.boxes += len(batch)
            self._try((low + high) / 2)
            for k, (parent, _, a, b) in enumerate(batch):
                bound = max(parent, float(forms.low[k, 0])) if np.isfinite(forms.low[k, 0]) else parent
                if not self._better(bound):
                    continue
                axis = _axis(np.abs(forms.lower_slopes[k, 0]) + np.abs(forms.upper_slopes[k, 0]), a, b)
                middle = (a[axis] + b[axis]) / 2
                splits = a[axis] < middle < b[axis]
                few = bent[k] <= FEW_UNITS or not splits
                if few and self._taken_apart(a, b, FEW_CELLS if splits else None):
                    continue
                left, right = b.copy(), a.copy()
                left[axis] = right[axis] = middle
                for ends in ((a, left), (right, b)):
                    heapq.heappush(queue, (bound, made, *ends))
                    made += 1
        left_over = [b[0] for b in queue if self._better(b[0])]
        least = min(left_over, default=math.inf)
        bound = self.value if least == math.inf else Fraction(least) if math.isfinite(least) else self._root_bound()
        point = np.array([float(v) for v in self.rational]).reshape(self.net.input_shape)
        return Extreme(self.value, bound, point, self.rational), self

    def _better(self, bound: float) -> bool:
        """Whether a box with this lower bound may hold a smaller value than the best one, exactly."""
        return self.value is None or not math.isfinite(bound) or Fraction(bound) < self.value

    def _root_bound(self) -> Fraction:
        """A bound over the whole box, for a search that was stopped at its start."""
        low = float(self.enclosure(self.domain.lo[None], self.domain.hi[None])[0].low[0, 0])
        if not math.isfinite(low):
            raise InputError("the outputs are too large for bounds in float64")
        return Fraction(low)

    def _try(self, x: np.ndarray) -> None:
        """Take the best of some points in floating point, if it is the best one so far."""
        double = self.net.to(torch.float64).to("cpu")
        with torch.no_grad():
            values = double(torch.from_numpy(x).reshape(-1, *self.net.input_shape)).reshape(len(x), -1).numpy()
        best = x[int((values @ np.array([float(v) for v in self.c])).argmin())]
        out = exact_points(self.lowered, rationals(best[None])).outputs
        value = sum((v * int(n) for v, n in zip(self.c, out.numerators[0], strict=True)), Fraction(0)) / out.denominator
        self._keep(value, tuple(Fraction(float(v)) for v in best))

    def _keep(self, value: Fraction, point: tuple[Fraction, ...]) -> None:
        if self.value is None or value < self.value:
            self.value, self.rational = value, point

    def _taken_apart(self, lo: np.ndarray, hi: np.ndarray, most: int | None) -> bool:
        """Visit all cells of a box and take their vertices; False if there are more cells than ``most``."""
        walls = walls_of(Box(lo, hi), self.net.input_shape)
        cells = []
        for here in visited(cell_at(self.lowered, self._inside(lo, hi, walls), walls)):
            cells.append(here)
            if most is not None and len(cells) > most:
                self.cells += len(cells)
                return False
        self.cells += len(cells)
        for here in cells:
            exact = here.outputs.exact
            faces = here.exact_faces()
            assert exact is not None
            row = [sum((v * int(n) for v, n in zip(self.c, column, strict=True)), Fraction(0)) for column in exact.numerators.T]
            for end in faces.ends.tolist():
                value = sum((r * e for r, e in zip(row, end, strict=True)), Fraction(0)) / (exact.denominator * end[-1])
                if self.value is None or value < self.value:
                    self._keep(value, tuple(Fraction(e, end[-1]) for e in end[:-1]))
        return True

    def _inside(self, lo: np.ndarray, hi: np.ndarray, walls: Any) -> Any:
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
