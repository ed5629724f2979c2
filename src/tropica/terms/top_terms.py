"""The k largest of many affine functions at many points, exactly, block by block.

A product in float64 with its error bound leaves the functions that may be among the k largest at a point. These are evaluated
as in :mod:`tropica.terms.maxima`, row by row, so that the first of the k is the active function that the maxima find.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from tropica.runtime.processes import Processes
from tropica.terms.affine_functions import BLOCK_SIZES, AffineFunctions, BlockSizes, key_of, norms_of
from tropica.terms.double_double_maxima import values_at
from tropica.terms.maxima import UNSET


class RunningTop:
    """The k largest of all functions seen so far at every point: values and keys, largest first.

    Equal values are ordered by their keys (:func:`tropica.terms.affine_functions.key_of`): label first, then index.

    Attributes:
        x: points (N, d), in float64.
        value, low: (N, k) float64, the values and, for terms in double-double, what float64 does not hold of them; −∞ where
            there are fewer than k functions.
        key: (N, k) int64, the largest number of int64 where there are fewer than k functions.
    """

    def __init__(self, x: Tensor, k: int, sizes: BlockSizes = BLOCK_SIZES) -> None:
        self.x, self.k, self.sizes = x.double(), k, sizes
        self.norm = norms_of(self.x)
        self.value = torch.full((len(x), k), -torch.inf, dtype=torch.float64, device=x.device)
        self.low = torch.zeros_like(self.value)
        self.key = torch.full((len(x), k), UNSET, dtype=torch.int64, device=x.device)

    def update(self, functions: AffineFunctions) -> None:
        """Take a block of functions into account."""
        for point, index, _ in possible_top(functions, self.x, self.norm, self.value[:, -1], self.k, self.sizes):
            self.take(functions, point, index)

    def take(self, functions: AffineFunctions, point: Tensor, index: Tensor) -> None:
        """Evaluate the functions ``index`` at the points ``point``, (n,) each, and take them into account."""
        value = values_at(functions, index, self.x, point)
        prefer = torch.zeros_like(index) if functions.prefer is None else functions.prefer[index]
        self._merge(point, value.high, value.low, key_of(prefer, functions.global_index(index)))

    def all_reduce(self, processes: Processes) -> None:
        """Replace this process's functions by the k largest over all processes."""
        if processes.world_size > 1:
            found = processes.all_gather([column.flatten().tolist() for column in (self.value, self.low, self.key)])
            point = torch.arange(len(self.x), device=self.x.device).repeat_interleave(self.k)
            for columns in (part for rank, part in enumerate(found) if rank != processes.rank):
                value, low = (torch.tensor(c, dtype=torch.float64, device=self.x.device) for c in columns[:2])
                self._merge(point, value, low, torch.tensor(columns[2], device=self.x.device))

    def _merge(self, point: Tensor, value: Tensor, low: Tensor, key: Tensor) -> None:
        """Merge pairs of a point and a function with the k best so far."""
        points = torch.arange(len(self.x), device=point.device).repeat_interleave(self.k)
        point = torch.cat([points, point])
        columns = [torch.cat([mine.flatten(), new]) for mine, new in ((self.value, value), (self.low, low), (self.key, key))]
        order = columns[2].argsort()
        for column, descending in ((columns[1], True), (columns[0], True), (point, False)):
            order = order[column[order].argsort(descending=descending, stable=True)]
        count = torch.bincount(point, minlength=len(self.x))
        first = (count.cumsum(0) - count)[:, None] + torch.arange(self.k, device=point.device)
        self.value, self.low, self.key = (column[order[first]] for column in columns)


def possible_top(
    functions: AffineFunctions, x: Tensor, norm: Tensor, reached: Tensor, k: int, sizes: BlockSizes
) -> Iterator[tuple[Tensor, Tensor, tuple[Tensor, Tensor]]]:
    """The pairs of a point and a function of a block that may be among the k largest, a bounded number at a time.

    Args:
        functions: the functions; those that are known up to bounds may be as large as their bounds allow.
        x, norm: points (N, d) in float64, and their norms.
        reached: (N,) values that the k-th largest of all functions reaches.
        k: how many functions are wanted.
        sizes: sizes of the blocks.

    Yields:
        Point and function of each pair, and a lower and an upper bound of its value.
    """
    total = len(functions.bias)
    step = max(1, min(sizes.functions, sizes.weights // max(1, x.shape[1])))
    relative, absolute = functions.error_bound(torch.float64)
    unit, largest = torch.finfo(torch.float64).eps / 2, torch.finfo(torch.float64).max
    for low in range(0, total, step):
        part = slice(low, min(low + step, total))
        weight = functions.rows(part, torch.float64)
        for start in range(0, len(x), sizes.points):
            here = slice(start, start + sizes.points)
            score = torch.addmm(functions.bias[part], x[here], weight.T)
            error = torch.addr(absolute[part].expand(len(score), -1), norm[here], relative[part])
            error = torch.where(error < unit * largest, error, torch.inf)  # beyond it partial sums may overflow
            lower = (score - error).nan_to_num_(-torch.inf, torch.inf, -torch.inf)
            upper = (score + error).nan_to_num_(torch.inf, torch.inf, -torch.inf)
            bound = reached[here]
            if lower.shape[1] >= k:
                bound = torch.maximum(bound, lower.topk(k, 1).values[:, -1])
            row, column = (upper >= bound[:, None]).nonzero(as_tuple=True)
            yield row + start, column + low, (lower[row, column], upper[row, column])
