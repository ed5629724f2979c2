"""Xiong's number of regions of one convolutional layer: the number of independent choices of units in all windows.

A window p reads a set S_p of input entries. Numbers t_p of units, one for each window p, are independent if every set J of
windows has Σ_{p ∈ J} t_p ≤ |∪_{p ∈ J} S_p|. By Hall's theorem this means that each window p can be assigned t_p entries of its
own. Xiong's number of regions is the sum of ∏_p C(filters, t_p) over all such t.

The number is exact for units that do not share weights. The units of a filter share their weights: as polynomials they are the
multiples of the filter by monomials, and a relation Σ_k a_k p_k = 0 between filters p_k makes units dependent. Along one axis,
generic filters have only the relations that the count implies (match windows to entries in order: weights λ^{a²} at offset a
leave one leading term in a minor). Along two axes q·p − p·q = 0 is a relation as well: two filters of 2 × 2 on an input of
3 × 3 make 8 units of rank 7, and 255 regions instead of 256.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from tropica.bounds.architecture import NotCovered
from tropica.exact.binomials import binomial_sum, binomials

MAX_OPEN_WINDOWS = 16
"""Largest number of windows that may overlap earlier windows at once: a table has an entry for each set of them."""
MAX_WORK = 2**30
"""Largest number of table entries to compute, overhead included: a few seconds."""
TABLE_OVERHEAD = 512
"""The overhead of one table, in entries."""


@dataclass(frozen=True)
class WindowAxis:
    """The windows along one axis.

    Attributes:
        count: the number of windows.
        length: the length of each window.
        stride: the distance between neighboring windows.
    """

    count: int
    length: int
    stride: int

    @property
    def reach(self) -> int:
        """The largest difference in position between two windows that overlap."""
        return min(self.count - 1, (self.length - 1) // self.stride)


@dataclass(frozen=True)
class LayerWindows:
    """The windows of a layer along the axes of overlap; along the other axes the layer consists of equal copies.

    Attributes:
        axes: the axes along which windows overlap, the axis with the most windows first.
        channels: the number of input entries at each position.
        filters: the number of units of each window.
        copies: the number of equal copies.
    """

    axes: list[WindowAxis]
    channels: int
    filters: int
    copies: int

    @property
    def disjoint(self) -> bool:
        """Whether each window has at least ``filters`` entries of its own: those before its next neighbors begin."""
        return self.filters <= self.channels * math.prod(axis.stride for axis in self.axes)


def overlapping_windows(axes: Sequence[WindowAxis], channels: int, filters: int) -> LayerWindows:
    """Separate the axes with overlapping windows from the others."""
    without_overlap = [axis for axis in axes if not axis.reach]
    overlapping = sorted((axis for axis in axes if axis.reach), key=lambda axis: axis.count, reverse=True)
    entries = channels * math.prod(axis.length for axis in without_overlap)
    return LayerWindows(overlapping, entries, filters, math.prod(axis.count for axis in without_overlap))


def xiong_number(axes: Sequence[WindowAxis], channels: int, filters: int, max_work: int = MAX_WORK) -> int:
    """Xiong's number for one layer.

    With one axis of overlapping windows the recursion over the windows has the number of used entries as its state; with more
    axes, the slack of all sets of open windows.

    Args:
        axes: the axes along which the windows move.
        channels: entries of a window for each place.
        filters: units for each window.
        max_work: the largest number of steps of the recursion.

    Raises:
        NotCovered: windows overlap along several axes, and the recursion is too large.
    """
    windows = overlapping_windows(axes, channels, filters)
    if windows.disjoint:
        return 1 << windows.filters * windows.copies * math.prod(axis.count for axis in windows.axes)
    if not windows.axes:
        one = binomial_sum(windows.filters, windows.channels)
    elif len(windows.axes) == 1:
        one = _along_one_axis(windows.axes[0], windows.channels, windows.filters)
    else:
        one = _along_several_axes(windows.axes, windows.channels, windows.filters, max_work)
    return one**windows.copies


def is_sharp(axes: Sequence[WindowAxis], channels: int, filters: int) -> bool:
    """Whether Xiong's number is known to be attained by filters, which share their weights."""
    windows = overlapping_windows(axes, channels, filters)
    return windows.disjoint or len(windows.axes) <= 1


