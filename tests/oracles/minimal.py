"""Theorem 3.3 between all pairs of points by full matrices: in float64 from plain derivatives, and in exact fractions.

Entry [j, k] compares the term of point j at x_k with the term of point k:

    P = a_k(x_k) − a_j(x_k),   D^v = a⁻_kv(x_k) − a⁻_jv(x_k)  of F⁻_v = ⟨K_v, h_v⟩,  one v a nonlinearity.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import linprog
from torch import Tensor, nn

import tropica as tp
from tests.oracles.dense import exact_at
from tropica.network.graph import NonlinearityNode


class Pairs(NamedTuple):
    """P (N, N) and D (nonlinearities, N, N) in float64, labels (N,), margins of the labels (N,), nonlinearity names."""

    local: Tensor
    minus: Tensor
    labels: Tensor
    margin: Tensor
    names: list[str]

    def least(self) -> float:
        """λ*: the largest −P/D over the pairs with P < 0 by more than rounding."""
        short = self.local < -self.rounding
        return float((-self.local / self.minus.sum(0))[short].max()) if bool(short.any()) else 0.0

    @property
    def rounding(self) -> float:
        """A bound on the rounding errors of float64."""
        return 1e-10 * float(self.local.abs().max() + torch.cat([self.minus.flatten(), self.minus.new_ones(1)]).abs().max())

    def program(self, cost: np.ndarray) -> float:
        """The least Σ cost·λ of factors λ ≥ 0 for which all pairs hold on both sides: a linear program with all of them."""
        rows = self.minus.flatten(1).T.numpy()
        found = linprog(
            cost, np.vstack([-rows, -rows]), np.concatenate([self.local.flatten().numpy(), np.zeros(len(rows))]), method="highs"
        )
        assert found.success
        return float(found.fun)


def pairs(decomposition: tp.DCDecomposition, x: Tensor) -> Pairs:
    """The matrices of all pairs for x (N, *input) in float64."""
    x = x.detach().requires_grad_()
    outputs: list[tuple[NonlinearityNode, Tensor]] = []
    net = decomposition.net
    scores = net.as_scores(net.graph.evaluate(x, net.constants, visit=lambda node, _, out: outputs.append((node, out))))
    labels = scores.argmax(1)
    best = scores.gather(1, labels[:, None])[:, 0]
    parts = [
        (h.reshape(len(x), -1) * decomposition.multipliers[nonlinearity.name].reshape(1, -1)).sum(1)
        for nonlinearity, h in outputs
    ]
    found = [_less_than_own(value, x) for value in (best, *parts)]
    top = torch.cat([scores, scores.new_full((len(x), 1), -torch.inf)], 1).topk(2, 1).values
    minus = torch.stack(found[1:]) if parts else torch.zeros(0, len(x), len(x), dtype=torch.float64)
    return Pairs(found[0], minus, labels, (top[:, 0] - top[:, 1]).detach(), [nonlinearity.name for nonlinearity, _ in outputs])


def _less_than_own(value: Tensor, x: Tensor) -> Tensor:
    """value_k − (value_j + ⟨∇_j, x_k − x_j⟩) at [j, k]."""
    gradient = torch.zeros_like(x)
    if value.requires_grad:
        (gradient,) = torch.autograd.grad(value.sum(), x, retain_graph=True, allow_unused=True, materialize_grads=True)
    flat, slope, value = x.detach().flatten(1), gradient.flatten(1), value.detach()
    at = slope @ flat.T - (slope * flat).sum(1, keepdim=True) + value[:, None]
    return value[None] - at


def exact_pairs(model: nn.Sequential, weights: list[Tensor], x: Tensor) -> tuple[list[list[Fraction]], list[list[Fraction]]]:
    """P and D without rounding, D that of all nonlinearities together, for a Sequential that ``exact_at`` takes.

    ``weights``: K of each of its activations, in order.
    """
    layers = [layer for layer in model if not isinstance(layer, nn.Flatten | nn.Dropout | nn.Identity)]
    ends = [i + 1 for i, layer in enumerate(layers) if not isinstance(layer, nn.Linear)]
    assert len(ends) == len(weights)
    points = [[Fraction(float(entry)) for entry in point.flatten()] for point in x]
    terms = []
    for point in points:
        whole = exact_at(nn.Sequential(*layers), point)
        value, weight, bias = (list(one) for one in (whole.value, whole.weight, whole.bias))
        label = max(range(len(value)), key=lambda i, v=value: (v[i], -i))
        slope, constant = [Fraction(0)] * len(point), Fraction(0)
        for end, k in zip(ends, weights, strict=True):
            part = exact_at(nn.Sequential(*layers[:end]), point)
            for scale, row, offset in zip(map(Fraction, k.flatten().tolist()), part.weight, part.bias, strict=True):
                slope = [a + scale * b for a, b in zip(slope, row, strict=True)]
                constant += scale * offset
        terms.append(((weight[label], bias[label]), (slope, constant)))

    def less(side: int) -> list[list[Fraction]]:
        def at(j: int, k: int) -> Fraction:
            weight, bias = terms[j][side]
            return sum((a * b for a, b in zip(weight, points[k], strict=True)), bias)

        return [[at(k, k) - at(j, k) for k in range(len(points))] for j in range(len(points))]

    return less(0), less(1)
