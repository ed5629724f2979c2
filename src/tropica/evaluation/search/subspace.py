"""Bounds on scores ⟨a_k, x⟩ + b_k from few coordinates: the product in a subspace, and the norms of the components outside it.

With a mean term ā and a mean point μ, c = a − ā and z = x − μ,

    ⟨a, x⟩ + b = ⟨c, z⟩ + β + shift(x),    β = b + ⟨a, μ⟩ − b̄,    shift(x) = ⟨ā, z⟩ + b̄,

where shift(x) is common to all terms. U has (nearly) orthonormal columns that span a subspace close to terms and points, T
is invertible, S is its inverse. For any p and q,

    ⟨c, z⟩ = ⟨q, p⟩ + ⟨c − Uq, z − Up⟩ + ⟨q, Uᵀz − p⟩ + ⟨Uᵀc − q, p⟩ + ⟨q, (I − UᵀU)p⟩;

for p and q the computed coordinates Uᵀz and Uᵀc, the last three are rounding errors, and ⟨q, p⟩ = ⟨α, ξ⟩ for α = Sᵀq and
ξ = Tp. By the Cauchy–Schwarz inequality, for any rank r and any t > 0,

    ⟨c, z⟩ ≤ Σ_{i≤r} α_i ξ_i + ‖(α_{i>r}, t (c − Uq))‖ · ‖(ξ_{i>r}, (z − Up)/t)‖ + errors.

This holds for every U, T and t; their choice determines how tight it is. T balances: on a sample both α and ξ have the
covariance diag(σ₁ ≥ σ₂ ≥ …) (as in balanced truncation of linear systems), so that the remainders of both are small together.
On MNIST, 32 coordinates of this kind give tighter bounds than 128 principal coordinates of the terms.

Coordinates are computed in float32, and the errors are bounded as follows (:class:`Subspace`).

Proof. All products here are sums of chunks of h = 128 products each, so that the error of a product of depth n is at most
γ(n) Σ|·||·|, γ(n) = (min(n, h) + n/h + 8) u / (1 − …), u = 2⁻²⁴: a bound that grows with n only by n/h. Centered rows are
rounded entry by entry, relative to themselves, by no more than 2u, which γ's 8 covers; they are scaled by a power of 2 to
norms near 1, so that the loss by underflow, 2⁻¹²⁶ per product or entry, is less than γ 2⁻⁴⁰, and 2⁻⁴⁰ is added to norms. With
e = ‖UᵀU − I‖ and N_z ≥ ‖z‖, ‖p‖,

    |Uᵀz − p|_i ≤ γ(d)(1 + e) N_z,    ⟨q, Uᵀz − p⟩ ≤ γ(d)(1 + e) ‖q‖₁ N_z,    and the same with c and z exchanged;
    ‖z − Up‖² = ‖z‖² − ‖p‖² − 2⟨p, Uᵀz − p⟩ + ⟨p, (UᵀU − I)p⟩ ≤ ‖z‖² − ‖p‖² + 2γ(d)(1 + e) ‖p‖₁ N_z + e‖p‖².

With f = Sᵀq − α and g = Tp − ξ the errors of the second products,

    ⟨q, p⟩ = ⟨α, ξ⟩ + ⟨q, (I − ST)p⟩ + ⟨α, g⟩ + ⟨f, ξ⟩ + ⟨f, g⟩,    |g_i| ≤ γ(R) ‖p‖ ‖T_i‖,    |f_i| ≤ γ(R) ‖q‖ ‖S_i‖,

where T_i is a row of T, S_i a column of S. So the errors are at most w_c N_z + w_z N_c together, where

    w_z = γ(d)(1 + e) ‖p‖₁ + γ(R) Σ|ξ_i|‖S_i‖ + (e + ‖I − ST‖ + γ(R)² ‖S‖_F ‖T‖_F) ‖p‖,

and w_c the same with c for z, S and T exchanged. ∎

:mod:`tropica.evaluation.search.score_bound` writes the right side as one inner product.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tropica.evaluation.search.settings import REFINED, IndexSettings

CHUNK = 128
"""The number of products in a float32 sum."""
UNIT_ROUNDOFF_FLOAT32 = 2.0**-24
"""The unit roundoff of float32."""
ROOM = 2.0**120
"""Rows with norms above ROOM or below its inverse are not scaled, as the factors leave the range of float32."""


def gamma(depth: int, chunk: int = CHUNK) -> float:
    """γ(n) for chunked products of depth n."""
    steps = (min(depth, chunk) + -(-depth // chunk) + 8) * UNIT_ROUNDOFF_FLOAT32
    return steps / (1 - steps)


def chunked_product(rows: Tensor, matrix: Tensor, chunk: int = CHUNK) -> Tensor:
    """The product rows @ matrix, (n, d) by (d, R) in float32, with a separate sum for each ``chunk`` of the d."""
    total = torch.mm(rows[:, :chunk], matrix[:chunk])
    part = torch.empty_like(total)
    for low in range(chunk, len(matrix), chunk):
        total += torch.mm(rows[:, low : low + chunk], matrix[low : low + chunk], out=part)
    return total


def float32_is_exact() -> bool:
    """Do products of float32 matrices have the accuracy of float32 under PyTorch's current settings? (30 µs: TensorFloat-32 and
    the like have at most 11 bits.)"""
    rows, exact = torch.full((256, CHUNK), 1 + 2.0**-12), CHUNK * (1 + 2.0**-12) ** 2
    return bool((torch.mm(rows, rows[:64].mT).double() - exact).abs().max() <= gamma(CHUNK) * exact)


def squared_norms(rows: Tensor, chunk: int = CHUNK) -> Tensor:
    """The squared norms of float32 rows (n, d), as float64 (n,), with errors of at most (chunk + 8) 2u (relative) + d 2⁻¹²⁶."""
    runs = [torch.linalg.vector_norm(part, dim=1) for part in rows.split(chunk, 1)]
    return torch.stack(runs).double().square().sum(0)


@dataclass(frozen=True)
class Coordinates:
    """Rows in a subspace, scaled.

    Attributes:
        inner: balanced coordinates, (n, R) float32.
        outer: ≥ the norm of the component outside the subspace, (n,) float64, as are all fields that follow.
        norm: N.
        error: w.
        size: ≥ the norm of the original row, and ≥ that of the mean.
        chunk: the number of products in a float32 sum.
    """

    inner: Tensor
    outer: Tensor
    norm: Tensor
    error: Tensor
    size: Tensor
    chunk: int = CHUNK

    def rest(self, rank: int, weight: float) -> Tensor:
        """The norm ‖(coordinates beyond the rank, weight × outer)‖, rounded up."""
        beyond = (weight * self.outer).square() + 2.0**-90
        if rank < self.inner.shape[1]:
            beyond += squared_norms(self.inner[:, rank:], self.chunk)
        return beyond.sqrt() * (1 + (self.chunk + 16) * UNIT_ROUNDOFF_FLOAT32)


@dataclass(frozen=True)
class Projection:
    """The map from rows of one kind, terms or points, to their coordinates: ((row − mean) · scale) U · change.

    Attributes:
        mean: (d,) float32.
        scale: a power of 2.
        change: (R, R) float32.
        spread: (R,) ≥ the norms of the columns of the other kind's ``change``.
    """

    mean: Tensor
    scale: float
    change: Tensor
    spread: Tensor

    def centered(self, rows: Tensor) -> Tensor:
        """The rows (rows − mean) · scale in float32, with relative errors of at most 2u in each entry."""
        return rows.sub(self.mean.to(rows.dtype)).mul_(self.scale).float()


@dataclass(frozen=True)
class Subspace:
    """A subspace with coordinates for terms and points.

    Attributes:
        columns: U (d, R) in float32, with the mean term, scaled, as one more column.
        of_terms, of_points: the coordinates of each kind, with T and S as their ``change``.
        defect: e ≥ ‖UᵀU − I‖.
        inverse_defect: ≥ ‖I − ST‖ + γ(R)² ‖S‖_F ‖T‖_F.
        chunk: the number of products in a float32 sum.
    """

    columns: Tensor
    of_terms: Projection
    of_points: Projection
    defect: float
    inverse_defect: float
    chunk: int = CHUNK

    @property
    def rank(self) -> int:
        """R, the number of coordinates."""
        return self.columns.shape[1] - 1

    @property
    def basis(self) -> Tensor:
        """The basis U."""
        return self.columns[:, :-1]

    @property
    def scale(self) -> float:
        """The factor of scores under the scaling of terms and points: a power of 2."""
        return self.of_terms.scale * self.of_points.scale

    def terms(self, rows: Tensor) -> Coordinates:
        """The coordinates of terms (n, d) in float32 or float64."""
        return self._coordinates(rows, self.of_terms)[0]

    def points(self, rows: Tensor) -> Coordinates:
        """The coordinates of points (n, d) in float32 or float64."""
        return self._coordinates(rows, self.of_points)[0]

    def points_and_shift(self, rows: Tensor) -> tuple[Coordinates, Tensor]:
        """The coordinates of points, and ⟨ā, z⟩, not scaled, in float64 (n,), rounded up."""
        at, along = self._coordinates(rows, self.of_points)
        most = gamma(len(self.columns), self.chunk) * float(torch.linalg.vector_norm(self.columns[:, -1].double())) + 2.0**-100
        return at, (along.double() + (most * at.norm + 2.0**-90)) / self.scale

    def _coordinates(self, rows: Tensor, kind: Projection) -> tuple[Coordinates, Tensor]:
        """The coordinates, and the product with the last column."""
        chunk = self.chunk
        centered = kind.centered(rows)
        columns = chunked_product(centered, self.columns, chunk)
        inside = columns[:, :-1]
        inner = chunked_product(inside, kind.change, chunk)
        whole, held = squared_norms(centered, chunk), squared_norms(inside, chunk)
        up = 1 + 2.0**-10  # more than the rounding errors of sums of R and of d/chunk numbers in float32
        norm = torch.maximum(whole, held).sqrt_().mul_(up).add_(2.0**-40)
        depth = gamma(rows.shape[1], chunk)
        length = torch.linalg.vector_norm(inside, 1, dim=1).double() * (up * depth * (1 + self.defect))
        error = length + (up * gamma(self.rank, chunk)) * (inner.abs() @ kind.spread).double()
        error += up * (self.defect + self.inverse_defect) * held.sqrt() + 2.0**-60
        most = (whole - held).clamp_min_(0) + (self.defect + (chunk + 16) * 2 * UNIT_ROUNDOFF_FLOAT32) * (whole + held)
        most += 2 * length * norm + 2.0**-80
        size = norm + kind.scale * float(torch.linalg.vector_norm(kind.mean.double())) * up
        return Coordinates(inner, most.sqrt_().mul_(1 + 2.0**-40), norm, error, size, chunk), columns[:, -1]


@dataclass(frozen=True)
class _Sample:
    """Rows that a subspace is fitted to: mean, scale, and (row − mean) · scale in float32."""

    mean: Tensor
    scale: float
    rows: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> _Sample | None:
        """The sample of some rows; None if the scale leaves the range of float32."""
        mean = rows.mean(0).float()
        centered = rows - mean
        size = float(torch.linalg.vector_norm(centered, dtype=torch.float64)) / math.sqrt(len(rows))
        if not 1 / ROOM < size < ROOM:
            return None
        scale = power_of_two(1 / size)
        return cls(mean, scale, centered.mul_(scale).float())


def fit_subspace(terms: Tensor, points: Tensor, chunk: int = CHUNK, effort: IndexSettings = REFINED) -> Subspace | None:
    """Fit a subspace to samples of terms (n, d) and points (m, d) in float32 or float64; None if they span none.

    U spans ``effort.width`` (in more than 1024 dimensions twice as many) leading left and right directions of the sampled
    scores A Xᵀ, as both samples map them back to inputs.
    """
    width = effort.width if terms.shape[1] <= 1024 else 2 * effort.width
    a, x = _Sample.of(terms), _Sample.of(points)
    return None if a is None or x is None else _spanned(a, x, _directions(a.rows, x.rows, width, effort.steps).double(), chunk)


def narrow_subspace(subspace: Subspace, terms: Tensor, points: Tensor, rank: int) -> Subspace | None:
    """The subspace of the leading directions of terms and of points, of a smaller rank."""
    half = rank // 2
    sides = (side.change[:, :half].double() for side in (subspace.of_terms, subspace.of_points))
    directions = subspace.basis.double() @ torch.cat([side / side.norm() for side in sides], 1)
    a, x = _Sample.of(terms), _Sample.of(points)
    return None if a is None or x is None else _spanned(a, x, directions, subspace.chunk)


def _spanned(terms: _Sample, points: _Sample, directions: Tensor, chunk: int) -> Subspace | None:
    """The subspace of some directions (d, R), balanced for these terms and points."""
    if not directions.shape[1]:
        return None
    basis = torch.linalg.qr(directions)[0].float()
    insides = [(sample.rows @ basis).double() for sample in (terms, points)]
    change = _balanced(*(inside.mT @ inside / len(inside) for inside in insides))
    if change is None:
        return None
    # From here on, T and S denote these float32 matrices.
    to_points = change.mT.float().contiguous()
    to_terms = torch.linalg.inv(to_points.double().mT).float().contiguous()
    return _checked(basis, [terms.mean, points.mean], [terms.scale, points.scale], to_terms, to_points, chunk)


def _checked(
    basis: Tensor, means: list[Tensor], scales: list[float], to_terms: Tensor, to_points: Tensor, chunk: int
) -> Subspace | None:
    """The subspace of these matrices, with bounds on the distances of U from orthonormal and of S from T⁻¹."""
    d, rank = basis.shape
    columns = torch.cat([basis, (means[0] * scales[0]).unsqueeze(1)], 1)
    exact, s, t = basis.double(), to_terms.double(), to_points.double().mT
    eye = torch.eye(rank, dtype=torch.float64)
    defect = float((exact.mT @ exact - eye).norm()) + (d + 16) * 2.0**-52 * rank
    condition = float(s.norm() * t.norm())
    inverse_defect = float((s @ t - eye).norm()) + ((rank + 16) * 2.0**-52 + gamma(rank, chunk) ** 2) * condition
    if not (defect < 2.0**-8 and inverse_defect < 2.0**-8 and bool(columns.isfinite().all())):
        return None
    # At least 2⁻¹⁰, so that a product with a spread exceeds the loss by underflow.
    spreads = [torch.linalg.vector_norm(change.double(), dim=0).mul_(1 + 2.0**-20).float() for change in (to_points, to_terms)]
    of_terms, of_points = (
        Projection(mean, scale, change, spread.clamp_min(2.0**-10))
        for mean, scale, change, spread in zip(means, scales, (to_terms, to_points), spreads, strict=True)
    )
    return Subspace(columns, of_terms, of_points, defect, inverse_defect, chunk)


def power_of_two(number: float) -> float:
    """The power of 2 near a number; 1 for 0."""
    return 2.0 ** round(math.log2(number)) if 0 < number < math.inf else 1.0


def _directions(a: Tensor, x: Tensor, width: int, steps: int) -> Tensor:
    """(d, ≤ 2·width): leading singular directions of A Xᵀ, found by subspace iteration, mapped back by Aᵀ and by Xᵀ."""
    width = min(width, a.shape[1] // 2, len(a), len(x))
    right = torch.randn(len(x), width, generator=torch.Generator().manual_seed(0))
    left = right
    for _ in range(steps):
        left, _ = torch.linalg.qr(a @ (x.mT @ right))
        right, _ = torch.linalg.qr(x @ (a.mT @ left))
    return torch.cat([a.mT @ left, x.mT @ right], 1)


def _balanced(terms: Tensor, points: Tensor) -> Tensor | None:
    """T with T⁻ᵀ C_terms T⁻¹ = T C_points Tᵀ = diag(σ), σ decreasing; a small multiple of I is added to both for regularity."""
    eye = torch.eye(len(terms), dtype=terms.dtype)
    regular = [c + (1e-5 * float(c.trace()) / len(c) + 1e-12) * eye for c in (terms, points)]
    try:
        lower = torch.linalg.cholesky(regular[1])
        squares, turn = torch.linalg.eigh(lower.mT @ regular[0] @ lower)
    except torch.linalg.LinAlgError:
        return None
    squares, turn = squares.flip(0).clamp_min(1e-30), turn.flip(1)
    return squares.pow(0.25).unsqueeze(1) * torch.linalg.solve_triangular(lower.mT, turn, upper=True).mT