def attained_number(axes: Sequence[WindowAxis], channels: int, filters: int) -> int:
    """A number of regions that some filters attain: Xiong's number, or that of kernels with zeros along all axes but one."""
    if is_sharp(axes, channels, filters):
        return xiong_number(axes, channels, filters)
    cut = [replace(axis, length=min(axis.length, axis.stride)) for axis in axes]
    return max(xiong_number([*cut[:i], axis, *cut[i + 1 :]], channels, filters) for i, axis in enumerate(axes))


def _along_one_axis(axis: WindowAxis, channels: int, filters: int) -> int:
    """Xiong's number for one axis. Each window takes the first free entries, which leaves the most to later windows."""
    size, stride = axis.length * channels, axis.stride * channels
    row = binomials(filters, size)
    counts = [1]  # entry u: the number of choices that use u entries of the next window
    for _ in range(axis.count):
        used = [0] * (size + 1)
        for u, count in enumerate(counts):
            for t in range(min(len(row) - 1, size - u) + 1):
                used[u + t] += count * row[t]
        counts = [sum(used[: stride + 1]), *used[stride + 1 :]]
    return sum(counts)


def _along_several_axes(axes: Sequence[WindowAxis], channels: int, filters: int, max_work: int) -> int:
    """Xiong's number for several axes, window after window.

    The state is the slack h(Q) = min_P |S_P \\ S_Q| − t(P), over sets P of past windows, for each set Q of later
    windows. The next window p can have t ≤ |S_p| + h({p}) units. Then h(Q) becomes min(h(Q), h(Q ∪ {p}) + |S_p \\ S_Q| − t).
    Choices with equal slack are counted together.
    """
    distances = [math.prod(axis.count for axis in axes[i + 1 :]) for i in range(len(axes))]
    open_windows = sum(axis.reach * distance for axis, distance in zip(axes, distances, strict=True))
    if open_windows > MAX_OPEN_WINDOWS:
        raise _too_large(f"{open_windows} windows overlap those before them, and the sum has a term for each set of them")
    size = channels * math.prod(axis.length for axis in axes)
    row = binomials(filters, size)
    ways = {np.zeros(1 << open_windows, dtype=np.int32).tobytes(): 1}
    work = 0
    for position in product(*(range(axis.count) for axis in axes)):
        free = _uncovered(axes, distances, position, open_windows) * channels
        after: dict[bytes, int] = {}
        for slack, count in ways.items():
            h = np.frombuffer(slack, dtype=np.int32)
            most = min(len(row) - 1, size + int(h[1]))
            work += (most + 1) * (len(h) + TABLE_OVERHEAD)
            if work > max_work:
                raise _too_large(f"the sum has more than {max_work} steps")
            for t, left in enumerate(_slack_after(h, free, most)):
                key = left.tobytes()
                after[key] = after.get(key, 0) + count * row[t]
        ways = after
    return sum(ways.values())


def _slack_after(h: np.ndarray, free: np.ndarray, most: int) -> np.ndarray:
    """The slack after a window with t = 0, ..., ``most`` units, one row for each t. Bit 0 of an index is that window."""
    without, within = np.tile(h[0::2], 2), np.tile(h[1::2], 2)
    return np.minimum(without, within + free - np.arange(most + 1, dtype=np.int32)[:, None])


def _uncovered(
    axes: Sequence[WindowAxis], distances: Sequence[int], position: tuple[int, ...], open_windows: int
) -> np.ndarray:
    """|S_p \\ S_Q| in positions of the input, for each set Q of later windows (bit i is the window i + 1 steps later)."""
    ranges = [
        range(-min(axis.reach, i), min(axis.reach, axis.count - 1 - i) + 1) for axis, i in zip(axes, position, strict=True)
    ]
    shifts = [(shift, sum(s * d for s, d in zip(shift, distances, strict=True))) for shift in product(*ranges)]
    later = [(shift, distance) for shift, distance in shifts if distance > 0]
    sets = np.arange(1 << open_windows)
    free = np.zeros(len(sets), dtype=np.int32)
    for entry in product(*(range(axis.length) for axis in axes)):
        covering = sum(
            1 << distance - 1
            for shift, distance in later
            if all(0 <= e - s * axis.stride < axis.length for e, s, axis in zip(entry, shift, axes, strict=True))
        )
        free += (sets & covering) == 0
    return free


def _too_large(reason: str) -> NotCovered:
    return NotCovered(
        f"this layer is too large for Xiong's number: windows overlap along several axes, and {reason}. Accepted are smaller "
        "layers, or strides of the kernel's size along all axes but one; upper bounds for any size are those of dense networks "
        "with the same widths (ConvNet.widths)"
    )
