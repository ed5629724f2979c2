"""A lowered network on a domain as a chain: values that a later stage reads again are carried on by linear units.

A window becomes one unit for each of its inputs, of which exactly one is chosen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tropica.exact.rational_arrays import RationalArray, compact, rationals
from tropica.regions.chain import Chain, ChainStage, linear_stage, rescaled_columns
from tropica.regions.composed_affine import SOURCE_INPUT as INPUT
from tropica.regions.composed_affine import ComposedAffine
from tropica.regions.lower import NO_INPUT, ZERO, Lowered, Stage


@dataclass(frozen=True)
class _Carried:
    """What the units of a chain's stage stand for: pairs (source, first unit, one past the last); INPUT: the coordinates t."""

    places: dict[int, tuple[int, int]]
    windows: np.ndarray | None
    width: int


def lowered_chain(lowered: Lowered, origin: np.ndarray, basis: np.ndarray, exponents: np.ndarray) -> Chain:
    """The chain over the coordinates τ with t = 2^exponents · τ.

    Args:
        lowered: the stages.
        origin, basis: (D,) and (d, D), x = origin + t · basis.
        exponents: (d,).
    """
    d = len(basis)
    readers = [*(stage.affine for stage in lowered.stages), lowered.output]
    last = {k: max(i for i, op in enumerate(readers) if k in op.sources) for op in readers for k in op.sources}
    previous = _Carried({INPUT: (0, d)}, None, d)
    stages: list[ChainStage] = []
    if not lowered.stages:  # the kernels read one stage at least: here the coordinates themselves
        identity = RationalArray(np.eye(d, dtype=np.int64))
        stages.append(ChainStage(identity, RationalArray(np.zeros(d, np.int64)), np.ones(d), np.ones(d)))
    for s, op in enumerate(readers):
        weight, bias = _rows(op, previous, origin, basis, exponents)
        if s == len(lowered.stages):
            if not stages:  # an affine network: one stage that hands the coordinates on
                unit = RationalArray(np.eye(d, dtype=np.int64)), RationalArray(np.zeros(d, np.int64))
                stages.append(linear_stage(*unit))
            return Chain(tuple(stages), linear_stage(weight, bias), d)
        stage = lowered.stages[s]
        weight, bias, low, high, windows = _units(stage, weight, bias)
        kept = [k for k in previous.places if last.get(k, -1) > s]
        weight, bias, places = _carry(weight, bias, previous, kept)
        more = len(bias.numerators) - len(low)
        own = len(low)
        low, high = np.concatenate([low, np.ones(more)]), np.concatenate([high, np.ones(more)])
        group = None if windows is None else np.concatenate([windows, np.full(more, -1)])
        stages.append(ChainStage(weight, bias, low, high, group))
        places[s] = (0, own)
        previous = _Carried(places, windows, own + more)
    raise AssertionError("a lowered network ends with its output")


def _rows(
    op: ComposedAffine, previous: _Carried, origin: np.ndarray, basis: np.ndarray, exponents: np.ndarray
) -> tuple[RationalArray, RationalArray]:
    """The rows of an affine map over the previous stage's units."""
    zeros = {k: RationalArray(np.zeros((1, op.source_size(k)), np.int64)) for k in op.sources}
    constant = op.apply_exact({**zeros, INPUT: rationals(origin[None])} if INPUT in op.sources else zeros)
    bias = RationalArray(constant.numerators[0], constant.denominator)
    blocks: dict[int, RationalArray] = {}
    for k in op.sources:
        if k == INPUT:
            flat = {j: RationalArray(np.zeros((len(basis), op.source_size(j)), np.int64)) for j in op.sources}
            slopes = op.apply_exact({**flat, INPUT: rationals(basis)}, linear=True)
            block = rescaled_columns(RationalArray(np.ascontiguousarray(slopes.numerators.T), slopes.denominator), exponents)
        else:
            block = op.exact_weight(k)
        blocks[k] = block
    if len(blocks) == 1 and previous.windows is None:
        k = next(iter(blocks))
        if previous.places.get(k) == (0, previous.width):
            return blocks[k], bias
    return _assembled(blocks, previous, len(bias.numerators)), bias


def _assembled(blocks: Mapping[int, RationalArray], previous: _Carried, n: int) -> RationalArray:
    denominator = math.lcm(1, *(b.denominator for b in blocks.values()))
    small = all(b.numerators.dtype != object and b.denominator == denominator for b in blocks.values())
    out = np.zeros((n, previous.width), dtype=np.int64 if small else object)
    for k, block in blocks.items():
        start, end = previous.places[k]
        numerators = block.numerators if small else block.numerators.astype(object) * (denominator // block.denominator)
        out[:, start:end] = numerators[:, previous.windows] if previous.windows is not None and start == 0 else numerators
    return RationalArray(compact(out), denominator)


def _units(
    stage: Stage, weight: RationalArray, bias: RationalArray
) -> tuple[RationalArray, RationalArray, np.ndarray, np.ndarray, np.ndarray | None]:
    """The units of a stage: of a threshold its rows, of a window one unit for each input."""
    if stage.kind == "threshold":
        return weight, bias, stage.low, stage.high, None
    window, place = np.nonzero(stage.inputs != NO_INPUT)
    row = stage.inputs[window, place]
    zero = row == ZERO
    numerators, constants = weight.numerators[np.where(zero, 0, row)], bias.numerators[np.where(zero, 0, row)]
    numerators[zero], constants[zero] = 0, 0
    return (
        RationalArray(numerators, weight.denominator),
        RationalArray(constants, bias.denominator),
        np.zeros(len(row)),
        np.ones(len(row)),
        window,
    )


def _carry(
    weight: RationalArray, bias: RationalArray, previous: _Carried, kept: Sequence[int]
) -> tuple[RationalArray, RationalArray, dict[int, tuple[int, int]]]:
    """Append linear rows that repeat sources of the previous stage."""
    places: dict[int, tuple[int, int]] = {}
    at = len(bias.numerators)
    rows: list[np.ndarray] = []
    for k in kept:
        start, end = previous.places[k]
        grouped = previous.windows if start == 0 and previous.windows is not None and end == len(previous.windows) else None
        count = end - start if grouped is None else int(grouped.max()) + 1
        block = np.zeros((count, previous.width), np.int64)
        if grouped is None:
            block[np.arange(count), start + np.arange(count)] = 1
        else:
            block[grouped, np.arange(len(grouped))] = 1
        rows.append(block)
        places[k] = (at, at + count)
        at += count
    if not rows:
        return weight, bias, places
    extra = np.concatenate(rows)
    numerators = np.concatenate([weight.numerators.astype(object), extra.astype(object) * weight.denominator])
    constants = np.concatenate([bias.numerators, np.zeros(len(extra), bias.numerators.dtype)])
    return RationalArray(compact(numerators), weight.denominator), RationalArray(constants, bias.denominator), places
