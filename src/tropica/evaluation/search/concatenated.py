"""The a⁺ of several blocks as functions with consecutive indices, without a copy of the coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tropica.terms.affine_functions import AffineFunctions
from tropica.terms.term_block import TermBlock


@dataclass(frozen=True)
class ConcatenatedTerms(AffineFunctions):
    """The functions a⁺ = ⟨local + minus, x⟩ + bias of blocks, one after another.

    Attributes:
        blocks: the blocks.
        starts: index of each block's first function among these functions.
        firsts: index of each block's first function among all terms.
    """

    blocks: Sequence[TermBlock] = ()
    starts: Tensor = torch.zeros(1, dtype=torch.int64)  # noqa: RUF009
    firsts: Tensor = torch.zeros(1, dtype=torch.int64)  # noqa: RUF009

    @classmethod
    def of(cls, blocks: Sequence[tuple[int, TermBlock]]) -> ConcatenatedTerms:
        """The functions of several blocks, each given with the index of its first term."""
        parts = [block for _, block in blocks]
        lengths = torch.tensor([len(block) for block in parts])
        bias = torch.cat([block.local_bias + block.minus_bias for block in parts])
        labels = torch.cat([block.labels for block in parts])
        firsts = torch.tensor([first for first, _ in blocks])
        return cls((), bias, prefer=labels, blocks=parts, starts=lengths.cumsum(0) - lengths, firsts=firsts)

    def __len__(self) -> int:
        return len(self.bias)

    def rows(self, index: Tensor | slice, dtype: torch.dtype) -> Tensor:
        """The coefficients of the functions ``index``, local and minus added in ``dtype``."""
        assert isinstance(index, Tensor)
        if len(self.blocks) == 1:
            return _sum(self.blocks[0], index, dtype)
        block_of = self._block_of(index)
        out = torch.empty(len(index), self.blocks[0].local.shape[1], dtype=dtype)
        for number in block_of.unique().tolist():
            (here,) = (block_of == number).nonzero(as_tuple=True)
            out[here] = _sum(self.blocks[number], index[here] - self.starts[number], dtype)
        return out

    def global_index(self, index: Tensor) -> Tensor:
        """The indices among all terms."""
        block_of = self._block_of(index)
        return index - self.starts[block_of] + self.firsts[block_of]

    def _block_of(self, index: Tensor) -> Tensor:
        return torch.searchsorted(self.starts, index, right=True) - 1


def _sum(block: TermBlock, index: Tensor, dtype: torch.dtype) -> Tensor:
    return block.local[index].to(dtype).add_(block.minus[index].to(dtype))
