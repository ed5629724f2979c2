"""Smaller functions and networks at a measured error: without monomials that data, or hidden units that a box can spare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray
from tropica.regions.domains import Box
from tropica.tropical.modules import linear_layer
from tropica.tropical.polynomial import TropicalPolynomial
from tropica.tropical.rational import TropicalMap, TropicalRational


@dataclass(frozen=True, eq=False)
class Simplified:
    """A function with fewer monomials.

    Attributes:
        function: of the kind that was given.
        kept, dropped: numbers of monomials.
        error: the largest difference at the points that it was made on.
    """

    function: Any
    kept: int
    dropped: int
    error: float


def simplify(function: Any, points: Any, *, tolerance: float = 0.0) -> Simplified:
    """Drop the monomials that a set of points does not need: at every point what is left of a polynomial is at most
    ``tolerance`` below it. A rational function changes by at most ``tolerance`` there, too, up or down.

    The monomials that are kept are a greedy set cover: again and again the one that is within the tolerance of the maximum at
    most points where none so far is. Elsewhere the function may change more: measure it, or give more points.

    Args:
        function: a polynomial, a rational function or a map.
        points: (B, d).
        tolerance: 0 keeps the values at the points (in float64).

    Raises:
        InputError: points of another size or that are not finite, a tolerance below 0.

    >>> f = TropicalPolynomial({0: 0, 1: 0, 2: -1, 3: -3})
    >>> simplify(f, [[-1.0], [0.2], [5.0]]).function
    0 ⊕ 0⊙x₁ ⊕ -3⊙x₁³
    """
    if not isinstance(tolerance, int | float) or not 0 <= tolerance < np.inf:
        raise InputError(f"the tolerance is a number, 0 or more; found {tolerance!r}")
    try:
        x = np.atleast_2d(np.asarray(points.detach().cpu() if isinstance(points, Tensor) else points, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise InputError(f"points must be numbers; {error}") from None
    if not np.isfinite(x).all():
        raise InputError(f"points must be finite; found {x[~np.isfinite(x)][0]}")
    if isinstance(function, TropicalPolynomial):
        smaller: Any = _covering(function, x, tolerance)
        sizes = len(function), len(smaller)
    elif isinstance(function, TropicalRational):
        smaller = TropicalRational(_covering(function.f, x, tolerance), _covering(function.g, x, tolerance))
        sizes = len(function.f) + len(function.g), len(smaller.f) + len(smaller.g)
    elif isinstance(function, TropicalMap):
        parts = [simplify(r, x, tolerance=tolerance) for r in function]
        smaller = TropicalMap((part.function for part in parts), None if function.logit else function.labels)
        sizes = sum(part.kept + part.dropped for part in parts), sum(part.kept for part in parts)
    else:
        raise InputError(f"a TropicalPolynomial, TropicalRational or TropicalMap is needed; found a {type(function).__name__}")
    error = float(np.abs(np.asarray(function(x)) - np.asarray(smaller(x))).max(initial=0.0))
    return Simplified(smaller, sizes[1], sizes[0] - sizes[1], error)


def _covering(f: TropicalPolynomial, points: np.ndarray, tolerance: float) -> TropicalPolynomial:
    if points.shape[1] != f.variables or not len(points):
        raise InputError(f"points must have shape (B, {f.variables}), at least one; found {points.shape}")
    numbers = f.table.floats()
    near = np.zeros((len(f), len(points)), bool)
    for low in range(0, len(points), 1024):
        values = points[low : low + 1024] @ numbers[:, :-1].T + numbers[:, -1]
        near[:, low : low + 1024] = (values >= values.max(1, keepdims=True) - tolerance).T
    left = near.sum(1)
    open_ = np.ones(len(points), bool)
    kept: list[int] = []
    while open_.any():
        best = int(left.argmax())
        kept.append(best)
        newly = open_ & near[best]
        left -= near[:, newly].sum(1)
        open_ &= ~newly
    return TropicalPolynomial.from_table(RationalArray(f.table.numerators[sorted(kept)], f.table.denominator))


class SmallerLayer(nn.Module):
    """x ↦ W₂ relu(W₁ x + b₁) + A x + c: the hidden units that are left, and the affine function that stands for the others."""

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
class SmallerNetwork:
    """A network with fewer hidden units.

    Attributes:
        module: a :class:`SmallerLayer` in eval mode.
        kept: (k,) the hidden units that are left; parallel ones count as the first of them.
        bound: (outputs,) how far each output can be from the network's anywhere in the box.
    """

    module: SmallerLayer
    kept: np.ndarray
    bound: np.ndarray

    def error(self, model: nn.Module, x: Tensor) -> float:
        """The largest difference between the two at points x."""
        with torch.no_grad():
            return float((self.module(x) - model(x)).abs().max())


def drop_generators(model: nn.Sequential, box: Box, *, keep: int) -> SmallerNetwork:
    """Reduce a network of one hidden ReLU layer to ``keep`` hidden units, with a bound on the error in a box.

    A hidden unit z = ⟨w, x⟩ + b is a generator of the zonotopes P(F) and P(G), the segment from (w⁻, 0) to (w⁺, b). It is
    replaced by a point on it: relu(z) by λz + μ with λ = u / (u − l), μ = −λl / 2 where z goes from l to u in the box, which is
    off by at most −ul / (2(u − l)), and by nothing where z has one sign. Those are replaced that cost the least; parallel
    generators are joined first, which costs nothing.

    Args:
        model: Linear, ReLU, Linear.
        box: where the bound holds.
        keep: hidden units to keep, 0 or more.

    Raises:
        InputError: another model, or a box of other dimension.

    >>> model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1)).double().eval()
    >>> smaller = drop_generators(model, Box(-1, 1, d=2), keep=6)
    >>> x = torch.rand(500, 2, dtype=torch.float64) * 2 - 1
    >>> bool(smaller.error(model, x) <= smaller.bound.max() + 1e-12)
    True
    """
    w, b, a, c = _layers(model)
    if not isinstance(box, Box):
        raise InputError(f"a Box is needed, where the bound holds; found a {type(box).__name__}")
    if box.dimension != w.shape[1]:
        raise InputError(f"the box has dimension {box.dimension}, the network takes {w.shape[1]} numbers")
    if isinstance(keep, bool) or not isinstance(keep, int) or keep < 0:
        raise InputError(f"keep is a whole number, 0 or more; found {keep!r}")
    lo, hi = box.limits()
    unit, w, b, a = _joined_parallel(w, b, a)
    middle, half = w @ (lo + hi) / 2 + b, np.abs(w) @ (hi - lo) / 2
    low, high = middle - half, middle + half
    mixed = (low < 0) & (high > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(mixed, high / (high - low), high > 0)
        off = np.where(mixed, -high * low / (2 * (high - low)), 0.0)
    cost = np.abs(a) * off  # (outputs, units)
    order = np.lexsort((np.arange(len(b)), -cost.max(0)))
    kept = np.sort(order[: min(keep, int((cost.max(0) > 0).sum()))])
    gone = np.setdiff1d(np.arange(len(b)), kept)
    weight = (a[:, gone] * slope[gone]) @ w[gone]
    bias = c + (a[:, gone] * slope[gone]) @ b[gone] + a[:, gone] @ off[gone]
    hidden = linear_layer(w[kept], b[kept]) if len(kept) else None
    module = SmallerLayer(hidden, torch.from_numpy(a[:, kept].copy()), linear_layer(weight, bias)).eval()
    return SmallerNetwork(module, unit[kept], cost[:, gone].sum(1))


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


def _joined_parallel(w: np.ndarray, b: np.ndarray, a: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Units whose (w, b) are positive multiples of each other as one: relu(s·z) = s·relu(z)."""
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
