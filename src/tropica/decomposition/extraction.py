"""Extraction of linear terms at the points of one batch, of consecutive batches, and of the shards of a data set."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from tropica.data.passes import DataPass, Shard
from tropica.decomposition.backward import batch_terms
from tropica.decomposition.blocks import empty_block, write_block
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.runtime.memory import BatchHalving
from tropica.runtime.processes import SINGLE_PROCESS, Processes
from tropica.terms.certificate import smaller
from tropica.terms.term_block import TermBlock

CENTER_POINTS = 64
"""The number of points whose mean ∇F⁻ is the center. Any common vector would do, so few points suffice."""


def empty_block_for(decomposition: DCDecomposition, points: int, stored_dtype: torch.dtype | None = None) -> TermBlock:
    """Allocate a block for the terms of a decomposition at ``points`` points."""
    net = decomposition.net
    return empty_block(net, points, stored_dtype or net.dtype, decomposition.double_double)


def extract_batch(
    decomposition: DCDecomposition,
    x: Tensor,
    center: Tensor,
    *,
    stored_dtype: torch.dtype | None = None,
    check: bool = False,
    out: TermBlock | None = None,
) -> TermBlock:
    """Compute the linear terms at the points of one batch: a forward pass and two backward passes.

        local_k = ∇N_i(x_k),   center + minus_k = ∇F⁻(x_k),   constant part = value − ⟨gradient, x_k⟩

    where i is the label that N gives x_k.

    Args:
        decomposition: the DC decomposition.
        x: points (B, *input_shape) in the network's dtype, on its device.
        center: the vector that every ∇F⁻ is stored relative to, (d,) float64 (see :func:`find_center`).
        stored_dtype: the dtype that coefficients are stored in; the network's by default.
        check: compute the smallest cotangent as well.
        out: a block of B terms to write to; by default a new one.
    """
    block = empty_block_for(decomposition, len(x), stored_dtype) if out is None else out
    found = batch_terms(decomposition, x, check=check)
    write_block(found, x, center, block)
    return replace(block, smallest_cotangent=found.smallest_cotangent)


def extract_batches(
    decomposition: DCDecomposition,
    batches: Sequence[Tensor],
    center: Tensor,
    *,
    stored_dtype: torch.dtype | None = None,
    check: bool = False,
    out: TermBlock | None = None,
    halving: BatchHalving | None = None,
) -> TermBlock:
    """Compute the linear terms of consecutive batches as one block. A batch that does not fit in memory is halved.

    Args:
        decomposition, center, stored_dtype, check, out: as in :func:`extract_batch`.
        batches: the points.
        halving: the batch size that fit in memory for earlier batches.
    """
    if out is None:
        out = empty_block_for(decomposition, sum(map(len, batches)), stored_dtype)
    done, smallest, fit = 0, [], halving or BatchHalving(decomposition.rows)

    def extract_part(part: Tensor) -> None:
        nonlocal done
        rows = out.rows(done, len(part))
        smallest.append(extract_batch(decomposition, part, center, check=check, out=rows).smallest_cotangent)
        done += len(part)

    for x in batches:
        fit(extract_part, x)
    return replace(out, smallest_cotangent=smallest_of(smallest))


def extract_shards(
    decomposition: DCDecomposition,
    data_pass: DataPass,
    center: Tensor,
    shards: Sequence[Shard] | None = None,
    *,
    stored_dtype: torch.dtype | None = None,
    check: bool = False,
) -> Iterator[tuple[Shard, TermBlock]]:
    """Iterate over the shards of a data set with their linear terms.

    The terms of a shard depend on its points alone, not on the process or the order of computation. (If memory runs out, a
    batch is halved, which may change the last bit.)

    Args:
        decomposition, center, stored_dtype, check: as in :func:`extract_batch`.
        data_pass: the data set.
        shards: the shards, in increasing order; all of them by default.
    """
    halving = BatchHalving(decomposition.rows)
    for shard, batches in data_pass.iter_shards(shards):
        settings = {"stored_dtype": stored_dtype, "check": check, "halving": halving}
        yield shard, extract_batches(decomposition, batches, center, **settings)


def find_center(decomposition: DCDecomposition, data_pass: DataPass, processes: Processes = SINGLE_PROCESS) -> Tensor:
    """Compute the center, (d,) float64: the mean of ∇F⁻ over the first points, the same in all processes.

    Terms are stored relative to the center, which saves digits. The center is common to all terms and changes no label. Its
    entries are numbers of the network's dtype, so that centering rounds only once.
    """
    first = next(number for number, length in enumerate(data_pass.lengths) if length)
    x = next(data_pass.iter_batches([first]))[: CENTER_POINTS * data_pass.repeat]
    minus = torch.cat(BatchHalving(decomposition.rows)(lambda part: batch_terms(decomposition, part).minus, x))
    return processes.broadcast(minus.mean(0).double())


def smallest_of(cotangents: Iterable[float | None]) -> float | None:
    """The smallest of the cotangents that were computed: NaN if one of them is NaN, None if there is none."""
    known = [value for value in cotangents if value is not None]
    return functools.reduce(smaller, known, math.inf) if known else None
