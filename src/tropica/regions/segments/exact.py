"""The walk along a segment without rounding: float64 weights are whole numbers times powers of two, and so is every line.

On the stretch between two rational places every value is s t + c with s and c of the form n / 2^e, n a Python integer; only
breakpoints are other rationals. What is slow about it is the products of long integers: ``Budget`` says how many there may be.
An affine op is the matrix that it applies in float64 to unit vectors, and the vector that it gives for zeros.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from tropica.exact.dyadic import decode
from tropica.exact.rational_arrays import nearest_float
from tropica.network.graph import NonlinearityNode
from tropica.regions.segments.lines import where_set
from tropica.regions.segments.nonlinearities import Threshold, Window
from tropica.regions.segments.plan import INPUT, AffineStep, Plan

BLOCK = 2**17
"""Products of integers that are held at a time."""


class TooMuch(Exception):
    """The budget is used up."""


@dataclass
class Budget:
    """How many products of integers may still be made."""

    left: float

    def spend(self, products: int) -> None:
        """Spend ``products`` multiplications; raise TooMuch where fewer are left."""
        self.left -= products
        if self.left < 0:
            raise TooMuch


@dataclass(frozen=True)
class Dyadic:
    """Numbers n / 2^e: ``numbers`` an array of Python integers."""

    numbers: np.ndarray
    exponent: int

    @staticmethod
    def of(values: np.ndarray) -> Dyadic:
        """Floating-point numbers, exactly."""
        numbers, exponent = decode(values)
        return Dyadic(numbers.astype(object), exponent)

    def at(self, exponent: int) -> np.ndarray:
        """The numbers over a larger power of two."""
        return self.numbers if exponent == self.exponent else self.numbers << (exponent - self.exponent)

    def floats(self) -> np.ndarray:
        """Rounded once."""
        scale = 1 << self.exponent
        flat = [nearest_float(n, scale) for n in self.numbers.ravel().tolist()]
        return np.array(flat, dtype=np.float64).reshape(self.numbers.shape)


@dataclass
class Matrix:
    """The entries of a matrix that are not zero, row by row: ``weight`` at (row, column).

    ``last`` is the exponent, the last interval and its product of the call before, where the next call goes on.
    """

    rows: int
    row: np.ndarray
    column: np.ndarray
    weight: Dyadic
    last: tuple[int, np.ndarray, np.ndarray] | None = None

    def times(self, x: Dyadic, budget: Budget) -> Dyadic:
        """The product with numbers (columns, intervals, 2): of each interval what differs from the one before."""
        steps = x.numbers.copy()
        steps[:, 1:] -= x.numbers[:, :-1]
        if self.last is not None and self.last[0] == x.exponent:
            steps[:, 0] -= self.last[1]
        else:
            self.last = None
        out = self._times(steps, budget)
        if self.last is not None:
            out[:, 0] += self.last[2]
        out = np.add.accumulate(out, axis=1)
        self.last = x.exponent, x.numbers[:, -1].copy(), out[:, -1].copy()
        return Dyadic(out, self.weight.exponent + x.exponent)

    def _times(self, x: np.ndarray, budget: Budget) -> np.ndarray:
        some = (x != 0).any(2)
        out = np.zeros((self.rows, *x.shape[1:]), dtype=object)
        for i in range(x.shape[1]):
            at = np.flatnonzero(some[self.column, i])
            budget.spend(2 * len(at))
            for part in np.split(at, range(BLOCK, len(at), BLOCK)):
                if len(part):
                    row = self.row[part]
                    starts = np.flatnonzero(np.diff(row, prepend=-1))
                    products = self.weight.numbers[part, None] * x[self.column[part], i]
                    out[row[starts], i] += np.add.reduceat(products, starts, axis=0)
        return out


@dataclass(frozen=True)
class ExactStretch:
    """A stretch without rounding: its ends and breakpoints, the pieces (intervals, units) by nonlinearity, the output."""

    t: list[Fraction]
    choices: dict[str, np.ndarray]
    output: Dyadic


class ExactWalk:
    """Walks stretches of one segment; matrices are made once, and each stretch begins with what the one before ended with."""

    def __init__(self, plan: Plan, a: Tensor, b: Tensor, budget: Budget) -> None:
        self.plan, self.budget = plan, budget
        first, last = Dyadic.of(a.numpy()), Dyadic.of(b.numpy())
        exponent = max(first.exponent, last.exponent)
        start, stop = first.at(exponent), last.at(exponent)
        self.input = Dyadic(np.stack([stop - start, start], 1)[:, None], exponent)
        self._matrices: dict[str, list[Matrix]] = {}

    def on(self, low: Fraction, high: Fraction) -> ExactStretch:
        """Between two places. Values are (units, intervals, 2): slope and intercept."""
        t = [low, high]
        values, nonlinearities = {INPUT: self.input}, {}
        with torch.no_grad():
            for node, dead in zip(self.plan.net.graph.nodes, self.plan.dead, strict=True):
                step, inputs = self.plan.steps[node.name], [values[name] for name in node.inputs]
                if isinstance(step, AffineStep):
                    values[node.name] = self._affine(node.name, step, inputs)
                else:
                    assert isinstance(node, NonlinearityNode)
                    t, parent, choice, out = self._nonlinearity(step, t, inputs)
                    values = {name: Dyadic(v.numbers[:, parent], v.exponent) for name, v in values.items()}
                    nonlinearities = {name: c[parent] for name, c in nonlinearities.items()}
                    values[node.name], nonlinearities[node.name] = out, choice.T
                for name in dead:
                    values.pop(name, None)
        return ExactStretch(t, nonlinearities, values[self.plan.net.graph.output])

    def lines(self, choices: dict[str, np.ndarray], count: int) -> Dyadic:
        """The output's lines (outputs, intervals, 2) where the choices (intervals, units) of each nonlinearity are known."""
        values = {INPUT: Dyadic(np.repeat(self.input.numbers, count, 1), self.input.exponent)}
        with torch.no_grad():
            for node, dead in zip(self.plan.net.graph.nodes, self.plan.dead, strict=True):
                step, inputs = self.plan.steps[node.name], [values[name] for name in node.inputs]
                if isinstance(step, AffineStep):
                    values[node.name] = self._affine(node.name, step, inputs)
                else:
                    values[node.name] = _chosen(step, _side_by_side(inputs), choices[node.name].T)
                for name in dead:
                    values.pop(name, None)
        return values[self.plan.net.graph.output]

    def _affine(self, name: str, step: AffineStep, inputs: list[Dyadic]) -> Dyadic:
        if name not in self._matrices:
            self._matrices[name] = matrices(step, self.budget)
        constant = Dyadic.of(step.constant.numpy())
        parts = [m.times(x, self.budget) for m, x in zip(self._matrices[name], inputs, strict=True)]
        exponent = max(constant.exponent, *(p.exponent for p in parts))
        total = sum(p.at(exponent) for p in parts)
        assert isinstance(total, np.ndarray)
        total[:, :, 1] += constant.at(exponent)[:, None]
        return Dyadic(total, exponent)

    def _nonlinearity(
        self, form: Threshold | Window, t: list[Fraction], inputs: list[Dyadic]
    ) -> tuple[list[Fraction], list[int], np.ndarray, Dyadic]:
        """New ends, the old interval of each new one, the choices (units, intervals), the output."""
        z = _side_by_side(inputs)
        self.budget.spend(2 * z.numbers.size)
        shifted = _above(form, z) if isinstance(form, Threshold) else z
        # What a nonlinearity reads is continuous: one value at each end, of the interval behind it.
        lines = np.concatenate([shifted.numbers, shifted.numbers[:, -1:]], 1)
        ends = lines[:, :, 0] * _tops(t) + lines[:, :, 1] * _bottoms(t)
        if isinstance(form, Threshold):
            new, parent, choice = _cut(form, shifted, ends, t)
        else:
            new, parent, choice = _enveloped(form, shifted, ends, t)
        return new, parent, choice, _chosen(form, Dyadic(z.numbers[:, parent], z.exponent), choice)


