"""Networks, decompositions and terms of the shared cases in float64, each computed once per test run."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor

import tropica as tp
from tests.traced import by_name as by_name
from tests.traced import by_op as by_op
from tests.traced import case_of as case_of
from tests.traced import traced as network
from tropica.network.graph import NonlinearityNode

METHODS = ("calibrated", "paper")
POINTS = 32
by_method = pytest.mark.parametrize("method", METHODS)


@cache
def points(name: str, n: int = POINTS, seed: int = 0) -> Tensor:
    """Standard normal points for a case; the first point is the origin, where many networks have ties."""
    x = case_of(name).inputs(n, seed, torch.float64)
    x[0] = 0
    return x


@cache
def decomposition_of(name: str, method: str) -> tp.DCDecomposition:
    """The decomposition of a case on its points."""
    return tp.decompose(network(name), points(name), method=method)


@cache
def terms_of(name: str, method: str) -> tp.LinearTerms:
    """The terms of a case at its points, whether or not their certificate holds."""
    return tp.extract(network(name), points(name), decomposition_of(name, method), on_failure="warn")


def f_minus_and_scores(
    decomposition: tp.DCDecomposition, x: Tensor
) -> tuple[Tensor, Tensor, list[NonlinearityNode], list[Tensor]]:
    """F⁻(x) = c⁻ + Σ ⟨K_v, h_v(x)⟩ (B,), the scores, the nonlinearities and their outputs h_v."""
    nonlinearities: list[NonlinearityNode] = []
    outputs: list[Tensor] = []

    def visit(nonlinearity: NonlinearityNode, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        nonlinearities.append(nonlinearity)
        outputs.append(out)

    scores = decomposition.net.as_scores(decomposition.net.graph.evaluate(x, decomposition.net.constants, visit=visit))
    total = torch.full((len(x),), decomposition.constant, dtype=x.dtype)
    for nonlinearity, h in zip(nonlinearities, outputs, strict=True):
        total = total + (h.reshape(len(x), -1) * decomposition.multipliers[nonlinearity.name].to(x.dtype).reshape(1, -1)).sum(1)
    if decomposition.input_multiplier is not None:
        total = total + (x.reshape(len(x), -1) * decomposition.input_multiplier.to(x.dtype).reshape(1, -1)).sum(1)
    return total, scores, nonlinearities, outputs


def cotangents(decomposition: tp.DCDecomposition, x: Tensor) -> list[tuple[NonlinearityNode, Tensor, Tensor]]:
    """dF⁻/dh_v and dF⁺_i/dh_v (B, *units) for each nonlinearity, by automatic differentiation of F.

    Both include K_v; i is the label that N predicts at each point.
    """
    x = x.detach().requires_grad_()
    minus, scores, nonlinearities, outputs = f_minus_and_scores(decomposition, x)
    moving = [(nonlinearity, h) for nonlinearity, h in zip(nonlinearities, outputs, strict=True) if h.requires_grad]
    if not moving:
        return []
    best = scores.gather(1, scores.argmax(1, keepdim=True)).sum()
    of_minus, of_plus = (
        torch.autograd.grad(total, [h for _, h in moving], retain_graph=True, allow_unused=True, materialize_grads=True)
        for total in (minus.sum(), minus.sum() + best)
    )
    return [
        (nonlinearity, a.reshape(len(x), *nonlinearity.unit_shape), b.reshape(len(x), *nonlinearity.unit_shape))
        for (nonlinearity, _), a, b in zip(moving, of_minus, of_plus, strict=True)
    ]


def smallest_cotangent(decomposition: tp.DCDecomposition, x: Tensor) -> float:
    """The smallest negative cotangent, relative to the largest at the same nonlinearity; 0 if none is negative."""
    worst = 0.0
    for _, *pair in cotangents(decomposition, x):
        both = torch.cat(pair)
        worst = min(worst, float(both.min() / both.abs().max().clamp(min=1e-300)))
    return worst
