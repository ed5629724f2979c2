"""``tp.angles``, ``tp.distances``, ``tp.correlation``: similarity of the coefficients of paired terms (Figures 2 and 5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from tropica.errors import InputError
from tropica.runtime.arithmetic import own_settings
from tropica.terms.linear_terms import AffineTerms

BLOCK_SIZE = 2**19
"""The number of coefficients of each side that are in float64 at a time (4 MB)."""


@own_settings()
def angles(a: AffineTerms, b: AffineTerms, *, block_size: int = BLOCK_SIZE) -> Tensor:
    """The angle between the coefficient vectors of each pair of terms, in degrees.

        angle_k = 2 · atan2(‖u − v‖, ‖u + v‖) · 180/π,   u = a_k / ‖a_k‖,  v = b_k / ‖b_k‖

    (Kahan). Unlike the arc cosine of ⟨u, v⟩, this formula is accurate for small angles too. Constant parts are not used.

    Args:
        a, b: D terms each, over inputs of the same size d; row k of a is compared with row k of b.
        block_size: the number of coefficients of each side that are in float64 at a time.

    Returns:
        (D,) float64 in [0, 180]; NaN where one of the vectors is zero.

    Raises:
        InputError: a and b are not terms of equal shape.

    >>> import torch
    >>> east, north = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 5.0]])
    >>> a, b = (AffineTerms(w, torch.zeros(1), (2,)) for w in (east, north))
    >>> angles(a, b).round(decimals=6), angles(a, a)
    (tensor([90.], dtype=torch.float64), tensor([0.], dtype=torch.float64))
    """
    return _row_by_row(_angle, a, b, block_size)


@own_settings()
def distances(a: AffineTerms, b: AffineTerms, *, block_size: int = BLOCK_SIZE) -> Tensor:
    """The Euclidean distance ‖a_k − b_k‖ between the coefficient vectors of each pair of terms.

    Args:
        a, b: D terms each, over inputs of the same size d; constant parts are not used.
        block_size: the number of coefficients of each side that are in float64 at a time.

    Returns:
        (D,) float64, in units of the network's output per unit of input.

    Raises:
        InputError: as :func:`angles`.

    >>> import torch
    >>> a, b = (AffineTerms(torch.tensor([w]), torch.zeros(1), (2,)) for w in ([3.0, 0.0], [0.0, 4.0]))
    >>> distances(a, b).round(decimals=6)
    tensor([5.], dtype=torch.float64)
    """
    return _row_by_row(_distance, a, b, block_size)


@own_settings()
def correlation(a: AffineTerms, b: AffineTerms, *, block_size: int = BLOCK_SIZE) -> Tensor:
    """Pearson's correlation coefficient over the pairs of terms, for the coefficient in each input dimension.

        r_j = Σ_k (a_kj − ā_j)(b_kj − b̄_j) / √(Σ_k (a_kj − ā_j)² · Σ_k (b_kj − b̄_j)²),   ā_j, b̄_j means over k

    Figure 5 of TropEx shows its mean over the dimensions, for the terms of two networks at the same points:
    ``tp.correlation(one.local, other.local).nanmean()``. Constant parts are not used; terms with zero coefficients count like
    all others. The rows are read three times, in blocks.

    Args:
        a, b: D terms each, over inputs of the same size d; row k of a is paired with row k of b.
        block_size: the number of coefficients of each side that are in float64 at a time.

    Returns:
        (d,) float64 in [−1, 1]; NaN in a dimension where all coefficients of ``a`` or all coefficients of ``b`` are equal.

    Raises:
        InputError: as :func:`angles`.

    >>> import torch
    >>> a, b = (
    ...     AffineTerms(torch.tensor(w), torch.zeros(3), (2,))
    ...     for w in ([[0.0, 1.0], [1.0, 2.0], [2.0, 4.0]], [[5.0, 1.0], [3.0, 1.0], [1.0, 1.0]])
    ... )
    >>> correlation(a, b).round(decimals=6)
    tensor([-1.,  nan], dtype=torch.float64)
    """
    _check_pairs(a, b)
    size = a.weight.shape[1]
    if not len(a):
        return torch.full((size,), torch.nan, dtype=torch.float64, device=a.weight.device)
    # Differences from the first row, divided by the largest: no sum overflows, and a constant dimension is exactly 0.
    first = [side.weight[0].double() / 2 for side in (a, b)]
    spread = torch.zeros(2, size, dtype=torch.float64, device=a.weight.device)
    for rows in _blocks(a, b, block_size):
        for side in (0, 1):
            moved = (rows[side] / 2 - first[side]).abs_()
            spread[side] = torch.maximum(spread[side], moved.amax(0))
    scale = torch.where(spread == 0, 1.0, spread)

    def scaled() -> Iterator[tuple[Tensor, Tensor]]:
        for x, y in _blocks(a, b, block_size):
            yield (x / 2 - first[0]) / scale[0], (y / 2 - first[1]) / scale[1]

    mean, products, residue = torch.zeros_like(spread), torch.zeros(3, size).to(spread), torch.zeros_like(spread)
    for u, v in scaled():
        mean += torch.stack([u.sum(0), v.sum(0)])
    mean /= len(a)
    for u, v in scaled():
        u, v = u - mean[0], v - mean[1]
        products += torch.stack([(u * u).sum(0), (v * v).sum(0), (u * v).sum(0)])
        residue += torch.stack([u.sum(0), v.sum(0)])  # zero except for the rounding of the means, corrected below
    uu, vv, uv = products - torch.stack([residue[0] ** 2, residue[1] ** 2, residue[0] * residue[1]]) / len(a)
    found = (uv / (uu.sqrt() * vv.sqrt())).clamp(-1, 1)
    return torch.where((spread == 0).any(0), torch.nan, found)


def _blocks(a: AffineTerms, b: AffineTerms, block_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Blocks of paired rows, in float64 on the device of a."""
    step = max(1, block_size // max(1, a.weight.shape[1]))
    for start in range(0, len(a), step):
        rows = slice(start, start + step)
        yield a.weight[rows].double(), b.weight[rows].to(a.weight.device, torch.float64)


def _row_by_row(measure: Callable[[Tensor, Tensor], Tensor], a: AffineTerms, b: AffineTerms, block_size: int) -> Tensor:
    """The measure of each pair of rows, in float64."""
    _check_pairs(a, b)
    out = [measure(x, y) for x, y in _blocks(a, b, block_size)]
    return torch.cat(out) if out else torch.empty(0, dtype=torch.float64, device=a.weight.device)


def _check_pairs(a: AffineTerms, b: AffineTerms) -> None:
    for terms in (a, b):
        if not isinstance(terms, AffineTerms):
            raise InputError(f"terms (AffineTerms, such as terms.local) are compared, got {type(terms).__name__}")
    if a.weight.shape != b.weight.shape:
        raise InputError(
            f"terms are compared in pairs, row by row: {len(a)} terms of {a.weight.shape[1]} coefficients do not pair with "
            f"{len(b)} of {b.weight.shape[1]}"
        )


def _angle(a: Tensor, b: Tensor) -> Tensor:
    u, v = _direction(a), _direction(b)
    halves = torch.atan2(torch.linalg.vector_norm(u - v, dim=1), torch.linalg.vector_norm(u + v, dim=1))
    return torch.rad2deg(2 * halves)


def _direction(a: Tensor) -> Tensor:
    """Unit vectors; NaN for zero rows. Rows are scaled first, so that no square under- or overflows."""
    a = a / _largest(a)
    return a / torch.linalg.vector_norm(a, dim=1, keepdim=True)


def _distance(a: Tensor, b: Tensor) -> Tensor:
    scale = torch.maximum(_largest(a), _largest(b))
    scale = torch.where(scale == 0, 1.0, scale)
    return torch.linalg.vector_norm(a / scale - b / scale, dim=1) * scale[:, 0]


def _largest(a: Tensor) -> Tensor:
    """The largest |coefficient| of each row (D, 1); 0 for rows without coefficients."""
    return torch.nn.functional.pad(a.abs(), (0, 1)).amax(1, keepdim=True)
