"""Upper bounds of scores as one product of short rows, in float32 or bfloat16, with every rounding error counted in.

A term's row and a point's row have K = r + 5 columns each,

    f_k = (α_1 … α_r, hi, lo, rest_k, e_k, 0),    y_x = (ξ_1 … ξ_r, s, s, rest_x, z_x, 0),

where α, ξ and the two rests are those of :mod:`tropica.terms.subspace`, (hi + lo)·s is β up to rounding, and e_k z_x is at
least the sum of all errors. Then

    ⟨a_k, x⟩ + b_k  ≤  shift(x) + (the computed ⟨f_k, y_x⟩, raised as :meth:`Stage.raised` does) / scale.

Proof. Let f, y be the first r + 2 columns before rounding to the dtype and f̂, ŷ after; δ = f − f̂ and ε = y − ŷ. Then ⟨f,
y⟩ = ⟨f̂, ŷ⟩ + ⟨δ, y⟩ + ⟨f̂, ε⟩, so rounding the rows takes at most ‖δ‖‖y‖ + ‖f̂‖‖ε‖, where ‖δ‖ is computed and ‖ε‖ ≤ u‖y‖
(u is the dtype's unit; s is a power of 2). Products are summed in float32 in any order: at most γ Σ|f̂_i ŷ_i| ≤ γ‖f̂‖‖ŷ‖
for these columns, γ = (K + 8) 2⁻²³, and the last columns, all ≥ 0, are raised by more than γ of themselves. The subspace's
own error is η·size_k·size_x. Last, the score that decides is a float64 sum, or a term is known only up to a bound:
of_norm_k ‖x‖ + of_bias_k (:meth:`Functions.rounding`), with ‖x‖ ≤ size_x. So the errors are at most

    A ny + B size_x + C,    A = ‖δ‖ + (u + 2γ)(‖f‖ + ‖δ‖),    B = η size_k + of_norm_k,    C = of_bias_k + 2⁻⁴⁴ |β|,

(ny = ‖y‖), which e_k z_x exceeds with e = A + B t + C t' and z = max(ny, size_x / t, 1 / t') for any t, t' > 0. Underflow:
rows are scaled by powers of 2 to lengths near 1, no entry exceeds 2²⁰, and e_k z_x ≥ 2⁻⁸⁰, while each product and each
entry loses at most 2⁻¹²⁶."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tropica.terms.subspace import Coordinates

EXTRA = 5
"""Columns beside the coordinates: β twice, the rest, the errors, and one that is 0 (K is a multiple of 8)."""
LONGEST = 2.0**20
"""No row is longer than this after scaling; what is falls to the full product."""


@dataclass(frozen=True)
class Scaling:
    """Powers of 2 and typical sizes, the same for all rows of a kind; they decide how tight the bound is, not whether it holds.

    ``weight`` is t of the subspace's bound, ``bias`` s.
    """

    terms: float
    points: float
    bias: float
    weight: float
    t_size: float
    t_one: float

    @classmethod
    def of(cls, terms: Coordinates, beta: Tensor, points: Coordinates) -> Scaling | None:
        """For rows alike to those of a sample; None where they leave the range of float32."""
        bias = _power(float(beta.abs().mean().sqrt()))
        far = float(points.outer.mean()), float(terms.outer.mean())
        weight = math.sqrt(far[0] / far[1]) if min(far) > 0 else 1.0
        of_terms = float((terms.inner.square().sum(1) + (beta / bias).square()).mean().sqrt())
        of_points = float((points.inner.square().sum(1) + 2 * bias**2).mean().sqrt())
        length = float((points.inner.square().sum(1) + 2 * bias**2).sqrt().mean())
        numbers = [weight, of_terms, of_points, length, float(points.size.mean())]
        if not all(2.0**-200 < number < 2.0**200 for number in numbers):
            return None
        return cls(1 / _power(of_terms), 1 / _power(of_points), bias, weight, float(points.size.mean()) / length, 1 / length)


def _power(number: float) -> float:
    """The power of 2 near a number; 1 for 0."""
    return 2.0 ** round(math.log2(number)) if 0 < number < math.inf else 1.0


@dataclass(frozen=True)
class Stage:
    """A product of the cascade: its rank and its dtype."""

    rank: int
    dtype: torch.dtype

    @property
    def width(self) -> int:
        """K."""
        return self.rank + EXTRA

    @property
    def unit(self) -> float:
        """u."""
        return torch.finfo(self.dtype).eps / 2

    @property
    def gamma(self) -> float:
        """γ of the sums."""
        return (self.width + 8) * 2.0**-23

    def terms(self, at: Coordinates, beta: Tensor, errors: tuple[Tensor, Tensor], error: float, scaling: Scaling) -> Tensor:
        """Rows f (n, K), from β, (of_norm, of_bias) and the subspace's η, all float64."""
        inner = at.inner[:, : self.rank] * scaling.terms
        high = (beta * (scaling.terms / scaling.bias)).to(self.dtype)
        left = beta * (scaling.terms / scaling.bias) - high.double()
        low = left.to(self.dtype)
        rounded = inner.to(self.dtype)
        delta = ((inner - rounded.double()).square().sum(1) + (left - low.double()).square()).sqrt()
        length = (inner.square().sum(1) + high.double().square() + low.double().square()).sqrt() + delta
        of_size, of_one = error * at.size + errors[0], errors[1] + 2.0**-44 * beta.abs()
        bound = delta + (self.unit + 2 * self.gamma) * (length + delta)
        bound += scaling.terms * (of_size * scaling.t_size + of_one * scaling.t_one)
        columns = [high, low, self._up(at.rest(self.rank, scaling.weight) * scaling.terms), self._up(bound + 2.0**-60)]
        return self._row(rounded, columns)

    def points(self, at: Coordinates, scaling: Scaling) -> Tensor:
        """Rows y (n, K)."""
        inner = at.inner[:, : self.rank] * scaling.points
        bias = torch.full_like(at.size, scaling.bias * scaling.points).to(self.dtype)
        length = (inner.square().sum(1) + 2 * (scaling.bias * scaling.points) ** 2).sqrt()
        size, one = scaling.points / scaling.t_size, scaling.points / scaling.t_one
        reach = torch.maximum(length, at.size * size).clamp_min(max(one, 2.0**-20))
        rest = self._up(at.rest(self.rank, 1 / scaling.weight) * scaling.points)
        return self._row(inner.to(self.dtype), [bias, bias, rest, self._up(reach)])

    def _row(self, inner: Tensor, columns: list[Tensor]) -> Tensor:
        return torch.cat([inner, torch.stack([*columns, torch.zeros_like(columns[0])], 1)], 1)

    def _up(self, column: Tensor) -> Tensor:
        """Not less than a column ≥ 0, by more than the sums' and the dtype's rounding."""
        return (column * (1 + 4 * self.unit + 2 * self.gamma)).to(self.dtype)

    def raised(self, products: Tensor) -> Tensor:
        """Computed products as float32, not below the exact ones: 0 at least, and what was rounded to 8 bits is raised."""
        products = products.float().clamp_min_(0)
        return products if self.dtype == torch.float32 else products.mul_(1 + 4 * self.unit)


def short_enough(rows: Tensor) -> bool:
    """Are all rows finite, and within LONGEST?"""
    return bool((rows.float().abs().amax(1) < LONGEST).all())