def _refined(t: list[Fraction], roots: set[Fraction]) -> tuple[list[Fraction], list[int]]:
    """The ends with new ones among them, and the old interval of each new one."""
    new = sorted({*t, *roots})
    return new, [bisect_right(t, low) - 1 for low in new[:-1]]


def _cut(form: Threshold, z: Dyadic, ends: np.ndarray, t: list[Fraction]) -> tuple[list[Fraction], list[int], np.ndarray]:
    """New ends where z crosses its level 0, and whether it is above, by its signs at the ends."""
    sign = np.greater(ends, 0).astype(np.int64) - np.less(ends, 0).astype(np.int64)
    left, right = sign[:, :-1], sign[:, 1:]
    unit, row = np.nonzero(left * right < 0)
    slope, start = z.numbers[unit, row].T
    places = [Fraction(-c, s) for s, c in zip(slope.tolist(), start.tolist(), strict=True)]
    new, parent = _refined(t, set(places))
    side = np.where(left == 0, right, left)[:, parent]
    for u, r, place in zip(unit.tolist(), row.tolist(), places, strict=True):
        side[u, bisect_left(new, place) : bisect_right(parent, r)] = right[u, r]
    return new, parent, (side >= 0 if form.above_at_tie else side > 0).astype(np.int64)


def _enveloped(form: Window, z: Dyadic, ends: np.ndarray, t: list[Fraction]) -> tuple[list[Fraction], list[int], np.ndarray]:
    """New ends where the upper envelopes of the windows change, and the first largest option between them.

    An option that is largest at both ends of an interval is so on all of it, and then no other is anywhere inside.
    """
    best = _largest(form, ends)
    both = best[:, :, :-1] & best[:, :, 1:]
    unit, row = np.nonzero(~np.any(both, axis=1))
    new, parent = _refined(t, _envelopes(form, z, unit, row, t))
    both = both[:, :, parent]
    choice = both.argmax(1)
    unit, column = np.nonzero(~np.any(both, axis=1))
    if len(unit):
        middle = [(p + q) / 2 for p, q in pairwise(new)]
        at = z.numbers[:, parent][form.positions.numpy()[unit], column[:, None]]  # a position of none is left out below
        value = at[:, :, 0] * _tops(middle)[column, None] + at[:, :, 1] * _bottoms(middle)[column, None]
        choice[unit, column] = _first_largest(value, form.positions.numpy()[unit] >= 0)
    return new, parent, choice


