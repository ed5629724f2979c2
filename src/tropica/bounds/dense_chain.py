"""The widths of a traced network that is a chain of dense layers and (leaky) ReLUs."""

from __future__ import annotations

from tropica.errors import InputError
from tropica.network.graph import INPUT, Node, NonlinearityNode
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.nonlinearities import LeakyRelu, PRelu, Relu

DENSE = frozenset({"linear", "matmul", "mm", "addmm", "MatMul", "Gemm"})
"""Ops that multiply by a matrix, of torch and of ONNX."""
ENTRYWISE = frozenset(
    {"flatten", "view", "reshape", "_unsafe_view", "unflatten", "squeeze", "unsqueeze", "clone", "contiguous"}
    | {"batch_norm", "_native_batch_norm_legit_no_training", "add", "sub", "mul", "div", "neg", "addmm"}
    | {"Reshape", "BatchNormalization", "Add", "Sub", "Mul", "Div", "Neg", "Gemm", "scale"}
)
"""Ops that map each entry to one entry: they may stand anywhere in a chain, as a part of the adjacent dense layer."""


def dense_chain(net: PiecewiseLinearNetwork) -> tuple[int, tuple[int, ...], bool]:
    """The input dimension, the hidden widths, and whether some units are leaky ReLUs.

    In a chain, dense layers alternate with ReLUs, leaky ReLUs or PReLUs. Flatten, reshape, batch norm, and sums and products
    with constants may stand in between; the ops after the last activation are the output layer.

    Raises:
        InputError: any other network; the message names the first obstacle.
    """
    units = {name: shape.numel() for name, shape in net.shapes.items()}
    hidden: list[int] = []
    last, matrices, leaky = INPUT, 0, False
    for node in net.graph.nodes:
        if node.inputs != (last,):
            raise _not_a_chain(f"{_name(node)} reads {' and '.join(node.inputs)}, which makes a branch")
        if isinstance(node, NonlinearityNode):
            leaky |= _is_leaky(node)
            if matrices != 1:
                raise _not_a_chain(f"there are {matrices} dense layers before {_name(node)}, not one")
            hidden.append(node.units)
            matrices = 0
        else:
            matrices += _is_dense(node, net, units[last], units[node.name])
        last = node.name
    if not hidden:
        raise _not_a_chain("it has no activation")
    return units[INPUT], tuple(hidden), leaky


def _is_leaky(node: NonlinearityNode) -> bool:
    """Whether an activation is a leaky ReLU rather than a ReLU."""
    if not isinstance(node.op, (Relu, LeakyRelu, PRelu)):
        raise _not_a_chain(f"{_name(node)} is a nonlinearity of kind {node.op.name!r}")
    return not isinstance(node.op, Relu) and getattr(node.op, "slope", 1) != 0


def _is_dense(node: Node, net: PiecewiseLinearNetwork, before: int, after: int) -> bool:
    """Whether an affine op from ``before`` to ``after`` units is a dense layer rather than an entrywise op."""
    weight = net.constants.get(node.constants.get("weight", ""))
    if _op(node) in DENSE and weight is not None and weight.ndim == 2 and weight.numel() == before * after:
        return True
    if _op(node) in ENTRYWISE and before == after:
        return False
    raise _not_a_chain(f"{_name(node)} is no dense layer on all of its {before} inputs")


def _op(node: Node) -> str:
    """The name of a node's op without namespace and overload: ``linear`` for ``aten.linear.default``."""
    parts = node.origin.op.split(".")
    return parts[1] if len(parts) > 1 else node.origin.op


def _name(node: Node) -> str:
    return f"{_op(node)} ({node.origin.path or node.name})"


def _not_a_chain(found: str) -> InputError:
    return InputError(
        "the widths cannot be read off this network, which is not a chain of dense layers with a ReLU, LeakyReLU or PReLU "
        f"after each: {found}. Accepted are such chains, with flatten, reshape, batch norm and constants added or multiplied "
        "in between; or the widths as numbers, (inputs, hidden width, ..., hidden width)"
    )
