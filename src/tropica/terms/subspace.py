"""Bounds on scores ⟨a_k, x⟩ + b_k from few coordinates: the product in a subspace, and norms of what lies outside it.

With a mean term ā and a mean point μ, c = a − ā and z = x − μ,

    ⟨a, x⟩ + b = ⟨c, z⟩ + β + shift(x),    β = b + ⟨a, μ⟩ − b̄,    shift(x) = ⟨ā, z⟩ + b̄,

where shift(x) is common to all terms. U has orthonormal columns that span where terms and points mostly lie, T is invertible:

    ⟨c, z⟩ = ⟨α, ξ⟩ + ⟨c⊥, z⊥⟩,    α = T⁻ᵀUᵀc,  ξ = TUᵀz,  c⊥ = c − UUᵀc,  z⊥ = z − UUᵀz,

so by Cauchy and Schwarz, for any rank r and any t > 0,

    ⟨c, z⟩ ≤ Σ_{i≤r} α_i ξ_i + ‖(α_{i>r}, t c⊥)‖ · ‖(ξ_{i>r}, z⊥/t)‖.

This holds for every U, T and t; which are chosen decides how tight it is. T balances: on a sample both α and ξ have the
covariance diag(σ₁ ≥ σ₂ ≥ …) (as in balanced truncation of linear systems), so what is left of both is small together. On
MNIST 32 coordinates of this kind do more than 128 principal ones of the terms.

:mod:`tropica.terms.features` makes one inner product of the right side, rounding errors and all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

SAMPLE = 2048
"""Terms and points that a subspace is fitted to."""
WIDTH = 256
"""Directions taken of the sampled scores, from either side, where there are not many: the subspace has up to twice as many
dimensions."""
STEPS = 3
"""Subspace iterations."""


@dataclass(frozen=True)
class Coordinates:
    """Rows in a subspace: ``inner`` (n, R) balanced coordinates, ``outer`` (n,) ≥ the norm outside, ``size`` (n,) ≥ the norm of
    the row as it was given plus that of the mean; float64."""

    inner: Tensor
    outer: Tensor
    size: Tensor

    def rest(self, rank: int, weight: float) -> Tensor:
        """‖(coordinates beyond the rank, weight × outside)‖, rounded up."""
        beyond = self.inner[:, rank:].square().sum(1) + (weight * self.outer).square()
        return beyond.sqrt() * (1 + (self.inner.shape[1] + 8) * 2.0**-52)


@dataclass(frozen=True)
class Subspace:
    """U, T and the means. ``error`` η: ⟨c, z⟩ is within η·size_k·size_x of the identity above with numbers as computed.

    Proof of η. Let e = ‖UᵀU − I‖, γ = (d + R + 16) 2⁻⁵² (more than twice what a float64 product of that depth errs by,
    relative to the products' absolute values). ⟨c, UUᵀz⟩ = ⟨UᵀC, (T⁻¹T)Uᵀz⟩ up to ‖T⁻¹T − I‖ (1 + e); each of α and ξ is
    computed by two products, with errors at most γ √R ‖T⁻¹‖_F (1 + e) size and γ √R ‖T‖_F (1 + e) size, and ‖α‖ ≤ ‖T⁻¹‖ (1 +
    e) size, ‖ξ‖ alike: together at most 4 γ √R ‖T‖_F ‖T⁻¹‖_F size². UUᵀ differs from the exact projection onto its range by
    at most e. Centring errs by 2⁻⁵³ of each size, β and shift by γ of sizes and of |b|.
    """

    terms_mean: Tensor
    points_mean: Tensor
    basis: Tensor
    of_terms: Tensor
    of_points: Tensor
    defect: float
    error: float

    @property
    def rank(self) -> int:
        """R, the number of coordinates."""
        return self.basis.shape[1]

    def terms(self, rows: Tensor) -> Coordinates:
        """Of terms (n, d) in float64."""
        return self._coordinates(rows, self.terms_mean, self.of_terms)

    def points(self, rows: Tensor) -> Coordinates:
        """Of points (n, d) in float64."""
        return self._coordinates(rows, self.points_mean, self.of_points)

    def _coordinates(self, rows: Tensor, mean: Tensor, change: Tensor) -> Coordinates:
        """``outer``² ≤ ‖c‖² − ‖Uᵀc‖²/(1 + e), computed within (e + 4 γ √R) ‖c‖²."""
        centred = rows - mean
        inside = centred @ self.basis
        whole = centred.square().sum(1)
        outer = (whole - inside.square().sum(1)).clamp_min_(0).add_(whole, alpha=self.defect).sqrt_()
        size = torch.linalg.vector_norm(rows, dim=1) + torch.linalg.vector_norm(mean)
        return Coordinates(inside @ change, outer * (1 + 2.0**-40), size * (1 + 2.0**-40))


def fit(terms: Tensor, points: Tensor) -> Subspace | None:
    """A subspace for terms and points alike to these (n, d), (m, d) in float64; None where there is none to be found.

    U spans WIDTH (in more than 1024 dimensions 2·WIDTH) leading left and right directions of the sampled scores A Xᵀ, as
    both samples map them back to inputs.
    """
    a, x = terms - terms.mean(0), points - points.mean(0)
    width = WIDTH if a.shape[1] <= 1024 else 2 * WIDTH
    return spanned(terms, points, _directions(a.float(), x.float(), width).double())


def narrowed(subspace: Subspace, terms: Tensor, points: Tensor, rank: int) -> Subspace | None:
    """A smaller one, of the leading directions of either side."""
    half = rank // 2
    sides = subspace.of_terms[:, :half], subspace.of_points[:, :half]
    return spanned(terms, points, subspace.basis @ torch.cat([side / side.norm() for side in sides], 1))


def spanned(terms: Tensor, points: Tensor, directions: Tensor) -> Subspace | None:
    """The subspace of some directions (d, R), balanced for these terms and points."""
    terms_mean, points_mean = terms.mean(0), points.mean(0)
    basis, _ = torch.linalg.qr(directions)
    a, x = (terms - terms_mean) @ basis, (points - points_mean) @ basis
    scale_a, scale_x = float(a.square().sum(1).mean().sqrt()), float(x.square().sum(1).mean().sqrt())
    if not (2.0**-400 < scale_a < 2.0**400 and 2.0**-400 < scale_x < 2.0**400):
        return None
    change = _balanced(*((rows / scale).mT @ (rows / scale) / len(rows) for rows, scale in ((a, scale_a), (x, scale_x))))
    if change is None:
        return None
    # Terms have the units of a, points those of x: the scales divide in T and multiply in its inverse.
    to_points = change * math.sqrt(scale_a / scale_x)
    to_terms = torch.linalg.inv(to_points)
    d, rank = basis.shape
    eye = torch.eye(rank, dtype=basis.dtype)
    fine = (d + rank + 16) * 2.0**-52
    off = float((basis.mT @ basis - eye).norm()) + fine * rank
    condition = float(to_points.norm() * to_terms.norm())
    turned = float((to_terms @ to_points - eye).norm()) + fine * condition
    error = 2 * (4 * fine * math.sqrt(rank) * condition + 2 * turned + 2 * off + 4 * fine)
    if not error < 2.0**-16:
        return None
    defect = 2 * off + 4 * fine * math.sqrt(rank)
    return Subspace(terms_mean, points_mean, basis, to_terms, to_points.mT.contiguous(), defect, error)


def _directions(a: Tensor, x: Tensor, width: int) -> Tensor:
    """(d, ≤ 2·width): leading singular directions of A Xᵀ, found by subspace iteration, mapped back by Aᵀ and by Xᵀ."""
    a, x = (rows / torch.linalg.vector_norm(rows, dim=1).mean().clamp_min(1e-30) for rows in (a, x))
    width = min(width, a.shape[1] // 2, len(a), len(x))
    right = torch.randn(len(x), width, generator=torch.Generator().manual_seed(0))
    left = right
    for _ in range(STEPS):
        left, _ = torch.linalg.qr(a @ (x.mT @ right))
        right, _ = torch.linalg.qr(x @ (a.mT @ left))
    return torch.cat([a.mT @ left, x.mT @ right], 1)


def _balanced(terms: Tensor, points: Tensor) -> Tensor | None:
    """T with T⁻ᵀ C_terms T⁻¹ = T C_points Tᵀ = diag(σ), σ falling; a trifle is added to both so that they are regular."""
    eye = torch.eye(len(terms), dtype=terms.dtype)
    regular = [c + (1e-5 * float(c.trace()) / len(c) + 1e-12) * eye for c in (terms, points)]
    try:
        lower = torch.linalg.cholesky(regular[1])
        squares, turn = torch.linalg.eigh(lower.mT @ regular[0] @ lower)
    except torch.linalg.LinAlgError:
        return None
    squares, turn = squares.flip(0).clamp_min(1e-30), turn.flip(1)
    return squares.pow(0.25).unsqueeze(1) * torch.linalg.solve_triangular(lower.mT, turn, upper=True).mT
