"""A lowered network on a domain as a chain: values that a later stage reads again are carried on by linear units.

A window becomes one unit for each of its inputs, of which exactly one is chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tropica.errors import InputError
from tropica.exact.rational_arrays import RationalArray, compact, rationals
from tropica.regions.engine.chain import Chain, ChainStage, linear_stage, rescaled_columns
from tropica.regions.engine.reduction import AffineBounds, Reduced, reduced_threshold, reduced_window, whole
from tropica.regions.lower.composed_affine import SOURCE_INPUT as INPUT
from tropica.regions.lower.composed_affine import ComposedAffine
from tropica.regions.lower.exact_rows import ExactRows, added, row_keys, stacked
from tropica.regions.lower.lowering import ZERO, Lowered, Stage
from tropica.regions.lower.sparse_affine import exact_rows

DENSE = 1 << 22
"""Entries of a matrix up to which networks of thresholds are read with every unit as it is."""
_MOST_ENTRIES = 1 << 28


@dataclass(frozen=True, eq=False)
class _Previous:
    """The outputs of the chain's last stage.

    Attributes:
        output: for each source that is at hand, the output (n,) that each of its values is, −1 for 0.
        width: how many outputs there are.
        bounds: of them on the domain.
    """

    output: dict[int, np.ndarray]
    width: int
    bounds: AffineBounds


def lowered_chain(
    lowered: Lowered, origin: np.ndarray, basis: np.ndarray, exponents: np.ndarray, vertices: np.ndarray | None = None
) -> tuple[Chain, tuple[Reduced, ...]]:
    """The chain over the coordinates τ with t = 2^exponents · τ, and what is left of each stage.

    Args:
        lowered: the stages.
        origin, basis: (D,) and (d, D), x = origin + t · basis.
        exponents: (d,).
        vertices: (V, d) of the domain, in τ; without them every unit is left.
    """
    d = len(basis)
    readers = [*(stage.affine for stage in lowered.stages), lowered.output]
    last = {k: max(i for i, op in enumerate(readers) if k in op.sources) for op in readers for k in op.sources}
    reduces = vertices is not None and (
        any(stage.kind == "window" for stage in lowered.stages)
        or any(op.size * op.source_size(k) > DENSE for op in readers for k in op.sources if k != INPUT)
    )
    start = AffineBounds(np.eye(d, d + 1), np.zeros(d))
    previous = _Previous({INPUT: np.arange(d)}, d, start)
    stages: list[ChainStage] = []
    left: list[Reduced] = []
    if not lowered.stages:  # the kernels read one stage at least: here the coordinates themselves
        stages.append(linear_stage(ExactRows.identity(d), RationalArray(np.zeros(d, np.int64))))
    for s, stage in enumerate(lowered.stages):
        weight, bias = _rows(stage.affine, previous, origin, basis, exponents)
        rows = previous.bounds.combined(weight.scaled(np.zeros(len(weight.columns), np.int64)), bias.floats())
        reduced = _reduced(stage, weight, bias, rows, vertices) if reduces else whole(stage)
        kept = [k for k in previous.output if last.get(k, -1) > s]
        made, previous = _stage(s, reduced, weight, bias, previous, kept, rows, vertices)
        stages.append(made)
        left.append(reduced)
    return Chain(tuple(stages), linear_stage(*_rows(lowered.output, previous, origin, basis, exponents)), d), tuple(left)


def _rows(
    op: ComposedAffine, previous: _Previous, origin: np.ndarray, basis: np.ndarray, exponents: np.ndarray
) -> tuple[ExactRows, RationalArray]:
    """The rows of an affine map over the previous stage's outputs."""
    bias, parts = op.exact_bias, []
    if INPUT in op.sources and origin.any():
        zeros = {k: RationalArray(np.zeros((1, op.source_size(k)), np.int64)) for k in op.sources}
        constant = op.apply_exact({**zeros, INPUT: rationals(origin[None])})
        bias = RationalArray(constant.numerators[0], constant.denominator)
    for k in op.sources:
        if k == INPUT:
            flat = {j: RationalArray(np.zeros((len(basis), op.source_size(j)), np.int64)) for j in op.sources}
            slopes = op.apply_exact({**flat, INPUT: rationals(basis)}, linear=True)
            turned = RationalArray(np.ascontiguousarray(slopes.numerators.T), slopes.denominator)
            block = ExactRows.of(rescaled_columns(turned, exponents))
        else:
            block = exact_rows(op, k)
        output = previous.output[k]
        if previous.width != block.width or not np.array_equal(output, np.arange(len(output))):
            block = block.renamed(output, previous.width)
        parts.append(block)
    found = added(parts) if parts else ExactRows.of(RationalArray(np.zeros((op.size, previous.width), np.int64)))
    if len(found.columns) > _MOST_ENTRIES:
        raise InputError(f"{op.target} has {len(found.columns):,} weights on this domain; up to {_MOST_ENTRIES:,} are read")
    return found, bias


