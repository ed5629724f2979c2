"""What bends a network: for every nonlinearity the functions whose zero sets separate its choices.

A nonlinearity of two pieces has one function a unit: z for relu, leaky relu, prelu, abs; z − level for clamp-min; a − b for the
maximum of two. A unit that takes the largest of m options is a tournament: the largest of the first k options less option
k + 1, for k = 1 … m − 1. Each of these is affine on every cell of the complex that the ones before it have made. A tournament
also cuts where two options are equal that are both beaten later; such cells have the same choice, and are joined in the end.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from tropica.errors import InputError
from tropica.network.graph import INPUT, Node, NonlinearityNode
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.nonlinearities import Abs, Amax, ClampMin, LeakyRelu, Maximum, PRelu, Relu

PLAIN = (Relu, LeakyRelu, PRelu, Abs, ClampMin)
"""Nonlinearities whose one function a unit is their input, up to a constant."""

BATCH = 2**11
"""Points that are sent through a network at once."""
Values = dict[str, Tensor]
LABEL = "label"
"""The name of the nonlinearity that chooses the label."""


@dataclass(frozen=True, eq=False)
class Bend:
    """One nonlinearity of a network, with the nodes that stand between it and the nonlinearity before.

    Attributes:
        before: affine nodes to run first.
        nonlinearity: the nonlinearity.
        alive: the names of the values that the nonlinearity and all that comes after it read, made before.
        lasting: those of them that are read after the nonlinearity, too.
    """

    before: tuple[Node, ...]
    nonlinearity: NonlinearityNode
    alive: tuple[str, ...]
    lasting: frozenset[str]

    @property
    def simple(self) -> bool:
        """Is its input the function itself, and read by nothing later?"""
        return (
            isinstance(self.nonlinearity.op, PLAIN)
            and not isinstance(self.nonlinearity.op, ClampMin)
            and self.nonlinearity.inputs[0] not in self.lasting
        )


class Folded:
    """A network as bends, evaluated on batches of points in homogeneous coordinates: all constants times s.

    Args:
        net: the network, in float64.
        origin, basis: x = s · origin + t · basis.
        labels: take the choice of the label, the largest of the logits, for one more nonlinearity.
    """

    def __init__(self, net: PiecewiseLinearNetwork, origin: Tensor, basis: Tensor, labels: bool = False) -> None:
        self.net, self.origin, self.basis, self.labels = net, origin, basis, labels
        self._offsets: Values = {}

    @cached_property
    def bends(self) -> list[Bend]:
        """In forward order."""
        nodes = self.net.graph.nodes
        found: list[Bend] = []
        start = 0
        for at, node in enumerate(nodes):
            if isinstance(node, NonlinearityNode):
                after = {name for n in nodes[at + 1 :] for name in n.inputs} | {self.net.graph.output}
                made = {INPUT, *(n.name for n in nodes[:at])}
                before = tuple(nodes[start:at])
                alive = tuple(sorted((after | set(node.inputs)) & made))
                found.append(Bend(before, node, alive, frozenset(after & made)))
                start = at + 1
        if self.labels:
            output = self.net.graph.output
            kind = Amax((-1,), first=True) if self.net.num_outputs > 1 else Relu()
            label = NonlinearityNode(
                LABEL, (output,), op=kind, unit_shape=() if self.net.num_outputs > 1 else self.shapes[output]
            )
            found.append(Bend(tuple(nodes[start:]), label, (output,), frozenset({output})))
        return found

    @cached_property
    def options(self) -> list[Options | None]:
        """The windows of each bend that is a tournament."""
        two = (*PLAIN, Maximum)
        shapes = (self.shapes[bend.nonlinearity.inputs[0]] for bend in self.bends)
        return [
            None
            if isinstance(bend.nonlinearity.op, two)
            else Options(bend.nonlinearity, torch.zeros(1, *shape, dtype=torch.float64))
            for bend, shape in zip(self.bends, shapes, strict=True)
        ]

    @cached_property
    def floored(self) -> frozenset[str]:
        """Values that are 0.0 only where they are zero: outputs of relus, and the largest of several of these."""
        found: set[str] = set()
        for node in self.net.graph.nodes:
            if isinstance(node, NonlinearityNode) and (isinstance(node.op, Relu) or found.issuperset(node.inputs)):
                found.add(node.name)
        return frozenset(found)

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of one point of every value."""
        return {name: tuple(shape[1:]) for name, shape in self.net.shapes.items()}

    def inputs(self, at: Tensor) -> Tensor:
        """The network's inputs at homogeneous coordinates (V, d + 1)."""
        return (at[:, :-1] @ self.basis + at[:, -1:] * self.origin).reshape(-1, *self.net.input_shape)

    def batches(self, t: np.ndarray) -> Iterator[tuple[int, Tensor]]:
        """The network's inputs at points t (C, d), a batch at a time, and the number of the first of each."""
        for low in range(0, len(t), BATCH):
            some = t[low : low + BATCH]
            yield low, self.inputs(torch.from_numpy(np.concatenate([some, np.ones((len(some), 1))], 1)))

    def run(self, nodes: tuple[Node, ...], values: Values, scale: Tensor | None) -> Values:
        """The values after some nodes; ``scale`` (V,) is s, None where it is 1 throughout."""
        values = dict(values)
        for node in nodes:
            values[node.name] = self.apply(node, [values[name] for name in node.inputs], scale)
        return values

    def apply(self, node: Node, inputs: list[Tensor], scale: Tensor | None) -> Tensor:
        """One node. J z + s · c of an affine node; a nonlinearity's constants, too, times s."""
        constants = self.net.constants
        if scale is None:
            return node.apply(inputs, constants)
        if isinstance(node, NonlinearityNode):
            if isinstance(node.op, ClampMin):
                level = node.roles(constants)["level"]
                return torch.maximum(inputs[0], level * _like(scale, inputs[0]))
            return node.apply(inputs, constants)
        if node.name not in self._offsets:
            self._offsets[node.name] = node.apply([torch.zeros_like(z[:1]) for z in inputs], constants)
        offset = self._offsets[node.name]
        out = node.apply(inputs, constants)
        return out + (_like(scale, out) - 1) * offset

    def functions(self, bend: Bend, values: Values, scale: Tensor | None) -> Tensor:
        """The functions (V, n) at the points of a bend that is no tournament."""
        nonlinearity = bend.nonlinearity
        inputs = [values[name] for name in nonlinearity.inputs]
        points = len(inputs[0])
        if isinstance(nonlinearity.op, ClampMin):
            level = nonlinearity.roles(self.net.constants)["level"]
            out = inputs[0] - (level if scale is None else level * _like(scale, inputs[0]))
            return out.reshape(points, -1)
        if isinstance(nonlinearity.op, PLAIN):
            return inputs[0].reshape(points, -1)
        assert isinstance(nonlinearity.op, Maximum)
        return (inputs[0] - inputs[1]).reshape(points, -1)


