"""The tree of splits that proves a property on a box, and its checker.

The tree cuts the box at numbers of float64 into leaves. Of each leaf it claims that one row of every unsafe conjunction exceeds
its bound there. The checker replays the cuts and bounds these rows again, leaf by leaf, with arithmetic of its own: extended
floats with a bound of their rounding, lines below and above every unit, no code in common with the search.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from tropica.queries.properties import Unsafe
from tropica.regions.lower.composed_affine import SOURCE_INPUT
from tropica.regions.lower.lowering import NO_INPUT, ZERO, Lowered

Extended = np.longdouble
ROUNDING = float(np.finfo(np.longdouble).eps)


@dataclass(frozen=True, eq=False)
class SplitTree:
    """A tree of splits.

    Attributes:
        axis: (N,) the input that a node splits; −1 for a leaf.
        cut: (N,) where.
        child: (N,) the number of the child with x ≤ cut; the other child is the next one.
        rows: (N, conjunctions) for a leaf the row of each conjunction that exceeds its bound.
    """

    axis: np.ndarray
    cut: np.ndarray
    child: np.ndarray
    rows: np.ndarray

    @property
    def leaves(self) -> int:
        """How many leaves there are."""
        return int((self.axis < 0).sum())


def check_tree(lowered: Lowered, tree: SplitTree, lo: np.ndarray, hi: np.ndarray, unsafe: tuple[Unsafe, ...]) -> bool:
    """Whether a tree proves that no point of a box has outputs in an unsafe conjunction.

    Args:
        lowered: the network.
        tree: its node 0 is the box.
        lo, hi: (D,) the box, which contains the exact one.
        unsafe: the conjunctions, as the tree's ``rows`` count them.
    """
    network = _Network(lowered)
    pending = [(0, lo.copy(), hi.copy())]
    visited = 0
    while pending:
        node, low, high = pending.pop()
        visited += 1
        if visited > len(tree.axis):
            return False
        axis = int(tree.axis[node])
        if axis < 0:
            if not _leaf_holds(network, low, high, unsafe, tree.rows[node]):
                return False
            continue
        cut, child = float(tree.cut[node]), int(tree.child[node])
        if not low[axis] <= cut <= high[axis] or not 0 < child < len(tree.axis) - 1:
            return False
        left, right = high.copy(), low.copy()
        left[axis], right[axis] = cut, cut
        pending += [(child, low, left), (child + 1, right, high)]
    return True


def _leaf_holds(network: _Network, lo: np.ndarray, hi: np.ndarray, unsafe: tuple[Unsafe, ...], rows: np.ndarray) -> bool:
    chosen = [u.rows for u in unsafe]
    if not all(0 <= r < len(c.numerators) for r, c in zip(rows, chosen, strict=True)):
        return False
    picked = [[Fraction(int(v), c.denominator) for v in c.numerators[r]] for r, c in zip(rows, chosen, strict=True)]
    objective = np.array([[Extended(float(v)) for v in row[:-1]] for row in picked])
    least = network.least(lo, hi, objective)
    return all(
        np.isfinite(v) and Fraction(float(np.nextafter(float(v), -np.inf))) > row[-1]
        for v, row in zip(least, picked, strict=True)
    )


class _Network:
    """The matrices of a network, and one box through them."""

    def __init__(self, lowered: Lowered) -> None:
        self.stages = lowered.stages
        self.maps = [
            ([(k, m.weight(k).astype(Extended)) for k in m.sources], m.bias.astype(Extended))
            for m in (*(s.affine for s in lowered.stages), lowered.output)
        ]

    def least(self, lo: np.ndarray, hi: np.ndarray, objective: np.ndarray) -> np.ndarray:
        """Lower bounds of objective · outputs on a box."""
        d = len(lo)
        middle = (lo.astype(Extended) + hi) / 2
        half = np.maximum(hi - middle, middle - lo) * (1 + 8 * ROUNDING)
        start = np.column_stack([np.diag(half), middle])
        # A value is (below, above): rows [coefficients of t | constant], t in [-1, 1]^D.
        values = {SOURCE_INPUT: (start, start)}
        for s, stage in enumerate(self.stages):
            below, above = self._affine(self.maps[s], values)
            values[s] = _window(stage, below, above) if stage.kind == "window" else _threshold(stage, below, above)
        below, above = self._affine(self.maps[-1], values)
        rows, _ = _combined(objective, below, above, np.abs(objective) * 2.0**-52)
        return rows[:, d] - np.abs(rows[:, :d]).sum(1) * (1 + (d + 4) * ROUNDING)

    @staticmethod
    def _affine(parts: tuple, values: dict) -> tuple[np.ndarray, np.ndarray]:
        weights, bias = parts
        first = next(iter(values.values()))[0]
        below = np.zeros((len(bias), first.shape[1]), Extended)
        above = below.copy()
        for k, w in weights:
            one, two = _combined(w, values[k][0], values[k][1], np.abs(w) * 2.0**-52)
            below, above = below + one, above + two
        shift = np.abs(bias) * 2.0**-52 + 8 * ROUNDING * (_size(below) + _size(above))
        below[:, -1] += bias - shift
        above[:, -1] += bias + shift
        return below, above


def _combined(w: np.ndarray, below: np.ndarray, above: np.ndarray, doubt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """w · rows; ``doubt`` is a bound on the error of each weight."""
    p, n = np.where(w > 0, w, 0), np.where(w < 0, w, 0)
    size = np.maximum(_size(below), _size(above))
    slack = (np.abs(w) * (4 * ROUNDING * (w.shape[1] + 4)) + doubt) @ size + Extended(1e-290)
    low, high = p @ below + n @ above, p @ above + n @ below
    low[:, -1] -= slack
    high[:, -1] += slack
    return low, high


def _size(rows: np.ndarray) -> np.ndarray:
    return np.abs(rows).sum(1)


def _ends(below: np.ndarray, above: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    wide = 1 + 16 * below.shape[1] * ROUNDING
    low = below[:, -1] - np.abs(below[:, :-1]).sum(1) * wide - np.abs(below[:, -1]) * 4 * ROUNDING
    high = above[:, -1] + np.abs(above[:, :-1]).sum(1) * wide + np.abs(above[:, -1]) * 4 * ROUNDING
    return low, high


def _threshold(stage, below: np.ndarray, above: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[no-untyped-def]
    low, high = _ends(below, above)
    out_below, out_above = np.zeros_like(below), np.zeros_like(above)
    for i in range(len(below)):
        left, right = Extended(stage.low[i]), Extended(stage.high[i])
        size = (np.abs(below[i]).sum() + np.abs(above[i]).sum()) * (abs(left) + abs(right))
        if low[i] >= 0 or high[i] <= 0 or left == right:
            slope = right if low[i] >= 0 else left
            a, b = (below[i], above[i]) if slope >= 0 else (above[i], below[i])
            out_below[i], out_above[i] = slope * a, slope * b
        else:
            at_low, at_high = left * low[i], right * high[i]
            chord = (at_high - at_low) / (high[i] - low[i])
            first, second = at_low - chord * low[i], at_high - chord * high[i]
            line = right if high[i] > -low[i] else left
            under, over = (line, chord) if right > left else (chord, line)
            out_below[i] = under * (below[i] if under >= 0 else above[i])
            out_above[i] = over * (above[i] if over >= 0 else below[i])
            if right > left:
                out_above[i, -1] += max(first, second)
            else:
                out_below[i, -1] += min(first, second)
            size = size + np.abs(low[i]) * abs(chord) + np.abs(high[i]) * abs(chord)
        out_below[i, -1] -= 16 * ROUNDING * size + Extended(1e-290)
        out_above[i, -1] += 16 * ROUNDING * size + Extended(1e-290)
    return out_below, out_above


def _window(stage, below: np.ndarray, above: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[no-untyped-def]
    low, high = _ends(below, above)
    zero = np.zeros(below.shape[1], Extended)
    out_below, out_above = [], []
    for row in stage.inputs.tolist():
        inputs = [
            (zero, zero, Extended(0), Extended(0)) if j == ZERO else (below[j], above[j], low[j], high[j])
            for j in row
            if j != NO_INPUT
        ]
        best = max(range(len(inputs)), key=lambda j: inputs[j][2])
        others = [z[3] for j, z in enumerate(inputs) if j != best]
        out_below.append(inputs[best][0])
        if all(other <= inputs[best][2] for other in others):
            out_above.append(inputs[best][1])
        else:
            constant = zero.copy()
            constant[-1] = max(z[3] for z in inputs)
            out_above.append(constant)
    return np.array(out_below), np.array(out_above)
