"""What an extraction to a store is of, and what was found on the way. Goes with the next change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from tropica.data.passes import DataPass, PointDigests
from tropica.decomposition.dc_decomposition import DCDecomposition, PairwiseCheck
from tropica.decomposition.extraction import extract_batches, find_center
from tropica.decomposition.prepare import Extraction, decomposition_for, fitted
from tropica.network.network import PiecewiseLinearNetwork
from tropica.runtime.processes import Processes
from tropica.runtime.progress import ProgressCallback
from tropica.terms.certificate import Certificate
from tropica.terms.linear_terms import LinearTerms
from tropica.terms.term_block import TermBlock


@dataclass
class Job:
    extraction: Extraction
    walk: DataPass
    about: dict[str, str]
    processes: Processes
    memory: int | None
    digests: PointDigests
    look: bool = False
    smallest: float | None = None
    pairs: PairwiseCheck | None = None
    center: Tensor | None = None
    _split: DCDecomposition | None = None

    @classmethod
    def of(cls, extraction: Extraction, processes: Processes, memory: int | None, digests: PointDigests) -> Job:
        about = {
            name: value for name, value in extraction.identity.to_dict().items() if name not in ("method", "decomposition")
        }
        return cls(extraction, extraction.data_pass.observed(digests), about, processes, memory, digests)

    @property
    def net(self) -> PiecewiseLinearNetwork:
        return self.extraction.net

    @property
    def decomposition(self) -> DCDecomposition:
        assert self._split is not None
        return self._split

    def use(self, decomposition: DCDecomposition, fresh: bool) -> None:
        self._split = fitted(decomposition, self.net, at=self.about["at"])
        self.look = decomposition.pairs is None and (not fresh or decomposition.smallest_cotangent is None)
        self.smallest = decomposition.smallest_cotangent if fresh else None
        self.pairs = decomposition.pairs if fresh else None

    def make_decomposition(
        self, method: str, report: ProgressCallback | None, checkpoint: Path | None = None
    ) -> DCDecomposition:
        made = decomposition_for(
            replace(self.extraction, data_pass=self.walk),
            method,
            memory=self.memory,
            processes=self.processes,
            checkpoint=checkpoint,
            digests=self.digests,
            progress=report,
        )
        self.use(made, fresh=True)
        return made

    @property
    def points(self) -> int:
        return self.walk.num_points

    def block(self, group: Sequence[Tensor], check: bool = False, out: TermBlock | None = None) -> TermBlock:
        assert self.center is not None
        check = check and self.look
        return extract_batches(
            self.decomposition, group, self.center, stored_dtype=self.extraction.stored_dtype, check=check, out=out
        )

    def find_center(self) -> Tensor:
        if self.center is None:
            self.center = find_center(self.decomposition, self.walk, self.processes)
        return self.center

    def terms(self, blocks: Sequence[TermBlock]) -> LinearTerms:
        assert self.center is not None
        unchecked = Certificate(self.smallest, 0.0, 0.0, 1.0, 0, 0, 0, False, self.about["dtype"])
        return LinearTerms(
            blocks,
            self.center,
            self.net.input_shape,
            self.net.num_classes,
            self.decomposition.method,
            unchecked,
            self.identity(),
        )

    def identity(self) -> dict[str, str]:
        return {**self.about, "method": self.decomposition.method, "decomposition": self.decomposition.fingerprint}
