"""The checker of proofs of bounds: it bounds every leaf of a tree again, in float64 rounded outwards.

No code in common with the search. A leaf is a box, signs of units that branches have fixed, and multipliers. Any multipliers
give a valid bound: slopes α between the two slopes of a unit, β ≥ 0 for fixed signs, weights w ≥ 0 for the rows of the
objective. So what is read from a proof cannot make the checker wrong, only refuse.

A computed factor â of a row z differs from the true one by at most γ · (the sum of the absolute values of its terms); with a
bound of |z| that is a bound of the error, and the sum of all errors is taken off the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tropica.exact.roundoff import EPSILON
from tropica.queries.threshold_program import Layer, Program
from tropica.regions.lower.composed_affine import SOURCE_INPUT

TINY = 1e-300
BLOCK = 1 << 22
"""Numbers of a block of rows."""


@dataclass(frozen=True, eq=False)
class Leaves:
    """Leaves of a tree.

    Attributes:
        lo, hi: (B, D) boxes.
        signs: (B, units) −1, 0, 1.
        alpha: (B, columns) in [0, 1] for the units ``columns``; the others take a slope of their own.
        columns: units.
        beta: (B, units) ≥ 0, read where a sign is fixed.
        weights: (B, R) ≥ 0 of the objective's rows.
    """

    lo: np.ndarray
    hi: np.ndarray
    signs: np.ndarray
    alpha: np.ndarray
    columns: np.ndarray
    beta: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True, eq=False)
class _Rows:
    """Bounds (B, n) of the rows of a layer, and of the absolute values of all terms that a row is a sum of."""

    low: np.ndarray
    high: np.ndarray
    size: np.ndarray


@dataclass(frozen=True, eq=False)
class _Slopes:
    """Two lines at each unit (B, n): t · z, and c · z + e; which is the one below."""

    t: np.ndarray
    c: np.ndarray
    e: np.ndarray
    first_below: np.ndarray


class Checker:
    """Rigorous lower bounds of an objective over leaves.

    Args:
        program: the network.
        rows: (R, s) the nearest float64 of the objective's rows.
        offsets: (R,).
    """

    def __init__(self, program: Program, rows: np.ndarray, offsets: np.ndarray) -> None:
        self.program, self.rows, self.offsets = program, rows, offsets
        self.gamma = (program.units + program.inputs + len(program.layers) + 32) * EPSILON * 2

    def root_rows(self, lo: np.ndarray, hi: np.ndarray) -> list[_Rows]:
        """Bounds of all rows over one box (1, D)."""
        return self._all_rows(lo, hi, None, None)

    def least(self, leaves: Leaves, root: list[_Rows], *, refresh: bool) -> np.ndarray:
        """Lower bounds (B,) of Σ w_r (⟨c_r, y⟩ − b_r); ∞ where no point is left, NaN or −∞ where nothing is known.

        Args:
            leaves: the leaves.
            root: bounds of all rows over the whole box, which hold in each leaf.
            refresh: whether to bound the rows in each leaf anew.
        """
        with np.errstate(all="ignore"):
            found = self.rows_of(leaves, root, refresh=refresh)
            void = np.any([(r.low > r.high).any(1) for r in found], axis=0) if found else np.zeros(len(leaves.lo), bool)
            alpha = np.full(leaves.signs.shape, np.nan)
            alpha[:, leaves.columns] = leaves.alpha
            slopes = [
                _slopes(layer, r, a) for layer, r, a in zip(self.program.layers, found, self.program.parts(alpha), strict=True)
            ]
            beta = self.program.parts(np.where(leaves.signs != 0, np.maximum(leaves.beta, 0), 0.0) * leaves.signs)
            w = np.maximum(leaves.weights, 0)
            c = w @ self.rows
            doubt = (w @ np.abs(self.rows)) * self.gamma
            last = self.program.output
            outputs = _row_sizes(last, self._reaches(leaves.lo, leaves.hi, found))
            start = {k: np.asarray(c @ m)[:, None, :] for k, m in last.weights.items()}
            constant = (c @ last.bias - w @ self.offsets)[:, None]
            error = (doubt * outputs).sum(1, keepdims=True) * 2 + self.gamma * (w @ np.abs(self.offsets))[:, None] + TINY
            error = error + self.gamma * (np.abs(c) * outputs).sum(1, keepdims=True)
            value = self._back(start, constant, error, leaves.lo, leaves.hi, found, slopes, beta)[:, 0]
            return np.where(void, np.inf, value)

    def rows_of(self, leaves: Leaves, root: list[_Rows], *, refresh: bool) -> list[_Rows]:
        """Bounds of all rows in leaves."""
        parts = self.program.parts(leaves.signs)
        if refresh:
            return self._all_rows(leaves.lo, leaves.hi, parts, root)
        return [_cut(r, s) for r, s in zip(root, parts, strict=True)]

    # ── rows ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _reaches(self, lo: np.ndarray, hi: np.ndarray, rows: Sequence[_Rows]) -> dict[int, np.ndarray]:
        """Bounds (B, size) of the absolute values of the input and of all units."""
        found = {SOURCE_INPUT: np.maximum(np.abs(lo), np.abs(hi))}
        for k, r in enumerate(rows):
            layer = self.program.layers[k]
            steepest = np.maximum(np.abs(layer.low), np.abs(layer.high))
            found[k] = np.maximum(np.abs(r.low), np.abs(r.high)) * steepest * (1 + 4 * EPSILON) + TINY
        return found

    def _all_rows(
        self, lo: np.ndarray, hi: np.ndarray, signs: Sequence[np.ndarray] | None, root: Sequence[_Rows] | None
    ) -> list[_Rows]:
        found: list[_Rows] = []
        slopes: list[_Slopes] = []
        with np.errstate(all="ignore"):
            for k, layer in enumerate(self.program.layers):
                rows = self._interval(layer, lo, hi, found)
                if root is not None:
                    rows = _Rows(np.maximum(rows.low, root[k].low), np.minimum(rows.high, root[k].high), rows.size)
                open_ = (rows.low < 0) & (rows.high > 0) & (layer.low != layer.high)
                some = np.flatnonzero(open_.any(0))
                if len(some) and set(layer.weights) != {SOURCE_INPUT}:
                    rows = self._narrowed(layer, rows, open_, some, lo, hi, found, slopes)
                if signs is not None:
                    rows = _cut(rows, signs[k])
                found.append(rows)
                slopes.append(_slopes(layer, rows, np.full(rows.low.shape, np.nan)))
        return found

    def _narrowed(
        self,
        layer: Layer,
        rows: _Rows,
        open_: np.ndarray,
        some: np.ndarray,
        lo: np.ndarray,
        hi: np.ndarray,
        found: Sequence[_Rows],
        slopes: Sequence[_Slopes],
    ) -> _Rows:
        """Rows with the bounds that the layers before give, where intervals leave the sign open."""
        low, high = rows.low.copy(), rows.high.copy()
        width = max([self.program.inputs, *(layer.size for layer in self.program.layers[: len(found)])])
        for index in np.array_split(some, -(-len(some) * 2 * len(lo) * width // BLOCK)):
            for sign, end in ((1.0, low), (-1.0, high)):
                start = {}
                for k, w in layer.weights.items():
                    part = w[index] if isinstance(w, np.ndarray) else w[index].toarray()
                    start[k] = sign * part[None]
                constant = sign * layer.bias[index][None]
                error = self.gamma * rows.size[:, index] + TINY
                least = self._back(start, constant, error, lo, hi, found, slopes, None)
                old = end[:, index]
                new = np.fmax(old, least) if sign > 0 else np.fmin(old, -least)
                end[:, index] = np.where(open_[:, index], new, old)
        return _Rows(low, high, rows.size)

    def _interval(self, layer: Layer, lo: np.ndarray, hi: np.ndarray, found: Sequence[_Rows]) -> _Rows:
        reaches = self._reaches(lo, hi, found)
        size = _row_sizes(layer, reaches)
        middle, radius = np.zeros((len(lo), layer.size)) + layer.bias, np.zeros((len(lo), layer.size))
        for k, w in layer.weights.items():
            a, b = (lo, hi) if k == SOURCE_INPUT else self._unit_ends(self.program.layers[k], found[k])
            center = a / 2 + b / 2
            half = np.maximum(b - center, center - a) * (1 + 4 * EPSILON)
            middle = middle + np.asarray(center @ w.T)
            radius = radius + np.asarray(half @ layer.absolute[k].T)
        error = self.gamma * size + TINY
        low, high = middle - radius - error, middle + radius + error
        return _Rows(np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high), size)

    @staticmethod
    def _unit_ends(layer: Layer, rows: _Rows) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of the units of a layer: their values at both ends, and 0 where they may bend."""
        ends = [np.where(z > 0, layer.high, layer.low) * z for z in (rows.low, rows.high)]
        least, most = np.minimum(*ends), np.maximum(*ends)
        across = (rows.low < 0) & (rows.high > 0)
        least, most = np.where(across, np.minimum(least, 0), least), np.where(across, np.maximum(most, 0), most)
        return least - 2 * EPSILON * np.abs(least) - TINY, most + 2 * EPSILON * np.abs(most) + TINY

    # ── backwards ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _back(
        self,
        start: dict[int, np.ndarray],
        constant: np.ndarray,
        error: np.ndarray,
        lo: np.ndarray,
        hi: np.ndarray,
        rows: Sequence[_Rows],
        slopes: Sequence[_Slopes],
        beta: Sequence[np.ndarray] | None,
    ) -> np.ndarray:
        """Least values (B, m) on boxes of rows with factors ``start`` by source, less all errors."""
        factors, total = dict(start), constant
        m = constant.shape[1]
        for k in reversed(range(len(rows))):
            a = factors.pop(k, None)
            if a is None and (beta is None or not beta[k].any()):
                continue
            layer, line, row = self.program.layers[k], slopes[k], rows[k]
            if a is None:
                a = np.zeros((len(lo), m, layer.size))
            takes_first = (a >= 0) == line.first_below
            z = a * np.where(takes_first, line.t[:, None], line.c[:, None])
            shift = np.where(takes_first, 0.0, a * line.e[:, None])
            if beta is not None:
                z = z - beta[k][:, None]
            there = np.abs(z)
            total = total + shift.sum(2) + z @ layer.bias
            reach = np.maximum(np.abs(row.low), np.abs(row.high)) + row.size
            error = error + self.gamma * ((there @ reach[:, :, None])[:, :, 0] + np.abs(shift).sum(2) + np.abs(total))
            if beta is not None:
                error = error + self.gamma * (np.abs(beta[k]) * reach).sum(1, keepdims=True)
            error = error + TINY * (1 + reach.sum(1, keepdims=True))
            for source, w in layer.weights.items():
                flat = z.reshape(-1, layer.size) @ w
                back = np.asarray(flat).reshape(*z.shape[:2], -1)
                factors[source] = factors[source] + back if source in factors else back
        a = factors.get(SOURCE_INPUT, np.zeros((1, m, self.program.inputs)))
        center = lo / 2 + hi / 2
        half = np.maximum(hi - center, center - lo) * (1 + 4 * EPSILON)
        far = (np.abs(a) @ np.maximum(np.abs(lo), np.abs(hi))[:, :, None])[:, :, 0]
        value = total + (a @ center[:, :, None])[:, :, 0] - (np.abs(a) @ half[:, :, None])[:, :, 0]
        error = error + self.gamma * (2 * far + np.abs(total)) + TINY
        return value - error * (1 + 2.0**-20) - EPSILON * np.abs(value)


