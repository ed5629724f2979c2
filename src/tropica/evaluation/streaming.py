"""Terms that are extracted, used and discarded in each pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from tropica.data.passes import DataPass
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.extraction import extract_batches, find_center
from tropica.evaluation.sources import KeptTerms, TermSource
from tropica.runtime.memory import BatchHalving
from tropica.runtime.processes import Processes
from tropica.runtime.progress import ProgressCallback
from tropica.terms.term_block import TermBlock


@dataclass(frozen=True, eq=False)
class StreamedTerms:
    """The terms of a decomposition at the points of a data set, extracted again in each pass."""

    decomposition: DCDecomposition
    data_pass: DataPass

    @property
    def num_terms(self) -> int:
        """Number of terms."""
        return self.data_pass.num_points

    @property
    def num_classes(self) -> int:
        """Number of labels."""
        return self.decomposition.net.num_classes

    @property
    def num_targets(self) -> int:
        """Number of outputs that a point has a term of: 0 in classification."""
        return self.decomposition.net.num_targets

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return self.decomposition.net.input_shape

    @property
    def method(self) -> str:
        """Method of the decomposition."""
        return self.decomposition.method

    @property
    def precision(self) -> str:
        """The precision of the terms."""
        return self.decomposition.precision

    @property
    def network(self) -> str:
        """The fingerprint of the network."""
        return self.decomposition.net.fingerprint

    @property
    def dtype(self) -> torch.dtype:
        """The network's dtype."""
        return self.decomposition.net.dtype

    @property
    def device(self) -> torch.device:
        """The network's device."""
        return self.decomposition.net.device

    def center(self, processes: Processes) -> Tensor:
        """The vector that every ∇F⁻ is stored relative to: (d,) float64."""
        return find_center(self.decomposition, self.data_pass, processes)

    def blocks(self, processes: Processes, report: ProgressCallback | None = None) -> Iterator[tuple[int, TermBlock]]:
        """Extract this process's share of the terms, batch by batch, each with the index of its first term."""
        center, halving = self.center(processes), BatchHalving(self.data_pass.repeat)
        shards = processes.share(self.data_pass.shards)
        done, total = 0, sum(shard.points for shard in shards)
        for shard, batches in self.data_pass.iter_shards(shards):
            first = shard.first
            for x in batches:
                yield first, extract_batches(self.decomposition, [x], center, halving=halving)
                first, done = first + len(x), done + len(x)
                if report:
                    report(done, total, "extracting and evaluating")


def facts_of_terms(terms: TermSource) -> dict[str, str]:
    """The terms of an extracted function, their precision and the digits that it leaves, as texts by name."""
    if isinstance(terms, KeptTerms):
        steps, digits = terms.terms.certificate.steps, terms.terms.certificate.digits
    else:
        assert isinstance(terms, StreamedTerms)
        steps, digits = terms.decomposition.escalations, None
    return {
        "terms": f"{terms.num_terms:,} of {'×'.join(map(str, terms.input_shape))}",
        "outputs" if terms.num_targets else "classes": f"{terms.num_classes}",
        "decomposition": terms.method,
        "precision": terms.precision,
        **({} if digits is None else {"digits of f(x)": f"{digits:.1f}"}),
        **({"before": "; ".join(steps)} if steps else {}),
        "kept": "no, extracted in each call" if isinstance(terms, StreamedTerms) else f"{terms.dtype}, {terms.device}",
    }
