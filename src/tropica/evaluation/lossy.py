"""Terms that are stored in fewer digits than they were computed in, and the labels of the terms as they were computed.

What storing did to a term's value at x is at most r₀‖x‖ + r₁, with r₀ and r₁ stored beside the term. So from the stored terms
alone one knows which terms can be the largest one at a point: those whose value, raised by its bound, reaches the largest
value that is lowered by its own. Mostly they agree on the label. Where they do not, they are computed again from the network,
batch by batch as they were at first, and compared in float64.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tropica.data.batches import Data
from tropica.data.passes import PointDigests, ShardSizes
from tropica.decomposition.extraction import extract_batches
from tropica.decomposition.prepare import fitted, prepare_extraction
from tropica.decomposition.storage import load_decomposition
from tropica.errors import InputError, StoreError
from tropica.evaluation.combine import combined
from tropica.network.network import PiecewiseLinearNetwork
from tropica.runtime.processes import Processes
from tropica.terms.identity import ExtractionIdentity
from tropica.terms.linear_terms import LinearTerms, TermBlock
from tropica.terms.maxima import INDEX_BITS, PAIRS, Functions, RunningMaxima, functions_of
from tropica.terms.store.shards import SPLIT, StoredBlocks

MANY = 2**22
"""Candidates that are kept before those that were overtaken are dropped."""


@dataclass(frozen=True)
class Rounded(Functions):
    """Functions that are known up to a bound: r₀‖x‖ + r₁ for each, (D, 2)."""

    bounds: Tensor | None = None

    def rounding(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As that of exact functions, and the bound."""
        of_norm, of_bias = super().rounding(x)
        assert self.bounds is not None
        return of_norm + self.bounds[:, 0], of_bias + self.bounds[:, 1]


def rounded(block: TermBlock, first: int) -> Rounded:
    """The a⁺ of a block."""
    assert block.rounding is not None
    return Rounded(
        (block.local, block.minus),
        block.local_bias + block.minus_bias,
        first=first,
        prefer=block.labels,
        bounds=block.rounding[:, :2],
    )


class Candidates(RunningMaxima):
    """For every point the functions that can be the largest one: those that their bounds do not rule out.

    ``value`` is what the largest one is at least.
    """

    def __init__(self, x: Tensor, processes: Processes) -> None:
        super().__init__(x)
        self.processes = processes
        self.point = torch.zeros(0, dtype=torch.int64, device=x.device)
        self.index, self.label = self.point, self.point
        self._most = torch.zeros(0, dtype=torch.float64, device=x.device)

    def settle(self, functions: Functions, waiting: list[tuple[Tensor, Tensor, Tensor, Tensor]], floor: Tensor) -> None:
        """Keep what is possible, in place of evaluating it."""
        self.value = torch.maximum(self.value, floor)
        point, index, _, most = (torch.cat(column) for column in zip(*waiting, strict=True))
        assert functions.prefer is not None
        self.point = torch.cat([self.point, point])
        self.index = torch.cat([self.index, functions.numbers(index)])
        self.label = torch.cat([self.label, functions.prefer[index]])
        self._most = torch.cat([self._most, most])
        if len(self.point) > MANY:
            self._drop()

    def _drop(self) -> None:
        able = ~(self._most < self.value[self.point, 0])
        self.point, self.index, self.label, self._most = (
            column[able] for column in (self.point, self.index, self.label, self._most)
        )

    def close(self) -> None:
        """All functions have come by, here and in the other processes."""
        self.value = self.processes.all_reduce_max(self.value)
        self._drop()

    def one_label(self) -> Tensor:
        """For each point, do all its candidates have the same label?"""
        low = torch.full((len(self.x),), torch.iinfo(torch.int64).max, device=self.x.device)
        low = self.processes.all_reduce_min(low.scatter_reduce(0, self.point, self.label, "amin"))
        high = torch.full_like(low, -1).scatter_reduce(0, self.point, self.label, "amax")
        return low == self.processes.all_reduce_max(high)

    def alone(self) -> Tensor:
        """For each point, has it a single candidate?"""
        count = torch.zeros(len(self.x), dtype=torch.int64, device=self.x.device)
        return self.processes.all_reduce_sum(count.scatter_add(0, self.point, torch.ones_like(self.point))) == 1