def _reduced(stage: Stage, weight: ExactRows, bias: RationalArray, rows: AffineBounds, vertices: np.ndarray | None) -> Reduced:
    """What is left of a stage on the domain."""
    numbers: dict[object, int] = {}
    constants = bias.numerators
    same = np.array([numbers.setdefault(key, len(numbers)) for key in row_keys(weight, constants)], np.int64)
    zero = numbers.setdefault((b"", () if weight.numerators.dtype == object else b"", 0), len(numbers))
    below, above = rows.range(vertices)
    empty = np.diff(weight.starts) == 0  # a constant: its sign is known exactly
    sign = np.sign(constants[empty]).astype(np.float64)
    below[empty] = np.where(sign > 0, np.maximum(below[empty], 5e-324), np.where(sign == 0, 0.0, below[empty]))
    above[empty] = np.where(sign < 0, np.minimum(above[empty], -5e-324), np.where(sign == 0, 0.0, above[empty]))
    if stage.kind == "threshold":
        return reduced_threshold(stage, same, below, above)
    return reduced_window(stage, same, zero, below, above)


def _stage(
    s: int,
    reduced: Reduced,
    weight: ExactRows,
    bias: RationalArray,
    previous: _Previous,
    kept: Sequence[int],
    rows: AffineBounds,
    vertices: np.ndarray | None,
) -> tuple[ChainStage, _Previous]:
    """A stage of the chain: the units that are left, then linear ones that carry values on."""
    own, width = reduced.rows, previous.width
    taken = weight.take(np.maximum(own, 0))
    numerators = bias.numerators[np.maximum(own, 0)]
    center, radius = rows.center[np.maximum(own, 0)], rows.radius[np.maximum(own, 0)]
    if (own == ZERO).any():
        silent = own == ZERO
        keep = ~silent[taken.row_of]
        taken = ExactRows.from_entries(
            taken.row_of[keep], taken.columns[keep], taken.numerators[keep], taken.denominator, (len(own), width)
        )
        numerators = np.where(silent, 0, numerators)
        center, radius = np.where(silent[:, None], 0.0, center), np.where(silent, 0.0, radius)
    carried, at = [], 0
    output: dict[int, np.ndarray] = {}
    first = _outputs_of(reduced)
    for k in kept:
        used = np.unique(previous.output[k][previous.output[k] >= 0])
        place = np.full(width + 1, -1)
        place[used] = first + at + np.arange(len(used))
        output[k] = place[previous.output[k]]
        carried.append(used)
        at += len(used)
    output[s] = reduced.output
    on = np.concatenate(carried) if carried else np.zeros(0, np.int64)
    if not len(own) and not len(on):  # the kernels read one unit at least
        on = np.zeros(1, np.int64)
    ones = np.ones(len(on))
    stage = ChainStage(
        stacked([taken, ExactRows.identity(width).take(on)]) if len(on) else taken,
        RationalArray(compact(np.concatenate([numerators, np.zeros(len(on), numerators.dtype)])), bias.denominator),
        np.concatenate([reduced.low, ones]),
        np.concatenate([reduced.high, ones]),
        None if reduced.windows is None else np.concatenate([reduced.windows, np.full(len(on), -1)]),
    )
    all_rows = AffineBounds(
        np.concatenate([center, previous.bounds.center[on]]), np.concatenate([radius, previous.bounds.radius[on]])
    )
    return stage, _Previous(output, stage.outputs, _output_bounds(stage, all_rows, vertices))


def _outputs_of(reduced: Reduced) -> int:
    """How many outputs a stage's own units have."""
    return int(reduced.output.max(initial=-1)) + 1


def _output_bounds(stage: ChainStage, rows: AffineBounds, vertices: np.ndarray | None) -> AffineBounds:
    """Bounds of a stage's outputs from those of its rows."""
    below, above = rows.range(vertices)
    if stage.windows is None:
        return rows.bent(stage.low, stage.high, below, above)
    center, radius = np.zeros((stage.outputs, rows.center.shape[1])), np.zeros(stage.outputs)
    alone = np.flatnonzero(stage.windows < 0)
    center[stage.output[alone]], radius[stage.output[alone]] = rows.center[alone], rows.radius[alone]
    many = np.flatnonzero(stage.windows >= 0)
    if len(many):
        low, high = np.full(stage.outputs, -np.inf), np.full(stage.outputs, -np.inf)
        np.maximum.at(low, stage.output[many], below[many])
        np.maximum.at(high, stage.output[many], above[many])
        window = np.unique(stage.output[many])
        with np.errstate(over="ignore", invalid="ignore"):
            center[window, -1], radius[window] = (low[window] + high[window]) / 2, (high[window] - low[window]) / 2
            radius[window] += 1e-12 * np.maximum(np.abs(low[window]), np.abs(high[window])) + 1e-300
    return AffineBounds(center, np.where(np.isfinite(radius), radius, np.inf))
