"""Checking Theorem 3.3 on the data: every point's own terms are the largest ones at the point."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tropica.decomposition.dc_decomposition import PairwiseCheck
from tropica.runtime.processes import Processes
from tropica.terms.certificate import Certificate
from tropica.terms.linear_terms import LinearTerms
from tropica.terms.maxima import PAIRS, Functions, RunningMaxima, functions_of

COMPLETE = 4096
"""Up to so many points all pairs are checked; beyond, this many random points against as many random terms, and against
their own. Fewer where the points are so large that they would not fit ``NUMBERS``."""
NUMBERS = 2**25
"""Numbers in the points that are checked (128 MB in float32), of which the terms take twice as many."""


@dataclass
class Sample:
    """Points that take part in the check, picked before the pass that shows them."""

    index: Tensor
    total: int
    _x: Tensor | None = None
    _margin: Tensor | None = None

    @classmethod
    def draw(cls, points: int, numbers: int = 1) -> Sample:
        """All points of a small set, a random sample of a large one (seed 0), in order; ``numbers`` of each point."""
        generator = torch.Generator().manual_seed(0)
        size = min(COMPLETE, max(64, NUMBERS // numbers))
        return cls(torch.randperm(points, generator=generator)[:size].sort().values, points)

    def see(self, start: int, x: Tensor, margin: Tensor) -> None:
        """Consecutive points come by, the first of them with index ``start``; ``margin``: by how much N's label wins."""
        if self._x is None or self._margin is None:
            self._x = x.new_zeros(len(self.index), x[0].numel())
            self._margin = torch.zeros(len(self.index), dtype=torch.float64, device=x.device)
        low, high = torch.searchsorted(self.index, torch.tensor([start, start + len(x)])).tolist()
        mine = self.index[low:high] - start
        self._x[low:high] = x[mine.to(x.device)].flatten(1)
        self._margin[low:high] = margin[mine.to(margin.device)].to(x.device)

    def join(self, processes: Processes) -> None:
        """Put together what several processes have seen, each its own points."""
        if processes.world_size > 1:
            shapes = [shape for shape in processes.all_gather(None if self._x is None else self._x.shape[1]) if shape]
            like = torch.zeros(len(self.index), shapes[0]) if self._x is None else self._x
            dtypes = [name for name in processes.all_gather(None if self._x is None else str(self._x.dtype)) if name]
            kind = getattr(torch, dtypes[0].removeprefix("torch."))
            margin = torch.zeros(len(self.index), dtype=torch.float64) if self._margin is None else self._margin
            self._x, self._margin = processes.all_reduce_sum(like.to(kind)), processes.all_reduce_sum(margin)

    @property
    def x(self) -> Tensor:
        """The points, (n, d)."""
        assert self._x is not None
        return self._x

    @property
    def margin(self) -> Tensor:
        """By how much their labels win, (n,)."""
        assert self._margin is not None
        return self._margin


def check_terms(terms: LinearTerms, sample: Sample, smallest: float | None, pairs: PairwiseCheck | None = None) -> Certificate:
    """Evaluate the terms of the sample at its points, exactly, and compare every point's own with the largest.

    The tolerance is 100 units in the last place of the largest |a⁺_j(x_k)| and |a⁻_j(x_k)| bound ‖w‖‖x‖ + |b|, in the dtype
    of the extraction: rounding in the backward passes is of that order. Where coefficients are kept in fewer digits, what that
    can do to a value is added, here and to the margin below which labels count as tied.

    Args:
        terms: the terms.
        sample: the points that take part.
        smallest: the smallest cotangent, where they were looked at.
        pairs: what is known of all pairs of these very points from making their minimal decomposition.
    """
    x = sample.x.to(device=terms.device, dtype=terms.working)
    chosen = terms if len(sample.index) == len(terms) else terms.select(sample.index)
    (block,) = chosen.blocks if len(chosen.blocks) == 1 else chosen.select(torch.arange(len(chosen))).blocks
    block = block.to(terms.working)
    worst = torch.zeros((), dtype=torch.float64, device=x.device)
    labels = block.labels
    for functions in (functions_of(block, "minus"), functions_of(block, "plus")):
        best = RunningMaxima(x)
        best.update(functions)
        worst = torch.maximum(worst, (best.value[:, 0] - own_values(functions, x)).max())  # NaN stays NaN
        labels = block.labels[best.winner[:, 0]]
    dtype = getattr(torch, terms.certificate.dtype)
    unit = torch.finfo(dtype).eps
    norm = torch.linalg.vector_norm
    center = float(norm(terms.center))
    reach = (norm(block.local, dim=1).double() + norm(block.minus, dim=1).double() + center) * norm(x, dim=1).double()
    scale = float((reach + block.minus_bias.abs() + block.local_bias.abs()).max())
    kept = 0.0
    if block.rounding is not None:
        of_norm, of_bias = block.rounding[:, ::2].amax(), block.rounding[:, 1::2].amax()
        kept = float(of_norm * norm(x, dim=1).max().double() + of_bias)
    lost = labels != block.labels
    spread = float((reach - center * norm(x, dim=1).double()).max())
    tied = lost & (sample.margin.to(x.device) <= 100 * unit * spread + 2 * kept)
    found = Certificate(
        smallest_cotangent=smallest,
        largest_violation=float(worst),
        tolerance=100 * unit * scale + 2 * kept,
        labels_kept=1 - float(lost.double().mean()),
        labels_tied=int(tied.sum()),
        points=len(x),
        terms=len(block),
        complete=len(x) == sample.total,
        dtype=terms.certificate.dtype,
        pairwise=terms.method == "minimal",
    )
    if pairs is None or found.complete:
        return found
    lost = max(int(lost.sum()), pairs.labels_lost + pairs.labels_tied)
    return replace(
        found,
        largest_violation=float(torch.maximum(worst, worst.new_tensor(pairs.violation))),
        tolerance=max(found.tolerance, pairs.tolerance),
        labels_kept=1 - lost / pairs.points,
        labels_tied=max(found.labels_tied, pairs.labels_tied),
        points=pairs.points,
        terms=pairs.points,
        complete=True,
    )


def own_values(functions: Functions, x: Tensor) -> Tensor:
    """Every function at the point of its own number, in float64, computed as :class:`RunningMaxima` does: (B,)."""
    step = max(1, PAIRS // x.shape[1])
    parts = [slice(low, low + step) for low in range(0, len(x), step)]
    return torch.cat([(functions.rows(i, torch.float64) * x[i].double()).sum(1) + functions.bias[i] for i in parts])
