"""The pieces of a traced network at a point, in Fractions and plain loops; slow.

Matrices are the derivatives of single nodes, windows are found with one-hot inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import torch
from torch import Tensor

from tests.oracles.rational import Exact, exact
from tropica.network.graph import INPUT, Node, NonlinearityNode
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.nonlinearities import Abs, ClampMin, LeakyRelu, Maximum, PRelu, Relu


def exact_pieces(net: PiecewiseLinearNetwork, x: Tensor) -> dict[str, list[list[int]]]:
    """For each nonlinearity and each of the points x (B, *input): the pieces that attain the maximum, unit by unit, as lists of
    0 and 1 (lower and upper piece) or of flat places of the input (windows), the first one first."""
    net = net.to(torch.float64)
    found: dict[str, list[list[int]]] = {}
    for point in x.double():
        values: dict[str, Exact] = {INPUT: exact(point[None]).ravel()}
        for node in net.graph.nodes:
            zeros = [torch.zeros(1, *net.shapes[name][1:], dtype=torch.float64) for name in node.inputs]
            given = [values[name] for name in node.inputs]
            if isinstance(node, NonlinearityNode):
                values[node.name], attaining = _bent(node, given, zeros, net.constants)
                found.setdefault(node.name, []).append(attaining)
            else:
                values[node.name] = _affine(node, given, zeros, net.constants)
    return found


def _affine(node: Node, given: list[Exact], zeros: list[Tensor], constants: Mapping[str, Tensor]) -> Exact:
    def flat(*inputs: Tensor) -> Tensor:
        return node.apply([z.reshape(zero.shape) for z, zero in zip(inputs, zeros, strict=True)], constants).flatten()

    with torch.inference_mode(False), torch.enable_grad():
        jacobians = torch.autograd.functional.jacobian(flat, tuple(z.flatten() for z in zeros))
    total = exact(flat(*zeros))
    for jacobian, z in zip(jacobians, given, strict=True):
        total = total + exact(jacobian) @ z
    return total


def _bent(
    node: NonlinearityNode, given: list[Exact], zeros: list[Tensor], constants: Mapping[str, Tensor]
) -> tuple[Exact, list]:
    op, z = node.op, given[0]
    if isinstance(op, Maximum):
        shape = torch.broadcast_shapes(*(zero.shape for zero in zeros))
        places = [torch.arange(zero.numel()).reshape(zero.shape).expand(shape).flatten().tolist() for zero in zeros]
        pieces = [[given[0][i], given[1][j]] for i, j in zip(*places, strict=True)]
    elif isinstance(op, ClampMin):
        levels = exact(torch.broadcast_to(node.roles(constants)["level"], zeros[0].shape)).ravel()
        pieces = [[level, value] for level, value in zip(levels, z, strict=True)]
    elif isinstance(op, Relu | LeakyRelu | PRelu | Abs):
        slopes = exact(-node.apply([zeros[0] - 1], constants)).ravel()
        # At z = 0 both pieces are 0; a leaky relu of slope 1 is one piece everywhere, and its sign still counts.
        attaining = [[0, 1] if value == 0 else [int(value > 0)] for value in z]
        return z * [slope if value < 0 else Fraction(1) for slope, value in zip(slopes, z, strict=True)], attaining
    else:
        size = zeros[0].numel()
        one_hot = torch.eye(size, dtype=torch.float64).reshape(size, *zeros[0].shape[1:])
        member = torch.cat([op(row[None]).flatten()[None] for row in one_hot]).T > 0.5
        windows = [row.nonzero().flatten().tolist() for row in member]
        tops = [max(z[i] for i in window) for window in windows]
        attaining = [[i for i in window if z[i] == top] for window, top in zip(windows, tops, strict=True)]
        return exact(torch.zeros(len(tops))) + tops, attaining
    tops = [max(pair) for pair in pieces]
    return exact(torch.zeros(len(tops))) + tops, [
        [i for i in (0, 1) if p[i] == top] for p, top in zip(pieces, tops, strict=True)
    ]
