"""The forward pass and the cotangents that the calibration and the extraction share."""

from __future__ import annotations

import torch
from torch import Tensor

from tropica.network.graph import NonlinearityNode
from tropica.network.network import PiecewiseLinearNetwork


def forward(net: PiecewiseLinearNetwork, x: Tensor) -> tuple[Tensor, list[tuple[NonlinearityNode, Tensor]]]:
    """Compute the scores (B, num_classes) and the output of every nonlinearity, recorded for backward passes.

    The output of a nonlinearity that does not depend on x has no gradient.
    """
    outputs: list[tuple[NonlinearityNode, Tensor]] = []
    with torch.enable_grad():
        logits = net.graph.evaluate(x, net.constants, visit=lambda node, _, h: outputs.append((node, h)))
        return net.as_scores(logits), outputs


def targets(net: PiecewiseLinearNetwork, scores: Tensor) -> Tensor:
    """The output that each row's term belongs to, (B,): the label; in regression, where a point has a row for each output,
    these in turn."""
    if net.num_targets:
        return torch.arange(len(scores), device=scores.device) % net.num_targets
    return scores.detach().argmax(1)


def target_cotangent(net: PiecewiseLinearNetwork, scores: Tensor) -> Tensor:
    """The cotangent of each row's target: one-hot rows (B, num_classes)."""
    return torch.zeros_like(scores).scatter_(1, targets(net, scores).unsqueeze(1), 1.0)


def required_multiplier(minus: Tensor, local: Tensor) -> Tensor:
    """The smallest K of a nonlinearity for which no cotangent of F⁻ or F⁺ is negative: max_k max(0, −g⁻_k, −g⁺_k).

    Args:
        minus: the cotangents g⁻ of F⁻ (B, *units).
        local: the cotangents of N_i, so that g⁺ = g⁻ + local.
    """
    return (minus + local.clamp(max=0)).amin(0).clamp(max=0).abs()
