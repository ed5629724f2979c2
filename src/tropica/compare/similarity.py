"""``tp.angles``, ``tp.distances``, ``tp.correlation``: how alike the coefficients of paired terms are (Figures 2, 5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from tropica.errors import InputError
from tropica.terms.linear_terms import AffineTerms

BLOCK = 2**19
"""Coefficients of each side that are held in float64 at once (4 MB)."""


def angles(a: AffineTerms, b: AffineTerms) -> Tensor:
    """The angle between the coefficient vectors of each pair of terms, in degrees.

        angle_k = 2 · atan2(‖u − v‖, ‖u + v‖) · 180/π,   u = a_k / ‖a_k‖,  v = b_k / ‖b_k‖

    which, unlike the arc cosine of ⟨u, v⟩, is exact to rounding for small angles too (Kahan). Constant parts play no role.

    Args:
        a, b: D terms each, over inputs of the same size d; row k of the one is compared with row k of the other.

    Returns:
        (D,) float64 in [0, 180]. A vector of zeros has no direction: NaN.

    Raises:
        InputError: not terms, or not as many, or not of as many coefficients.

    >>> import torch
    >>> east, north = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 5.0]])
    >>> a, b = (AffineTerms(w, torch.zeros(1), (2,)) for w in (east, north))
    >>> angles(a, b), angles(a, a)
    (tensor([90.], dtype=torch.float64), tensor([0.], dtype=torch.float64))
    """
    return _rowwise(_angle, a, b)


def distances(a: AffineTerms, b: AffineTerms) -> Tensor:
    """The Euclidean distance ‖a_k − b_k‖ between the coefficient vectors of each pair of terms.

    Args:
        a, b: D terms each, over inputs of the same size d; constant parts play no role.

    Returns:
        (D,) float64, in units of the network's output per unit of input.

    Raises:
        InputError: as :func:`angles`.

    >>> import torch
    >>> a, b = (AffineTerms(torch.tensor([w]), torch.zeros(1), (2,)) for w in ([3.0, 0.0], [0.0, 4.0]))
    >>> distances(a, b)
    tensor([5.], dtype=torch.float64)
    """
    return _rowwise(_distance, a, b)


def correlation(a: AffineTerms, b: AffineTerms) -> Tensor:
    """Pearson's correlation of the coefficients in each input dimension, over the pairs of terms.

        r_j = Σ_k (a_kj − ā_j)(b_kj − b̄_j) / √(Σ_k (a_kj − ā_j)² · Σ_k (b_kj − b̄_j)²),   ā_j, b̄_j means over k

    The paper's Figure 5 is its mean over the dimensions, for the terms that two networks have at the same points:
    ``tp.correlation(one.local, other.local).nanmean()``. Constant parts play no role; rows of zeros (terms with no slope)
    count like all others. The rows are walked three times, and beside them some 100 MB are held.

    Args:
        a, b: D terms each, over inputs of the same size d; row k of the one is paired with row k of the other.

    Returns:
        (d,) float64 in [−1, 1]. A dimension in which the coefficients of ``a`` or those of ``b`` are all equal, as with fewer
        than two terms, has no correlation: NaN.

    Raises:
        InputError: as :func:`angles`.

    >>> import torch
    >>> a, b = (
    ...     AffineTerms(torch.tensor(w), torch.zeros(3), (2,))
    ...     for w in ([[0.0, 1.0], [1.0, 2.0], [2.0, 4.0]], [[5.0, 1.0], [3.0, 1.0], [1.0, 1.0]])
    ... )
    >>> correlation(a, b)
    tensor([-1.,  nan], dtype=torch.float64)
    """
    _check_pairs(a, b)
    size = a.weight.shape[1]
    if not len(a):
        return torch.full((size,), torch.nan, dtype=torch.float64, device=a.weight.device)
    # Differences from the first row, over the largest of them: no sum overflows, and a constant dimension is exactly zero.
    first = [side.weight[0].double() / 2 for side in (a, b)]
    reach = torch.zeros(2, size, dtype=torch.float64, device=a.weight.device)
    for rows in _pairs(a, b):
        for side in (0, 1):
            moved = (rows[side] / 2 - first[side]).abs_()
            reach[side] = torch.maximum(reach[side], moved.amax(0))
    scale = torch.where(reach == 0, 1.0, reach)

    def scaled() -> Iterator[tuple[Tensor, Tensor]]:
        for x, y in _pairs(a, b):
            yield (x / 2 - first[0]) / scale[0], (y / 2 - first[1]) / scale[1]

    mean, products, left = torch.zeros_like(reach), torch.zeros(3, size).to(reach), torch.zeros_like(reach)
    for u, v in scaled():
        mean += torch.stack([u.sum(0), v.sum(0)])
    mean /= len(a)
    for u, v in scaled():
        u, v = u - mean[0], v - mean[1]
        products += torch.stack([(u * u).sum(0), (v * v).sum(0), (u * v).sum(0)])
        left += torch.stack([u.sum(0), v.sum(0)])  # 0 but for the rounding of the means, which is taken off again
    uu, vv, uv = products - torch.stack([left[0] ** 2, left[1] ** 2, left[0] * left[1]]) / len(a)
    found = (uv / (uu.sqrt() * vv.sqrt())).clamp(-1, 1)
    return torch.where((reach == 0).any(0), torch.nan, found)


def _pairs(a: AffineTerms, b: AffineTerms) -> Iterator[tuple[Tensor, Tensor]]:
    """Both sides' coefficients, some rows at a time in float64 on the first one's device."""
    step = max(1, BLOCK // max(1, a.weight.shape[1]))
    for start in range(0, len(a), step):
        rows = slice(start, start + step)
        yield a.weight[rows].double(), b.weight[rows].to(a.weight.device, torch.float64)


def _rowwise(measure: Callable[[Tensor, Tensor], Tensor], a: AffineTerms, b: AffineTerms) -> Tensor:
    """The measure of each pair of rows, some rows at a time in float64."""
    _check_pairs(a, b)
    out = [measure(x, y) for x, y in _pairs(a, b)]
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
    """Unit vectors; NaN where there is no direction. Scaled first, so that no square under- or overflows."""
    a = a / _largest(a)
    return a / torch.linalg.vector_norm(a, dim=1, keepdim=True)


def _distance(a: Tensor, b: Tensor) -> Tensor:
    scale = torch.maximum(_largest(a), _largest(b))
    scale = torch.where(scale == 0, 1.0, scale)
    return torch.linalg.vector_norm(a / scale - b / scale, dim=1) * scale[:, 0]


def _largest(a: Tensor) -> Tensor:
    """The largest |coefficient| of each row (D, 1); 0 for rows without coefficients."""
    return torch.nn.functional.pad(a.abs(), (0, 1)).amax(1, keepdim=True)
