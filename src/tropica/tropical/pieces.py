"""The convex parts F and G of a network, N = F − G, near given points: affine functions in exact arithmetic.

F and G are those of Zhang, Naitzat and Lim, for any graph of affine ops and nonlinearities. An affine op with J = J⁺ − J⁻ maps

    F' = J⁺F + J⁻G + c,    G' = J⁻F + J⁺G;

a nonlinearity keeps G, or adds what makes both parts convex, and takes a maximum:

    max(z, αz):  F' = max(F, αF + (1 − α)G), G' = G          max(z, c):  F' = max(F, G + c), G' = G
    |z|:         F' = max(2F, 2G), G' = F + G                max_k z_k:  F' = max_k (F_k + Σ_{l≠k} G_l), G' = Σ_l G_l

Where the network's nonlinearities have made their choice, all of these are affine. So a piece of F and of G is read off at any point,
and where functions tie there, in any direction from it: a *flag* is a sequence of homogeneous vectors, (x, 1) for a point and
(u, 0) for a direction, and z is positive where the first of its values at them that is not zero is. The flag (x, 1), (u, 0) is
the point x + εu, and (r, 0), (x, 1), (u, 0) is x + εu + tr for t beyond all bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tropica.exact.rational_arrays import RationalArray, compact
from tropica.network.graph import INPUT, Affine, Nonlinearity
from tropica.tropical.affine import ExactAffine, ExactNetwork, ExactNonlinearity, Largest, Leaky, Level, Matrix, Size, largest


class Unlucky(Exception):
    """Two functions that differ are equal along all of a flag: its directions are not generic."""


@dataclass(frozen=True, eq=False)
class Value:
    """What a node is near each flag: N = F − G and S = F + G as integers (groups, units, d + 1) over 2^shift.

    Flags with equal choices so far share a group: ``group`` (P,).
    """

    difference: np.ndarray
    total: np.ndarray
    shift: int
    group: np.ndarray


@dataclass(frozen=True, eq=False)
class Pieces:
    """F and G of a network's outputs near flags.

    Attributes:
        f, g: affine functions (groups, outputs, d + 1), the constant last.
        group: (P,) the group of each flag.
    """

    f: RationalArray
    g: RationalArray
    group: np.ndarray


def pieces(network: ExactNetwork, flags: np.ndarray) -> Pieces:
    """The pieces of F and G at flags (P, L, d + 1) of integers.

    Raises:
        Unlucky: a flag does not tell two functions apart.
    """
    return _Forward(network, flags).run()


class _Forward:
    def __init__(self, network: ExactNetwork, flags: np.ndarray) -> None:
        self.network, self.flags = network, flags
        self.group = np.zeros(len(flags), dtype=np.int64)
        self.first = np.zeros(1, dtype=np.int64)

    def run(self) -> Pieces:
        d = self.network.inputs
        start = np.eye(d, d + 1, dtype=np.int64)[None]
        env = {INPUT: Value(start, start, 0, self.group)}
        graph = self.network.net.graph
        for node, dead in zip(graph.nodes, graph.last_uses(), strict=True):
            inputs = [env[name] for name in node.inputs]
            if isinstance(node, Affine):
                env[node.name] = self._affine(self.network.affine(node), inputs)
            elif isinstance(node, Nonlinearity):
                env[node.name] = self._nonlinearity(self.network.nonlinearity(node), inputs)
            for name in dead:
                env.pop(name, None)
        out = self._now(env[graph.output])
        bottom = 1 << (out.shift + 1)
        f, g = RationalArray(out.total + out.difference, bottom), RationalArray(out.total - out.difference, bottom)
        return Pieces(f.reduced(), g.reduced(), self.group)

    # ── groups ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _now(self, value: Value) -> Value:
        """A value by the groups of now, which are finer than those when it was made."""
        if value.group is self.group:
            return value
        of = value.group[self.first]
        return Value(value.difference[of], value.total[of], value.shift, self.group)

    def _split(self, choices: np.ndarray) -> None:
        """Split the groups by choices (P, units)."""
        keys = np.concatenate([self.group[:, None], choices.astype(np.int64)], 1)
        _, self.first, group = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        self.group = group.ravel()

    # ── affine ops ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _affine(self, op: ExactAffine, inputs: Sequence[Value]) -> Value:
        if any(v.group is not inputs[0].group for v in inputs):
            inputs = [self._now(v) for v in inputs]
        shift = max([op.shift, *(m.shift + v.shift for m, v in zip(op.matrices, inputs, strict=True))])
        parts = []
        for name in ("difference", "total"):
            total: np.ndarray | None = None
            for m, v in zip(op.matrices, inputs, strict=True):
                matrix: Matrix = m if name == "difference" else m.absolute
                term = _shifted(matrix @ getattr(v, name), shift - m.shift - v.shift)
                total = term if total is None else _sum(total, term)
            assert total is not None
            offset = np.zeros((1, total.shape[1], total.shape[2]), dtype=op.offset.dtype)
            offset[0, :, -1] = op.offset
            parts.append(compact(_sum(total, _shifted(offset, shift - op.shift))))
        return Value(parts[0], parts[1], shift, inputs[0].group)

    # ── nonlinearities ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _nonlinearity(self, nonlinearity: ExactNonlinearity, inputs: Sequence[Value]) -> Value:
        inputs = [self._now(v) for v in inputs]
        if isinstance(nonlinearity, Largest):
            return self._largest(nonlinearity.places, inputs[0])
        z = inputs[0]
        if isinstance(nonlinearity, Leaky):
            return self._leaky(nonlinearity, z)
        if isinstance(nonlinearity, Size):
            choice = self._choose(self._positive(z.difference))
            z = self._now(z)
            n = np.where(choice, z.difference, -z.difference)  # S' = F' + G' with G' = S and F' = N' + S
            return Value(n, compact(n + 2 * z.total), z.shift, self.group)
        if isinstance(nonlinearity, Level):
            return self._level(nonlinearity, z)
        (a, b), shift = _aligned(inputs)
        choice = self._choose(self._positive(_sum(a.difference, -b.difference)))
        a, b = self._now(a), self._now(b)
        n = np.where(choice, a.difference, b.difference)
        # G' = G_a + G_b, and S' = N' + 2 G'
        twice = _sum(_sum(a.total, -a.difference), _sum(b.total, -b.difference))
        return Value(n, compact(_sum(n, twice)), shift, self.group)

    def _choose(self, choices: np.ndarray) -> np.ndarray:
        """Split by choices (P, units), and give those of each group (groups, units, 1)."""
        self._split(choices)
        return choices[self.first][:, :, None]

    def _leaky(self, nonlinearity: Leaky, z: Value) -> Value:
        """max(z, αz): G' = G, N' = N or αN, S' = N' + 2G."""
        on = self._choose(self._positive(z.difference))
        z = self._now(z)
        twice = _sum(z.total, -z.difference)
        if not nonlinearity.slope.any():
            n = np.where(on, z.difference, 0)
            return Value(n, compact(np.where(on, z.total, twice)), z.shift, self.group)
        whole = _shifted(z.difference, nonlinearity.shift)
        n = compact(np.where(on, whole, _product(z.difference, nonlinearity.slope[:, None])))
        return Value(n, compact(_sum(n, _shifted(twice, nonlinearity.shift))), z.shift + nonlinearity.shift, self.group)

    def _level(self, nonlinearity: Level, z: Value) -> Value:
        """max(z, c): G' = G, N' = N or c."""
        shift = max(z.shift, nonlinearity.shift)
        n, s = _shifted(z.difference, shift - z.shift), _shifted(z.total, shift - z.shift)
        level = np.zeros((1, *n.shape[1:]), dtype=nonlinearity.level.dtype)
        level[0, :, -1] = nonlinearity.level
        level = _shifted(level, shift - nonlinearity.shift)
        z = Value(n, s, shift, z.group)
        choice = self._choose(self._positive(_sum(n, -level)))
        z = self._now(z)
        n = np.where(choice, z.difference, level)
        return Value(n, compact(_sum(n, _sum(z.total, -z.difference))), shift, self.group)

    def _largest(self, places: np.ndarray, z: Value) -> Value:
        """The largest of some entries: N' is that of the winner, G' the sum of all G."""
        units, width = places.shape
        best = np.broadcast_to(places[:, 0], (len(self.flags), units)).copy()
        for k in range(1, width):
            rival = places[:, k]
            worth = self._signs(z.difference, z.group, best, np.where(rival < 0, 0, rival), rival < 0)
            best = np.where(worth, np.broadcast_to(rival, best.shape), best)
        self._split(best)
        z, at = self._now(z), best[self.first]
        n = np.take_along_axis(z.difference, at[:, :, None], 1)
        member = np.zeros((units, z.difference.shape[1]), dtype=np.int64)
        member[np.arange(units)[:, None].repeat(width, 1)[places >= 0], places[places >= 0]] = 1
        twice = Matrix(member, 0) @ _sum(z.total, -z.difference)
        return Value(n, compact(_sum(n, twice)), z.shift, self.group)

    # ── signs ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _positive(self, functions: np.ndarray) -> np.ndarray:
        """Are functions (groups, units, d + 1) of the groups of now positive near the flags: (P, units)."""
        return self._lexicographic(functions[self.group] if len(functions) > 1 else functions)

    def _signs(
        self, functions: np.ndarray, group: np.ndarray, best: np.ndarray, rival: np.ndarray, without: np.ndarray
    ) -> np.ndarray:
        """Is the rival's function larger than that of the best so far: (P, units)."""
        mine = functions[group]
        rows = np.arange(len(mine))[:, None]
        less = _sum(mine[:, rival], -mine[rows, best])
        less[:, without] = 0
        return self._lexicographic(less)

    def _lexicographic(self, functions: np.ndarray) -> np.ndarray:
        """The signs of functions (P or 1, units, d + 1) along the flags; a function that is zero throughout is not positive."""
        shape = (len(self.flags), functions.shape[1])
        positive, open_ = np.zeros(shape, bool), np.ones(shape, bool)
        for level in range(self.flags.shape[1]):
            if level and functions.shape[0] > 1:
                rows = np.flatnonzero(open_.any(1))
                values = np.zeros(shape, dtype=np.int64)
                if len(rows):
                    values = values.astype(object)
                    values[rows] = _dot(functions[rows], self.flags[rows, level])
            else:
                values = _dot(functions, self.flags[:, level])
            positive |= open_ & (values > 0)
            open_ &= values == 0
            if not open_.any():
                return positive
        left = open_ & (np.broadcast_to(functions, (*shape, functions.shape[2])) != 0).any(2)
        if left.any():
            raise Unlucky
        return positive


