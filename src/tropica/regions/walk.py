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
from tropica.regions.refine import Refinement
from tropica.regions.state import SMALLEST, State

UNSURE = 2.0**-36
"""Below this share of the largest value of its function a value's sign is settled exactly."""


@dataclass
class Walk:
    """A network on a domain, and the complex as far as the walk has come.

    Attributes:
        state: the complex.
        values: what is alive at its vertices.
        undecided: signs that were taken from floating point though it could not tell (networks too large for exact arithmetic).
    """

    folded: Folded
    state: State
    values: Values
    exact: Exact
    unbounded: bool
    undecided: int = 0

    @classmethod
    def start(cls, net: PiecewiseLinearNetwork, domain: Domain, labels: bool = False) -> Walk:
        """The domain as it is. ``labels``: the walk also cuts where the label changes."""
        origin, basis = (torch.from_numpy(part) for part in domain.embedding(net.input_shape))
        folded = Folded(net.to(torch.float64).to("cpu"), origin, basis, labels)
        limits = domain.limits()
        state = start.space(domain.dimension) if limits is None else start.box(*limits)
        values = {INPUT: folded.inputs(torch.from_numpy(state.vertices["at"]))}
        return cls(folded, state, values, Exact(folded, state, {}), limits is None)

    @property
    def scale(self) -> Tensor | None:
        """s at the vertices, where it is not 1."""
        return torch.from_numpy(self.state.vertices["at"][:, -1].copy()) if self.unbounded else None

    def run(self, after: Callable[[int], None] | None = None) -> None:
        """All bends, and the rest of the network: ``values`` has its output. ``after`` is called with each bend's number."""
        with torch.no_grad():
            for number, bend in enumerate(self.folded.bends):
                self.values = unused(self.folded.run(bend.before, self.values, self.scale), set(bend.alive))
                self._bend(number, bend)
                inputs = [self.values[name] for name in bend.kink.inputs]
                self.values[bend.kink.name] = self.folded.apply(bend.kink, inputs, self.scale)
                self.values = unused(self.values, bend.lasting | {bend.kink.name})
                if after is not None:
                    after(number)
            self.values = self.folded.run(self.folded.tail, self.values, self.scale)

    def _bend(self, number: int, bend: Bend) -> None:
        """Refine by the functions of one kink."""
        found = self.folded.functions(bend, self.values, self.scale)
        if isinstance(found, Options):
            self.exact.learn(number, found)
            for turn in range(1, found.m):
                self._refine(number, turn, found.round(turn, self.values[bend.kink.inputs[0]]), None)
        else:
            self._refine(number, 0, found, bend.kink.inputs[0] if bend.simple else None)

    def _refine(self, number: int, turn: int, functions: Tensor, same: str | None) -> None:
        """Refine by the functions that change sign. ``same``: the alive value that they are, then not carried twice."""
        z = functions.numpy()
        low, high = z.min(0), z.max(0)
        unsure = UNSURE * np.maximum(-low, high)
        mixed = np.flatnonzero((low <= unsure) & (high >= -unsure) & (low < high))
        if not len(mixed):
            return
        if 4 * len(mixed) > z.shape[1]:  # cheaper than to pick columns; a function of one sign cuts nothing
            mixed = np.arange(z.shape[1])
        names = [name for name in self.values if name != same]
        parts = [self.values[name].reshape(len(z), -1).numpy() for name in names]
        rest = np.setdiff1d(np.arange(z.shape[1]), mixed)
        if same is not None and len(rest):
            parts.append(z[:, rest])
        parts.append(z[:, mixed] if len(rest) else z)
        widths = [part.shape[1] for part in parts]
        matrix = np.empty((max(3 * len(z), 1024), sum(widths)))  # room to grow: pages that are never written cost nothing
        np.concatenate(parts, 1, out=matrix[: len(z)])
        constraints = self.state.names.add(len(mixed))
        for i, unit in enumerate(mixed.tolist()):
            self.exact.functions[constraints.start + i] = (number, turn, unit)

        def decide(vertices: np.ndarray, which: np.ndarray, values: np.ndarray) -> None:
            self._decide(constraints.start, vertices, which, values)

        Refinement(self.state, matrix, constraints, unsure[mixed], decide).run()
        values = self.state.vertices["values"]
        pieces = np.split(values, np.cumsum(widths)[:-1], axis=1)
        for name, piece in zip(names, pieces, strict=False):
            self.values[name] = torch.from_numpy(piece).reshape(-1, *self.folded.shapes[name])
        if same is not None:
            whole = pieces[-1]
            if len(rest):
                whole = np.empty((len(values), z.shape[1]))
                whole[:, rest], whole[:, mixed] = pieces[-2], pieces[-1]
            self.values[same] = torch.from_numpy(whole).reshape(-1, *self.folded.shapes[same])
        self.state.vertices.drop(["values", "positive"])

    def _decide(self, first: int, vertices: np.ndarray, which: np.ndarray, values: np.ndarray) -> None:
        """Settle values close to zero, of functions number ``first`` + which, in exact arithmetic."""
        known: dict[tuple[int, int], float] = {}
        for k, (v, i) in enumerate(zip(vertices.tolist(), which.tolist(), strict=True)):
            key = (int(self.state.vertices["place"][v]), i)
            if key not in known:
                known[key] = self._settled(v, first + i, float(values[k]))
            values[k] = known[key]

    def _settled(self, vertex: int, constraint: int, value: float) -> float:
        try:
            exact = self.exact.value(vertex, self.exact.functions[constraint])
        except TooLarge:
            self.undecided += 1
            return value
        return float(exact) or (SMALLEST if exact > 0 else -SMALLEST if exact < 0 else 0.0)
