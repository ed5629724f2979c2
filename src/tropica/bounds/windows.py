"""Xiong's number for one convolutional layer: the numbers of units, window by window, that can be independent.

A window sees a set of input entries. Numbers t of units, one for each window, are independent where every set J of windows has
Σ_{p ∈ J} t_p ≤ |∪_{p ∈ J} S_p|, which is to say that each window p can be given t_p entries of its own. The number of regions
is the sum of ∏_p C(filters, t_p) over all such t.

That is exact for units with weights of their own. Those of a filter share theirs: as polynomials they are the multiples of the
filter by monomials, and a relation Σ_k a_k p_k = 0 between filters p_k makes units dependent. Along one axis, generic filters
have only the relations that the count forces (match windows to entries in order: weights λ^{a²} at offset a leave one leading
term in a minor). Along two they have q·p − p·q = 0 as well: two filters of 2 × 2 on an input of 3 × 3 make 8 units of rank 7,
and 255 regions instead of 256.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from tropica.bounds.architecture import NotCovered
from tropica.exact.binomials import binomial_sum, binomials

FRONTIER = 16
"""Windows that may be open at once, where windows overlap along several axes: there is a table entry for each set of them."""
WORK = 2**30
"""Table entries to be computed before giving up, with what a table costs in any case: a few seconds."""
TABLE = 512
"""What a table costs in any case, in entries."""


class Axis(NamedTuple):
    """Windows along one axis: how many, how long, and how far apart."""

    places: int
    length: int
    step: int

    @property
    def reach(self) -> int:
        """The most places between two windows that overlap."""
        return min(self.places - 1, (self.length - 1) // self.step)


class Layer(NamedTuple):
    """One layer with the axes along which no windows overlap taken out: it falls apart into equal copies."""

    axes: list[Axis]
    channels: int
    filters: int
    copies: int

    @classmethod
    def of(cls, axes: Sequence[Axis], channels: int, filters: int) -> Layer:
        """The layer of these windows on an input of some channels."""
        alone = [axis for axis in axes if axis.reach == 0]
        left = sorted((axis for axis in axes if axis.reach), key=lambda axis: axis.places, reverse=True)
        channels *= math.prod(axis.length for axis in alone)
        return cls(left, channels, filters, math.prod(axis.places for axis in alone))

    @property
    def free(self) -> bool:
        """Has each window as many entries to itself as there are filters (those before its next neighbors')?"""
        return self.filters <= self.channels * math.prod(axis.step for axis in self.axes)


def count_regions(axes: Sequence[Axis], channels: int, filters: int) -> int:
    """Xiong's number for one layer.

    With one axis of overlapping windows it is a sum over the entries that are used up, from window to window; with more, one
    over the slack of all sets of open windows.

    Raises:
        NotCovered: windows overlap along several axes, and are too many for that.
    """
    layer = Layer.of(axes, channels, filters)
    if layer.free:
        return 1 << layer.filters * layer.copies * math.prod(axis.places for axis in layer.axes)
    if not layer.axes:
        one = binomial_sum(layer.filters, layer.channels)
    elif len(layer.axes) == 1:
        one = _along_a_line(layer.axes[0], layer.channels, layer.filters)
    else:
        one = _in_a_box(layer.axes, layer.channels, layer.filters)
    return one**layer.copies


def is_attained(axes: Sequence[Axis], channels: int, filters: int) -> bool:
    """Is Xiong's number known to be attained by filters that share their weights?"""
    layer = Layer.of(axes, channels, filters)
    return layer.free or len(layer.axes) <= 1


def count_attained(axes: Sequence[Axis], channels: int, filters: int) -> int:
    """A number of regions that some filters attain: Xiong's, or that of kernels with zeros where they overlap along an axis."""
    if is_attained(axes, channels, filters):
        return count_regions(axes, channels, filters)
    cut = [axis._replace(length=min(axis.length, axis.step)) for axis in axes]
    return max(count_regions([*cut[:i], axis, *cut[i + 1 :]], channels, filters) for i, axis in enumerate(axes))


def _along_a_line(axis: Axis, channels: int, filters: int) -> int:
    """Window after window takes the first entries that are free: no other choice leaves more to the later ones."""
    size, step = axis.length * channels, axis.step * channels
    row = binomials(filters, size)
    counts = [1]  # entry u: ways to have used up u entries of the window that comes
    for _ in range(axis.places):
        used = [0] * (size + 1)
        for u, count in enumerate(counts):
            for t in range(min(len(row) - 1, size - u) + 1):
                used[u + t] += count * row[t]
        counts = [sum(used[: step + 1]), *used[step + 1 :]]
    return sum(counts)


def _in_a_box(axes: Sequence[Axis], channels: int, filters: int) -> int:
    """Window after window, with the slack h(Q) = min_P |S_P \\ S_Q| − t(P) over sets P of past windows, for each set Q to come.

    The next window p can have t ≤ |S_p| + h({p}) units, and after it h(Q) is min(h(Q), h(Q ∪ {p}) + |S_p \\ S_Q| − t). Ways
    with equal slack are counted together.
    """
    strides = [math.prod(axis.places for axis in axes[i + 1 :]) for i in range(len(axes))]
    open_windows = sum(axis.reach * stride for axis, stride in zip(axes, strides, strict=True))
    if open_windows > FRONTIER:
        raise _too_large(f"{open_windows} windows overlap those before them, and the sum has a term for each set of them")
    size = channels * math.prod(axis.length for axis in axes)
    row = binomials(filters, size)
    ways = {np.zeros(1 << open_windows, dtype=np.int32).tobytes(): 1}
    work = 0
    for place in product(*(range(axis.places) for axis in axes)):
        free = _uncovered(axes, strides, place, open_windows) * channels
        after: dict[bytes, int] = {}
        for slack, count in ways.items():
            h = np.frombuffer(slack, dtype=np.int32)
            most = min(len(row) - 1, size + int(h[1]))
            work += (most + 1) * (len(h) + TABLE)
            if work > WORK:
                raise _too_large(f"the sum has more than {WORK} steps")
            for t, left in enumerate(_closed(h, free, most)):
                key = left.tobytes()
                after[key] = after.get(key, 0) + count * row[t]
        ways = after
    return sum(ways.values())


def _closed(h: np.ndarray, free: np.ndarray, most: int) -> np.ndarray:
    """The slack after a window of t = 0, ..., ``most`` units, a row each. Bit 0 of an index is the window that closes."""
    without, within = np.tile(h[0::2], 2), np.tile(h[1::2], 2)
    return np.minimum(without, within + free - np.arange(most + 1, dtype=np.int32)[:, None])


def _uncovered(axes: Sequence[Axis], strides: Sequence[int], place: tuple[int, ...], open_windows: int) -> np.ndarray:
    """|S_p \\ S_Q| in places of the input, for each set Q of the windows to come (bit i: the one i + 1 places on)."""
    sets = np.arange(1 << open_windows)
    free = np.zeros(len(sets), dtype=np.int32)
    later = [
        (shift, sum(s * stride for s, stride in zip(shift, strides, strict=True)))
        for shift in product(
            *(
                range(-min(axis.reach, at), min(axis.reach, axis.places - 1 - at) + 1)
                for axis, at in zip(axes, place, strict=True)
            )
        )
    ]
    for cell in product(*(range(axis.length) for axis in axes)):
        covering = sum(
            1 << distance - 1
            for shift, distance in later
            if distance > 0 and all(0 <= c - s * axis.step < axis.length for c, s, axis in zip(cell, shift, axes, strict=True))
        )
        free += (sets & covering) == 0
    return free


def _too_large(why: str) -> NotCovered:
    return NotCovered(
        f"this layer is too large for Xiong's number: windows overlap along several axes, and {why}. A smaller layer does, or "
        "strides of the kernel's size along all axes but one; for upper bounds, those of dense networks with the same widths "
        "(ConvNet.widths)"
    )
