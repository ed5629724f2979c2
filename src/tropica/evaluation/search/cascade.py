"""What a search keeps of the terms: their groups, and the short rows of each product of the cascade."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tropica.evaluation.joined import Joined
from tropica.evaluation.lossy import rounded
from tropica.evaluation.search.clusters import alike
from tropica.evaluation.search.features import EXTRA, Scaling, Stage, short_enough
from tropica.evaluation.search.subspace import SAMPLE, Subspace, fit, narrowed
from tropica.terms.linear_terms import TermBlock
from tropica.terms.maxima import functions_of

GROUP = 64
"""Terms a group."""
CLUSTERED = 48
"""Coordinates that groups are made by."""
ROWS = 256
"""Terms or points that are projected at once: their float64 copies stay near the processor."""
TRIAL = 256
"""Points that ranks are tried on."""
SECOND = 192
"""Columns of the second product at least."""
PROJECTION = 0.08
"""What a coordinate costs on the way to the first product, in columns of that."""
NEARLY = 0.95
"""Where the last product takes this share of a subspace's coordinates, or more, the subspace is kept as it is."""
CLUMPED = 20
"""Times as many groups are left as pairs, roughly."""
FAST = 1.5
"""How much faster bfloat16 products must be to be used."""


@dataclass(frozen=True)
class Cascade:
    """Terms, ready to be searched.

    Attributes:
        functions: the terms as they lie.
        members: the terms of each group, (groups, GROUP); where the last one is not full, its last term again.
        stages, rows: the products, and the terms' rows (groups · GROUP, K) for each, group after group.
        error: of_norm and of_bias of the terms in the last product, in the working dtype.
        weights: coefficients for the last product (groups · GROUP, d), where there is room for them.
    """

    functions: Joined
    subspace: Subspace
    scaling: Scaling
    offset: float
    members: Tensor
    stages: tuple[Stage, ...]
    rows: tuple[Tensor, ...]
    error: tuple[Tensor, Tensor]
    working: torch.dtype
    weights: Tensor | None

    @property
    def groups(self) -> int:
        """Number of groups."""
        return len(self.members)

    def gathered(self, index: Tensor) -> Tensor:
        """Coefficients of some terms in the working dtype."""
        return self.functions.rows(index, self.working)

    def points(self, x: Tensor) -> tuple[Tensor, list[Tensor]] | None:
        """shift(x) in float64, not below the exact one, and the points' rows for each product; None where one is too long."""
        shifts, rows = [], [[] for _ in self.stages]
        for part in x.split(ROWS):
            at, shift = self.subspace.points_and_shift(part)
            shifts.append(shift + self.offset)
            for stage, out in zip(self.stages, rows, strict=True):
                out.append(stage.points(at, self.scaling))
        joined, shift = [torch.cat(out) for out in rows], torch.cat(shifts)
        return (shift, joined) if bool(shift.isfinite().all()) and all(map(short_enough, joined)) else None

    @property
    def scale(self) -> float:
        """What scores are multiplied by in products of rows."""
        return self.scaling.terms * self.scaling.points * self.subspace.scale


