"""Bounds of rows over many boxes at once, from the outputs backwards, with multipliers: what a search for a proof goes by.

A row Σ_i A_i h_i of units is at least Σ_i A_i · (line of unit i): a line below the unit where A_i > 0, above it where A_i < 0.
Layer by layer that becomes an affine function of the input, whose least value on a box is known. Below a convex unit that may
bend any slope between its two slopes will do: its multiplier α. A unit whose sign a branch has fixed adds β · z ≥ 0. With
intermediate bounds given, the best multipliers give the value of the linear program with a triangle at each unit.

Nothing here is rounded outwards: :mod:`tropica.queries.proof_check` proves what is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tropica.queries.threshold_program import Layer, Program
from tropica.regions.lower.composed_affine import SOURCE_INPUT

BLOCK_NUMBERS = 1 << 22
"""Numbers of a block of rows."""
CLEARLY = 1e-9
"""What is clear to this relative difference is so with rounding as well."""


@dataclass(frozen=True, eq=False)
class BoxBounds:
    """Boxes (B, D), and bounds (B, n) of the rows of each layer on them.

    Attributes:
        lo, hi: the boxes.
        low, high: for each layer.
        signs: for each layer −1, 0, 1 (B, n): the signs that branches have fixed; None without branches.
        void: (B,) where no point is left.
    """

    lo: np.ndarray
    hi: np.ndarray
    low: list[np.ndarray]
    high: list[np.ndarray]
    signs: list[np.ndarray] | None
    void: np.ndarray

    def at(self, index: np.ndarray) -> BoxBounds:
        """Those of some boxes."""
        low, high = [a[index] for a in self.low], [b[index] for b in self.high]
        signs = None if self.signs is None else [s[index] for s in self.signs]
        return BoxBounds(self.lo[index], self.hi[index], low, high, signs, self.void[index])

    def joined(self) -> tuple[np.ndarray, np.ndarray]:
        """``low`` and ``high`` of all units (B, units)."""
        if not self.low:
            return np.zeros((len(self.lo), 0)), np.zeros((len(self.lo), 0))
        return np.concatenate(self.low, 1), np.concatenate(self.high, 1)


@dataclass(frozen=True, eq=False)
class RelaxationLines:
    """Lines at the units of a layer (B, n): a tangent t · z through 0, a chord c · z + e.

    ``tangent_below``: (n,) where the tangent is the line below.
    """

    tangent: np.ndarray
    chord: np.ndarray
    level: np.ndarray
    tangent_below: np.ndarray


def default_alpha(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Where between its two slopes the tangent of a unit lies: continuous in the bounds, so that rounding changes little."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = high / (high - low)
    return np.clip(2 * np.where(np.isfinite(share), share, 0.5) - 0.5, 0, 1)


def lines_of(layer: Layer, low: np.ndarray, high: np.ndarray, alpha: np.ndarray | None = None) -> RelaxationLines:
    """The lines of a layer with rows between bounds."""
    mixed = (low < 0) & (high > 0) & layer.bends
    slope = np.where(low >= 0, layer.high, layer.low)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        chord = np.where(mixed, (layer.high * high - layer.low * low) / (high - low), slope)
        level = np.where(mixed, (layer.high - chord) * high, 0.0)
    alpha = default_alpha(low, high) if alpha is None else alpha
    tangent = np.where(mixed, layer.low + alpha * (layer.high - layer.low), slope)
    return RelaxationLines(tangent, chord, level, layer.high >= layer.low)


@dataclass(frozen=True, eq=False)
class Pulled:
    """Rows (B, m) as affine functions of the input that bound them from below.

    Attributes:
        constant, slopes: (B, m) and (B, m, D).
        least: (B, m) the least values on the boxes.
        factors: for each layer the factors (B, m, n) of its units, None where there are none; only if they were kept.
        size: (B, m) the sum of the absolute values of all terms, by which the error of ``least`` is measured.
    """

    constant: np.ndarray
    slopes: np.ndarray
    least: np.ndarray
    factors: list[np.ndarray | None]
    size: np.ndarray


def pull(
    program: Program,
    start: dict[int, np.ndarray],
    constant: np.ndarray,
    bounds: BoxBounds,
    lines: Sequence[RelaxationLines],
    *,
    beta: Sequence[np.ndarray] | None = None,
    keep: bool = False,
) -> Pulled:
    """Rows Σ_k A_k s_k + constant, with factors A_k (B or 1, m, size) by source, pulled back to the input."""
    pending, c = dict(start), constant
    size = np.abs(constant)
    factors: list[np.ndarray | None] = [None] * len(program.layers)
    for k in range(len(program.layers) - 1, -1, -1):
        a = pending.pop(k, None)
        if a is None:
            if beta is None or not beta[k].any():
                continue
            a = np.zeros((len(bounds.lo), c.shape[1], program.layers[k].size))
        layer, line = program.layers[k], lines[k]
        if keep:
            factors[k] = a
        if layer.bends.any():
            z, shift = _through(a, line)
            c = c + shift
            size = size + np.abs(shift)
        else:
            z = a * line.chord[:, None, :] if (line.chord != 1).any() else a
        if beta is not None:
            assert bounds.signs is not None
            z = z - (bounds.signs[k] * beta[k])[:, None, :]
        moved = z @ layer.bias
        c = c + moved
        if keep:
            size = size + np.abs(z) @ np.abs(layer.bias) + _against(np.abs(z), np.maximum(-bounds.low[k], bounds.high[k]))
        for source, w in layer.weights.items():
            back = _times(z, w)
            pending[source] = pending[source] + back if source in pending else back
    slopes = pending.get(SOURCE_INPUT)
    batch = len(bounds.lo)
    if slopes is None:
        slopes = np.zeros((batch, c.shape[1], program.inputs))
    middle, half = (bounds.lo + bounds.hi) / 2, (bounds.hi - bounds.lo) / 2
    reach = _against(np.abs(slopes), half)
    at = _against(slopes, middle)
    if keep:
        size = size + np.abs(c) + np.abs(at) + reach
    c, slopes = np.broadcast_to(c, at.shape), np.broadcast_to(slopes, (*at.shape, program.inputs))
    return Pulled(c, slopes, c + at - reach, factors, size)


def _through(a: np.ndarray, line: RelaxationLines) -> tuple[np.ndarray, np.ndarray]:
    """Factors of units as factors of rows (B, m, n), and the constants (B, m) that the lines add."""
    pos = np.maximum(a, 0)
    if line.tangent_below.all():
        z = a * line.chord[:, None, :] + pos * (line.tangent - line.chord)[:, None, :]
        return z, _against(a - pos, line.level)
    tangent = (a >= 0) == line.tangent_below
    z = a * np.where(tangent, line.tangent[:, None, :], line.chord[:, None, :])
    return z, _against(np.where(tangent, 0.0, a), line.level)


def _against(a: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Σ_i a_i v_i for a (B or 1, m, n) and v (B, n)."""
    return (a @ v[:, :, None])[:, :, 0]


