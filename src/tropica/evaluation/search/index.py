"""The index of the search: groups of similar terms, and short rows that bound the scores of terms."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tropica.evaluation.search.concatenated import ConcatenatedTerms
from tropica.evaluation.search.grouping import neighbor_order
from tropica.evaluation.search.score_bound import EXTRA, Scaling, ScoreBound, in_range
from tropica.evaluation.search.settings import REFINED, SEARCH_SETTINGS, IndexSettings, SearchSettings
from tropica.evaluation.search.subspace import Subspace, fit_subspace, narrow_subspace
from tropica.terms.affine_functions import functions_of
from tropica.terms.term_block import TermBlock

ROWS = 256
"""Terms or points that are projected at once: their float64 copies fit the processor's cache."""
TRIAL_POINTS = 256
"""Points on which candidate ranks are compared."""
LEAST_COLUMNS = 192
"""The smallest number of columns of the second bound."""
PROJECTION_COST = 0.08
"""The cost of projecting to one coordinate, in units of a column of the first bound."""
NEARLY_ALL = 0.95
"""A subspace is not narrowed if the last bound uses at least this share of its coordinates."""
GROUPS_PER_PAIR = 20
"""A rough ratio of the shares of groups and of single terms that pass a bound."""
WORTHWHILE_SPEEDUP = 1.5
"""bfloat16 is used if its products are faster by this factor."""


@dataclass(frozen=True)
class SearchIndex:
    """Terms prepared for the search.

    Attributes:
        functions: the terms in their original order.
        subspace: a subspace close to terms and points.
        scaling: the scaling of rows.
        offset: b̄ of the subspace's bound.
        members: the terms of each group, (groups, group). If the last group is not full, its last term is repeated.
        bounds: the upper bounds, with increasing numbers of columns.
        rows: the rows of the terms for each bound, (groups · group, K), group after group.
        error: relative and absolute error bound (D,) of each term's score in the working dtype.
        weights: coefficients for the last product, (groups · group, d) in the working dtype; None if they do not fit in memory.
    """

    functions: ConcatenatedTerms
    subspace: Subspace
    scaling: Scaling
    offset: float
    members: Tensor
    bounds: tuple[ScoreBound, ...]
    rows: tuple[Tensor, ...]
    error: tuple[Tensor, Tensor]
    weights: Tensor | None

    @property
    def scale(self) -> float:
        """The factor by which products of rows scale scores."""
        return self.scaling.terms * self.scaling.points * self.subspace.scale

    def point_rows(self, x: Tensor) -> tuple[Tensor, list[Tensor]] | None:
        """shift(x) in float64, rounded up, and the points' rows for each bound; None if they leave the range of float32."""
        shifts: list[Tensor] = []
        rows: list[list[Tensor]] = [[] for _ in self.bounds]
        for part in x.split(ROWS):
            at, shift = self.subspace.points_and_shift(part)
            shifts.append(shift + self.offset)
            for bound, out in zip(self.bounds, rows, strict=True):
                out.append(bound.point_rows(at, self.scaling))
        shift, joined = torch.cat(shifts), [torch.cat(out) for out in rows]
        return (shift, joined) if bool(shift.isfinite().all()) and all(map(in_range, joined)) else None


def build_index(
    blocks: Sequence[tuple[int, TermBlock]],
    x: Tensor,
    dtype: torch.dtype,
    memory: int,
    settings: SearchSettings = SEARCH_SETTINGS,
    bounds: tuple[ScoreBound, ...] | None = None,
    effort: IndexSettings = REFINED,
) -> SearchIndex | str:
    """Build the index of the given terms.

    Work: terms × d × R multiply-adds, R ≤ 1024, and a few passes over the coordinates for the groups.

    Args:
        blocks: the terms, each block with the index of its first term.
        x: points similar to those of later queries.
        dtype: the working dtype.
        memory: bytes that coefficients may take.
        settings: size of the groups, dtype of the first bound.
        bounds: the upper bounds; by default those with the least estimated work on a sample.
        effort: the effort for the index.

    Returns: the index, or the reason why there is none.
    """
    functions = ConcatenatedTerms.of(blocks)
    some = torch.linspace(0, len(functions) - 1, min(effort.sample, len(functions))).long()
    seen = torch.linspace(0, len(x) - 1, min(effort.sample, len(x))).long()
    sample, at = functions.rows(some, dtype), x[seen]
    subspace = fit_subspace(sample, at, effort=effort)
    beta = functions.bias[some] + (sample @ at.mean(0)).double()
    offset = float(beta.mean())
    if subspace is not None and bounds is None:
        kind = settings.first_dtype or fastest_dtype()
        subspace, bounds, work = _choose_bounds(subspace, sample, at, beta - offset, kind)
        if work > settings.most_work * x.shape[1]:
            return "bounds exclude too few terms of a sample"
    if subspace is None or bounds is None:
        return "terms or points span no subspace"
    scaling = Scaling.of(subspace.terms(sample), (beta - offset) * subspace.scale, subspace.points(at))
    if scaling is None:
        return "terms or points leave the range of float32"
    projected = _project(blocks, subspace, scaling, offset, bounds, dtype, effort.coordinates)
    rows, similar, error = projected
    if not all(map(in_range, rows)):
        return "terms leave the range of float32"
    order = neighbor_order(similar, settings.group, effort.turns)
    order = torch.cat([order, order[-1:].expand(-len(order) % settings.group)])
    weights = None
    if effort.copies and order.numel() * x.shape[1] * dtype.itemsize <= memory:
        weights = torch.empty(len(order), x.shape[1], dtype=dtype)
        for low in range(0, len(order), ROWS):
            weights[low : low + ROWS] = functions.rows(order[low : low + ROWS], dtype)
    ordered = tuple(out[order] for out in rows)
    members = order.view(-1, settings.group)
    return SearchIndex(functions, subspace, scaling, offset, members, bounds, ordered, error, weights)