def _row_sizes(layer: Layer, reaches: dict[int, np.ndarray]) -> np.ndarray:
    """Bounds (B, n) of Σ |W| |s| + |b|."""
    total = np.abs(layer.bias)[None]
    for k in layer.weights:
        total = total + np.asarray(reaches[k] @ layer.absolute[k].T)
    return total * (1 + 2.0**-20) + TINY


def _cut(rows: _Rows, signs: np.ndarray) -> _Rows:
    """Rows with fixed signs."""
    low = np.where(signs > 0, np.maximum(rows.low, 0), rows.low)
    high = np.where(signs < 0, np.minimum(rows.high, 0), rows.high)
    return _Rows(low, high, np.broadcast_to(rows.size, low.shape))


def _slopes(layer: Layer, rows: _Rows, alpha: np.ndarray) -> _Slopes:
    """The lines at units, with slopes α where there are any."""
    low, high = rows.low, rows.high
    bends = (low < 0) & (high > 0) & (layer.low != layer.high)
    straight = np.where(low >= 0, layer.high, layer.low)
    own = np.clip(2 * high / (high - low) - 0.5, 0, 1)
    share = np.where(np.isnan(alpha), np.where(np.isnan(own), 0.5, own), np.clip(alpha, 0, 1))
    between = layer.low + share * (layer.high - layer.low)
    t = np.clip(between, np.minimum(layer.low, layer.high), np.maximum(layer.low, layer.high))
    at_low, at_high = layer.low * low, layer.high * high
    c = (at_high - at_low) / (high - low)
    convex = layer.high >= layer.low
    ends = at_low - c * low, at_high - c * high
    slack = 8 * EPSILON * (np.abs(at_low) + np.abs(at_high) + np.abs(c * low) + np.abs(c * high)) + TINY
    e = np.where(convex, np.maximum(*ends) + slack, np.minimum(*ends) - slack)
    return _Slopes(np.where(bends, t, straight), np.where(bends, c, straight), np.where(bends, e, 0.0), convex)
