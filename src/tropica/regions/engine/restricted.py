"""A wide network on a small domain: only the units that bend there are kept, each as a combination of coordinates and others.

All other units are affine there, so they are composed by passing the coordinates and the kept units as columns through the
network in float64, in batches. A pass of absolute values bounds the rounding. Signs that these bounds do not decide are taken
from floating point and counted: exact arithmetic is out of reach.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from tropica.errors import InputError
from tropica.exact.rational_arrays import rationals
from tropica.exact.roundoff import UNIT_ROUNDOFF
from tropica.network.graph import AffineNode, Node
from tropica.regions.engine.chain import Chain, ChainStage
from tropica.regions.engine.reduction import ALWAYS, NEVER, SLACK, AffineBounds, Reduced
from tropica.regions.lower.composed_affine import SOURCE_INPUT, ComposedAffine
from tropica.regions.lower.exact_rows import ExactRows
from tropica.regions.lower.lowering import NO_INPUT, ZERO, Lowered, Stage
from tropica.runtime.memory import budget, size_text

_AT_ONCE = 1 << 24
"""Entries of a batch of columns."""


@dataclass(frozen=True, eq=False)
class FloatRows(ExactRows):
    """Rows whose entries are floats ``values``; the bounds of their errors are kept elsewhere."""

    values: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def zero_rows(self) -> np.ndarray:
        """None: the rows have errors."""
        return np.zeros(len(self), bool)

    @property
    def unit_rows(self) -> np.ndarray:
        """None: the rows have errors."""
        return np.full(len(self), -1)

    @cached_property
    def mantissas(self) -> tuple[np.ndarray, np.ndarray]:
        """The entries as m · 2^e."""
        m, e = np.frexp(self.values)
        return m, e.astype(np.int64)


@dataclass(frozen=True, eq=False)
class _Value:
    """An activation as a combination of columns: coordinates, the constant 1, kept units.

    Attributes:
        columns: (k, n) float64; the constant is row d.
        error: (n,) bounds of |combination − exact value| over the domain.
    """

    columns: Tensor
    error: np.ndarray


@dataclass(frozen=True, eq=False)
class Restricted:
    """The chain, what each stage keeps, the unit of the first stage that is 0 with error 1, and errors of its other rows."""

    chain: Chain
    left: tuple[Reduced, ...]
    error_unit: int
    first_error: np.ndarray

    def lay_errors(self, first: np.ndarray) -> None:
        """Put the errors into the rows (d + 2, n) of the first stage, which are those of the chain times powers of two."""
        stage, count = self.chain.stages[0], len(self.first_error)
        rows = stage.weight.scaled(np.zeros(len(stage.weight.columns), np.int64)).toarray()[:count]
        own = np.concatenate([np.abs(rows), np.abs(stage.bias.floats()[:count, None])], 1).max(1, initial=0)
        scaled = np.abs(first[:-1, :count]).max(0, initial=0)
        factor = np.where(own > 0, scaled / np.maximum(own, 1e-300), 1.0)
        first[-1, :count] += 1.01 * factor * self.first_error
        first[-1, self.error_unit] = 1.0


@dataclass(frozen=True, eq=False)
class _Columns:
    """The largest absolute value of each column on the domain, and bounds as functions of the coordinates."""

    reach: np.ndarray
    bounds: AffineBounds


def multiplications(lowered: Lowered) -> int:
    """About how many entries the matrices of a network have."""
    total = 0
    for op in (*(stage.affine for stage in lowered.stages), lowered.output):
        for node in _nodes(op):
            if node.weighted:
                weight = node.roles(op.context.constants)["weight"]
                total += op.context.shapes[node.name].numel() * _terms(weight)
    return total


def restricted_chain(lowered: Lowered, origin: np.ndarray, basis: np.ndarray, vertices: np.ndarray) -> Restricted:
    """The units that bend on a domain, over coordinates τ with x = origin + τ · basis and |τ| ≤ 1.

    Args:
        lowered: the network, with one stage at least.
        origin, basis: (D,) and (d, D).
        vertices: (V, d) of the domain, in τ.

    Raises:
        InputError: the columns do not fit the memory.
    """
    d = len(basis)
    readers = [*(stage.affine for stage in lowered.stages), lowered.output]
    last = {k: max(i for i, op in enumerate(readers) if k in op.sources) for op in readers for k in op.sources}
    start = torch.from_numpy(np.concatenate([basis, origin[None]]))
    values = {SOURCE_INPUT: _Value(start, np.zeros(start.shape[1]))}
    known = _Columns(np.ones(d + 1), AffineBounds(np.eye(d + 1), np.zeros(d + 1)))
    stages: list[ChainStage] = []
    own: int | None = None
    first = np.zeros(0)
    left: list[Reduced] = []
    for s, stage in enumerate(lowered.stages):
        z = _through(stage.affine, values, known.reach, d)
        rows = _bounds(z, known.bounds)
        below, above = rows.range(vertices)
        kept = (_threshold if stage.kind == "threshold" else _windows)(stage, below, above)
        if own is None:
            first = np.where(kept.rows >= 0, z.error[np.maximum(kept.rows, 0)], 0.0)
        stages.append(_chain_stage(kept, z, d, own))
        left.append(kept)
        values[s], fresh = _bent(stage, kept, z, rows, below, above)
        known = _Columns(np.concatenate([known.reach, fresh.reach]), _joined(known.bounds, fresh.bounds))
        own = len(fresh.reach)
        values = {k: v for k, v in values.items() if last.get(k, -1) > s}
        _check_memory(values, len(known.reach))
    out = _through(lowered.output, values, known.reach, d)
    rows, constant = _over_columns(out.columns.numpy().T, out.error, d, own)
    ones = np.ones(len(rows))
    chain = Chain(tuple(stages), ChainStage(rows, rationals(constant), ones, ones), d)
    return Restricted(chain, tuple(left), len(left[0].rows) + d, first)


def _check_memory(values: Mapping[int, _Value], columns: int) -> None:
    need, most = sum(8 * columns * len(v.error) for v in values.values()), budget(None)
    if need > most:
        raise InputError(
            f"{columns:,} units bend on this domain, which takes {size_text(need)}; {size_text(most)} are free. "
            "Use a smaller domain"
        )


# ── one affine map ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _nodes(op: ComposedAffine) -> list[AffineNode]:
    """The ops of a composed affine map."""
    known, needed, found = set(op.names.values()), {op.target}, []
    for node in reversed(op.context.graph.nodes):
        if node.name in needed and node.name not in known:
            needed.update(node.inputs)
            assert isinstance(node, AffineNode)
            found.append(node)
    return found


def _terms(weight: Tensor) -> int:
    """About how many products a value of an op with this weight sums."""
    return weight[0].numel() if weight.ndim > 1 else 1


def _through(op: ComposedAffine, values: Mapping[int, _Value], reach: np.ndarray, d: int) -> _Value:
    """The map at all columns, and the bounds of the errors; columns that a source lacks are 0 in it."""
    k = len(reach)
    step = max(1, _AT_ONCE // max(op.size, *(op.source_size(j) for j in op.sources)))
    out = torch.zeros(k, op.size, dtype=torch.float64)
    for start in range(0, k, step):
        block = {j: _padded(values[j].columns, start, min(start + step, k)) for j in op.sources}
        out[start : start + step] = op.apply(block, linear=True)
    size = {j: torch.from_numpy(reach[: len(values[j].columns)] @ values[j].columns.abs().numpy())[None] for j in op.sources}
    error = {j: torch.from_numpy(values[j].error)[None] for j in op.sources}
    bias = op.bias
    out[d] += torch.from_numpy(bias)
    terms = sum(_terms(node.roles(op.context.constants)["weight"]) + 8 if node.weighted else 16 for node in _nodes(op))
    total = _absolute(op, size)[0].numpy() + np.abs(bias)
    slack = _absolute(op, error)[0].numpy() * (1 + 1e-6) + (terms + 8) * 1.01 * UNIT_ROUNDOFF * total + 1e-290
    return _Value(out, slack)


def _padded(columns: Tensor, start: int, end: int) -> Tensor:
    given = columns[start:end]
    if len(given) == end - start:
        return given
    return torch.cat([given, torch.zeros(end - start - len(given), columns.shape[1], dtype=torch.float64)])


def _absolute(op: ComposedAffine, values: Mapping[int, Tensor]) -> Tensor:
    """The map with absolute weights and no constants at values ≥ 0."""
    context = op.context

    def step(node: Node, inputs: Sequence[Tensor]) -> Tensor:
        assert isinstance(node, AffineNode)
        roles = {
            role: c.abs() if role == "weight" else torch.zeros_like(c) if c.is_floating_point() else c
            for role, c in node.roles(context.constants).items()
        }
        parts = []
        base = node.fn(*(torch.zeros_like(x) for x in inputs), **roles)
        for i, x in enumerate(inputs):
            parts.append((node.fn(*(x if j == i else torch.zeros_like(y) for j, y in enumerate(inputs)), **roles) - base).abs())
        return sum(parts[1:], parts[0])

    given = {name: context.tensor(name, values[k]) for k, name in op.names.items()}
    with torch.no_grad():
        return context.rows(op.target, context.graph.interpret(given, step, stop=op.target)[op.target], 1)


def _bounds(z: _Value, columns: AffineBounds) -> AffineBounds:
    """Bounds of rows from those of the columns."""
    n = z.columns.shape[1]
    center, radius = np.zeros((n, columns.center.shape[1])), np.zeros(n)
    step = max(1, _AT_ONCE // len(z.columns))
    for start in range(0, n, step):
        weight = z.columns[:, start : start + step].numpy().T
        center[start : start + step] = weight @ columns.center
        size = np.abs(weight)
        radius[start : start + step] = size @ (columns.radius + SLACK * np.abs(columns.center).sum(1))
    return AffineBounds(center, radius * (1 + SLACK) + z.error)


def _joined(one: AffineBounds, other: AffineBounds) -> AffineBounds:
    return AffineBounds(np.concatenate([one.center, other.center]), np.concatenate([one.radius, other.radius]))


# ── units ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _threshold(stage: Stage, below: np.ndarray, above: np.ndarray) -> Reduced:
    """The units whose sign the domain does not decide."""
    up, down = below > 0, above <= 0
    low, high = np.where(up, stage.high, stage.low), np.where(down, stage.low, stage.high)
    kept = np.flatnonzero(low != high)
    output = np.full(stage.size, -1)
    output[kept] = np.arange(len(kept))
    bits = np.where(output >= 0, output, np.where(up & (stage.low != stage.high), ALWAYS, NEVER))
    return Reduced(kept, low[kept], high[kept], None, output, bits)


def _windows(stage: Stage, below: np.ndarray, above: np.ndarray) -> Reduced:
    """The windows with several inputs that can be the largest."""
    inputs, possible = stage.inputs, _possible(stage, below, above)
    valid = inputs != NO_INPUT
    many = possible.sum(1) > 1
    output = np.full(len(inputs), -1)
    output[many] = np.arange(int(many.sum()))
    window, place = np.nonzero(possible & many[:, None])
    unit = np.full(inputs.shape, NEVER)
    unit[window, place] = np.arange(len(window))
    unit = np.where(possible & ~many[:, None], ALWAYS, unit)
    own, at = np.nonzero(valid)
    zeros = np.zeros(len(window))
    return Reduced(inputs[window, place], zeros, zeros + 1, output[window], output, unit[own, at])


def _possible(stage: Stage, below: np.ndarray, above: np.ndarray) -> np.ndarray:
    """Which inputs of each window can be the largest."""
    inputs, row = stage.inputs, np.maximum(stage.inputs, 0)
    valid, constant = inputs != NO_INPUT, inputs == ZERO
    least, most = np.where(constant, 0.0, below[row]), np.where(constant, 0.0, above[row])
    return valid & (most >= np.where(valid, least, -np.inf).max(1, keepdims=True))


def _bent(
    stage: Stage, kept: Reduced, z: _Value, rows: AffineBounds, below: np.ndarray, above: np.ndarray
) -> tuple[_Value, _Columns]:
    """The outputs of a stage, with a new column for each unit that is kept, and these columns."""
    d = rows.center.shape[1] - 1
    if stage.kind == "threshold":
        own = kept.rows
        up = below > 0
        slope = np.where(up, stage.high, stage.low)
        slope[own] = 0.0
        columns, error = z.columns * torch.from_numpy(slope), np.abs(slope) * z.error * (1 + SLACK)
        taken = AffineBounds(rows.center[own], rows.radius[own]).bent(kept.low, kept.high, below[own], above[own])
        reach = np.maximum(
            np.maximum(np.abs(kept.low * below[own]), np.abs(kept.high * above[own])),
            np.maximum(np.abs(kept.high * below[own]), np.abs(kept.low * above[own])),
        )
        unit = own
    else:
        possible = _possible(stage, below, above)
        first = stage.inputs[np.arange(stage.units), possible.argmax(1)]
        single = (kept.output < 0) & (first >= 0)
        columns = z.columns[:, np.maximum(first, 0)] * torch.from_numpy(single.astype(np.float64))
        error = np.where(single, z.error[np.maximum(first, 0)], 0.0)
        unit = np.flatnonzero(kept.output >= 0)
        row = np.maximum(stage.inputs[unit], 0)
        constant = stage.inputs[unit] == ZERO
        least, most = np.where(constant, 0.0, below[row]), np.where(constant, 0.0, above[row])
        lo = np.where(possible[unit], least, -np.inf).max(1, initial=-np.inf)
        hi = np.where(possible[unit], most, -np.inf).max(1, initial=-np.inf)
        center = np.zeros((len(unit), d + 1))
        center[:, -1] = (lo + hi) / 2
        taken, reach = AffineBounds(center, (hi - lo) / 2 * (1 + SLACK)), np.maximum(np.abs(lo), np.abs(hi))
    fresh = torch.zeros(len(unit), columns.shape[1], dtype=torch.float64)
    fresh[torch.arange(len(unit)), torch.from_numpy(unit)] = 1.0
    return _Value(torch.cat([columns, fresh]), error), _Columns(reach * (1 + SLACK) + 1e-290, taken)


# ── the chain ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _chain_stage(kept: Reduced, z: _Value, d: int, own: int | None) -> ChainStage:
    """The kept units of a stage, then the coordinates, the unit of the errors and all units kept before.

    Args:
        kept, z: the units and the rows of the stage.
        d: the number of coordinates.
        own: how many outputs of the stage before are its own; None for the first stage.
    """
    row, silent = np.maximum(kept.rows, 0), kept.rows == ZERO
    entries = z.columns[:, torch.from_numpy(row)].numpy().T.copy()
    entries[silent] = 0.0
    rows, constant = _over_columns(entries, np.where(silent, 0.0, z.error[row]), d, own)
    place = _places(len(z.columns), d, own)
    carried = np.concatenate([place[:d], [-1 if own is None else own + d], place[d + 1 :]])
    count, there = len(carried), carried >= 0
    ends = rows.starts[-1] + np.cumsum(there)
    weight = FloatRows(
        np.concatenate([rows.starts, ends]),
        np.concatenate([rows.columns, carried[there]]),
        np.zeros(0, np.int64),
        1,
        rows.width,
        np.concatenate([rows.values, np.ones(int(there.sum()))]),
    )
    ones = np.ones(count)
    return ChainStage(
        weight,
        rationals(np.concatenate([constant, np.zeros(count)])),
        np.concatenate([kept.low, ones]),
        np.concatenate([kept.high, ones]),
        None if kept.windows is None else np.concatenate([kept.windows, np.full(count, -1)]),
    )


def _places(columns: int, d: int, own: int | None) -> np.ndarray:
    """The output of the stage before that each column is, −1 for the constant."""
    if own is None:
        return np.append(np.arange(d), -1)
    earlier = columns - d - 1 - own
    after = own + d + 1 + np.arange(earlier)
    return np.concatenate([own + np.arange(d), [-1], after, np.arange(own)])


def _over_columns(entries: np.ndarray, error: np.ndarray, d: int, own: int | None) -> tuple[FloatRows, np.ndarray]:
    """Rows (r, columns) over the outputs of the stage before, with their errors as weights of the unit of errors; constants."""
    constant = np.ascontiguousarray(entries[:, d])
    place = _places(entries.shape[1], d, own)
    weight = entries.copy()
    weight[:, d] = 0.0 if own is None else error
    if own is not None:
        place[d] = own + d
    row, column = np.nonzero(weight)
    values = weight[row, column]
    starts = np.zeros(len(entries) + 1, np.int64)
    np.cumsum(np.bincount(row, minlength=len(entries)), out=starts[1:])
    width = d if own is None else entries.shape[1]
    return FloatRows(starts, place[column], np.zeros(0, np.int64), 1, width, values), constant
