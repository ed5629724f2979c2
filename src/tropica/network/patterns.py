"""Activation patterns as packed bits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tropica.network.graph import NonlinearityNode


def pack_patterns(active_pieces: Sequence[tuple[NonlinearityNode, Tensor, int]], points: int) -> Tensor:
    """Pack active pieces into uint8 rows (points, bytes), ⌈log₂ pieces⌉ bits for each unit, in the given order."""
    bits = [_bits(piece.reshape(points, node.units), num_pieces) for node, piece, num_pieces in active_pieces]
    row = torch.cat(bits, 1) if bits else torch.zeros(points, 0, dtype=torch.uint8)
    row = torch.nn.functional.pad(row, (0, -row.shape[1] % 8)).unflatten(1, (-1, 8))
    weights = torch.tensor([128, 64, 32, 16, 8, 4, 2, 1], dtype=torch.uint8, device=row.device)
    return (row * weights).sum(2, dtype=torch.uint8)


def _bits(piece: Tensor, num_pieces: int) -> Tensor:
    """Binary digits of each index, most significant first: (points, units · width) uint8."""
    width = max(1, (num_pieces - 1).bit_length())
    if width == 1:
        return piece.to(torch.uint8)
    digits = torch.arange(width - 1, -1, -1, device=piece.device)
    return ((piece.long().unsqueeze(2) >> digits) & 1).flatten(1).to(torch.uint8)
