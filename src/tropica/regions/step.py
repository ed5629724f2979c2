"""One step of a walk: cutting by the functions of one nonlinearity, with signs that are proven."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tropica.regions.exact import TooLarge
from tropica.regions.misses import misses
from tropica.regions.noise import STEP
from tropica.regions.refine import Refinement
from tropica.regions.state import SMALLEST

if TYPE_CHECKING:
    from tropica.regions.walk import Walk

DEEP = 16
"""Interpolations, one on the other, that a step is expected not to exceed; vertices beyond are checked one by one."""
COMMON = 0.5
"""Share of the vertices that are treated alike; those farther off are compared with bounds of their own."""
SAMPLE = 4096
"""Vertices from which it is told how far off that share is."""
ROWS = 2**9
"""Vertices whose signs are looked at together."""


class TooClose(Exception):
    """A sign was taken from floating point that exact arithmetic contradicts: the walk must allow for more."""


class Step:
    """One refinement: its signs, decided with proof, and how far off its vertices may be.

    Args:
        walk: that it is a step of.
        units: (n,) the functions, by their units.
        size, error, slope: (n,) the noise of each: X, E and L.

    Attributes:
        done: functions that it has cut by, in the end.
        values: (V, …) at all vertices, in the end; see :class:`Refinement`.
    """

    def __init__(self, walk: Walk, units: np.ndarray, size: np.ndarray, error: np.ndarray, slope: np.ndarray) -> None:
        self.walk, self.units = walk, units
        self.size, self.error, self.slope = size, error, slope
        self.unsure = walk.limit(error, slope, walk.usual)
        self.constraints = walk.exact.functions.start(walk.bend, walk.turn) + units
        self.moved = np.zeros(len(units))
        bends = walk.folded.bends
        self.keep = walk.bend + 1 < len(bends) or not bends[walk.bend].simple
        self.depth, self.done, self.values = 0, len(units), np.zeros((0, 0))
        self._known: dict[tuple[int, int], float] = {}
        self._lost: list[int] = []

    def run(self, values: np.ndarray, columns: np.ndarray, zero: np.ndarray | None) -> None:
        """Cut; ``values`` with the functions in some ``columns``, ``zero`` (V, n) where these are known to vanish."""
        walk, state = self.walk, self.walk.state
        reach = float(np.abs(state.vertices["at"]).max())
        blur = (walk.depth + DEEP) * STEP * reach
        first = state.vertices.size
        positive = self._positive(values[:first], columns, zero)
        most = walk.most(values.shape[1], self.keep)
        found = Refinement(state, values, columns, self.constraints, positive, self.unsure, blur, self.decide, self.keep, most)
        found.run()
        self.done, self.values = found.done, found.values[: state.vertices.size]
        self.depth = int(state.vertices["depth"][first:].max(initial=0))
        walk.depth += self.depth
        if self._lost:  # the places of vertices that were made in vain are no vertex's
            walk.undecided += int(np.isin(self._lost, state.vertices["place"]).sum())
        noise = self.error + max(self.depth - DEEP, 0) * STEP * self.size + self.moved
        walk.noise[self.constraints] = noise
        state.vertices["off"][first:] = self._offs(first)
        self._check(found)
        off = state.vertices["off"]
        finite = off[np.isfinite(off)][:: max(1, len(off) // SAMPLE)]
        walk.usual = float(np.quantile(finite, COMMON, method="higher"))

    def _positive(self, values: np.ndarray, columns: np.ndarray, zero: np.ndarray | None) -> np.ndarray:
        """Which functions are positive at the vertices before the step: as packed bits, a row for each vertex."""
        off = self.walk.state.vertices["off"]
        found = np.empty((len(values), -(-len(columns) // 8)), np.uint8)
        which = slice(int(columns[0]), int(columns[-1]) + 1) if np.ptp(columns) + 1 == len(columns) else columns
        for low in range(0, len(values), ROWS):
            rows = slice(low, low + ROWS)
            z = values[rows, which]
            near = np.abs(z) <= self._limit(off[rows].max(), 0, slice(None))  # of all of them, the farthest off
            if zero is not None:
                near &= ~zero[rows]
            if near.any():
                v, i = np.nonzero(near)
                limit = self._limit(off[low + v], 0, i)
                own = (np.abs(z[v, i]) <= limit) & (limit > 0)  # where no error is possible, 0.0 is zero
                v, i = v[own], i[own]
                if len(v):
                    z[v, i] = values[low + v, columns[i]] = self.decide(low + v, i, z[v, i])
            found[rows] = np.packbits(z >= 0, axis=1)
        return found

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
                self._known[p, i] = self._exact(v, p, i, float(values[k]))
            sign = self._known[p, i]
            if np.sign(values[k]) != sign:
                settled[k] = sign * SMALLEST
                self.moved[i] = max(self.moved[i], abs(values[k]))
        return settled

    def _exact(self, vertex: int, place: int, i: int, value: float) -> float:
        """The sign of a function at a vertex, which is at a place."""
        try:
            exact = self.walk.exact.value(vertex, self.walk.exact.functions[int(self.constraints[i])])
        except TooLarge:
            self._lost.append(place)
            return float(np.sign(value))
        return float((exact > 0) - (exact < 0))
