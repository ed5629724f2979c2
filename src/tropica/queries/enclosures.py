"""Bounds of linear functions of the outputs over boxes: affine and interval enclosures, rounded outwards, many boxes at once.

A box is x = m + r · t with t in [−1, 1]^D. Every row z of the network lies between two affine functions of t, lower and upper;
an affine op maps the pair (l, u) to (W⁺ l + W⁻ u, W⁺ u + W⁻ l), a convex unit to a line through 0 below it and the chord
above it. Beside them go interval bounds, and the tighter counts. Every step moves the constants outwards by a bound of its
rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tropica.errors import InputError
from tropica.exact.roundoff import EPSILON
from tropica.regions.lower.composed_affine import SOURCE_INPUT, ComposedAffine
from tropica.regions.lower.lowering import NO_INPUT, ZERO, Lowered, Stage

MOST_NUMBERS = 1 << 22
"""Entries of one matrix up to which its float64 numbers are the nearest ones."""
TINY = 1e-290


@dataclass(frozen=True, eq=False)
class Dense:
    """An affine map with matrices: the positive and the negative part of W by source, and b."""

    positive: dict[int, np.ndarray]
    negative: dict[int, np.ndarray]
    bias: np.ndarray

    @classmethod
    def of(cls, affine: ComposedAffine) -> Dense:
        """The matrices of an affine map."""
        weights = {k: affine.weight(k) for k in affine.sources}
        positive = {k: np.maximum(w, 0) for k, w in weights.items()}
        return cls(positive, {k: np.minimum(w, 0) for k, w in weights.items()}, affine.bias)

    def then(self, c: np.ndarray) -> Dense:
        """c · (W s + b), rounded as products of matrices are."""
        whole = {k: c @ (self.positive[k] + self.negative[k]) for k in self.positive}
        positive = {k: np.maximum(w, 0) for k, w in whole.items()}
        return Dense(positive, {k: np.minimum(w, 0) for k, w in whole.items()}, c @ self.bias)


@dataclass(frozen=True, eq=False)
class Forms:
    """Rows (B, n) between affine functions of t, constants and slopes (B, n, D); ``low``, ``high`` bound them on the box."""

    lower: np.ndarray
    lower_slopes: np.ndarray
    upper: np.ndarray
    upper_slopes: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def made(
        cls, lower: np.ndarray, ls: np.ndarray, upper: np.ndarray, us: np.ndarray, low: np.ndarray, high: np.ndarray
    ) -> Forms:
        """Forms with the tighter of their own bounds and given ones."""
        left, right = np.abs(ls).sum(2), np.abs(us).sum(2)
        terms = (ls.shape[2] + 4) * EPSILON
        own_low = lower - left - terms * (np.abs(lower) + left) - TINY
        own_high = upper + right + terms * (np.abs(upper) + right) + TINY
        return cls(lower, ls, upper, us, np.maximum(own_low, low), np.minimum(own_high, high))

    @property
    def size(self) -> np.ndarray:
        """Bounds (B, n) of the absolute values of both functions."""
        left = np.abs(self.lower) + np.abs(self.lower_slopes).sum(2)
        right = np.abs(self.upper) + np.abs(self.upper_slopes).sum(2)
        bounds = np.maximum(np.abs(self.low), np.abs(self.high))
        return np.maximum(np.maximum(left, right), np.where(np.isfinite(bounds), bounds, 0.0)) * (1 + 1e-9) + TINY


class Enclosure:
    """Bounds of a lowered network over boxes.

    Args:
        lowered: the network.
        objectives: (m, s): the linear functions of the outputs to bound.

    Raises:
        InputError: a network whose matrices are too large.
    """

    def __init__(self, lowered: Lowered, objectives: np.ndarray) -> None:
        maps = [*(stage.affine for stage in lowered.stages), lowered.output]
        numbers = max(m.size * m.source_size(k) for m in maps for k in m.sources)
        if numbers > MOST_NUMBERS:
            raise InputError(f"a matrix of the network has {numbers:,} entries; bounds are for up to {MOST_NUMBERS:,}")
        self.stages = lowered.stages
        self.affine = [Dense.of(stage.affine) for stage in lowered.stages]
        self.last = Dense.of(lowered.output)
        self.objectives = np.asarray(objectives, dtype=np.float64)

    def __call__(self, lo: np.ndarray, hi: np.ndarray) -> tuple[Forms, np.ndarray]:
        """Enclosures (B, m) of the objectives over boxes (B, D), and how many units may bend in each box (B,)."""
        values = {SOURCE_INPUT: box_forms(lo, hi)}
        bent = np.zeros(len(lo), np.int64)
        for s, (stage, affine) in enumerate(zip(self.stages, self.affine, strict=True)):
            z = mapped(affine, values)
            values[s], mixed = windowed(stage, z) if stage.kind == "window" else thresholded(stage, z)
            bent += mixed
        outputs = mapped(self.last, values)
        direct = mapped(self.last.then(self.objectives), values, slack=self._product_slack(values))
        through = mapped(_dense(self.objectives), {0: outputs})
        low, high = np.maximum(direct.low, through.low), np.minimum(direct.high, through.high)
        return Forms(direct.lower, direct.lower_slopes, direct.upper, direct.upper_slopes, low, high), bent

    def _product_slack(self, values: dict[int, Forms]) -> np.ndarray:
        """Bounds (B, m) of the effect of rounding in the product of the objectives with the last matrix."""
        c = np.abs(self.objectives)
        last = self.last
        total = np.abs(last.bias) @ c.T + np.zeros((len(next(iter(values.values())).lower), 1))
        for k in last.positive:
            total = total + values[k].size @ (last.positive[k] - last.negative[k]).T @ c.T
        return total * (c.shape[1] + 8) * EPSILON


def _dense(matrix: np.ndarray) -> Dense:
    return Dense({0: np.maximum(matrix, 0)}, {0: np.minimum(matrix, 0)}, np.zeros(len(matrix)))


def box_forms(lo: np.ndarray, hi: np.ndarray) -> Forms:
    """The inputs as forms: the middle and the half width, rounded up."""
    middle = (lo + hi) / 2
    half = np.maximum(hi - middle, middle - lo) * (1 + 4 * EPSILON) + np.where(hi > lo, TINY, 0.0)
    slopes = half[:, :, None] * np.eye(lo.shape[1])
    return Forms(middle, slopes, middle, slopes, lo, hi)


def mapped(affine: Dense, values: dict[int, Forms], slack: np.ndarray | float = 0.0) -> Forms:
    """The rows of an affine map."""
    parts = []
    for k, p in affine.positive.items():
        n, z = affine.negative[k], values[k]
        both = [_product(p, a) + _product(n, b) for a, b in ((z.lower, z.upper), (z.upper, z.lower))]
        slopes = [
            _product(p, a) + _product(n, b) for a, b in ((z.lower_slopes, z.upper_slopes), (z.upper_slopes, z.lower_slopes))
        ]
        ends = [z.low @ p.T + z.high @ n.T, z.high @ p.T + z.low @ n.T]
        error = (z.size @ (p - n).T) * (p.shape[1] + 8) * 2 * EPSILON
        parts.append((*both, *slopes, *ends, error))
    totals: list[np.ndarray] = [np.sum(np.stack(column), 0) for column in zip(*parts, strict=True)]
    lower, upper, ls, us, low, high, error = totals
    error = error * (1 + 1e-9) + np.abs(affine.bias) * 8 * EPSILON + slack + TINY
    b = affine.bias
    return Forms.made(lower + b - error, ls, upper + b + error, us, low + b - error, high + b + error)


def _product(w: np.ndarray, z: np.ndarray) -> np.ndarray:
    """w z along the second axis of z (B, n) or (B, n, D)."""
    if z.ndim == 2:
        return z @ w.T
    flat = np.ascontiguousarray(z.transpose(1, 0, 2)).reshape(z.shape[1], -1)
    return np.ascontiguousarray((w @ flat).reshape(len(w), z.shape[0], z.shape[2]).transpose(1, 0, 2))


def thresholded(stage: Stage, z: Forms) -> tuple[Forms, np.ndarray]:
    """Units that bend at 0, and how many of them may in each box."""
    low, high = stage.low, stage.high
    at_low, at_high = np.where(z.low > 0, high, low) * z.low, np.where(z.high > 0, high, low) * z.high
    mixed = (z.low < 0) & (z.high > 0) & (low != high)
    convex = high >= low
    with np.errstate(divide="ignore", invalid="ignore"):
        chord = np.where(mixed, (at_high - at_low) / (z.high - z.low), np.where(z.low >= 0, high, low))
    chord = np.where(np.isfinite(chord), chord, 0.0)
    tangent = np.where(z.high > -z.low, high, low)
    level = np.where(convex, np.maximum(at_low - chord * z.low, at_high - chord * z.high), 0.0)
    dip = np.where(convex, 0.0, np.minimum(at_low - chord * z.low, at_high - chord * z.high))
    up, down = np.where(mixed & ~convex, tangent, chord), np.where(mixed & convex, tangent, chord)
    rounding = (z.size * (np.abs(chord) + np.abs(low) + np.abs(high)) + TINY) * 16 * EPSILON
    above = np.where(mixed, level, 0.0) + rounding
    below = np.where(mixed, dip, 0.0) - rounding
    lower, ls = _scaled(down, z.lower, z.upper, z.lower_slopes, z.upper_slopes)
    upper, us = _scaled(up, z.upper, z.lower, z.upper_slopes, z.lower_slopes)
    ends = np.minimum(at_low, at_high), np.maximum(at_low, at_high)
    least = np.where(mixed & convex, np.minimum(ends[0], 0.0), ends[0]) - rounding
    most = np.where(mixed & ~convex, np.maximum(ends[1], 0.0), ends[1]) + rounding
    return Forms.made(lower + below, ls, upper + above, us, least, most), mixed.sum(1)


def _scaled(
    slope: np.ndarray, same: np.ndarray, other: np.ndarray, same_slopes: np.ndarray, other_slopes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """slope · form, of the other form where the slope is negative."""
    keep = slope >= 0
    return slope * np.where(keep, same, other), slope[:, :, None] * np.where(keep[:, :, None], same_slopes, other_slopes)


def windowed(stage: Stage, z: Forms) -> tuple[Forms, np.ndarray]:
    """Largest inputs: one input where it is proven to be the largest, else the best lower form and the largest bound."""
    index, exists = np.maximum(stage.inputs, 0), stage.inputs != NO_INPUT
    zero = stage.inputs == ZERO

    def taken(values: np.ndarray, fill: float) -> np.ndarray:
        return np.where(zero, 0.0, np.where(exists, values[:, index], fill))

    low, high = taken(z.low, -np.inf), taken(z.high, -np.inf)
    best = low.argmax(2)
    top = np.take_along_axis(low, best[:, :, None], 2)[:, :, 0]
    rest = np.where(np.arange(stage.inputs.shape[1]) == best[:, :, None], -np.inf, high)
    mixed = rest.max(2) > top
    row = np.take_along_axis(np.broadcast_to(stage.inputs, (len(best), *stage.inputs.shape)), best[:, :, None], 2)[:, :, 0]
    at, real = np.maximum(row, 0), row >= 0
    lower = np.where(real, np.take_along_axis(z.lower, at, 1), 0.0)
    ls = np.where(real[:, :, None], np.take_along_axis(z.lower_slopes, at[:, :, None], 1), 0.0)
    upper = np.where(mixed, high.max(2), np.where(real, np.take_along_axis(z.upper, at, 1), 0.0))
    us = np.where((real & ~mixed)[:, :, None], np.take_along_axis(z.upper_slopes, at[:, :, None], 1), 0.0)
    return Forms.made(lower, ls, upper, us, low.max(2), high.max(2)), mixed.sum(1)
