"""From the passes over a batch to the terms as they are kept: room for them, centering, constant parts, rounding."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tropica.decomposition.backward import BatchTerms
from tropica.network.network import PiecewiseLinearNetwork
from tropica.terms.linear_terms import TENSORS, TermBlock

ROWS = 128
"""Points whose constant parts are computed at once: their float64 rows stay in the processor's cache."""
DTYPES = (torch.bfloat16, torch.float32, torch.float64)
"""What coefficients may be kept in, coarse to fine."""


def center_of(minus: Tensor) -> Tensor:
    """The mean of ∇F⁻ over a batch, in the batch's dtype (so that centering rounds once only), as float64."""
    return minus.mean(0).double()


def empty_block(net: PiecewiseLinearNetwork, points: int, stored: torch.dtype) -> TermBlock:
    """Room for the terms of so many points, with coefficients in ``stored``."""
    coefficients = torch.Size(net.input_shape).numel()

    def room(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
        if net.device.type != "cpu" or dtype == torch.bfloat16:
            return torch.empty(*shape, dtype=dtype, device=net.device)
        # NumPy asks the system for large pages, which saves the better part of the time that first writes take.
        return torch.from_numpy(np.empty(shape, dtype=str(dtype).removeprefix("torch.")))

    local, minus = (room(points, coefficients, dtype=stored) for _ in range(2))
    rounding = None if stored == net.dtype else room(points, 4)
    return TermBlock(room(points, dtype=torch.int64), local, room(points), minus, room(points), rounding)


def rows_of(block: TermBlock, start: int, count: int) -> TermBlock:
    """Some rows of a block, sharing its memory."""
    part = slice(start, start + count)
    tensors = {name: getattr(block, name)[part] for name in TENSORS}
    return TermBlock(**tensors, rounding=None if block.rounding is None else block.rounding[part])


def write_block(found: BatchTerms, x: Tensor, center: Tensor, block: TermBlock) -> TermBlock:
    """Center ∇F⁻ and compute the constant parts, in float64, from the coefficients as they are kept.

    So a term takes its exact value at its own point, whatever its coefficients are rounded to.
    """
    block.labels.copy_(found.labels)
    shift = center.to(found.minus.dtype)
    sources = (x.flatten(1), found.local, found.minus, found.local_value, found.minus_value)
    scratch = torch.empty(2, min(ROWS, len(x)), shift.numel(), dtype=torch.float64, device=x.device)
    for low in range(0, len(x), ROWS):
        rows = slice(low, low + ROWS)
        point, local, minus, local_value, minus_value = (source[rows] for source in sources)
        block.local[rows] = local
        if block.rounding is None:
            kept, centerd = local, torch.sub(minus, shift, out=block.minus[rows])
        else:
            exact = minus - shift
            block.minus[rows] = exact
            kept, centerd = block.local[rows], block.minus[rows]
            block.rounding[rows] = _rounding(local, kept, exact, centerd, point, (local_value, minus_value))
        at, product = scratch[:, : len(point)]
        at.copy_(point)
        own, common = (product.copy_(coefficients).mul_(at).sum(1) for coefficients in (kept, centerd))
        torch.sub(local_value, own, out=block.local_bias[rows])
        torch.sub(minus_value, common.addmv_(at, center), out=block.minus_bias[rows])
    return block


def _rounding(
    local: Tensor, kept: Tensor, exact: Tensor, centerd: Tensor, point: Tensor, values: tuple[Tensor, Tensor]
) -> Tensor:
    """Bounds on what rounding the coefficients does, (B, 4): r₀, r₁ of a⁺ and r₂, r₃ of a⁻.

    With w' = w + δ and the constant part value − ⟨w', x_k⟩ the value at x changes by ⟨δ, x − x_k⟩, at most ‖δ‖‖x‖ + ‖δ‖‖x_k‖.
    The rounding of the two constant parts themselves, in float64, is added: (d + 8) 2⁻⁵² of what they are made of.
    """
    norm = torch.linalg.vector_norm
    of_local, of_minus = kept.double() - local.double(), centerd.double() - exact.double()
    reach = norm(point.double(), dim=1)
    fine = (point.shape[1] + 8) * 2.0**-52
    size = (
        norm(kept.double(), dim=1) + norm(centerd.double(), dim=1) + norm(local.double(), dim=1) + norm(exact.double(), dim=1)
    )
    own = fine * (size * reach + values[0].abs() + values[1].abs())
    columns = []
    for delta in (of_local + of_minus, of_minus):
        most = norm(delta, dim=1) * (1 + fine)
        columns += [most, most * reach + own]
    return torch.stack(columns, 1)
