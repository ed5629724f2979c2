"""The terms of an extracted function as a sequence of blocks, stored or extracted in each pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from tropica.data.passes import DEFAULT_SIZES
from tropica.runtime.processes import Processes
from tropica.runtime.progress import ProgressCallback
from tropica.terms.linear_terms import LinearTerms
from tropica.terms.term_block import LazyBlocks, TermBlock


class TermSource(Protocol):
    """Terms that can be iterated over block by block, any number of times."""

    @property
    def num_terms(self) -> int:
        """Number of terms."""
        ...

    @property
    def num_classes(self) -> int:
        """Number of labels."""
        ...

    @property
    def num_targets(self) -> int:
        """Number of outputs that a point has a term of: 0 in classification."""
        ...

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        ...

    @property
    def method(self) -> str:
        """Method of the decomposition."""
        ...

    @property
    def network(self) -> str:
        """The fingerprint of the network that the terms are of; "" if it is not known."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """The dtype that products are computed in."""
        ...

    @property
    def precision(self) -> str:
        """The precision of the terms."""
        ...

    @property
    def device(self) -> torch.device:
        """The device that products are computed on."""
        ...

    def center(self, processes: Processes) -> Tensor:
        """The vector that every ∇F⁻ is stored relative to: (d,) float64."""
        ...

    def blocks(self, processes: Processes, report: ProgressCallback | None = None) -> Iterator[tuple[int, TermBlock]]:
        """Iterate over this process's share of the blocks, each with the index of its first term."""
        ...


@dataclass(frozen=True, eq=False)
class KeptTerms:
    """Terms in memory or in a store, used on a device."""

    terms: LinearTerms
    device: torch.device

    @property
    def num_terms(self) -> int:
        """Number of terms."""
        return len(self.terms)

    @property
    def num_classes(self) -> int:
        """Number of labels."""
        return self.terms.num_classes

    @property
    def num_targets(self) -> int:
        """Number of outputs that a point has a term of: 0 in classification."""
        return self.terms.num_targets

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return self.terms.input_shape

    @property
    def method(self) -> str:
        """Method of the decomposition."""
        return self.terms.method

    @property
    def precision(self) -> str:
        """The precision of the terms."""
        return self.terms.precision

    @property
    def network(self) -> str:
        """The fingerprint of the network that the terms were extracted from; "" if it is not known."""
        return self.terms.about.get("network", "")

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the extraction."""
        return self.terms.working

    def center(self, processes: Processes) -> Tensor:
        """The vector that every ∇F⁻ is stored relative to: (d,) float64."""
        return self.terms.center

    def blocks(self, processes: Processes, report: ProgressCallback | None = None) -> Iterator[tuple[int, TermBlock]]:
        """Iterate over this process's share of the blocks, with coefficients in the dtype of the extraction, on the device."""
        for first, block in self.stored_blocks(processes):
            yield first, block.to(self.dtype, self.device)

    def stored_blocks(self, processes: Processes) -> Iterator[tuple[int, TermBlock]]:
        """Iterate over this process's share of the blocks as stored: whole blocks of a store, parts of blocks in memory."""
        lazy = isinstance(self.terms.blocks, LazyBlocks)
        first = 0
        parts: list[tuple[int, int, int, int]] = []
        for number, length in enumerate(self.terms.lengths):
            step = length if processes.world_size == 1 or lazy else DEFAULT_SIZES.points
            parts += [(number, start, min(step, length - start), first + start) for start in range(0, length, step)]
            first += length
        for number, start, count, index in processes.share(parts):
            block = self.terms.blocks[number]
            yield index, block if count == len(block) else block.rows(start, count)
