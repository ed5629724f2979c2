"""Theorem 3.3 between pairs of data points: is the term of another point larger than a point's own term, at the point?

The terms come block by block. Only pairs whose value may reach the point's own value are evaluated in float64
(:mod:`tropica.terms.maxima`). So the results are those of float64 on the terms, and no matrix of all pairs is formed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Literal

import torch
from torch import Tensor

from tropica.runtime.processes import SINGLE_PROCESS, Processes
from tropica.terms.affine_functions import AffineFunctions, functions_of, norms_of
from tropica.terms.certificate import Certificate
from tropica.terms.linear_terms import LinearTerms
from tropica.terms.maxima import RunningMaxima
from tropica.terms.term_block import TermBlock

Side = Literal["plus", "minus"]
SIDES: tuple[Side, ...] = ("plus", "minus")
UNITS = 100
"""The rounding error allowed for the backward passes, in units in the last place."""
Blocks = Callable[[], Iterable[tuple[int, TermBlock]]]
"""A function that iterates over the blocks of terms of this process, each with the index of its first term."""


@dataclass(frozen=True)
class OwnTerms:
    """The values of N points' own terms at the points, and the sizes that bound their rounding: tensors (N,).

    Values and reaches of a⁻ leave out the center, which is common to all terms; sizes include it.

    Attributes:
        labels: the label that N gives each point.
        local, minus, plus: a_k(x_k), a⁻_k(x_k) and a⁺_k(x_k) in float64.
        margin: the difference of the two largest scores of N at each point.
        local_reach, minus_reach: ‖w_k‖‖x_k‖.
        local_size, minus_size: ‖w_k‖‖x_k‖ + |b_k|.
    """

    labels: Tensor
    local: Tensor
    minus: Tensor
    plus: Tensor
    margin: Tensor
    local_reach: Tensor
    minus_reach: Tensor
    local_size: Tensor
    minus_size: Tensor

    @classmethod
    def of(cls, x: Tensor, block: TermBlock, margin: Tensor, center: Tensor) -> OwnTerms:
        """Evaluate the own terms of consecutive points (n, d), which the block holds."""
        every, norm = torch.arange(len(x), device=x.device), norms_of(x)
        plus, minus = functions_of(block, "plus"), functions_of(block, "minus")
        local_reach, minus_reach = norms_of(block.local) * norm, norms_of(block.minus) * norm
        return cls(
            block.labels,
            AffineFunctions((block.local,), block.local_bias).values(every, x, every),
            minus.values(every, x, every),
            plus.values(every, x, every),
            margin.to(x.device),
            local_reach,
            minus_reach,
            local_reach + block.local_bias.abs(),
            minus_reach + torch.linalg.vector_norm(center.to(x.device)) * norm + block.minus_bias.abs(),
        )

    @classmethod
    def concatenate(cls, parts: list[tuple[int, OwnTerms]], points: int, device: torch.device) -> OwnTerms:
        """Join the own terms of runs of points, each given with the number of its first point; 0 elsewhere."""
        columns = []
        for field in fields(cls):
            dtype = torch.int64 if field.name == "labels" else torch.float64
            column = torch.zeros(points, dtype=dtype, device=device)
            for first, part in parts:
                column[first : first + len(part.labels)] = getattr(part, field.name)
            columns.append(column)
        return cls(*columns)

    def all_reduce(self, processes: Processes) -> OwnTerms:
        """Join the own terms of all processes, each of which has 0 at the points of the others."""
        return OwnTerms(*(processes.all_reduce_sum(getattr(self, field.name)) for field in fields(self)))

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sides on which terms differ. Without F⁻ all a⁻ are 0, and comparing these ties would take long."""
        return SIDES if bool(self.minus_size.any()) else ("plus",)

    def value(self, side: Side, factor: float = 1.0) -> Tensor:
        """The values a⁻_k(x_k) or a⁺_k(x_k), with K multiplied by ``factor``: (N,)."""
        if side == "plus":
            return self.plus if factor == 1 else self.local + factor * self.minus
        return factor * self.minus

    def tolerance(self, side: Side, dtype: torch.dtype, factor: float = 1.0) -> float:
        """The rounding tolerance of the extraction: 100 units in the last place of the largest own term, ‖w_k‖‖x_k‖ + |b_k|."""
        size = factor * self.minus_size + (self.local_size if side == "plus" else 0)
        return UNITS * torch.finfo(dtype).eps * float(size.max())

    def tie_tolerance(self, dtype: torch.dtype, factor: float = 1.0) -> float:
        """The margin of N up to which rounding may change the label: 100 units in the last place of the largest ‖w_k‖‖x_k‖."""
        return UNITS * torch.finfo(dtype).eps * float((self.local_reach + factor * self.minus_reach).max())


