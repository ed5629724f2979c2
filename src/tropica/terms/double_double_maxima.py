"""Maxima of affine functions whose coefficients are stored in double-double (:mod:`tropica.terms.maxima` has those in float64).

Bounds from float64 products exclude most functions; the others are evaluated in double-double arithmetic. A product of rounded
coefficients would gain nothing: both the coefficients and the products need the digits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tropica.exact.double_double import DoubleDouble, dot
from tropica.runtime.processes import Processes
from tropica.terms.affine_functions import BLOCK_SIZES, AffineFunctions, BlockSizes, Family, functions_of
from tropica.terms.maxima import UNSET, RunningMaxima
from tropica.terms.score_filter import Candidates
from tropica.terms.term_block import TermBlock


@dataclass(frozen=True)
class DoubleDoubleFunctions(AffineFunctions):
    """Affine functions with the rest of the last part, and of the bias, that float64 does not hold: (D, d) and (D,)."""

    part_low: Tensor | None = None
    bias_low: Tensor | None = None

    def tables(self, index: Tensor) -> list[Tensor]:
        assert self.part_low is not None
        assert self.bias_low is not None
        return [*super().tables(index), self.part_low[index], self.bias_low[index].unsqueeze(1)]

    def double_double(self, index: Tensor, x: Tensor, point: Tensor, sizes: BlockSizes = BLOCK_SIZES) -> DoubleDouble:
        """The values of the functions ``index`` (n,) at the points x[``point``] (n,)."""
        assert self.part_low is not None
        assert self.bias_low is not None
        found: list[DoubleDouble] = []
        step = max(1, sizes.pairs // x.shape[1])
        for low in range(0, max(len(index), 1), step):
            i, at = index[low : low + step], x[point[low : low + step]].double()
            value = dot(DoubleDouble(self.parts[-1][i].double(), self.part_low[i]), at)
            for part in self.parts[:-1]:
                value = value.plus((part[i].double() * at).sum(1))
            found.append(value + DoubleDouble(self.bias[i], self.bias_low[i]))
        return DoubleDouble(*(torch.cat(column) for column in zip(*found, strict=True)))


def functions_for(block: TermBlock, family: Family, first: int = 0) -> AffineFunctions:
    """The functions of a block as ``functions_of`` gives them, in double-double where the block has them."""
    plain = functions_of(block, family, first)
    if block.minus_low is None or block.minus_bias_low is None:
        return plain
    bias = DoubleDouble(block.minus_bias, block.minus_bias_low)
    if family != "minus":
        bias = bias.plus(block.local_bias)
    return DoubleDoubleFunctions(
        plain.parts, bias.high, plain.segments, first, plain.prefer, part_low=block.minus_low, bias_low=bias.low
    )


def scaled_block(block: TermBlock, factor: float) -> TermBlock:
    """The terms with K multiplied by ``factor``."""
    if factor == 1:
        return block
    if block.minus_low is None or block.minus_bias_low is None:
        return replace(block, minus=block.minus * factor, minus_bias=block.minus_bias * factor)
    by = torch.full((), factor, dtype=torch.float64, device=block.minus.device)
    minus = DoubleDouble(block.minus, block.minus_low).times(by.expand_as(block.minus))
    bias = DoubleDouble(block.minus_bias, block.minus_bias_low).times(by.expand_as(block.minus_bias))
    return replace(block, minus=minus.high, minus_low=minus.low, minus_bias=bias.high, minus_bias_low=bias.low)


class DoubleDoubleMaxima(RunningMaxima):
    """Running maxima whose values are in double-double: ``value`` is the high part.

    Attributes:
        low: the low part of the values, (N, segments).
    """

    def __init__(self, x: Tensor, segments: int = 1, sizes: BlockSizes = BLOCK_SIZES) -> None:
        super().__init__(x, segments, sizes)
        self.low = torch.zeros_like(self.value)

    @property
    def values(self) -> DoubleDouble:
        """The values in double-double."""
        return DoubleDouble(self.value, self.low)

    def expanded(self, like: Tensor) -> DoubleDouble:
        """The values in the shape of another tensor."""
        return DoubleDouble(self.value.expand_as(like), self.low.expand_as(like))

    def take(self, functions: AffineFunctions, found: Candidates, lower_bound: Tensor) -> None:
        """Evaluate the candidates that reach ``lower_bound`` in double-double, and take them into account."""
        assert isinstance(functions, DoubleDoubleFunctions)
        point, index, segment, _ = self.unknown(functions, found.above(lower_bound))
        value = functions.double_double(index, self.x, point, self.sizes)
        key = functions.keys(index)
        place = point * self.value.shape[1] + segment
        old, old_low, old_key = self.value.flatten(), self.low.flatten(), self.key.flatten()
        best = old.scatter_reduce(0, place, value.high, "amax")
        low = torch.where(old == best, old_low, -torch.inf)
        low = low.scatter_reduce(0, place, torch.where(value.high == best[place], value.low, -torch.inf), "amax")
        kept = torch.where((old == best) & (old_low == low) & (old_key >= 0), old_key, UNSET)
        reached = (value.high == best[place]) & (value.low == low[place])
        lowest = kept.scatter_reduce(0, place, torch.where(reached, key, UNSET), "amin")
        self.key = torch.where(lowest == UNSET, -1, lowest).view_as(self.key)
        self.value, self.low = best.view_as(self.value), low.view_as(self.value)

    def all_reduce(self, processes: Processes) -> None:
        """Replace this process's maxima by those over all processes."""
        if processes.world_size > 1:
            best = processes.all_reduce_max(self.value)
            low = processes.all_reduce_max(torch.where(self.value == best, self.low, -torch.inf))
            mine = (self.value == best) & (self.low == low) & (self.key >= 0)
            lowest = processes.all_reduce_min(torch.where(mine, self.key, UNSET))
            self.value, self.low, self.key = best, low, torch.where(lowest == UNSET, -1, lowest)


def values_at(functions: AffineFunctions, index: Tensor, x: Tensor, point: Tensor) -> DoubleDouble:
    """The values of the functions ``index`` at the points x[``point``], in the functions' own precision."""
    if isinstance(functions, DoubleDoubleFunctions):
        return functions.double_double(index, x, point)
    return DoubleDouble.of(functions.values(index, x, point))


def maxima_for(x: Tensor, double_double: bool, segments: int = 1, sizes: BlockSizes = BLOCK_SIZES) -> RunningMaxima:
    """The running maxima of functions in double-double, or in float64."""
    return DoubleDoubleMaxima(x, segments, sizes) if double_double else RunningMaxima(x, segments, sizes)
