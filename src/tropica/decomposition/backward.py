"""The gradients of one batch of points: a forward pass and two backward passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from tropica.decomposition.cotangents import forward, target_cotangent, targets
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.double_double_pass import MinusTerms, minus_terms
from tropica.network.graph import NonlinearityNode


@dataclass(frozen=True)
class BatchTerms:
    """The terms of B points as the backward passes compute them, before centering.

    Attributes:
        labels: the label i that N gives each point, (B,).
        local, minus: ∇N_i and ∇F⁻, (B, d), in the network's dtype.
        local_value, minus_value: N_i and F⁻, (B,) float64.
        margin: the difference of the two largest scores of N, (B,) float64; 0 in regression.
        smallest_cotangent: the smallest cotangent of F⁻ and F⁺_i at any nonlinearity, relative to the largest one there; None
            if cotangents were not checked.
        double_double: ∇F⁻ and F⁻ in double-double, if the decomposition asks for it.
    """

    labels: Tensor
    local: Tensor
    minus: Tensor
    local_value: Tensor
    minus_value: Tensor
    margin: Tensor
    smallest_cotangent: float | None
    double_double: MinusTerms | None = None


def batch_terms(decomposition: DCDecomposition, x: Tensor, check: bool = False) -> BatchTerms:
    """Compute ∇N_i and ∇F⁻ at every point of a batch, where i is the label that N gives the point.

    In regression every point has a row for each output i.

    F⁻ = c⁻ + Σ_v ⟨K_v, h_v⟩, so that ∇F⁻ is one backward pass that starts with the cotangent K_v at every output h_v of a
    nonlinearity.

    Args:
        decomposition: the DC decomposition.
        x: points (B, *input_shape) in the network's dtype.
        check: compute the smallest cotangent, a part of the certificate.
    """
    points = len(x)
    x = x.detach().requires_grad_()
    scores, outputs = forward(decomposition.net, x)
    net, target = decomposition.net, targets(decomposition.net, scores)
    value_of_target = scores.detach().gather(1, target.unsqueeze(1))[:, 0].double()
    margin = torch.zeros_like(value_of_target) if net.num_targets else value_of_target - scores.detach().topk(2, 1).values[:, 1]
    weighted = [(node, h, k) for node, h in outputs if (k := decomposition.multiplier(node)) is not None]
    cotangents = _Cotangents(outputs, points) if check else None
    local = _gradient([scores], x, [target_cotangent(net, scores)], retain_graph=bool(weighted))
    if cotangents:
        cotangents.start_second_pass()
    minus = _gradient([h for _, h, _ in weighted], x, [k.expand(points, *k.shape).reshape(h.shape) for _, h, k in weighted])
    value = torch.full((points,), decomposition.constant, dtype=torch.float64, device=x.device)
    for node, h, k in weighted:
        value += node.per_point(h.detach(), points).flatten(1) @ k.flatten()
    if decomposition.input_multiplier is not None:
        k = decomposition.input_multiplier.to(x.device).flatten()
        minus = minus + k.to(minus.dtype)
        value += x.detach().flatten(1).double() @ k
    return BatchTerms(
        labels=target,
        local=local,
        minus=minus,
        local_value=value_of_target,
        minus_value=value,
        margin=margin,
        smallest_cotangent=cotangents.smallest() if cotangents else None,
        double_double=minus_terms(decomposition, x) if decomposition.double_double else None,
    )


def _gradient(outputs: Sequence[Tensor], x: Tensor, cotangents: Sequence[Tensor], retain_graph: bool = False) -> Tensor:
    """d⟨cotangents, outputs⟩/dx, (B, d); zero if the outputs do not depend on x."""
    pairs = [(out, cotangent) for out, cotangent in zip(outputs, cotangents, strict=True) if out.requires_grad]
    if not pairs:
        return torch.zeros_like(x).flatten(1).detach()
    differentiable, starts = zip(*pairs, strict=True)
    settings = {"retain_graph": retain_graph, "allow_unused": True, "materialize_grads": True}
    (gradient,) = torch.autograd.grad(differentiable, x, starts, **settings)
    return gradient.flatten(1)


class _Cotangents:
    """The smallest cotangent of F⁻ and F⁺_i at any nonlinearity, from hooks on a backward pass of N_i and then one of F⁻."""

    def __init__(self, outputs: Sequence[tuple[NonlinearityNode, Tensor]], points: int) -> None:
        self._smallest: list[Tensor] = []
        self._local: dict[str, Tensor] = {}
        self._second_pass = False
        for node, h in outputs:
            if h.requires_grad:
                h.register_hook(partial(self._arrived, node, points))

    def start_second_pass(self) -> None:
        """Mark the end of the pass of N_i, which the pass of F⁻ follows."""
        self._second_pass = True

    def smallest(self) -> float:
        """The smallest cotangent, after both passes; 0 if none arrived."""
        # Where no cotangent of F⁻ arrived (K = 0 there and at all later nonlinearities), that of F⁺_i equals that of N_i.
        for local in self._local.values():
            self._add(torch.zeros_like(local), local)
        self._local.clear()
        return float(torch.stack(self._smallest).min()) if self._smallest else 0.0  # the only copy to the host

    def _arrived(self, node: NonlinearityNode, points: int, cotangent: Tensor) -> None:
        cotangent = node.per_point(cotangent, points)
        if self._second_pass:
            local = self._local.pop(node.name, None)
            self._add(cotangent, torch.zeros_like(cotangent) if local is None else local)
        else:
            self._local[node.name] = cotangent

    def _add(self, minus: Tensor, local: Tensor) -> None:
        least = (minus + local.clamp(max=0)).min().double()
        low, high = minus.aminmax()
        scale = torch.maximum(-low, high).double()
        scale = torch.where(scale == 0, local.abs().max().double(), scale)
        self._smallest.append(least / torch.where(scale == 0, 1.0, scale))
