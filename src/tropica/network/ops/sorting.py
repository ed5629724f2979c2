"""Sorting and selection as networks of comparators: each takes the smaller and the larger one of two activations.

The comparators are those of Batcher's odd-even merge sort, without those that no wanted entry depends on. Every value is
exactly an entry of the input. At a tie the entries share the slope, as in ``torch.maximum``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from tropica.network.builder import Builder, Operand, Refused, Value
from tropica.network.ops.activations import amin, minimum
from tropica.network.ops.layout import cat, slice_, squeeze_dims
from tropica.network.ops.nonlinearities import amax, maximum
from tropica.network.ops.registry import op

MOST_ENTRIES = 256
"""Largest number of entries that are sorted: 3,839 comparators in 36 stages."""
MOST_SCANNED = 4096
"""Largest number of entries of a running maximum."""

Comparator = tuple[int, int]


def comparators(n: int) -> list[list[Comparator]]:
    """Stages of Batcher's odd-even merge sort for n entries: pairs (i, j), i < j, which put the smaller one at i.

    >>> comparators(3)
    [[(0, 1)], [(0, 2)], [(1, 2)]]
    """
    stages: list[list[Comparator]] = []
    p = 1
    while p < n:
        k = p
        while k >= 1:
            pairs = [(i + j, i + j + k) for j in range(k % p, n - k, 2 * k) for i in range(min(k, n - j - k))]
            stage = [(low, high) for low, high in pairs if low // (2 * p) == high // (2 * p)]
            if stage:
                stages.append(stage)
            k //= 2
        p *= 2
    return stages


def sorted_entries(b: Builder, x: Value, dim: int, wanted: Sequence[int]) -> Value:
    """The entries of the given ranks along a dimension, rank 0 for the smallest."""
    n, dim = x.shape[dim], dim % x.ndim
    if n > MOST_ENTRIES:
        raise Refused(f"it sorts {n} entries, which takes too many comparators; at most {MOST_ENTRIES} are sorted")
    needed, stages = set(wanted), []
    for stage in reversed(comparators(n)):
        used = [(pair, pair[0] in needed, pair[1] in needed) for pair in stage if needed & set(pair)]
        needed |= {i for pair, _, _ in used for i in pair}
        stages.append(used)
    place = list(range(n))  # position of each rank's entry in the tensor
    for stage in reversed(stages):
        x, place = _compare(b, x, dim, stage, place)
    return _take(b, x, dim, [place[rank] for rank in wanted])


def _compare(
    b: Builder, x: Value, dim: int, stage: list[tuple[Comparator, bool, bool]], place: list[int]
) -> tuple[Value, list[int]]:
    """One stage: the tensor of all entries that are passed on, and the position of each in it."""
    parts: list[Value] = []
    ranks: list[int] = []
    lower = [pair for pair, low, _ in stage if low]
    upper = [pair for pair, _, high in stage if high]
    for pairs, choose, which in ((lower, minimum, 0), (upper, maximum, 1)):
        if pairs:
            sides = (_take(b, x, dim, [place[pair[side]] for pair in pairs]) for side in (0, 1))
            parts.append(choose(b, *sides))
            ranks += [pair[which] for pair in pairs]
    busy = {i for pair, _, _ in stage for i in pair}
    others = [i for i, at in enumerate(place) if at >= 0 and i not in busy]
    if others:
        parts.append(_take(b, x, dim, [place[i] for i in others]))
        ranks += others
    found = [-1] * len(place)
    for at, rank in enumerate(ranks):
        found[rank] = at
    return (parts[0] if len(parts) == 1 else cat(b, parts, dim)), found


def _take(b: Builder, x: Value, dim: int, positions: list[int]) -> Value:
    if positions == list(range(x.shape[dim])):
        return x
    return b.affine(lambda x, index: x.index_select(dim, index), x, index=torch.tensor(positions))


@op("sort.default")
def sort(b: Builder, x: Value, dim: int = -1, descending: bool = False) -> tuple[Value, None]:
    """Entries in order along a dimension; the positions may not be used."""
    ranks = range(x.shape[dim])
    return sorted_entries(b, x, dim, ranks[::-1] if descending else ranks), None


@op("sort.stable")
def sort_stable(
    b: Builder, x: Value, *, stable: bool | None = None, dim: int = -1, descending: bool = False
) -> tuple[Value, None]:
    """Entries in order along a dimension, as :func:`sort`: equal entries have equal values."""
    return sort(b, x, dim, descending)


@op("msort.default")
def msort(b: Builder, x: Value) -> Value:
    """Entries in order along the first dimension."""
    return sort(b, x, 0)[0]


@op("topk.default")
def topk(b: Builder, x: Value, k: int, dim: int = -1, largest: bool = True, in_order: bool = True) -> tuple[Value, None]:
    """The k largest or smallest entries, in order."""
    n = x.shape[dim]
    if not in_order and k > 1:
        raise Refused("sorted=False leaves the order of its entries open; use sorted=True")
    return sorted_entries(b, x, dim, range(n - 1, n - 1 - k, -1) if largest else range(k)), None


@op("kthvalue.default")
def kthvalue(b: Builder, x: Value, k: int, dim: int = -1, keepdim: bool = False) -> tuple[Value, None]:
    """The k-th smallest entry."""
    out = sorted_entries(b, x, dim, [k - 1])
    return (out if keepdim else squeeze_dims(b, out, dim)), None


@op("median.dim", "nanmedian.dim")
def median(b: Builder, x: Value, dim: int, keepdim: bool = False) -> tuple[Value, None]:
    """The lower one of the two medians."""
    return kthvalue(b, x, (x.shape[dim] + 1) // 2, dim, keepdim)


@op("cummax.default")
def cummax(b: Builder, x: Value, dim: int) -> tuple[Value, None]:
    """Running maxima: after stage s, entry i is the maximum of the last 2^s entries up to i."""
    n, step = x.shape[dim], 1
    if n > MOST_SCANNED:
        raise Refused(f"it is a running maximum of {n} entries; at most {MOST_SCANNED} are supported")
    while step < n:
        later = maximum(b, slice_(b, x, dim, step, n), slice_(b, x, dim, 0, n - step))
        x = cat(b, [slice_(b, x, dim, 0, step), later], dim)
        step *= 2
    return x, None


@op("cummin.default")
def cummin(b: Builder, x: Value, dim: int) -> tuple[Value, None]:
    """Running minima: −cummax(−x)."""
    return b.neg(cummax(b, b.neg(x), dim)[0]), None


@op("aminmax.default")
def aminmax(b: Builder, x: Value, *, dim: int | None = None, keepdim: bool = False) -> tuple[Value, Value]:
    """The minimum and the maximum over a dimension."""
    return amin(b, x, dim, keepdim), amax(b, x, dim, keepdim)


@op("fmax.default")
def fmax(b: Builder, x: Operand, y: Operand) -> Value:
    """max(x, y); they differ for NaN alone."""
    return maximum(b, x, y)


@op("fmin.default")
def fmin(b: Builder, x: Operand, y: Operand) -> Value:
    """min(x, y); they differ for NaN alone."""
    return minimum(b, x, y)
