"""``Builder``: a graph under construction, to which the rules of the op registry add nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor

from tropica.errors import NonFiniteWeights
from tropica.network.graph import INPUT, AffineNode, Graph, Node, NonlinearityNode, Origin
from tropica.network.nonlinearities import Nonlinearity

TWO_ACTIVATIONS = "it multiplies two activations, which is not piecewise linear; one factor must be a constant"
EXAMPLE_POINTS = 2
"""Number of points in the example batch on which a graph is built."""
META = torch.device("meta")


class Refused(Exception):
    """Refusal of a rule to translate an op with the given arguments; the message states the reason."""


@dataclass(frozen=True, eq=False)
class Value:
    """A value that depends on the network's input: its name in the graph, and for the example batch a tensor without values."""

    name: str
    example: Tensor

    @property
    def shape(self) -> torch.Size:
        """Shape on the example batch of two points."""
        return self.example.shape

    @property
    def ndim(self) -> int:
        """Number of dimensions, the batch included."""
        return self.example.ndim


@dataclass(frozen=True)
class BatchSize:
    """A multiple of the batch size: ``times`` · B."""

    times: int = 1


Operand: TypeAlias = Value | Tensor | float | int | bool
Size: TypeAlias = Sequence[int | BatchSize]
Source: TypeAlias = Callable[[str], tuple[str, Tensor] | None]


@dataclass
class Builder:
    """A graph under construction. The shape of each new node is found on the example batch; nothing is computed.

    All constants are on the CPU: a graph is independent of devices.

    Attributes:
        example: a batch of two points; only its shape and dtype count.
        nodes, constants: the nodes added so far, and their constants by name.
        origin, stem, settings: of the current op: its origin, the stem of its nodes' names, its arguments as text.
    """

    example: Tensor
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, Tensor] = field(default_factory=dict)
    origin: Origin = field(default_factory=Origin)
    stem: str = "node"
    settings: str = ""

    def __post_init__(self) -> None:
        self.input = Value(INPUT, without_values(self.example))
        self._names = {INPUT}
        self._same_for_all: set[str] = set()
        self._bare: dict[str, Tensor] = {}
        self._made: dict[str, tuple[str, Origin, str]] = {}
        self._known: dict[int, str] = {}  # `constants` keeps the tensors alive, so their ids stay unique

    def affine(self, fn: Callable[..., Tensor], *inputs: Value, **constants: Tensor | None) -> Value:
        """Add an affine op; see :class:`~tropica.network.graph.AffineNode` for ``fn`` and the role ``weight``."""
        return self._affine(fn, inputs, constants)

    def _affine(
        self,
        fn: Callable[..., Tensor],
        inputs: tuple[Value, ...],
        constants: Mapping[str, Tensor | None],
        signs: tuple[int, ...] = (),
    ) -> Value:
        name, names = self._name(), tuple(v.name for v in inputs)
        return self._add(AffineNode(name, names, self._keep(constants), self.origin, fn, signs, self.settings), inputs)

    def nonlinearity(self, op: Nonlinearity, *inputs: Value, **constants: Tensor | None) -> Value:
        """Add a nonlinearity."""
        name, names = self._name(), tuple(v.name for v in inputs)
        return self._add(NonlinearityNode(name, names, self._keep(constants), self.origin, op), inputs)

    def scale(self, x: Value, factor: Tensor | float) -> Value:
        """factor · x, with broadcasting."""
        return self.affine(lambda x, weight: x * weight, x, weight=self.tensor(factor))

    def shift(self, x: Value, offset: Tensor | float) -> Value:
        """x + offset, with broadcasting."""
        return self.affine(lambda x, bias: x + bias, x, bias=self.tensor(offset))

    def add(self, x: Value, y: Value) -> Value:
        """x + y."""
        return self.affine(torch.add, x, y)

    def sub(self, x: Value, y: Value) -> Value:
        """x − y."""
        return self._affine(torch.sub, (x, y), {}, signs=(1, -1))

    def neg(self, x: Value) -> Value:
        """−x."""
        return self._affine(torch.neg, (x,), {}, signs=(-1,))

    def for_each_point(self, constant: Tensor, size: Size) -> Value:
        """A constant expanded to a size that depends on the batch: an affine op with Jacobian 0."""
        times = [n.times if isinstance(n, BatchSize) else 0 for n in size]
        whole = [0 if isinstance(n, BatchSize) else n for n in size]

        def expand(x: Tensor, bias: Tensor) -> Tensor:
            return bias.expand([t * x.shape[0] or n for t, n in zip(times, whole, strict=True)])

        out = self.affine(expand, self.input, bias=self.tensor(constant))
        self._same_for_all.add(out.name)
        return out

    def same_for_all(self, value: Value) -> Tensor | None:
        """The value for one point, (1, ...), if it is the same for all points and whatever the input; else None."""
        if value.name not in self._same_for_all:
            return None
        point = torch.zeros(1, *self.example.shape[1:], dtype=torch.float64)
        constants = {name: cast(c, torch.float64) for name, c in self.constants.items()}
        with torch.no_grad():
            return self.graph(value).evaluate(point, constants)

    def tensor(self, number: Tensor | float) -> Tensor:
        """A constant as a floating-point tensor; Python numbers, integers and masks become float64."""
        if isinstance(number, Tensor):
            return number if number.is_floating_point() else number.to(torch.float64)
        if isinstance(number, BatchSize):
            raise Refused("it computes with the batch size as a number; a point's value may not depend on its batch")
        return torch.tensor(number, dtype=torch.float64)

    def graph(self, output: Value, source: Source = lambda stem: None) -> Graph:
        """The finished graph, without nodes that the output does not depend on.

        Args:
            output: the value to compute.
            source: for the stem of a node's name, the path and the values of a weight that is not finite, from which the
                node's constants were computed; None if there is none. It is named in the error.

        Raises:
            NonFiniteWeights: a constant that the output depends on is NaN or infinite.
        """
        graph = Graph(tuple(self.nodes), output.name).pruned()
        self._check_finite(graph, source)
        return graph

    def _name(self) -> str:
        name, i = self.stem, 0
        while name in self._names:
            i += 1
            name = f"{self.stem}.{i}"
        self._names.add(name)
        return name

    def _keep(self, constants: Mapping[str, Tensor | None]) -> dict[str, str]:
        """Store constants, each tensor once; return their names by role."""
        kept: dict[str, str] = {}
        for role, value in constants.items():
            if value is None:
                continue
            if id(value) not in self._known:
                name = self._known[id(value)] = f"{role}_{len(self.constants)}"
                self.constants[name], self._made[name] = value, (role, self.origin, self.stem)
            kept[role] = self._known[id(value)]
        return kept

    def _check_finite(self, graph: Graph, source: Source) -> None:
        for name in dict.fromkeys(name for node in graph.nodes for name in node.constants.values()):
            value, (role, at, stem) = self.constants[name], self._made[name]
            if not value.is_floating_point() or bool(torch.isfinite(value).all()):
                continue
            what, value = source(stem) or (
                f"the {role} of {at.op or 'an op'} in module {at.path or '(the model itself)'!r}",
                value,
            )
            bad = int((~torch.isfinite(value)).sum())
            raise NonFiniteWeights(f"{what} has {bad} values that are NaN or infinite; finite weights are needed")

    def _add(self, node: Node, inputs: Sequence[Value]) -> Value:
        for name in node.constants.values():
            if name not in self._bare:
                self._bare[name] = without_values(cast(self.constants[name], self.example.dtype))
        example = shape_of_node(node, [v.example for v in inputs], self.constants, self._bare)
        self.nodes.append(node)
        if node.inputs and self._same_for_all.issuperset(node.inputs):
            self._same_for_all.add(node.name)
        return Value(node.name, example)