def scaled_functions(block: TermBlock, side: Side, factor: float = 1.0, first: int = 0) -> AffineFunctions:
    """The a⁻ or a⁺ of a block, with K multiplied by ``factor`` λ: λa⁻, or a + λa⁻, as F⁻ is linear in K."""
    if factor != 1:
        block = replace(block, minus=block.minus * factor, minus_bias=block.minus_bias * factor)
    return functions_of(block, side, first)


def excesses(
    x: Tensor, own: Tensor, functions: Iterable[AffineFunctions], processes: Processes = SINGLE_PROCESS
) -> tuple[Tensor, Tensor]:
    """Compute the excess of the largest function over each point's own value, 0 if there is none, and the function's index.

    Args:
        x: points (N, d), in the dtype that products are computed in.
        own: each point's own value (N,) in float64. Only functions that may reach it are evaluated in float64.
        functions: this process's part of the functions.
        processes: the processes that share the functions; all receive the result.

    Returns:
        The excess (N,) in float64, and the index of the largest function (N,), −1 if none reaches ``own``.
    """
    state = RunningMaxima(x)
    state.value[:, 0] = own
    for some in functions:
        state.update(some)
    state.all_reduce(processes)
    return state.value[:, 0] - own, state.argmax[:, 0]


def check_pairs(
    x: Tensor,
    own: OwnTerms,
    blocks: Blocks,
    dtype: torch.dtype,
    *,
    tie_tolerance: float,
    equal_is_kept: bool = False,
    smallest_cotangent: float | None = None,
    storage_error: float = 0.0,
    complete: bool = True,
    pairwise: bool = False,
    processes: Processes = SINGLE_PROCESS,
) -> Certificate:
    """Check Theorem 3.3 between all pairs of N points: each own a⁺ and a⁻ is the largest at its point, and labels are kept.

    Args:
        x: the points (N, d), in the dtype that products are computed in.
        own: the points' own terms.
        blocks: the terms of the points, in their order.
        dtype: the dtype of the extraction, whose rounding is allowed for.
        tie_tolerance: the margin of N up to which a changed label counts as tied.
        equal_is_kept: does a point keep its label if a term of another label equals its own a⁺ exactly? (False for extracted
            terms, as N^(X) gives the lowest of these labels.)
        smallest_cotangent: copied to the certificate.
        storage_error: a bound on the error of values that are stored in a coarser dtype, added to the tolerance.
        complete, pairwise: copied to the certificate.
        processes: the processes that share the blocks.
    """
    worst = torch.zeros((), dtype=torch.float64, device=x.device)
    changed = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    for side in own.sides:
        functions = (functions_of(block, side, first) for first, block in blocks())
        excess, largest = excesses(x, own.value(side), functions, processes)
        worst = torch.maximum(worst, excess.max())  # NaN stays NaN
        if side == "plus":
            changed = (largest >= 0) & (own.labels[largest.clamp(min=0)] != own.labels)
            if equal_is_kept:
                changed &= excess > 0
    tied = changed & (own.margin <= tie_tolerance)
    return Certificate(
        smallest_cotangent=smallest_cotangent,
        largest_violation=float(worst),
        tolerance=own.tolerance("plus", dtype) + storage_error,
        labels_kept=1 - float(changed.double().mean()),
        labels_tied=int(tied.sum()),
        points=len(x),
        terms=len(x),
        complete=complete,
        dtype=str(dtype).removeprefix("torch."),
        pairwise=pairwise,
    )


def pairwise_excess(terms: LinearTerms, x: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the largest excess of another point's term over each point's own term, at the point.

    Args:
        terms: the terms of the points.
        x: the points (D, *input_shape).

    Returns:
        The largest excess over a⁺ and a⁻ at each point, (D,) float64, 0 if the own terms are the largest; and whether the
        excess is above the rounding tolerance of the extraction, so that Theorem 3.3 fails there, (D,) bool.

    >>> import tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> x = torch.randn(50, 4)
    >>> [bool(pairwise_excess(tp.extract(model, x).scaled(factor), x)[1].any()) for factor in (1.0, 0.0)]
    [False, True]
    """
    x = x.to(terms.working).flatten(1)
    parts = []
    for first, block in indexed(terms):
        parts.append((first, OwnTerms.of(x[first : first + len(block)], block, torch.zeros(len(block)), terms.center)))
    own = OwnTerms.concatenate(parts, len(x), x.device)
    worst = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    violated = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    for side in own.sides:
        excess, _ = excesses(x, own.value(side), (functions_of(block, side, first) for first, block in indexed(terms)))
        worst = torch.maximum(worst, excess)
        violated |= excess > own.tolerance(side, terms.working)
    return worst, violated


def indexed(blocks: Iterable[TermBlock]) -> Iterator[tuple[int, TermBlock]]:
    """Consecutive blocks, each with the index of its first term."""
    first = 0
    for block in blocks:
        yield first, block
        first += len(block)
