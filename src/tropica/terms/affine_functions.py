"""``AffineFunctions``: the a⁺ or a⁻ of a block as functions whose maximum is wanted, with bounds on the errors of scores."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from tropica.terms.term_block import TermBlock

INDEX_BITS = 40
"""An active function is kept as one number: its ``prefer``, shifted by this many bits, plus its index."""


@dataclass(frozen=True)
class BlockSizes:
    """Sizes of the blocks that maxima are computed in.

    Attributes:
        group: functions per group, the unit of the first filter.
        functions: functions per matrix product.
        points: points per matrix product.
        weights: numbers in the weights of a matrix product, except for a single group (128 MB in float32).
        pairs: numbers in the float64 rows that are evaluated at once (2 MB, which fits the processor's cache).
        pending: candidates that are collected before their evaluation (32 MB).
        chunk: the products in a sum of the first filter where points have four times as many numbers: the sums of all chunks
            are then added, so that the error bound grows with the chunk and not with the dimension.
        pilot: the points of the first product of such functions, which shows whether float32 can separate them.
        dense: the largest share of the pairs of a product that is evaluated pair by pair; above it, a product in float64 first
            decides most of them.
    """

    group: int = 128
    functions: int = 2048
    points: int = 512
    weights: int = 2**25
    pairs: int = 2**18
    pending: int = 2**20
    chunk: int = 1024
    pilot: int = 32
    dense: float = 1 / 64


BLOCK_SIZES = BlockSizes()


@dataclass(frozen=True)
class AffineFunctions:
    """D affine functions ⟨Σ parts, x⟩ + bias, in segments: each segment has its own maximum.

    Attributes:
        parts: tensors (D, d) that sum to the coefficients (a⁺ = local + minus).
        bias: (D,) float64.
        segments: (D,) int64, or None for one segment.
        first: index of the first function among all functions.
        prefer: (D,). Among equal values the function with the smallest ``prefer`` is the active one, then the one with the
            lowest index. None means 0 for all functions.
        uncertainty: (D, 2), bounds r₀‖x‖ + r₁ on the error of each function. None means 0 for all functions.
    """

    parts: tuple[Tensor, ...]
    bias: Tensor
    segments: Tensor | None = None
    first: int = 0
    prefer: Tensor | None = None
    uncertainty: Tensor | None = None

    def rows(self, index: Tensor | slice, dtype: torch.dtype) -> Tensor:
        """The coefficients of the functions ``index``, summed in ``dtype``."""
        total = self.parts[0][index].to(dtype, copy=isinstance(index, slice))
        for part in self.parts[1:]:
            total.add_(part[index])
        return total

    def tables(self, index: Tensor) -> list[Tensor]:
        """All that the values of the functions ``index`` depend on: tensors of (n, …). Functions of equal rows are equal."""
        return [*(part[index] for part in self.parts), self.bias[index].unsqueeze(1)]

    def global_index(self, index: Tensor) -> Tensor:
        """Indices among all functions."""
        return index + self.first

    def keys(self, index: Tensor) -> Tensor:
        """The keys (:func:`key_of`) of functions."""
        prefer = torch.zeros_like(index) if self.prefer is None else self.prefer[index]
        return key_of(prefer, self.global_index(index))

    def padded(self, order: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The weights and biases for a table of indices; an entry −1 stands for the function −∞."""
        index = order.flatten()
        if self.segments is None:  # a run of functions, perhaps with entries −1 behind it
            first, count = int(index[0]), int((index >= 0).sum())
            if count == len(index):  # nothing to pad: no copy of a single part
                run = slice(first, first + count)
                if len(self.parts) == 1:
                    return self.parts[0][run].to(dtype), self.bias[run].to(dtype)
                return self.rows(run, dtype), self.bias[run].to(dtype)
            weight = torch.zeros(len(index), self.parts[0].shape[1], dtype=dtype, device=index.device)
            run = slice(first, first + count)
            for part in self.parts:
                weight[:count].add_(part[run])
            return weight, torch.nn.functional.pad(self.bias[run], (0, len(index) - count), value=-torch.inf).to(dtype)
        return self.rows(index, dtype), self.bias[index].masked_fill(index < 0, -torch.inf).to(dtype)

    def error_bound(self, dtype: torch.dtype, chunk: int | None = None) -> tuple[Tensor, Tensor]:
        """Bound relative·‖x‖ + absolute on the error of each score in ``dtype``: two tensors (D,) in float64.

        |fl(⟨a, x⟩) − ⟨a, x⟩| ≤ γ ‖a‖‖x‖ for any order of summation, γ = n·u/(1 − n·u) with n = d + 8: the 8 covers the casts of
        a and x, the sum of the parts, the addition of the bias, and the rounding of the norms. If sums of ``chunk`` products
        are added one after another, n = chunk + ⌈d/chunk⌉ + 8. u is the unit roundoff of the dtype; the rounding of the
        compared value, which is computed in float64, is added. The bias is rounded once, and once more for each block of
        products that is added to it (no BLAS uses blocks of fewer than 64). The uncertainty is added.
        """
        d = self.parts[0].shape[1]
        rounding, fine = torch.finfo(dtype).eps / 2, 2.0**-53
        unit, n = rounding + fine, d if chunk is None else min(d, chunk + -(-d // chunk))
        depth = (n + 8) * rounding + (d + 8) * fine
        norms = torch.stack([norms_of(part) for part in self.parts]).sum(0)
        # Underflow: each product may lose as much as the smallest normal number.
        tiny = (d + 8) * torch.finfo(dtype).tiny
        relative, absolute = depth / (1 - depth) * norms, (8 + d / 64) * unit * self.bias.abs() + tiny
        if self.uncertainty is None:
            return relative, absolute
        return relative + self.uncertainty[:, 0], absolute + self.uncertainty[:, 1]

    def values(
        self,
        index: Tensor,
        x: Tensor,
        point: Tensor,
        sizes: BlockSizes = BLOCK_SIZES,
        dtype: torch.dtype = torch.float64,
    ) -> Tensor:
        """The values of the functions ``index`` (n,) at the points x[``point``] (n,), products in ``dtype``: (n,) float64."""
        value = torch.empty(len(index), dtype=torch.float64, device=x.device)
        step = max(1, sizes.pairs // x.shape[1])
        for low in range(0, len(index), step):
            pair = slice(low, low + step)
            # Sums of products, row by row: equal rows give equal values, independent of their block.
            products = self.rows(index[pair], dtype).mul_(x[point[pair]])
            torch.add(products.sum(1).double(), self.bias[index[pair]], out=value[pair])
        return value


Family = Literal["plus", "plus by label", "minus"]


def functions_of(block: TermBlock, family: Family, first: int = 0, *, uncertain: bool = False) -> AffineFunctions:
    """The functions of a block whose first term has index ``first``.

    "plus" is a⁺, where the lowest label is preferred among equal values; "plus by label" is a⁺ with a segment for each label;
    "minus" is a⁻ without the center. If coefficients are stored in a coarser dtype than that of the extraction, the functions
    are the stored ones; with ``uncertain``, those of the extraction, known up to the stored bounds.
    """
    known_to = block.rounding if uncertain else None
    if family == "minus":
        return AffineFunctions(
            (block.minus,), block.minus_bias, first=first, uncertainty=None if known_to is None else known_to[:, 2:]
        )
    segments, prefer = (block.labels, None) if family == "plus by label" else (None, block.labels)
    bias, uncertainty = block.local_bias + block.minus_bias, None if known_to is None else known_to[:, :2]
    return AffineFunctions((block.local, block.minus), bias, segments, first, prefer, uncertainty)


def key_of(prefer: Tensor, index: Tensor) -> Tensor:
    """Encode ``prefer`` and index of a function as one number. Among equal values the smallest number is preferred."""
    return (prefer << INDEX_BITS) + index


def split_key(key: Tensor) -> tuple[Tensor, Tensor]:
    """The ``prefer`` and the index of the functions with these keys."""
    return key >> INDEX_BITS, key & (2**INDEX_BITS - 1)


def norms_of(rows: Tensor) -> Tensor:
    """The Euclidean norms of rows, in float64, also if squares leave the range of float32 or float64.

    Only the rows whose norm is 0, tiny, huge or not finite are looked at again, each scaled by a power of two of its own.

    >>> norms_of(torch.tensor([[3.0, 4.0], [0.0, 0.0], [3e-30, 4e-30]])).tolist()  # doctest: +ELLIPSIS
    [5.0, 0.0, 5.0...e-30]
    """
    norms = torch.linalg.vector_norm(rows, dim=1).double()
    (again,) = ((norms > 1e-15) & (norms < 1e15)).logical_not_().nonzero(as_tuple=True)
    for some in again.split(max(1, BLOCK_SIZES.pairs // max(1, rows.shape[1]))):
        part = rows[some]
        largest = torch.linalg.vector_norm(part, math.inf, dim=1).double() if rows.shape[1] else norms[some]
        if bool((largest == 0).all()):  # rows of zeros, whose norm is 0
            continue
        usual = (largest > 0) & (largest < math.inf)  # not NaN
        scale = torch.where(usual, torch.ldexp(torch.ones_like(largest), torch.frexp(largest).exponent - 1), 1.0)
        norms[some] = scale * torch.linalg.vector_norm(part.double() / scale.unsqueeze(1), dim=1)
    return norms


def power_of_two(numbers: Tensor) -> float:
    """The power of two next to the largest magnitude: squares of numbers divided by it stay in range. 1 if all are 0.

    >>> power_of_two(torch.tensor([-3.0, 1e-30])), power_of_two(torch.zeros(2))
    (2.0, 1.0)
    """
    largest = float(numbers.abs().max()) if numbers.numel() else 0.0
    return math.ldexp(1.0, math.frexp(largest)[1] - 1) if 0 < largest < math.inf else 1.0
