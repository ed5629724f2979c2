"""Theorem 3.3 between pairs of data points: is the term of another point larger than a point's own term, at the point?

The terms come block by block. Only pairs whose value may reach the point's own value are evaluated in float64
(:mod:`tropica.terms.maxima`). So the results are those of float64 on the terms, and no matrix of all pairs is formed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from tropica.decomposition.own_terms import OwnTerms, Side, amid
from tropica.exact.double_double import DoubleDouble
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.processes import SINGLE_PROCESS, Processes
from tropica.terms.affine_functions import AffineFunctions
from tropica.terms.certificate import Certificate
from tropica.terms.double_double_maxima import DoubleDoubleMaxima, functions_for, maxima_for, scaled_block
from tropica.terms.linear_terms import LinearTerms
from tropica.terms.term_block import TermBlock

Blocks = Callable[[], Iterable[tuple[int, TermBlock]]]
"""A function that iterates over the blocks of terms of this process, each with the index of its first term."""


def compared_functions(
    block: TermBlock, side: Side, factor: float = 1.0, first: int = 0, *, num_targets: int = 0
) -> AffineFunctions:
    """The a⁻ or a⁺ of a block, with K multiplied by ``factor`` λ: λa⁻, or a + λa⁻, as F⁻ is linear in K.

    In regression (``num_targets`` > 0) with a segment for each output.
    """
    functions = functions_for(scaled_block(block, factor), side, first)
    return replace(functions, segments=block.labels, prefer=None) if num_targets else functions


def excesses(
    x: Tensor,
    own: DoubleDouble,
    keys: Tensor,
    functions: Iterable[AffineFunctions],
    processes: Processes = SINGLE_PROCESS,
    *,
    double_double: bool = False,
    num_targets: int = 0,
) -> tuple[Tensor, Tensor]:
    """Compute the excess of the largest function over each point's own value, 0 if there is none, and the function's index.

    In regression a point has a row for each output, and its value is compared with the functions of the same output
    (``segments``).

    Args:
        x: points (N, d), in the dtype that products are computed in.
        own: each point's own value (N,). Only functions that may reach it are evaluated in float64, or in double-double.
        keys: the keys of the points' own functions, (N,).
        functions: this process's part of the functions.
        processes: the processes that share the functions; all receive the result.
        double_double: are the functions' coefficients in double-double?
        num_targets: the number of outputs in regression, 0 in classification.

    Returns:
        The excess (N,) in float64, and the index of the largest function (N,), which may be the point's own.
    """
    segments = max(1, num_targets)
    state = maxima_for(x[::segments].contiguous(), double_double, segments)
    state.value.copy_(own.high.view(-1, segments))
    state.key.copy_(keys.view(-1, segments))
    if isinstance(state, DoubleDoubleMaxima):
        state.low.copy_(own.low.view(-1, segments))
    for some in functions:
        state.update(some)
    state.all_reduce(processes)
    if isinstance(state, DoubleDoubleMaxima):
        return (DoubleDouble(state.value.flatten(), state.low.flatten()) - own).high, state.argmax.flatten()
    return state.value.flatten() - own.high, state.argmax.flatten()


def check_pairs(
    x: Tensor,
    own: OwnTerms,
    blocks: Blocks,
    dtype: torch.dtype,
    *,
    precision: str = "",
    equal_is_kept: bool = False,
    smallest_cotangent: float | None = None,
    storage_error: float = 0.0,
    complete: bool = True,
    pairwise: bool = False,
    num_targets: int = 0,
    processes: Processes = SINGLE_PROCESS,
) -> Certificate:
    """Check Theorem 3.3 between all pairs of N points: each own a⁺ and a⁻ is the largest at its point, and labels are kept.

    Args:
        x: the points (N, d), in the dtype that products are computed in.
        own: the points' own terms.
        blocks: the terms of the points, in their order.
        dtype: the dtype of the extraction.
        precision: the precision of the terms; the dtype by default.
        equal_is_kept: does a point keep its label if a term of another label equals its own a⁺ exactly? (False for extracted
            terms, as N^(X) gives the lowest of these labels.)
        smallest_cotangent: copied to the certificate.
        storage_error: a bound on the error of values that are stored in a coarser dtype, added to the tolerance.
        complete, pairwise: copied to the certificate.
        num_targets: the number of outputs in regression, each of which has a row at every point; 0 in classification.
        processes: the processes that share the blocks.
    """
    name = str(dtype).removeprefix("torch.")
    precision = precision or name
    worst = torch.zeros((), dtype=torch.float64, device=x.device)
    changed = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    settings = {"double_double": precision == "double-double", "num_targets": num_targets}
    for side in own.sides:
        functions = (compared_functions(block, side, 1.0, first, num_targets=num_targets) for first, block in blocks())
        excess, largest = excesses(x, own.value(side), own.keys(side, num_targets), functions, processes, **settings)
        worst = torch.maximum(worst, excess.max())  # NaN stays NaN
        if side == "plus" and not num_targets:
            changed = own.labels[largest] != own.labels
            if equal_is_kept:
                changed &= excess > 0
    tied = changed & (own.margin <= own.tie_tolerance(dtype))
    return Certificate(
        smallest_cotangent=smallest_cotangent,
        largest_violation=float(worst),
        tolerance=own.tolerance(precision) + storage_error,
        labels_kept=1 - float(changed.double().mean()),
        labels_tied=int(tied.sum()),
        points=len(x) // max(1, num_targets),
        terms=len(x),
        complete=complete,
        dtype=name,
        pairwise=pairwise,
        scale=own.scale(num_targets),
        num_targets=num_targets,
        storage_error=storage_error,
        precision=precision,
    )


@own_settings()
def pairwise_excess(terms: LinearTerms, x: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the largest excess of another point's term over each point's own term, at the point.

    Args:
        terms: the terms of the points.
        x: the points (D, *input_shape).

    Returns:
        The largest excess over a⁺ and a⁻ at each point, (D,) float64, 0 if the own terms are the largest; and whether the
        excess is above the rounding tolerance of the extraction, so that Theorem 3.3 fails there, (D,) bool. In regression the
        largest over all outputs.

    >>> import tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> x = torch.randn(50, 4)
    >>> [bool(pairwise_excess(tp.extract(model, x).scaled(factor), x)[1].any()) for factor in (1.0, 0.0)]
    [False, True]
    """
    precision, rows = terms.precision, max(1, terms.num_targets)
    x = x.to(terms.working).flatten(1).repeat_interleave(rows, 0)
    settings = {"double_double": precision == "double-double", "num_targets": terms.num_targets}
    parts, amidst = [], amid(x)
    for first, block in indexed(terms):
        part = x[first : first + len(block)]
        parts.append((first, OwnTerms.of(part, block, torch.zeros(len(block)), terms.center, amidst)))
    own = OwnTerms.concatenate(parts, len(x), x.device)
    worst = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    violated = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    for side in own.sides:
        functions = (
            compared_functions(block, side, 1.0, first, num_targets=terms.num_targets) for first, block in indexed(terms)
        )
        excess, _ = excesses(x, own.value(side), own.keys(side, terms.num_targets), functions, **settings)
        worst = torch.maximum(worst, excess)
        violated |= excess > own.tolerance(precision)
    return worst.view(-1, rows).amax(1), violated.view(-1, rows).any(1)


def indexed(blocks: Iterable[TermBlock]) -> Iterator[tuple[int, TermBlock]]:
    """Consecutive blocks, each with the index of its first term."""
    first = 0
    for block in blocks:
        yield first, block
        first += len(block)
