"""Doubtful signs, decided by integers: a unit under the cell's sign vector, at a vertex as the solution of its hyperplanes."""

from __future__ import annotations

import copy
import math
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray, common_denominator, compact
from tropica.regions.engine.chain import Chain, exact, linear_stage
from tropica.regions.lower.exact_rows import ExactRows

Row = list[int]
Hyperplane = tuple[int, int, int]


class ExactSigns:
    """Exact rows and vertices of a chain, with memos that are caches only.

    Args:
        chain: the exact stages.
        normals, offsets: (F, d) and (F,) half-spaces ⟨a, t⟩ ≤ b of the domain, over the chain's coordinates.
    """

    def __init__(self, chain: Chain, normals: RationalArray, offsets: RationalArray) -> None:
        self._chain = chain
        slopes = -normals.numerators.astype(object) * offsets.denominator
        constants = offsets.numerators.astype(object) * normals.denominator
        self._walls: list[Row] = np.concatenate([slopes, constants[:, None]], axis=1).tolist()
        d = chain.dimension
        self._coordinates = np.eye(d, d + 1, dtype=np.int64).astype(object)
        self._slopes = [_slopes(s.low, s.high) for s in chain.stages]
        self._maps: OrderedDict[tuple[int, bytes], _Outputs] = OrderedDict()
        self._rows: OrderedDict[tuple[int, int, bytes], tuple[Row, int]] = OrderedDict()
        self._vertices: OrderedDict[tuple[object, ...], tuple[int, ...]] = OrderedDict()
        self._signs: OrderedDict[tuple[object, ...], tuple[int, tuple[int, ...]]] = OrderedDict()
        self._lock = threading.Lock()

    proves = True
    """Whether signs are decided; otherwise those that floats do not decide are counted."""

    @property
    def products(self) -> int:
        """Products of integers that all rows under one sign vector take, about."""
        stages = (*self._chain.stages, self._chain.output)
        return (self._chain.dimension + 1) * max(1, sum(len(stage.weight.columns) for stage in stages))

    def followed_by(self, weight: RationalArray, bias: RationalArray) -> ExactSigns:
        """The same with one more stage, whose rows are W z + b of the outputs z."""
        output = self._chain.output
        rows, factors = output.weight.matrix, weight.numerators.astype(object)
        product = RationalArray(compact(factors @ rows.numerators.astype(object)), weight.denominator * rows.denominator)
        constant = factors @ output.bias.numerators.astype(object)
        (top, more), common = common_denominator(RationalArray(constant, weight.denominator * output.bias.denominator), bias)
        last = linear_stage(ExactRows.of(product), RationalArray(compact(top.astype(object) + more), common))
        found = self.fresh()
        found._chain = replace(self._chain, stages=(*self._chain.stages, last))
        found._slopes = [*self._slopes, _slopes(last.low, last.high)]
        return found

    def fresh(self) -> ExactSigns:
        """The same with empty memos."""
        found = copy.copy(self)
        found._maps, found._rows, found._vertices, found._signs = (OrderedDict() for _ in range(4))
        found._lock = threading.Lock()
        return found

    def sign(self, form: Hyperplane, hyperplanes: list[Hyperplane], masks: np.ndarray) -> tuple[int, tuple[int, ...]]:
        """Sign of a form at the vertex on hyperplanes, and the vertex as d + 1 integers.

        A form or hyperplane is (stage, unit, other): the unit's row, minus that of ``other`` where this is not −1; a
        half-space of the domain has stage −1. ``masks`` is the sign vector of the stages before.
        """
        with self._lock:
            early = form[0] <= 0 and all(plane[0] <= 0 for plane in hyperplanes)
            key = (form, tuple(hyperplanes))
            found = self._signs.get(key) if early else None
            if found is None:
                point = self._vertex(hyperplanes, masks)
                value = sum(map(int.__mul__, self._form(form, masks), point))
                found = (value > 0) - (value < 0), point
                if early:  # it depends on no sign vector
                    _remember(self._signs, key, found, 1 << 16)
        return found

    def vertex(self, hyperplanes: list[Hyperplane], masks: np.ndarray) -> tuple[int, ...]:
        """The point on hyperplanes of rank d, as d + 1 integers; see :func:`solve`."""
        with self._lock:
            return self._vertex(hyperplanes, masks)

    def outputs(self, masks: np.ndarray) -> tuple[np.ndarray, int]:
        """The outputs (s, d + 1) under a sign vector: integers, and their denominator."""
        with self._lock:
            return self._stage_rows(len(self._chain.stages), np.arange(self._chain.output.size), masks)

    def vanishes(self, form: Hyperplane, masks: np.ndarray) -> bool:
        """Whether a form is 0 everywhere under the sign vector."""
        return not any(self.row(form, masks))

    def row(self, form: Hyperplane, masks: np.ndarray) -> Row:
        """A form or hyperplane as d + 1 integers, the constant last, up to a positive factor."""
        with self._lock:
            return self._form(form, masks)

    def bending(self, masks: np.ndarray) -> Iterator[Hyperplane]:
        """All forms that bound a cell: of its sign vector, not of where it lies."""
        for s, stage in enumerate(self._chain.stages):
            if stage.windows is None:
                yield from ((s, u, -1) for u in np.flatnonzero(stage.low != stage.high).tolist())
                continue
            chosen = np.flatnonzero(unpack(masks[s], stage.size) & (stage.windows >= 0))
            for u in chosen.tolist():
                yield from ((s, u, v) for v in np.flatnonzero(stage.windows == stage.windows[u]).tolist() if v != u)

    def _vertex(self, hyperplanes: list[Hyperplane], masks: np.ndarray) -> tuple[int, ...]:
        deepest = max(form[0] for form in hyperplanes)
        key = (tuple(hyperplanes), masks[: max(deepest, 0)].tobytes())
        found = self._vertices.get(key)
        if found is None:
            found = solve([self._form(form, masks) for form in hyperplanes], self._chain.dimension)
            _remember(self._vertices, key, found, 1 << 16)
        return found

    def _form(self, form: Hyperplane, masks: np.ndarray) -> Row:
        stage, unit, other = form
        if stage < 0:
            return self._walls[unit]
        row, denominator = self._row(stage, unit, masks)
        if other < 0:
            return row
        minus, below = self._row(stage, other, masks)
        return [a * below - b * denominator for a, b in zip(row, minus, strict=True)]

    def prepare(self, stage: int, units: Iterable[int], masks: np.ndarray) -> None:
        """Make the rows of several units at once: one product instead of many."""
        with self._lock:
            key = masks[:stage].tobytes()
            new = [unit for unit in set(units) if unit >= 0 and (stage, unit, key) not in self._rows]
            if not new:
                return
            rows, denominator = self._stage_rows(stage, np.array(new), masks)
            for unit, entries in zip(new, rows.tolist(), strict=True):
                content = math.gcd(denominator, *entries)
                _remember(self._rows, (stage, unit, key), ([a // content for a in entries], denominator // content), 1 << 16)

    def _row(self, stage: int, unit: int, masks: np.ndarray) -> tuple[Row, int]:
        """A unit's row under the sign vector: integers over a denominator."""
        key = (stage, unit, masks[:stage].tobytes())
        found = self._rows.get(key)
        if found is None:
            rows, denominator = self._stage_rows(stage, np.array([unit]), masks)
            entries = rows[0].tolist()
            content = math.gcd(denominator, *entries)
            found = [a // content for a in entries], denominator // content
            _remember(self._rows, key, found, 1 << 16)
        return found

    def _stage_rows(self, stage: int, units: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, int]:
        """Rows (len(units), d + 1) of the units of a stage, or of the output, and their denominator; inputs are computed where
        a weight reads them."""
        given = self._chain.stages[stage] if stage < len(self._chain.stages) else self._chain.output
        weight, bias = given.weight.take(units), given.bias.numerators[units].astype(object)
        if stage == 0:
            inputs, before = self._coordinates, 1
        else:
            chosen = self._chosen(stage - 1, masks)
            read = np.unique(weight.columns)
            read = read[chosen[read] >= 0]
            inputs = np.zeros((weight.width, self._chain.dimension + 1), object)
            inputs[read], before = self._outputs(stage - 1, chosen[read], masks)
        product = weight.times(inputs)
        slopes, constants = product[:, :-1], product[:, -1]
        common = math.lcm(given.weight.denominator * before, given.bias.denominator)
        scale = common // (given.weight.denominator * before)
        constants = constants * scale + bias * (common // given.bias.denominator)
        return np.concatenate([slopes * scale, constants[:, None]], axis=1), common

    def _chosen(self, stage: int, masks: np.ndarray) -> np.ndarray:
        """The unit that each output of a stage is a multiple of, −1 where it is 0."""
        given = self._chain.stages[stage]
        live = np.flatnonzero(np.where(unpack(masks[stage], given.size), given.high, given.low) != 0)
        found = np.full(given.outputs, -1)
        found[given.output[live]] = live
        return found

    def _outputs(self, stage: int, units: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, int]:
        """Maps (len(units), d + 1) of units under the sign vector, and their denominator; remembered unit by unit."""
        key = (stage, masks[: stage + 1].tobytes())
        memo = self._maps.get(key)
        if memo is None:
            memo = _Outputs(np.zeros((self._chain.stages[stage].size, self._chain.dimension + 1), object))
            _remember(self._maps, key, memo, 256)
        new = units[~memo.known[units]]
        if len(new) or not memo.denominator:
            rows, denominator = self._stage_rows(stage, new, masks)
            low, high, slope_denominator = self._slopes[stage]
            slope = np.where(unpack(masks[stage], len(low))[new], high[new], low[new])
            memo.maps[new], memo.known[new] = rows * slope[:, None], True
            memo.denominator = denominator * slope_denominator
        return memo.maps[units], memo.denominator


class UnprovenSigns(ExactSigns):
    """In place of exact signs where exact arithmetic is out of reach."""

    proves = False

    def vertex(self, hyperplanes: list[Hyperplane], masks: np.ndarray) -> tuple[int, ...]:
        raise InputError("this needs exact arithmetic, which is out of reach for so wide a network")


class _Outputs:
    """Maps of the units of a stage that were needed so far; the denominator depends on the stage and the sign vector alone."""

    def __init__(self, maps: np.ndarray) -> None:
        self.maps, self.known, self.denominator = maps, np.zeros(len(maps), bool), 0


def unpack(words: np.ndarray, count: int) -> np.ndarray:
    """The lowest ``count`` bits of words, as booleans."""
    return np.unpackbits(words.astype("<u8").view(np.uint8), bitorder="little")[:count].astype(bool)


def _remember(memo: OrderedDict, key: object, value: object, most: int) -> None:
    memo[key] = value
    if len(memo) > most:
        memo.popitem(last=False)


def _slopes(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    both = exact(np.stack([low, high]))
    numerators = both.numerators.astype(object)
    return numerators[0], numerators[1], both.denominator


def solve(rows: list[Row], d: int) -> tuple[int, ...]:
    """The point on hyperplanes of rank d, as d + 1 integers: coordinates over the last one, which is positive.

    Where the hyperplanes meet at infinity, the last one is 0 and the others are a direction or its negative.
    """
    chosen: list[Row] = []
    pivots: list[int] = []
    for row in rows:
        left = row
        for done, c in zip(chosen, pivots, strict=True):
            if left[c]:
                a, b = done[c], left[c]
                left = [a * x - b * y for x, y in zip(left, done, strict=True)]
        c = next((k for k in range(d + 1) if left[k]), -1)
        if c < 0:
            continue
        content = math.gcd(*left)
        left = [x // content for x in left]
        for i, done in enumerate(chosen):
            if done[c]:
                a, b = left[c], done[c]
                done = [a * x - b * y for x, y in zip(done, left, strict=True)]
                content = math.gcd(*done) or 1
                chosen[i] = [x // content for x in done]
        chosen.append(left)
        pivots.append(c)
        if len(chosen) == d:
            break
    if len(chosen) < d:
        raise ArithmeticError("the hyperplanes of a vertex have a rank below the dimension")
    free = next(k for k in range(d, -1, -1) if k not in pivots)
    denominator = math.lcm(*(row[c] for row, c in zip(chosen, pivots, strict=True)))
    point = [0] * (d + 1)
    point[free] = denominator
    for row, c in zip(chosen, pivots, strict=True):
        point[c] = -row[free] * (denominator // row[c])
    return tuple(point)
