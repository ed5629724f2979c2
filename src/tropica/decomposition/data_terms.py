"""The terms of a decomposition at points in memory, and the pairs of points that violate Theorem 3.3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tropica.data.passes import DataPass, Shard
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.extraction import extract_shards, find_center
from tropica.decomposition.own_terms import SIDES, OwnTerms, Side, amid
from tropica.decomposition.pairwise_check import check_pairs, compared_functions, excesses
from tropica.errors import CertificateError
from tropica.runtime.processes import SINGLE_PROCESS, Processes
from tropica.runtime.progress import ProgressCallback
from tropica.terms.certificate import Certificate
from tropica.terms.term_block import TermBlock

SLIGHT = 1 / 2
"""The share of the rounding tolerance up to which an excess is no violation that a larger K must cure."""


@dataclass(frozen=True, eq=False)
class PointsInMemory:
    """Points in memory, with the settings for extracting and comparing their terms.

    Attributes:
        x: the points, (N, *input_shape); in regression the rows, one for each output of each point.
        data_pass: the pass over data whose batch size and shard sizes are used.
        memory: bytes for terms. If the terms do not fit in half of it, each pass extracts them again.
        processes: the processes that share the terms.
        progress: called with (done, total, message).
        first_points: the number of points in the smallest subset.
    """

    x: Tensor
    data_pass: DataPass
    memory: int
    processes: Processes = SINGLE_PROCESS
    progress: ProgressCallback | None = None
    first_points: int = 1024

    def subsets(self) -> Iterator[PointsInMemory]:
        """Iterate over proper subsets of the points, evenly spaced and increasing in size.

        Every process computes each subset by itself, without sharing the work.
        """
        size, rows = self.first_points, self.data_pass.repeat
        points = len(self.x) // rows
        while size < points:
            index = torch.linspace(0, points - 1, size, dtype=torch.float64).long().to(self.x.device)
            x = self.x.unflatten(0, (-1, rows))[index].flatten(0, 1)
            yield replace(self, x=x, processes=SINGLE_PROCESS, progress=None)
            size *= 4


@dataclass(frozen=True, eq=False)
class DataTerms:
    """The terms of a decomposition at points in memory.

    Attributes:
        decomposition: the decomposition.
        points: the points.
        data_pass: the points as batches and shards.
        center: the vector that every ∇F⁻ is stored relative to.
        own: each point's own term, for all points.
        kept: the terms of this process by number of the shard; None if they do not fit in memory.
    """

    decomposition: DCDecomposition
    points: PointsInMemory
    data_pass: DataPass
    center: Tensor
    own: OwnTerms
    kept: Mapping[int, TermBlock] | None

    @classmethod
    def extract(cls, decomposition: DCDecomposition, points: PointsInMemory) -> DataTerms:
        """Extract the terms of all points, keep them if they fit in memory, and evaluate each point's own term."""
        net, inputs, processes = decomposition.net, points.x, points.processes
        source = points.data_pass
        data_pass = DataPass(inputs, source.batch_size * source.repeat, net.dtype, net.device, net.input_shape, source.sizes)
        center = find_center(decomposition, data_pass, processes)
        parts_of_terms = 3 if decomposition.double_double else 2
        fits = parts_of_terms * inputs.numel() * net.dtype.itemsize / processes.world_size <= points.memory / 2
        x, parts, kept = inputs.flatten(1), [], {}
        amidst = amid(x)
        for shard, block in extract_shards(decomposition, data_pass, center, processes.share(data_pass.shards)):
            assert block.margin is not None
            rows = x[shard.first : shard.first + len(block)]
            parts.append((shard.first, OwnTerms.of(rows, block, block.margin, center, amidst)))
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
        """Iterate over the blocks of this process in some shards (by default all), each with the index of its first term."""
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
    """Points at which the term of another point is larger than their own, on one side.

    Attributes:
        side: a⁺ or a⁻.
        point, other: the numbers of the points and of the other points, (n,).
        excess: the difference of the other term and the own term, (n,).
    """

    side: Side
    point: Tensor
    other: Tensor
    excess: Tensor


def find_violations(terms: DataTerms, side: Side, factor: float = 1.0, shards: Sequence[Shard] | None = None) -> Violations:
    """Find the points whose own term is not the largest among the terms of some shards, with K multiplied by ``factor``.

    An excess well below the rounding tolerance is no violation, unless it changes a label whose margin in N exceeds the
    rounding error of N. (The check of a decomposition allows the whole tolerance.)
    """
    own, precision = terms.own, terms.decomposition.precision
    targets = terms.decomposition.net.num_targets
    functions = (compared_functions(block, side, factor, first, num_targets=targets) for first, block in terms.blocks(shards))
    settings = {"double_double": precision == "double-double", "num_targets": targets}
    keys, processes = own.keys(side, targets), terms.points.processes
    excess, other = excesses(terms.x, own.value(side, factor), keys, functions, processes, **settings)
    violated = ~(excess <= SLIGHT * own.tolerance(precision, factor))
    if side == "plus" and not targets:
        changed = (excess > 0) & (own.labels[other] != own.labels)
        violated |= changed & (own.margin > own.tie_tolerance(terms.dtype))
    (point,) = violated.nonzero(as_tuple=True)
    return Violations(side, point, other[point], excess[point])


def find_all_violations(terms: DataTerms) -> list[Violations]:
    """Find the violations among all terms: a list with an entry for each side that has any."""
    return [found for side in SIDES if len((found := find_violations(terms, side)).point)]


def certify_factors(
    decomposition: DCDecomposition, factors: Mapping[str, float], points: PointsInMemory
) -> tuple[DCDecomposition, Certificate]:
    """The decomposition with K multiplied by these factors, and its certificate on all pairs of the points.

    Raises CertificateError if the certificate fails.
    """
    made = replace(decomposition.scaled(factors), factors=dict(factors))
    terms = DataTerms.extract(made, points)
    found = check_pairs(
        terms.x,
        terms.own,
        terms.blocks,
        terms.dtype,
        precision=made.precision,
        equal_is_kept=True,
        pairwise=True,
        num_targets=made.net.num_targets,
        processes=points.processes,
    )
    if not found.holds:
        raise CertificateError(
            f"the minimal decomposition's check fails: {'; '.join(found.failures())}{float64_advice(decomposition)}"
        )
    return made, found


def float64_advice(decomposition: DCDecomposition) -> str:
    """The advice to use float64 if the computation is in float32; "" in float64."""
    return "; use dtype=torch.float64" if decomposition.net.dtype == torch.float32 else ""
