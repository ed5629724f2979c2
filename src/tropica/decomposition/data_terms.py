"""The terms of a decomposition at points in memory, and the pairs of points that violate Theorem 3.3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tropica.data.passes import DataPass, Shard
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.extraction import extract_shards, find_center
from tropica.decomposition.pairwise_check import SIDES, OwnTerms, Side, check_pairs, excesses, scaled_functions
from tropica.errors import CertificateError
from tropica.runtime.processes import SINGLE_PROCESS, Processes
from tropica.runtime.progress import ProgressCallback
from tropica.terms.certificate import Certificate
from tropica.terms.term_block import TermBlock


@dataclass(frozen=True, eq=False)
class PointsInMemory:
    """Points in memory, and how their terms are extracted and compared.

    Attributes:
        x: the points, (N, *input_shape).
        data_pass: the pass over data whose batch size and shard sizes are used.
        memory: bytes for terms. Where they do not fit half of it, they are extracted again for each pass.
        processes: the processes that share the terms.
        progress: is called with (done, total, message).
        first_points: points of the smallest subset that is looked at before all of them.
    """

    x: Tensor
    data_pass: DataPass
    memory: int
    processes: Processes = SINGLE_PROCESS
    progress: ProgressCallback | None = None
    first_points: int = 1024

    def subsets(self) -> Iterator[PointsInMemory]:
        """Iterate over ever larger subsets of the points, evenly spread; all points are not among them.

        Each process works on a subset by itself.
        """
        size, points = self.first_points, len(self.x)
        while size < points:
            index = torch.linspace(0, points - 1, size, dtype=torch.float64).long().to(self.x.device)
            yield replace(self, x=self.x[index], processes=SINGLE_PROCESS, progress=None)
            size *= 4


@dataclass(frozen=True, eq=False)
class DataTerms:
    """The terms of a decomposition at points in memory.

    Attributes:
        decomposition: the decomposition.
        points: the points.
        data_pass: the points as batches and shards.
        center: the vector that every ∇F⁻ is stored relative to.
        own: the own terms of all points.
        kept: this process's terms by number of the shard; None where they do not fit the memory.
    """

    decomposition: DCDecomposition
    points: PointsInMemory
    data_pass: DataPass
    center: Tensor
    own: OwnTerms
    kept: Mapping[int, TermBlock] | None

    @classmethod
    def extract(cls, decomposition: DCDecomposition, points: PointsInMemory) -> DataTerms:
        """Extract the terms of all points, keep them where they fit the memory, and compute the own terms."""
        net, inputs, processes = decomposition.net, points.x, points.processes
        source = points.data_pass
        data_pass = DataPass(inputs, source.batch_size, net.dtype, net.device, net.input_shape, source.sizes)
        center = find_center(decomposition, data_pass, processes)
        fits = 2 * inputs.numel() * net.dtype.itemsize / processes.world_size <= points.memory / 2
        x, parts, kept = inputs.flatten(1), [], {}
        for shard, block in extract_shards(decomposition, data_pass, center, processes.share(data_pass.shards)):
            assert block.margin is not None
            parts.append((shard.first, OwnTerms.of(x[shard.first : shard.first + len(block)], block, block.margin, center)))
            if fits:
                kept[shard.number] = block
            if points.progress:
                points.progress(shard.first + shard.points, len(x), "terms for the minimal decomposition")
        own = OwnTerms.concatenate(parts, len(x), net.device).all_reduce(processes)
        return cls(decomposition, points, data_pass, center, own, kept if fits else None)

    @property
    def x(self) -> Tensor:
        """The points, (N, d)."""
        return self.points.x.flatten(1)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the extraction."""
        return self.decomposition.net.dtype

    def blocks(self, shards: Sequence[Shard] | None = None) -> Iterator[tuple[int, TermBlock]]:
        """Iterate over this process's part of the terms of some shards, or of all, each with the index of its first term."""
        processes = self.points.processes
        chosen = self.data_pass.shards if shards is None else shards
        mine = [shard for shard in chosen if shard.number % processes.world_size == processes.rank]
        if self.kept is not None:
            yield from ((shard.first, self.kept[shard.number]) for shard in mine)
        else:
            for shard, block in extract_shards(self.decomposition, self.data_pass, self.center, mine):
                yield shard.first, block


@dataclass(frozen=True)
class Violations:
    """Points at which some other point's term is larger than their own, on one side.

    Attributes:
        side: a⁺ or a⁻.
        point, other: the numbers of the points and of the other points, (n,).
        excess: by how much the other term is larger, (n,).
    """

    side: Side
    point: Tensor
    other: Tensor
    excess: Tensor


def find_violations(terms: DataTerms, side: Side, factor: float = 1.0, shards: Sequence[Shard] | None = None) -> Violations:
    """Find the points whose own term is not the largest where K is multiplied by ``factor``, among the terms of some shards.

    An excess that rounding explains is no violation, unless it changes a label that N itself can tell apart.
    """
    own = terms.own
    functions = (scaled_functions(block, side, factor, first) for first, block in terms.blocks(shards))
    excess, other = excesses(terms.x, own.value(side, factor), functions, terms.points.processes)
    violated = ~(excess <= own.tolerance(side, terms.dtype, factor))
    if side == "plus":
        changed = (excess > 0) & (own.labels[other.clamp(min=0)] != own.labels)
        violated |= changed & (own.margin > own.tolerance("plus", terms.dtype, 0.0))
    (point,) = violated.nonzero(as_tuple=True)
    return Violations(side, point, other[point], excess[point])


def find_all_violations(terms: DataTerms) -> list[Violations]:
    """Find the violations among all terms, on either side; a list without empty ones."""
    return [found for side in SIDES if len((found := find_violations(terms, side)).point)]


def certify_factors(
    decomposition: DCDecomposition, factors: Mapping[str, float], points: PointsInMemory
) -> tuple[DCDecomposition, Certificate]:
    """The decomposition with K multiplied by these factors, and its certificate on all pairs of the points.

    Raises CertificateError where the certificate fails.
    """
    made = replace(decomposition.scaled(factors), factors=dict(factors))
    terms = DataTerms.extract(made, points)
    found = check_pairs(
        terms.x,
        terms.own,
        terms.blocks,
        terms.dtype,
        tie_tolerance=terms.own.tolerance("plus", terms.dtype, 0.0),
        equal_is_kept=True,
        pairwise=True,
        processes=points.processes,
    )
    if not found.holds:
        raise CertificateError(
            f"the minimal decomposition's check fails: {'; '.join(found.failures())}{float64_advice(decomposition)}"
        )
    return made, found


def float64_advice(decomposition: DCDecomposition) -> str:
    """What to try where float32 is too coarse; "" in float64."""
    return "; use dtype=torch.float64" if decomposition.net.dtype == torch.float32 else ""
