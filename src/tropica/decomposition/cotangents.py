"""What both the calibration and the extraction do with a batch: a forward pass that keeps the nonlinearities' outputs."""

from __future__ import annotations

import torch
from torch import Tensor

from tropica.errors import InputError
from tropica.network.graph import NonlinearityNode
from tropica.network.network import PiecewiseLinearNetwork


def forward(net: PiecewiseLinearNetwork, x: Tensor) -> tuple[Tensor, list[tuple[NonlinearityNode, Tensor]]]:
    """Scores (B, labels) and the output of every nonlinearity, with the tape for backward passes (none of a nonlinearity of constants)."""
    need_gradients()
    with torch.enable_grad():
        values = net.graph.evaluate(x, net.constants, keep=[node.name for node in net.nonlinearities])
        scores = net.as_scores(values[net.graph.output])
    return scores, [(node, values[node.name]) for node in net.nonlinearities]


def need_gradients() -> None:
    """Raise InputError where PyTorch will not record anything."""
    if torch.is_inference_mode_enabled():
        raise InputError("terms are gradients, and torch.inference_mode() forbids them; torch.no_grad() will do")


def winner_seed(scores: Tensor) -> Tensor:
    """The cotangent that picks each point's largest score: one-hot rows (B, labels)."""
    return torch.zeros_like(scores).scatter_(1, scores.detach().argmax(1, keepdim=True), 1.0)


def shortfall(minus: Tensor, local: Tensor) -> Tensor:
    """How much K a nonlinearity needs for these points: max_k max(0, −g⁻_k, −g⁺_k) with g⁺ = g⁻ + ∇N, over the first dimension."""
    return (minus + local.clamp(max=0)).amin(0).clamp(max=0).abs()
