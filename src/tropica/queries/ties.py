"""Pieces of segments that may run inside of a hyperplane: decided exactly."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from tropica.exact.rational_arrays import RationalArray, compact, largest, rationals
from tropica.network.graph import INPUT, AffineNode, Node, NonlinearityNode
from tropica.network.linear_parts import LinearPart
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.nonlinearities import ClampMin, Maximum, Relu
from tropica.queries.breakpoints import SUSPICIOUS, SegmentPoints, Segments, block_size, rows_of
from tropica.queries.rational_vectors import difference, moved
from tropica.regions.lower.composed_affine import SOURCE_INPUT, ComposedAffine
from tropica.regions.lower.exact_points import chosen_each, first_pieces
from tropica.regions.lower.lowering import NO_INPUT, ZERO, Lowered, Stage, lower

LOOKED_AT = 256
"""Pieces that are looked at together, at most."""
MOST_BITS = 900
"""Bits of integers up to which float64 holds them."""
SHORT = 1e-13
"""Pieces shorter than this fraction of the segment are not looked at."""


@dataclass(frozen=True, eq=False)
class Ties:
    """What exact arithmetic says of pieces of segments.

    Attributes:
        tied: (pieces,) 1 where a unit is 0 along the piece whose gradient in x is not 0, else 0.
        rows: for each piece that was looked at the nearest float64 of the rows of every nonlinearity at its middle.
    """

    tied: Tensor
    rows: dict[int, list[np.ndarray]]

    def any(self, pieces: Tensor) -> bool:
        """Whether one of these pieces was looked at."""
        return bool(self.rows) and any(int(p) in self.rows for p in pieces)

    def evaluate(self, net: PiecewiseLinearNetwork, x: Tensor, pieces: Tensor) -> Tensor:
        """The network at the middles of pieces, units that were looked at at their exact values: PyTorch's slopes at ties."""
        stage = {node.name: s for s, node in enumerate(net.graph.nonlinearities)}
        looked = [(k, self.rows[int(p)]) for k, p in enumerate(pieces) if int(p) in self.rows]

        def step(node: Node, inputs: Sequence[Tensor]) -> Tensor:
            if isinstance(node, NonlinearityNode):
                inputs = _settled(net, node, inputs, len(x), [(k, rows[stage[node.name]]) for k, rows in looked])
            return node.apply(inputs, net.constants)

        return net.graph.interpret({INPUT: x}, step)[net.graph.output]


def _settled(
    net: PiecewiseLinearNetwork, node: NonlinearityNode, inputs: Sequence[Tensor], points: int, looked: list
) -> Sequence[Tensor]:
    """The inputs of a nonlinearity with values replaced at some points; gradients go through as before."""
    z = inputs[0]
    wanted = z.detach().clone().reshape(points, -1)
    base: Tensor | float = 0.0
    if isinstance(node.op, Maximum):
        first, second = torch.broadcast_tensors(*inputs)
        z, inputs = first, (first, second)
        wanted, base = z.detach().clone().reshape(points, -1), second.detach().reshape(points, -1)
    elif isinstance(node.op, ClampMin):
        base = node.roles(net.constants)["level"].expand(z.shape).reshape(points, -1)
    for k, rows in looked:
        row = torch.from_numpy(rows)
        level = base[k] if isinstance(base, Tensor) else torch.zeros_like(row)
        moved_to = level + row
        lost = (moved_to == level) & (row != 0)  # a difference below the last bit of the level
        wanted[k] = torch.where(lost, torch.nextafter(level, level + torch.sign(row) * (1 + level.abs())), moved_to)
    return (z + (wanted.reshape(z.shape) - z.detach()), *inputs[1:])


