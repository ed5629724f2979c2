"""The certificate of extracted terms: Theorem 3.3 on the data, or on a sample of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tropica.decomposition.own_terms import OwnTerms, amid
from tropica.decomposition.pairwise_check import check_pairs, indexed
from tropica.runtime.processes import Processes
from tropica.terms.certificate import Certificate
from tropica.terms.linear_terms import LinearTerms


@dataclass(frozen=True)
class SampleSizes:
    """The size of the sample that is checked. Smaller data sets are checked whole.

    The products of all pairs take the ``share`` of the work of the extraction: 4n²d operations for n points. At least
    ``always`` such operations are allowed, so that small data sets are checked whole.

    Attributes:
        share, always: see above.
        points: the largest number of points.
        numbers: the largest number of coordinates in all points (128 MB in float32). Their terms take twice as many.
        least: the smallest number of points, whatever their dimension.
    """

    share: float = 0.04
    always: float = 2.0**29
    points: int = 4096
    numbers: int = 2**25
    least: int = 64


SAMPLE_SIZES = SampleSizes()


@dataclass
class Sample:
    """The points of a check, chosen before the pass over the data and collected in that pass.

    Attributes:
        index: the numbers of the points, in order; in regression of the rows, one for each output of a point.
        total: the number of all points, or rows.
    """

    index: Tensor
    total: int
    _x: Tensor | None = None
    _margin: Tensor | None = None

    @classmethod
    def draw(cls, points: int, numbers: int = 1, work: float = 0.0, sizes: SampleSizes = SAMPLE_SIZES, rows: int = 1) -> Sample:
        """Choose all points of a small set, or a random sample of a large one (seed 0).

        Args:
            points: the number of rows: of points, each ``rows`` times.
            numbers: the dimension of a point.
            work: the operations of the extraction, for all points.
            sizes: the size of the sample.
            rows: the rows of each point, which stay together: its outputs in regression.
        """
        generator = torch.Generator().manual_seed(0)
        most = math.isqrt(int(max(sizes.share * work, sizes.always) / (4 * numbers * rows)))
        size = min(sizes.points, max(sizes.least, min(most, sizes.numbers // (numbers * rows))))
        chosen = torch.randperm(points // rows, generator=generator)[:size].sort().values
        return cls((chosen.unsqueeze(1) * rows + torch.arange(rows)).flatten(), points)

    def see(self, start: int, x: Tensor, margin: Tensor) -> None:
        """Collect the points of the sample among consecutive points of the data.

        Args:
            start: the number of the first point.
            x: the points (n, *input_shape).
            margin: the difference of the two largest scores of N at each point, (n,).
        """
        if self._x is None or self._margin is None:
            self._x = x.new_zeros(len(self.index), x[0].numel())
            self._margin = torch.zeros(len(self.index), dtype=torch.float64, device=x.device)
        low, high = torch.searchsorted(self.index, torch.tensor([start, start + len(x)])).tolist()
        mine = self.index[low:high] - start
        self._x[low:high] = x[mine.to(x.device)].flatten(1)
        self._margin[low:high] = margin[mine.to(margin.device)].to(x.device)

    def join(self, processes: Processes) -> None:
        """Add the points that the other processes have collected."""
        if processes.world_size > 1:
            seen = None if self._x is None else [self._x.shape[1], str(self._x.dtype)]
            d, dtype = next(found for found in processes.all_gather(seen) if found)
            like = torch.zeros(len(self.index), d, dtype=getattr(torch, dtype.removeprefix("torch.")))
            margin = torch.zeros(len(self.index), dtype=torch.float64)
            self._x = processes.all_reduce_sum(like if self._x is None else self._x)
            self._margin = processes.all_reduce_sum(margin if self._margin is None else self._margin)

    @property
    def x(self) -> Tensor:
        """The points, (n, d)."""
        assert self._x is not None
        return self._x

    @property
    def margin(self) -> Tensor:
        """The difference of the two largest scores of N at each point, (n,)."""
        assert self._margin is not None
        return self._margin


def certify_terms(
    terms: LinearTerms, sample: Sample, smallest_cotangent: float | None, known: Certificate | None = None
) -> Certificate:
    """Check Theorem 3.3 between all pairs of the sample's points.

    The tolerance is that of :class:`~tropica.decomposition.own_terms.OwnTerms`. If coefficients are stored in a coarser dtype,
    the bound on the resulting error is added to the tolerance.

    Args:
        terms: the terms.
        sample: the points.
        smallest_cotangent: the smallest cotangent, if known.
        known: the certificate of all pairs of these points, from their minimal decomposition.
    """
    x, dtype = sample.x.to(device=terms.device, dtype=terms.working), getattr(torch, terms.certificate.dtype)
    whole = len(sample.index) == len(terms)
    rows = max(1, terms.num_targets)
    chosen = terms if whole else terms.select(sample.index[::rows] // rows)

    def blocks():
        return ((first, block.to(terms.working)) for first, block in indexed(chosen))

    parts, r_norm, r_bias, amidst = [], 0.0, 0.0, amid(x)
    for first, block in blocks():
        here = slice(first, first + len(block))
        parts.append((first, OwnTerms.of(x[here], block, sample.margin[here], terms.center, amidst)))
        if block.rounding is not None:
            r_norm = max(r_norm, float(block.rounding[:, ::2].amax()))
            r_bias = max(r_bias, float(block.rounding[:, 1::2].amax()))
    own = OwnTerms.concatenate(parts, len(x), x.device)
    storage_error = 2 * (r_norm * float(torch.linalg.vector_norm(x, dim=1).max()) + r_bias)
    found = check_pairs(
        x,
        own,
        blocks,
        dtype,
        precision=terms.precision,
        smallest_cotangent=smallest_cotangent,
        storage_error=storage_error,
        complete=len(x) == sample.total,
        pairwise=terms.method == "minimal",
        num_targets=terms.num_targets,
    )
    return found if known is None or found.complete else _extended(found, known)


def _extended(sample: Certificate, known: Certificate) -> Certificate:
    """The certificate of all pairs, extended by the violations in the sample of the stored terms."""
    lost = max(sample.labels_changed, known.labels_changed)
    return replace(
        known,
        largest_violation=float(torch.tensor([sample.largest_violation, known.largest_violation]).double().max()),
        tolerance=max(sample.tolerance, known.tolerance + sample.storage_error),
        storage_error=sample.storage_error,
        precision=sample.precision,
        labels_kept=1 - lost / known.points,
        labels_tied=max(sample.labels_tied, known.labels_tied),
    )
