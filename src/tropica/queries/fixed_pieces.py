"""A lowered network with fixed pieces, which is affine: its rows at points, at directions, and as coefficients.

The pieces of a cell say for each stage which affine piece each unit takes. Everything here is a function of the pieces alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tropica.exact.rational_arrays import RationalArray, compact
from tropica.network.graph import AffineNode, Node
from tropica.network.linear_parts import LinearPart
from tropica.network.numbers import Enclosed
from tropica.network.point_signs import plain_arithmetic
from tropica.regions.lower.composed_affine import SOURCE_INPUT, ComposedAffine
from tropica.regions.lower.lowering import NO_INPUT, ZERO, Lowered, Stage

Pieces = tuple[np.ndarray, ...]
"""For each stage (units,): 1 for the upper piece of a threshold, the position of the chosen input of a window."""


# ── exactly ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def exact_rows(lowered: Lowered, pieces: Pieces, x: RationalArray, *, linear: bool = False) -> Iterator[RationalArray]:
    """The rows z (B, n) of each stage at inputs x (B, D), then the outputs (B, s).

    Args:
        lowered: the network.
        pieces: of each stage.
        x: points; with ``linear`` directions, at which the linear parts are evaluated.
    """
    values: dict[int, RationalArray] = {SOURCE_INPUT: x}
    for s, stage in enumerate(lowered.stages):
        z = _applied(stage.affine, values, linear)
        values[s] = chosen(stage, z, pieces[s])
        yield z
    yield _applied(lowered.output, values, linear)


def chosen(stage: Stage, z: RationalArray, piece: np.ndarray) -> RationalArray:
    """The outputs (B, units) of a stage with rows z (B, n) whose units take the same pieces at all points."""
    if stage.kind == "window":
        row = np.take_along_axis(stage.inputs, piece[:, None], 1)[:, 0]
        taken = np.where(row >= 0, z.numerators[:, np.maximum(row, 0)], 0)
        return RationalArray(compact(taken), z.denominator)
    slopes = stage.slopes
    factor = np.where(piece > 0, slopes.numerators[1], slopes.numerators[0])
    if slopes.denominator == 1 and np.isin(factor, (-1, 0, 1)).all():
        return RationalArray(z.numerators * factor, z.denominator)
    product = compact(z.numerators.astype(object) * factor.astype(object))
    return RationalArray(product, z.denominator * slopes.denominator).reduced()


def pieces_beyond(lowered: Lowered, x: RationalArray, direction: RationalArray) -> Pieces:
    """The pieces just beyond a point: at x + ε · direction for all small ε > 0.

    A unit's row has a value at x and a slope along the direction; the larger value counts, at equal values the larger slope.
    Where both are equal the rows are, on the cell beyond, if the direction leads into its interior: a threshold then takes
    its lower piece, a window its first input.

    Args:
        lowered: the network.
        x: a point (1, D).
        direction: (1, D).
    """
    values: dict[int, RationalArray] = {SOURCE_INPUT: x}
    slopes: dict[int, RationalArray] = {SOURCE_INPUT: direction}
    found: list[np.ndarray] = []
    for s, stage in enumerate(lowered.stages):
        value, slope = _applied(stage.affine, values, False), _applied(stage.affine, slopes, True)
        piece = _larger(stage, value.numerators[0], slope.numerators[0])
        found.append(piece)
        values[s], slopes[s] = chosen(stage, value, piece), chosen(stage, slope, piece)
    return tuple(found)


def _larger(stage: Stage, value: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """The pieces of a stage by value, then slope; the first of equal ones."""
    if stage.kind == "threshold":
        return np.asarray((value > 0) | ((value == 0) & (slope > 0))).astype(np.int64)
    place = np.maximum(stage.inputs, 0)
    values = np.where(stage.inputs == ZERO, 0, value[place])
    slopes = np.where(stage.inputs == ZERO, 0, slope[place])
    exists = stage.inputs != NO_INPUT
    left = exists & (values == _top(values, exists))
    left &= slopes == _top(slopes, left)
    return left.argmax(1)


def _top(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """The largest entry of each row among the marked ones."""
    least = min(int(values.min(initial=0)), 0) - 1
    return np.where(among, values, least).max(1)[:, None]


def _applied(affine: ComposedAffine, values: dict[int, RationalArray], linear: bool) -> RationalArray:
    return affine.apply_exact({k: values[k] for k in affine.sources}, linear=linear)


def exact_coefficients(lowered: Lowered, pieces: Pieces, dimension: int) -> list[RationalArray]:
    """The coefficients (n, D + 1) of the rows of each stage, constants last, then those of the outputs, exactly."""
    directions = RationalArray(np.eye(dimension, dtype=np.int64))
    origin = RationalArray(np.zeros((1, dimension), np.int64))
    slopes = exact_rows(lowered, pieces, directions, linear=True)
    constants = exact_rows(lowered, pieces, origin)
    return [_beside(a, b) for a, b in zip(slopes, constants, strict=True)]


def _beside(slopes: RationalArray, constants: RationalArray) -> RationalArray:
    denominator = math.lcm(slopes.denominator, constants.denominator)
    parts = [a.numerators_over(denominator).T for a in (slopes, constants)]
    dtype = object if any(p.dtype == object for p in parts) else np.int64
    return RationalArray(compact(np.concatenate([p.astype(dtype) for p in parts], 1)), denominator)


# ── in float64, with error bounds ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, eq=False)
class Bounded:
    """Float64 numbers and a bound on the error of each."""

    value: np.ndarray
    error: np.ndarray


class EnclosedRows:
    """The rows of a lowered network with fixed pieces in float64, with proven error bounds."""

    def __init__(self, lowered: Lowered) -> None:
        self.lowered = lowered
        context = lowered.output.context
        self._parts = {
            node.name: LinearPart(node, context.constants, tuple(context.shapes[name] for name in node.inputs))
            for node in context.graph.nodes
            if isinstance(node, AffineNode)
        }

    def __call__(self, pieces: Pieces, x: np.ndarray, *, linear: bool = False) -> list[Bounded]:
        """The rows (B, n) of each stage at exact float64 inputs x (B, D), then the outputs; as :func:`exact_rows`."""
        with plain_arithmetic():
            values = {SOURCE_INPUT: Enclosed.exact(torch.from_numpy(np.ascontiguousarray(x, dtype=np.float64)))}
            found: list[Enclosed] = []
            for s, stage in enumerate(self.lowered.stages):
                z = self._applied(stage.affine, values, linear)
                values[s] = _chosen(stage, z, pieces[s])
                found.append(z)
            found.append(self._applied(self.lowered.output, values, linear))
        return [Bounded(z.value.numpy(), z.error.numpy()) for z in found]

    def _applied(self, affine: ComposedAffine, values: dict[int, Enclosed], linear: bool) -> Enclosed:
        def step(node: Node, inputs: Sequence[Enclosed]) -> Enclosed:
            part = self._parts[node.name]
            return (Enclosed.linear if linear else Enclosed.affine)(part, inputs)

        context, batch = affine.context, len(next(iter(values.values())).value)
        given = {
            name: Enclosed(*(context.tensor(name, part) for part in (values[k].value, values[k].error)))
            for k, name in affine.names.items()
        }
        found = context.graph.interpret(given, step, stop=affine.target)[affine.target]
        return Enclosed(*(context.rows(affine.target, part, batch) for part in (found.value, found.error)))


def _chosen(stage: Stage, z: Enclosed, piece: np.ndarray) -> Enclosed:
    if stage.kind == "window":
        row = np.take_along_axis(stage.inputs, piece[:, None], 1)[:, 0]
        index, exists = torch.from_numpy(np.maximum(row, 0)), torch.from_numpy(row >= 0)
        return Enclosed(*(torch.where(exists, part[:, index], 0.0) for part in (z.value, z.error)))
    factor: Tensor = torch.from_numpy(np.where(piece > 0, stage.high, stage.low))
    return z.times(factor.expand(z.shape))
