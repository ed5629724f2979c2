"""F⁻ and its gradient at the points of a batch in double-double arithmetic: one forward and one backward pass.

∇F⁻ of a deep network may be 10²⁰ times the gradient of N. In float64 its rounding error then exceeds N itself, and N^(X), a
difference of values of F⁻, is lost. In double-double arithmetic 30 decimal digits are left for both. The limit: where each of L
layers doubles F⁻, as in a chain of relus whose weights have norm 2, L = 100 leaves none of these digits to N.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.double_double_ops import DoubleDoubleAffine, DoubleDoubleNonlinearity
from tropica.exact.double_double import DoubleDouble, dot
from tropica.network.graph import INPUT, AffineNode, Node, NonlinearityNode


class MinusTerms(NamedTuple):
    """∇F⁻ (B, d) and F⁻ (B,) at B points."""

    gradient: DoubleDouble
    value: DoubleDouble


def minus_terms(decomposition: DCDecomposition, x: Tensor) -> MinusTerms:
    """Compute F⁻ and ∇F⁻ at points x (B, *input_shape) in float64.

    Raises:
        CertificateError: an op of the network cannot be computed in double-double arithmetic.
    """
    net, points = decomposition.net, len(x)
    graph, x = net.graph.pruned(), x.detach()
    values: dict[str, DoubleDouble] = {INPUT: DoubleDouble.of(x)}
    steps: list[_Step] = []
    total = DoubleDouble.of(torch.full((points,), decomposition.constant, dtype=torch.float64, device=x.device))
    weights = {node.name: k for node in graph.nonlinearities if (k := decomposition.multiplier(node)) is not None}
    with torch.no_grad():
        for node, unused in zip(graph.nodes, graph.last_uses(), strict=True):
            inputs = [values[name] for name in node.inputs]
            roles = node.roles(net.constants)
            if isinstance(node, NonlinearityNode):
                step = DoubleDoubleNonlinearity(node, roles, inputs)
                values[node.name] = step.value
                if node.name in weights:
                    flat = values[node.name].reshape(points, -1)
                    total = total + dot(flat, weights[node.name].flatten())
            else:
                assert isinstance(node, AffineNode)
                step = DoubleDoubleAffine(node, roles, [net.shapes[name] for name in node.inputs])
                values[node.name] = step(inputs)
            steps.append(_Step(node, step, [one.high.shape for one in inputs], values[node.name].high.shape))
            for name in unused:
                values.pop(name, None)
        gradient = _backward(steps, weights, points, x).reshape(points, -1)
        if decomposition.input_multiplier is not None:
            k = decomposition.input_multiplier.to(x.device).flatten()
            gradient = gradient.plus(k.expand_as(gradient.high))
            total = total + dot(DoubleDouble.of(x.flatten(1)), k)
    return MinusTerms(gradient, total)


class _Step(NamedTuple):
    """A node of the forward pass, its op at the points, and the shapes of its inputs and its output."""

    node: Node
    op: DoubleDoubleAffine | DoubleDoubleNonlinearity
    shapes: list[torch.Size]
    shape: torch.Size


def _backward(steps: list[_Step], weights: dict[str, Tensor], points: int, x: Tensor) -> DoubleDouble:
    """The cotangent of the input, by a backward pass that adds K at the output of each nonlinearity."""
    cotangents: dict[str, DoubleDouble] = {}
    while steps:
        node, op, shapes, shape = steps.pop()
        arriving = cotangents.pop(node.name, None)
        if node.name in weights:
            k = weights[node.name]
            start = k.expand(points, *k.shape).reshape(shape)
            arriving = DoubleDouble.of(start) if arriving is None else arriving.plus(start)
        if arriving is None:
            continue
        if isinstance(op, DoubleDoubleNonlinearity):
            pulled = op.pull_back(arriving)
        else:
            pulled = op.pull_back(arriving, [x.new_zeros(one) for one in shapes])
        for name, one in zip(node.inputs, pulled, strict=True):
            cotangents[name] = cotangents[name] + one if name in cotangents else one
    return cotangents.get(INPUT, DoubleDouble.of(torch.zeros_like(x)))
