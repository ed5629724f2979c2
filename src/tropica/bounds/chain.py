"""The widths of a traced network that is a chain of dense layers and (leaky) ReLUs."""

from __future__ import annotations

from tropica.errors import InputError
from tropica.network.graph import INPUT, AffineNode, Node, NonlinearityNode
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.nonlinearities import LeakyRelu, PRelu, Relu

DENSE = frozenset({"linear", "matmul", "mm", "addmm"})
"""Ops that multiply by a matrix."""
ENTRYWISE = frozenset(
    {"flatten", "view", "reshape", "_unsafe_view", "unflatten", "squeeze", "unsqueeze", "clone", "contiguous"}
    | {"batch_norm", "_native_batch_norm_legit_no_training", "add", "sub", "mul", "div", "neg", "addmm"}
)
"""Ops that make of each entry one entry: they may stand anywhere in a chain, and are part of the dense layer beside them."""


def read_chain(net: PiecewiseLinearNetwork) -> tuple[int, tuple[int, ...], bool]:
    """The input dimension, the hidden widths, and whether there are leaky units.

    A dense layer, a ReLU, leaky ReLU or PReLU on its outputs, and so on; flatten, reshape, batch norm and constants added or
    multiplied may stand between; what comes after the last activation is the output layer.

    Raises:
        InputError: anything else; it names what was found.
    """
    chain = _Chain(net)
    for node in net.graph.nodes:
        chain.step(node)
    if not chain.hidden:
        raise _refused("it has no activation")
    return chain.inputs, tuple(chain.hidden), chain.leaky


class _Chain:
    """A walk along the graph, with what has been seen since the last activation."""

    def __init__(self, net: PiecewiseLinearNetwork) -> None:
        self.constants = net.constants
        self.units = {name: shape.numel() for name, shape in net.shapes.items()}
        self.inputs = self.units[INPUT]
        self.hidden: list[int] = []
        self.leaky = False
        self.last, self.matrices = INPUT, 0

    def step(self, node: Node) -> None:
        """Go on by one node."""
        if node.inputs != (self.last,):
            raise _refused(f"{_name(node)} reads {' and '.join(node.inputs)}, which makes a branch")
        if isinstance(node, NonlinearityNode):
            self._nonlinearity(node)
        else:
            self._affine(node)
        self.last = node.name

    def _nonlinearity(self, node: NonlinearityNode) -> None:
        if not isinstance(node.op, (Relu, LeakyRelu, PRelu)):
            raise _refused(f"{_name(node)} is a nonlinearity of kind {node.op.name!r}")
        if self.matrices != 1:
            raise _refused(f"there are {self.matrices} dense layers before {_name(node)}, not one")
        self.leaky |= not isinstance(node.op, Relu) and getattr(node.op, "slope", 1) != 0
        self.hidden.append(node.units)
        self.matrices = 0

    def _affine(self, node: Node) -> None:
        op = _op(node)
        before, after = self.units[self.last], self.units[node.name]
        weight = self.constants.get(node.constants.get("weight", ""))
        if op in DENSE and weight is not None and weight.ndim == 2 and weight.numel() == before * after:
            self.matrices += 1
        elif not isinstance(node, AffineNode) or op not in ENTRYWISE or before != after:
            raise _refused(f"{_name(node)} is no dense layer on all of its {before} inputs")


def _op(node: Node) -> str:
    """The bare name of the op that a node comes from: ``linear`` for ``aten.linear.default``."""
    parts = node.origin.op.split(".")
    return parts[1] if len(parts) > 1 else node.origin.op


def _name(node: Node) -> str:
    return f"{_op(node)} ({node.origin.path or node.name})"


def _refused(found: str) -> InputError:
    return InputError(
        "the widths cannot be read off this network, which is not a chain of dense layers with a ReLU, LeakyReLU or PReLU "
        f"after each: {found}. Accepted are such chains, with flatten, reshape, batch norm and constants added or multiplied "
        "in between; or the widths as numbers, (inputs, hidden width, ..., hidden width)"
    )