def _dot(functions: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """⟨f, v⟩ for functions (P or 1, units, k) and vectors (P, k): (P, units)."""
    wide = functions.shape[2] * largest(functions) * largest(vectors) >= 2**62
    if wide or functions.dtype == object or vectors.dtype == object:
        functions, vectors = functions.astype(object), vectors.astype(object)
    if len(functions) == 1:
        return np.dot(vectors, functions[0].T)
    return (functions * vectors[:, None, :]).sum(2)


def _shifted(top: np.ndarray, places: int) -> np.ndarray:
    return top if not places else _product(top, np.array(1 << places, dtype=object if places > 61 else np.int64))


def _product(top: np.ndarray, factor: np.ndarray) -> np.ndarray:
    if top.dtype != object and largest(top) * largest(factor) >= 2**62:
        top = top.astype(object)
    return top * factor


def _sum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.dtype != object and b.dtype != object and largest(a) + largest(b) >= 2**62:
        a = a.astype(object)
    return a + b


def _aligned(values: Sequence[Value]) -> tuple[list[Value], int]:
    """Values over one denominator."""
    shift = max(v.shift for v in values)
    return [
        Value(_shifted(v.difference, shift - v.shift), _shifted(v.total, shift - v.shift), shift, v.group) for v in values
    ], shift
