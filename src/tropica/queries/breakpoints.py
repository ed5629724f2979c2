"""Where a network bends along segments, in float64: many segments at once, one nonlinearity after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tropica.network.graph import NonlinearityNode
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.nonlinearities import ClampMin, Maximum

BLOCK_NUMBERS = 1 << 24
"""Numbers of all values of a block of points."""
NEAR = 2.0**-49
"""Breakpoints nearer to each other than this fraction of the segment are one."""
SUSPICIOUS = 1e-10
"""A unit that stays below this fraction of its layer's largest value along a piece may be 0 there."""
MOST_ROUNDS = 1000


@dataclass(frozen=True, eq=False)
class Segments:
    """S segments from ``start`` (S, *input) to ``end``, in float64."""

    start: Tensor
    end: Tensor

    def at(self, segment: Tensor, t: Tensor) -> Tensor:
        """The points at fractions t of segments."""
        t = t.reshape(-1, *(1,) * (self.start.ndim - 1))
        return self.start[segment] * (1 - t) + self.end[segment] * t


@dataclass(frozen=True, eq=False)
class SegmentPoints:
    """Points on segments, sorted: the number of the segment and the fraction t, each segment with 0 and 1."""

    segment: Tensor
    t: Tensor

    @classmethod
    def ends(cls, count: int) -> SegmentPoints:
        """The two ends of each of ``count`` segments."""
        return cls(torch.arange(count).repeat_interleave(2), torch.tensor([0.0, 1.0], dtype=torch.float64).repeat(count))

    def joined(self, segment: Tensor, t: Tensor) -> SegmentPoints:
        """These and others, in order, without those that nearly repeat."""
        order = torch.argsort(torch.cat([self.t, t]), stable=True)
        owner = torch.cat([self.segment, segment])[order]
        again = torch.argsort(owner, stable=True)
        owner, where = owner[again], torch.cat([self.t, t])[order][again]
        repeats = torch.zeros(len(owner), dtype=torch.bool)
        repeats[1:] = (owner[1:] == owner[:-1]) & (where[1:] - where[:-1] <= NEAR) & (where[1:] < 1)
        return SegmentPoints(owner[~repeats], where[~repeats])

    def pieces(self) -> tuple[Tensor, Tensor, Tensor]:
        """For each piece between two neighbors: the segment, and both fractions."""
        same = self.segment[1:] == self.segment[:-1]
        return self.segment[:-1][same], self.t[:-1][same], self.t[1:][same]


def breakpoints(net: PiecewiseLinearNetwork, segments: Segments) -> SegmentPoints:
    """All points at which a unit changes its piece, and the ends; a few more where windows have several inputs.

    Between two of them every unit is affine along the segment.

    Args:
        net: a network in float64 on the CPU.
        segments: in float64.
    """
    points = SegmentPoints.ends(len(segments.start))
    for node in net.graph.nonlinearities:
        inputs = 1
        for _ in range(MOST_ROUNDS):  # a threshold crosses 0 once on each piece, the largest input of m changes m − 1 times
            owners, places = [], []
            for first, values in rows_at(net, segments, points, node):
                some, t = _crossings(points, first, values)
                inputs = len(values)
                owners.append(some)
                places.append(t)
            found = points.joined(torch.cat(owners), torch.cat(places))
            grown = len(found.t) > len(points.t)
            points = found
            if inputs == 1 or not grown:
                break
    return points


def rows_at(
    net: PiecewiseLinearNetwork, segments: Segments, points: SegmentPoints, node: NonlinearityNode
) -> Iterator[tuple[int, Tensor]]:
    """Blocks of points that overlap by one: the first point's number, and the rows (m, points, units) of a nonlinearity.

    m = 1 for what a threshold compares with 0, else the inputs of windows, −∞ where there is none.
    """
    step = block_size(net)
    for first in range(0, max(len(points.t) - 1, 1), step):
        block = slice(first, first + step + 1)
        x = segments.at(points.segment[block], points.t[block])
        with torch.no_grad():
            values = net.graph.evaluate(x, net.constants, stop=node.inputs[-1], keep=node.inputs)
            yield first, rows_of(node, [values[name] for name in node.inputs], net, len(x))


def rows_of(node: NonlinearityNode, inputs: Sequence[Tensor], net: PiecewiseLinearNetwork, points: int) -> Tensor:
    """The rows (m, points, units) of a nonlinearity at its inputs."""
    if isinstance(node.op, Maximum):
        a, b = torch.broadcast_tensors(*inputs)
        return (a - b).reshape(1, points, -1)
    if isinstance(node.op, ClampMin):
        return (inputs[0] - node.roles(net.constants)["level"]).reshape(1, points, -1)
    if node.op.elementwise:
        return inputs[0].reshape(1, points, -1)
    windows = node.op.windows(inputs[0], -torch.inf)
    return windows.reshape(len(windows), points, -1)


def block_size(net: PiecewiseLinearNetwork) -> int:
    """Points of a block."""
    numbers = sum(shape.numel() for shape in net.shapes.values())
    return max(1, BLOCK_NUMBERS // max(numbers, 1))


def _crossings(points: SegmentPoints, first: int, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Fractions at which rows cross 0, or at which the largest inputs of a window at two neighbors are equal."""
    count = rows.shape[1]
    owner, t = points.segment[first : first + count], points.t[first : first + count]
    if len(rows) == 1:
        a, b = rows[0, :-1], rows[0, 1:]
    else:
        top = rows.argmax(0)
        before, after = top[:-1].unsqueeze(0), top[1:].unsqueeze(0)
        a = (rows[:, :-1].gather(0, before) - rows[:, :-1].gather(0, after))[0]
        b = (rows[:, 1:].gather(0, before) - rows[:, 1:].gather(0, after))[0]
    crosses = (a * b < 0) & (owner[1:] == owner[:-1]).unsqueeze(1)
    k, unit = torch.nonzero(crosses, as_tuple=True)
    low, high = a[k, unit], b[k, unit]
    share = low / (low - high)
    return owner[k], t[k] + share * (t[k + 1] - t[k])
