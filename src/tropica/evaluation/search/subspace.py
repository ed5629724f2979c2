"""Bounds on scores ⟨a_k, x⟩ + b_k from few coordinates: the product in a subspace, and norms of what lies outside it.

With a mean term ā and a mean point μ, c = a − ā and z = x − μ,

    ⟨a, x⟩ + b = ⟨c, z⟩ + β + shift(x),    β = b + ⟨a, μ⟩ − b̄,    shift(x) = ⟨ā, z⟩ + b̄,

where shift(x) is common to all terms. U has (nearly) orthonormal columns that span where terms and points mostly lie, T is
invertible, S its inverse. Whatever numbers p and q are,

    ⟨c, z⟩ = ⟨q, p⟩ + ⟨c − Uq, z − Up⟩ + ⟨q, Uᵀz − p⟩ + ⟨Uᵀc − q, p⟩ + ⟨q, (I − UᵀU)p⟩;

with p and q the coordinates Uᵀz and Uᵀc as computed, the last three are rounding errors, and ⟨q, p⟩ = ⟨α, ξ⟩ for α = Sᵀq and
ξ = Tp. So by Cauchy and Schwarz, for any rank r and any t > 0,

    ⟨c, z⟩ ≤ Σ_{i≤r} α_i ξ_i + ‖(α_{i>r}, t (c − Uq))‖ · ‖(ξ_{i>r}, (z − Up)/t)‖ + errors.

This holds for every U, T and t; which are chosen decides how tight it is. T balances: on a sample both α and ξ have the
covariance diag(σ₁ ≥ σ₂ ≥ …) (as in balanced truncation of linear systems), so what is left of both is small together. On
MNIST 32 coordinates of this kind do more than 128 principal ones of the terms.

Coordinates are computed in float32, and the errors are bounded as follows (:class:`Subspace`).

Proof. All products here are sums of runs of CHUNK products each, so that one of depth n is off by at most γ(n) Σ|·||·|, γ(n) =
(min(n, CHUNK) + n/CHUNK + 8) u / (1 − …), u = 2⁻²⁴: a bound that does not grow with n, but for n/CHUNK. Centerd rows are
rounded entry by entry, relative to themselves, by no more than 2u, which γ's 8 covers; they are scaled by a power of 2 to norms
near 1, so that what underflows, 2⁻¹²⁶ a product or entry, is less than γ 2⁻⁴⁰, and 2⁻⁴⁰ is added to norms. With e = ‖UᵀU −
I‖ and N_z ≥ ‖z‖, ‖p‖,

    |Uᵀz − p|_i ≤ γ(d)(1 + e) N_z,    ⟨q, Uᵀz − p⟩ ≤ γ(d)(1 + e) ‖q‖₁ N_z,    and the same with c and z exchanged;
    ‖z − Up‖² = ‖z‖² − ‖p‖² − 2⟨p, Uᵀz − p⟩ + ⟨p, (UᵀU − I)p⟩ ≤ ‖z‖² − ‖p‖² + 2γ(d)(1 + e) ‖p‖₁ N_z + e‖p‖².

With f = Sᵀq − α and g = Tp − ξ the errors of the second products,

    ⟨q, p⟩ = ⟨α, ξ⟩ + ⟨q, (I − ST)p⟩ + ⟨α, g⟩ + ⟨f, ξ⟩ + ⟨f, g⟩,    |g_i| ≤ γ(R) ‖p‖ ‖T_i‖,    |f_i| ≤ γ(R) ‖q‖ ‖S_i‖,

where T_i is a row of T, S_i a column of S. So the errors are at most w_c N_z + w_z N_c together, where

    w_z = γ(d)(1 + e) ‖p‖₁ + γ(R) Σ|ξ_i|‖S_i‖ + (e + ‖I − ST‖ + γ(R)² ‖S‖_F ‖T‖_F) ‖p‖,

and w_c the same with c for z, S and T exchanged. ∎

:mod:`tropica.evaluation.search.features` makes one inner product of the right side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

SAMPLE = 4096
"""Terms and points that a subspace is fitted to: fewer, and others stick out of it farther than these."""
WIDTH = 256
"""Directions taken of the sampled scores, from either side, where there are not many: the subspace has up to twice as many
dimensions."""
STEPS = 3
"""Subspace iterations."""
CHUNK = 128
"""Products that float32 sums up at a time."""
UNIT = 2.0**-24
"""u of float32."""
ROOM = 2.0**120
"""Rows whose norms are beyond this, or below its inverse, are not scaled: float32 has no such factors."""


def gamma(depth: int) -> float:
    """γ(n) of products of that depth."""
    steps = (min(depth, CHUNK) + -(-depth // CHUNK) + 8) * UNIT
    return steps / (1 - steps)


def product(rows: Tensor, matrix: Tensor) -> Tensor:
    """rows @ matrix, (n, d) by (d, R) in float32, each CHUNK of the d summed up by itself."""
    total = torch.mm(rows[:, :CHUNK], matrix[:CHUNK])
    part = torch.empty_like(total)
    for low in range(CHUNK, len(matrix), CHUNK):
        total += torch.mm(rows[:, low : low + CHUNK], matrix[low : low + CHUNK], out=part)
    return total


def exact_float32() -> bool:
    """Are products in float32 as exact as that, as things are set? (Some 30 µs; what is less is at most 11 bits wide.)"""
    rows, exact = torch.full((256, CHUNK), 1 + 2.0**-12), CHUNK * (1 + 2.0**-12) ** 2
    return bool((torch.mm(rows, rows[:64].mT).double() - exact).abs().max() <= gamma(CHUNK) * exact)


def squares(rows: Tensor) -> Tensor:
    """Σ of squares of rows (n, d) in float32, as float64 (n,): within (CHUNK + 8) 2u of itself, and d 2⁻¹²⁶."""
    runs = [torch.linalg.vector_norm(part, dim=1) for part in rows.split(CHUNK, 1)]
    return torch.stack(runs).double().square().sum(0)


@dataclass(frozen=True)
class Coordinates:
    """Rows in a subspace, scaled: ``inner`` (n, R) balanced coordinates in float32; in float64 (n,) ``outer`` ≥ the norm
    outside, ``norm`` N, ``error`` w, and ``size`` ≥ the norm of the row as it was given, and that of the mean."""

    inner: Tensor
    outer: Tensor
    norm: Tensor
    error: Tensor
    size: Tensor

    def rest(self, rank: int, weight: float) -> Tensor:
        """‖(coordinates beyond the rank, weight × outside)‖, rounded up."""
        beyond = (weight * self.outer).square() + 2.0**-90
        if rank < self.inner.shape[1]:
            beyond += squares(self.inner[:, rank:])
        return beyond.sqrt() * (1 + (CHUNK + 16) * UNIT)


@dataclass(frozen=True)
class Side:
    """How rows of one kind, terms or points, get their coordinates: ((row − mean) · scale) U · change.

    ``mean`` (d,) and ``change`` (R, R) are float32, ``scale`` is a power of 2, ``spread`` (R,) ≥ the norms of the other side's
    columns of ``change``.
    """

    mean: Tensor
    scale: float
    change: Tensor
    spread: Tensor

    def centerd(self, rows: Tensor) -> Tensor:
        """(rows − mean) · scale in float32, entries off by 2u of themselves at most."""
        return rows.sub(self.mean.to(rows.dtype)).mul_(self.scale).float()


@dataclass(frozen=True)
class Subspace:
    """U (d, R) in float32 with the mean term, scaled, as one more column; T and S; ``defect`` e ≥ ‖UᵀU − I‖; ``turned`` ≥
    ‖I − ST‖ + γ(R)² ‖S‖_F ‖T‖_F."""

    columns: Tensor
    of_terms: Side
    of_points: Side
    defect: float
    turned: float

    @property
    def rank(self) -> int:
        """R, the number of coordinates."""
        return self.columns.shape[1] - 1

    @property
    def basis(self) -> Tensor:
        """U."""
        return self.columns[:, :-1]

    @property
    def scale(self) -> float:
        """What scores are multiplied by where both sides are scaled: a power of 2."""
        return self.of_terms.scale * self.of_points.scale

    def terms(self, rows: Tensor) -> Coordinates:
        """Of terms (n, d) in float32 or float64."""
        return self._coordinates(rows, self.of_terms)[0]

    def points(self, rows: Tensor) -> Coordinates:
        """Of points (n, d) in float32 or float64."""
        return self._coordinates(rows, self.of_points)[0]

    def points_and_shift(self, rows: Tensor) -> tuple[Coordinates, Tensor]:
        """Of points; and ⟨ā, z⟩, not scaled, in float64 (n,), not below the exact one."""
        at, along = self._coordinates(rows, self.of_points)
        most = gamma(len(self.columns)) * float(torch.linalg.vector_norm(self.columns[:, -1].double())) + 2.0**-100
        return at, (along.double() + (most * at.norm + 2.0**-90)) / self.scale

    def _coordinates(self, rows: Tensor, side: Side) -> tuple[Coordinates, Tensor]:
        """Coordinates, and the product with the last column."""
        centerd = side.centerd(rows)
        columns = product(centerd, self.columns)
        inside = columns[:, :-1]
        inner = product(inside, side.change)
        whole, held = squares(centerd), squares(inside)
        up = 1 + 2.0**-10  # more than what sums of R and of d/CHUNK numbers in float32 lack
        norm = torch.maximum(whole, held).sqrt_().mul_(up).add_(2.0**-40)
        length = torch.linalg.vector_norm(inside, 1, dim=1).double() * (up * gamma(len(rows.T)) * (1 + self.defect))
        error = length + (up * gamma(self.rank)) * (inner.abs() @ side.spread).double()
        error += up * (self.defect + self.turned) * held.sqrt() + 2.0**-60
        most = (whole - held).clamp_min_(0) + (self.defect + (CHUNK + 16) * 2 * UNIT) * (whole + held)
        most += 2 * length * norm + 2.0**-80
        size = norm + side.scale * float(torch.linalg.vector_norm(side.mean.double())) * up
        return Coordinates(inner, most.sqrt_().mul_(1 + 2.0**-40), norm, error, size), columns[:, -1]


@dataclass(frozen=True)
class _Sample:
    """Rows to fit to, as a side has them: mean, scale, and (row − mean) · scale in float32."""

    mean: Tensor
    scale: float
    rows: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> _Sample | None:
        """None where float32 has no such scale."""
        mean = rows.mean(0).float()
        centerd = rows - mean
        size = float(torch.linalg.vector_norm(centerd, dtype=torch.float64)) / math.sqrt(len(rows))
        if not 1 / ROOM < size < ROOM:
            return None
        scale = power(1 / size)
        return cls(mean, scale, centerd.mul_(scale).float())


def fit(terms: Tensor, points: Tensor) -> Subspace | None:
    """A subspace for terms (n, d) and points (m, d) alike to these, float32 or float64; None where there is none to be found.

    U spans WIDTH (in more than 1024 dimensions 2·WIDTH) leading left and right directions of the sampled scores A Xᵀ, as
    both samples map them back to inputs.
    """
    width = WIDTH if terms.shape[1] <= 1024 else 2 * WIDTH
    a, x = _Sample.of(terms), _Sample.of(points)
    return None if a is None or x is None else _spanned(a, x, _directions(a.rows, x.rows, width).double())


def narrowed(subspace: Subspace, terms: Tensor, points: Tensor, rank: int) -> Subspace | None:
    """A smaller one, of the leading directions of either side."""
    half = rank // 2
    sides = (side.change[:, :half].double() for side in (subspace.of_terms, subspace.of_points))
    directions = subspace.basis.double() @ torch.cat([side / side.norm() for side in sides], 1)
    a, x = _Sample.of(terms), _Sample.of(points)
    return None if a is None or x is None else _spanned(a, x, directions)


def _spanned(terms: _Sample, points: _Sample, directions: Tensor) -> Subspace | None:
    """The subspace of some directions (d, R), balanced for these terms and points."""
    if not directions.shape[1]:
        return None
    basis = torch.linalg.qr(directions)[0].float()
    insides = [(sample.rows @ basis).double() for sample in (terms, points)]
    change = _balanced(*(inside.mT @ inside / len(inside) for inside in insides))
    if change is None:
        return None
    # These float32 numbers are T and S from here on.
    to_points = change.mT.float().contiguous()
    to_terms = torch.linalg.inv(to_points.double().mT).float().contiguous()
    return _checked(basis, [terms.mean, points.mean], [terms.scale, points.scale], to_terms, to_points)


def _checked(basis: Tensor, means: list[Tensor], scales: list[float], to_terms: Tensor, to_points: Tensor) -> Subspace | None:
    """The subspace of these, with bounds on how far U is from orthonormal and S from T⁻¹."""
    d, rank = basis.shape
    columns = torch.cat([basis, (means[0] * scales[0]).unsqueeze(1)], 1)
    exact, s, t = basis.double(), to_terms.double(), to_points.double().mT
    eye = torch.eye(rank, dtype=torch.float64)
    defect = float((exact.mT @ exact - eye).norm()) + (d + 16) * 2.0**-52 * rank
    condition = float(s.norm() * t.norm())
    turned = float((s @ t - eye).norm()) + ((rank + 16) * 2.0**-52 + gamma(rank) ** 2) * condition
    if not (defect < 2.0**-8 and turned < 2.0**-8 and bool(columns.isfinite().all())):
        return None
    # Not below 2⁻¹⁰, so that a product with it is more than what underflows.
    spreads = [torch.linalg.vector_norm(change.double(), dim=0).mul_(1 + 2.0**-20).float() for change in (to_points, to_terms)]
    of_terms, of_points = (
        Side(mean, scale, change, spread.clamp_min(2.0**-10))
        for mean, scale, change, spread in zip(means, scales, (to_terms, to_points), spreads, strict=True)
    )
    return Subspace(columns, of_terms, of_points, defect, turned)


def power(number: float) -> float:
    """The power of 2 near a number; 1 for 0."""
    return 2.0 ** round(math.log2(number)) if 0 < number < math.inf else 1.0


def _directions(a: Tensor, x: Tensor, width: int) -> Tensor:
    """(d, ≤ 2·width): leading singular directions of A Xᵀ, found by subspace iteration, mapped back by Aᵀ and by Xᵀ."""
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
