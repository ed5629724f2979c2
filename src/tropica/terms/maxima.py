"""Maxima of very many affine functions at very many points, with the winners, exactly.

The scores of a block of functions at a block of points are one matrix product in the working dtype. Of them only those are
looked at whose group of neighbors reaches, within a bound on rounding, the best lower bound known for the point; what is left
is evaluated again in float64. So the answer is that of float64 throughout, ties go to the lowest index, and the full matrix of
scores never exists.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from tropica.errors import CertificateError
from tropica.terms.linear_terms import TermBlock

GROUP = 128
"""Functions a group: the finest that maxima are kept for."""
TERMS = 2048
"""Functions a matrix product."""
NUMBERS = 2**25
"""Numbers in the weights of a matrix product at most, one group aside (128 MB in float32)."""
POINTS = 512
"""Points a matrix product."""
PAIRS = 2**18
"""Numbers in the float64 rows that are evaluated at once (2 MB, to stay in the processor's cache)."""
PENDING = 2**20
"""Pairs of a function and a point that wait for their evaluation in float64 (32 MB)."""
INDEX_BITS = 40
"""A winner is kept as one number, its ``prefer`` above so many bits of its index."""


@dataclass(frozen=True)
class Functions:
    """D affine functions ⟨Σ parts, x⟩ + bias, in segments: the maximum is taken in each segment by itself.

    ``parts`` are (D, d) tensors to be added (a⁺ = local + minus), ``bias`` (D,) float64, ``segments`` (D,) int64 or None for
    one segment. ``first`` is the index of the first function among all. Among equal values the function with the smallest
    ``prefer`` (D,) wins, 0 by default, and then the one with the lowest index.
    """

    parts: tuple[Tensor, ...]
    bias: Tensor
    segments: Tensor | None = None
    first: int = 0
    prefer: Tensor | None = None

    def rows(self, index: Tensor | slice, dtype: torch.dtype) -> Tensor:
        """Coefficients of some functions, summed in ``dtype``."""
        total = self.parts[0][index].to(dtype)
        for part in self.parts[1:]:
            total = total + part[index].to(dtype)
        return total

    def numbers(self, index: Tensor) -> Tensor:
        """The indices among all of some functions here."""
        return index + self.first

    def padded(self, order: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Weights and biases by a table of indices; where it says −1 stands a function that is −∞."""
        index = order.flatten()
        first, last = int(index[0]), int(index[-1])
        if last - first + 1 == len(index) and self.segments is None:
            run = slice(first, last + 1)
            return self.rows(run, dtype), self.bias[run].to(dtype)
        return self.rows(index, dtype), self.bias[index].masked_fill(index < 0, -torch.inf).to(dtype)

    def rounding(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """A bound on the rounding of each function's scores, of_norm·‖x‖ + of_bias: two tensors (D,) in float64.

        |fl(⟨a, x⟩) − ⟨a, x⟩| ≤ γ ‖a‖‖x‖ for any order of summation, γ = n·u/(1 − n·u) with n = d + 8: the 8 covers the casts of
        a and x, the sum of the parts, the addition of the bias, and the rounding of the norms. u is that of the dtype and of
        the float64 value that the score stands for, together. The bias is rounded once, and once more for each block of
        products that is added to it (no BLAS takes less than 64 at a time).
        """
        unit = torch.finfo(x.dtype).eps / 2 + 2.0**-53
        depth = (x.shape[1] + 8) * unit
        norms = torch.stack([norms_of(part) for part in self.parts]).sum(0)
        # Underflow: each product may lose as much as the smallest normal number.
        tiny = (x.shape[1] + 8) * torch.finfo(x.dtype).tiny
        return depth / (1 - depth) * norms, (8 + x.shape[1] / 64) * unit * self.bias.abs() + tiny


Part = Literal["plus", "labels", "minus"]


def functions_of(block: TermBlock, part: Part, first: int = 0) -> Functions:
    """The functions of a block whose first term has index ``first``: its a⁺, all together ("plus", the lowest label first among
    equal ones) or in a segment for each label ("labels"); or its a⁻ ("minus")."""
    if part == "minus":
        return Functions((block.minus,), block.minus_bias, first=first)
    segments, prefer = (block.labels, None) if part == "labels" else (None, block.labels)
    return Functions((block.local, block.minus), block.local_bias + block.minus_bias, segments, first, prefer)


class RunningMaxima:
    """For every point and segment the largest function so far: its value in float64 and its index.

    Blocks of functions may come one after another and be forgotten; the result is that of all of them together.
    """

    def __init__(self, x: Tensor, segments: int = 1) -> None:
        """``x``: points (N, d), in the dtype that products are to be computed in."""
        self.x = x
        self.norm = norms_of(x)
        self.value = torch.full((len(x), segments), -torch.inf, dtype=torch.float64, device=x.device)
        self.key = torch.full((len(x), segments), -1, dtype=torch.int64, device=x.device)

    @property
    def winner(self) -> Tensor:
        """Index of the largest function at every point, in every segment; −1 where there is none."""
        return torch.where(self.key < 0, self.key, self.key & (2**INDEX_BITS - 1))

    def update(self, functions: Functions) -> None:
        """Take a block of functions into account.

        Raises CertificateError where products turn out less exact than their dtype.
        """
        if not len(functions.bias):
            return
        # What the largest value is at least: it rises as the products come in, and rules out more and more.
        floor = self.value.clone()
        order, segment = _groups(functions, self.value.shape[1])
        error = functions.rounding(self.x)
        waiting: list[_Found] = []
        for part in self._parts(order, segment):
            for found in self._product(functions, *part, error, floor):
                waiting.append(found)
                if sum(len(pair[0]) for pair in waiting) > PENDING:
                    self.settle(functions, waiting, floor)
                    waiting = []
        if waiting:
            self.settle(functions, waiting, floor)

    def _parts(self, order: Tensor, segment: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Groups for one matrix product each: fewer where points are so large that their weights would not fit NUMBERS."""
        count = max(1, min(TERMS // GROUP, NUMBERS // (GROUP * self.x.shape[1])))
        return list(zip(order.split(count), segment.split(count), strict=True))

    def _product(
        self, functions: Functions, order: Tensor, segment: Tensor, error: tuple[Tensor, Tensor], floor: Tensor
    ) -> Iterator[_Found]:
        """Scores of some groups (order: (groups, GROUP) indices, −1 where a group is not full) at all points.

        Comparisons are written so that NaN passes: where a score or its bound leaves the dtype's range, float64 decides.
        """
        weight, bias = functions.padded(order, self.x.dtype)
        of_norm, of_bias = (bound[order].amax(1) for bound in error)  # −1 stands for the last: no smaller a bound
        scores = torch.empty(min(POINTS, len(self.x)), order.numel(), dtype=self.x.dtype, device=self.x.device)
        unit, largest = torch.finfo(self.x.dtype).eps / 2, torch.finfo(self.x.dtype).max
        for start in range(0, len(self.x), POINTS):
            x, low = self.x[start : start + POINTS], floor[start : start + POINTS]
            out = scores[: len(x)]
            torch.addmm(bias, x, weight.T, out=out)
            grouped = out.unflatten(1, order.shape)
            peaks = grouped.amax(2)
            slack = torch.addr(of_bias.expand(len(x), -1), self.norm[start : start + POINTS], of_norm)
            # slack ≥ u (‖a‖‖x‖ + |b|): so long as it is below this, no partial sum can overflow.
            safe = bool((slack < unit * largest).all())
            if not safe:
                slack.masked_fill_(~(slack < unit * largest), torch.inf)
            least = peaks - slack
            low.scatter_reduce_(1, segment.expand(len(x), -1), least.nan_to_num_(-torch.inf, torch.inf, -torch.inf), "amax")
            at, group = (peaks + slack < low[:, segment]).logical_not_().nonzero(as_tuple=True)
            upper = grouped[at, group].double() + slack[at, group].unsqueeze(1)
            possible = (upper < low[at, segment[group]].unsqueeze(1)).logical_not_()
            if not safe:
                possible &= order[group] >= 0
            row, column = possible.nonzero(as_tuple=True)
            yield at[row] + start, order[group[row], column], segment[group[row]], upper[row, column]

    def settle(self, functions: Functions, waiting: list[_Found], floor: Tensor) -> None:
        """Evaluate functions at points in float64, pair by pair, and take them into account."""
        point, index, which, upper = (torch.cat(column) for column in zip(*waiting, strict=True))
        able = (upper < floor[point, which]).logical_not_()
        point, index, which, upper = point[able], index[able], which[able], upper[able]
        step = max(1, PAIRS // self.x.shape[1])
        value = torch.empty(len(point), dtype=torch.float64, device=point.device)
        for low in range(0, len(point), step):
            pair = slice(low, low + step)
            # Sums of products, row by row: equal rows give equal values, whatever the block they come in.
            products = functions.rows(index[pair], torch.float64).mul_(self.x[point[pair]])
            torch.add(products.sum(1), functions.bias[index[pair]], out=value[pair])
        if bool((value > upper).any()):
            raise CertificateError(
                f"matrix products in {self.x.dtype} are less exact than their dtype on {self.x.device}; "
                "set torch.set_float32_matmul_precision('highest')"
            )
        # The larger value wins, among equal values the lower key.
        key = functions.numbers(index)
        if functions.prefer is not None:
            key += functions.prefer[index] << INDEX_BITS
        flat = point * self.value.shape[1] + which
        best = self.value.flatten().scatter_reduce(0, flat, value, "amax")
        far = torch.iinfo(torch.int64).max
        held = torch.where((self.value.flatten() == best) & (self.key.flatten() >= 0), self.key.flatten(), far)
        winner = held.scatter_reduce(0, flat, torch.where(value == best[flat], key, far), "amin")
        self.key = torch.where(winner == far, -1, winner).view_as(self.key)
        self.value = best.view_as(self.value)


_Found = tuple[Tensor, Tensor, Tensor, Tensor]
"""Possible winners: point, function, segment, and the most that the value can be."""


def norms_of(rows: Tensor) -> Tensor:
    """Euclidean norms of rows, in float64; safe where squares leave the range of float32."""
    norms = torch.linalg.vector_norm(rows, dim=1).double()
    if bool(((norms > 1e-15) & (norms < 1e15)).all()):
        return norms
    return torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64)


def _groups(functions: Functions, segments: int) -> tuple[Tensor, Tensor]:
    """Groups of GROUP functions of one segment each: indices (groups, GROUP), −1 where not full, and each group's segment."""
    size, device = len(functions.bias), functions.bias.device
    if functions.segments is None:
        order, counts = torch.arange(size, device=device), torch.tensor([size], device=device)
    else:
        order = functions.segments.argsort(stable=True)
        counts = torch.bincount(functions.segments, minlength=segments)
    groups = -(-counts // GROUP)
    # Each function's place: its segment's first group, and its rank in the segment.
    segment_of = torch.repeat_interleave(torch.arange(len(counts), device=device), counts)
    rank = torch.arange(size, device=device) - (counts.cumsum(0) - counts)[segment_of]
    place = ((groups.cumsum(0) - groups)[segment_of]) * GROUP + rank
    padded = torch.full((int(groups.sum()) * GROUP,), -1, dtype=torch.int64, device=device)
    padded[place] = order
    return padded.view(-1, GROUP), torch.repeat_interleave(torch.arange(len(counts), device=device), groups)
