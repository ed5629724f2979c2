"""Upper bounds of scores as one product of short rows, in float32 or bfloat16, with all rounding errors included.

A term's row and a point's row have K = r + 5 columns each,

    f_k = (α_1 … α_r, hi, lo, rest_k, e_k, l_k),    y_x = (ξ_1 … ξ_r, s, s, rest_x, z_x, ε_x),

where α, ξ and the two rests are those of :mod:`tropica.evaluation.search.subspace`, (hi + lo)·s is β up to rounding, and
e_k z_x + l_k ε_x is at least the sum of all errors. Then

    ⟨a_k, x⟩ + b_k  ≤  shift(x) + (the computed ⟨f_k, y_x⟩, raised as :meth:`ScoreBound.raised` does) / scale.

Proof. Let f, y be the first r + 2 columns before rounding to the dtype and f̂, ŷ after; δ = f − f̂ and ε = y − ŷ. Then ⟨f, y⟩
= ⟨f̂, ŷ⟩ + ⟨δ, y⟩ + ⟨f̂, ε⟩, so rounding the rows changes the product by at most ‖δ‖‖y‖ + ‖f̂‖‖ε‖, of which all norms are
computed: l_k ≥ ‖f̂‖ and ε_x ≥ ‖ε‖ (s is a power of 2). Products are summed in float32 in any order: at most γ Σ|f̂_i ŷ_i| ≤
γ‖f̂‖‖ŷ‖ for these columns, γ = (K + 8) 2⁻²³, and the last columns, all ≥ 0, are raised by more than γ of themselves. The
errors of the subspace are w_k N_x + w_x N_k (proved there), and η size_k size_x for β, η = 2⁻⁵² (d + 16). Finally, the
compared score is a float64 sum, or a term is known only up to a bound: r_k ‖x‖ + s_k (:meth:`AffineFunctions.error_bound`),
with N_x, ‖x‖ ≤ size_x. So, l_k ε_x aside, the errors are at most

    A ny + B size_x + C + N_k w_x,    A = ‖δ‖ + 2γ‖f̂‖,    B = w_k + η size_k + r_k,    C = s_k + 2⁻⁴⁴ |β|,

(ny = ‖y‖), which e_k z_x exceeds with e = A + B t + C t' + N_k t" and z = max(ny, size_x / t, 1 / t', w_x / t") for any t, t',
t" > 0. Underflow: rows are scaled by powers of 2 to lengths near 1, no entry exceeds 2²⁰, and e_k z_x ≥ 2⁻⁵⁰ max(ny, 2⁻²⁰),
while each product and each entry loses at most 2⁻¹²⁶, and a norm 2⁻⁵⁸."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tropica.evaluation.search.subspace import Coordinates, power_of_two

EXTRA = 5
"""Columns in addition to the coordinates: two for β, one for the rests, two for the errors (K is a multiple of 8)."""
LONGEST = 2.0**20
"""The largest entry of a scaled row. Rows with larger entries are left to the full product."""
UP = 1 + 2.0**-10
"""A factor that raises a norm of up to 2¹² numbers, computed in float32, above the exact norm."""


@dataclass(frozen=True)
class Scaling:
    """Powers of 2 and typical sizes, common to all rows of a kind. They determine how tight the bound is, not its validity.

    Attributes:
        terms, points: factors of the rows.
        bias: s.
        weight: t of the subspace's bound.
        t_size, t_one, t_error: t, t' and t" of the module's bound.
    """

    terms: float
    points: float
    bias: float
    weight: float
    t_size: float
    t_one: float
    t_error: float

    @classmethod
    def of(cls, terms: Coordinates, beta: Tensor, points: Coordinates) -> Scaling | None:
        """The scaling for rows similar to those of a sample; None if they leave the range of float32."""
        bias = power_of_two(float(beta.abs().mean().sqrt()))
        far = float(points.outer.mean()), float(terms.outer.mean())
        weight = math.sqrt(far[0] / far[1]) if min(far) > 0 else 1.0
        of_terms = float((_squared(terms) + (beta / bias).square()).mean().sqrt())
        of_points = float((_squared(points) + 2 * bias**2).mean().sqrt())
        length = float((_squared(points) + 2 * bias**2).sqrt().mean())
        numbers = [weight, of_terms, of_points, length, float(points.size.mean()), float(points.error.mean())]
        if not all(2.0**-200 < number < 2.0**200 for number in numbers):
            return None
        of_size, of_error = float(points.size.mean()) / length, float(points.error.mean()) / length
        return cls(1 / power_of_two(of_terms), 1 / power_of_two(of_points), bias, weight, of_size, 1 / length, of_error)


def _squared(at: Coordinates) -> Tensor:
    return torch.linalg.vector_norm(at.inner, dim=1).double().square()


@dataclass(frozen=True)
class ScoreBound:
    """An upper bound of all scores as one matrix product: its rank r and its dtype."""

    rank: int
    dtype: torch.dtype

    @property
    def width(self) -> int:
        """K, the columns of a row."""
        return self.rank + EXTRA

    @property
    def unit(self) -> float:
        """The unit roundoff of the dtype."""
        return torch.finfo(self.dtype).eps / 2

    @property
    def gamma(self) -> float:
        """γ for sums of K products."""
        return (self.width + 8) * 2.0**-23

    def term_rows(self, at: Coordinates, beta: Tensor, errors: tuple[Tensor, Tensor], scaling: Scaling) -> Tensor:
        """The rows f (n, K) from the coordinates, β and (B − w, s_k) in float64, all scaled."""
        inner = at.inner[:, : self.rank] * scaling.terms
        rounded = inner.to(self.dtype)
        high = (beta * (scaling.terms / scaling.bias)).to(self.dtype)
        left = beta * (scaling.terms / scaling.bias) - high.double()
        low = left.to(self.dtype)
        delta = torch.hypot(_rounding_norm(inner, rounded), left - low.double())
        length = torch.hypot(_norm(rounded), torch.hypot(high.double(), low.double())) * UP
        bound = delta * UP + 2 * self.gamma * length
        of_size, of_one = errors[0] + at.error, errors[1] + 2.0**-44 * beta.abs()
        bound += scaling.terms * (of_size * scaling.t_size + of_one * scaling.t_one + at.norm * scaling.t_error)
        rest = at.rest(self.rank, scaling.weight) * scaling.terms
        return self._row(rounded, [high, low, *map(self._round_up, (rest, bound + 2.0**-50, length))])

    def point_rows(self, at: Coordinates, scaling: Scaling) -> Tensor:
        """The rows y (n, K) from the coordinates."""
        inner = at.inner[:, : self.rank] * scaling.points
        rounded = inner.to(self.dtype)
        bias = torch.full_like(at.size, scaling.bias * scaling.points)
        length = torch.hypot(_norm(inner), bias * math.sqrt(2)) * UP
        size, one, error = (scaling.points / t for t in (scaling.t_size, scaling.t_one, scaling.t_error))
        reach = torch.maximum(torch.maximum(length, at.size * size), at.error * error).clamp_min(max(one, 2.0**-20))
        rest = at.rest(self.rank, 1 / scaling.weight) * scaling.points
        columns = [bias.to(self.dtype)] * 2 + [
            self._round_up(column) for column in (rest, reach, _rounding_norm(inner, rounded))
        ]
        return self._row(rounded, columns)

    def _row(self, inner: Tensor, columns: list[Tensor]) -> Tensor:
        return torch.cat([inner, torch.stack(columns, 1)], 1)

    def _round_up(self, column: Tensor) -> Tensor:
        """Convert a column ≥ 0 to the dtype, raised by more than the rounding of the sums."""
        least = column * (1 + 2 * self.gamma)
        found = least.to(self.dtype)
        return torch.where(found.double() < least, torch.nextafter(found, torch.full_like(found, torch.inf)), found)

    def raised(self, products: Tensor) -> Tensor:
        """Convert computed products to float32, not below the exact products, and at least 0. Products that were rounded to 8
        bits, to nearest or towards 0, are raised."""
        products = products.float().clamp_min_(0)
        return products if self.dtype == torch.float32 else products.mul_(1 + 2 * self.unit + 2.0**-12)


def _norm(rows: Tensor) -> Tensor:
    """The norms of rows as float64, with relative errors below 2⁻¹⁰."""
    return torch.linalg.vector_norm(rows.float(), dim=1).double()


def _rounding_norm(rows: Tensor, rounded: Tensor) -> Tensor:
    """Upper bounds of the norms of the differences between float32 rows and the same rows rounded."""
    if rounded.dtype == rows.dtype:
        return torch.zeros(len(rows), dtype=torch.float64)
    return _norm(rows - rounded.float()) * UP


def in_range(rows: Tensor) -> bool:
    """Are all rows finite, and within LONGEST?"""
    return bool((rows.float().abs().amax(1) < LONGEST).all())
