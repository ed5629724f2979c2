"""The a⁺ of several blocks as functions that are numbered throughout; rows are gathered where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tropica.terms.linear_terms import TermBlock
from tropica.terms.maxima import Functions


@dataclass(frozen=True)
class Joined(Functions):
    """The functions a⁺ = ⟨local + minus, x⟩ + bias of blocks, one after another.

    ``starts`` are the places of the blocks' first functions here, ``firsts`` their indices among all functions of a run.
    """

    blocks: Sequence[TermBlock] = ()
    starts: Tensor = field(default_factory=lambda: torch.zeros(1, dtype=torch.int64))
    firsts: Tensor = field(default_factory=lambda: torch.zeros(1, dtype=torch.int64))

    @classmethod
    def of(cls, blocks: Sequence[tuple[int, TermBlock]]) -> Joined:
        """Of blocks with the index of the first term of each."""
        parts = [block for _, block in blocks]
        lengths = torch.tensor([len(block) for block in parts])
        bias = torch.cat([block.local_bias + block.minus_bias for block in parts])
        labels = torch.cat([block.labels for block in parts])
        firsts = torch.tensor([first for first, _ in blocks])
        return cls((), bias, prefer=labels, blocks=parts, starts=lengths.cumsum(0) - lengths, firsts=firsts)

    def __len__(self) -> int:
        return len(self.bias)

    def rows(self, index: Tensor | slice, dtype: torch.dtype) -> Tensor:
        """Coefficients of some functions, local and minus added in ``dtype``."""
        assert isinstance(index, Tensor)
        if len(self.blocks) == 1:
            return _sum(self.blocks[0], index, dtype)
        which = self._block(index)
        out = torch.empty(len(index), self.blocks[0].local.shape[1], dtype=dtype)
        for number in which.unique().tolist():
            (here,) = (which == number).nonzero(as_tuple=True)
            out[here] = _sum(self.blocks[number], index[here] - self.starts[number], dtype)
        return out

    def numbers(self, index: Tensor) -> Tensor:
        """The indices among all functions of the run."""
        which = self._block(index)
        return index - self.starts[which] + self.firsts[which]

    def _block(self, index: Tensor) -> Tensor:
        return torch.searchsorted(self.starts, index, right=True) - 1


def _sum(block: TermBlock, index: Tensor, dtype: torch.dtype) -> Tensor:
    return block.local[index].to(dtype).add_(block.minus[index].to(dtype))
