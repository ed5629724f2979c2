"""Doubtful signs, decided by integers: a unit under the cell's sign vector, at a vertex as the solution of its hyperplanes."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict

import numpy as np

from tropica.exact.rational_arrays import RationalArray
from tropica.regions.chain import Chain

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
        self._slopes = [_slopes(s.low, s.high) for s in chain.stages]
        self._maps: OrderedDict[tuple[int, bytes], tuple[np.ndarray, int]] = OrderedDict()
        self._rows: OrderedDict[tuple[int, int, bytes], tuple[Row, int]] = OrderedDict()
        self._vertices: OrderedDict[tuple[object, ...], tuple[int, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def sign(self, form: Hyperplane, hyperplanes: list[Hyperplane], masks: np.ndarray) -> tuple[int, tuple[int, ...]]:
        """Sign of a form at the vertex on hyperplanes, and the vertex as d + 1 integers.

        A form or hyperplane is (stage, unit, other): the unit's row, minus that of ``other`` where this is not −1; a
        half-space of the domain has stage −1. ``masks`` is the sign vector of the stages before.
        """
        with self._lock:
            point = self._vertex(hyperplanes, masks)
            value = sum(map(int.__mul__, self._form(form, masks), point))
        return (value > 0) - (value < 0), point

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

    def _row(self, stage: int, unit: int, masks: np.ndarray) -> tuple[Row, int]:
        """A unit's row under the sign vector: integers over a denominator."""
        key = (stage, unit, masks[:stage].tobytes())
        found = self._rows.get(key)
        if found is None:
            rows, denominator = self._chain.stages[stage].rows
            if stage == 0:
                entries = rows[unit].tolist()
            else:
                inputs, before = self._outputs(stage - 1, masks)
                row = rows[unit]
                active = np.flatnonzero(row[:-1])
                entries = (row[active] @ inputs[active]).tolist() if len(active) else [0] * (self._chain.dimension + 1)
                entries[-1] += row[-1] * before
                denominator *= before
            content = math.gcd(denominator, *entries)
            found = [a // content for a in entries], denominator // content
            _remember(self._rows, key, found, 1 << 16)
        return found

    def _outputs(self, stage: int, masks: np.ndarray) -> tuple[np.ndarray, int]:
        """Maps (n, d + 1) of a stage's units under the sign vector, and their common denominator."""
        key = (stage, masks[: stage + 1].tobytes())
        found = self._maps.get(key)
        if found is None:
            rows, denominator = self._chain.stages[stage].rows
            low, high, slope_denominator = self._slopes[stage]
            bits = unpack(masks[stage], len(low))
            slope = np.where(bits, high, low)
            if stage == 0:
                maps = rows * slope[:, None]
            else:
                inputs, before = self._outputs(stage - 1, masks)
                maps = np.zeros((len(low), self._chain.dimension + 1), dtype=object)
                live = np.flatnonzero(slope)
                used = np.flatnonzero((inputs != 0).any(1))
                product = (
                    rows[np.ix_(live, used)] @ inputs[used] if len(used) else np.zeros((len(live), inputs.shape[1]), object)
                )
                product[:, -1] = product[:, -1] + rows[live, -1] * before
                maps[live] = product * slope[live, None]
                denominator = denominator * before
            denominator *= slope_denominator
            content = math.gcd(denominator, *maps.ravel().tolist())
            if content > 1:
                maps, denominator = maps // content, denominator // content
            found = maps, denominator
            _remember(self._maps, key, found, 256)
        else:
            self._maps.move_to_end(key)
        return found


def unpack(words: np.ndarray, count: int) -> np.ndarray:
    """The lowest ``count`` bits of words, as booleans."""
    return np.unpackbits(words.astype("<u8").view(np.uint8), bitorder="little")[:count].astype(bool)


def _remember(memo: OrderedDict, key: object, value: object, most: int) -> None:
    memo[key] = value
    if len(memo) > most:
        memo.popitem(last=False)


def _slopes(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    from tropica.regions.chain import exact

    both = exact(np.stack([low, high]))
    numerators = both.numerators.astype(object)
    return numerators[0], numerators[1], both.denominator


def solve(rows: list[Row], d: int) -> tuple[int, ...]:
    """The point on hyperplanes of rank d, as d + 1 integers with a positive last one: coordinates over a denominator."""
    chosen: list[Row] = []
    pivots: list[int] = []
    for row in rows:
        left = row
        for done, c in zip(chosen, pivots, strict=True):
            if left[c]:
                a, b = done[c], left[c]
                left = [a * x - b * y for x, y in zip(left, done, strict=True)]
        c = next((k for k in range(d) if left[k]), -1)
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
    denominator = math.lcm(*(row[c] for row, c in zip(chosen, pivots, strict=True)))
    point = [0] * d
    for row, c in zip(chosen, pivots, strict=True):
        point[c] = -row[d] * (denominator // row[c])
    return (*point, denominator)
