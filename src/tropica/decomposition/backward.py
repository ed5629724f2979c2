"""One batch of points: a forward pass and two backward passes give each point's terms."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tropica.decomposition.cotangents import forward
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.network.graph import NonlinearityNode
from tropica.terms.certificate import smaller


@dataclass(frozen=True)
class BatchTerms:
    """Terms of B points as they come: gradients (B, d) and values at the points (B,).

    Both carry the rounding of the working dtype, in which the passes run; values are kept in float64, in which they are used.
    """

    labels: Tensor
    local: Tensor
    minus: Tensor
    local_value: Tensor
    minus_value: Tensor
    margin: Tensor
    smallest_cotangent: float | None


def batch_terms(decomposition: DCDecomposition, x: Tensor, check: bool = False) -> BatchTerms:
    """∇N_i and ∇F⁻ at every point of a batch, i the label that N gives the point.

    F⁻ = c⁻ + Σ ⟨K_v, h_v⟩, so ∇F⁻ is one backward pass that starts with the cotangent K_v at every nonlinearity output h_v.

    Args:
        decomposition: the DC decomposition; its network is run as it is.
        x: points (B, *input) in the network's dtype.
        check: also look at every cotangent of F⁻ and F⁺_i at every nonlinearity (the certificate): ``smallest_cotangent`` is then the smallest
            one, relative to the largest at its nonlinearity.
    """
    points = len(x)
    x = x.detach().requires_grad_()
    scores, nonlinearities = forward(decomposition.net, x)
    top, labels = scores.detach().topk(2, 1)
    labels = scores.detach().argmax(1)
    heavy = [
        (nonlinearity, h, k) for nonlinearity, h in nonlinearities if (k := decomposition.multiplier(nonlinearity)) is not None
    ]
    seed = torch.zeros_like(scores).scatter_(1, labels.unsqueeze(1), 1.0)
    watch = _Watch(nonlinearities, points) if check else None
    local = _gradient([scores], x, [seed], keep=bool(heavy))
    if watch:
        watch.next()
    minus = _gradient([h for _, h, _ in heavy], x, [k.expand(points, *k.shape).reshape(h.shape) for _, h, k in heavy])
    value = torch.full((points,), decomposition.constant, dtype=torch.float64, device=x.device)
    for nonlinearity, h, k in heavy:
        value += nonlinearity.per_point(h.detach(), points).flatten(1) @ k.flatten()
    if decomposition.input_multiplier is not None:
        k = decomposition.input_multiplier.to(x.device).flatten()
        minus = minus + k.to(minus.dtype)
        value += x.detach().flatten(1).double() @ k
    margin = (top[:, 0] - top[:, 1]).double()
    return BatchTerms(labels, local, minus, top[:, 0].double(), value, margin, watch.finish() if watch else None)


def _gradient(outputs: list[Tensor], x: Tensor, seeds: list[Tensor], keep: bool = False) -> Tensor:
    """d⟨seeds, outputs⟩/dx as (B, d); zero where the outputs do not depend on x."""
    reachable = [(out, seed) for out, seed in zip(outputs, seeds, strict=True) if out.requires_grad]
    if not reachable:
        return torch.zeros_like(x).flatten(1).detach()
    outs, cotangents = zip(*reachable, strict=True)
    (gradient,) = torch.autograd.grad(outs, x, cotangents, retain_graph=keep, allow_unused=True, materialize_grads=True)
    return gradient.flatten(1)


class _Watch:
    """Looks at the cotangents of two backward passes, of N_i and then of F⁻, at every nonlinearity."""

    def __init__(self, nonlinearities: list[tuple[NonlinearityNode, Tensor]], points: int) -> None:
        self.smallest = math.inf
        self._local: dict[str, Tensor] = {}
        self._first = True
        for nonlinearity, h in nonlinearities:
            if h.requires_grad:
                h.register_hook(lambda g, nonlinearity=nonlinearity: self._see(nonlinearity, g, points))

    def next(self) -> None:
        """The first pass is over."""
        self._first = False

    def finish(self) -> float:
        """Both are: the smallest cotangent. Where none of F⁻ arrived (K = 0 there and behind), that of F⁺_i is that of N_i."""
        for local in self._local.values():
            self._take(torch.zeros_like(local), local)
        self._local.clear()
        return 0.0 if self.smallest == math.inf else self.smallest

    def _see(self, nonlinearity: NonlinearityNode, g: Tensor, points: int) -> None:
        g = nonlinearity.per_point(g, points)
        if self._first:
            self._local[nonlinearity.name] = g
        else:
            local = self._local.pop(nonlinearity.name, None)
            self._take(g, torch.zeros_like(g) if local is None else local)

    def _take(self, minus: Tensor, local: Tensor) -> None:
        least = float((minus + local.clamp(max=0)).min())
        low, high = map(float, minus.aminmax())
        scale = max(-low, high) or float(local.abs().max()) or 1.0
        self.smallest = smaller(self.smallest, least / scale)