def build(
    blocks: Sequence[tuple[int, TermBlock]], x: Tensor, working: torch.dtype, room: int, stages: tuple[Stage, ...] | None = None
) -> Cascade | str:
    """The cascade for terms, fitted to them and to points, with coefficients where they take no more bytes than ``room``; or
    why there is none.

    Work: terms × d × R multiply-adds, R ≤ 1024, and a few passes over the coordinates for the groups.
    """
    functions = Joined.of(blocks)
    some = torch.linspace(0, len(functions) - 1, min(SAMPLE, len(functions))).long()
    seen = torch.linspace(0, len(x) - 1, min(SAMPLE, len(x))).long()
    sample, at = functions.rows(some, working), x[seen]
    subspace = fit(sample, at)
    beta = functions.bias[some] + (sample @ at.mean(0)).double()
    offset = float(beta.mean())
    if subspace is not None and stages is None:
        first = _rank(subspace, sample, at[:: -(-len(at) // TRIAL)], beta - offset)
        more = 4 if first > 256 else 3
        rank = min(subspace.rank, max(more * (first + EXTRA) // 2, SECOND) - EXTRA)
        subspace = narrowed(subspace, sample, at, rank) if rank < NEARLY * subspace.rank else subspace
        stages = _stages(min(first, rank), rank)
    if subspace is None or stages is None:
        return "terms or points span nothing that a subspace could hold"
    whole = subspace.scale
    scaling = Scaling.of(subspace.terms(sample), (beta - offset) * whole, subspace.points(at))
    if scaling is None:
        return "terms or points leave the range of float32"
    mean, fine = subspace.of_points.mean.double(), (len(subspace.columns) + 16) * 2.0**-52
    near, rows, errors = [], [[] for _ in stages], []
    for first, block in blocks:
        for start in range(0, len(block), ROWS):
            part = block.rows(start, min(ROWS, len(block) - start)).to(working)
            index = first + start
            known = functions_of(part, "plus", index) if part.rounding is None else rounded(part, index)
            exact = part.local.double() + part.minus.double()
            at_terms = subspace.terms(exact)
            beta = (known.bias + exact @ mean - offset) * whole
            of_norm, of_bias = known.rounding(torch.empty(0, exact.shape[1], dtype=torch.float64))
            unknown = of_norm * subspace.of_terms.scale + fine * at_terms.size, of_bias * whole
            for stage, out in zip(stages, rows, strict=True):
                out.append(stage.terms(at_terms, beta, unknown, scaling))
            errors.append(known.rounding(torch.empty(0, exact.shape[1], dtype=working)))
            near.append(torch.cat([at_terms.inner[:, :CLUSTERED], (beta / scaling.bias).unsqueeze(1)], 1).float())
    joined = [torch.cat(out) for out in rows]
    if not all(map(short_enough, joined)):
        return "terms leave the range of float32"
    order = alike(torch.cat(near), GROUP)
    order = torch.cat([order, order[-1:].expand(-len(order) % GROUP)])
    of_norm, of_bias = (torch.cat(column) for column in zip(*errors, strict=True))
    weights = None
    if order.numel() * x.shape[1] * working.itemsize <= room:
        weights = torch.empty(len(order), x.shape[1], dtype=working)
        for low in range(0, len(order), ROWS):
            weights[low : low + ROWS] = functions.rows(order[low : low + ROWS], working)
    ordered = tuple(out[order] for out in joined)
    members = order.view(-1, GROUP)
    return Cascade(functions, subspace, scaling, offset, members, stages, ordered, (of_norm, of_bias), working, weights)


def _stages(first: int, rank: int) -> tuple[Stage, ...]:
    """A product of few coordinates for all pairs, in bfloat16 where that is fast, and one of all of them for what it leaves."""
    short = Stage(first, torch.bfloat16 if fast_bfloat16() else torch.float32)
    last = Stage(rank, torch.float32)
    return (short,) if short == last else (short, last)


def _rank(subspace: Subspace, terms: Tensor, points: Tensor, beta: Tensor) -> int:
    """The rank of the first product for which a sample promises the least work, in columns of float32 a pair."""
    of_terms, of_points = subspace.terms(terms), subspace.points(points)
    wide = Scaling.of(of_terms, beta * subspace.scale, of_points)
    weight = 1.0 if wide is None else wide.weight
    centerd = points - subspace.of_points.mean
    reached = (((centerd @ (terms - subspace.of_terms.mean).mT).double() + beta) * subspace.scale).amax(1, keepdim=True)
    best, chosen = math.inf, 0
    for columns in (64, 128, 192, 256, 384, 512):
        rank = min(columns - EXTRA, subspace.rank)
        bounds = of_points.inner[:, :rank] @ of_terms.inner[:, :rank].mT + (beta * subspace.scale).float()
        bounds += torch.outer(of_points.rest(rank, 1 / weight), of_terms.rest(rank, weight)).float()
        left = min(1.0, CLUMPED * float((bounds >= reached).double().mean()))
        work = columns * (PROJECTION + (1 / 4 if fast_bfloat16() else 1)) + 2 * left * terms.shape[1]
        if work < best:
            best, chosen = work, rank
    return chosen


@functools.cache
def fast_bfloat16() -> bool:
    """Does this processor multiply in bfloat16 faster than in float32, and sum in float32? (Measured once: 10 ms.)"""
    a, b = torch.ones(1024, 128), torch.full((128, 512), 2.0**-9)
    b[0] = 1.0  # sums of 1 and many small numbers stay 1 where they are rounded to bfloat16 on the way
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        left, right = a.to(dtype), b.to(dtype)
        out = torch.mm(left, right)
        seconds[dtype] = min(_timed(left, right) for _ in range(5))
    return seconds[torch.bfloat16] * FAST < seconds[torch.float32] and bool(
        (out.float() - 1 - 127 * 2.0**-9).abs().max() < 2.0**-7
    )


def _timed(left: Tensor, right: Tensor) -> float:
    start = time.perf_counter()
    torch.mm(left, right)
    return time.perf_counter() - start
