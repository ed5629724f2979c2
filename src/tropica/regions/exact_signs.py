"""Doubtful signs, decided by integers: a unit under the cell's sign vector at a vertex that is the solution of its hyperplanes."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict

import numpy as np

from tropica.exact.rational_arrays import RationalArray
from tropica.regions.chain import Chain

Row = list[int]


class ExactSigns:
    """Exact rows and vertices of a chain, with memos that are caches only.

    Args:
        chain: the exact stages.
        halfspaces: (F, d + 1) rows [a | b] of the domain, a · t ≤ b, over the chain's coordinates.
    """

    def __init__(self, chain: Chain, halfspaces: RationalArray) -> None:
        self._chain = chain
        numerators = halfspaces.numerators.astype(object)
        self._walls: list[Row] = [[-a for a in row[:-1]] + [row[-1]] for row in numerators.tolist()]
        self._slopes = [_slopes(s.low, s.high) for s in chain.stages]
        self._maps: OrderedDict[tuple[int, bytes], tuple[np.ndarray, int]] = OrderedDict()
        self._rows: OrderedDict[tuple[int, int, bytes], Row] = OrderedDict()
        self._vertices: OrderedDict[tuple[object, ...], tuple[int, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def sign(self, stage: int, unit: int, hyperplanes: list[tuple[int, int]], masks: np.ndarray) -> tuple[int, tuple[int, ...]]:
        """Sign of a unit at the vertex on the hyperplanes (stage, unit; stage −1: a half-space), and the vertex, homogeneous."""
        with self._lock:
            point = self._vertex(hyperplanes, masks)
            row = self._row(stage, unit, masks)
            value = sum(map(int.__mul__, row, point))
        return (value > 0) - (value < 0), point

    def _vertex(self, hyperplanes: list[tuple[int, int]], masks: np.ndarray) -> tuple[int, ...]:
        deepest = max(stage for stage, _ in hyperplanes)
        key = (tuple(hyperplanes), masks[: max(deepest, 0)].tobytes())
        found = self._vertices.get(key)
        if found is None:
            found = solve([self._row(stage, unit, masks) for stage, unit in hyperplanes], self._chain.dimension)
            _remember(self._vertices, key, found, 1 << 16)
        return found

    def _row(self, stage: int, unit: int, masks: np.ndarray) -> Row:
        if stage < 0:
            return self._walls[unit]
        key = (stage, unit, masks[:stage].tobytes())
        found = self._rows.get(key)
        if found is None:
            rows, _ = self._chain.stages[stage].rows
            if stage == 0:
                found = rows[unit].tolist()
            else:
                inputs, denominator = self._outputs(stage - 1, masks)
                row = rows[unit]
                active = np.flatnonzero(row[:-1])
                found = (row[active] @ inputs[active]).tolist() if len(active) else [0] * (self._chain.dimension + 1)
                found[-1] += row[-1] * denominator
            content = math.gcd(*found) or 1
            found = [a // content for a in found]
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
                product = rows[np.ix_(live, used)] @ inputs[used] if len(used) else np.zeros((len(live), inputs.shape[1]), object)
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
