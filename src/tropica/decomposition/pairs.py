"""Theorem 3.3 over pairs of data points: is some other point's term larger than a point's own, at the point, and by how much?

The terms come block by block and the pairs' values as blocked matrix products; what the products' rounding leaves open is
evaluated again in float64 (``maxima``). So the answers are those of float64 on the terms, and no matrix of all pairs is made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from tropica.decomposition.check import own_values
from tropica.evaluation.combine import combined
from tropica.runtime.processes import SINGLE_PROCESS, Processes
from tropica.terms.linear_terms import TermBlock
from tropica.terms.maxima import Functions, RunningMaxima, norms_of

Side = Literal["plus", "minus"]
SIDES: tuple[Side, ...] = ("plus", "minus")
UNITS = 100
"""Units in the last place that rounding in the backward passes may move a value by."""


def scaled_functions(block: TermBlock, side: Side, factor: float = 1.0, first: int = 0) -> Functions:
    """A block's a⁻ or a⁺ where K is multiplied by λ = ``factor``: λa⁻, or a + λa⁻, as F⁻ is linear in K."""
    minus = block.minus if factor == 1 else block.minus * factor
    bias = block.minus_bias * factor
    if side == "minus":
        return Functions((minus,), bias, first=first)
    return Functions((block.local, minus), block.local_bias + bias, first=first)


def excesses(
    x: Tensor, own: Tensor, functions: Iterable[Functions], processes: Processes = SINGLE_PROCESS
) -> tuple[Tensor, Tensor]:
    """By how much the largest of the functions exceeds each point's own at the point, 0 where none does, and which it is.

    Args:
        x: points (N, d), in the dtype that products are to be computed in.
        own: each point's own value (N,) in float64. Only what exceeds it is looked at, which leaves little for float64.
        functions: this process's part of them.
        processes: those that share them; all get the answer.

    Returns:
        The excess (N,) in float64, and the index of the largest function (N,), −1 where none reaches ``own``.
    """
    state = RunningMaxima(x)
    state.value[:, 0] = own
    for some in functions:
        state.update(some)
    state.value, state.key = combined(state.value, state.key, processes)
    return state.value[:, 0] - own, state.winner[:, 0]


@dataclass
class OwnTerms:
    """What N points' own terms are at the points, all (N,), and how large all of their terms are.

    Attributes:
        labels: the label that N gives each point.
        local, minus: a_k(x_k) and a⁻_k(x_k), the latter without the center, which is common to all terms; in float64.
        margin: by how much each point's label wins.
        reach: ‖x_k‖.
        local_size, minus_size: for each term (‖w‖, |b| + ‖w‖‖x_k‖), of which |a_k(x)| ≤ ‖w‖‖x‖ + |b| and the rounding of b are
            made, (N, 2); a⁻ with its center.
    """

    labels: Tensor
    local: Tensor
    minus: Tensor
    margin: Tensor
    reach: Tensor
    local_size: Tensor
    minus_size: Tensor

    @classmethod
    def room(cls, points: int, device: torch.device) -> OwnTerms:
        """For so many points, none of them seen."""
        numbers = torch.zeros(8, points, dtype=torch.float64, device=device)
        labels = torch.zeros(points, dtype=torch.int64, device=device)
        local, minus, margin, reach = numbers[:4]
        return cls(labels, local, minus, margin, reach, numbers[4:6].T, numbers[6:].T)

    def see(self, first: int, x: Tensor, block: TermBlock, margin: Tensor, center: Tensor) -> None:
        """Consecutive points (n, d) with their terms, the first of them with index ``first``."""
        rows = slice(first, first + len(x))
        self.labels[rows], self.margin[rows], self.reach[rows] = block.labels, margin, norms_of(x)
        self.local[rows] = own_values(Functions((block.local,), block.local_bias), x)
        self.minus[rows] = own_values(scaled_functions(block, "minus"), x)
        local, minus = norms_of(block.local), norms_of(block.minus) + torch.linalg.vector_norm(center)
        self.local_size[rows] = torch.stack([local, block.local_bias.abs() + local * self.reach[rows]], 1)
        self.minus_size[rows] = torch.stack([minus, block.minus_bias.abs() + minus * self.reach[rows]], 1)

    def join(self, processes: Processes) -> None:
        """Put together what several processes have seen, each its own points."""
        for name in vars(self) if processes.world_size > 1 else ():
            setattr(self, name, processes.all_reduce_sum(getattr(self, name)))

    def value(self, side: Side, factor: float = 1.0) -> Tensor:
        """a⁻_k(x_k) or a⁺_k(x_k) where K is multiplied by ``factor``."""
        return factor * self.minus + (self.local if side == "plus" else 0)

    def tolerance(self, side: Side, dtype: torch.dtype, factor: float = 1.0) -> Tensor:
        """What rounding in the dtype can make of a value at each point: 100 units in the last place of the largest of all."""
        size = factor * self.minus_size + (self.local_size if side == "plus" else 0)
        norm, bias = size.amax(0)
        return UNITS * torch.finfo(dtype).eps * (norm * self.reach + bias)
