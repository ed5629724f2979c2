"""From a network and a domain to the refined complex: bend by bend, in forward order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tropica.network import PiecewiseLinearNetwork
from tropica.network.graph import INPUT
from tropica.regions import start
from tropica.regions.domains import Domain
from tropica.regions.exact import Exact, TooLarge
from tropica.regions.functions import Bend, Folded, Options, Values, unused
from tropica.regions.misses import misses
from tropica.regions.noise import STEP, Rounding
from tropica.regions.refine import Refinement
from tropica.regions.state import SMALLEST, State, room

DEEP = 64
"""Interpolations, one on the other, that a step is expected not to exceed; vertices beyond are checked one by one."""
COMMON = 0.5
"""Share of the vertices that are treated alike; those farther off are compared with bounds of their own."""
ROWS = 2**12
"""Vertices whose signs are looked at together."""
STEPS = ("values", "positive", "depth", "steep")
"""Columns of the vertices that last for a step."""
FEW = 4096
"""A function of one value throughout, which may be zero, is looked at in exact arithmetic at so many vertices or fewer."""


class TooClose(Exception):
    """A sign was taken from floating point that exact arithmetic contradicts: the walk must allow for more."""


@dataclass
class Walk:
    """A network on a domain, and the complex as far as the walk has come.

    Attributes:
        state: the complex.
        values: what is alive at its vertices.
        rounding: how far these may be off.
        undecided: signs that were taken from floating point though it could not tell (networks too large for exact arithmetic).
        noise: by constraint, how far from zero its function may be at its vertices.
        usual: how far off most vertices are, at the most.
        depth: interpolations, one on the other, since the domain.
        slack: limits are so many times as large as first thought.
    """

    folded: Folded
    state: State
    values: Values
    exact: Exact
    unbounded: bool
    rounding: Rounding
    noise: np.ndarray
    undecided: int = 0
    usual: float = 0.0
    depth: int = 0
    slack: float = 1.0

    @classmethod
    def through(
        cls,
        net: PiecewiseLinearNetwork,
        domain: Domain,
        labels: bool = False,
        limit: int | None = None,
        after: Callable[[Walk, int], None] | None = None,
    ) -> Walk:
        """A walk that has been through a network.

        Args:
            net, domain: the network, and where it is looked at.
            labels: also cut where the label changes.
            limit: more vertices than these are refused (:class:`~tropica.regions.state.Full`).
            after: called with the walk and the number of each bend that it has passed; may raise to end it.
        """
        slack = 1.0
        while True:
            walk = cls.start(net, domain, labels)
            walk.slack, walk.state.vertices.limit = slack, limit
            try:
                walk.run(after)
            except TooClose:
                slack *= 2**10
            else:
                return walk

    @classmethod
    def start(cls, net: PiecewiseLinearNetwork, domain: Domain, labels: bool = False) -> Walk:
        """The domain as it is."""
        origin, basis = (torch.from_numpy(part) for part in domain.embedding(net.input_shape))
        folded = Folded(net.to(torch.float64).to("cpu"), origin, basis, labels)
        limits = domain.limits()
        state = start.space(domain.dimension) if limits is None else start.box(*limits)
        corners = torch.from_numpy(state.vertices["at"])
        rounding = Rounding(folded, corners, limits is None)
        noise = np.zeros(len(state.names.zero))
        return cls(folded, state, {INPUT: folded.inputs(corners)}, Exact(folded, state, {}), limits is None, rounding, noise)

    @property
    def scale(self) -> Tensor | None:
        """s at the vertices, where it is not 1."""
        return torch.from_numpy(self.state.vertices["at"][:, -1].copy()) if self.unbounded else None

    def run(self, after: Callable[[Walk, int], None] | None = None) -> None:
        """All bends; ``after`` as above."""
        with torch.no_grad():
            for number, bend in enumerate(self.folded.bends):
                self.values = unused(self.folded.run(bend.before, self.values, self.scale), set(bend.alive))
                self.rounding.run(bend.before)
                self.rounding.keep(set(bend.alive))
                self._bend(number, bend)
                if after is not None:
                    after(self, number)
                if number + 1 == len(self.folded.bends):
                    break  # the rest bends nothing
                inputs = [self.values[name] for name in bend.kink.inputs]
                self.values[bend.kink.name] = self.folded.apply(bend.kink, inputs, self.scale)
                self.values = unused(self.values, bend.lasting | {bend.kink.name})
                self.rounding.bend(bend.kink)
                self.rounding.keep(bend.lasting | {bend.kink.name})

    def _bend(self, number: int, bend: Bend) -> None:
        """Refine by the functions of one kink."""
        if bend.simple:
            self._refine((number, 0), bend.kink.inputs[0], self.rounding.functions(bend.kink, None, 0))
            return
        found = self.folded.functions(bend, self.values, self.scale)
        if isinstance(found, Options):
            self.exact.learn(number, found)
            for turn in range(1, found.m):
                functions, zero = found.round(turn, self.values[bend.kink.inputs[0]])
                zero = zero if bend.kink.inputs[0] in self.folded.floored else None
                self._refine((number, turn), functions, self.rounding.functions(bend.kink, found, turn), zero)
        else:
            self._refine((number, 0), found, self.rounding.functions(bend.kink, None, 0))

    def _refine(self, which: tuple[int, int], functions: Tensor | str, bounds: Tensor, zero: Tensor | None = None) -> None:
        """Refine by the functions that change sign.

        Args:
            which: bend and turn.
            functions: (V, n), or the name of the alive value that they are; ``bounds`` (3, n): their noise.
            zero: (V, n) where they are known to be zero.
        """
        same = functions if isinstance(functions, str) else None
        z = (self.values[functions].flatten(1) if isinstance(functions, str) else functions).numpy()
        size, error, slope = bounds.numpy()
        np.minimum(size, np.maximum(-z.min(0), z.max(0)) + error, out=size)
        error = error + DEEP * STEP * size
        mixed = self._mixed(z, error, slope, zero)
        if not len(mixed):
            return
        names = [name for name in self.values if name != same]
        parts = [self.values[name].reshape(len(z), -1).numpy() for name in names]
        width, rest = z.shape[1], np.setdiff1d(np.arange(z.shape[1]), mixed)
        if same is not None and len(rest):
            parts.append(z[:, rest])
        parts.append(z[:, mixed] if len(rest) else z)
        widths = [part.shape[1] for part in parts]
        matrix = room(len(z), max(3 * len(z), 1024), (sum(widths),))  # pages that are never written cost nothing
        np.concatenate(parts, 1, out=matrix[: len(z)])
        del z, functions, parts
        if same is not None:
            del self.values[same]
        step = Step(self, which, mixed, size[mixed], error[mixed], slope[mixed])
        step.run(matrix, None if zero is None else zero.numpy()[:, mixed])
        self.rounding.interpolated(step.depth)
        if same is not None:
            self.rounding.moved(same, mixed, step.moved)
        if step.keep:
            pieces = np.split(self.state.vertices["values"], np.cumsum(widths)[:-1], axis=1)
            for name, piece in zip(names, pieces, strict=False):
                self.values[name] = torch.from_numpy(piece).reshape(-1, *self.folded.shapes[name])
            if same is not None:
                whole = pieces[-1]
                if len(rest):
                    whole = np.empty((len(whole), width))
                    whole[:, rest], whole[:, mixed] = pieces[-2], pieces[-1]
                self.values[same] = torch.from_numpy(whole).reshape(-1, *self.folded.shapes[same])
        self.state.vertices.drop(STEPS)

    def _mixed(self, z: np.ndarray, error: np.ndarray, slope: np.ndarray, zero: Tensor | None) -> np.ndarray:
        """Which functions (V, n) may be positive at one vertex and negative at another, be it the one that is farthest off."""
        low, high = z.min(0), z.max(0)
        unsure = self.limit(error, slope, self.state.vertices["off"].max())
        mixed = (low <= unsure) & (high >= -unsure) & ((low < high) | (unsure > 0))
        same = mixed & (low == high)
        if len(z) > FEW and same.any():  # too many vertices to look at them all
            if zero is None or not bool(zero[:, torch.from_numpy(same)].all()):
                self.undecided += 1
        else:
            same[:] = False
        if 4 * (mixed & ~same).sum() > len(mixed):  # cheaper than to pick columns; a function of one sign cuts nothing
            mixed[:] = True
        return np.flatnonzero(mixed & ~same)

    def limit(self, error: np.ndarray, slope: np.ndarray, off: np.ndarray | float) -> np.ndarray:
        """|value| up to which the sign of a function with such an error and slope is not certain at a vertex so far off."""
        with np.errstate(invalid="ignore"):
            moved = np.where(slope > 0, slope * off, 0)  # not 0 · ∞
        return self.slack * (error + moved)


class Step:
    """One refinement: its signs, decided with proof, and how far off its vertices may be.

    Args:
        walk: that it is a step of.
        which: bend and turn.
        units: (n,) the functions, by their units.
        size, error, slope: (n,) the noise of each: X, E and L.
    """

    def __init__(
        self, walk: Walk, which: tuple[int, int], units: np.ndarray, size: np.ndarray, error: np.ndarray, slope: np.ndarray
    ) -> None:
        self.walk, self.units = walk, units
        self.size, self.error, self.slope = size, error, slope
        self.unsure = walk.limit(error, slope, walk.usual)
        self.constraints = walk.state.names.add(len(units))
        self.moved = np.zeros(len(units))
        self.keep = which[0] + 1 < len(walk.folded.bends) or which[1] > 0
        self.depth = 0
        self._known: dict[tuple[int, int], float] = {}
        for i, unit in enumerate(units.tolist()):
            walk.exact.functions[self.constraints.start + i] = (*which, unit)

    def run(self, values: np.ndarray, zero: np.ndarray | None) -> None:
        """Cut; ``values`` with the functions last, ``zero`` where these are known to vanish."""
        walk, state = self.walk, self.walk.state
        reach = float(np.abs(state.vertices["at"]).max())
        blur = (walk.depth + DEEP) * STEP * reach
        first = state.vertices.size
        positive = self._positive(values[:first, -len(self.units) :], zero)
        found = Refinement(state, values, self.constraints, positive, self.unsure, blur, self.decide, self.keep)
        found.run()
        self.depth = int(state.vertices["depth"][first:].max(initial=0))
        walk.depth += self.depth
        noise = self.error + max(self.depth - DEEP, 0) * STEP * self.size + self.moved
        walk.noise = np.concatenate([walk.noise, noise])
        state.vertices["off"][first:] = self._offs(first)
        self._check(found)
        off = state.vertices["off"]
        finite = off[np.isfinite(off)][:: max(1, len(off) // FEW)]
        walk.usual = float(np.quantile(finite, COMMON, method="higher"))

    def _positive(self, z: np.ndarray, zero: np.ndarray | None) -> np.ndarray:
        """Which functions are positive at the vertices before the step (V, n)."""
        off = self.walk.state.vertices["off"]
        for low in range(0, len(z), ROWS):
            rows = slice(low, low + ROWS)
            near = np.abs(z[rows]) <= self._limit(off[rows].max(), 0, slice(None))  # of all of them, the farthest off
            if zero is not None:
                near &= ~zero[rows]
            v, i = np.nonzero(near)
            v += low
            limit = self._limit(off[v], 0, i)
            own = (np.abs(z[v, i]) <= limit) & (limit > 0)  # where no error is possible, 0.0 is zero
            v, i = v[own], i[own]
            if len(v):
                z[v, i] = self.decide(v, i, z[v, i])
        return z >= 0

    def _limit(self, off: np.ndarray, depth: np.ndarray | int, which: np.ndarray | slice) -> np.ndarray:
        """|value| up to which a function's sign is not certain at a vertex so far off, after so many interpolations."""
        deep = np.maximum(np.asarray(depth) - DEEP, 0) * STEP
        return self.walk.limit(self.error[which] + deep * self.size[which], self.slope[which], off)

    def _offs(self, first: int) -> np.ndarray:
        """How far off the new vertices are; where floating point cannot bound it, by their exact places."""
        walk = self.walk
        vertices = walk.state.vertices
        off = misses(walk.state, first, walk.noise, walk.depth)
        for v in (first + np.flatnonzero(np.isinf(off))).tolist():
            try:
                exact = walk.exact.point(v)
            except TooLarge:
                continue
            at = np.array([float(exact[i]) for i in range(len(exact.top))])
            off[v - first] = 2 * np.linalg.norm(vertices["at"][v] - at) + STEP * np.abs(at).max()
        return off

    def _check(self, found: Refinement) -> None:
        """Were signs at new vertices taken for certain that were not? Then they must be what exact arithmetic says."""
        vertices = self.walk.state.vertices
        off, depth = vertices["off"], vertices["depth"]
        for v, i, values in found.open:
            loose = (off[v] > self.walk.usual) | (depth[v] > DEEP)
            v, i, values = v[loose], i[loose], values[loose]
            near = np.abs(values) <= self._limit(off[v], depth[v], i)
            v, i, values = v[near], i[near], values[near]
            if len(v) and ((self.decide(v, i, values) >= 0) != (values >= 0)).any():
                raise TooClose

    def decide(self, vertices: np.ndarray, which: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Settle values close to zero, of functions by number, in exact arithmetic: a value whose sign is right stays."""
        place = self.walk.state.vertices["place"][vertices]
        settled = values.copy()
        for k, (v, p, i) in enumerate(zip(vertices.tolist(), place.tolist(), which.tolist(), strict=True)):
            if (p, i) not in self._known:
                self._known[p, i] = self._exact(v, i, float(values[k]))
            sign = self._known[p, i]
            if np.sign(values[k]) != sign:
                settled[k] = sign * SMALLEST
                self.moved[i] = max(self.moved[i], abs(values[k]))
        return settled

    def _exact(self, vertex: int, i: int, value: float) -> float:
        """The sign of a function at a vertex."""
        try:
            exact = self.walk.exact.value(vertex, self.walk.exact.functions[self.constraints.start + i])
        except TooLarge:
            self.walk.undecided += 1
            return float(np.sign(value))
        return float((exact > 0) - (exact < 0))
