"""What of a stage is left on a domain: rows that are equal as functions are one, and what the domain decides is dropped.

Rows of one filter on the same inputs, as over the background of an image, are equal structurally: they are the same
combination of values that are themselves equal. Bounds over the domain are affine functions with an interval around them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from tropica.regions.lower.lowering import NO_INPUT, ZERO, Stage

NEVER, ALWAYS = -1, -2
"""In place of a bit: a piece that is nowhere taken, or everywhere."""
SLACK = 1e-9
"""Relative error granted to bounds in float64, whose rounding is smaller by orders of magnitude."""


@dataclass(frozen=True, eq=False)
class AffineBounds:
    """Functions with center · (t, 1) − radius ≤ f(t) ≤ center · (t, 1) + radius on a domain.

    Attributes:
        center: (n, d + 1).
        radius: (n,).
    """

    center: np.ndarray
    radius: np.ndarray

    def combined(self, weight: csr_array, bias: np.ndarray) -> AffineBounds:
        """Bounds of W f + b."""
        with np.errstate(over="ignore", invalid="ignore"):
            center = weight @ self.center
            center[:, -1] += bias
            size = abs(weight)
            total = size @ np.abs(self.center).sum(1) + np.abs(bias)
            radius = (size @ self.radius) * (1 + SLACK) + SLACK * total + 1e-300
        return AffineBounds(center, radius)

    def range(self, vertices: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """The least and the largest value of each on the hull of vertices (V, d); infinite without them."""
        if vertices is None:
            endless = np.full(len(self.radius), np.inf)
            return -endless, endless
        with np.errstate(over="ignore", invalid="ignore"):
            value = self.center[:, :-1] @ vertices.T + self.center[:, -1:]
            slack = self.radius + SLACK * np.abs(self.center).sum(1)
            low, high = value.min(1) - slack, value.max(1) + slack
        return np.where(np.isfinite(low), low, -np.inf), np.where(np.isfinite(high), high, np.inf)

    def bent(self, low: np.ndarray, high: np.ndarray, below: np.ndarray, above: np.ndarray) -> AffineBounds:
        """Bounds of low·f where f ≤ 0 and high·f elsewhere, for f between ``below`` and ``above``."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            chord = (high * above - low * below) / (above - below)
            slope = np.where(above <= 0, low, np.where(below >= 0, high, chord))
            shift = np.where((above <= 0) | (below >= 0), 0.0, above * (high - chord))  # chord's height at 0
            center = self.center * slope[:, None]
            center[:, -1] += shift / 2
            radius = (np.abs(slope) * self.radius + np.abs(shift) / 2) * (1 + SLACK)
            radius += SLACK * np.abs(slope) * np.abs(self.center).sum(1)
        return AffineBounds(center, np.where(np.isfinite(radius), radius, np.inf))


@dataclass(frozen=True, eq=False)
class Reduced:
    """The units that are left of a stage.

    Attributes:
        rows: (r,) a row of the stage for each unit; −2 is the constant 0.
        low, high: (r,) slopes, equal where a unit bends nowhere on the domain.
        windows: (r,) the window of each unit, −1 for none; None for thresholds.
        output: (units of the stage,) the output of the chain's stage that each has, −1 where it is 0 everywhere.
        bits: for each row of a threshold, for each input of a window: the unit whose bit it is, NEVER or ALWAYS.
    """

    rows: np.ndarray
    low: np.ndarray
    high: np.ndarray
    windows: np.ndarray | None
    output: np.ndarray
    bits: np.ndarray


def whole(stage: Stage) -> Reduced:
    """A stage of which everything is left."""
    if stage.kind == "threshold":
        every = np.arange(stage.size)
        return Reduced(every, stage.low, stage.high, None, every, every)
    window, place = np.nonzero(stage.inputs != NO_INPUT)
    zero = np.zeros(len(window))
    return Reduced(stage.inputs[window, place], zero, zero + 1, window, np.arange(stage.units), np.arange(len(window)))


def reduced_threshold(stage: Stage, same: np.ndarray, below: np.ndarray, above: np.ndarray) -> Reduced:
    """The units of a threshold that differ and are not 0.

    Args:
        stage: the stage.
        same: (n,) a number for each row, equal for equal rows.
        below, above: (n,) bounds on the domain; both exactly 0 only where a row is 0.
    """
    up, down = below > 0, above <= 0
    low, high = np.where(up, stage.high, stage.low), np.where(down, stage.low, stage.high)
    gone = (low == 0) & (high == 0)
    alike = np.stack([same.astype(np.float64), low, high], 1)
    _, first, number = np.unique(alike, axis=0, return_index=True, return_inverse=True)
    kept = np.sort(first[~gone[first]])
    unit = np.full(stage.size, -1)
    unit[kept] = np.arange(len(kept))
    output = np.where(gone, -1, unit[first[number.ravel()]])
    bits = np.where(down | (stage.low == stage.high), NEVER, np.where(up, ALWAYS, output))
    return Reduced(kept, low[kept], high[kept], None, output, bits)


def reduced_window(stage: Stage, same: np.ndarray, zero: int, below: np.ndarray, above: np.ndarray) -> Reduced:
    """The windows that differ, each with the inputs that differ and can be the largest; ``zero`` is the number of row 0."""
    inputs = stage.inputs
    valid, row = inputs != NO_INPUT, np.maximum(inputs, 0)
    constant = inputs == ZERO
    number = np.where(constant, zero, same[row])
    least, most = np.where(constant, 0.0, below[row]), np.where(constant, 0.0, above[row])
    floor = np.where(valid, least, -np.inf).max(1, keepdims=True)
    window, place = np.nonzero(valid & (most >= floor))
    _, first = np.unique(window * (int(number.max(initial=0)) + 2) + number[window, place], return_index=True)
    kept = np.zeros(inputs.shape, bool)
    kept[window[first], place[first]] = True
    _, head, group = np.unique(np.where(kept, number, -1), axis=0, return_index=True, return_inverse=True)
    group = group.ravel()
    alone = kept.sum(1) == 1
    silent = alone & (np.where(kept, number, -1).max(1) == zero)
    heads = np.sort(head[~silent[head]])
    index = np.full(len(inputs), -1)
    index[heads] = np.arange(len(heads))
    output = np.where(silent, -1, index[head[group]])
    mine, position = np.nonzero(kept[heads])
    single = alone[heads][mine]
    unit = np.full(kept[heads].shape, NEVER)
    unit[mine, position] = np.where(single, ALWAYS, np.arange(len(mine)))
    own, at = np.nonzero(valid)
    bits = np.where(output[own] >= 0, unit[output[own], at] if len(heads) else NEVER, np.where(kept[own, at], ALWAYS, NEVER))
    slope = np.where(single, 1.0, 0.0)
    return Reduced(inputs[heads][mine, position], slope, np.ones(len(mine)), np.where(single, -1, mine), output, bits)
