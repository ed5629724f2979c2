"""Labels of the terms as extracted, for terms stored in a coarser dtype.

Rounding changes the value of a term at x by at most r₀‖x‖ + r₁, with r₀ and r₁ stored beside the term. The terms that can be
active at a point are therefore those whose value plus its bound reaches the largest value minus its bound. Mostly these terms
have one label. If not, they are extracted again from the network, in the same batches as before, and compared in float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from tropica.data.batches import Data
from tropica.data.passes import PointDigests, ShardSizes
from tropica.decomposition.extraction import extract_batches
from tropica.decomposition.load import load_decomposition
from tropica.decomposition.prepare import fitted, prepare_extraction
from tropica.errors import InputError, StoreError
from tropica.evaluation.settings import EvaluationSettings
from tropica.network.network import PiecewiseLinearNetwork
from tropica.runtime.processes import Processes
from tropica.terms.affine_functions import AffineFunctions, functions_of, key_of
from tropica.terms.identity import ExtractionIdentity
from tropica.terms.linear_terms import LinearTerms
from tropica.terms.maxima import RunningMaxima
from tropica.terms.score_filter import Candidates
from tropica.terms.store.manifest import DECOMPOSITION
from tropica.terms.store.shards import StoredBlocks


class PossibleTerms(RunningMaxima):
    """The terms that can be active at each point, instead of the active term alone.

    ``value`` is a lower bound of the maximum.

    Attributes:
        point, index, label: pairs of a point and a possible term: the number of the point, the index and the label of the term.
    """

    def __init__(self, x: Tensor, settings: EvaluationSettings) -> None:
        super().__init__(x, sizes=settings.maxima)
        self.point = self.index = self.label = torch.zeros(0, dtype=torch.int64, device=x.device)
        self._upper = torch.zeros(0, dtype=torch.float64, device=x.device)
        self._most = settings.possible

    def take(self, functions: AffineFunctions, found: Candidates, lower_bound: Tensor) -> None:
        """Keep the candidates that reach ``lower_bound``, without evaluating them."""
        self.value = torch.maximum(self.value, lower_bound)
        point, index, _, upper = found.above(lower_bound)
        assert functions.prefer is not None
        self.point = torch.cat([self.point, point])
        self.index = torch.cat([self.index, functions.global_index(index)])
        self.label = torch.cat([self.label, functions.prefer[index]])
        self._upper = torch.cat([self._upper, upper])
        if len(self.point) > self._most:
            self._drop()

    def all_reduce(self, processes: Processes) -> None:
        """Drop the terms that terms of another process rule out."""
        self.value = processes.all_reduce_max(self.value)
        self._drop()

    def _drop(self) -> None:
        possible = ~(self._upper < self.value[self.point, 0])
        columns = (self.point, self.index, self.label, self._upper)
        self.point, self.index, self.label, self._upper = (column[possible] for column in columns)

    def has_one_label(self, processes: Processes) -> Tensor:
        """For each point, do all possible terms have the same label? (N,) bool."""
        low = torch.full((len(self.x),), torch.iinfo(torch.int64).max, device=self.x.device)
        low = processes.all_reduce_min(low.scatter_reduce(0, self.point, self.label, "amin"))
        high = torch.full_like(low, -1).scatter_reduce(0, self.point, self.label, "amax")
        return low == processes.all_reduce_max(high)

    def has_one_term(self, processes: Processes) -> Tensor:
        """For each point, is there a single possible term? (N,) bool."""
        count = torch.zeros(len(self.x), dtype=torch.int64, device=self.x.device)
        return processes.all_reduce_sum(count.scatter_add(0, self.point, torch.ones_like(self.point))) == 1


class TermRecomputation:
    """A repetition of the extraction of single terms, from the network, its data and the stored decomposition.

    Raises:
        InputError: the terms belong to another network or other data, or are not a whole store.
    """

    def __init__(self, terms: LinearTerms, net: PiecewiseLinearNetwork, data: Data, processes: Processes) -> None:
        if not isinstance(terms.blocks, StoredBlocks):
            raise InputError("terms can be extracted again only for a whole store, as tp.load_terms opens it")
        stored = ExtractionIdentity.from_dict(terms.about)
        again = prepare_extraction(
            net,
            data,
            at=stored.at or None,
            dtype=getattr(torch, stored.dtype),
            batch_size=int(stored.batch_size),
            processes=processes,
            shard_sizes=ShardSizes(int(stored.shard_points), int(stored.shard_numbers)),
        )
        unknown = ("stored_dtype", "method", "decomposition", "precision", "asked")
        here = replace(again.identity, **{name: getattr(stored, name) for name in unknown})
        if differs := here.differences(stored):
            raise InputError(f"the stored terms are not those of this network and this data: {differs}")
        self._decomposition = fitted(load_decomposition(terms.blocks.folder / DECOMPOSITION, again.net), again.net)
        self._center = terms.center.to(again.net.device)
        self._digests = PointDigests()
        self._data_pass = again.data_pass.observed(self._digests)
        self._blocks = terms.blocks

    def active_keys(self, found: PossibleTerms, processes: Processes) -> Tensor:
        """Find the active term of each point among the possible terms, by their values in float64 before rounding.

        Returns: (N,) int64, as :attr:`RunningMaxima.key`.
        """
        state = RunningMaxima(found.x)
        alone = found.has_one_term(processes)[found.point]
        known = key_of(found.label[alone], found.index[alone])
        state.merge(found.point[alone], torch.zeros(len(known), dtype=torch.float64, device=known.device), known)
        for functions, point, index in self.extracted(found.point[~alone], found.index[~alone]):
            unbounded = torch.full((len(index),), torch.inf, dtype=torch.float64, device=index.device)
            state.take(functions, Candidates(point, index, torch.zeros_like(index), unbounded), state.value)
        state.all_reduce(processes)
        return state.key[:, 0]

    def extracted(self, point: Tensor, index: Tensor) -> Iterator[tuple[AffineFunctions, Tensor, Tensor]]:
        """Extract the terms of pairs again, batch by batch: the functions of a batch, and the point and the index in it of
        each pair."""
        shards = self._data_pass.shards
        ends = torch.tensor([shard.first + shard.points for shard in shards], device=index.device)
        wanted = [shards[number] for number in torch.searchsorted(ends, index, right=True).unique().tolist()]
        for shard in wanted:
            self._digests.known[shard.number] = self._blocks.point_digest(shard.number)
        try:
            for shard, batches in self._data_pass.iter_shards(wanted):
                first = shard.first
                for x in batches:
                    (here,) = ((index >= first) & (index < first + len(x))).nonzero(as_tuple=True)
                    if len(here):
                        block = extract_batches(self._decomposition, [x], self._center)
                        yield functions_of(block, "plus", first), point[here], index[here] - first
                    first += len(x)
        except StoreError as error:
            raise InputError(f"the stored terms belong to other points: {error}") from error
