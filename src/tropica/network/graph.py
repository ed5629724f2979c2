"""The one intermediate form: a directed acyclic graph of affine ops and nonlinearities.

Everything after tracing (the DC decomposition, the terms, the regions, the tropical maps) reads this form and nothing else.
A graph is a list of nodes in topological order. A node names its inputs, and names the constants that it uses; the
constants themselves live beside the graph, so that one graph serves every dtype and device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from tropica.network.nonlinearities import Kind

INPUT = "input"
"""The name under which the network's input stands in a graph."""


@dataclass(frozen=True)
class Origin:
    """Where a node comes from in the user's code: ATen op, module path, ``file:line  code``."""

    op: str = ""
    path: str = ""
    source: str = ""


@dataclass(frozen=True)
class Node:
    """One node: its own name, its inputs' names, its constants by role, and where it came from."""

    name: str
    inputs: tuple[str, ...]
    constants: Mapping[str, str] = field(default_factory=dict)
    origin: Origin = Origin()

    def apply(self, inputs: Sequence[Tensor], constants: Mapping[str, Tensor]) -> Tensor:
        """The node's output for its inputs, with ``constants`` the whole table of constants."""
        raise NotImplementedError

    @property
    def signature(self) -> str:
        """What the node computes, as text that is the same in every process."""
        raise NotImplementedError

    def roles(self, constants: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The node's own constants by role."""
        return {role: constants[name] for role, name in self.constants.items()}


@dataclass(frozen=True)
class Affine(Node):
    """An affine op: ``y = J x + c``, given as a function rather than a matrix.

    ``fn(*inputs, **constants)`` computes it. Where a constant has the role ``weight``, J is linear in it, so J⁺ and J⁻ are
    the same function with the positive and with the negative part of the weight. Without a weight J has no negative entry,
    but for the sign that ``signs`` puts before each input (``a − b`` has signs (1, −1)).

    A function cannot be compared or hashed by what it does: ``settings`` spells out the numbers that it closes over (strides,
    dimensions, sizes), for its signature.
    """

    fn: Callable[..., Tensor] = torch.clone
    signs: tuple[int, ...] = ()
    settings: str = ""

    @property
    def weighted(self) -> bool:
        """Does the op multiply by a constant of either sign?"""
        return "weight" in self.constants

    def apply(self, inputs: Sequence[Tensor], constants: Mapping[str, Tensor]) -> Tensor:
        return self.fn(*inputs, **self.roles(constants))

    @property
    def signature(self) -> str:
        return f"{self.origin.op} {self.settings} {self.signs}"


@dataclass(frozen=True)
class Nonlinearity(Node):
    """A nonlinearity ``h = κ(z)``: every output is a maximum of affine functions of the inputs."""

    kind: Kind = field(default_factory=Kind)
    unit_shape: tuple[int, ...] = ()

    def apply(self, inputs: Sequence[Tensor], constants: Mapping[str, Tensor]) -> Tensor:
        return self.kind(*inputs, **self.roles(constants))

    @property
    def signature(self) -> str:
        return repr(self.kind)

    @property
    def units(self) -> int:
        """Number of output units of one point."""
        return int(torch.Size(self.unit_shape).numel())

    @property
    def path(self) -> str:
        """The module path of the layer that the nonlinearity stands in, as in ``model.get_submodule``."""
        return self.origin.path

    def per_point(self, h: Tensor, points: int) -> Tensor:
        """View the nonlinearity's output (or a cotangent there) as (points, *unit_shape)."""
        return h.reshape(points, *self.unit_shape)


Visitor = Callable[[Nonlinearity, tuple[Tensor, ...], Tensor], None]
"""Called at each nonlinearity with the nonlinearity, its inputs and its output."""


@dataclass(frozen=True)
class Graph:
    """Nodes in topological order and the name of the output."""

    nodes: tuple[Node, ...]
    output: str

    @property
    def nonlinearities(self) -> tuple[Nonlinearity, ...]:
        """The nonlinearities in forward order."""
        return tuple(node for node in self.nodes if isinstance(node, Nonlinearity))

    def run(self, x: Tensor, constants: Mapping[str, Tensor], visit: Visitor | None = None) -> Tensor:
        """The output for a batch x; values are dropped after their last use, ``visit`` sees every nonlinearity as it is computed."""
        env = {INPUT: x}
        for node, dead in zip(self.nodes, self._dead, strict=True):
            inputs = tuple(env[name] for name in node.inputs)
            out = node.apply(inputs, constants)
            if visit is not None and isinstance(node, Nonlinearity):
                visit(node, inputs, out)
            env[node.name] = out
            for name in dead:
                del env[name]
        return env[self.output]

    @cached_property
    def _dead(self) -> list[tuple[str, ...]]:
        return self.last_uses()

    def last_uses(self) -> list[tuple[str, ...]]:
        """For each node, the values that nobody reads after it (so that a run can drop them)."""
        last: dict[str, int] = {}
        for i, node in enumerate(self.nodes):
            last[node.name] = i
            last.update(dict.fromkeys(node.inputs, i))
        last.pop(self.output, None)
        dead: list[list[str]] = [[] for _ in self.nodes]
        for name, i in last.items():
            dead[i].append(name)
        return [tuple(names) for names in dead]

    def pruned(self) -> Graph:
        """The same function without the nodes that the output does not depend on."""
        needed = {self.output}
        for node in reversed(self.nodes):
            if node.name in needed:
                needed.update(node.inputs)
        return Graph(tuple(node for node in self.nodes if node.name in needed), self.output)

    def between(self, start: str, end: str) -> Graph:
        """The part that computes ``end`` from ``start``; nodes that need anything before ``start`` are kept and will show."""
        at = next((i for i, node in enumerate(self.nodes) if node.name == start), -1)
        return Graph(self.nodes[at + 1 :], end).pruned()
