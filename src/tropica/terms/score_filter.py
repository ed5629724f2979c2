"""Filter of pairs of a function and a point: those whose score, raised by its error bound, reaches a lower bound.

The scores of a block of functions at a block of points are one matrix product in the working dtype. Groups of functions are
tested first, then pairs. If this leaves too many pairs, functions that equal another one are left out, and a product in float64
follows (:attr:`BlockSizes.dense`). So the cost of pairs that float32 cannot tell apart is that of the product in float64.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from tropica.runtime.row_hashes import row_hashes
from tropica.terms.affine_functions import BLOCK_SIZES, AffineFunctions, BlockSizes, key_of


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
    # Fewer groups per product for points of high dimension, whose weights would take too much memory.
    count = max(1, min(sizes.functions // sizes.group, sizes.weights // (sizes.group * x.shape[1])))
    parts = zip(order.split(count), segment.split(count), strict=True)
    return in_batches(_products(functions, parts, x, norm, lower_bound, sizes), sizes.pending)


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


@dataclass(frozen=True)
class _Scores:
    """Some groups of functions, prepared for products in one dtype.

    Attributes:
        order, segment: the indices (groups, group), −1 where a group is not full; the segment of each group.
        weight, bias: coefficients and biases in the dtype.
        relative, absolute: bounds on the error of the scores of each group.
    """

    order: Tensor
    segment: Tensor
    weight: Tensor
    bias: Tensor
    relative: Tensor
    absolute: Tensor

    @classmethod
    def of(
        cls, functions: AffineFunctions, order: Tensor, segment: Tensor, dtype: torch.dtype, error: tuple[Tensor, Tensor]
    ) -> _Scores:
        """Prepare groups of functions with the given bounds (D,) on the errors of scores in the dtype."""
        weight, bias = functions.padded(order, dtype)
        # An entry −1 selects the bound of the last function, which can only raise the maximum.
        relative, absolute = (bound[order].amax(1) for bound in error)
        return cls(order, segment, weight, bias, relative, absolute)

    def without(self, left_out: Tensor) -> _Scores:
        """The same without some functions: a mask over the flat order."""
        order = self.order.masked_fill(left_out.view_as(self.order), -1)
        return replace(self, order=order, bias=self.bias.masked_fill(left_out, -torch.inf))

    def candidates(self, x: Tensor, norm: Tensor, low: Tensor, first: int, out: Tensor, chunk: int | None = None) -> Candidates:
        """The candidates among these functions at points x (n, d), whose numbers start at ``first``.

        ``low`` (n, segments) is raised in place; scores are written to ``out``, summed in chunks if one is given. NaN passes
        all comparisons: if a score or its bound leaves the range of the dtype, the value is computed in float64.
        """
        unit, largest = torch.finfo(x.dtype).eps / 2, torch.finfo(x.dtype).max
        scores = _product(x, self.weight, self.bias, out, chunk)
        grouped = scores.unflatten(1, self.order.shape)
        peaks = grouped.amax(2)
        error_bound = torch.addr(self.absolute.expand(len(low), -1), norm, self.relative)
        # error_bound ≥ u (‖a‖‖x‖ + |b|): while it is below u times the largest number, no partial sum can overflow.
        safe = bool((error_bound < unit * largest).all())
        if not safe:
            error_bound.masked_fill_(~(error_bound < unit * largest), torch.inf)
        least = (peaks - error_bound).nan_to_num_(-torch.inf, torch.inf, -torch.inf)
        low.scatter_reduce_(1, self.segment.expand(len(low), -1), least, "amax")
        at, group = (peaks + error_bound < low[:, self.segment]).logical_not_().nonzero(as_tuple=True)
        row, column, upper = filter_scores(grouped[at, group], error_bound[at, group], low[at, self.segment[group]])
        found = Candidates(at[row] + first, self.order[group[row], column], self.segment[group[row]], upper)
        return found if safe else Candidates(*(part[found.function >= 0] for part in found))


def _products(
    functions: AffineFunctions,
    parts: Iterable[tuple[Tensor, Tensor]],
    x: Tensor,
    norm: Tensor,
    lower_bound: Tensor,
    sizes: BlockSizes,
) -> Iterator[Candidates]:
    """Iterate over the candidates of groups at all points, some groups at a time (order and segment)."""
    large, chunk, dtype = x.shape[1] >= 4 * sizes.chunk, None, x.dtype
    if large and dtype != torch.float64:
        chunk = sizes.chunk
    errors = functools.cache(functions.error_bound)
    memory = functools.cache(lambda dtype, rows, columns: x.new_empty(rows, columns, dtype=dtype))
    for order, segment in parts:
        scores = repeated = None
        start = 0
        while start < len(x):
            step = sizes.points if dtype == x.dtype else min(sizes.points, max(1, sizes.weights // (2 * x.shape[1])))
            if large and start == 0 and dtype != torch.float64:
                step = min(step, sizes.pilot)
            here = slice(start, min(start + step, len(x)))
            if scores is None:
                scores = _Scores.of(functions, order, segment, dtype, errors(dtype, chunk))
                scores = scores if repeated is None else scores.without(repeated)
            products = memory(dtype, min(sizes.points, len(x)), order.numel())[: here.stop - start]
            found = scores.candidates(x[here].to(dtype), norm[here], lower_bound[here], start, products, chunk)
            few = max(sizes.dense * (here.stop - start) * order.numel(), sizes.pairs / x.shape[1])
            if len(found.point) > few and repeated is None:
                repeated = _repeated(functions, order)
                scores = scores.without(repeated)
                found = Candidates(*(column[~repeated[_places(order, found.function)]] for column in found))
            if len(found.point) > few and dtype != torch.float64:
                scores, dtype, chunk = None, torch.float64, None  # for these points again, and for all that follow
                continue
            yield found
            start = here.stop


def _product(x: Tensor, weight: Tensor, bias: Tensor, out: Tensor, chunk: int | None) -> Tensor:
    """x weightᵀ + bias (n, m), written to ``out``; with ``chunk``, sums of ``chunk`` products are added one after another."""
    if chunk is None:
        return torch.addmm(bias, x, weight.T, out=out)
    torch.mm(x[:, :chunk], weight[:, :chunk].T, out=out)
    part = torch.empty_like(out)
    for low in range(chunk, x.shape[1], chunk):
        out += torch.mm(x[:, low : low + chunk], weight[:, low : low + chunk].T, out=part)
    return out.add_(bias)


def _places(order: Tensor, function: Tensor) -> Tensor:
    """The flat places of functions in the order."""
    place = torch.empty(int(order.max()) + 1, dtype=torch.int64, device=order.device)
    flat = order.flatten()
    (full,) = (flat >= 0).nonzero(as_tuple=True)
    place[flat[full]] = full
    return place[function]


def _repeated(functions: AffineFunctions, order: Tensor) -> Tensor:
    """Which functions equal a preferred one of the same segment, and so never are the active one: a mask over the flat order.

    Functions that are known up to bounds are all kept.
    """
    index = order.flatten()
    if functions.uncertainty is not None:
        return torch.zeros(len(index), dtype=torch.bool, device=index.device)
    _, group, counts = functions.bias[index].unique(return_inverse=True, return_counts=True)
    (some,) = ((counts[group] > 1) & (index >= 0)).nonzero(as_tuple=True)  # equal functions have equal biases
    repeated = torch.zeros(len(index), dtype=torch.bool, device=index.device)
    repeated[some] = _led(functions, index[some])
    return repeated


def _led(functions: AffineFunctions, index: Tensor) -> Tensor:
    """Which of some functions equal a preferred one among them, in the same segment: (n,) bool."""
    tables = functions.tables(index)
    if functions.segments is not None:
        tables.append(functions.segments[index].double().unsqueeze(1))
    hashes = torch.stack([row_hashes(table) * (2 * i + 1) for i, table in enumerate(tables)]).sum(0)
    prefer = torch.zeros_like(index) if functions.prefer is None else functions.prefer[index]
    ranked = key_of(prefer, index).argsort()
    _, group = hashes[ranked].unique(return_inverse=True)
    place = torch.arange(len(index), device=index.device)
    best = torch.full_like(index, len(index)).scatter_reduce(0, group, place, "amin")[group]
    leader = torch.empty_like(index)
    leader[ranked] = ranked[best]
    return torch.stack([(table == table[leader]).all(1) for table in tables]).all(0) & (leader != place)


def filter_scores(scores: Tensor, error_bound: Tensor, lower_bound: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Find the entries of scores (n, m), with errors of at most ``error_bound`` (n,), that may reach ``lower_bound`` (n,).

    Returns: row, column and upper bound of each such entry; bounds in float64.
    """
    upper = scores.double() + error_bound.double().unsqueeze(1)
    row, column = (upper < lower_bound.unsqueeze(1)).logical_not_().nonzero(as_tuple=True)
    return row, column, upper[row, column]