def _times(z: np.ndarray, w: object) -> np.ndarray:
    """z (B, m, n) times a matrix (n, k)."""
    flat = np.ascontiguousarray(z).reshape(-1, z.shape[2])
    return np.asarray(flat @ w).reshape(*z.shape[:2], -1)  # type: ignore[operator]


def bound_rows(
    program: Program,
    lo: np.ndarray,
    hi: np.ndarray,
    signs: list[np.ndarray] | None = None,
    base: BoxBounds | None = None,
) -> BoxBounds:
    """Bounds of all rows over boxes (B, D): intervals, and from each layer backwards where those leave a sign open.

    Args:
        program: the network.
        lo, hi: the boxes.
        signs: that branches have fixed.
        base: bounds (1, n) on one box that contains the others.
    """
    found = BoxBounds(lo, hi, [], [], signs, np.zeros(len(lo), bool))
    ends: dict[int, tuple[np.ndarray, np.ndarray]] = {SOURCE_INPUT: (lo, hi)}
    lines: list[RelaxationLines] = []
    for k, layer in enumerate(program.layers):
        low, high = _interval(layer, ends)
        if base is not None:
            low, high = np.maximum(low, base.low[k]), np.minimum(high, base.high[k])
        doubtful = (low < 0) & (high > 0) & layer.bends
        open_rows = np.flatnonzero(doubtful.any(0))
        if len(open_rows) and tuple(layer.weights) != (SOURCE_INPUT,):
            width = max([program.inputs, *(before.size for before in program.layers[:k])])
            step = max(1, BLOCK_NUMBERS // (2 * len(lo) * width))
            for first in range(0, len(open_rows), step):
                rows = open_rows[first : first + step]
                least = _both_ways(program, layer, rows, found, lines)
                mine = doubtful[:, rows]
                low[:, rows] = np.where(mine, np.maximum(low[:, rows], least[:, : len(rows)]), low[:, rows])
                high[:, rows] = np.where(mine, np.minimum(high[:, rows], -least[:, len(rows) :]), high[:, rows])
        if signs is not None:
            low, high = np.where(signs[k] > 0, np.maximum(low, 0), low), np.where(signs[k] < 0, np.minimum(high, 0), high)
        if signs is not None:
            np.logical_or(found.void, _empty(low, high), out=found.void)
            low = np.minimum(low, high)
        found.low.append(low)
        found.high.append(high)
        ends[k] = _bent(layer, low, high)
        lines.append(lines_of(layer, low, high))
    return found


def fixed(program: Program, base: BoxBounds, signs: list[np.ndarray]) -> BoxBounds:
    """Bounds (B, n) from those of one box (1, n) and signs (B, n) that branches have fixed."""
    if not signs:  # an affine network, which has one node
        return base
    count = len(signs[0])
    low = [np.where(s > 0, np.maximum(a, 0), a) for s, a in zip(signs, base.low, strict=True)]
    high = [np.where(s < 0, np.minimum(b, 0), b) for s, b in zip(signs, base.high, strict=True)]
    void = np.any([_empty(a, b) for a, b in zip(low, high, strict=True)], axis=0)
    low = [np.minimum(a, b) for a, b in zip(low, high, strict=True)]
    lo, hi = (np.broadcast_to(v, (count, program.inputs)) for v in (base.lo, base.hi))
    return BoxBounds(lo, hi, low, high, signs, void)


def _empty(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Where bounds exclude each other, clearly."""
    return np.any(low - high > CLEARLY * (np.abs(low) + np.abs(high)), axis=1)


def _both_ways(
    program: Program, layer: Layer, rows: np.ndarray, bounds: BoxBounds, lines: Sequence[RelaxationLines]
) -> np.ndarray:
    """Lower bounds (B, 2 r) of rows of a layer and of their negatives."""
    start = {}
    for source, w in layer.weights.items():
        some = w[rows]
        dense = some if isinstance(some, np.ndarray) else some.toarray()
        start[source] = np.concatenate([dense, -dense])[None]
    constant = np.concatenate([layer.bias[rows], -layer.bias[rows]])[None]
    part = Program(program.layers[: len(lines)], program.output, program.inputs)
    return pull(part, start, constant, bounds, lines).least


def _interval(layer: Layer, ends: dict[int, tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    middle, reach = layer.bias, np.zeros(1)
    for source, w in layer.weights.items():
        low, high = ends[source]
        middle = middle + np.asarray((low + high) / 2 @ w.T)
        reach = reach + np.asarray((high - low) / 2 @ layer.absolute[source].T)
    return middle - reach, middle + reach


def _bent(layer: Layer, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    one, two = (np.where(z > 0, layer.high, layer.low) * z for z in (low, high))
    mixed = (low < 0) & (high > 0)
    least, most = np.minimum(one, two), np.maximum(one, two)
    return np.where(mixed, np.minimum(least, 0), least), np.where(mixed, np.maximum(most, 0), most)
