"""The convex parts F and G of a network, N = F − G, near given points: affine functions in exact arithmetic.

F and G are those of Zhang, Naitzat and Lim, for any graph of affine ops and nonlinearities. An affine op with J = J⁺ − J⁻ maps

    F' = J⁺F + J⁻G + c,    G' = J⁻F + J⁺G;

a nonlinearity keeps G, or adds to both parts what keeps them convex, and takes a maximum:

    max(z, αz):  F' = max(F, αF + (1 − α)G), G' = G          max(z, c):  F' = max(F, G + c), G' = G
    |z|:         F' = max(2F, 2G), G' = F + G                max_k z_k:  F' = max_k (F_k + Σ_{l≠k} G_l), G' = Σ_l G_l

Where the active pieces of all nonlinearities are fixed, F and G are affine. So a piece of F and of G can be computed at any
point; where functions tie at the point, a direction breaks the tie. A *flag* is a sequence of homogeneous vectors, (x, 1) for a
point and (u, 0) for a direction; z is positive at a flag if the first nonzero value of z at the flag's vectors is positive. The
flag (x, 1), (u, 0) is the point x + εu, and the flag (r, 0), (x, 1), (u, 0) is x + εu + tr as t → ∞.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tropica.exact.rational_arrays import RationalArray, compact
from tropica.network.graph import INPUT, Node
from tropica.tropical.exact_network import (
    WORD,
    ExactAbs,
    ExactAffine,
    ExactClampMin,
    ExactLeakyRelu,
    ExactNetwork,
    ExactNonlinearity,
    ExactWindowMaximum,
    IntegerMatrix,
    max_abs,
)


class DegenerateFlag(Exception):
    """Two different functions are equal along a whole flag: the directions of the flag are not generic."""


@dataclass(frozen=True, eq=False)
class DCParts:
    """A node's value near each flag: N = F − G and S = F + G as integers (groups, units, d + 1) over 2^shift.

    Flags with equal active pieces so far share a group; ``group`` (P,) is the index of each flag's group.
    """

    difference: np.ndarray
    total: np.ndarray
    shift: int
    group: np.ndarray


@dataclass(frozen=True, eq=False)
class ConvexPieces:
    """F and G of the units of a node near flags.

    Attributes:
        f, g: affine functions (groups, units, d + 1), the constant last.
        group: (P,) the index of each flag's group.
    """

    f: RationalArray
    g: RationalArray
    group: np.ndarray


def convex_pieces(network: ExactNetwork, flags: np.ndarray) -> ConvexPieces:
    """The pieces of F and G of a network's outputs at flags (P, L, d + 1) of integers.

    Raises:
        DegenerateFlag: two different functions are equal along a whole flag.
    """
    return _FlagPass(network, flags).between(INPUT, network.net.graph.output)


def affine_parts(network: ExactNetwork, start: str, stop: str, size: int) -> tuple[RationalArray, RationalArray]:
    """F and G of each unit of ``stop`` as functions of the values of ``start``, with only affine ops between them.

    Args:
        size: number m of values of ``start``.

    Returns:
        Two tables (units, m + 1), the constant last.
    """
    flag = np.zeros((1, 1, size + 1), dtype=np.int64)
    flag[..., -1] = 1
    found = _FlagPass(network, flag).between(start, stop)
    return RationalArray(found.f.numerators[0], found.f.denominator), RationalArray(found.g.numerators[0], found.g.denominator)


class _FlagPass:
    """A forward pass of F and G at flags. The groups become finer with every nonlinearity."""

    def __init__(self, network: ExactNetwork, flags: np.ndarray) -> None:
        self.network, self.flags = network, flags
        self.group = np.zeros(len(flags), dtype=np.int64)
        self.first = np.zeros(1, dtype=np.int64)  # index of one flag in each group

    def between(self, start: str, stop: str) -> ConvexPieces:
        """F and G of node ``stop`` as functions of the values of node ``start``."""
        size = self.flags.shape[2] - 1
        identity = np.eye(size, size + 1, dtype=np.int64)[None]
        value = DCParts(identity, identity, 0, self.group)
        out = self._regrouped(self.network.net.graph.interpret({start: value}, self._apply, stop=stop)[stop])
        bottom = 1 << (out.shift + 1)
        f, g = RationalArray(out.total + out.difference, bottom), RationalArray(out.total - out.difference, bottom)
        return ConvexPieces(f.reduced(), g.reduced(), self.group)

    def _apply(self, node: Node, inputs: Sequence[DCParts]) -> DCParts:
        op = self.network.ops[node.name]
        if isinstance(op, ExactAffine):
            return self._affine(op, inputs)
        return self._nonlinearity(op, [self._regrouped(z) for z in inputs])

    # ── groups ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _regrouped(self, value: DCParts) -> DCParts:
        """A value indexed by the current groups, which refine the groups that it was computed for."""
        if value.group is self.group:
            return value
        old = value.group[self.first]
        return DCParts(value.difference[old], value.total[old], value.shift, self.group)

    def _refine(self, active: np.ndarray) -> np.ndarray:
        """Refine the groups by the active pieces (P, units); returns the active pieces of each group (groups, units, 1)."""
        keys = np.concatenate([self.group[:, None], active.astype(np.int64)], 1)
        _, self.first, group = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        self.group = group.ravel()
        return active[self.first][:, :, None]

    # ── ops ────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _affine(self, op: ExactAffine, inputs: Sequence[DCParts]) -> DCParts:
        if any(v.group is not inputs[0].group for v in inputs):
            inputs = [self._regrouped(v) for v in inputs]
        shift = max([op.shift, *(m.shift + v.shift for m, v in zip(op.matrices, inputs, strict=True))])
        columns = op.matrices, [m.absolute for m in op.matrices]  # N' = J N + c, S' = |J| S + c
        stacks = [v.difference for v in inputs], [v.total for v in inputs]
        sums: list[np.ndarray] = []
        for matrices, values in zip(columns, stacks, strict=True):
            width = values[0].shape[2]
            total = np.zeros((1, len(op.offset), width), dtype=op.offset.dtype)
            total[0, :, -1] = op.offset
            total = _times_power(total, shift - op.shift)
            for m, v, stack in zip(matrices, inputs, values, strict=True):
                total = _sum(total, _times_power(m @ stack, shift - m.shift - v.shift))
            sums.append(compact(total))
        return DCParts(sums[0], sums[1], shift, inputs[0].group)

    def _nonlinearity(self, op: ExactNonlinearity, inputs: Sequence[DCParts]) -> DCParts:
        z = inputs[0]
        if isinstance(op, ExactLeakyRelu):
            return self._leaky_relu(op, z)
        if isinstance(op, ExactClampMin):
            return self._clamp_min(op, z)
        if isinstance(op, ExactAbs):
            positive = self._refine(self._positive(z.difference))
            z = self._regrouped(z)
            n = np.where(positive, z.difference, -z.difference)  # S' = F' + G' with G' = S and F' = N' + S
            return DCParts(n, compact(_sum(n, _times_power(z.total, 1))), z.shift, self.group)
        if isinstance(op, ExactWindowMaximum):
            return self._window_maximum(op.members, z)
        return self._maximum(inputs)

    def _leaky_relu(self, op: ExactLeakyRelu, z: DCParts) -> DCParts:
        """max(z, αz): G' = G, N' = N or αN, S' = N' + 2G."""
        positive = self._refine(self._positive(z.difference))
        z = self._regrouped(z)
        if not op.slope.any():
            n = np.where(positive, z.difference, 0)
            return DCParts(n, compact(np.where(positive, z.total, _twice_g(z))), z.shift, self.group)
        n = np.where(positive, _times_power(z.difference, op.shift), _product(z.difference, op.slope[:, None]))
        n = compact(n)
        return DCParts(n, compact(_sum(n, _times_power(_twice_g(z), op.shift))), z.shift + op.shift, self.group)

    def _clamp_min(self, op: ExactClampMin, z: DCParts) -> DCParts:
        """max(z, c): G' = G, N' = N or c."""
        z = _over(z, max(z.shift, op.shift))
        level = np.zeros((1, *z.difference.shape[1:]), dtype=op.level.dtype)
        level[0, :, -1] = op.level
        level = _times_power(level, z.shift - op.shift)
        above = self._refine(self._positive(_sum(z.difference, -level)))
        z = self._regrouped(z)
        n = np.where(above, z.difference, level)
        return DCParts(n, compact(_sum(n, _twice_g(z))), z.shift, self.group)

    def _maximum(self, inputs: Sequence[DCParts]) -> DCParts:
        """max(a, b): G' = G_a + G_b, and S' = N' + 2 G'."""
        shift = max(v.shift for v in inputs)
        a, b = (_over(v, shift) for v in inputs)
        first = self._refine(self._positive(_sum(a.difference, -b.difference)))
        a, b = self._regrouped(a), self._regrouped(b)
        n = np.where(first, a.difference, b.difference)
        return DCParts(n, compact(_sum(n, _sum(_twice_g(a), _twice_g(b)))), shift, self.group)

    def _window_maximum(self, members: np.ndarray, z: DCParts) -> DCParts:
        """The maximum over windows: N' is N of the active member, G' the sum of all G."""
        units, width = members.shape
        best = np.broadcast_to(members[:, 0], (len(self.flags), units)).copy()
        for rival in members.T[1:]:
            larger = self._exceeds(z, best, np.maximum(rival, 0), rival < 0)
            best = np.where(larger, np.broadcast_to(rival, best.shape), best)
        active = self._refine(best)
        z = self._regrouped(z)
        n = np.take_along_axis(z.difference, active, 1)
        indicator = np.zeros((units, z.difference.shape[1]), dtype=np.int64)
        indicator[np.arange(units)[:, None].repeat(width, 1)[members >= 0], members[members >= 0]] = 1
        return DCParts(n, compact(_sum(n, IntegerMatrix(indicator, 0) @ _twice_g(z))), z.shift, self.group)

    # ── signs ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _positive(self, functions: np.ndarray) -> np.ndarray:
        """Whether functions (groups, units, d + 1) of the current groups are positive near the flags: (P, units)."""
        return self._lexicographic(functions[self.group] if len(functions) > 1 else functions)

    def _exceeds(self, z: DCParts, best: np.ndarray, rival: np.ndarray, absent: np.ndarray) -> np.ndarray:
        """Whether the rival's function exceeds the largest so far: (P, units); False for an absent rival."""
        functions = z.difference[z.group]
        difference = _sum(functions[:, rival], -functions[np.arange(len(functions))[:, None], best])
        difference[:, absent] = 0
        return self._lexicographic(difference)

    def _lexicographic(self, functions: np.ndarray) -> np.ndarray:
        """Whether functions (P or 1, units, d + 1) are positive along the flags; the zero function is not positive."""
        shape = (len(self.flags), functions.shape[1])
        positive, undecided = np.zeros(shape, bool), np.ones(shape, bool)
        for level in range(self.flags.shape[1]):
            if level and functions.shape[0] > 1:
                rows = np.flatnonzero(undecided.any(1))
                values = np.zeros(shape, dtype=object)
                if len(rows):
                    values[rows] = _dot(functions[rows], self.flags[rows, level])
            else:
                values = _dot(functions, self.flags[:, level])
            positive |= undecided & (values > 0)
            undecided &= values == 0
            if not undecided.any():
                return positive
        if (undecided & (np.broadcast_to(functions, (*shape, functions.shape[2])) != 0).any(2)).any():
            raise DegenerateFlag
        return positive