def without_values(tensor: Tensor) -> Tensor:
    """A tensor of the same shape and dtype, without memory."""
    return torch.empty(tensor.shape, dtype=tensor.dtype, device=META)


def shape_of_node(node: Node, inputs: Sequence[Tensor], constants: Mapping[str, Tensor], bare: Mapping[str, Tensor]) -> Tensor:
    """A node's output for inputs without values: a tensor without values. ``bare`` has the constants without values."""
    if isinstance(node, NonlinearityNode) and node.op.elementwise and len(inputs) == 1:
        return inputs[0]
    with torch.no_grad():
        try:
            return node.apply(inputs, bare)
        except NotImplementedError:  # an op that torch cannot run without values
            zeros = [torch.zeros(z.shape, dtype=z.dtype) for z in inputs]
            dtype = zeros[0].dtype
            return without_values(node.apply(zeros, {name: cast(constants[name], dtype) for name in node.constants.values()}))


def activation_first(x: Operand, y: Operand) -> tuple[Value, Tensor | float]:
    """The activation and the constant of a commutative op that has one of each."""
    if isinstance(x, Value) and not isinstance(y, Value):
        return x, y
    if isinstance(y, Value) and not isinstance(x, Value):
        return y, x
    raise Refused(TWO_ACTIVATIONS)


def cast(constant: Tensor, dtype: torch.dtype) -> Tensor:
    """A constant in the working dtype; indices and masks keep their own dtype."""
    return constant.to(dtype) if constant.is_floating_point() else constant