def find_ties(net: PiecewiseLinearNetwork, segments: Segments, points: SegmentPoints) -> Ties:
    """Look at all pieces in whose middle a unit is near 0 and may have a gradient."""
    owner, a, b = points.pieces()
    doubtful = torch.zeros(len(owner), dtype=torch.bool)
    parts = {
        node.name: LinearPart(node, net.constants, tuple(net.shapes[name] for name in node.inputs))
        for node in net.graph.nodes
        if isinstance(node, AffineNode)
    }
    for some in torch.arange(len(owner)).split(max(1, block_size(net) // 2)):
        doubtful[some] = _doubtful(net, parts, segments.at(owner[some], (a[some] + b[some]) / 2))
    tied, found = torch.zeros(len(owner), dtype=torch.float64), {}
    chosen = torch.nonzero(doubtful & (b - a > SHORT)).flatten().tolist()
    lowered = lower(net, simplify=False) if chosen else None
    block = max(1, min(LOOKED_AT, block_size(net) // 64))
    order = sorted(chosen, key=lambda p: float(b[p] - a[p]))  # pieces of similar lengths have similar denominators
    for first in range(0, len(order), block):
        some = order[first : first + block]
        ends = [(rationals(segments.start[owner[p]].reshape(1, -1).numpy()), _step(segments, int(owner[p]))) for p in some]
        lengths = [(Fraction(float(a[p])), Fraction(float(b[p]))) for p in some]
        middles = [moved(x, step, _short(low, high)) for (x, step), (low, high) in zip(ends, lengths, strict=True)]
        steps = _joined([step for _, step in ends])
        assert lowered is not None
        for p, is_tied, rows in zip(some, *_looked_at(lowered, _joined(middles), steps), strict=True):
            tied[p], found[p] = float(is_tied), rows
    return Ties(tied, found)


def _step(segments: Segments, s: int) -> RationalArray:
    start, end = (rationals(z[s].reshape(1, -1).numpy()) for z in (segments.start, segments.end))
    return difference(end, start)


def _short(low: Fraction, high: Fraction) -> Fraction:
    """A number with few digits near the middle: digits multiply from layer to layer."""
    scale = 1 << max(0, 2 - math.floor(math.log2(high - low)))
    return Fraction(round((low + high) / 2 * scale), scale)


def _joined(points: Sequence[RationalArray]) -> RationalArray:
    """Points (1, D) as (N, D)."""
    denominator = math.lcm(*(x.denominator for x in points))
    return RationalArray(compact(np.concatenate([x.numerators_over(denominator).astype(object) for x in points])), denominator)


def _doubtful(net: PiecewiseLinearNetwork, parts: Mapping[str, LinearPart], x: Tensor) -> Tensor:
    """For each point whether a row is near 0 that may depend on the input there.

    With each value goes a mark: whether it may depend on the input near the point. A value that does not is 0 without a tie.
    """
    found = torch.zeros(len(x), dtype=torch.bool)

    def step(node: Node, inputs: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        values, live = [z for z, _ in inputs], [mark for _, mark in inputs]
        out = node.apply(values, net.constants)
        if not isinstance(node, NonlinearityNode):
            return out, parts[node.name].touches(live)
        rows, marks = rows_of(node, values, net, len(x)), _marks_of(node, live, len(x))
        near, kept = _near_zero(node, rows, marks)
        found.logical_or_(near)
        return out, kept.reshape(out.shape)

    with torch.no_grad():
        net.graph.interpret({INPUT: (x, torch.ones_like(x, dtype=torch.bool))}, step)
    return found


def _marks_of(node: NonlinearityNode, live: Sequence[Tensor], points: int) -> Tensor:
    """The marks (m, points, units) of a nonlinearity's inputs: of windows, of both activations of a maximum, of a threshold."""
    if node.op.elementwise:
        return torch.stack([m.reshape(points, -1) for m in torch.broadcast_tensors(*live)])
    windows = node.op.windows(live[0].double(), 0.0)
    return windows.reshape(len(windows), points, -1) != 0


def _near_zero(node: NonlinearityNode, rows: Tensor, marks: Tensor) -> tuple[Tensor, Tensor]:
    """For each point whether a marked row is near 0, and the marks of the units."""
    scale = torch.where(torch.isfinite(rows), rows, 0.0).abs().amax((0, 2), keepdim=True) * SUSPICIOUS
    if len(rows) == 1:
        small = rows.abs()[0] <= scale[0]
        near = (small & marks.any(0)).any(1)
        if isinstance(node.op, Maximum):
            first, second = marks
            return near, ((rows[0] >= -scale[0]) & first) | ((rows[0] <= scale[0]) & second)
        flat_below = isinstance(node.op, Relu | ClampMin)
        return near, marks[0] & (rows[0] >= -scale[0]) if flat_below else marks[0]
    top = rows >= rows.amax(0, keepdim=True) - scale
    near = ((top.sum(0) > 1) & (top & marks).any(0)).any(1)
    return near, (top & marks).any(0)


def _looked_at(lowered: Lowered, x: RationalArray, steps: RationalArray) -> tuple[list[bool], list[list[np.ndarray]]]:
    """For points x (N, D) on pieces whether a unit with a gradient is 0 along the whole piece, and the rows at x.

    With the units' pieces at x fixed, a row is 0 along the piece if it is 0 at x and its slope along the segment is 0. Such a
    unit is tied if its slope in a random direction is not 0.
    """
    count, dimension = x.numerators.shape
    direction = RationalArray(np.broadcast_to(_direction(dimension).numerators, (count, dimension)))
    here, ahead, aside = ({SOURCE_INPUT: given} for given in (x, steps, direction))
    tied, rows = np.zeros(count, bool), [[] for _ in range(count)]
    for s, stage in enumerate(lowered.stages):
        z, along, across = (_applied(stage.affine, v, v is not here) for v in (here, ahead, aside))
        piece = first_pieces(stage, z)
        point, plus, minus = _equal(stage, z, piece)
        slopes = [_differences(row, point, plus, minus) for row in (along, across)]
        tied[point[(slopes[0] == 0) & (slopes[1] != 0)]] = True
        for values, row in ((here, z), (ahead, along), (aside, across)):
            values[s] = chosen_each(stage, row, piece)
        for k, row in enumerate(_floats(z)):
            rows[k].append(row)
    return tied.tolist(), rows


def _floats(z: RationalArray) -> np.ndarray:
    """Numbers as float64 within two roundings: equal ones stay equal, none changes its sign."""
    if z.denominator.bit_length() > MOST_BITS or largest(z.numerators).bit_length() > MOST_BITS:
        return z.floats()
    return z.numerators.astype(np.float64) / float(z.denominator)


def _applied(affine: ComposedAffine, values: Mapping[int, RationalArray], linear: bool) -> RationalArray:
    return affine.apply_exact({k: values[k] for k in affine.sources}, linear=linear)


def _equal(stage: Stage, z: RationalArray, piece: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where a row is 0, or an input of a window other than the active one is equal to that: the point, and the two rows."""
    if stage.kind == "threshold":
        point, unit = np.nonzero((z.numerators == 0) & (stage.low != stage.high))
        return point, unit, np.full(len(unit), ZERO)
    active = np.take_along_axis(stage.inputs[None], piece[:, :, None], 2)
    rows = z.numerators
    largest_inputs = np.take_along_axis(rows, np.maximum(active[:, :, 0], 0), 1)
    largest_inputs = np.where(active[:, :, 0] >= 0, largest_inputs, 0)
    found = []
    for k in range(stage.inputs.shape[1]):
        other = stage.inputs[:, k]
        values = np.where(other >= 0, rows[:, np.maximum(other, 0)], 0)
        point, unit = np.nonzero((values == largest_inputs) & (other != NO_INPUT) & (other != active[:, :, 0]))
        found.append((point, other[unit], active[point, unit, 0]))
    return tuple(np.concatenate(part) for part in zip(*found, strict=True))  # type: ignore[return-value]


def _differences(z: RationalArray, point: np.ndarray, plus: np.ndarray, minus: np.ndarray) -> np.ndarray:
    """z[point, plus] − z[point, minus]."""
    first, second = (np.where(row >= 0, z.numerators[point, np.maximum(row, 0)], 0) for row in (plus, minus))
    return np.asarray(first - second)


def _direction(dimension: int) -> RationalArray:
    """A random direction (1, D): a row that is not constant has slope 0 in it with a probability of at most 2⁻²⁴."""
    return RationalArray(np.random.default_rng(0).integers(-(2**23), 2**23, (1, dimension)))