def _project(
    blocks: Sequence[tuple[int, TermBlock]],
    subspace: Subspace,
    scaling: Scaling,
    offset: float,
    bounds: tuple[ScoreBound, ...],
    dtype: torch.dtype,
    coordinates: int,
) -> tuple[list[Tensor], Tensor, tuple[Tensor, Tensor]]:
    """Compute the rows of the terms for each bound, the coordinates for grouping, and the error bounds of the scores."""
    scale, mean = subspace.scale, subspace.of_points.mean.double()
    fine = (len(subspace.columns) + 16) * 2.0**-52
    similar: list[Tensor] = []
    rows: list[list[Tensor]] = [[] for _ in bounds]
    errors: list[tuple[Tensor, Tensor]] = []
    for first, block in blocks:
        for start in range(0, len(block), ROWS):
            part = block.rows(start, min(ROWS, len(block) - start)).to(dtype)
            functions = functions_of(part, "plus", first + start, uncertain=True)
            exact = part.local.double() + part.minus.double()
            at = subspace.terms(exact)
            beta = (functions.bias + exact @ mean - offset) * scale
            relative, absolute = functions.error_bound(torch.float64)
            unknown = relative * subspace.of_terms.scale + fine * at.size, absolute * scale
            for bound, out in zip(bounds, rows, strict=True):
                out.append(bound.term_rows(at, beta, unknown, scaling))
            errors.append(functions.error_bound(dtype))
            similar.append(torch.cat([at.inner[:, :coordinates], (beta / scaling.bias).unsqueeze(1)], 1).float())
    relative, absolute = (torch.cat(column) for column in zip(*errors, strict=True))
    return [torch.cat(out) for out in rows], torch.cat(similar), (relative, absolute)


def _choose_bounds(
    subspace: Subspace, terms: Tensor, points: Tensor, beta: Tensor, first_dtype: torch.dtype
) -> tuple[Subspace | None, tuple[ScoreBound, ...], float]:
    """Choose a bound of few columns for all pairs, one of more columns for the remaining pairs, and their subspace.

    The estimated work comes with them, in columns of a product in float32: the full product has d.
    """
    cost = 1 if first_dtype == torch.float32 else 1 / 4
    first, work = _cheapest_rank(subspace, terms, points[:: -(-len(points) // TRIAL_POINTS)], beta, cost)
    rank = _last_rank(subspace, first)
    chosen = narrow_subspace(subspace, terms, points, rank) if rank < NEARLY_ALL * subspace.rank else subspace
    short, last = ScoreBound(min(first, rank), first_dtype), ScoreBound(rank, torch.float32)
    return chosen, (short,) if short == last else (short, last), work


def _last_rank(subspace: Subspace, first: int) -> int:
    """The rank of the second bound behind a first one."""
    more = 4 if first > 256 else 3
    return min(subspace.rank, max(more * (first + EXTRA) // 2, LEAST_COLUMNS) - EXTRA)


def _cheapest_rank(subspace: Subspace, terms: Tensor, points: Tensor, beta: Tensor, cost: float) -> tuple[int, float]:
    """The rank of the first bound with the least estimated work on a sample, and that work; ``cost`` is that of a column, 1 in
    float32. What the first bound leaves goes to the second one, and what that leaves to the full product."""
    of_terms, of_points = subspace.terms(terms), subspace.points(points)
    scaling = Scaling.of(of_terms, beta * subspace.scale, of_points)
    weight = 1.0 if scaling is None else scaling.weight
    centered = points - subspace.of_points.mean
    reached = (((centered @ (terms - subspace.of_terms.mean).mT).double() + beta) * subspace.scale).amax(1, keepdim=True)

    @functools.cache
    def left(rank: int) -> float:
        bounds = of_points.inner[:, :rank] @ of_terms.inner[:, :rank].mT + (beta * subspace.scale).float()
        bounds += torch.outer(of_points.rest(rank, 1 / weight), of_terms.rest(rank, weight)).float()
        return min(1.0, GROUPS_PER_PAIR * float((bounds >= reached).double().mean()))

    least, chosen = math.inf, 0
    for columns in (32, 64, 128, 192, 256, 384, 512):
        rank = min(columns - EXTRA, subspace.rank)
        last = _last_rank(subspace, rank)
        work = columns * (PROJECTION_COST + cost) + left(rank) * (last + EXTRA) + 2 * left(last) * terms.shape[1]
        if work < least:
            least, chosen = work, rank
    return chosen, least


@functools.cache
def fastest_dtype() -> torch.dtype:
    """bfloat16 if its products on this processor are faster and sum in float32; else float32. Measured once, in some 10 ms."""
    a, b = torch.ones(512, 128), torch.full((128, 256), 2.0**-9)
    b[0] = 1.0  # sums of 1 and many small numbers stay 1 if intermediate sums are rounded to bfloat16
    seconds = min(_timed(a, b) for _ in range(6))
    a, b = a.to(torch.bfloat16), b.to(torch.bfloat16)
    for _ in range(6):  # where bfloat16 is emulated, a few products show it
        if _timed(a, b) * WORTHWHILE_SPEEDUP < seconds:
            sums_in_float32 = bool((torch.mm(a, b).float() - 1 - 127 * 2.0**-9).abs().max() < 2.0**-7)
            return torch.bfloat16 if sums_in_float32 else torch.float32
        if _timed(a, b) > 4 * seconds:
            break
    return torch.float32


def _timed(left: Tensor, right: Tensor) -> float:
    start = time.perf_counter()
    torch.mm(left, right)
    return time.perf_counter() - start
