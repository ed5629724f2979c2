"""Assembly of blocks: centering of ∇F⁻, constant parts, rounding to the stored dtype."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from tropica.decomposition.backward import BatchTerms
from tropica.decomposition.double_double_pass import MinusTerms
from tropica.exact.double_double import DoubleDouble, dot
from tropica.network.network import PiecewiseLinearNetwork
from tropica.terms.term_block import TermBlock

ROWS = 128
"""The number of points whose constant parts are computed at once: their float64 rows fit the processor's cache."""


def empty_block(net: PiecewiseLinearNetwork, points: int, stored_dtype: torch.dtype, double_double: bool = False) -> TermBlock:
    """Allocate a block for the terms of a network at ``points`` points."""
    dimension = torch.Size(net.input_shape).numel()

    def empty(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
        if net.device.type != "cpu" or dtype == torch.bfloat16:
            return torch.empty(*shape, dtype=dtype, device=net.device)
        # NumPy asks the system for large pages, which saves most of the time of the first write.
        return torch.from_numpy(np.empty(shape, dtype=str(dtype).removeprefix("torch.")))

    local, minus = (empty(points, dimension, dtype=stored_dtype) for _ in range(2))
    rounding = None if stored_dtype == net.dtype else empty(points, 4)
    labels, margin = empty(points, dtype=torch.int64), empty(points)
    block = TermBlock(labels, local, empty(points), minus, empty(points), rounding, margin)
    if not double_double:
        return block
    return replace(block, minus_low=empty(points, dimension), minus_bias_low=empty(points))


def write_block(found: BatchTerms, x: Tensor, center: Tensor, block: TermBlock) -> None:
    """Write the terms of a batch into a block.

    ∇F⁻ is centered. Constant parts are computed in float64 from the stored coefficients, so that every term takes its exact
    value at its own point, however its coefficients are rounded.
    """
    assert block.margin is not None
    block.labels.copy_(found.labels)
    block.margin.copy_(found.margin)
    shift = center.to(found.minus.dtype)
    sources = (x.flatten(1), found.local, found.minus, found.local_value, found.minus_value)
    scratch = torch.empty(2, min(ROWS, len(x)), shift.numel(), dtype=torch.float64, device=x.device)
    for low in range(0, len(x), ROWS):
        rows = slice(low, low + ROWS)
        point, local, minus, local_value, minus_value = (source[rows] for source in sources)
        block.local[rows] = local
        if block.rounding is None:
            stored, centered = local, torch.sub(minus, shift, out=block.minus[rows])
        else:
            exact = minus - shift
            block.minus[rows] = exact
            stored, centered = block.local[rows], block.minus[rows]
            block.rounding[rows] = _rounding((local, stored), (exact, centered), point, (local_value, minus_value))
        point64, product = scratch[:, : len(point)]
        point64.copy_(point)
        own, common = (product.copy_(coefficients).mul_(point64).sum(1) for coefficients in (stored, centered))
        torch.sub(local_value, own, out=block.local_bias[rows])
        torch.sub(minus_value, common.addmv_(point64, center), out=block.minus_bias[rows])
        if found.double_double is not None:
            _write_double_double(found.double_double, point64, center, block, rows)


def _write_double_double(found: MinusTerms, points: Tensor, center: Tensor, block: TermBlock, rows: slice) -> None:
    """Write a⁻ in double-double: ∇F⁻ − center, and the constant part F⁻(x_k) − ⟨∇F⁻, x_k⟩."""
    assert block.minus_low is not None
    assert block.minus_bias_low is not None
    gradient, value = (DoubleDouble(both.high[rows], both.low[rows]) for both in found)
    centered = gradient.plus(-center.expand_as(gradient.high))
    bias = value - dot(gradient, points)
    for out, low, numbers in ((block.minus, block.minus_low, centered), (block.minus_bias, block.minus_bias_low, bias)):
        out[rows], low[rows] = numbers


def _rounding(
    local: tuple[Tensor, Tensor], minus: tuple[Tensor, Tensor], point: Tensor, values: tuple[Tensor, Tensor]
) -> Tensor:
    """Bounds on the errors of rounding the coefficients, (B, 4): r₀, r₁ for a⁺ and r₂, r₃ for a⁻.

    ``local`` and ``minus`` are coefficients as computed and as stored. With w' = w + δ and the constant part value − ⟨w', x_k⟩,
    the value at x changes by ⟨δ, x − x_k⟩, at most ‖δ‖‖x‖ + ‖δ‖‖x_k‖. The rounding of the constant parts in float64 is added:
    (d + 8) 2⁻⁵² times the sum of the magnitudes of all summands.
    """
    norm = torch.linalg.vector_norm
    exact, stored = ([pair[i].double() for pair in (local, minus)] for i in range(2))
    delta_local, delta_minus = (after - before for before, after in zip(exact, stored, strict=True))
    reach = norm(point.double(), dim=1)
    unit = (point.shape[1] + 8) * 2.0**-52
    size = norm(stored[0], dim=1) + norm(stored[1], dim=1) + norm(exact[0], dim=1) + norm(exact[1], dim=1)
    bias = unit * (size * reach + values[0].abs() + values[1].abs())
    columns = []
    for delta in (delta_local + delta_minus, delta_minus):
        largest = norm(delta, dim=1) * (1 + unit)
        columns += [largest, largest * reach + bias]
    return torch.stack(columns, 1)
