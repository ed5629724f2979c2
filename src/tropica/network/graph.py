"""Intermediate representation of a network: a directed acyclic graph of affine ops and nonlinearities.

All code after tracing uses this representation alone. A graph lists its nodes in topological order. A node names its inputs and
its constants; the tensors of the constants are kept outside the graph, so that one graph serves every dtype and device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar, overload

import torch
from torch import Tensor

from tropica.errors import InputError
from tropica.network.nonlinearities import Nonlinearity

if TYPE_CHECKING:
    from pandas import DataFrame

V = TypeVar("V")
Given = Tensor | Mapping[str, Tensor]

INPUT = "input"
"""Name of the network's input in a graph."""


@dataclass(frozen=True)
class Origin:
    """Location of a node in the user's code: ATen op, module path, ``file:line  code``."""

    op: str = ""
    path: str = ""
    source: str = ""


@dataclass(frozen=True)
class Node:
    """A node: its name, the names of its inputs, the names of its constants by role, and its origin."""

    name: str
    inputs: tuple[str, ...]
    constants: Mapping[str, str] = field(default_factory=dict)
    origin: Origin = Origin()

    def apply(self, inputs: Sequence[Tensor], constants: Mapping[str, Tensor]) -> Tensor:
        """The node's output for its inputs; ``constants`` has the constants of the whole graph."""
        raise NotImplementedError

    @property
    def signature(self) -> str:
        """Text that identifies the function of the node, equal in all processes."""
        raise NotImplementedError

    def roles(self, constants: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The node's constants by role."""
        return {role: constants[name] for role, name in self.constants.items()}


@dataclass(frozen=True)
class AffineNode(Node):
    """An affine op ``y = J x + c``, given as the function ``fn(*inputs, **constants)`` in place of a matrix.

    If a constant has the role ``weight``, J is linear in it: J⁺ and J⁻ are ``fn`` with the positive and the negative part of
    the weight. Without a weight the entries of J are nonnegative, up to one sign for each input (``signs``: ``a − b`` has
    (1, −1)).

    ``settings`` is the text of the numbers that ``fn`` closes over (strides, dimensions, sizes). The fingerprint has this
    text, as a function cannot be hashed by what it computes.
    """

    fn: Callable[..., Tensor] = torch.clone
    signs: tuple[int, ...] = ()
    settings: str = ""

    @property
    def weighted(self) -> bool:
        """Whether J may have entries of either sign."""
        return "weight" in self.constants

    def apply(self, inputs: Sequence[Tensor], constants: Mapping[str, Tensor]) -> Tensor:
        return self.fn(*inputs, **self.roles(constants))

    @property
    def signature(self) -> str:
        return f"{self.origin.op} {self.settings} {self.signs}"


@dataclass(frozen=True)
class NonlinearityNode(Node):
    """A nonlinearity ``h = op(z)``: every output is a maximum of affine functions of the inputs."""

    op: Nonlinearity = field(default_factory=Nonlinearity)
    unit_shape: tuple[int, ...] = ()

    def apply(self, inputs: Sequence[Tensor], constants: Mapping[str, Tensor]) -> Tensor:
        return self.op(*inputs, **self.roles(constants))

    @property
    def signature(self) -> str:
        return repr(self.op)

    @property
    def units(self) -> int:
        """Number of output units for one point."""
        return int(torch.Size(self.unit_shape).numel())

    @property
    def path(self) -> str:
        """Path of the module that the nonlinearity is in, as in ``model.get_submodule``."""
        return self.origin.path

    def per_point(self, h: Tensor, points: int) -> Tensor:
        """View the output, or its cotangent, as (points, *unit_shape)."""
        return h.reshape(points, *self.unit_shape)


class Nonlinearities(tuple[NonlinearityNode, ...]):
    """The nonlinearities of a network in forward order; a notebook shows them as a table."""

    def to_dataframe(self) -> DataFrame:
        """A row for each: its name, its kind, the path of its module, the shape and the number of its units."""
        from pandas import DataFrame

        rows = [(node.name, node.op.name, node.path, "×".join(map(str, node.unit_shape)), node.units) for node in self]
        return DataFrame(rows, columns=["name", "kind", "module", "shape", "units"])

    def __repr__(self) -> str:
        return f"Nonlinearities({', '.join(f'{node.name}: {node.units:,} units' for node in self)})"

    def _repr_html_(self) -> str:
        return self.to_dataframe().to_html(index=False)


Visitor = Callable[[NonlinearityNode, tuple[Tensor, ...], Tensor], None]
"""Callback at each nonlinearity: its arguments are the node, the inputs and the output."""


@dataclass(frozen=True)
class Graph:
    """Nodes in topological order and the name of the output."""

    nodes: tuple[Node, ...]
    output: str

    @property
    def nonlinearities(self) -> Nonlinearities:
        """The nonlinearities in forward order."""
        return Nonlinearities(node for node in self.nodes if isinstance(node, NonlinearityNode))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all values: the input, then each node in order."""
        return (INPUT, *(node.name for node in self.nodes))

    @overload
    def evaluate(
        self, x: Given, constants: Mapping[str, Tensor], *, stop: str | None = None, visit: Visitor | None = None
    ) -> Tensor: ...

    @overload
    def evaluate(
        self,
        x: Given,
        constants: Mapping[str, Tensor],
        *,
        stop: str | None = None,
        keep: Iterable[str],
        visit: Visitor | None = None,
    ) -> dict[str, Tensor]: ...

    def evaluate(
        self,
        x: Given,
        constants: Mapping[str, Tensor],
        *,
        stop: str | None = None,
        keep: Iterable[str] | None = None,
        visit: Visitor | None = None,
    ) -> Tensor | dict[str, Tensor]:
        """Compute the output, or other values, of a batch.

        Only nodes that the result depends on are evaluated. A value is dropped after its last use unless ``keep`` names it.
        Autograd records the evaluation if the caller's mode enables it.

        Args:
            x: the input (B, *input), or the values by name that the evaluation starts from (the cut tensor, say).
            constants: the tensors that the nodes name.
            stop: name of the value to compute; the output by default.
            keep: names of further values to return.
            visit: function called at each nonlinearity, in forward order, with the node, its inputs and its output.

        Returns:
            The value of ``stop``; with ``keep`` a dictionary of the kept values and of ``stop``.

        Raises:
            InputError: the result depends on a value that cannot be computed from the given values.
        """

        def step(node: Node, inputs: Sequence[Tensor]) -> Tensor:
            out = node.apply(inputs, constants)
            if visit is not None and isinstance(node, NonlinearityNode):
                visit(node, tuple(inputs), out)
            return out

        values = self.interpret(x if isinstance(x, Mapping) else {INPUT: x}, step, stop=stop, keep=keep or ())
        return values if keep is not None else values[stop or self.output]

    def interpret(
        self,
        values: Mapping[str, V],
        step: Callable[[Node, Sequence[V]], V],
        *,
        stop: str | None = None,
        keep: Iterable[str] = (),
    ) -> dict[str, V]:
        """Evaluate the graph on values of any type: ``step`` computes a node's value from the values of its inputs.

        :meth:`evaluate` is the case of tensors; other values are polynomials and exact affine functions.
        """
        wanted = tuple(dict.fromkeys((*keep, stop or self.output)))
        env = dict(values)
        for node, unused in self._schedule(frozenset(values), frozenset(wanted)):
            env[node.name] = step(node, [env[name] for name in node.inputs])
            for name in unused:
                del env[name]
        return {name: env[name] for name in wanted}

    @cached_property
    def _schedules(self) -> dict[tuple[frozenset[str], frozenset[str]], list[tuple[Node, tuple[str, ...]]]]:
        return {}

    def _schedule(self, given: frozenset[str], wanted: frozenset[str]) -> list[tuple[Node, tuple[str, ...]]]:
        """Nodes that compute the wanted values from the given ones, each with the values that no later node reads."""
        if (given, wanted) not in self._schedules:
            nodes, needed = _ancestors(self.nodes, given, wanted)
            missing = needed - given - {node.name for node in nodes}
            if missing:
                raise InputError(
                    f"the value of {', '.join(sorted(missing))} is needed, and {', '.join(sorted(given))} is given"
                )
            self._schedules[given, wanted] = list(zip(nodes, _last_uses(nodes, wanted), strict=True))
        return self._schedules[given, wanted]

    def last_uses(self) -> list[tuple[str, ...]]:
        """Names of the values that can be dropped after each node, as no later node reads them."""
        return _last_uses(self.nodes, {self.output})

    def pruned(self) -> Graph:
        """The graph without the nodes that the output does not depend on."""
        return Graph(_ancestors(self.nodes, set(), {self.output})[0], self.output)

    def between(self, start: str, end: str) -> Graph:
        """The nodes after ``start`` that ``end`` depends on; some of them may read values from before ``start``."""
        at = next((i for i, node in enumerate(self.nodes) if node.name == start), -1)
        return Graph(self.nodes[at + 1 :], end).pruned()


def _ancestors(nodes: Sequence[Node], given: Set[str], wanted: Set[str]) -> tuple[tuple[Node, ...], set[str]]:
    """Nodes that the wanted values depend on, back to the given values, and the names of all values involved."""
    needed = set(wanted)
    found: list[Node] = []
    for node in reversed(nodes):
        if node.name in needed and node.name not in given:
            needed.update(node.inputs)
            found.append(node)
    return tuple(reversed(found)), needed


def _last_uses(nodes: Sequence[Node], keep: Set[str]) -> list[tuple[str, ...]]:
    """Names of the values that can be dropped after each node: no later node reads them, and they are not in ``keep``."""
    last: dict[str, int] = {}
    for i, node in enumerate(nodes):
        last[node.name] = i
        last.update(dict.fromkeys(node.inputs, i))
    unused: list[list[str]] = [[] for _ in nodes]
    for name, i in last.items():
        if name not in keep:
            unused[i].append(name)
    return [tuple(names) for names in unused]