class Options:
    """Which entries of its input each unit of a pool takes the largest of: ``table`` (units, m), padded with −1."""

    def __init__(self, nonlinearity: NonlinearityNode, example: Tensor) -> None:
        self.nonlinearity, self.shape = nonlinearity, example.shape[1:]
        if self.shape.numel() * nonlinearity.units > LARGEST:
            raise InputError(
                f"{nonlinearity.op.name} with {self.shape.numel():,} inputs and {nonlinearity.units:,} units is too large"
            )
        rows = [nonlinearity.op(one_hot).reshape(len(one_hot), -1) > 0.5 for one_hot in self._one_hot(example.dtype)]
        member = torch.cat(rows).T  # (units, size)
        count = member.sum(1)
        self.m = int(count.max())
        order = torch.argsort((~member).to(torch.uint8), dim=1, stable=True)[:, : self.m]
        self.table = torch.where(torch.arange(self.m) < count.unsqueeze(1), order, -1)

    def _one_hot(self, dtype: torch.dtype) -> Iterator[Tensor]:
        """Inputs of the nonlinearity with a single 1, in batches."""
        size = self.shape.numel()
        for low in range(0, size, 1024):
            high = min(size, low + 1024)
            one_hot = torch.zeros(high - low, size, dtype=dtype)
            one_hot[torch.arange(high - low), torch.arange(low, high)] = 1
            yield one_hot.reshape(-1, *self.shape)

    def choices(self, winners: np.ndarray) -> Tensor:
        """For each unit the piece that belongs to an entry of its input, as ``op.active_piece`` gives it: (1, units)."""
        one_hot = torch.zeros(len(winners), self.shape.numel(), dtype=torch.float64)
        one_hot[torch.arange(len(winners)), torch.from_numpy(winners)] = 1
        found = self.nonlinearity.op.active_piece(one_hot.reshape(-1, *self.shape)).reshape(len(winners), -1)
        return found.diagonal().unsqueeze(0)

    def gap(self, z: Tensor) -> Tensor:
        """The largest option of each unit less the next, at points z (V, *input): (V, units)."""
        options = z.reshape(len(z), -1)[:, self.table.clamp(min=0)].masked_fill(self.table < 0, -torch.inf)
        best = options.topk(min(2, self.m), 2).values
        return best[:, :, 0] - best[:, :, 1] if self.m > 1 else torch.full_like(best[:, :, 0], torch.inf)

    def round(self, k: int, z: Tensor) -> tuple[Tensor, Tensor]:
        """The largest of options 0 … k − 1 less option k, at points z (V, *input): (V, units); 1 for units without it.

        And where both of them are 0.0, which is exact where z is what a relu has put out.
        """
        flat = z.reshape(len(z), -1)
        first = self.table[:, :k].clamp(min=0)  # an empty place repeats entry 0 of the input …
        options = flat[:, first].masked_fill(self.table[:, :k] < 0, -torch.inf)  # … and is ruled out
        largest, last = options.amax(2), flat[:, self.table[:, k].clamp(min=0)]
        none = self.table[:, k] < 0
        return torch.where(none, torch.ones_like(last), largest - last), (largest == 0) & (last == 0) & ~none