# ── integers: int64 where no overflow is possible, Python ints otherwise ──────────────────────────────────────────────────────


def _dot(functions: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """⟨f, v⟩ for functions (P or 1, units, k) and vectors (P, k): (P, units)."""
    large = functions.shape[2] * max_abs(functions) * max_abs(vectors) >= WORD
    if large or functions.dtype == object or vectors.dtype == object:
        functions, vectors = functions.astype(object), vectors.astype(object)
    if len(functions) == 1:
        return np.dot(vectors, functions[0].T)
    return (functions * vectors[:, None, :]).sum(2)


def _times_power(top: np.ndarray, shift: int) -> np.ndarray:
    """top · 2^shift."""
    return top if not shift else _product(top, np.array(1 << shift, dtype=object if shift > 61 else np.int64))


def _product(top: np.ndarray, factor: np.ndarray) -> np.ndarray:
    if top.dtype != object and max_abs(top) * max_abs(factor) >= WORD:
        top = top.astype(object)
    return top * factor


def _sum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.dtype != object and b.dtype != object and max_abs(a) + max_abs(b) >= WORD:
        a = a.astype(object)
    return a + b


def _twice_g(z: DCParts) -> np.ndarray:
    """2G = S − N."""
    return _sum(z.total, -z.difference)


def _over(z: DCParts, shift: int) -> DCParts:
    """The same value over a larger denominator, 2^shift."""
    more = shift - z.shift
    return DCParts(_times_power(z.difference, more), _times_power(z.total, more), shift, z.group)
