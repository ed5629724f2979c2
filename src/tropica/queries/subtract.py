"""``tp.subtract``: the difference of two networks as a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from tropica.errors import InputError
from tropica.network.graph import INPUT, AffineNode, Graph, Node, Origin
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import as_network
from tropica.runtime.arithmetic import own_settings


@own_settings()
def subtract(
    net_a: PiecewiseLinearNetwork | torch.nn.Module, net_b: PiecewiseLinearNetwork | torch.nn.Module
) -> PiecewiseLinearNetwork:
    """Subtract a network from another: x ↦ N_a(x) − N_b(x), a network of which every question can be asked.

    Where and by how much a pruned or quantized model differs from its original, or two epochs from each other. The outputs
    are those of the traced networks: logits, where a final softmax was dropped. The weights of both are kept exactly; module
    paths begin with ``a.`` and ``b.``.

    Args:
        net_a, net_b: networks with the same input shape and number of outputs, on one device.

    Returns:
        A network in float64, unless both are in float32.

    Raises:
        InputError: no traced networks, other shapes, other devices.

    >>> import torch, tropica as tp
    >>> a = tp.from_layers([([[1.0], [-1.0]], None), ([[1.0, 1.0]], None)])  # |x|
    >>> b = tp.from_layers([([[1.0]], None), ([[1.0]], None)])  # relu(x)
    >>> tp.subtract(a, b)(torch.tensor([[-2.0], [3.0]], dtype=torch.float64))
    tensor([[2.],
            [0.]], dtype=torch.float64)
    """
    net_a, net_b = as_network(net_a), as_network(net_b)
    for what, a, b in (
        ("input shape", net_a.input_shape, net_b.input_shape),
        ("number of outputs", net_a.num_outputs, net_b.num_outputs),
        ("device", net_a.device, net_b.device),
    ):
        if a != b:
            raise InputError(f"the two networks must have the same {what}; found {a} and {b}")
    dtype = torch.float32 if net_a.dtype == net_b.dtype == torch.float32 else torch.float64
    nodes: list[Node] = []
    constants: dict[str, Tensor] = {}
    for name, net in (("a", net_a), ("b", net_b)):
        exact = net.to(torch.float64)
        nodes += [_renamed(node, name) for node in exact.graph.nodes]
        constants.update(_renamed_keys(exact.constants, name))
    ends = tuple(_name(net.graph.output, name) for name, net in (("a", net_a), ("b", net_b)))
    nodes.append(AffineNode("difference", ends, {}, Origin("subtract"), torch.sub, (1, -1), "minus"))
    return PiecewiseLinearNetwork(Graph(tuple(nodes), "difference"), constants, net_a.input_shape, dtype, net_a.device)


def _name(name: str, prefix: str) -> str:
    return name if name == INPUT else f"{prefix}.{name}"


def _renamed(node: Node, prefix: str) -> Node:
    origin = replace(node.origin, path=f"{prefix}.{node.origin.path}" if node.origin.path else prefix)
    return replace(
        node,
        name=_name(node.name, prefix),
        inputs=tuple(_name(n, prefix) for n in node.inputs),
        constants={role: _name(n, prefix) for role, n in node.constants.items()},
        origin=origin,
    )


def _renamed_keys(constants: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {_name(name, prefix): c for name, c in constants.items()}