def matrices(step: AffineStep, budget: Budget) -> list[Matrix]:
    """The matrix of an affine op on each of its inputs."""
    found: list[Matrix] = []
    for which, layout in enumerate(step.inputs):
        # Looking at every entry is cheap beside a product of integers, but not free.
        budget.spend(layout.units * step.output.units // 64)
        size = max(1, 2**22 // max(1, max(step.output.units, layout.units)))
        entries: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        for low in range(0, layout.units, size):
            high = min(low + size, layout.units)
            rows = [torch.zeros(high - low, x.units, dtype=torch.float64) for x in step.inputs]
            rows[which][torch.arange(high - low), torch.arange(low, high)] = 1
            block = step.slopes(rows)
            column, row = where_set(block != 0)
            entries.append((row.numpy(), column.numpy() + low, block[column, row].numpy()))
        row, column, weight = (np.concatenate(x) for x in zip(*entries, strict=True))
        budget.spend(len(row))
        order = np.argsort(row * layout.units + column)
        found.append(Matrix(step.output.units, row[order], column[order], Dyadic.of(weight[order])))
    return found


def _tops(places: list[Fraction]) -> np.ndarray:
    return np.array([p.numerator for p in places], dtype=object)


def _bottoms(places: list[Fraction]) -> np.ndarray:
    return np.array([p.denominator for p in places], dtype=object)


def _side_by_side(inputs: list[Dyadic]) -> Dyadic:
    exponent = max(x.exponent for x in inputs)
    return Dyadic(np.concatenate([x.at(exponent) for x in inputs]), exponent)


def _above(form: Threshold, z: Dyadic) -> Dyadic:
    """z minus its level."""
    level = Dyadic.of(form.level.numpy())
    exponent = max(z.exponent, level.exponent)
    numbers = z.at(exponent).copy()
    numbers[:, :, 1] -= level.at(exponent)[:, None]
    return Dyadic(numbers, exponent)


def _chosen(form: Threshold | Window, z: Dyadic, choice: np.ndarray) -> Dyadic:
    """The nonlinearity's output (units, intervals, 2) for known choices (units, intervals)."""
    if isinstance(form, Window):
        at = form.positions.numpy()[np.arange(len(choice))[:, None], choice]
        return Dyadic(z.numbers[at, np.arange(choice.shape[1])], z.exponent)
    slopes = Dyadic.of(torch.stack([form.lo, form.hi], 1).numpy())
    factor = slopes.numbers[np.arange(len(choice))[:, None], choice]
    offset = Dyadic.of(form.offset.numpy())
    exponent = max(z.exponent + slopes.exponent, offset.exponent)
    numbers = Dyadic(z.numbers * factor[:, :, None], z.exponent + slopes.exponent).at(exponent).copy()
    numbers[:, :, 1] += np.where(choice == 0, offset.at(exponent)[:, None], 0)
    return Dyadic(numbers, exponent)


def _largest(form: Window, value: np.ndarray) -> np.ndarray:
    """Which options of each window are largest: (units, options, places) for values (inputs, places)."""
    positions = form.positions.numpy()
    here = positions >= 0
    first = positions[np.arange(len(positions)), here.argmax(1)]
    options = value[np.where(here, positions, first[:, None])]
    return (options == options.max(1, keepdims=True)).astype(bool) & here[:, :, None]


def _first_largest(value: np.ndarray, here: np.ndarray) -> np.ndarray:
    """The first largest of each row (rows, options) among those that are ``here``."""
    first = value[np.arange(len(value)), here.argmax(1)]
    options = np.where(here, value, first[:, None])
    return ((options == options.max(1, keepdims=True)).astype(bool) & here).argmax(1)


def _envelopes(form: Window, z: Dyadic, units: np.ndarray, rows: np.ndarray, t: list[Fraction]) -> set[Fraction]:
    """Where the upper envelopes of some windows change inside some intervals."""
    roots: set[Fraction] = set()
    for unit, row in zip(units.tolist(), rows.tolist(), strict=True):
        options = [z.numbers[p, row] for p in form.positions[unit].tolist() if p >= 0]
        lines = sorted({(int(s), int(c)) for s, c in options})
        place, stop = t[row], t[row + 1]
        now = max(lines, key=lambda line: (line[0] * place + line[1], line[0]))
        while True:
            overtaking = [(Fraction(now[1] - c, s - now[0]), -s, (s, c)) for s, c in lines if s > now[0]]
            overtaking = [x for x in overtaking if place <= x[0] < stop]
            if not overtaking:
                break
            place, _, now = min(overtaking)
            roots.add(place)
    return roots
