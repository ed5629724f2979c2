"""``drop_generators``: fewer hidden units in a network with one hidden layer, with a bound on the error in a box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tropica.errors import InputError
from tropica.regions.domains.constructors import Box
from tropica.runtime.html import HtmlRepr
from tropica.tropical.to_network import linear_layer


class SmallerLayer(nn.Module):
    """x ↦ W₂ relu(W₁ x + b₁) + A x + c: the kept hidden units, and the affine function that replaces the others."""

    def __init__(self, hidden: nn.Linear | None, outer: Tensor, affine: nn.Linear) -> None:
        super().__init__()
        self.hidden, self.affine = hidden, affine
        self.register_buffer("outer", outer)
        self.outer: Tensor

    def forward(self, x: Tensor) -> Tensor:
        if self.hidden is None:
            return self.affine(x)
        return torch.relu(self.hidden(x)) @ self.outer.T + self.affine(x)


@dataclass(frozen=True, eq=False)
class SmallerNetwork(HtmlRepr):
    """A network with fewer hidden units.

    Attributes:
        module: a :class:`SmallerLayer` in eval mode.
        kept: (k,) the indices of the kept hidden units; parallel units count as the first one.
        bound: (num_outputs,) a bound on the change of each output anywhere in the box.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1)).double().eval()
    >>> smaller = tp.tropical.drop_generators(model, tp.Box(-1, 1, d=2), keep=6)
    >>> x = 2 * torch.rand(100, 2, dtype=torch.float64) - 1
    >>> len(smaller.kept) <= 6, bool(smaller.error(model, x) <= smaller.bound.max() + 1e-12)
    (True, True)
    """

    module: SmallerLayer
    kept: np.ndarray
    bound: np.ndarray

    def __repr__(self) -> str:
        bound = float(self.bound.max(initial=0.0))
        return f"SmallerNetwork({len(self.kept)} hidden units, error at most {bound:.3g} in the box)"

    def error(self, model: nn.Module, x: Tensor) -> float:
        """The largest difference from a model at points x."""
        with torch.no_grad():
            return float((self.module(x) - model(x)).abs().max())


def drop_generators(model: nn.Sequential, box: Box, *, keep: int) -> SmallerNetwork:
    """Reduce a network of one hidden ReLU layer to ``keep`` hidden units, with a bound on the error in a box.

    A hidden unit z = ⟨w, x⟩ + b is a generator of the zonotopes P(F) and P(G), the segment from (w⁻, 0) to (w⁺, b). The
    generator is replaced by a point on the segment: relu(z) by λz + μ with λ = u / (u − l) and μ = −λl / 2, where z ranges
    from l to u in the box. The error is at most −ul / (2(u − l)), and 0 where z has one sign. The units with the smallest
    errors are replaced; parallel generators are merged first, without error.

    Args:
        model: Linear, ReLU, Linear.
        box: the domain of the bound.
        keep: number of hidden units to keep, 0 or more.

    Raises:
        InputError: another kind of model, or a box of a wrong dimension.

    >>> model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1)).double().eval()
    >>> smaller = drop_generators(model, Box(-1, 1, d=2), keep=6)
    >>> x = torch.rand(500, 2, dtype=torch.float64) * 2 - 1
    >>> bool(smaller.error(model, x) <= smaller.bound.max() + 1e-12)
    True
    """
    w, b, a, c = _layers(model)
    if not isinstance(box, Box):
        raise InputError(f"the domain of the bound must be a Box; found a {type(box).__name__}")
    if box.dimension != w.shape[1]:
        raise InputError(f"the box has dimension {box.dimension}, the network {w.shape[1]} inputs")
    if isinstance(keep, bool) or not isinstance(keep, int) or keep < 0:
        raise InputError(f"keep is a whole number, 0 or more; found {keep!r}")
    lo, hi = box.lo, box.hi
    unit, w, b, a = _merge_parallel(w, b, a)
    middle, half = w @ (lo + hi) / 2 + b, np.abs(w) @ (hi - lo) / 2
    low, high = middle - half, middle + half
    mixed = (low < 0) & (high > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(mixed, high / (high - low), high > 0)
        shift = np.where(mixed, -high * low / (2 * (high - low)), 0.0)
    cost = np.abs(a) * shift  # (outputs, units)
    order = np.lexsort((np.arange(len(b)), -cost.max(0)))
    kept = np.sort(order[: min(keep, int((cost.max(0) > 0).sum()))])
    dropped = np.setdiff1d(np.arange(len(b)), kept)
    weight = (a[:, dropped] * slope[dropped]) @ w[dropped]
    bias = c + (a[:, dropped] * slope[dropped]) @ b[dropped] + a[:, dropped] @ shift[dropped]
    hidden = linear_layer(w[kept], b[kept]) if len(kept) else None
    module = SmallerLayer(hidden, torch.from_numpy(a[:, kept].copy()), linear_layer(weight, bias)).eval()
    return SmallerNetwork(module, unit[kept], cost[:, dropped].sum(1))


def _layers(model: nn.Module) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    parts = list(model) if isinstance(model, nn.Sequential) else []
    match parts:
        case [nn.Linear() as first, nn.ReLU(), nn.Linear() as last]:
            return (*_numbers(first), *_numbers(last))
    raise InputError(f"nn.Sequential(Linear, ReLU, Linear) is needed; found {type(model).__name__}({_names(parts)})")


def _names(parts: list[nn.Module]) -> str:
    return ", ".join(type(part).__name__ for part in parts)


def _numbers(layer: nn.Linear) -> tuple[np.ndarray, np.ndarray]:
    weight = layer.weight.detach().double().cpu().numpy()
    bias = np.zeros(len(weight)) if layer.bias is None else layer.bias.detach().double().cpu().numpy()
    return weight, bias


def _merge_parallel(w: np.ndarray, b: np.ndarray, a: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Merge units whose (w, b) are positive multiples of each other: relu(s·z) = s·relu(z)."""
    rows = np.concatenate([w, b[:, None]], 1)
    length = np.abs(rows).max(1)
    first: dict[tuple[float, ...], int] = {}
    shapes = (tuple((row / (s or 1)).tolist()) for row, s in zip(rows, length, strict=True))
    to = np.array([first.setdefault(shape, i) for i, shape in enumerate(shapes)])
    unit = np.unique(to)
    joined = np.zeros((len(a), len(unit)))
    for i, target in enumerate(to.tolist()):
        ratio = length[i] / length[target] if length[target] else 0.0
        joined[:, np.searchsorted(unit, target)] += a[:, i] * ratio
    return unit, w[unit], b[unit], joined
