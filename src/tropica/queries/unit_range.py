"""The least value of a linear function of the outputs on a box in many dimensions, by branches on units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from tropica.exact.rational_arrays import rationals
from tropica.network.network import PiecewiseLinearNetwork
from tropica.queries.attack import attack, points_of_box
from tropica.queries.branching import BranchAndBound
from tropica.queries.multipliers import Objective
from tropica.queries.proof_check import Checker
from tropica.queries.proof_tree import LeafBound, ProofWriter, Tree, leaf_bounds, read_leaves
from tropica.queries.threshold_program import Program, threshold_program
from tropica.queries.watch import Watch
from tropica.regions.lower.composed_affine import SOURCE_INPUT
from tropica.regions.lower.exact_points import exact_points
from tropica.regions.lower.lowering import Lowered

NEAR = 1e-7
"""Leaves are closed where they are nearer to the best value than this, relative to its size."""
SAMPLES = 1024
MOST_EXACT = 64
"""Bounds in rational arithmetic."""


@dataclass(frozen=True, eq=False)
class Least:
    """The best point (D,), the exact value there, a proven lower bound (None if there is none), how many nodes were bounded."""

    value: Fraction
    point: tuple[Fraction, ...]
    bound: Fraction | None
    nodes: int


def least_by_units(
    net: PiecewiseLinearNetwork,
    lowered: Lowered,
    ends: tuple[np.ndarray, np.ndarray],
    c: Sequence[Fraction],
    max_nodes: float,
    until: float,
    seed: int,
    watch: Watch,
) -> Least:
    """The least ⟨c, N(x)⟩ on a box: a point, and a bound that the checker gives for the tree of the search.

    Where leaves that are not above the value hold the optimum at a corner, rational arithmetic decides whether they meet.
    """
    lo, hi = ends
    program = threshold_program(lowered)
    rows = np.array([[float(v) for v in c]])
    best = _Best(net, lowered, c)
    random = np.random.default_rng(seed)
    best.visit(np.concatenate([[lo / 2 + hi / 2, lo, hi], points_of_box(lo, hi, random.random((SAMPLES, len(lo))))]))
    better = np.column_stack([rows, [best.level()]])
    best.visit(attack(net, lo, hi, better, np.array([0, 1]), samples=SAMPLES, seed=seed))

    def target() -> float:
        return best.level() - NEAR * best.size

    search = BranchAndBound(program, lo, hi, Objective(rows, np.zeros(1)), target, best.visit, closes=True)
    writer = ProofWriter()
    writer.begin(0, 0, search.columns, refresh=search.refresh)
    found = search.run(writer, max_nodes, until, watch)
    (tree,) = writer.finish().trees()
    checker = Checker(program, rows, np.zeros(1))
    leaves = list(leaf_bounds(checker, tree, lo, hi))
    bound = min((leaf.bound for leaf in leaves), default=-np.inf)
    critical = [leaf for leaf in leaves if leaf.bound < np.inf and not (leaf.bound > -np.inf and leaf.bound > best.value)]
    budget = [MOST_EXACT]
    exact = bool(leaves) and all(m.exact for m in (*(s.affine for s in lowered.stages), lowered.output))
    if exact and all(_reaches(_Exact(program, checker, tree, leaf, c), best.value, (), budget) for leaf in critical):
        return Least(best.value, best.point, best.value, found.nodes)
    return Least(best.value, best.point, Fraction(bound) if np.isfinite(bound) else None, found.nodes)


class _Best:
    """The best point so far, by its exact value."""

    def __init__(self, net: PiecewiseLinearNetwork, lowered: Lowered, c: Sequence[Fraction]) -> None:
        self.net, self.lowered, self.c = net.to(torch.float64).to("cpu"), lowered, c
        self.near = np.array([float(v) for v in c])
        self.value: Any = None
        self.size = 0.0
        self.point: tuple[Fraction, ...] = ()

    def level(self) -> float:
        """The value as float64."""
        return float(self.value)

    def visit(self, x: np.ndarray) -> bool:
        """Take the best of some points (B, D); never stops a search."""
        if not len(x):
            return False
        with torch.no_grad():
            y = self.net(torch.from_numpy(np.ascontiguousarray(x)).reshape(-1, *self.net.input_shape)).numpy()
        values = y @ self.near
        self.size = max(self.size, float(np.abs(values[np.isfinite(values)]).max(initial=0)))
        k = int(np.nan_to_num(values, nan=np.inf).argmin())
        if self.value is not None and not values[k] < self.level():
            return False
        out = exact_points(self.lowered, rationals(x[k][None])).outputs
        exact = sum((v * int(n) for v, n in zip(self.c, out.numerators[0], strict=True)), Fraction(0)) / out.denominator
        if self.value is None or exact < self.value:
            self.value, self.point = exact, tuple(Fraction(float(v)) for v in x[k])
        return False


@dataclass(frozen=True, eq=False)
class _Exact:
    """One leaf of a tree, for bounds in rational arithmetic."""

    program: Program
    checker: Checker
    tree: Tree
    leaf: LeafBound
    c: Sequence[Fraction]

    def bound(self, signs: Sequence[int]) -> tuple[Fraction, int | None] | None:
        """A lower bound of the leaf with further signs fixed (± (1 + unit)), and the unit whose chord adds most to it.

        Slopes are 0 or 1. The bound meets the value at a corner of the box if every line meets its unit there.
        """
        program, leaf = self.program, self.leaf
        starts = np.cumsum([0, *self.tree.count.tolist()])
        leaves = read_leaves(self.checker, self.tree, [(leaf.number, leaf.lo, leaf.hi, leaf.path)], starts)
        for sign in signs:
            leaves.signs[0, abs(sign) - 1] = np.sign(sign)
        rows = self.checker.rows_of(leaves, self.checker.root_rows(leaf.lo[None], leaf.hi[None]), refresh=self.tree.refresh)
        if not all(np.isfinite(r.low).all() and np.isfinite(r.high).all() for r in rows):
            return None
        alpha = np.zeros(program.units)
        alpha[self.tree.columns] = np.round(leaves.alpha[0])
        beta = program.parts(np.maximum(leaves.beta[0], 0) * leaves.signs[0])
        total = sum((v * _fraction(b) for v, b in zip(self.c, program.output.bias, strict=True)), Fraction(0))
        factors: dict[int, np.ndarray] = {}
        _spread(factors, program.output.weights, np.array(self.c, dtype=object))
        most, widest = Fraction(0), None
        for k in reversed(range(len(program.layers))):
            layer, share = program.layers[k], program.parts(alpha)[k]
            a = factors.pop(k, np.zeros(layer.size, dtype=object))
            z = np.zeros(layer.size, dtype=object)
            for i in range(layer.size):
                slope, level = _line(layer, i, float(rows[k].low[0, i]), float(rows[k].high[0, i]), a[i], share[i])
                z[i] = a[i] * slope - _fraction(beta[k][i])
                total += a[i] * level + z[i] * _fraction(layer.bias[i])
                if abs(a[i] * level) > most:
                    most, widest = abs(a[i] * level), int(program.starts[k]) + i
            _spread(factors, layer.weights, z)
        slopes = factors.get(SOURCE_INPUT, np.zeros(program.inputs, dtype=object))
        ends = (a * _fraction(u if a > 0 else v) for a, u, v in zip(slopes, leaf.lo, leaf.hi, strict=True))
        return total + sum(ends, Fraction(0)), widest


def _reaches(leaf: _Exact, value: Fraction, signs: tuple[int, ...], budget: list[int]) -> bool:
    """Whether a leaf is at least a value, exactly: as it is, or on both sides of the unit with the widest chord."""
    budget[0] -= 1
    if budget[0] < 0 or leaf.leaf.number < 0:
        return False
    found = leaf.bound(signs)
    if found is None or found[0] >= value:
        return found is not None
    if found[1] is None:
        return False
    return all(_reaches(leaf, value, (*signs, s * (found[1] + 1)), budget) for s in (1, -1))


def _line(layer: Any, i: int, low: float, high: float, a: Fraction, share: float) -> tuple[Fraction, Fraction]:
    """Slope and level of the line at a unit that a factor a asks for."""
    down, up = _fraction(layer.low[i]), _fraction(layer.high[i])
    if low >= 0 or down == up:
        return up, Fraction(0)
    if high <= 0:
        return down, Fraction(0)
    if (a >= 0) == (up >= down):
        return (up if share > 0.5 else down), Fraction(0)
    left, right = Fraction(low), Fraction(high)
    slope = (up * right - down * left) / (right - left)
    return slope, (up - slope) * right


def _spread(factors: dict[int, np.ndarray], weights: Any, z: np.ndarray) -> None:
    """Add z · W to the factors of each source."""
    used = np.flatnonzero(z)
    for source, w in weights.items():
        dense = w[used] if isinstance(w, np.ndarray) else w[used].toarray()
        exact = np.array([[_fraction(v) for v in row] for row in dense], dtype=object).reshape(dense.shape)
        back = z[used] @ exact if len(used) else np.zeros(w.shape[1], dtype=object)
        factors[source] = factors[source] + back if source in factors else back


def _fraction(v: Any) -> Fraction:
    return Fraction(float(v))
