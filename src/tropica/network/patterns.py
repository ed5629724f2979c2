"""Activation patterns as packed bits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tropica.network.graph import NonlinearityNode


def pack_patterns(choices: Sequence[tuple[NonlinearityNode, Tensor, int]], points: int) -> Tensor:
    """Pack winning pieces into uint8 rows (points, bytes), ⌈log₂ pieces⌉ bits a unit, nonlinearities in forward order."""
    bits = [_bits(choice.flatten(1), options) for _, choice, options in choices]
    row = torch.cat(bits, 1) if bits else torch.zeros(points, 0, dtype=torch.uint8)
    row = torch.nn.functional.pad(row, (0, -row.shape[1] % 8)).unflatten(1, (-1, 8))
    weights = torch.tensor([128, 64, 32, 16, 8, 4, 2, 1], dtype=torch.uint8, device=row.device)
    return (row * weights).sum(2, dtype=torch.uint8)


def _bits(choice: Tensor, options: int) -> Tensor:
    """Binary digits of each choice, most significant first: (points, units · width) uint8."""
    width = max(1, (options - 1).bit_length())
    if width == 1:
        return choice.to(torch.uint8)
    digits = torch.arange(width - 1, -1, -1, device=choice.device)
    return ((choice.long().unsqueeze(2) >> digits) & 1).flatten(1).to(torch.uint8)
