"""A query of the index: the candidates for the active term of a block of points.

A bound of few columns is computed for all groups at all points. The groups whose bound reaches the lower bound of
the maximum are tested by the next bound, if there is one, and then by a product in the working dtype.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from tropica.errors import CertificateError
from tropica.evaluation.search.index import SearchIndex
from tropica.evaluation.search.settings import SearchSettings
from tropica.terms.affine_functions import BlockSizes
from tropica.terms.score_filter import Candidates, filter_scores


@dataclass(frozen=True)
class PointBlock:
    """Consecutive points of a query.

    Attributes:
        x, norm: the points (n, d), and their norms in float64.
        shift: shift(x) of the subspace's bound, rounded up, (n,) float64.
        rows: the points' rows for each bound of the index.
        lower_bound: lower bounds of the maxima, (n,) float64, shared with the caller and raised in place.
        first: the number of the first point.
    """

    x: Tensor
    norm: Tensor
    shift: Tensor
    rows: tuple[Tensor, ...]
    lower_bound: Tensor
    first: int

    def __len__(self) -> int:
        return len(self.x)


class GroupPairs(NamedTuple):
    """Pairs of a group and a point, ordered by group: (n,) each."""

    group: Tensor
    point: Tensor


def group_bounds(index: SearchIndex, points: PointBlock, settings: SearchSettings) -> Tensor:
    """The largest first bound of each group at each point, and at least 0: (groups, points)."""
    bound, rows = index.bounds[0], index.rows[0]
    table = torch.empty(len(index.members), len(points), dtype=bound.dtype)
    memory = torch.empty(settings.terms * settings.points, dtype=bound.dtype)
    # Maxima of the bit patterns as integers are an order of magnitude faster. Positive floats and their bit patterns have the
    # same order, and are above all negative ones. Only the order among negative floats may differ.
    whole = torch.int16 if bound.dtype.itemsize == 2 else torch.int32
    step = settings.terms // settings.group
    for low in range(0, len(index.members), step):
        groups = slice(low, low + step)
        terms = rows.unflatten(0, index.members.shape)[groups].flatten(0, 1)
        for start in range(0, len(points), settings.points):
            here = slice(start, start + settings.points)
            at = points.rows[0][here]
            scores = memory[: len(terms) * len(at)].view(len(terms), len(at))
            torch.mm(terms, at.mT, out=scores)
            torch.amax(scores.view(whole).unflatten(0, (-1, settings.group)), 1, out=table.view(whole)[groups, here])
    return bound.raised(table)


def raise_lower_bound(index: SearchIndex, points: PointBlock, table: Tensor, sizes: BlockSizes) -> None:
    """Evaluate at each point the best estimated term of the group with the highest bound, and raise the lower bound.

    Raises:
        CertificateError: a bound is below a score that it must bound.
    """
    bound, rows = index.bounds[0], index.rows[0].unflatten(0, index.members.shape)
    estimates = points.rows[0].clone()
    estimates[:, bound.rank + 2 :] = 0  # without the columns of norms and errors
    best = table.argmax(0)
    counts = torch.bincount(best, minlength=len(index.members)).tolist()
    chosen = torch.empty(len(points), dtype=torch.int64)
    for group, at in enumerate(best.argsort().split(counts)):
        if len(at):
            chosen[at] = index.members[group, torch.mm(rows[group], estimates[at].mT).float().argmax(0)]
    order = chosen.argsort()
    relative, absolute = (error[chosen] for error in index.error)
    reached = torch.empty_like(points.lower_bound)
    reached[order] = index.functions.values(chosen[order], points.x, order, sizes, points.x.dtype)
    reached -= relative * points.norm + absolute
    if bool((table.amax(0) < _comparable(index, points, reached)).any()):
        raise CertificateError("a bound turned out below a score that it must bound: products are less exact than their dtype")
    torch.maximum(points.lower_bound, reached, out=points.lower_bound)


def possible_groups(index: SearchIndex, points: PointBlock, table: Tensor) -> GroupPairs:
    """The pairs of a group and a point whose first bound reaches the lower bound."""
    return GroupPairs(*(table < _comparable(index, points, points.lower_bound)).logical_not_().nonzero(as_tuple=True))


def narrow(index: SearchIndex, points: PointBlock, pairs: GroupPairs, number: int, settings: SearchSettings) -> GroupPairs:
    """The pairs whose bound of the given number also reaches the lower bound."""
    bound, rows = index.bounds[number], index.rows[number].unflatten(0, index.members.shape)
    lowest, kept = _comparable(index, points, points.lower_bound), [torch.zeros(0, dtype=torch.bool)]
    gather = _reusing_memory(points.rows[number])
    for run, groups, counts in _runs(pairs, bound.width, settings):
        at = pairs.point[run]
        scores = _group_products(gather(at), rows, groups, counts)
        kept.append((bound.raised(scores.amax(1)) < lowest[at]).logical_not_())
    left = torch.cat(kept)
    return GroupPairs(pairs.group[left], pairs.point[left])


def last_product(index: SearchIndex, points: PointBlock, pairs: GroupPairs, settings: SearchSettings) -> Iterator[Candidates]:
    """Iterate over the candidates of the remaining groups by scores in the working dtype, which raise the lower bound."""
    dtype, lower_bound = points.x.dtype, points.lower_bound
    relative, absolute = (error[index.members].amax(1) for error in index.error)
    bias = index.functions.bias[index.members].to(dtype)
    gather = _reusing_memory(points.x)
    for run, groups, counts in _runs(pairs, points.x.shape[1], settings):
        group, at = pairs.group[run], pairs.point[run]
        scores = _group_products(gather(at), _weights(index, groups, dtype), groups, counts)
        scores += bias[group]
        error_bound = relative[group] * points.norm[at] + absolute[group]
        peak = scores.amax(1).double()
        lower_bound.scatter_reduce_(0, at, peak - error_bound, "amax")
        (possible,) = (peak + error_bound < lower_bound[at]).logical_not_().nonzero(as_tuple=True)
        at, group = at[possible], group[possible]
        row, column, upper = filter_scores(scores[possible], error_bound[possible], lower_bound[at])
        point = at[row] + points.first
        yield Candidates(point, index.members[group[row], column], torch.zeros_like(point), upper)


def _comparable(index: SearchIndex, points: PointBlock, reached: Tensor) -> Tensor:
    """Scores (n,) in the scale of the bounds: shifted and scaled, rounded down to float32."""
    low = (reached - points.shift) * index.scale - 2.0**-50 * index.scale * (reached.abs() + points.shift.abs())
    return torch.nextafter(low.float(), torch.tensor(-torch.inf))


def _weights(index: SearchIndex, groups: list[int], dtype: torch.dtype) -> Tensor | Mapping[int, Tensor]:
    """The coefficients (group, d) by number of the group."""
    if index.weights is not None:
        return index.weights.unflatten(0, index.members.shape)
    rows = index.functions.rows(index.members[groups].flatten(), dtype)
    return dict(zip(groups, rows.unflatten(0, (len(groups), -1)), strict=True))


def _runs(pairs: GroupPairs, d: int, settings: SearchSettings) -> Iterator[tuple[slice, list[int], list[int]]]:
    """Runs of pairs as long as the settings allow for rows of d numbers: the slice, its groups, and the count of each group."""
    step = max(settings.group, settings.row_numbers // d)
    for low in range(0, len(pairs.point), step):
        run = slice(low, min(low + step, len(pairs.point)))
        groups, counts = pairs.group[run].unique_consecutive(return_counts=True)
        yield run, groups.tolist(), counts.tolist()


def _group_products(points: Tensor, weights: Tensor | Mapping[int, Tensor], groups: list[int], counts: list[int]) -> Tensor:
    """The products of consecutive points (n, d) with the rows (group, d) of their groups: (n, group)."""
    scores = points.new_empty(len(points), len(weights[groups[0]]))
    first = 0
    for group, count in zip(groups, counts, strict=True):
        run = slice(first, first + count)
        torch.mm(points[run], weights[group].mT, out=scores[run])
        first += count
    return scores


def _reusing_memory(rows: Tensor) -> Callable[[Tensor], Tensor]:
    """A function that gathers rows into reused memory: allocating new pages would cost as much as the product."""
    memory = rows.new_empty(0, rows.shape[1])

    def gather(index: Tensor) -> Tensor:
        nonlocal memory
        if len(index) > len(memory):
            memory = rows.new_empty(len(index), rows.shape[1])
        return torch.index_select(rows, 0, index, out=memory[: len(index)])

    return gather