class Numbering:
    """The numbers of a network's functions among the constraints: by bend, turn (1 … m − 1 of a tournament, else 0) and unit.

    They do not depend on how a complex is come by, and grow in the order in which functions cut: ``first`` … ``stop`` − 1.

    Attributes:
        constants: the signs of functions that are constant on all of the domain, as far as they have been decided.
    """

    def __init__(self, folded: Folded, first: int) -> None:
        self._turns: list[tuple[int, int]] = []
        self._starts = [first]
        for number, (bend, options) in enumerate(zip(folded.bends, folded.options, strict=True)):
            for turn in range(1) if options is None else range(1, options.m):
                self._turns.append((number, turn))
                self._starts.append(self._starts[-1] + bend.nonlinearity.units)
        self._place = dict(zip(self._turns, self._starts, strict=False))
        self.first, self.stop = first, self._starts[-1]
        self.constants: dict[int, int] = {}

    def start(self, bend: int, turn: int) -> int:
        """The number of the first unit's function."""
        return self._place[bend, turn]

    def __getitem__(self, constraint: int) -> tuple[int, int, int]:
        k = bisect_right(self._starts, constraint) - 1
        return (*self._turns[k], constraint - self._starts[k])


LARGEST = 2**28
"""Entries of the largest table of windows that is made (a bit each, in blocks)."""


def _like(scale: Tensor, values: Tensor) -> Tensor:
    """s as a column that broadcasts against a batch of values."""
    return scale.reshape(-1, *(1,) * (values.ndim - 1))


def unused(values: Mapping[str, Tensor], keep: frozenset[str] | set[str]) -> Values:
    """Only the values that are still read."""
    return {name: value for name, value in values.items() if name in keep}
