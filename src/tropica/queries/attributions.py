"""``tp.integrated_gradients``: exact, from all breakpoints of the segment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tropica.errors import InputError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.trace import as_network
from tropica.queries.breakpoints import Segments, block_size, breakpoints
from tropica.queries.ties import Ties, find_ties
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.html import TableRepr
from tropica.runtime.progress import ProgressCallback, progress_callback

SEGMENTS = 16
"""Segments whose breakpoints are found at a time."""


@dataclass(frozen=True, eq=False, repr=False)
class Attributions(TableRepr):
    """Integrated gradients of B points, for several baselines of B × K segments.

    Attributes:
        values: (B, *input) or (B, K, *input) in float64.
        target: (B,) the output that is attributed.
        residual: (B,) or (B, K): |Σ values − (N(x) − N(baseline))| relative to the sum of all |terms|.
        tied: the fraction of each segment along which a unit's row is 0 (or a window's two largest inputs are equal) while its
            gradient in x is not: attributions are not unique there, and PyTorch's gradient is taken.
        pieces: how many affine pieces each segment was cut into.

    >>> import torch, tropica as tp
    >>> net = tp.from_layers([([[1.0], [-1.0]], None), ([[1.0, 1.0]], None)])  # |x|
    >>> found = tp.integrated_gradients(net, torch.tensor([[3.0]]).double(), torch.tensor([-1.0]).double())
    >>> found.values.tolist(), found.residual.tolist(), found.pieces.tolist()
    ([[2.0]], [0.0], [2])
    """

    values: Tensor
    target: Tensor
    residual: Tensor
    tied: Tensor
    pieces: Tensor

    def __len__(self) -> int:
        return len(self.values)

    def mean(self) -> Tensor:
        """The mean over the baselines (B, *input)."""
        return self.values.mean(1) if self.residual.ndim == 2 else self.values

    def to_dataframe(self) -> Any:
        """A row for each segment: target, residual, tied fraction, pieces."""
        import pandas as pd

        each = self.residual.numel() // max(len(self), 1)
        facts = {"target": self.target.repeat_interleave(each), "residual": self.residual, "tied": self.tied}
        return pd.DataFrame({k: v.flatten().numpy() for k, v in {**facts, "pieces": self.pieces}.items()})

    def __repr__(self) -> str:
        worst = float(self.residual.max()) if self.residual.numel() else 0.0
        tied = int((self.tied > 0).sum())
        return f"Attributions({self.residual.numel():,} segments, residual ≤ {worst:.1e}, {tied:,} with ties)"


@own_settings()
def integrated_gradients(
    net: PiecewiseLinearNetwork | torch.nn.Module,
    x: Tensor,
    baseline: Tensor | None = None,
    *,
    target: int | Tensor | None = None,
    progress: bool | ProgressCallback = False,
) -> Attributions:
    """Integrate the gradient along the segment from a baseline to each point, without a Riemann sum.

    IG_i(x) = (x_i − b_i) ∫₀¹ ∂N_target(b + t (x − b)) / ∂x_i dt. Along the segment the network is affine between breakpoints,
    so the integral is the sum of length × slope over the pieces. The network of real numbers is that of ``net``'s weights;
    gradients are computed in float64.

    Args:
        net: a network or a module.
        x: points (B, *input).
        baseline: (*input) or (1, *input), one for all points, 0 by default; or (K, *input), K > 1, each for all points.
        target: an output, for all points or for each (B,); by default the label at each point.
        progress: a bar, or a function of (segments, total, message).

    Raises:
        InputError: shapes that do not fit, numbers that are not finite, or an output that there is not.

    Source: Sundararajan, Taly and Yan, ICML 2017.

    >>> import torch, tropica as tp
    >>> layers = [([[1.0, 0.0], [0.0, 1.0]], None), ([[1.0, -1.0]], [-1.0]), ([[1.0]], None)]
    >>> net = tp.from_layers(layers)  # relu(relu(x) − 1 − relu(y))
    >>> tp.integrated_gradients(net, torch.tensor([[3.0, 1.0]], dtype=torch.float64)).values
    tensor([[ 1.5000, -0.5000]], dtype=torch.float64)
    """
    net = as_network(net, x)
    exact = net.to(torch.float64).to("cpu")
    points = _checked(x, net, "x")
    starts, several = _baselines(baseline, net)
    targets = _targets(target, net, points)
    segments = Segments(starts.repeat(len(points), *(1,) * (starts.ndim - 1)), points.repeat_interleave(len(starts), 0))
    outputs = targets.repeat_interleave(len(starts))
    parts: list[tuple[Tensor, ...]] = []
    with progress_callback(progress) as report:
        for first in range(0, len(segments.start), SEGMENTS):
            block = slice(first, first + SEGMENTS)
            some = Segments(segments.start[block], segments.end[block])
            parts.append(_integrated(exact, some, outputs[block]))
            if report is not None:
                report(min(first + SEGMENTS, len(segments.start)), len(segments.start), "segments")
    empty = segments.start.new_zeros(0)
    joined = [torch.cat(p) for p in zip(*parts, strict=True)] if parts else [segments.start, empty, empty, empty.long()]
    lead = (len(points), len(starts)) if several else (len(points),)
    values, residual, tied, pieces = (p.reshape(*lead, *p.shape[1:]) for p in joined)
    return Attributions(values, targets, residual, tied, pieces)


def _integrated(net: PiecewiseLinearNetwork, segments: Segments, target: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Attributions (S, *input), residuals, tied fractions and numbers of pieces (S,) of some segments."""
    points = breakpoints(net, segments)
    owner, a, b = points.pieces()
    ties = find_ties(net, segments, points)
    count = len(segments.start)
    step = segments.end - segments.start
    values, size = torch.zeros_like(step), torch.zeros_like(step)
    for some in torch.arange(len(owner)).split(max(1, block_size(net) // 4)):
        gradient = _gradients(net, segments, owner[some], (a[some] + b[some]) / 2, target, some, ties)
        length = (b[some] - a[some]).reshape(-1, *(1,) * (step.ndim - 1))
        values.index_add_(0, owner[some], gradient * length)
        size.index_add_(0, owner[some], gradient.abs() * length)
    values = values * step
    with torch.no_grad():
        ends = torch.cat([net(segments.start), net(segments.end)]).reshape(2, count, -1)
    gained = (ends[1] - ends[0]).gather(1, target[:, None])[:, 0]
    terms = (size * step.abs()).flatten(1).sum(1)
    wrong = (values.flatten(1).sum(1) - gained).abs()
    tied = torch.zeros(count, dtype=torch.float64).index_add_(0, owner, (b - a) * ties.tied)
    residual = torch.where(terms > 0, wrong / terms.clamp(min=torch.finfo(torch.float64).tiny), wrong)
    return values, residual, tied.clamp(max=1.0), torch.bincount(owner, minlength=count)


def _gradients(
    net: PiecewiseLinearNetwork, segments: Segments, owner: Tensor, t: Tensor, target: Tensor, numbers: Tensor, ties: Ties
) -> Tensor:
    """PyTorch's gradients of the targets at points of pieces, with exact values of units that may be tied."""
    x = segments.at(owner, t).requires_grad_()
    with torch.enable_grad():
        out = net(x) if not ties.any(numbers) else ties.evaluate(net, x, numbers)
        chosen = out.gather(1, target[owner][:, None]).sum()
    if not chosen.requires_grad:
        return torch.zeros_like(x)
    return torch.autograd.grad(chosen, x, allow_unused=True, materialize_grads=True)[0]


def _checked(x: object, net: PiecewiseLinearNetwork, name: str) -> Tensor:
    """Points (B, *input) in float64 on the CPU."""
    if not isinstance(x, Tensor):
        raise InputError(f"{name} must be a torch.Tensor; got {type(x).__name__}")
    if tuple(x.shape[1:]) != net.input_shape or x.ndim != len(net.input_shape) + 1:
        wanted = ", ".join(map(str, ("B", *net.input_shape)))
        raise InputError(f"{name} has shape {tuple(x.shape)}; this network takes ({wanted})")
    found = x.detach().to("cpu", torch.float64)
    if not bool(torch.isfinite(found).all()):
        raise InputError(f"{name} must be finite; it has a NaN or an infinity")
    return found


def _baselines(baseline: Tensor | None, net: PiecewiseLinearNetwork) -> tuple[Tensor, bool]:
    """Baselines (K, *input), and whether there are several."""
    if baseline is None:
        return torch.zeros(1, *net.input_shape, dtype=torch.float64), False
    if isinstance(baseline, Tensor) and tuple(baseline.shape) == net.input_shape:
        baseline = baseline.unsqueeze(0)
    found = _checked(baseline, net, "baseline")
    if not len(found):
        raise InputError("baseline has no points")
    return found, len(found) > 1


def _targets(target: int | Tensor | None, net: PiecewiseLinearNetwork, x: Tensor) -> Tensor:
    """The output of each point."""
    outputs = net.num_outputs
    if target is None:
        with torch.no_grad():
            return net.to(torch.float64).to("cpu")(x).argmax(1)
    found = torch.as_tensor(target, device="cpu")
    if found.is_floating_point() or found.dtype == torch.bool or found.shape not in ((), (len(x),)):
        raise InputError(f"target must be one output, or one for each of the {len(x)} points; found {target!r}")
    if found.numel() and not bool(((found >= 0) & (found < outputs)).all()):
        raise InputError(f"target must be an output 0 … {outputs - 1}; found {target!r}")
    return found.long().expand(len(x)).clone()
