"""Exact maxima of many affine functions at many points, with the functions that attain them.

The scores of a block of functions at a block of points are one matrix product in the working dtype. A filter keeps the pairs of
a function and a point whose score, raised by its error bound, reaches the best lower bound known for the point: first group by
group, then pair by pair. These candidates are evaluated again in float64. So the result is that of float64 throughout, ties go
to the lowest index, and the full matrix of scores never exists.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from tropica.errors import CertificateError
from tropica.runtime.processes import Processes
from tropica.terms.term_block import TermBlock

INDEX_BITS = 40
"""An active function is kept as one number: its ``prefer``, shifted by this many bits, plus its index."""
UNSET = torch.iinfo(torch.int64).max


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
    """

    group: int = 128
    functions: int = 2048
    points: int = 512
    weights: int = 2**25
    pairs: int = 2**18
    pending: int = 2**20


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
        total = self.parts[0][index].to(dtype)
        for part in self.parts[1:]:
            total = total + part[index].to(dtype)
        return total

    def global_index(self, index: Tensor) -> Tensor:
        """Indices among all functions."""
        return index + self.first

    def padded(self, order: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The weights and biases for a table of indices; an entry −1 stands for the function −∞."""
        index = order.flatten()
        first, last = int(index[0]), int(index[-1])
        if last - first + 1 == len(index) and self.segments is None:
            run = slice(first, last + 1)
            return self.rows(run, dtype), self.bias[run].to(dtype)
        return self.rows(index, dtype), self.bias[index].masked_fill(index < 0, -torch.inf).to(dtype)

    def error_bound(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Bound relative·‖x‖ + absolute on the error of each score in ``dtype``: two tensors (D,) in float64.

        |fl(⟨a, x⟩) − ⟨a, x⟩| ≤ γ ‖a‖‖x‖ for any order of summation, γ = n·u/(1 − n·u) with n = d + 8: the 8 covers the casts of
        a and x, the sum of the parts, the addition of the bias, and the rounding of the norms. u is the sum of the unit
        roundoffs of the dtype and of float64, in which the compared value is computed. The bias is rounded once, and once more
        for each block of products that is added to it (no BLAS uses blocks of fewer than 64). The uncertainty is added.
        """
        d = self.parts[0].shape[1]
        unit = torch.finfo(dtype).eps / 2 + 2.0**-53
        depth = (d + 8) * unit
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


class Candidates(NamedTuple):
    """Pairs of a point and a function that may attain the maximum, with its segment and an upper bound of its value: (n,)."""

    point: Tensor
    function: Tensor
    segment: Tensor
    upper: Tensor

    def above(self, lower_bound: Tensor) -> Candidates:
        """The candidates whose upper bound reaches ``lower_bound`` (points, segments)."""
        # NaN passes this comparison: if a bound leaves the range of the dtype, the value is computed in float64.
        possible = (self.upper < lower_bound[self.point, self.segment]).logical_not_()
        return Candidates(*(column[possible] for column in self))

    @classmethod
    def concatenate(cls, parts: list[Candidates]) -> Candidates:
        """All candidates of several lists."""
        return cls(*(torch.cat(column) for column in zip(*parts, strict=True)))


class RunningMaxima:
    """The maximum of all functions seen so far, for every point and segment: its value in float64 and the active function.

    Blocks of functions are taken one after another and need not be kept. The result is the same as for all functions at once.

    Attributes:
        x: points (N, d), in the dtype that products are computed in.
        norm: ‖x‖, (N,) float64.
        value: (N, segments) float64, −∞ if there is no function.
        key: (N, segments) int64, ``prefer`` and index of the active function (:func:`key_of`), −1 if there is none.
    """

    def __init__(self, x: Tensor, segments: int = 1, sizes: BlockSizes = BLOCK_SIZES) -> None:
        self.x = x
        self.norm = norms_of(x)
        self.sizes = sizes
        self.value = torch.full((len(x), segments), -torch.inf, dtype=torch.float64, device=x.device)
        self.key = torch.full((len(x), segments), -1, dtype=torch.int64, device=x.device)

    @property
    def argmax(self) -> Tensor:
        """The index of the active function at every point, in every segment: (N, segments), −1 if there is none."""
        return torch.where(self.key < 0, self.key, split_key(self.key)[1])

    def update(self, functions: AffineFunctions) -> None:
        """Take a block of functions into account.

        Raises:
            CertificateError: products are less exact than their dtype.
        """
        if len(functions.bias):
            # The lower bound rises with each product, and rules out more functions.
            lower_bound = self.value.clone()
            for found in candidates(functions, self.x, self.norm, lower_bound, self.sizes):
                self.take(functions, found, lower_bound)

    def take(self, functions: AffineFunctions, found: Candidates, lower_bound: Tensor) -> None:
        """Evaluate the candidates that reach ``lower_bound`` in float64, and take them into account."""
        point, index, segment, upper = found.above(lower_bound)
        value = functions.values(index, self.x, point, self.sizes)
        if bool((value > upper).any()):
            raise CertificateError(
                f"matrix products in {self.x.dtype} are less exact than their dtype on {self.x.device}; "
                "set torch.set_float32_matmul_precision('highest')"
            )
        prefer = torch.zeros_like(index) if functions.prefer is None else functions.prefer[index]
        self.merge(point * self.value.shape[1] + segment, value, key_of(prefer, functions.global_index(index)))

    def merge(self, place: Tensor, value: Tensor, key: Tensor) -> None:
        """Take values with their keys into account: the larger value is kept, among equal values the lower key.

        ``place`` is the flat index point · segments + segment.
        """
        best = self.value.flatten().scatter_reduce(0, place, value, "amax")
        kept = torch.where((self.value.flatten() == best) & (self.key.flatten() >= 0), self.key.flatten(), UNSET)
        lowest = kept.scatter_reduce(0, place, torch.where(value == best[place], key, UNSET), "amin")
        self.key = torch.where(lowest == UNSET, -1, lowest).view_as(self.key)
        self.value = best.view_as(self.value)

    def all_reduce(self, processes: Processes) -> None:
        """Replace this process's maxima by those over all processes."""
        if processes.world_size > 1:
            best = processes.all_reduce_max(self.value)
            lowest = processes.all_reduce_min(torch.where((self.value == best) & (self.key >= 0), self.key, UNSET))
            self.value, self.key = best, torch.where(lowest == UNSET, -1, lowest)


def candidates(
    functions: AffineFunctions, x: Tensor, norm: Tensor, lower_bound: Tensor, sizes: BlockSizes = BLOCK_SIZES
) -> Iterator[Candidates]:
    """Filter a block of functions: the pairs of a function and a point that may attain the maximum, a bounded number at a time.

    Args:
        functions: the functions, at least one.
        x, norm: points (N, d), and their norms (N,) in float64.
        lower_bound: (N, segments) float64, values that the maxima reach. The bound is raised in place with each product.
        sizes: sizes of the blocks.
    """
    order, segment = _groups(functions, lower_bound.shape[1], sizes.group)
    error = functions.error_bound(x.dtype)
    # Fewer groups per product for points of high dimension, whose weights would take too much memory.
    count = max(1, min(sizes.functions // sizes.group, sizes.weights // (sizes.group * x.shape[1])))
    products = (
        _product(functions, *part, x, norm, error, lower_bound, sizes.points)
        for part in zip(order.split(count), segment.split(count), strict=True)
    )
    return in_batches(chain.from_iterable(products), sizes.pending)


def in_batches(found: Iterable[Candidates], pending: int) -> Iterator[Candidates]:
    """Concatenate consecutive lists of candidates to batches of more than ``pending`` candidates."""
    waiting: list[Candidates] = []
    for some in found:
        waiting.append(some)
        if sum(len(each.point) for each in waiting) > pending:
            yield Candidates.concatenate(waiting)
            waiting = []
    if waiting:
        yield Candidates.concatenate(waiting)


def _product(
    functions: AffineFunctions,
    order: Tensor,
    segment: Tensor,
    x: Tensor,
    norm: Tensor,
    error: tuple[Tensor, Tensor],
    lower_bound: Tensor,
    points: int,
) -> Iterator[Candidates]:
    """Compute the scores of some groups at all points, and iterate over their candidates.

    ``order`` holds the indices (groups, group), −1 where a group is not full. NaN passes all comparisons: if a score or its
    bound leaves the range of the dtype, the value is computed in float64.
    """
    weight, bias = functions.padded(order, x.dtype)
    # An entry −1 selects the bound of the last function, which can only raise the maximum.
    relative, absolute = (bound[order].amax(1) for bound in error)
    memory = torch.empty(min(points, len(x)), order.numel(), dtype=x.dtype, device=x.device)
    unit, largest = torch.finfo(x.dtype).eps / 2, torch.finfo(x.dtype).max
    for start in range(0, len(x), points):
        here = slice(start, start + points)
        low, scores = lower_bound[here], memory[: len(x[here])]
        torch.addmm(bias, x[here], weight.T, out=scores)
        grouped = scores.unflatten(1, order.shape)
        peaks = grouped.amax(2)
        error_bound = torch.addr(absolute.expand(len(low), -1), norm[here], relative)
        # error_bound ≥ u (‖a‖‖x‖ + |b|): while it is below u times the largest number, no partial sum can overflow.
        safe = bool((error_bound < unit * largest).all())
        if not safe:
            error_bound.masked_fill_(~(error_bound < unit * largest), torch.inf)
        least = (peaks - error_bound).nan_to_num_(-torch.inf, torch.inf, -torch.inf)
        low.scatter_reduce_(1, segment.expand(len(low), -1), least, "amax")
        at, group = (peaks + error_bound < low[:, segment]).logical_not_().nonzero(as_tuple=True)
        row, column, upper = filter_scores(grouped[at, group], error_bound[at, group], low[at, segment[group]])
        found = Candidates(at[row] + start, order[group[row], column], segment[group[row]], upper)
        yield found if safe else Candidates(*(part[found.function >= 0] for part in found))


def filter_scores(scores: Tensor, error_bound: Tensor, lower_bound: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Find the entries of scores (n, m), with errors of at most ``error_bound`` (n,), that may reach ``lower_bound`` (n,).

    Returns: row, column and upper bound of each such entry; bounds in float64.
    """
    upper = scores.double() + error_bound.double().unsqueeze(1)
    row, column = (upper < lower_bound.unsqueeze(1)).logical_not_().nonzero(as_tuple=True)
    return row, column, upper[row, column]


def norms_of(rows: Tensor) -> Tensor:
    """The Euclidean norms of rows, in float64, also if squares leave the range of float32."""
    norms = torch.linalg.vector_norm(rows, dim=1).double()
    if bool(((norms > 1e-15) & (norms < 1e15)).all()):
        return norms
    return torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64)


def _groups(functions: AffineFunctions, segments: int, size: int) -> tuple[Tensor, Tensor]:
    """Divide each segment into groups of ``size``: indices (groups, size), −1 beyond the last function; segments (groups,)."""
    count, device = len(functions.bias), functions.bias.device
    if functions.segments is None:
        order, counts = torch.arange(count, device=device), torch.tensor([count], device=device)
    else:
        order = functions.segments.argsort(stable=True)
        counts = torch.bincount(functions.segments, minlength=segments)
    groups = -(-counts // size)
    # The position of a function: the first group of its segment, and its rank in the segment.
    segment_of = torch.repeat_interleave(torch.arange(len(counts), device=device), counts)
    rank = torch.arange(count, device=device) - (counts.cumsum(0) - counts)[segment_of]
    place = ((groups.cumsum(0) - groups)[segment_of]) * size + rank
    padded = torch.full((int(groups.sum()) * size,), -1, dtype=torch.int64, device=device)
    padded[place] = order
    return padded.view(-1, size), torch.repeat_interleave(torch.arange(len(counts), device=device), groups)
