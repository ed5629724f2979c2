"""From a network and a domain to the refined complex: bend by bend, in forward order."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from tropica.errors import InputError
from tropica.network.graph import INPUT
from tropica.network.network import PiecewiseLinearNetwork
from tropica.regions import start
from tropica.regions.domain import Domain
from tropica.regions.domains import Box, Plane, Space
from tropica.regions.exact import Exact, TooLarge
from tropica.regions.functions import Bend, Folded, Numbering, Values, unused
from tropica.regions.groups import Group
from tropica.regions.noise import STEP, Rounding
from tropica.regions.state import SMALLEST, State, room
from tropica.regions.step import DEEP, Step, TooClose

STATE = 512
"""Bytes that a vertex and its edges take, beside values, about."""
BIRTH = 2 * STATE
"""The same, with what is needed to make them."""
STEPS = ("positive", "depth", "steep", "end")
"""Columns of the vertices that last for a step."""
FEW = 4096
"""A function of one value throughout, which may be zero, is looked at in exact arithmetic at so many vertices or fewer."""


@dataclass
class Walk:
    """A network on a domain, and the complex as far as the walk has come.

    Attributes:
        state: the complex.
        values: what is alive at its vertices.
        rounding: how far these may be off.
        noise: by constraint, how far from zero its function may be at its vertices.
        undecided: signs that were taken from floating point though it could not tell (networks too large for exact arithmetic).
        usual: how far off most vertices are, at the most.
        depth: interpolations, one on the other, since the domain.
        slack: limits are so many times as large as first thought.
        memory: bytes that values may take before the complex is to be parted; None: it stays whole.
        bend, turn, unit: which function is next; ``entered``: are the values in front of that bend known?
        single: may it not be parted here, as it has one cell?
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
    memory: int | None = None
    bend: int = 0
    turn: int = 0
    unit: int = 0
    entered: bool = False
    single: bool = False

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
        """The domain as it is.

        Raises:
            InputError: a domain that is neither a box in its coordinates nor all of space.
        """
        if not isinstance(domain, Box | Plane | Space):
            raise InputError(f"a network of this size is taken apart on a Box, a Plane or a Space only; found {domain!r}")
        origin, basis = (torch.from_numpy(part) for part in domain.embedding(net.input_shape))
        folded = Folded(net.to(torch.float64).to("cpu"), origin, basis, labels)
        limits = domain.limits()
        state = start.space(domain.dimension) if limits is None else start.box(*limits)
        corners = torch.from_numpy(state.vertices["at"])
        rounding = Rounding(folded, corners, limits is None)
        numbers = Numbering(folded, len(state.names.zero))
        state.names.add(numbers.stop - numbers.first)
        exact = Exact(folded, state, numbers)
        return cls(folded, state, {INPUT: folded.inputs(corners)}, exact, limits is None, rounding, np.zeros(numbers.stop))

    def part(self, group: Group) -> Walk:
        """The same walk on some of the cells."""
        state = self.state.some(group.vertices, group.inside, group.edges, group.edge_inside)
        rows = torch.from_numpy(group.vertices)
        return replace(
            self,
            state=state,
            values={name: value[rows] for name, value in self.values.items()},
            exact=Exact(self.folded, state, self.exact.functions, (self.exact, group.vertices)),
            rounding=self.rounding.copy(),
            noise=self.noise.copy(),
            undecided=0,
            single=False,
        )

    @property
    def scale(self) -> Tensor | None:
        """s at the vertices, where it is not 1."""
        return torch.from_numpy(self.state.vertices["at"][:, -1].copy()) if self.unbounded else None

    def run(self, after: Callable[[Walk, int], None] | None = None) -> bool:
        """All bends that are left; ``after`` as above. False if the complex is to be parted on the way."""
        bends = self.folded.bends
        with torch.no_grad():
            while self.bend < len(bends):
                bend = bends[self.bend]
                if not self.entered:
                    if self._large(bend):
                        return False
                    self.values = unused(self.folded.run(bend.before, self.values, self.scale), set(bend.alive))
                    self.rounding.run(bend.before)
                    self.rounding.keep(set(bend.alive))
                    for name, value in self.values.items():
                        if not (bend.simple and name == bend.nonlinearity.inputs[0]):  # of that one it will be known soon
                            self.rounding.seen(name, sizes(*extremes(value.flatten(1).numpy())))
                    self.entered = True
                if not self._bend(bend):
                    return False
                if after is not None:
                    after(self, self.bend)
                self._leave(bend)
        return True

    def rows(self, width: int) -> int | None:
        """Vertices with so many values each that the memory holds."""
        return None if self.memory is None else max(self.memory // (8 * width + STATE), 1)

    def most(self, width: int, keep: bool) -> int | None:
        """Vertices that a step is not to exceed, with so many values each; where they are not kept, new ones have none."""
        if keep or self.memory is None:
            return self.rows(width)
        size = self.state.vertices.size
        return size + max(self.memory - 8 * width * size, 0) // BIRTH

    def width(self, bend: Bend) -> int:
        """Numbers that a vertex has in front of a bend."""
        return sum(math.prod(self.folded.shapes[name]) for name in bend.alive)

    def _large(self, bend: Bend) -> bool:
        """Is the complex to be parted before it comes to a bend?"""
        rows = self.rows(self.width(bend))
        return rows is not None and not self.single and 2 * self.state.vertices.size > rows

    def _leave(self, bend: Bend) -> None:
        """From in front of a nonlinearity to behind it."""
        if self.bend + 1 < len(self.folded.bends):  # the rest bends nothing
            inputs = [self.values[name] for name in bend.nonlinearity.inputs]
            self.values[bend.nonlinearity.name] = self.folded.apply(bend.nonlinearity, inputs, self.scale)
            self.values = unused(self.values, bend.lasting | {bend.nonlinearity.name})
            self.rounding.bend(bend.nonlinearity)
            self.rounding.keep(bend.lasting | {bend.nonlinearity.name})
        self.bend, self.turn, self.unit, self.entered, self.single = self.bend + 1, 0, 0, False, False

    def _bend(self, bend: Bend) -> bool:
        """Refine by the functions of one nonlinearity that are left; False if it was broken off."""
        nonlinearity, options = bend.nonlinearity, self.folded.options[self.bend]
        if options is None:
            bounds = self.rounding.functions(nonlinearity, None, 0)
            return self._refine(
                nonlinearity.inputs[0] if bend.simple else self.folded.functions(bend, self.values, self.scale), bounds
            )
        for turn in range(max(self.turn, 1), options.m):
            self.turn = turn
            functions, zero = options.round(self.turn, self.values[nonlinearity.inputs[0]])
            zero = zero if nonlinearity.inputs[0] in self.folded.floored else None
            if not self._refine(functions, self.rounding.functions(nonlinearity, options, self.turn), zero):
                return False
            self.unit = 0
        return True

    def _refine(self, functions: Tensor | str, bounds: Tensor, zero: Tensor | None = None) -> bool:
        """Refine by the functions that change sign; False if it was broken off.

        Args:
            functions: (V, n), or the name of the alive value that they are; ``bounds`` (3, n): their noise.
            zero: (V, n) where they are known to be zero.
        """
        same = functions if isinstance(functions, str) else None
        z = (self.values[functions].flatten(1) if isinstance(functions, str) else functions).numpy()
        size, error, slope = bounds.numpy()
        low, high = extremes(z)
        if same is not None:
            self.rounding.seen(same, sizes(low, high))
        np.minimum(size, sizes(low, high) + error, out=size)
        error = error + DEEP * STEP * size
        settled = self._settle(low, high, error, slope)
        mixed = self._mixed(len(z), low, high, error, slope, zero)
        mixed = mixed[~settled[mixed]]
        constant = np.where(low >= 0, low, high)  # of the sign that they have, those that have but one
        first, last = self.unit, len(low)
        if len(mixed):
            step = Step(self, mixed, size[mixed], error[mixed], slope[mixed])
            names = [name for name in self.values if name != same]
            matrix, widths = self._matrix(z, same, names)
            columns = matrix.shape[1] - len(low) + mixed
            del z, functions
            step.run(matrix, columns, None if zero is None else zero.numpy()[:, mixed])
            self.rounding.interpolated(step.depth)
            if same is not None:
                self.rounding.moved(same, mixed, step.moved)
            if step.done < len(mixed):
                last = int(mixed[step.done])
            if step.keep:
                self._take(step.values, same, names, widths)
            elif same is not None and last < len(low):  # it has let values go: only those of the functions to come are right
                whole = np.zeros((self.state.vertices.size, len(low)))
                whole[:, last:] = step.values[:, last - len(low) :]
                self.values = {same: torch.from_numpy(whole).reshape(-1, *self.folded.shapes[same])}
            self.state.vertices.drop(STEPS)
        self._name(first, last, mixed, constant)
        self.unit = last
        return last == len(low)

    def _matrix(self, z: np.ndarray, same: str | None, names: list[str]) -> tuple[np.ndarray, list[int]]:
        """All values at the vertices, the functions last; and the widths of its parts."""
        parts = [*(self.values[name].reshape(len(z), -1).numpy() for name in names), z]
        widths = [part.shape[1] for part in parts]
        if same is None or names:
            matrix = room(len(z), max(3 * len(z), 1024), (sum(widths),))  # pages that are never written cost nothing
            np.concatenate(parts, 1, out=matrix[: len(z)])
        else:
            matrix = np.ascontiguousarray(z)  # nothing else reads them
        if same is not None:
            del self.values[same]
        return matrix, widths

    def _take(self, values: np.ndarray, same: str | None, names: list[str], widths: list[int]) -> None:
        """The values at all vertices, after a step."""
        pieces = np.split(values, np.cumsum(widths)[:-1], axis=1)
        for name, piece in zip([*names, same], pieces, strict=True):
            if name is not None:
                self.values[name] = torch.from_numpy(piece).reshape(-1, *self.folded.shapes[name])

    def _name(self, first: int, last: int, mixed: np.ndarray, constant: np.ndarray) -> None:
        """Put the signs of functions ``first`` … ``last`` − 1 that have but one into the keys: in another part of the complex
        they may have both."""
        positive = constant >= 0
        positive[mixed] = positive[:first] = positive[last:] = False
        start = self.exact.functions.start(self.bend, self.turn)
        total = self.state.names.positive[start + np.flatnonzero(positive)].sum(0, dtype=np.uint64)
        self.state.vertices["key"][:] += total
        self.state.edges["key"][:] += total

    def _settle(self, low: np.ndarray, high: np.ndarray, error: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """Functions without any slope are constants: exact arithmetic decides those that are close to zero, each once for all
        of the complex, and their least and largest value are made to say so. Which they are (n,)."""
        functions = self.exact.functions
        start = functions.start(self.bend, self.turn)
        close = (slope == 0) & (error > 0) & (np.minimum(np.abs(low), np.abs(high)) <= self.limit(error, slope, 0.0))
        close[: self.unit] = False
        settled = np.zeros(len(low), bool)
        for unit in np.flatnonzero(close).tolist():
            if (sign := functions.constants.get(start + unit)) is None:
                try:
                    value = self.exact.value(0, functions[start + unit])
                except TooLarge:
                    continue
                sign = functions.constants[start + unit] = (value > 0) - (value < 0)
            low[unit] = high[unit] = sign * SMALLEST
            settled[unit] = True
        return settled

    def _mixed(
        self, count: int, low: np.ndarray, high: np.ndarray, error: np.ndarray, slope: np.ndarray, zero: Tensor | None
    ) -> np.ndarray:
        """Which functions, from the next unit's on, may be positive at one of so many vertices and negative at another, be it
        the one that is farthest off; ``low`` and ``high``: the least and the largest value of each."""
        unsure = self.limit(error, slope, self.state.vertices["off"].max())
        mixed = (low <= unsure) & (high >= -unsure) & ((low < high) | (unsure > 0))
        mixed[: self.unit] = False
        same = mixed & (low == high)
        if count > FEW and same.any():  # too many vertices to look at them all
            if zero is None or not bool(zero[:, torch.from_numpy(same)].all()):
                self.undecided += 1
        else:
            same[:] = False
        if 4 * (mixed & ~same).sum() > len(mixed):  # cheaper than to pick columns; a function of one sign cuts nothing
            mixed[self.unit :] = True
        return np.flatnonzero(mixed & ~same)

    def limit(self, error: np.ndarray, slope: np.ndarray, off: np.ndarray | float) -> np.ndarray:
        """|value| up to which the sign of a function with such an error and slope is not certain at a vertex so far off."""
        with np.errstate(invalid="ignore"):
            moved = np.where(slope > 0, slope * off, 0)  # not 0 · ∞
        return self.slack * (error + moved)


def extremes(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest value in each column."""
    return values.min(0), values.max(0)


def sizes(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The largest |value|, from the least and the largest."""
    return np.maximum(-low, high)