class Rescue:
    """Computes terms again as they were computed at first, from the network, its data and the store's decomposition.

    Raises:
        InputError: the terms are of another network or other data, or are not in a store.
    """

    def __init__(
        self,
        terms: LinearTerms,
        net: PiecewiseLinearNetwork,
        data: Data,
        processes: Processes,
    ) -> None:
        if not isinstance(terms.blocks, StoredBlocks):
            raise InputError("terms can be computed again only for a whole store, as tp.load_terms gives it")
        there = ExtractionIdentity.from_dict(terms.about)
        again = prepare_extraction(
            net,
            data,
            at=there.at or None,
            dtype=getattr(torch, there.dtype),
            batch_size=int(there.batch_size),
            processes=processes,
            shard_sizes=ShardSizes(int(there.shard_points), int(there.shard_numbers)),
        )
        here = replace(again.identity, stored_dtype=there.stored_dtype, method=there.method, decomposition=there.decomposition)
        if differs := here.differences(there):
            raise InputError(f"the stored terms are not those of this network and this data: {differs}")
        self.decomposition = fitted(load_decomposition(terms.blocks.folder / SPLIT, again.net), again.net)
        self.center = terms.center.to(again.net.device)
        self.digests = PointDigests()
        self.data_pass = again.data_pass.observed(self.digests)
        self.processes = processes
        self.blocks = terms.blocks

    def winner(self, found: Candidates) -> Tensor:
        """The winner of each point: of the terms as computed, in float64."""
        open_ = ~found.alone()[found.point]
        value = torch.full((len(found.x),), -torch.inf, dtype=torch.float64, device=found.x.device)
        key = torch.full((len(found.x),), torch.iinfo(torch.int64).max, device=found.x.device)
        closed = ~open_
        value[found.point[closed]] = 0.0
        key[found.point[closed]] = (found.label << INDEX_BITS)[closed] + found.index[closed]
        point, index = found.point[open_], found.index[open_]
        shards = self.data_pass.shards
        last = torch.tensor([shard.first + shard.points for shard in shards], device=index.device)
        shard_of = torch.searchsorted(last, index, right=True)
        wanted = [shards[number] for number in shard_of.unique().tolist()]
        for shard in wanted:
            self.digests.known[shard.number] = self.blocks.inputs(shard.number)
        try:
            for shard, group in self.data_pass.iter_shards(wanted):
                start = shard.first
                for x in group:
                    here = ((index >= start) & (index < start + len(x))).nonzero()[:, 0]
                    if len(here):
                        block = extract_batches(self.decomposition, [x], self.center)
                        self._compare(found, block, point[here], index[here] - start, start, value, key)
                    start += len(x)
        except StoreError as error:
            raise InputError(f"the stored terms are not of these points: {error}") from error
        _, best = combined(value, torch.where(value == -torch.inf, -1, key), self.processes)
        return best & (2**INDEX_BITS - 1)

    def _compare(
        self, found: Candidates, block: TermBlock, point: Tensor, row: Tensor, first: int, value: Tensor, key: Tensor
    ) -> None:
        """Take exact terms into account at their points: the larger value wins, among equal ones the lower key."""
        functions = functions_of(block, "plus")
        step = max(1, PAIRS // found.x.shape[1])
        for low in range(0, len(point), step):
            at, rows = point[low : low + step], row[low : low + step]
            exact = functions.rows(rows, torch.float64).mul_(found.x[at]).sum(1) + functions.bias[rows]
            best = value.scatter_reduce(0, at, exact, "amax")
            far = torch.iinfo(torch.int64).max
            kept = torch.where(value == best, key, far)
            new = (block.labels[rows] << INDEX_BITS) + rows + first
            key.copy_(kept.scatter_reduce(0, at, torch.where(exact == best[at], new, far), "amin"))
            value.copy_(best)
