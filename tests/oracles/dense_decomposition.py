"""The data-free decomposition of any small network by matrix products, with the matrix of each op found by probing.

A pair of row vectors (P, Q) ≥ 0 bounds the positive and the negative part of any cotangent. An affine op with matrix
J = J⁺ − J⁻ maps it to (P J⁺ + Q J⁻, P J⁻ + Q J⁺). At a nonlinearity's output K = Q, and A = P + Q is mapped to (A E, A L), with
E and −L the largest and the smallest slopes of the nonlinearity. The initial values, at the input of the last layer with
weights, are those of Algorithm 3.1: Q = column sums of W⁻, P = max(0, columnwise maximum of W).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tropica.network.graph import INPUT, Node, NonlinearityNode
from tropica.network.network import PiecewiseLinearNetwork

FAR = 1e6
"""Beyond every constant in a nonlinearity: there it is linear along each axis."""


class Split(NamedTuple):
    """K by nonlinearity name (flat), K of the input (flat), and the constant c⁻."""

    weights: dict[str, Tensor]
    input_weight: Tensor
    constant: float


def data_free(net: PiecewiseLinearNetwork) -> Split:
    """The data-free decomposition of a small network in float64."""
    shapes = _shapes(net)
    size = {name: shape.numel() for name, shape in shapes.items()}
    pairs = {name: [torch.zeros(n, dtype=torch.float64) for _ in "PQ"] for name, n in size.items()}
    rows = {name: torch.zeros(net.num_classes, n, dtype=torch.float64) for name, n in size.items()}
    one = torch.eye(net.num_outputs, dtype=torch.float64)
    rows[net.graph.output] = one if net.num_outputs > 1 else torch.cat([-one, one])
    weights: dict[str, Tensor] = {}
    constant = 0.0
    for node in reversed(net.graph.nodes):
        (P, Q), R = pairs[node.name], rows[node.name]
        matrices, offset = _affine(net, node, shapes) if not isinstance(node, NonlinearityNode) else ([], P)
        if isinstance(node, NonlinearityNode):
            P, Q = P + R.amax(0).clamp(min=0), Q + (-R).clamp(min=0).sum(0)
            weights[node.name] = Q
            for name, (most, least) in zip(node.inputs, _slopes(net, node, shapes), strict=True):
                _add(pairs[name], (P + Q) @ most, (P + Q) @ least)
            continue
        constant += float((-(R @ offset)).clamp(min=0).sum() + Q @ offset)
        for name, J in zip(node.inputs, matrices, strict=True):
            up, down = J.clamp(min=0), (-J).clamp(min=0)
            _add(pairs[name], P @ up + Q @ down, P @ down + Q @ up)
            if "weight" in node.constants:
                _add(pairs[name], (R @ J).amax(0).clamp(min=0), (-(R @ J)).clamp(min=0).sum(0))
            else:
                rows[name] = rows[name] + R @ J
    R = rows[INPUT]
    return Split(weights, pairs[INPUT][1] + (-R).clamp(min=0).sum(0), constant)


def _add(pair: list[Tensor], P: Tensor, Q: Tensor) -> None:
    pair[0], pair[1] = pair[0] + P, pair[1] + Q


def _shapes(net: PiecewiseLinearNetwork) -> dict[str, torch.Size]:
    values = {INPUT: torch.zeros(1, *net.input_shape, dtype=torch.float64)}
    for node in net.graph.nodes:
        values[node.name] = node.apply([values[name] for name in node.inputs], net.constants)
    return {name: value.shape for name, value in values.items()}


def _affine(net: PiecewiseLinearNetwork, node: Node, shapes: dict[str, torch.Size]) -> tuple[list[Tensor], Tensor]:
    """A matrix (outputs, inputs) for each input, and the constant."""
    offset = _run(net, node, shapes, 0, None)
    matrices = []
    for place, name in enumerate(node.inputs):
        columns = [_run(net, node, shapes, place, e) - offset for e in torch.eye(shapes[name].numel(), dtype=torch.float64)]
        matrices.append(torch.stack(columns, 1))
    return matrices, offset


def _slopes(net: PiecewiseLinearNetwork, node: NonlinearityNode, shapes: dict[str, torch.Size]) -> list[tuple[Tensor, Tensor]]:
    """For each input of a nonlinearity the largest slopes, and minus the smallest where that is negative (outputs, inputs)."""
    found = []
    for place, name in enumerate(node.inputs):
        most, least = [], []
        for e in torch.eye(shapes[name].numel(), dtype=torch.float64):
            far, near = (_run(net, node, shapes, place, s * FAR * e) for s in (2, 1))
            most.append((far - near) / FAR)
            far, near = (_run(net, node, shapes, place, s * FAR * e) for s in (-2, -1))
            least.append((far - near).clamp(min=0) / FAR)
        found.append((torch.stack(most, 1), torch.stack(least, 1)))
    return found


def _run(net: PiecewiseLinearNetwork, node: Node, shapes: dict[str, torch.Size], place: int, value: Tensor | None) -> Tensor:
    """The flattened output of the op with one input set and the others zero."""
    inputs = [torch.zeros(shapes[name], dtype=torch.float64) for name in node.inputs]
    if value is not None:
        inputs[place] = value.reshape(shapes[node.inputs[place]])
    return node.apply(inputs, net.constants).flatten()