def _groups(functions: AffineFunctions, segments: int, size: int) -> tuple[Tensor, Tensor]:
    """Divide each segment into groups of ``size``: indices (groups, size), −1 beyond the last function; segments (groups,)."""
    count, device = len(functions.bias), functions.bias.device
    if functions.segments is None:
        order, counts = torch.arange(count, device=device), torch.tensor([count], device=device)
    else:
        order = functions.segments.argsort(stable=True)
        counts = torch.bincount(functions.segments, minlength=segments)
    size = _group_size(counts.tolist(), size)
    groups = -(-counts // size)
    # The position of a function: the first group of its segment, and its rank in the segment.
    segment_of = torch.repeat_interleave(torch.arange(len(counts), device=device), counts)
    rank = torch.arange(count, device=device) - (counts.cumsum(0) - counts)[segment_of]
    place = ((groups.cumsum(0) - groups)[segment_of]) * size + rank
    padded = torch.full((int(groups.sum()) * size,), -1, dtype=torch.int64, device=device)
    padded[place] = order
    return padded.view(-1, size), torch.repeat_interleave(torch.arange(len(counts), device=device), groups)


def _group_size(counts: list[int], size: int) -> int:
    """The size of groups, up to ``size``, that pads segments of these lengths least, with as few groups as possible.

    >>> _group_size([300], 128), _group_size([4096], 128), _group_size([30] * 10, 128)
    (100, 128, 30)
    """
    sizes = {
        size,
        *(-(-count // -(-count // size)) for count in counts if count),
        *(size >> i for i in range(1, 4) if size >> i),
    }
    cost = {one: sum(-(-count // one) * one for count in counts) + sum(-(-count // one) for count in counts) for one in sizes}
    return min(sizes, key=lambda one: (cost[one], -one))
